//! `lash-store import`: brings databases of lash-sqlite-store.

use std::fs;
use std::path::Path;

use lash_wasm_store::import::{ImportError, ImportReport, NativeImport};
use serde::Serialize;

use crate::arguments::Import;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::Output;
use crate::progress::Bar;
use crate::targets::{files, is_directory, none_in};
use crate::units::{bytes, count};

#[derive(Serialize)]
struct Imported {
    source: String,
    destination: String,
    #[serde(flatten)]
    report: ImportReport,
}

pub(crate) async fn run(arguments: Import, output: &mut Output) -> Result<(), Failure> {
    let Import {
        source,
        destination,
        partial,
    } = arguments;
    if !is_directory(&source)? {
        let within = source.file_name().filter(|_| destination.is_dir());
        let file = within.map_or_else(|| destination.clone(), |name| destination.join(name));
        return match import(&source, &file, partial).await {
            Ok(report) => imported(&source, &file, report, output),
            Err(error) => Err(error.into()),
        };
    }
    let directory = Made::directory(&destination)?;
    let mut found = 0_usize;
    for file in files(&source)? {
        let Some(name) = file.file_name() else {
            continue;
        };
        let to = destination.join(name);
        let done = match import(&file, &to, partial).await {
            Ok(report) => imported(&file, &to, report, output),
            Err(ImportError::NotNative { .. }) => {
                output.skipped(&file, "it is no database of lash-sqlite-store");
                continue;
            }
            Err(error) => Err(error.into()),
        };
        found += 1;
        if let Err(failure) = done {
            output.failed(failure)?;
        }
    }
    drop(directory);
    if found == 0 {
        return Err(none_in(&source, "of lash-sqlite-store"));
    }
    Ok(())
}

async fn import(
    source: &Path,
    destination: &Path,
    partial: bool,
) -> Result<ImportReport, ImportError> {
    let bar = Bar::new("importing", source);
    NativeImport::new()
        .partial(partial)
        .on_progress(move |progress| bar.set(progress.done_bytes, progress.total_bytes))
        .any(source, destination)
        .await
}

fn imported(
    source: &Path,
    destination: &Path,
    report: ImportReport,
    output: &mut Output,
) -> Result<(), Failure> {
    if !report.losses.is_empty() {
        output.end_with(Exit::Problems);
    }
    let imported = Imported {
        source: source.display().to_string(),
        destination: destination.display().to_string(),
        report,
    };
    output.result(&imported, |output| text(&imported, output))
}

fn text(imported: &Imported, output: &Output) -> String {
    let ImportReport {
        kind,
        records,
        losses,
        ..
    } = &imported.report;
    let rows: u64 = records.iter().map(|record| record.rows).sum();
    let size: u64 = records.iter().map(|record| record.bytes).sum();
    let mut text = format!(
        "{} -> {}  {kind} database, {rows} rows, {}",
        imported.source,
        output.bold(&imported.destination),
        bytes(size),
    );
    if losses.is_empty() {
        return text;
    }
    let lost = count(losses.len(), "loss", "losses");
    text.push_str(&format!("; {}:\n", output.bad(lost)));
    for loss in losses {
        text.push_str(&format!("  {loss}\n"));
    }
    text
}

/// A directory that is removed again if nothing was put into it.
struct Made<'a>(Option<&'a Path>);

impl<'a> Made<'a> {
    fn directory(path: &'a Path) -> Result<Self, Failure> {
        let made = !path.exists();
        fs::create_dir_all(path).map_err(|error| Failure::io(path, &error))?;
        Ok(Self(made.then_some(path)))
    }
}

impl Drop for Made<'_> {
    fn drop(&mut self) {
        if let Some(path) = self.0 {
            // Fails, as it should, if there is something in it.
            let _ = fs::remove_dir(path);
        }
    }
}
