//! The component in hosts that share no code with this crate, see `tests/embedding`:
//! each runs all scenarios, reads a file that this crate wrote, and writes one that
//! this crate reads.
//!
//! Python and Node.js are used where their packages are installed. Where they are not,
//! the test says so.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

use lash_core::runtime::QueuedWorkBatch;
use lash_core::store::RuntimeCommit;
use lash_core::{RuntimePersistence, SessionReadScope};
use lash_wasm_store_embedding::database::{Database, Runtime};
use lash_wasm_store_embedding::imports::Imports;
use lash_wasm_store_embedding::imports::bindings::lash::store::format_types::Kind;
use lash_wasm_store_embedding::json::split;
use lash_wasm_store_embedding::{conformance, scenario, types};
use lash_wasm_store_testing::fixtures::{
    Place, SESSION, append, chain, full_checkpoint, json as to_json, ledger, usage, work,
};
use rusqlite::{Connection, OpenFlags};
use serde_json::{Value as Json, json};
use xtask::CONFORMANCE;
use xtask::build::built;

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn embedding() -> PathBuf {
    repository().join("tests/embedding")
}

fn runtime() -> Runtime {
    Runtime::new(&repository().join("engine/component")).unwrap()
}

fn read(path: &Path) -> Json {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

/// Whether a command can be run, and succeeds.
fn works(command: &mut Command) -> bool {
    let command = command.stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

/// A program and its first arguments, or why there is none.
type Host = Result<Vec<OsString>, String>;

/// The hosts in other languages. They are looked for once, because the component is
/// translated for JavaScript by that.
fn hosts() -> &'static [(&'static str, Host)] {
    static HOSTS: OnceLock<Vec<(&str, Host)>> = OnceLock::new();
    HOSTS.get_or_init(|| vec![("Python", python()), ("JavaScript", javascript())])
}

fn python() -> Host {
    let installed = repository().join("target/embedding/python/bin/python");
    for python in [installed, PathBuf::from("python3")] {
        if works(Command::new(&python).args(["-c", "import wasmtime.component"])) {
            let main = embedding().join("python/main.py");
            return Ok(vec![python.into(), main.into()]);
        }
    }
    Err("no Python has the package wasmtime".to_owned())
}

fn javascript() -> Host {
    let folder = embedding().join("javascript");
    if !works(Command::new("node").arg("--version")) {
        return Err("node is missing".to_owned());
    }
    if !folder.join("node_modules/libsql").exists() {
        return Err("its packages are not installed".to_owned());
    }
    // The components may be others than when the packages were installed.
    translate("store")?;
    translate("tools")?;
    Ok(vec!["node".into(), folder.join("main.js").into()])
}

/// Translates a component for JavaScript.
fn translate(component: &str) -> Result<(), String> {
    let mut npm = Command::new("npm");
    npm.args(["run", "--silent", component])
        .current_dir(embedding().join("javascript"));
    match works(&mut npm) {
        true => Ok(()),
        false => Err(format!("jco did not translate the component {component}")),
    }
}

/// Runs a command for each language that is there.
fn for_each_host(mut run: impl FnMut(&str, &dyn Fn() -> Command)) {
    for (language, host) in hosts() {
        match host {
            Ok(host) => run(language, &|| {
                let mut command = Command::new(&host[0]);
                command.args(&host[1..]);
                command
            }),
            Err(reason) => eprintln!("skipped: {language}, because {reason}"),
        }
    }
}

fn succeeds(language: &str, command: &mut Command) -> String {
    let output = command.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{language}:\n{text}{errors}");
    text
}

#[test]
fn all_scenarios_hold_in_rust() {
    let runtime = runtime();
    let list = read(&embedding().join("scenarios.json"));
    let directory = tempfile::tempdir().unwrap();
    for (number, scenario) in list["scenarios"].as_array().unwrap().iter().enumerate() {
        let path = directory.path().join(format!("{number}.db"));
        scenario::run(&runtime, scenario, &list["values"], &path)
            .unwrap_or_else(|error| panic!("{}: {error:#}", scenario["name"]));
    }
    assert_private(directory.path());
}

/// Only this user can read what a host has created.
fn assert_private(directory: &Path) {
    for entry in std::fs::read_dir(directory).unwrap() {
        let entry = entry.unwrap();
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = entry.metadata().unwrap().permissions().mode();
            assert_eq!(mode & 0o077, 0, "{}", entry.path().display());
        }
    }
}

#[test]
fn all_scenarios_hold_in_other_languages() {
    let path = embedding().join("scenarios.json");
    let count = read(&path)["scenarios"].as_array().unwrap().len();
    for_each_host(|language, command| {
        let directory = tempfile::tempdir().unwrap();
        let mut command = command();
        command.arg("scenarios").arg(&path).arg(directory.path());
        let text = succeeds(language, &mut command);
        let held = text.lines().filter(|line| line.starts_with("ok ")).count();
        assert_eq!(held, count, "{language}:\n{text}");
        assert_private(directory.path());
    });
}

