//! What is wrong with a path, a disk or a request is said in a way that tells what
//! to do, and nothing is changed.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, SystemTime};

use lash_core::store::RuntimeCommit;
use lash_core::{BlobRef, HydratedSessionCheckpoint, RuntimePersistence, SessionReadScope};
use lash_wasm_store::{EngineError, Error, SqliteSessionStoreFactory, Store, StoreBuilder};
use lash_wasm_store_testing::child;
use lash_wasm_store_testing::fixtures::{
    Place, append, chain, checkpointed, commit, ids, meta, node, replace,
};
use lash_wasm_store_testing::fuzz::image;
use lash_wasm_store_testing::program::Program;

const PROGRAM: Program = Program(env!("CARGO_BIN_EXE_lash-store-tested"));

const FULL: SessionReadScope = SessionReadScope::FullGraph;

/// A place for a file, and everything that can be seen of it from outside.
struct Untouched {
    path: PathBuf,
    bytes: Vec<u8>,
    modified: SystemTime,
    beside: Vec<OsString>,
}

impl Untouched {
    fn look(path: &Path) -> Self {
        // Long ago, so that a write now cannot leave the same time.
        let file = std::fs::File::options().write(true).open(path).unwrap();
        file.set_modified(SystemTime::now() - Duration::from_secs(3600))
            .unwrap();
        Self {
            path: path.to_path_buf(),
            bytes: std::fs::read(path).unwrap(),
            modified: std::fs::metadata(path).unwrap().modified().unwrap(),
            beside: beside(path),
        }
    }

    #[track_caller]
    fn check(&self, what: &str) {
        assert_eq!(std::fs::read(&self.path).unwrap(), self.bytes, "{what}");
        let modified = std::fs::metadata(&self.path).unwrap().modified().unwrap();
        assert_eq!(modified, self.modified, "{what}");
        assert_eq!(beside(&self.path), self.beside, "{what}");
    }
}

/// The names in the directory of a file.
fn beside(path: &Path) -> Vec<OsString> {
    let mut names: Vec<OsString> = std::fs::read_dir(path.parent().unwrap())
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    names.sort();
    names
}

/// A file of this crate with one commit, closed.
async fn ours(place: &Place) {
    let store = place.open().await;
    store.save_session_meta(meta()).await;
    store
        .commit_runtime_state(append(None, chain(0, 2)))
        .await
        .unwrap();
    store.close().await;
}

/// Writes a number into the header of a file.
fn patch(path: &Path, offset: usize, value: u32) {
    let mut bytes = std::fs::read(path).unwrap();
    bytes
        .get_mut(offset..offset + 4)
        .unwrap()
        .copy_from_slice(&value.to_be_bytes());
    std::fs::write(path, bytes).unwrap();
}

const APPLICATION_ID: usize = 68;

/// A refusal names the file, what was found, what was expected, and what to do.
#[track_caller]
fn says(error: &Error, place: &Place, words: &[&str]) {
    let message = error.to_string();
    assert_eq!(error.path(), place.path());
    assert!(
        message.contains(place.path().to_str().unwrap()),
        "{message}"
    );
    for word in words {
        assert!(message.contains(word), "{word:?} is not in: {message}");
    }
    assert!(!message.contains('\n'), "{message}");
}

async fn refused(place: &Place, words: &[&str]) -> Error {
    let before = Untouched::look(place.path());
    let error = Store::open(place.path()).await.unwrap_err();
    says(&error, place, words);
    before.check("opened");
    let reading = Store::open_readonly(place.path()).await.unwrap_err();
    says(&reading, place, words);
    before.check("opened for reading");
    assert_eq!(error.to_string(), reading.to_string());
    error
}

#[tokio::test]
async fn what_is_no_database_is_refused() {
    let place = Place::new();
    for content in [&b"x"[..], b"SQLite format 3\0", &[0; 4096]] {
        std::fs::write(place.path(), content).unwrap();
        let error = refused(&place, &["is not a SQLite database", "choose another path"]).await;
        assert!(matches!(
            error,
            Error::Engine(EngineError::NotADatabase { .. })
        ));
    }
}

