//! Small databases for the fuzz target `database_file`, of both crates.

use std::fs;
use std::path::Path;

use lash_sqlite_store::BuiltinBlobProfile;
use lash_wasm_store::DatabaseKind;
use lash_wasm_store::import::NativeImport;
use lash_wasm_store_tests::damage::wait_until_closed;
use lash_wasm_store_tests::damage_fixture::Session;

use crate::anywhere;
use crate::files::Files;
use crate::session::workload::Workload;

async fn native(kind: DatabaseKind) -> Vec<u8> {
    if kind != DatabaseKind::Session {
        return anywhere::closed(kind).await;
    }
    let files = Files::new();
    let path = files.source();
    drop(Workload::run(&path, BuiltinBlobProfile::Balanced, false).await);
    wait_until_closed(&path);
    fs::read(path).unwrap()
}

/// What this crate has of them: a session as it writes one, the others as it imports them.
async fn ours(kind: DatabaseKind, native: &[u8]) -> Vec<u8> {
    if kind == DatabaseKind::Session {
        return Session::new().await.bytes;
    }
    let files = Files::new();
    fs::write(files.source(), native).unwrap();
    let import = NativeImport::new();
    import
        .any(&files.source(), &files.destination())
        .await
        .unwrap();
    wait_until_closed(&files.destination());
    fs::read(files.destination()).unwrap()
}

#[tokio::test]
#[ignore = "writes fuzz/images, which are in the repository"]
async fn images_of_all_kinds_are_written() {
    let images = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/images");
    fs::create_dir_all(&images).unwrap();
    for (kind, name) in [
        (DatabaseKind::Session, "session"),
        (DatabaseKind::Processes, "processes"),
        (DatabaseKind::HostEvents, "host_events"),
        (DatabaseKind::Effects, "effects"),
    ] {
        let native = native(kind).await;
        fs::write(images.join(format!("native_{name}.db")), &native).unwrap();
        let ours = ours(kind, &native).await;
        fs::write(images.join(format!("{name}.db")), ours).unwrap();
    }
}
