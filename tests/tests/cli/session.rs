//! Each command on the database of one session.

#[cfg(unix)]
use std::process::Command;

use lash_core::session_graph::SharedJsonValue;
use lash_core::{ProtocolTurnOptions, RuntimePersistence, SessionNodePayload, SessionNodeRecord};
use lash_wasm_store::inspect::{Inspector, Statistics};
use lash_wasm_store_testing::fixtures::{Place, append, chain, ids, node};
use lash_wasm_store_testing::program::{Run, values};
use serde_json::{Value, json};

use crate::{PROGRAM, fill};

/// Sets some nodes aside for vacuum.
async fn tombstone(place: &Place, count: usize) {
    let nodes = chain(0, count);
    let nodes: Vec<String> = ids(&nodes).into_iter().map(str::to_owned).collect();
    let store = place.open().await;
    store.tombstone_nodes(&nodes).await.unwrap();
    store.close().await;
}

#[tokio::test]
async fn inspect_shows_what_the_library_counts() {
    let place = Place::new();
    fill(place.path()).await;
    let run = PROGRAM.json("inspect", place.path()).succeeded();
    let shown = run.values();
    let inspector = Inspector::open(place.path()).await.unwrap();
    let statistics = inspector.statistics().await.unwrap();
    let file = inspector.file_statistics().await.unwrap();
    let mut expected = serde_json::to_value(&statistics).unwrap();
    expected["path"] = place.path().to_str().unwrap().into();
    expected["file"] = serde_json::to_value(&file).unwrap();
    assert_eq!(shown, [expected]);

    let Statistics::Session(statistics) = statistics else {
        panic!("{statistics:?}");
    };
    let text = PROGRAM.on("inspect", place.path()).succeeded().stdout;
    let head = statistics.head.unwrap();
    for part in [
        "session database",
        "wal",
        "synchronous FULL",
        "revision 3",
        &head.leaf.unwrap(),
        &head.checkpoint.unwrap(),
        "30 nodes",
        "2 ready, 0 leased, 0 waiting",
        "0 committed, 1 not",
        "1 usage entry",
        "checkpoint manifest",
    ] {
        assert!(text.contains(part), "{part:?} is not in\n{text}");
    }
    // `tests/native` has a SQLite that is warned of.
    assert!(!file.wal_reset_bug);
    assert!(!text.contains("warning"), "{text}");
    let garbage = statistics.garbage.unwrap().blobs;
    assert!(garbage > 0);
    let promised = text.lines().find(|line| line.contains("gc frees"));
    assert!(promised.unwrap().contains(&format!(" {garbage} blobs")));
}

#[tokio::test]
async fn inspect_shows_a_session_without_a_head() {
    let place = Place::new();
    drop(place.open().await);
    let text = PROGRAM.on("inspect", place.path()).succeeded().stdout;
    assert!(text.contains("nothing was committed"), "{text}");
    let shown = PROGRAM.json("inspect", place.path()).succeeded().values();
    assert_eq!(shown[0]["head"], Value::Null);
}

#[tokio::test]
async fn a_whole_session_is_sound() {
    let place = Place::new();
    fill(place.path()).await;
    let text = PROGRAM.on("verify", place.path()).succeeded().stdout;
    assert!(text.contains("sound; session database"), "{text}");
    let found = PROGRAM.json("verify", place.path()).succeeded().values();
    assert_eq!(found[0]["sound"], true);
    assert_eq!(found[0]["problems"], json!([]));
    let nodes = &found[0]["tables"].as_array().unwrap();
    let nodes = nodes.iter().find(|table| table["name"] == "graph_nodes");
    assert_eq!(nodes.unwrap()["rows"], 30);
}