#[tokio::test]
async fn a_file_of_the_native_crate_is_refused() {
    let place = Place::new();
    std::fs::write(place.path(), image("native_session")).unwrap();
    let words = [
        "found application_id 0x00000000 and user_version 3",
        "expected an application_id of this crate and user_version 3",
        "lash-sqlite-store",
        "move it away",
    ];
    let error = refused(&place, &words).await;
    assert!(matches!(
        error,
        Error::Engine(EngineError::Foreign {
            user_version: 3,
            ..
        })
    ));
}

#[tokio::test]
async fn a_file_of_another_program_is_refused() {
    let place = Place::new();
    ours(&place).await;
    patch(place.path(), APPLICATION_ID, 0x1234_5678);
    let words = [
        "application_id 0x12345678",
        "belongs to another program",
        "choose another path",
    ];
    let error = refused(&place, &words).await;
    assert!(matches!(error, Error::Engine(EngineError::Foreign { .. })));
}

#[tokio::test]
async fn a_file_of_another_kind_is_refused() {
    for id in [0x4c53_5001, 0x4c53_4801, 0x4c53_4501] {
        let place = Place::new();
        ours(&place).await;
        patch(place.path(), APPLICATION_ID, id);
        let words = [
            &format!("{id:#010x}")[..],
            "the expected one, session",
            "open it as what it is",
        ];
        let error = refused(&place, &words).await;
        assert!(
            matches!(error, Error::Engine(EngineError::OtherKind { application_id, .. }) if application_id == id)
        );
    }
}

#[tokio::test]
async fn a_file_of_a_newer_version_is_refused_and_is_whole_for_the_newer_release() {
    let place = Place::new();
    ours(&place).await;
    patch(place.path(), APPLICATION_ID, 0x4c53_5363);
    let words = [
        "schema version 99",
        "supports only version 1",
        "use the release that wrote it",
    ];
    let error = refused(&place, &words).await;
    assert!(matches!(
        error,
        Error::Engine(EngineError::OtherVersion { version: 99, .. })
    ));
    patch(place.path(), APPLICATION_ID, 0x4c53_5301);
    let store = place.open().await;
    let read = store.load_session(FULL).await.unwrap().unwrap();
    assert_eq!(ids(&read.graph.nodes), ["n0", "n1"]);
}

#[tokio::test]
async fn an_empty_file_is_a_new_session_but_not_for_a_reader() {
    let place = Place::new();
    std::fs::write(place.path(), b"").unwrap();
    let before = Untouched::look(place.path());
    let error = Store::open_readonly(place.path()).await.unwrap_err();
    says(
        &error,
        &place,
        &["holds no lash session database", "check the path"],
    );
    before.check("opened for reading");
    let store = place.open().await;
    assert!(store.load_session(FULL).await.unwrap().is_none());
}

#[tokio::test]
async fn a_directory_is_refused() {
    let place = Place::new();
    std::fs::create_dir(place.path()).unwrap();
    for error in [
        Store::open(place.path()).await.unwrap_err(),
        Store::open_readonly(place.path()).await.unwrap_err(),
    ] {
        assert!(
            matches!(error, Error::Engine(EngineError::Io { .. })),
            "{error}"
        );
        says(&error, &place, &["check the file, its directory"]);
        let source = std::error::Error::source(&error).unwrap().to_string();
        assert!(source.contains("not a regular file"), "{source}");
    }
    assert_eq!(std::fs::read_dir(place.path()).unwrap().count(), 0);
}

#[tokio::test]
async fn a_directory_that_does_not_exist_is_not_made() {
    let place = Place::new();
    let path = place.path().join("session.db");
    let error = Store::open(&path).await.unwrap_err();
    assert!(
        matches!(error, Error::Engine(EngineError::Io { .. })),
        "{error}"
    );
    assert!(error.to_string().contains(path.to_str().unwrap()));
    let error = Store::open_readonly(&path).await.unwrap_err();
    assert!(
        matches!(error, Error::Engine(EngineError::Missing { .. })),
        "{error}"
    );
    assert!(!place.path().exists());
}

#[cfg(unix)]
#[track_caller]
fn succeeded(output: &std::process::Output) {
    let text = [&output.stdout[..], &output.stderr[..]].concat();
    let text = String::from_utf8_lossy(&text);
    assert!(output.status.success(), "{text}");
    assert!(text.contains("1 passed"), "{text}");
}

