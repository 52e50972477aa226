//! `lash-store import`: brings databases of lash-sqlite-store over.

use std::fmt::Write;
use std::fs;
use std::path::Path;

use lash_wasm_store::StoreBuilder;
use lash_wasm_store::import::{ImportError, ImportReport, NativeImport};
use serde::Serialize;

use crate::arguments::Import;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::Output;
use crate::progress::Bar;
use crate::targets::{files, is_directory, is_named_so, none_in};
use crate::units::{bytes, count, number, plain};

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
    if is_directory(&source)? {
        return directory(&source, &destination, partial, output).await;
    }
    let name = source.file_name().filter(|_| destination.is_dir());
    let file = name.map_or_else(|| destination.clone(), |name| destination.join(name));
    let report = import(&source, &file, partial).await?;
    imported(&source, &file, report, output)
}

/// Whether a file that is no database of lash-sqlite-store must not be passed over: it has
/// the name of one, and is none of this crate either.
async fn is_lost(file: &Path) -> bool {
    is_named_so(file) && StoreBuilder::new().open_inspector(file).await.is_err()
}

/// Imports every database in a directory. What fails does not keep the rest from being
/// done.
async fn directory(
    source: &Path,
    destination: &Path,
    partial: bool,
    output: &mut Output,
) -> Result<(), Failure> {
    let _made = Made::directory(destination)?;
    let mut found = false;
    for file in files(source)? {
        let Some(name) = file.file_name() else {
            continue;
        };
        let to = destination.join(name);
        let done = match import(&file, &to, partial).await {
            Ok(report) => imported(&file, &to, report, output),
            Err(ImportError::NotNative { found, .. }) if !is_lost(&file).await => {
                output.skipped(&file, &found);
                continue;
            }
            Err(error) => Err(error.into()),
        };
        found = true;
        if let Err(failure) = done {
            output.failed(failure)?;
        }
    }
    if !found {
        return Err(none_in(source, "of lash-sqlite-store"));
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
    if !report.is_complete() {
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
        omitted_losses,
        ..
    } = &imported.report;
    let rows = records.iter().map(|record| record.rows).sum();
    let size = records.iter().map(|record| record.bytes).sum();
    let verdict = if imported.report.is_complete() {
        output.good("complete")
    } else {
        let lost = (losses.len() as u64).saturating_add(*omitted_losses);
        output.bad(count(lost, "loss", "losses"))
    };
    let mut text = format!(
        "{} -> {}  {verdict}; {kind} database, {}, {}\n",
        plain(&imported.source),
        output.bold(plain(&imported.destination)),
        count(rows, "row", "rows"),
        bytes(size),
    );
    for loss in losses {
        let _ = writeln!(text, "  {}", plain(&loss.to_string()));
    }
    if *omitted_losses > 0 {
        let _ = writeln!(text, "  and {} more", number(*omitted_losses));
    }
    text
}

/// A directory that is removed again if it was made here and nothing was put into it.
struct Made<'a>(Option<&'a Path>);

impl<'a> Made<'a> {
    fn directory(path: &'a Path) -> Result<Self, Failure> {
        let made = !path.exists();
        let mut builder = fs::DirBuilder::new();
        #[cfg(unix)]
        {
            use std::os::unix::fs::DirBuilderExt;
            builder.mode(0o700);
        }
        let created = builder.recursive(true).create(path);
        created.map_err(|error| Failure::io(path, &error))?;
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
