//! Bringing databases of the native crate over by the program `lash-store`.

use std::path::{Path, PathBuf};

use lash_core::store::RuntimeCommit;
use lash_core::{ProcessRegistry, RuntimePersistence, SessionReadScope};
use lash_sqlite_store::{SqliteEffectHost, SqliteHostEventStore, SqliteProcessRegistry};
use lash_wasm_store::Store;
use lash_wasm_store_testing::damage::wait_until_closed;
use lash_wasm_store_testing::effects::{self, controller, returning};
use lash_wasm_store_testing::fixtures::{
    Raw, append, chain, full_checkpoint, ids, large_node, meta, work,
};
use lash_wasm_store_testing::program::{Program, Run, interrupt, values};
use lash_wasm_store_testing::{host_events, process_fixtures};
use tempfile::TempDir;

const PROGRAM: Program = Program(env!("CARGO_BIN_EXE_lash-store-beside-native"));

/// A directory with what the native crate wrote, and a place for what becomes of it.
struct Files {
    directory: TempDir,
}

impl Files {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        std::fs::create_dir(directory.path().join("native")).unwrap();
        std::fs::create_dir(directory.path().join("ours")).unwrap();
        Self { directory }
    }

    fn native(&self, name: &str) -> PathBuf {
        self.directory.path().join("native").join(name)
    }

    fn ours(&self, name: &str) -> PathBuf {
        self.directory.path().join("ours").join(name)
    }

    /// The names of what has been made.
    fn made(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.directory.path().join("ours")).unwrap();
        let name = |entry: std::io::Result<std::fs::DirEntry>| entry.unwrap().file_name();
        let names = entries.map(|entry| name(entry).into_string().unwrap());
        let mut names: Vec<String> = names.collect();
        names.sort();
        names
    }
}

/// A session as the native crate writes it; closed.
async fn fill_native(path: &Path) {
    let store = lash_sqlite_store::Store::open(path).await.unwrap();
    store.save_session_meta(meta()).await;
    let mut revision = None;
    for turn in 0..3 {
        let commit = RuntimeCommit {
            checkpoint: full_checkpoint(turn),
            ..append(revision, chain(turn * 10, 10))
        };
        let committed = store.commit_runtime_state(commit).await.unwrap();
        revision = Some(committed.head_revision);
    }
    store.enqueue_queued_work(work("now")).await.unwrap();
    drop(store);
    wait_until_closed(path);
}

fn import(arguments: &[&str], source: &Path, destination: &Path) -> Run {
    let mut command = PROGRAM.command(["import"]);
    Run::of(command.args(arguments).arg(source).arg(destination))
}

#[tokio::test]
async fn a_session_of_the_native_crate_is_imported_and_goes_on() {
    let files = Files::new();
    let (source, destination) = (files.native("session.db"), files.ours("session.db"));
    fill_native(&source).await;
    let before = std::fs::read(&source).unwrap();
    let text = import(&[], &source, &destination).succeeded().stdout;
    assert!(text.contains("complete; session database"), "{text}");
    assert_eq!(std::fs::read(&source).unwrap(), before);
    assert_eq!(files.made(), ["session.db"]);

    let store = Store::open(&destination).await.unwrap();
    let next = append(Some(3), chain(30, 1));
    store.commit_runtime_state(next).await.unwrap();
    let read = store.load_session(SessionReadScope::FullGraph).await;
    let read = read.unwrap().unwrap();
    assert_eq!(read.head_revision, 4);
    assert_eq!(ids(&read.graph.nodes), ids(&chain(0, 31)));
    drop(store);
    PROGRAM.on("verify", &destination).succeeded();
    let shown = PROGRAM.json("inspect", &destination).succeeded().values();
    assert_eq!(shown[0]["queue"]["ready"], 1);
}

/// What a deployment of the native crate has beside its sessions, still open.
async fn open_deployment(files: &Files) -> impl Sized {
    let processes = SqliteProcessRegistry::open(&files.native("b.db"))
        .await
        .unwrap();
    let process = process_fixtures::registration("p");
    processes.register_process(process).await.unwrap();
    let host_events = SqliteHostEventStore::open(&files.native("c.db"))
        .await
        .unwrap();
    host_events::subscribe(&host_events, "session", "k").await;
    let effects = SqliteEffectHost::open(&files.native("d.db")).await.unwrap();
    let effect = effects::effect("e");
    effects::run(&controller(&effects), effect, returning("told"))
        .await
        .unwrap();
    (processes, host_events, effects)
}