/// Permissions do not bind a privileged user, so the store is opened by another
/// process, which gives its privileges up.
#[cfg(unix)]
#[tokio::test]
async fn what_may_only_be_read_is_read_and_a_write_says_why_not() {
    use std::os::unix::fs::{MetadataExt, PermissionsExt};
    use std::os::unix::process::CommandExt;

    const NOBODY: u32 = 65534;

    if let Some(path) = child::file() {
        reads_but_cannot_write(&path).await;
        return;
    }
    for (file, directory) in [(0o444, 0o755), (0o444, 0o555), (0o644, 0o555)] {
        let place = Place::new();
        ours(&place).await;
        let parent = place.path().parent().unwrap();
        let privileged = std::fs::metadata(place.path()).unwrap().uid() == 0;
        let set = |path: &Path, mode| {
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
        };
        let before = Untouched::look(place.path());
        set(place.path(), file);
        set(parent, directory);
        let mut command = child::command(
            what_may_only_be_read_is_read_and_a_write_says_why_not,
            place.path(),
        );
        if privileged {
            command.uid(NOBODY).gid(NOBODY);
        }
        let output = command.output();
        set(parent, 0o755);
        let output = match output {
            Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => {
                println!("skipped: nobody else may run this test ({error})");
                return;
            }
            output => output.unwrap(),
        };
        succeeded(&output);
        before.check(&format!("{file:o} in {directory:o}"));
    }
}

#[cfg(unix)]
async fn reads_but_cannot_write(path: &Path) {
    let reader = Store::open_readonly(path).await.unwrap();
    let read = reader.load_session(FULL).await.unwrap().unwrap();
    assert_eq!(ids(&read.graph.nodes), ["n0", "n1"]);
    drop(reader);
    let error = match Store::open(path).await {
        Err(error) => error,
        Ok(store) => {
            // What can be opened can be read.
            let read = store.load_session(FULL).await.unwrap().unwrap();
            assert_eq!(ids(&read.graph.nodes), ["n0", "n1"]);
            store.try_save_session_meta(meta()).await.unwrap_err()
        }
    };
    let message = error.to_string();
    assert!(
        matches!(
            error,
            Error::Engine(EngineError::ReadOnly { .. } | EngineError::Io { .. })
        ),
        "{error:?}"
    );
    assert!(message.contains(path.to_str().unwrap()), "{message}");
    assert!(message.contains("check "), "{message}");
}

/// A small file system of its own, which takes a privileged user.
#[cfg(target_os = "linux")]
struct SmallDisk(PathBuf);

#[cfg(target_os = "linux")]
impl SmallDisk {
    fn mount(path: PathBuf) -> Option<Self> {
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=1m", "tmpfs"])
            .arg(&path)
            .output()
            .is_ok_and(|output| output.status.success());
        mounted.then_some(Self(path))
    }
}

#[cfg(target_os = "linux")]
impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).output();
    }
}

/// Commits until there is no space left, and looks at what is there.
async fn commits_until_full(path: &Path) -> Error {
    let store = Store::open(path).await.unwrap();
    let mut committed = 0;
    loop {
        assert!(committed < 1000, "there is no end of space");
        let mut next = append(
            (committed > 0).then_some(committed),
            chain(usize::try_from(committed).unwrap(), 1),
        );
        next.checkpoint = HydratedSessionCheckpoint {
            execution_state: Some(incompressible(committed)),
            ..HydratedSessionCheckpoint::default()
        };
        match store.commit_runtime_state(next).await {
            Ok(result) => committed = result.head_revision,
            Err(_) => break,
        }
    }
    // The trait tells of the failure in words only.
    let error = put_until_full(&store).await;
    assert!(committed > 1, "{error}");
    // The same handle still reads, and so does one that is opened now.
    for store in [store, Store::open_readonly(path).await.unwrap()] {
        let read = store.load_session(FULL).await.unwrap().unwrap();
        assert_eq!(read.head_revision, committed);
        assert_eq!(read.graph.nodes.len() as u64, committed);
        let state = read.checkpoint.unwrap().execution_state.unwrap();
        assert_eq!(state, incompressible(committed - 1));
    }
    error
}

async fn put_until_full(store: &Store) -> Error {
    for number in 0..1000 {
        if let Err(error) = store.try_put_blob(&incompressible(1 << 32 | number)).await {
            return error;
        }
    }
    panic!("there is no end of space");
}

