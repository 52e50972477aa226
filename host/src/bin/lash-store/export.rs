//! `lash-store export`: everything in a database as JSON lines.

use std::path::Path;

use lash_wasm_store::inspect::{Inspector, Record};
use serde::Serialize;

use crate::arguments::Export;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::Output;
use crate::progress::Bar;
use crate::sink::Sink;
use crate::units::{bytes, count, plain};

/// The first record of a database, and which one it is of.
#[derive(Serialize)]
struct Database<'a> {
    #[serde(flatten)]
    record: &'a Record,
    path: String,
}

/// Stands behind the records of a database, so that a reader knows that it has them all.
#[derive(Serialize)]
struct End {
    record: &'static str,
    path: String,
    records: u64,
}

/// What was written to a file.
#[derive(Default, Serialize)]
struct Exported {
    output: String,
    databases: u64,
    records: u64,
    bytes: u64,
}

pub(crate) async fn run(arguments: Export, output: &mut Output) -> Result<(), Failure> {
    let mut sink = match &arguments.output {
        Some(file) => Sink::file(file, arguments.force)?,
        None => Sink::stdout(),
    };
    // A bar would be drawn into what the reader of standard output shows.
    let quiet = arguments.output.is_none();
    let mut exported = Exported::default();
    let one = async |inspector: Inspector, path: &Path, output: &mut Output| {
        let bar = if quiet {
            Bar::hidden()
        } else {
            Bar::new("exporting", path)
        };
        exported.databases += 1;
        match database(&inspector, path, &mut sink, &bar, &mut exported.records).await {
            Err(failure) if arguments.partial && failure.exit == Exit::Problems => {
                output.failed(failure)
            }
            written => written,
        }
    };
    arguments.databases.each(output, one).await?;
    let Some(file) = arguments.output else {
        return sink.finish().map(|_| ());
    };
    let is_enough = arguments.partial && output.exit() == Exit::Problems;
    if output.exit() != Exit::Fine && !is_enough {
        let message = format!(
            "{} was not written, because not everything could be read; --partial writes what \
             could be",
            file.display()
        );
        return Err(Failure::new(&file, output.exit(), "incomplete", message));
    }
    exported.bytes = sink.finish()?;
    exported.output = file.display().to_string();
    output.result(&exported, |output| {
        format!(
            "{}  {} of {}, {}",
            output.bold(plain(&exported.output)),
            count(exported.records, "record", "records"),
            count(exported.databases, "database", "databases"),
            bytes(exported.bytes)
        )
    })
}

/// Writes the records of a database, and counts them.
async fn database(
    inspector: &Inspector,
    path: &Path,
    sink: &mut Sink,
    bar: &Bar,
    all: &mut u64,
) -> Result<(), Failure> {
    let path = path.display().to_string();
    let mut written = 0;
    let mut records = inspector.records();
    while let Some(page) = records.next_page().await? {
        for record in &page {
            if written == 0 {
                let path = path.clone();
                sink.write(&Database { record, path })?;
            } else {
                sink.write(record)?;
            }
            written += 1;
            *all += 1;
        }
        bar.records(written);
    }
    sink.write(&End {
        record: "end",
        path,
        records: written,
    })
}
