//! What cannot be used is said in one line, with a code, and is not changed.

use std::fs::File;
use std::path::Path;
use std::process::Command;

use lash_core::RuntimePersistence;
use lash_wasm_store_testing::fixtures::{Place, append, large_node};
use lash_wasm_store_testing::fuzz::image;
use lash_wasm_store_testing::program::{Run, values};

use crate::{PROGRAM, fill};

const COMMANDS: [&str; 5] = ["inspect", "verify", "gc", "vacuum", "export"];

/// The program failed with one line that names the path; answers the line.
#[track_caller]
fn one_line(run: &Run, path: &Path) -> String {
    assert_eq!(run.stderr.lines().count(), 1, "{}", run.stderr);
    assert!(run.stderr.starts_with("lash-store: "), "{}", run.stderr);
    assert!(
        run.stderr.contains(path.to_str().unwrap()),
        "{}",
        run.stderr
    );
    run.stderr.clone()
}

/// Every command on the path ends so, and says so to programs too.
#[track_caller]
fn refused(path: &Path, exit: i32, code: &str) {
    for command in COMMANDS {
        let run = PROGRAM.on(command, path).ended(exit);
        one_line(&run, path);
        assert_eq!(run.stdout, "");
        let run = PROGRAM.json(command, path).ended(exit);
        let [failure] = &values(&run.stderr)[..] else {
            panic!("{}", run.stderr);
        };
        assert_eq!(failure["path"], path.to_str().unwrap());
        assert_eq!(failure["error"]["code"], code, "{failure}");
        assert!(failure["error"]["message"].is_string());
    }
}

/// As [`refused`], and the file stays as it is.
#[track_caller]
fn refused_untouched(path: &Path, exit: i32, code: &str) {
    let before = std::fs::read(path).unwrap();
    refused(path, exit, code);
    assert_eq!(std::fs::read(path).unwrap(), before);
    let beside = std::fs::read_dir(path.parent().unwrap()).unwrap();
    assert_eq!(beside.count(), 1);
}

#[tokio::test]
async fn what_is_no_database_of_this_crate_is_refused() {
    let place = Place::new();
    let path = place.path();
    refused(path, 3, "missing");
    refused(&path.join("below"), 3, "missing");
    refused(path.parent().unwrap(), 3, "no-database");
    for (content, code) in [
        (&b""[..], "missing"),
        (b"a text", "not-a-database"),
        (b"SQLite format 3\0", "not-a-database"),
    ] {
        std::fs::write(path, content).unwrap();
        refused_untouched(path, 3, code);
        std::fs::remove_file(path).unwrap();
    }
    place.raw().execute("PRAGMA application_id = 7");
    place.raw().execute("CREATE TABLE t (a)");
    refused_untouched(path, 3, "foreign");
}

#[test]
fn a_file_of_the_native_crate_is_to_be_imported() {
    let place = Place::new();
    std::fs::write(place.path(), image("native_session")).unwrap();
    refused_untouched(place.path(), 3, "foreign");
    let line = one_line(&PROGRAM.on("inspect", place.path()), place.path());
    assert!(line.contains("import it"), "{line}");
}

#[tokio::test]
async fn a_file_that_was_cut_off_is_damaged() {
    let place = Place::new();
    fill(place.path()).await;
    let file = File::options().write(true).open(place.path());
    file.unwrap().set_len(20_000).unwrap();
    for command in COMMANDS {
        let run = PROGRAM.on(command, place.path()).ended(1);
        one_line(&run, place.path());
    }
}

/// Reading a pipe would never end.
#[cfg(unix)]
#[test]
fn what_is_no_regular_file_is_refused() {
    let place = Place::new();
    let made = Command::new("mkfifo").arg(place.path()).status();
    assert!(made.unwrap().success());
    refused(place.path(), 3, "io");
    refused(Path::new("/dev/zero"), 3, "io");
}

#[tokio::test]
async fn a_file_that_another_program_has_locked_is_in_use() {
    let place = Place::new();
    fill(place.path()).await;
    let at_once = |command: &str| {
        let mut command = PROGRAM.command([command, "--json", "--wait", "0"]);
        Run::of(command.arg(place.path()))
    };
    let raw = place.raw();
    let lock = raw.lock();
    for command in ["gc", "vacuum"] {
        let run = at_once(command).ended(3);
        assert_eq!(values(&run.stderr)[0]["error"]["code"], "busy");
    }
    // Who only reads does not wait for a writer.
    for command in ["inspect", "verify", "export"] {
        at_once(command).succeeded();
    }
    drop(lock);
    raw.execute("CREATE TABLE t (a)");
    raw.execute("DROP TABLE t");
    drop(raw);

    let exclusive = place.raw();
    exclusive.batch("PRAGMA locking_mode = EXCLUSIVE");
    exclusive.execute("CREATE TABLE t (a)");
    for command in COMMANDS {
        let run = at_once(command).ended(3);
        assert_eq!(values(&run.stderr)[0]["error"]["code"], "busy", "{command}");
    }
}

