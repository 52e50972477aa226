//! Small databases of both crates, for the fuzz target `database_file` and for suites
//! without the native crate.

use std::fmt::Write;
use std::fs;
use std::path::Path;

use lash_sqlite_store::BuiltinBlobProfile;
use lash_wasm_store::DatabaseKind;
use lash_wasm_store::import::NativeImport;
use lash_wasm_store_testing::damage::wait_until_closed;
use lash_wasm_store_testing::damage_fixture::Session;
use lash_wasm_store_testing::fixtures::Raw;
use lash_wasm_store_testing::fuzz::image;

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

const KINDS: [(DatabaseKind, &str); 4] = [
    (DatabaseKind::Session, "session"),
    (DatabaseKind::Processes, "processes"),
    (DatabaseKind::HostEvents, "host_events"),
    (DatabaseKind::Effects, "effects"),
];

/// What a database says of itself, its schema, and how many rows each table has.
fn shape(bytes: &[u8]) -> String {
    let files = Files::new();
    fs::write(files.source(), bytes).unwrap();
    let raw = Raw::open(&files.source());
    let mut shape = format!(
        "{} {}",
        raw.integer("PRAGMA application_id"),
        raw.integer("PRAGMA user_version")
    );
    for sql in raw.texts("SELECT sql FROM sqlite_schema WHERE sql NOT NULL ORDER BY name") {
        write!(shape, "\n{sql}").unwrap();
    }
    for table in raw.texts("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name") {
        let rows = raw.integer(&format!("SELECT count(*) FROM {table}"));
        write!(shape, "\n{table}: {rows}").unwrap();
    }
    shape
}

/// Suites without the native crate take them for its files.
#[tokio::test]
async fn images_are_as_the_native_crate_writes_them() {
    for (kind, name) in KINDS {
        let kept = shape(image(&format!("native_{name}")));
        assert_eq!(kept, shape(&native(kind).await), "{name}");
    }
}

#[tokio::test]
#[ignore = "writes fuzz/images, which are in the repository"]
async fn images_of_all_kinds_are_written() {
    let images = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/images");
    fs::create_dir_all(&images).unwrap();
    for (kind, name) in KINDS {
        let native = native(kind).await;
        fs::write(images.join(format!("native_{name}.db")), &native).unwrap();
        let ours = ours(kind, &native).await;
        fs::write(images.join(format!("{name}.db")), ours).unwrap();
    }
}
