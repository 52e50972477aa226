//! What an import does to files, whatever their kind.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use lash_wasm_store::import::{ImportError, NativeImport};
use lash_wasm_store::inspect::Inspector;
use lash_wasm_store_testing::fixtures::Raw;

/// A source and a destination in a directory of their own.
pub(crate) struct Files {
    directory: tempfile::TempDir,
}

impl Files {
    pub(crate) fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        fs::create_dir(directory.path().join("native")).unwrap();
        fs::create_dir(directory.path().join("ours")).unwrap();
        Self { directory }
    }

    /// A source with these bytes, and with what a statement did to it.
    pub(crate) fn damaged(bytes: &[u8], sql: &str) -> Self {
        let files = Self::new();
        fs::write(files.source(), bytes).unwrap();
        let raw = Raw::open(&files.source());
        raw.execute("PRAGMA foreign_keys = OFF");
        assert!(raw.execute(sql) > 0, "{sql}");
        files
    }

    /// Where the native crate's file is, alone in its directory.
    pub(crate) fn source(&self) -> PathBuf {
        self.directory.path().join("native/native.db")
    }

    /// Where ours comes to be, alone in its directory.
    pub(crate) fn destination(&self) -> PathBuf {
        self.directory.path().join("ours/ours.db")
    }

    /// What is in the directory of the destination.
    pub(crate) fn beside_destination(&self) -> Vec<String> {
        let entries = fs::read_dir(self.directory.path().join("ours")).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names.collect()
    }

    /// Imports what is whole; the losses as `table: key`.
    pub(crate) async fn partial_losses(&self) -> Vec<String> {
        let import = NativeImport::new().partial(true);
        let report = import
            .any(&self.source(), &self.destination())
            .await
            .unwrap();
        report
            .losses
            .iter()
            .map(|loss| format!("{}: {}", loss.table, loss.key))
            .collect()
    }

    /// Nothing is imported; the losses as `table: key`.
    pub(crate) async fn refused_losses(&self) -> Vec<String> {
        let import = NativeImport::new();
        let refused = import.any(&self.source(), &self.destination()).await;
        let Err(ImportError::Damaged { losses, path, .. }) = refused else {
            panic!("{refused:?}");
        };
        assert_eq!(path, self.source());
        assert_eq!(self.beside_destination(), [""; 0], "nothing is left");
        losses
            .iter()
            .map(|loss| format!("{}: {}", loss.table, loss.key))
            .collect()
    }
}

/// Fails if anything is wrong with a database of ours.
pub(crate) async fn assert_sound(path: &Path) {
    let inspector = Inspector::open(path).await.unwrap();
    let found = inspector.verify().await.unwrap();
    assert!(found.is_sound(), "{:?}", found.problems);
}

/// The bytes of a file, and of what SQLite has beside it. Its shared memory and a log
/// in which there is nothing come and go with readers.
pub(crate) fn image(path: &Path) -> BTreeMap<&'static str, Vec<u8>> {
    ["", "-wal", "-journal"]
        .into_iter()
        .filter_map(|suffix| {
            let mut path = path.as_os_str().to_owned();
            path.push(suffix);
            let bytes = fs::read(path).ok()?;
            (suffix.is_empty() || !bytes.is_empty()).then_some((suffix, bytes))
        })
        .collect()
}
