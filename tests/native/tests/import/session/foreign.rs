//! Files that are no sources, and places that are no destinations.

use std::fs;
use std::path::Path;
use std::sync::mpsc;
use std::time::Duration;

use lash_core::{RuntimePersistence, SessionReadScope};
use lash_sqlite_store::{BuiltinBlobProfile, SqliteProcessRegistry};
use lash_wasm_store::Store;
use lash_wasm_store::import::{ImportError, NativeImport};
use lash_wasm_store_testing::child;
use lash_wasm_store_testing::damage::wait_until_closed;
use lash_wasm_store_testing::fixtures::{Raw, append, chain, poll_once};

use super::workload::Workload;
use crate::files::{Files, assert_sound, image};

async fn refused(files: &Files) -> ImportError {
    let source = image(&files.source());
    let error = NativeImport::new()
        .partial(true)
        .session(&files.source(), &files.destination())
        .await
        .unwrap_err();
    assert_eq!(image(&files.source()), source, "the source is as it was");
    error
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_a_session_of_the_native_crate_is_refused_by_what_it_is() {
    let mut cases: Vec<(Files, &str)> = Vec::new();
    for (content, says) in [("", "not a SQLite"), ("just text", "not a SQLite")] {
        let files = Files::new();
        fs::write(files.source(), content).unwrap();
        cases.push((files, says));
    }
    let ours = Files::new();
    drop(Store::open(&ours.source()).await.unwrap());
    cases.push((ours, "of this crate already"));

    let other_kind = Files::new();
    drop(
        SqliteProcessRegistry::open(&other_kind.source())
            .await
            .unwrap(),
    );
    wait_until_closed(&other_kind.source());
    cases.push((other_kind, "process database"));

    let newer = Files::new();
    drop(
        lash_sqlite_store::Store::open(&newer.source())
            .await
            .unwrap(),
    );
    wait_until_closed(&newer.source());
    Raw::open(&newer.source()).execute("PRAGMA user_version = 4");
    cases.push((newer, "schema version 4"));

    let foreign = Files::new();
    fs::write(foreign.source(), "").unwrap();
    Raw::open(&foreign.source()).execute("CREATE TABLE t (x)");
    cases.push((foreign, "none of the tables"));

    for (files, says) in cases {
        let error = refused(&files).await;
        assert!(matches!(error, ImportError::NotNative { .. }), "{error:?}");
        let text = error.to_string();
        assert!(text.contains(says), "{text}");
        assert!(text.contains(files.source().to_str().unwrap()), "{text}");
        assert_eq!(files.beside_destination(), [""; 0]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_is_not_there_is_an_error_and_is_not_made() {
    let files = Files::new();
    let error = refused(&files).await;
    assert!(matches!(error, ImportError::Io { .. }), "{error:?}");
    assert!(!files.source().exists());
    assert_eq!(files.beside_destination(), [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_destination_that_exists_is_not_touched() {
    let files = Files::new();
    let (_store, _) = Workload::run(&files.source(), BuiltinBlobProfile::Balanced, false).await;
    // A log would be taken for that of the new database.
    for name in ["ours.db", "ours.db-wal", "ours.db-journal"] {
        let path = files.destination().with_file_name(name);
        fs::write(&path, "mine").unwrap();
        let error = refused(&files).await;
        assert!(
            matches!(&error, ImportError::DestinationExists { path: found } if *found == path),
            "{error:?}"
        );
        assert_eq!(fs::read(&path).unwrap(), b"mine");
        assert_eq!(files.beside_destination(), [name]);
        fs::remove_file(path).unwrap();
    }
    #[cfg(unix)]
    {
        std::os::unix::fs::symlink("nowhere", files.destination()).unwrap();
        let error = refused(&files).await;
        assert!(
            matches!(error, ImportError::DestinationExists { .. }),
            "{error:?}"
        );
        fs::remove_file(files.destination()).unwrap();
    }
    fs::remove_dir(files.destination().parent().unwrap()).unwrap();
    let error = refused(&files).await;
    assert!(matches!(error, ImportError::Io { .. }), "{error:?}");
}

/// The native program goes on committing: what is imported is of one moment.
#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_is_written_meanwhile_is_imported_as_of_one_moment() {
    let files = Files::new();
    let native = lash_sqlite_store::Store::open(&files.source())
        .await
        .unwrap();
    native
        .commit_runtime_state(append(None, chain(0, 10)))
        .await
        .unwrap();
    let (began, begun) = mpsc::channel();
    let import = NativeImport::new().on_progress(move |_| {
        // Nobody listens after the first.
        let _ = began.send(());
    });
    let (source, destination) = (files.source(), files.destination());
    let importing =
        tokio::spawn(async move { import.session(&source, &destination).await.unwrap() });
    tokio::task::spawn_blocking(move || begun.recv().unwrap())
        .await
        .unwrap();
    for turn in 1..6 {
        let commit = append(Some(turn), chain(turn as usize * 10, 10));
        native.commit_runtime_state(commit).await.unwrap();
    }
    assert!(importing.await.unwrap().is_complete());
    assert_sound(&files.destination()).await;
    let store = Store::open(&files.destination()).await.unwrap();
    let read = store.load_session(SessionReadScope::FullGraph).await;
    let read = read.unwrap().unwrap();
    assert_eq!(read.head_revision, 1);
    assert_eq!(read.graph.nodes.len(), 10);
}

/// Ctrl-C, for example.
#[tokio::test(flavor = "multi_thread")]
async fn an_import_that_nobody_waits_for_any_more_leaves_nothing_behind() {
    let files = Files::new();
    let (_store, _) = Workload::run(&files.source(), BuiltinBlobProfile::Balanced, false).await;
    let before = image(&files.source());
    let (told, progress) = mpsc::channel();
    let import = NativeImport::new().on_progress(move |_| {
        let _ = told.send(());
        // Slow enough that it is not at its end before it is dropped.
        std::thread::sleep(Duration::from_millis(100));
    });
    let (source, destination) = (files.source(), files.destination());
    let mut importing = Box::pin(import.session(&source, &destination));
    assert!(poll_once(importing.as_mut()).is_pending());
    progress.recv().unwrap();
    assert_ne!(files.beside_destination(), [""; 0], "it is under way");
    drop(importing);
    assert_eq!(files.beside_destination(), [""; 0]);
    assert_eq!(image(&files.source()), before, "the source is as it was");
}

/// A file that may only be read, where nothing may be written. Permissions do not bind a
/// privileged user, so it is imported by another process, which gives its privileges up.
#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn a_source_in_a_directory_that_is_read_only_is_imported() {
    use std::os::unix::fs::{MetadataExt, PermissionsExt};
    use std::os::unix::process::CommandExt;

    const NOBODY: u32 = 65534;

    if let Some(source) = child::file() {
        let destination = source.parent().unwrap().with_file_name("ours/ours.db");
        let report = NativeImport::new().session(&source, &destination).await;
        assert!(report.unwrap().is_complete());
        return;
    }
    let files = Files::new();
    let (store, _) = Workload::run(&files.source(), BuiltinBlobProfile::Balanced, false).await;
    drop(store);
    wait_until_closed(&files.source());
    let source = files.source();
    let (native, ours) = (source.parent().unwrap(), files.destination());
    let ours = ours.parent().unwrap();
    let privileged = fs::metadata(&source).unwrap().uid() == 0;
    let set = |path: &Path, mode| {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    };
    set(native.parent().unwrap(), 0o755);
    set(ours, 0o777);
    set(&source, 0o444);
    set(native, 0o555);
    let mut command = child::command(
        a_source_in_a_directory_that_is_read_only_is_imported,
        &source,
    );
    if privileged {
        command.uid(NOBODY).gid(NOBODY);
    }
    let output = command.output();
    set(native, 0o755);
    let output = match output {
        Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => {
            println!("skipped: nobody else may run this test ({error})");
            return;
        }
        output => output.unwrap(),
    };
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stdout)
    );
    assert_sound(&files.destination()).await;
    let names = fs::read_dir(native).unwrap();
    assert_eq!(names.count(), 1, "nothing is beside the source");
}