#[tokio::test]
async fn damage_is_named_and_ends_every_command_with_1() {
    let place = Place::new();
    fill(place.path()).await;
    place
        .raw()
        .damage("UPDATE graph_nodes SET body = x'00' WHERE node_id = 'n4'");
    let text = PROGRAM.on("verify", place.path()).ended(1).stdout;
    assert!(text.contains("2 problems;"), "{text}");
    let named = text.lines().find(|line| line.contains("graph_nodes: n4"));
    assert!(named.unwrap().contains("checksum"), "{text}");
    let found = PROGRAM.json("verify", place.path()).ended(1).values();
    assert_eq!(found[0]["sound"], false);
    assert_eq!(found[0]["problems"][0]["key"], "n4");

    let run = PROGRAM.on("export", place.path()).ended(1);
    assert!(run.stderr.contains("n4"), "{}", run.stderr);
    assert!(run.values().iter().all(|record| record["record"] != "end"));

    // What is reachable is not in the damaged node.
    PROGRAM.on("gc", place.path()).succeeded();
}

#[tokio::test]
async fn garbage_is_not_collected_where_a_reference_is_broken() {
    let place = Place::new();
    fill(place.path()).await;
    // Checkpoint manifests.
    assert!(place.raw().execute("DELETE FROM blobs WHERE kind = 1") > 0);
    let before = place.raw().dump();
    let run = PROGRAM.on("inspect", place.path()).ended(1);
    assert!(run.stdout.contains("verify names it"), "{}", run.stdout);
    let run = PROGRAM.on("gc", place.path()).ended(1);
    assert_eq!(run.stderr.lines().count(), 1, "{}", run.stderr);
    assert!(run.stderr.contains("blob"), "{}", run.stderr);
    assert_eq!(place.raw().dump(), before);
}

/// What is stored may be made to look like something else on a terminal.
#[tokio::test]
async fn what_is_stored_is_shown_without_its_control_characters() {
    let place = Place::new();
    fill(place.path()).await;
    place
        .raw()
        .damage("UPDATE graph_nodes SET node_id = char(27) || '[2J' || char(10) WHERE seq = 4");
    let text = PROGRAM.on("verify", place.path()).ended(1).stdout;
    assert!(!text.contains('\u{1b}'), "{text:?}");
    assert!(text.contains(r"\u{1b}[2J\n"), "{text:?}");
}

/// A text that is written from right to left can hide how a name ends. Programs get it as
/// it is.
#[tokio::test]
async fn what_is_stored_is_shown_without_overrides_of_its_direction() {
    let place = Place::new();
    fill(place.path()).await;
    let hidden = "a\u{202e}b\u{2066}c\u{200b}d\u{2028}e";
    let sql = format!("UPDATE graph_nodes SET node_id = '{hidden}' WHERE seq = 4");
    place.raw().damage(&sql);
    let run = PROGRAM.on("verify", place.path()).ended(1);
    let shown = r"a\u{202e}b\u{2066}c\u{200b}d\u{2028}e";
    assert!(run.stdout.contains(shown), "{:?}", run.stdout);
    assert!(!run.stdout.contains('\u{202e}'), "{:?}", run.stdout);
    let run = PROGRAM.json("verify", place.path()).ended(1);
    assert!(run.values()[0]["problems"].to_string().contains(hidden));
    // A path is shown too.
    let path = place.path().with_file_name("x\u{202e}bd.db");
    let run = PROGRAM.on("inspect", &path).ended(3);
    assert!(run.stderr.contains(r"x\u{202e}bd.db"), "{:?}", run.stderr);
}

/// What is nested deeper than JSON is usually read is exported as bytes.
#[tokio::test]
async fn what_is_nested_deeply_is_shown_and_exported() {
    let place = Place::new();
    let deep = (0..1000).fold(json!(1), |value, _| Value::Array(vec![value]));
    let store = place.open().await;
    let mut commit = append(None, vec![deep_node("n", deep.clone())]);
    commit.checkpoint.turn_state.protocol_turn_options = ProtocolTurnOptions { payload: deep };
    store.commit_runtime_state(commit).await.unwrap();
    drop(store);
    for command in ["inspect", "verify", "export"] {
        PROGRAM.on(command, place.path()).succeeded();
    }
    let exported = PROGRAM.on("export", place.path()).succeeded().stdout;
    let node = exported
        .lines()
        .find(|line| line.contains("\"record\":\"node\""))
        .unwrap();
    assert!(node.contains("base64"), "{node}");
}