fn incompressible(seed: u64) -> Vec<u8> {
    let mut state = seed;
    let mut next = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 33).to_le_bytes()
    };
    (0..8 << 10).flat_map(|_| next()).collect()
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_full_disk_refuses_commits_and_keeps_what_is_committed() {
    let directory = tempfile::tempdir().unwrap();
    let Some(disk) = SmallDisk::mount(directory.path().to_path_buf()) else {
        println!("skipped: mounting a small file system takes a privileged user");
        return;
    };
    let factory = SqliteSessionStoreFactory::new(directory.path());
    let path = factory.path_for_session("full");
    let error = commits_until_full(&path).await;
    assert!(
        matches!(error, Error::Engine(EngineError::DiskFull { .. })),
        "{error:?}"
    );
    let message = error.to_string();
    assert!(message.contains("no space left"), "{message}");
    assert!(message.contains(path.to_str().unwrap()), "{message}");

    Store::open(&path).await.unwrap().close().await;
    for command in ["inspect", "verify"] {
        PROGRAM.on(command, &path).succeeded();
    }
    factory.try_delete_session("full").await.unwrap();
    assert!(!path.exists());
    drop(disk);
}

/// What makes room may use the reserve, and reading needs none.
#[tokio::test]
async fn a_reserve_refuses_writes_before_the_disk_is_full() {
    let place = Place::new();
    let store = place.open().await;
    let commit = append(None, chain(0, 2));
    store.commit_runtime_state(commit).await.unwrap();
    store.close().await;

    // More than any disk has.
    let builder = StoreBuilder::new().disk_reserve(u64::MAX);
    let store = builder.clone().open(place.path()).await.unwrap();
    let refused = store
        .try_commit_runtime_state(append(Some(1), chain(2, 1)))
        .await
        .unwrap_err();
    assert!(
        matches!(refused, Error::Engine(EngineError::DiskFull { .. })),
        "{refused:?}"
    );
    let message = refused.to_string();
    assert!(message.contains("are kept free"), "{message}");
    let read = store.load_session(FULL).await.unwrap().unwrap();
    assert_eq!(read.head_revision, 1);
    store.try_gc_unreachable().await.unwrap();
    store.vacuum().await.unwrap();
    store.close().await;

    let factory = SqliteSessionStoreFactory::with_builder(place.path().parent().unwrap(), builder);
    let path = factory.path_for_session("gone");
    std::fs::copy(place.path(), &path).unwrap();
    factory.try_delete_session("gone").await.unwrap();
    assert!(!path.exists());
}

#[tokio::test]
async fn a_database_grows_up_to_its_limit() {
    let place = Place::new();
    let builder = StoreBuilder::new().database_bytes(1 << 20);
    let store = builder.open(place.path()).await.unwrap();
    let error = put_until_full(&store).await;
    assert!(
        matches!(error, Error::Engine(EngineError::DiskFull { .. })),
        "{error:?}"
    );
    store.close().await;
    let length = std::fs::metadata(place.path()).unwrap().len();
    assert!((1 << 19..=1 << 20).contains(&length), "{length}");
}

/// A limit on the size of files stands for a quota. The system says of it that the
/// file is too large, not that the disk is full.
#[cfg(unix)]
#[tokio::test]
async fn a_file_that_may_not_grow_refuses_commits_and_keeps_what_is_committed() {
    if let Some(path) = child::file() {
        let error = commits_until_full(&path).await;
        assert!(
            matches!(
                error,
                Error::Engine(EngineError::Io { .. } | EngineError::DiskFull { .. })
            ),
            "{error:?}"
        );
        return;
    }
    let place = Place::new();
    // Without the trap the process would be killed instead.
    let output = child::command_after(
        "trap '' XFSZ; ulimit -f 2048",
        a_file_that_may_not_grow_refuses_commits_and_keeps_what_is_committed,
        place.path(),
    )
    .output()
    .unwrap();
    succeeded(&output);
}

/// Refuses a commit on a session with the nodes n0 to n2, and nothing is written.
async fn refuses(commit: RuntimeCommit, words: &[&str]) {
    let place = Place::new();
    let store = place.open().await;
    let mut first = append(None, chain(0, 3));
    first.checkpoint = checkpointed(None, 1).checkpoint;
    store.commit_runtime_state(first).await.unwrap();
    let raw = place.raw();
    let before = raw.dump();
    let version = raw.data_version();

    let error = store.commit_runtime_state(commit).await.unwrap_err();
    let message = error.to_string();
    for word in words {
        assert!(message.contains(word), "{word:?} is not in: {message}");
    }
    assert!(
        message.contains(place.path().to_str().unwrap()),
        "{message}"
    );
    assert_eq!(raw.dump(), before, "{message}");
    assert_eq!(raw.data_version(), version, "{message}");
    // And the next commit is none the worse for it.
    store
        .commit_runtime_state(append(Some(1), chain(3, 1)))
        .await
        .unwrap();
}