/// Permissions do not bind a privileged user, so the program gives its privileges up.
#[cfg(unix)]
#[tokio::test]
async fn what_may_only_be_read_is_read_and_not_written() {
    use std::os::unix::fs::{MetadataExt, PermissionsExt};
    use std::os::unix::process::CommandExt;

    const NOBODY: u32 = 65534;

    let set = |path: &Path, mode| {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    };
    // Somebody without a home has no cache of compiled components either.
    let cache = tempfile::tempdir().unwrap();
    set(cache.path(), 0o777);
    for (file_mode, directory_mode) in [(0o444, 0o555), (0o644, 0o555)] {
        let place = Place::new();
        fill(place.path()).await;
        let before = std::fs::read(place.path()).unwrap();
        let directory = place.path().parent().unwrap();
        let privileged = std::fs::metadata(place.path()).unwrap().uid() == 0;
        set(place.path(), file_mode);
        set(directory, directory_mode);
        let run = |arguments: &[&str]| {
            let mut command = PROGRAM.command(arguments);
            command
                .arg(place.path())
                .env("XDG_CACHE_HOME", cache.path());
            if privileged {
                command.uid(NOBODY).gid(NOBODY);
            }
            command.output().map(Run::from)
        };
        let results: Vec<_> = COMMANDS
            .iter()
            .map(|command| (*command, run(&[command])))
            .collect();
        let target = directory.join("all.jsonl");
        let written = run(&["export", "--output", target.to_str().unwrap()]);
        set(directory, 0o755);
        for (command, result) in results {
            let result = match result {
                Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => {
                    println!("skipped: nobody else may run this program ({error})");
                    return;
                }
                result => result.unwrap(),
            };
            if matches!(command, "gc" | "vacuum") {
                one_line(&result.ended(3), place.path());
            } else {
                result.succeeded();
            }
        }
        one_line(&written.unwrap().ended(3), &target);
        assert!(!target.exists());
        assert_eq!(std::fs::read(place.path()).unwrap(), before);
    }
}

#[cfg(unix)]
#[tokio::test]
async fn a_full_disk_ends_what_writes_and_changes_nothing() {
    let place = Place::new();
    // Free pages before others, which a vacuum has to move.
    drop(place.open().await);
    let raw = place.raw();
    raw.execute("CREATE TABLE large AS SELECT zeroblob(2000000) AS a");
    fill(place.path()).await;
    let store = place.open().await;
    let nodes = (30..50).map(|number| {
        let parent = format!("n{}", number - 1);
        large_node(&format!("n{number}"), Some(&parent), 100_000)
    });
    let commit = append(Some(3), nodes.collect());
    store.commit_runtime_state(commit).await.unwrap();
    drop(store);
    raw.execute("DROP TABLE large");
    drop(raw);
    let path = place.path().to_str().unwrap();
    let before = PROGRAM.on("export", place.path()).succeeded().stdout;

    let run = Run::of(&mut PROGRAM.limited(["vacuum", path])).ended(3);
    one_line(&run, place.path());
    let target = place.path().with_extension("jsonl");
    let run = Run::of(PROGRAM.limited(["export", path, "-o"]).arg(&target));
    let line = one_line(&run.ended(3), &target);
    assert!(line.contains("free some space"), "{line}");
    assert!(!target.exists());
    let after = PROGRAM.on("export", place.path()).succeeded().stdout;
    assert!(before == after, "the session has changed");

    if cfg!(target_os = "linux") {
        let full = Path::new("/dev/full");
        let run = Run::of(PROGRAM.command(["export", path, "-o"]).arg(full)).ended(3);
        one_line(&run, full);
        let stdout = || File::options().write(true).open(full).unwrap();
        for command in COMMANDS {
            let run = Run::of(PROGRAM.command([command, path]).stdout(stdout())).ended(3);
            let line = one_line(&run, Path::new("standard output"));
            assert!(line.contains("free some space"), "{line}");
        }
    }
    PROGRAM.on("verify", place.path()).succeeded();
}

/// Others that do not fit any more would fail as well: they are not tried.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_full_disk_ends_an_export_of_a_directory_once() {
    let place = Place::new();
    for name in ["a.db", "b.db"] {
        fill(&place.path().with_file_name(name)).await;
    }
    let directory = place.path().parent().unwrap();
    let full = File::options().write(true).open("/dev/full").unwrap();
    let run = Run::of(PROGRAM.command(["export"]).arg(directory).stdout(full)).ended(3);
    one_line(&run, Path::new("standard output"));
}

#[cfg(unix)]
#[tokio::test]
async fn who_stops_reading_ends_the_program_silently() {
    let place = Place::new();
    fill(place.path()).await;
    for command in COMMANDS {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let mut command = PROGRAM.command([command]);
        let run = Run::of(command.arg(place.path()).stdout(writer)).ended(141);
        assert_eq!(run.stderr, "");
    }
}