fn deep_node(id: &str, body: Value) -> SessionNodeRecord {
    SessionNodeRecord {
        payload: SessionNodePayload::Plugin {
            plugin_type: "deep".to_owned(),
            body: SharedJsonValue::new(body),
        },
        ..node(id, None)
    }
}

/// A transcript is nobody else's, whatever the umask.
#[cfg(unix)]
#[tokio::test]
async fn an_export_is_private() {
    use std::os::unix::fs::PermissionsExt;
    let place = Place::new();
    fill(place.path()).await;
    let file = place.path().with_file_name("export.jsonl");
    let mode = || std::fs::metadata(&file).unwrap().permissions().mode() & 0o777;
    let export = |force: &[&str]| {
        let mut shell = Command::new("sh");
        shell.args(["-c", "umask 022; exec \"$@\"", "sh", PROGRAM.0, "export"]);
        shell
            .args(force)
            .arg("--output")
            .arg(&file)
            .arg(place.path());
        Run::of(&mut shell).succeeded();
    };
    export(&[]);
    assert_eq!(mode(), 0o600);
    // What it replaces keeps its mode.
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o640)).unwrap();
    export(&["--force"]);
    assert_eq!(mode(), 0o640);
}

#[tokio::test]
async fn gc_removes_what_inspect_promised() {
    let place = Place::new();
    fill(place.path()).await;
    let counted = |run: Run| run.succeeded().values()[0]["garbage"]["blobs"].clone();
    let promised = counted(PROGRAM.json("inspect", place.path()));
    let run = PROGRAM.json("gc", place.path()).succeeded();
    let collected = &run.values()[0];
    assert_eq!(collected["kind"], "session");
    assert_eq!(collected["removed_blobs"], promised);
    assert_eq!(counted(PROGRAM.json("inspect", place.path())), 0);
    let text = PROGRAM.on("gc", place.path()).succeeded().stdout;
    assert!(text.contains("0 blobs removed"), "{text}");
    PROGRAM.on("verify", place.path()).succeeded();
}

#[tokio::test]
async fn vacuum_removes_tombstoned_nodes_and_makes_the_file_smaller() {
    let place = Place::new();
    fill(place.path()).await;
    tombstone(&place, 20).await;
    // Pages that a removal left, because it was interrupted before it gave them back.
    let raw = place.raw();
    raw.execute("CREATE TABLE large AS SELECT randomblob(1000000) AS a");
    raw.execute("DROP TABLE large");
    drop(raw);
    let run = PROGRAM.json("vacuum", place.path()).succeeded();
    let vacuumed = &run.values()[0];
    assert_eq!(vacuumed["removed_nodes"], 20);
    let size = |name: &str| vacuumed[name].as_u64().unwrap();
    assert!(
        size("bytes_before") > size("bytes_after") + 900_000,
        "{vacuumed}"
    );
    let length = std::fs::metadata(place.path()).unwrap().len();
    assert_eq!(size("bytes_after"), length);
    PROGRAM.on("verify", place.path()).succeeded();
    let shown = PROGRAM.json("inspect", place.path()).succeeded().values();
    assert_eq!(shown[0]["nodes"], 10);
    assert_eq!(shown[0]["file"]["free_pages"], 0);
    assert_eq!(
        shown[0]["file"]["open_file_locks"],
        cfg!(target_os = "linux")
    );
}

/// Records of a file as the library reads them.
async fn records(place: &Place) -> Vec<Value> {
    let inspector = Inspector::open(place.path()).await.unwrap();
    let mut records = inspector.records();
    let mut read = Vec::new();
    while let Some(page) = records.next_page().await.unwrap() {
        read.extend(
            page.iter()
                .map(|record| serde_json::to_value(record).unwrap()),
        );
    }
    read
}

