//! Reading a session: the whole graph, the active path, one node.

use std::path::Path;
use std::time::Instant;

use lash_core::store::SessionReadScope;

use crate::data::{Blobs, Session, node_id};
use crate::engines::{Engine, Setup};
use crate::harness::{Wanted, interleave};
use crate::names;
use crate::report::Report;

pub(crate) async fn run(wanted: &Wanted, report: &mut Report) {
    let path = SessionReadScope::ActivePath { leaf_node_id: None };
    for (case, scope, nodes, turns) in [
        ("load-full-100", &SessionReadScope::FullGraph, 100, 300),
        ("load-full-10000", &SessionReadScope::FullGraph, 10_000, 60),
        ("load-path-100", &path, 100, 300),
        ("load-path-10000", &path, 10_000, 60),
    ] {
        if wanted.has(case) {
            let dir = tempfile::tempdir().unwrap();
            let mut engines = open(dir.path(), nodes).await;
            let samples = interleave(&mut engines, wanted.repeat(turns), async |engine, _| {
                let start = Instant::now();
                let read = engine.load(scope.clone()).await;
                let elapsed = start.elapsed();
                assert_eq!(read, nodes);
                elapsed
            });
            report.add(case, &names(), samples.await);
        }
    }
    if wanted.has("load-node") {
        one(wanted, report).await;
    }
}

/// One node of 10,000.
async fn one(wanted: &Wanted, report: &mut Report) {
    const NODES: usize = 10_000;
    let dir = tempfile::tempdir().unwrap();
    let mut engines = open(dir.path(), NODES).await;
    let samples = interleave(&mut engines, wanted.repeat(900), async |engine, turn| {
        let id = node_id(turn * 7919 % NODES);
        let start = Instant::now();
        let node = engine.store().load_node(&id).await.unwrap();
        let elapsed = start.elapsed();
        assert_eq!(node.unwrap().node_id, id);
        elapsed
    });
    report.add("load-node", &names(), samples.await);
}

/// Both engines with a session of so many nodes.
pub(crate) async fn open(directory: &Path, nodes: usize) -> Vec<Engine> {
    let mut engines = Vec::new();
    for setup in Setup::BOTH {
        let engine = setup.open(&directory.join(setup.name())).await;
        engine.commit(Session::new(Blobs::All).history(nodes)).await;
        engines.push(engine);
    }
    engines
}
