//! A session in a file, by the component alone; or the shared scenarios; or the rules
//! of a host, checked.
//!
//! ```console
//! $ cargo run -p lash-wasm-store-embedding -- session.db
//! $ cargo run -p lash-wasm-store-embedding -- scenarios tests/embedding/scenarios.json DIRECTORY
//! $ cargo run -p lash-wasm-store-embedding -- conformance DIRECTORY
//! ```
#![forbid(unsafe_code)]

use std::path::{Path, PathBuf};
use std::time::Duration;

use lash_wasm_store_embedding::database::{Database, Runtime};
use lash_wasm_store_embedding::imports::bindings::lash::store::format_types::Kind;
use lash_wasm_store_embedding::imports::bindings::lash::store::session_types::{
    BlobProfile, CheckpointDraft, CommitOutcome, CommitRequest, GraphChange, HeadBody, Node,
    ReadScope,
};
use lash_wasm_store_embedding::{conformance, scenario, types};
use serde_json::Value as Json;
use wasmtime::error::Context;
use wasmtime::{Result, bail};

fn main() -> Result<()> {
    let components = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../engine/component");
    let runtime = Runtime::new(&components)?;
    let args: Vec<_> = std::env::args().skip(1).collect();
    let args: Vec<_> = args.iter().map(String::as_str).collect();
    match args.as_slice() {
        ["types"] => {
            println!("{:#}", types::types(&runtime)?);
            Ok(())
        }
        [path] => demonstrate(&runtime, Path::new(path)),
        ["scenarios", list, directory] => {
            let list = read(list)?;
            let mut failed = 0;
            let scenarios = list.get("scenarios").and_then(Json::as_array);
            for (number, scenario) in scenarios.context("scenarios")?.iter().enumerate() {
                let name = scenario
                    .get("name")
                    .and_then(Json::as_str)
                    .context("a name")?;
                let path = PathBuf::from(directory).join(format!("{number}.db"));
                let values = list.get("values").unwrap_or(&Json::Null);
                match scenario::run(&runtime, scenario, values, &path) {
                    Ok(()) => println!("ok      {name}"),
                    Err(error) => {
                        failed += 1;
                        println!("FAILED  {name}: {error:#}");
                    }
                }
            }
            if failed > 0 {
                bail!("{failed} failed");
            }
            Ok(())
        }
        ["file", list, path] => {
            let list = read(list)?;
            scenario::run(&runtime, &list, &Json::Null, Path::new(path))
        }
        ["conformance", directory] => {
            let program = Path::new(env!("CARGO_MANIFEST_DIR")).join(conformance::PROGRAM);
            let mut broken = 0;
            for verdict in conformance::check(&program, Path::new(directory), &conformance::open)? {
                match verdict.broken {
                    None => println!("holds   {}", verdict.rule),
                    Some(reason) => {
                        broken += 1;
                        println!("BROKEN  {}: {reason}", verdict.rule);
                    }
                }
            }
            if broken > 0 {
                bail!("{broken} rules are broken");
            }
            Ok(())
        }
        _ => bail!(
            "usage: PATH | scenarios LIST DIRECTORY | file LIST PATH | conformance DIRECTORY | types"
        ),
    }
}

fn read(path: &str) -> Result<Json> {
    let text = std::fs::read_to_string(path).with_context(|| path.to_owned())?;
    Ok(serde_json::from_str(&text)?)
}

/// Adds a message to the session in this file, and reads the session back.
fn demonstrate(runtime: &Runtime, path: &Path) -> Result<()> {
    let mut database = Database::open(runtime, path, Kind::Session, Duration::from_secs(15))?;
    let head = database
        .call(|exports, store, db| exports.lash_store_session().call_load_head(store, db))?
        .map_err(|error| wasmtime::format_err!("{error:?}"))?;
    let number = head.as_ref().map_or(0, |head| head.node_count);
    let id = format!("message-{number}");
    let request = CommitRequest {
        session_id: "hello".to_owned(),
        expected_revision: head.as_ref().map(|head| head.revision),
        head: HeadBody {
            content: b"the head".to_vec(),
            blobs: vec![],
            retained: vec![],
        },
        graph: GraphChange::Append(vec![Node {
            id: id.clone(),
            parent: head.and_then(|head| head.leaf),
            prompt: true,
            body: format!("hello, component ({number})").into_bytes(),
        }]),
        leaf: Some(id),
        checkpoint: CheckpointDraft {
            turn_state: b"the turn".to_vec(),
            tool_state: None,
            plugin_snapshot: None,
            plugin_snapshot_revision: None,
            execution_state: None,
        },
        usage: vec![],
        turn: None,
        completions: vec![],
        attachment_ids: vec![],
        profile: BlobProfile::Balanced,
    };
    let outcome = database.call(|exports, store, db| {
        exports
            .lash_store_session()
            .call_commit(store, db, &request)
    })?;
    match outcome {
        Ok(CommitOutcome::Committed(receipt)) => {
            println!("committed revision {}", receipt.revision);
        }
        other => bail!("not committed: {other:?}"),
    }
    let session = database
        .call(|exports, store, db| {
            exports
                .lash_store_session()
                .call_load(store, db, &ReadScope::Full)
        })?
        .map_err(|error| wasmtime::format_err!("{error:?}"))?
        .context("a session")?;
    // Newest first; what does not fit into one page comes by `session.load-nodes`.
    let bodies = session.nodes.bodies;
    let mut start = 0;
    for end in bodies.ends {
        let end = usize::try_from(end)?;
        let body = bodies.bytes.get(start..end).context("a body")?;
        println!("  {}", String::from_utf8_lossy(body));
        start = end;
    }
    Ok(())
}