#[tokio::test]
async fn export_writes_everything_and_says_where_it_ends() {
    let place = Place::new();
    fill(place.path()).await;
    let path = place.path().to_str().unwrap();
    let mut expected = records(&place).await;
    expected[0]["path"] = path.into();
    let count = expected.len();
    expected.push(json!({ "record": "end", "path": path, "records": count }));
    assert!(count > 40);

    let run = PROGRAM.on("export", place.path()).succeeded();
    assert_eq!(run.values(), expected);
    // For programs it is the same.
    assert_eq!(
        PROGRAM.json("export", place.path()).succeeded().stdout,
        run.stdout
    );
    // And so it is in a file.
    let file = place.path().with_extension("jsonl");
    let mut command = PROGRAM.command(["export", "--output"]);
    let told = Run::of(command.arg(&file).arg(place.path())).succeeded();
    assert_eq!(std::fs::read_to_string(&file).unwrap(), run.stdout);
    let told = told.stdout;
    assert!(
        told.contains(&format!("{count} records of 1 database")),
        "{told}"
    );
}

#[tokio::test]
async fn an_export_replaces_a_file_only_if_it_is_told_to() {
    let place = Place::new();
    fill(place.path()).await;
    let file = place.path().with_extension("jsonl");
    std::fs::write(&file, "kept").unwrap();
    let export = |arguments: &[&str]| {
        let mut command = PROGRAM.command(["export", "-o"]);
        Run::of(command.arg(&file).arg(place.path()).args(arguments))
    };
    let run = export(&[]).ended(3);
    assert!(run.stderr.contains("--force"), "{}", run.stderr);
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "kept");
    export(&["--force"]).succeeded();
    let exported = std::fs::read_to_string(&file).unwrap();
    assert_eq!(values(&exported).last().unwrap()["record"], "end");

    // The database is not lost to a slip of the hand, nor is a directory replaced.
    let directory = place.path().parent().unwrap();
    for target in [place.path(), directory] {
        let mut command = PROGRAM.command(["export", "-o"]);
        Run::of(command.arg(target).arg(place.path())).ended(3);
    }
    PROGRAM.on("verify", place.path()).succeeded();
}

/// `script` gives a program a terminal.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_terminal_gets_colours_and_progress() {
    let place = Place::new();
    fill(place.path()).await;
    let line = format!("{} verify {}", PROGRAM.0, place.path().display());
    let on_terminal = |no_color: &str| {
        let mut script = Command::new("script");
        script.args(["--quiet", "--return", "--command", &line, "/dev/null"]);
        script.env("TERM", "xterm").env("NO_COLOR", no_color);
        script.stdin(std::process::Stdio::null()).output()
    };
    let run = match on_terminal("") {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            println!("skipped: `script` is missing");
            return;
        }
        run => Run::from(run.unwrap()).ended(0),
    };
    assert!(
        run.stdout.contains("\u{1b}[32msound\u{1b}[0m"),
        "{:?}",
        run.stdout
    );
    assert!(run.stdout.contains("verifying"), "{:?}", run.stdout);
    let run = Run::from(on_terminal("1").unwrap()).ended(0);
    assert!(!run.stdout.contains("\u{1b}[32m"), "{:?}", run.stdout);
}

/// An escape would be in the way of whoever reads the output with a program.
#[tokio::test]
async fn nothing_is_coloured_and_no_progress_is_shown_without_a_terminal() {
    let place = Place::new();
    fill(place.path()).await;
    for command in ["inspect", "verify", "gc", "vacuum", "export"] {
        let mut command = PROGRAM.command([command]);
        command.arg(place.path()).env("TERM", "xterm-256color");
        let run = Run::of(&mut command).succeeded();
        assert!(!run.stdout.contains('\u{1b}'), "{}", run.stdout);
    }
}