#[tokio::test]
async fn a_directory_is_imported_while_it_is_in_use() {
    const DATABASES: [(&str, &str); 4] = [
        ("a.db", "session"),
        ("b.db", "processes"),
        ("c.db", "host-events"),
        ("d.db", "effects"),
    ];
    let files = Files::new();
    fill_native(&files.native("a.db")).await;
    let in_use = open_deployment(&files).await;
    std::fs::write(files.native("notes.txt"), "a text").unwrap();
    let (native, ours) = (files.native(""), files.directory.path().join("new/ours"));
    let run = import(&["--json"], &native, &ours).ended(0);
    drop(in_use);
    // What has the name of a database and is none is not passed over.
    std::fs::write(files.native("lost.db"), "no header").unwrap();
    let again = files.directory.path().join("again");
    let lost = import(&["--json"], &native, &again).ended(3);
    assert!(lost.stderr.contains("lost.db"), "{}", lost.stderr);
    let skipped = values(&run.stderr);
    assert_eq!(skipped.len(), 1, "{}", run.stderr);
    let notes = files.native("notes.txt");
    assert_eq!(skipped[0]["path"], notes.to_str().unwrap());
    let imported = run.values();
    assert_eq!(imported.len(), DATABASES.len());
    for (imported, (name, kind)) in imported.iter().zip(DATABASES) {
        assert_eq!(imported["source"], files.native(name).to_str().unwrap());
        assert_eq!(imported["destination"], ours.join(name).to_str().unwrap());
        assert_eq!(imported["kind"], kind);
        assert!(imported["losses"].as_array().unwrap().is_empty());
    }
    let verified = PROGRAM.json("verify", &ours).succeeded().values();
    let kinds: Vec<_> = verified.iter().map(|v| v["kind"].clone()).collect();
    assert_eq!(kinds, DATABASES.map(|(_, kind)| kind));

    // Once more, one that came later is brought over and the others are left alone.
    fill_native(&files.native("e.db")).await;
    let run = import(&["--json"], &native, &ours).ended(3);
    assert_eq!(run.values().len(), 1);
    let failed: Vec<_> = values(&run.stderr)
        .into_iter()
        .filter(|value| value["error"]["code"] == "destination-exists")
        .collect();
    assert_eq!(failed.len(), DATABASES.len());
    assert!(ours.join("e.db").exists());
}

#[tokio::test]
async fn a_damaged_session_is_imported_only_in_part_and_only_if_it_is_told_to() {
    let files = Files::new();
    let (source, destination) = (files.native("session.db"), files.ours("session.db"));
    fill_native(&source).await;
    Raw::open(&source).damage("UPDATE graph_nodes SET node_json = '{' WHERE node_id = 'n29'");

    let run = import(&[], &source, &destination).ended(1);
    assert_eq!(run.stdout, "");
    let mut lines = run.stderr.lines();
    let first = lines.next().unwrap();
    assert!(first.starts_with("lash-store: "), "{first}");
    assert!(lines.any(|line| line.contains("n29")), "{}", run.stderr);
    let run = import(&["--json"], &source, &destination).ended(1);
    let failed = &values(&run.stderr)[0];
    assert_eq!(failed["error"]["code"], "damaged");
    assert!(!failed["error"]["losses"].as_array().unwrap().is_empty());
    assert_eq!(files.made(), [""; 0]);
    // Nor is a directory left that was made for it.
    let directory = files.directory.path().join("new");
    import(&[], &files.native(""), &directory).ended(1);
    assert!(!directory.exists());

    let run = import(&["--partial", "--json"], &source, &destination).ended(1);
    let losses = run.values()[0]["losses"].to_string();
    assert!(losses.contains("n29"), "{losses}");
    PROGRAM.on("verify", &destination).succeeded();
    let shown = PROGRAM.json("inspect", &destination).succeeded().values();
    assert_eq!(shown[0]["nodes"], 29);
}

