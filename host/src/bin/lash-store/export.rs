//! `lash-store export`: everything in a database as JSON lines.

use std::path::Path;

use lash_wasm_store::inspect::{DatabaseKind, Inspector};
use serde::Serialize;

use crate::arguments::Export;
use crate::failure::Failure;
use crate::output::Output;
use crate::progress::Bar;
use crate::sink::Sink;
use crate::targets;
use crate::units::{bytes, count};

/// Stands before the records of a database.
#[derive(Serialize)]
struct Database {
    record: &'static str,
    path: String,
    kind: DatabaseKind,
}

/// Stands behind the records of a database, so that a reader knows that it has them all.
#[derive(Serialize)]
struct End {
    record: &'static str,
    records: usize,
}

/// What was written to a file.
#[derive(Serialize)]
struct Exported {
    output: String,
    records: usize,
    bytes: u64,
}

pub(crate) async fn run(arguments: Export, output: &mut Output) -> Result<(), Failure> {
    let mut sink = match &arguments.output {
        Some(file) => Sink::file(file, arguments.force)?,
        None => Sink::stdout(),
    };
    let mut records = 0;
    targets::each(&arguments.path, output, async |inspector, path, _| {
        records += database(&inspector, path, &mut sink).await?;
        Ok(())
    })
    .await?;
    let written = sink.finish()?;
    let Some(file) = arguments.output else {
        return Ok(());
    };
    let exported = Exported {
        output: file.display().to_string(),
        records,
        bytes: written,
    };
    output.result(&exported, |_| {
        format!(
            "{}: {}, {}",
            exported.output,
            count(records, "record", "records"),
            bytes(written)
        )
    })
}

/// Writes the records of a database; answers how many.
async fn database(inspector: &Inspector, path: &Path, sink: &mut Sink) -> Result<usize, Failure> {
    let bar = Bar::new("exporting", path);
    sink.write(&Database {
        record: "database",
        path: path.display().to_string(),
        kind: inspector.kind(),
    })?;
    let mut written = 0;
    let mut records = inspector.records();
    while let Some(page) = records.next_page().await? {
        for record in &page {
            sink.write(record)?;
            written += 1;
        }
        bar.records(written);
    }
    sink.write(&End {
        record: "end",
        records: written,
    })?;
    Ok(written)
}