#[tokio::test]
async fn a_commit_with_a_cycle_is_refused() {
    let cycle = [
        node("a", Some("c")),
        node("b", Some("a")),
        node("c", Some("b")),
    ];
    let alone = [node("a", Some("a"))];
    for nodes in [cycle.to_vec(), alone.to_vec()] {
        refuses(append(Some(1), nodes.clone()), &["is its own ancestor"]).await;
        refuses(replace(Some(1), nodes), &["is its own ancestor"]).await;
    }
}

#[tokio::test]
async fn a_commit_with_an_unknown_parent_is_refused() {
    let nodes = vec![node("a", Some("n2")), node("b", Some("nobody"))];
    refuses(append(Some(1), nodes), &["parent nobody", "node b"]).await;
    // A graph that replaces another cannot hang on to the old one.
    let nodes = vec![node("a", Some("n2"))];
    refuses(replace(Some(1), nodes), &["parent n2", "node a"]).await;
}

#[tokio::test]
async fn a_commit_with_an_unknown_leaf_is_refused() {
    use lash_core::store::GraphCommitDelta;
    let leaf_node_id = Some("nobody".to_owned());
    let nodes = vec![node("a", Some("n2"))];
    for graph in [
        GraphCommitDelta::Unchanged {
            leaf_node_id: leaf_node_id.clone(),
        },
        GraphCommitDelta::Append {
            nodes: nodes.clone(),
            leaf_node_id: leaf_node_id.clone(),
        },
        GraphCommitDelta::ReplaceFull(lash_core::SessionGraph::from_nodes(
            vec![node("a", None)],
            leaf_node_id,
        )),
    ] {
        let next = RuntimeCommit {
            graph,
            ..commit(Some(1))
        };
        refuses(next, &["leaf nobody", "not stored"]).await;
    }
}

#[tokio::test]
async fn a_commit_with_a_node_twice_is_refused() {
    let nodes = vec![node("a", None), node("b", Some("a")), node("a", Some("b"))];
    refuses(append(Some(1), nodes.clone()), &["node a", "twice"]).await;
    refuses(replace(Some(1), nodes), &["node a", "twice"]).await;
    let nodes = vec![node("a", None), node("n1", Some("a"))];
    refuses(append(Some(1), nodes), &["node n1", "stored already"]).await;
}

#[tokio::test]
async fn a_commit_that_refers_to_a_missing_blob_is_refused() {
    let missing = BlobRef(format!("blake3:{:064x}", 1));
    let unreadable = BlobRef("no key at all".to_owned());
    for reference in [missing, unreadable] {
        let with = |set: fn(&mut HydratedSessionCheckpoint, BlobRef)| {
            let mut next = append(Some(1), vec![node("a", Some("n2"))]);
            set(&mut next.checkpoint, reference.clone());
            next
        };
        for next in [
            with(|checkpoint, blob| checkpoint.tool_state_ref = Some(blob)),
            with(|checkpoint, blob| checkpoint.plugin_snapshot_ref = Some(blob)),
            with(|checkpoint, blob| checkpoint.execution_state_ref = Some(blob)),
        ] {
            refuses(next, &[reference.as_str(), "does not hold"]).await;
        }
    }
}

/// One byte more than a blob may have, through the whole stack.
#[tokio::test]
async fn a_blob_that_is_too_large_is_refused() {
    let place = Place::new();
    let store = place.open().await;
    store
        .commit_runtime_state(append(None, chain(0, 1)))
        .await
        .unwrap();
    let raw = place.raw();
    let before = raw.dump();
    let content = vec![0; (256 << 20) + 1];
    let error = store.try_put_blob(&content).await.unwrap_err();
    drop(content);
    assert!(
        matches!(error, Error::Engine(EngineError::TooLarge { .. })),
        "{error}"
    );
    says(&error, &place, &["256 MiB"]);
    assert_eq!(raw.dump(), before);
    assert!(store.load_session(FULL).await.unwrap().is_some());
}