/// The rules that are broken by a host that opens files so.
fn broken(open: conformance::Open<'_>) -> Vec<(String, String)> {
    built(&CONFORMANCE).unwrap();
    let program = embedding().join("rust").join(conformance::PROGRAM);
    let directory = tempfile::tempdir().unwrap();
    let verdicts = conformance::check(&program, directory.path(), open).unwrap();
    assert!(verdicts.len() > 20, "{} rules", verdicts.len());
    let broken = verdicts.into_iter();
    broken
        .filter_map(|verdict| Some((verdict.rule, verdict.broken?)))
        .collect()
}

#[test]
#[cfg_attr(not(components), ignore = "needs `rustup target add wasm32-wasip2`")]
fn the_host_in_rust_keeps_every_rule() {
    assert_eq!(broken(&conformance::open), []);
}

#[test]
#[cfg_attr(not(components), ignore = "needs `rustup target add wasm32-wasip2`")]
fn a_host_that_breaks_a_rule_is_found() {
    let timeout = Duration::from_millis(300);
    let without_log = |path: &Path| Imports::new(Connection::open(path)?, timeout);
    assert_ne!(broken(&without_log), []);
    let read_only = |path: &Path| {
        drop(conformance::open(path)?);
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY;
        Imports::new(Connection::open_with_flags(path, flags)?, timeout)
    };
    assert_ne!(broken(&read_only), []);
}

#[test]
#[cfg_attr(not(components), ignore = "needs `rustup target add wasm32-wasip2`")]
fn the_rules_are_kept_in_other_languages() {
    built(&CONFORMANCE).unwrap();
    for_each_host(|language, command| {
        if language == "JavaScript" {
            translate("conformance").unwrap();
        }
        let directory = tempfile::tempdir().unwrap();
        let output = command()
            .arg("conformance")
            .arg(directory.path())
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        let kept = text.lines().filter(|line| line.starts_with("ok ")).count();
        let broken: Vec<&str> = text
            .lines()
            .filter_map(|line| line.strip_prefix("FAILED  ")?.split(':').next())
            .collect();
        // libsql answers text up to its first NUL.
        let known: &[&str] = match language {
            "JavaScript" => &["text-round-trips"],
            _ => &[],
        };
        let errors = String::from_utf8_lossy(&output.stderr);
        assert_eq!(broken, known, "{language}:\n{text}{errors}");
        assert!(kept >= 40, "{language}:\n{text}{errors}");
    });
}

#[test]
fn the_types_are_those_of_the_component() {
    assert_eq!(
        read(&embedding().join("types.json")),
        types::types(&runtime()).unwrap(),
        "tests/embedding/types.json is old, see tests/embedding/README.md"
    );
}

#[tokio::test]
async fn files_are_exchanged_with_every_host() {
    let runtime = runtime();
    let ours = Place::new();
    write(&ours).await;
    let contents = contents(&runtime, ours.path());

    let scripts = tempfile::tempdir().unwrap();
    let reading = scripts.path().join("read.json");
    std::fs::write(&reading, reading_of(&contents).to_string()).unwrap();
    let writing = scripts.path().join("write.json");
    std::fs::write(&writing, writing_of(&contents).to_string()).unwrap();

    scenario::run(&runtime, &reading_of(&contents), &Json::Null, ours.path()).unwrap();
    let theirs = Place::new();
    scenario::run(&runtime, &writing_of(&contents), &Json::Null, theirs.path()).unwrap();
    assert_same(&ours, &theirs).await;

    let mut places = Vec::new();
    for_each_host(|language, command| {
        let theirs = Place::new();
        for (script, place) in [(&reading, &ours), (&writing, &theirs)] {
            let mut command = command();
            command.arg("file").arg(script).arg(place.path());
            succeeds(language, &mut command);
        }
        places.push(theirs);
    });
    for theirs in &places {
        assert_same(&ours, theirs).await;
    }
}

/// Commits a session with all that a session file can hold of it, and queues work.
async fn write(place: &Place) {
    let store = place.open().await;
    let commit = RuntimeCommit {
        checkpoint: full_checkpoint(3),
        usage_deltas: vec![usage("turn", "m", [5, 7, 2, 1])],
        ..append(None, chain(0, 70))
    };
    store.commit_runtime_state(commit).await.unwrap();
    for text in ["first", "zwei \u{1f642}"] {
        store.enqueue_queued_work(work(text)).await.unwrap();
    }
}

/// What the component answers of a file.
fn contents(runtime: &Runtime, path: &Path) -> [Json; 2] {
    let mut database =
        Database::open(runtime, path, Kind::Session, Duration::from_secs(15)).unwrap();
    let session = database
        .call_json("session.load", &[json!("full")])
        .unwrap();
    let queue = database.call_json("queue.list", &[json!(SESSION), json!(false), Json::Null]);
    [session, queue.unwrap()]
}

