//! Attachment intents, garbage collection, opening, and the size of a file.

use std::fs;
use std::path::Path;
use std::time::Instant;

use lash_core::{AttachmentId, AttachmentIntent};
use lash_wasm_store_testing::fixtures::{Raw, SESSION};

use crate::data::{Blobs, Session};
use crate::engines::{Engine, Setup};
use crate::harness::{Wanted, interleave};
use crate::report::{Better, Report};
use crate::{load, names};

pub(crate) async fn run(wanted: &Wanted, report: &mut Report) {
    if wanted.has("attachment-intent") {
        intent(wanted, report).await;
    }
    if wanted.has("gc-10000") {
        collect(wanted, report).await;
    }
    if wanted.has("open") {
        open(wanted, report).await;
    }
    if wanted.has("disk-2000") {
        disk(wanted, report).await;
    }
}

async fn intent(wanted: &Wanted, report: &mut Report) {
    let dir = tempfile::tempdir().unwrap();
    let mut engines = load::open(dir.path(), 100).await;
    let samples = interleave(&mut engines, wanted.repeat(900), async |engine, turn| {
        let intent = AttachmentIntent {
            attachment_id: AttachmentId::new(format!("attachment-{turn}")),
            session_id: SESSION.to_owned(),
            canonical_uri: format!("file:attachment-{turn}"),
            intent_at_epoch_ms: turn as u64,
        };
        // The native crate waits by polling, which never ends once this task has used up
        // its budget: a fresh one for each call.
        tokio::task::yield_now().await;
        let start = Instant::now();
        engine.store().record_intent(intent).unwrap();
        start.elapsed()
    });
    report.add("attachment-intent", &names(), samples.await);
}

/// Collects 10,000 blobs that nothing refers to.
async fn collect(wanted: &Wanted, report: &mut Report) {
    const BLOBS: usize = 10_000;
    let dir = tempfile::tempdir().unwrap();
    let mut engines = load::open(dir.path(), 100).await;
    let samples = interleave(&mut engines, wanted.repeat(5), async |engine, turn| {
        for number in 0..BLOBS {
            let content = format!("{turn} {number} ").repeat(40);
            engine.put_blob(content.as_bytes()).await;
        }
        let start = Instant::now();
        let report = engine.store().gc_unreachable().await.unwrap();
        let elapsed = start.elapsed();
        assert_eq!(report.deleted_blob_count, BLOBS);
        elapsed
    });
    report.add("gc-10000", &names(), samples.await);
}

/// Opens a session of 100 nodes.
async fn open(wanted: &Wanted, report: &mut Report) {
    let dir = tempfile::tempdir().unwrap();
    drop(load::open(dir.path(), 100).await);
    let mut setups = Setup::BOTH;
    let samples = interleave(&mut setups, wanted.repeat(150), async |setup, _| {
        let path = dir.path().join(setup.name());
        let start = Instant::now();
        let engine = setup.open(&path).await;
        let elapsed = start.elapsed();
        drop(engine);
        elapsed
    });
    report.add("open", &names(), samples.await);
}

/// The file of a session after some commits, the last of which is 2,000 by default.
async fn disk(wanted: &Wanted, report: &mut Report) {
    let steps: &[usize] = if wanted.quick() {
        &[100, 200]
    } else {
        &[100, 500, 1000, 2000]
    };
    let mut sizes = vec![Vec::new(); steps.len()];
    for setup in Setup::BOTH {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("session.db");
        let engine = setup.open(&path).await;
        let mut session = Session::new(Blobs::All);
        let mut commits = 0;
        for (step, sizes) in steps.iter().zip(&mut sizes) {
            while commits < *step {
                engine.commit(session.turn()).await;
                commits += 1;
            }
            sizes.push(vec![kib(&engine, &path)]);
        }
    }
    for (step, sizes) in steps.iter().zip(sizes) {
        let case = format!("disk-{step}");
        report.rows(&case, &names(), "KiB", Better::Less, sizes);
    }
}

/// The size of the file, with what is in its log.
fn kib(_open: &Engine, path: &Path) -> f64 {
    Raw::open(path).batch("PRAGMA wal_checkpoint(TRUNCATE)");
    let log = fs::metadata(path.with_extension("db-wal")).map_or(0, |file| file.len());
    (fs::metadata(path).unwrap().len() + log) as f64 / 1024.0
}