#[tokio::test]
async fn what_can_not_be_imported_is_said_in_one_line() {
    let files = Files::new();
    let native = files.native("session.db");
    fill_native(&native).await;
    let ours = files.native("ours.db");
    let store = Store::open(&ours).await.unwrap();
    let commit = append(None, chain(0, 1));
    store.commit_runtime_state(commit).await.unwrap();
    drop(store);
    wait_until_closed(&ours);
    let text = files.native("notes.txt");
    std::fs::write(&text, "a text").unwrap();
    let missing = files.native("missing.db");
    let nowhere = files.ours("nowhere/session.db");
    let empty = files.directory.path().join("empty");
    std::fs::create_dir(&empty).unwrap();
    let before = std::fs::read(&ours).unwrap();
    for (source, destination, code, named) in [
        (&native, &ours, "destination-exists", &ours),
        (&native, &native, "destination-exists", &native),
        (&missing, &files.ours("new.db"), "missing", &missing),
        (&text, &files.ours("new.db"), "not-native", &text),
        (&ours, &files.ours("new.db"), "not-native", &ours),
        (&empty, &files.ours("new"), "no-database", &empty),
        (&native, &nowhere, "missing", &nowhere),
    ] {
        let run = import(&[], source, destination).ended(3);
        assert_eq!(run.stdout, "");
        assert_eq!(run.stderr.lines().count(), 1, "{}", run.stderr);
        let named = named.parent().unwrap().to_str().unwrap();
        assert!(run.stderr.contains(named), "{}", run.stderr);
        let run = import(&["--json"], source, destination).ended(3);
        assert_eq!(values(&run.stderr)[0]["error"]["code"], code);
    }
    assert_eq!(files.made(), [""; 0]);
    assert_eq!(std::fs::read(&ours).unwrap(), before);
}

/// A limit on the size of files stands for a full disk.
#[cfg(unix)]
#[tokio::test]
async fn a_full_disk_leaves_nothing_of_an_import() {
    let files = Files::new();
    let (source, destination) = (files.native("session.db"), files.ours("session.db"));
    fill_large(&source, 40).await;
    let mut command = PROGRAM.limited(["import"]);
    let run = Run::of(command.arg(&source).arg(&destination)).ended(3);
    assert_eq!(run.stderr.lines().count(), 1, "{}", run.stderr);
    assert_eq!(files.made(), [""; 0]);
}

/// Whether the signal comes before or after the end is not certain. Either way there is
/// all or nothing.
#[cfg(unix)]
#[tokio::test]
async fn an_interrupted_import_leaves_all_or_nothing() {
    let files = Files::new();
    let (source, destination) = (files.native("session.db"), files.ours("session.db"));
    fill_large(&source, 100).await;
    let before = std::fs::read(&source).unwrap();
    let mut child = PROGRAM
        .command(["import"])
        .arg(&source)
        .arg(&destination)
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    while files.made().is_empty() {
        assert!(child.try_wait().unwrap().is_none(), "it has ended");
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
    interrupt(&child);
    let status = child.wait().unwrap();
    match status.code() {
        Some(130) => assert_eq!(files.made(), [""; 0]),
        Some(0) => assert_eq!(files.made(), ["session.db"]),
        _ => panic!("{status:?}"),
    }
    assert_eq!(std::fs::read(&source).unwrap(), before);
    // It can be done again, or was done.
    if !destination.exists() {
        import(&[], &source, &destination).succeeded();
    }
    PROGRAM.on("verify", &destination).succeeded();
}

/// A session of the native crate with so many nodes of 100 KB.
async fn fill_large(path: &Path, nodes: usize) {
    let store = lash_sqlite_store::Store::open(path).await.unwrap();
    let nodes = (0..nodes).map(|number: usize| {
        let parent = number.checked_sub(1).map(|parent| format!("n{parent}"));
        large_node(&format!("n{number}"), parent.as_deref(), 100_000)
    });
    let commit = append(None, nodes.collect());
    store.commit_runtime_state(commit).await.unwrap();
    drop(store);
    wait_until_closed(path);
}