/// Expects exactly these contents.
fn reading_of([session, queue]: &[Json; 2]) -> Json {
    json!({ "kind": "session", "steps": [
        { "call": "session.load", "args": ["full"], "answer": session },
        { "call": "queue.list", "args": [SESSION, false, null], "answer": queue },
        { "call": "maintenance.gc", "args": [100], "answer": { "ok": { "deleted": 0 } } },
    ] })
}

/// Writes these contents into a new file.
fn writing_of([session, queue]: &[Json; 2]) -> Json {
    let session = &session["ok"];
    let (head, checkpoint) = (&session["head"], &session["checkpoint"]);
    let blob = |bytes: &Json| match bytes {
        Json::Null => Json::Null,
        bytes => json!({ "content": bytes }),
    };
    let blobs = split(&head["blobs"]).unwrap();
    let blobs = blobs.iter().map(blob);
    let bodies = split(&session["nodes"]["bodies"]).unwrap();
    // The newest comes first.
    let nodes = bodies.iter().rev().map(|body| {
        let node: Json = serde_json::from_str(body["utf8"].as_str().unwrap()).unwrap();
        json!({ "id": node["node_id"], "parent": node["parent_node_id"], "prompt": false, "body": body })
    });
    let manifest = &checkpoint["manifest"];
    let mut steps = vec![json!({ "call": "session.commit", "args": [{
        "session-id": head["session-id"],
        "expected-revision": null,
        "head": {
            "content": head["content"],
            "blobs": blobs.collect::<Vec<_>>(),
            "retained": [],
        },
        "graph": { "append": nodes.collect::<Vec<_>>() },
        "leaf": head["leaf"],
        "checkpoint": {
            "turn-state": manifest["turn-state"],
            "tool-state": blob(&checkpoint["tool-state"]),
            "plugin-snapshot": blob(&checkpoint["plugin-snapshot"]),
            "plugin-snapshot-revision": manifest["plugin-snapshot-revision"],
            "execution-state": blob(&checkpoint["execution-state"]),
        },
        "usage": session["usage"],
        "turn": null,
        "completions": [],
        "attachment-ids": [],
        "profile": "compact",
    }], "answer": { "ok": { "committed": {
        "revision": 1,
        "checkpoint-ref": head["checkpoint-ref"],
    } } } })];
    for batch in queue["ok"]["batches"].as_array().unwrap() {
        // The other fields are not the caller's to choose.
        let draft = [
            "session-id",
            "source-key",
            "delivery",
            "slot",
            "merge-key",
            "available-at-ms",
            "payloads",
        ]
        .map(|field| match field {
            "payloads" => (field.to_owned(), split(&batch[field]).unwrap().into()),
            field => (field.to_owned(), batch[field].clone()),
        });
        let draft = Json::Object(draft.into_iter().collect());
        steps.push(json!({ "call": "queue.enqueue", "args": [draft] }));
    }
    json!({ "kind": "session", "steps": steps })
}

/// Opens both files with this crate and compares all that it reads.
async fn assert_same(ours: &Place, theirs: &Place) {
    let (ours, theirs) = (ours.open().await, theirs.open().await);
    let full = || SessionReadScope::FullGraph;
    let expected = ours.load_session(full()).await.unwrap().unwrap();
    let found = theirs.load_session(full()).await.unwrap().unwrap();
    assert_eq!(found.session_id, expected.session_id);
    assert_eq!(found.head_revision, expected.head_revision);
    assert_eq!(to_json(&found.config), to_json(&expected.config));
    assert_eq!(to_json(&found.graph), to_json(&expected.graph));
    assert_eq!(found.graph.nodes.len(), 70);
    assert_eq!(ledger(&found.token_ledger), ledger(&expected.token_ledger));
    assert_eq!(found.checkpoint_ref, expected.checkpoint_ref);
    let execution = found.checkpoint.unwrap().execution_state;
    assert_eq!(execution, full_checkpoint(3).execution_state);

    // The identifiers are each file's own.
    let payloads = |batches: Vec<QueuedWorkBatch>| {
        let items = batches.into_iter().flat_map(|batch| batch.items);
        items.map(|item| to_json(&item.payload)).collect::<Vec<_>>()
    };
    let found = payloads(theirs.list_queued_work(SESSION).await.unwrap());
    assert_eq!(
        found,
        payloads(ours.list_queued_work(SESSION).await.unwrap())
    );
    assert_eq!(found.len(), 2);

    let collected = theirs.gc_unreachable().await;
    assert_eq!(collected.deleted_blob_count, 0, "{collected:?}");
    assert_eq!(collected, ours.gc_unreachable().await);
}
