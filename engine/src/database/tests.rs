//! The engine with the embedded component: opening, failing, waiting, closing.

mod untrusted;
mod watch;

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rusqlite::Connection;

use super::call::Call;
use super::{Database, OpenOptions};
use crate::blocking::wait;
use crate::error::Error;
use crate::kind::DatabaseKind;
use crate::pool::Pool;
use crate::testing::Directory;
use crate::wit::metadata::Meta;
use crate::wit::queue::{BatchDraft, DeliveryPolicy, SlotPolicy};

fn open_with(path: &Path, options: &OpenOptions) -> Result<Database, Error> {
    wait(Database::open(path, DatabaseKind::Session, options))
}

fn open(path: &Path) -> Result<Database, Error> {
    open_with(path, &OpenOptions::default())
}

fn memory(options: &OpenOptions) -> Database {
    wait(Database::memory(DatabaseKind::Session, options)).unwrap()
}

fn meta(name: &str) -> Meta {
    Meta {
        session_id: "s".to_owned(),
        session_name: name.to_owned(),
        created_at: "now".to_owned(),
        model: "m".to_owned(),
        cwd: None,
        relation: vec![],
    }
}

fn save(call: &mut Call<'_>, name: &str) -> Result<(), Error> {
    call.metadata().save(&meta(name))
}

fn name(call: &mut Call<'_>) -> Result<Option<String>, Error> {
    let meta = call.metadata().load()?;
    Ok(meta.map(|meta| meta.session_name))
}

/// Reads the clock while a transaction is open.
fn enqueue(call: &mut Call<'_>) -> Result<(), Error> {
    let draft = BatchDraft {
        session_id: "s".to_owned(),
        source_key: None,
        delivery: DeliveryPolicy::EarliestSafeBoundary,
        slot: SlotPolicy::Exclusive,
        merge_key: String::new(),
        available_at_ms: 0,
        payloads: vec![vec![1]],
    };
    call.queue().enqueue(&draft).map(drop)
}

/// Makes the lane of `database` busy until the answer is dropped.
fn hold(database: &Database) -> mpsc::Sender<()> {
    let (release, released) = mpsc::channel::<()>();
    let (started, has_started) = mpsc::channel();
    let database = database.clone();
    thread::spawn(move || {
        database.write_blocking("hold", move |_| {
            started.send(()).unwrap();
            let _ = released.recv();
            Ok::<_, Error>(())
        })
    });
    has_started.recv().unwrap();
    release
}

#[test]
fn what_was_written_is_read_by_both_lanes_and_after_reopening() {
    let directory = Directory::new();
    let path = directory.path("a.db");
    {
        let database = open(&path).unwrap();
        database
            .write_blocking("save", |call| save(call, "x"))
            .unwrap();
        assert_eq!(
            database.read_blocking("load", name).unwrap().as_deref(),
            Some("x")
        );
        assert_eq!(
            database.write_blocking("load", name).unwrap().as_deref(),
            Some("x")
        );
    }
    // The last handle is gone, so the log was copied and removed.
    assert!(!directory.path("a.db-wal").exists());
    let database = open(&path).unwrap();
    assert_eq!(
        wait(database.read("load", name)).unwrap().as_deref(),
        Some("x")
    );
    assert_eq!(database.path(), path);
    wait(database.incremental_vacuum()).unwrap();

    let connection = Connection::open(&path).unwrap();
    let pragma = |name: &str| -> String {
        connection
            .query_row(
                &format!("SELECT CAST({name} AS TEXT) FROM pragma_{name}"),
                [],
                |row| row.get(0),
            )
            .unwrap()
    };
    assert_eq!(pragma("journal_mode"), "wal");
    assert_eq!(pragma("user_version"), "3");
    assert_eq!(pragma("application_id"), 0x4c53_5301.to_string());
    assert_eq!(pragma("auto_vacuum"), "2");
}

/// A path and an inode are used again; the identity is not.
#[test]
fn a_database_keeps_its_identity_and_has_no_other_ones() {
    let directory = Directory::new();
    let identity = |path: &Path, kind| {
        let database = wait(Database::open(path, kind, &OpenOptions::default())).unwrap();
        wait(database.read("test", |call: &mut Call<'_>| call.identity())).unwrap()
    };
    let mut seen = Vec::new();
    for kind in DatabaseKind::ALL {
        let path = directory.path("a.db");
        let first = identity(&path, kind);
        assert_eq!(first.len(), 32);
        assert_eq!(identity(&path, kind), first);
        let copy = directory.path("copy.db");
        std::fs::copy(&path, &copy).unwrap();
        assert_eq!(identity(&copy, kind), first);
        for path in [path, copy] {
            std::fs::remove_file(path).unwrap();
        }
        assert!(!seen.contains(&first));
        seen.push(first);
    }
}

#[test]
fn a_database_in_memory_has_one_connection() {
    let database = memory(&OpenOptions::default());
    wait(database.write("save", |call| save(call, "x"))).unwrap();
    assert_eq!(
        wait(database.read("load", name)).unwrap().as_deref(),
        Some("x")
    );
    assert_eq!(database.path(), Path::new(":memory:"));
    wait(database.incremental_vacuum()).unwrap();
    let by_path = wait(Database::open(
        Path::new(":memory:"),
        DatabaseKind::Session,
        &OpenOptions::default(),
    ));
    assert_eq!(by_path.unwrap().path(), Path::new(":memory:"));
    assert!(!Path::new(":memory:").exists());
}

#[test]
fn sixteen_threads_open_one_new_file() {
    let directory = Directory::new();
    let path = directory.path("a.db");
    let threads: Vec<_> = (0..16)
        .map(|index| {
            let path = path.clone();
            thread::spawn(move || {
                let database = open(&path)?;
                database.write_blocking("save", move |call| save(call, &index.to_string()))?;
                database.read_blocking("load", name)
            })
        })
        .collect();
    for thread in threads {
        assert!(thread.join().unwrap().unwrap().is_some());
    }
}

#[test]
fn a_foreign_file_is_refused_and_not_touched() {
    let directory = Directory::new();
    let old = directory.path("old.db");
    let connection = Connection::open(&old).unwrap();
    connection
        .execute_batch("CREATE TABLE t (a); PRAGMA user_version = 99")
        .unwrap();
    drop(connection);
    let unmarked = directory.path("unmarked.db");
    let connection = Connection::open(&unmarked).unwrap();
    connection.execute_batch("CREATE TABLE t (a)").unwrap();
    drop(connection);
    let junk = directory.path("junk.db");
    std::fs::write(&junk, b"this is no database at all").unwrap();
    let other = directory.path("other.db");
    let connection = Connection::open(&other).unwrap();
    let id = 0x4c53_4501;
    connection
        .execute_batch(&format!(
            "PRAGMA application_id = {id}; PRAGMA user_version = 1"
        ))
        .unwrap();
    drop(connection);

    for path in [&old, &unmarked, &junk, &other] {
        let state = || {
            let modified = std::fs::metadata(path).unwrap().modified().unwrap();
            let mut files: Vec<_> = std::fs::read_dir(directory.path(""))
                .unwrap()
                .map(|entry| entry.unwrap().path())
                .collect();
            files.sort();
            (std::fs::read(path).unwrap(), modified, files)
        };
        let before = state();
        let error = open(path).err().unwrap();
        let message = error.to_string();
        if path == &old {
            assert!(matches!(
                error,
                Error::Foreign {
                    user_version: 99,
                    ..
                }
            ));
            assert!(message.contains("user_version 99"), "{message}");
        } else if path == &junk {
            assert!(matches!(error, Error::NotADatabase { .. }));
        } else if path == &other {
            assert!(matches!(error, Error::OtherKind { .. }));
        } else {
            assert!(
                matches!(
                    error,
                    Error::Foreign {
                        user_version: 0,
                        ..
                    }
                ),
                "{message}"
            );
        }
        assert!(before == state(), "{} was touched", path.display());
    }
}

#[test]
fn opening_what_cannot_be_opened_names_the_file() {
    let directory = Directory::new();
    let path = directory.path("no/such/a.db");
    let error = open(&path).err().unwrap();
    assert!(matches!(error, Error::Io { .. }));
    assert!(error.to_string().contains("no/such/a.db"));
}

#[test]
fn a_read_only_open_creates_nothing_and_refuses_writes() {
    let directory = Directory::new();
    let path = directory.path("a.db");
    let options = OpenOptions::default();
    let open_readonly = || {
        wait(Database::open_readonly(
            &path,
            DatabaseKind::Session,
            &options,
        ))
    };
    assert!(matches!(
        open_readonly().err().unwrap(),
        Error::Missing { .. }
    ));
    assert!(!path.exists());
    std::fs::write(&path, b"").unwrap();
    assert!(matches!(
        open_readonly().err().unwrap(),
        Error::Missing { .. }
    ));

    let database = open(&path).unwrap();
    database
        .write_blocking("save", |call| save(call, "x"))
        .unwrap();
    let reader = open_readonly().unwrap();
    assert_eq!(
        reader.read_blocking("load", name).unwrap().as_deref(),
        Some("x")
    );
    let error = reader
        .write_blocking("save", |call| save(call, "y"))
        .unwrap_err();
    assert!(matches!(error, Error::ReadOnly { .. }), "{error}");
    drop(database);
    assert_eq!(
        reader.read_blocking("load", name).unwrap().as_deref(),
        Some("x")
    );
}

#[test]
fn a_file_whose_first_transaction_was_cut_off_is_made_anew() {
    let directory = Directory::new();
    let path = directory.path("a.db");
    // What is in the file after a crash between the write of the first page and
    // the end of the transaction: the new page, and a journal that undoes it.
    let cut = directory.path("cut.db");
    let connection = Connection::open(&cut).unwrap();
    connection
        .execute_batch(
            "PRAGMA cache_size = 1; PRAGMA cache_spill = 1; CREATE TABLE t (a); DROP TABLE t;
             BEGIN; PRAGMA application_id = 1280529153; PRAGMA user_version = 3;
             CREATE TABLE u (a);
             WITH RECURSIVE r (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r LIMIT 2000)
             INSERT INTO u SELECT randomblob(1000) FROM r",
        )
        .unwrap();
    std::fs::copy(&cut, &path).unwrap();
    std::fs::copy(
        directory.path("cut.db-journal"),
        directory.path("a.db-journal"),
    )
    .unwrap();
    drop(connection);
    let database = open(&path).unwrap();
    database
        .write_blocking("save", |call| save(call, "x"))
        .unwrap();
}

#[test]
fn a_trap_is_an_error_and_leaves_nothing_behind() {
    let broken = Arc::new(AtomicBool::new(false));
    let options = OpenOptions {
        clock: Arc::new({
            let broken = Arc::clone(&broken);
            move || {
                if broken.load(Ordering::SeqCst) {
                    // The component has no way to go on from here.
                    UNIX_EPOCH - Duration::from_secs(1)
                } else {
                    SystemTime::now()
                }
            }
        }),
        ..OpenOptions::default()
    };
    let database = memory(&options);
    database.write_blocking("enqueue", enqueue).unwrap();
    broken.store(true, Ordering::SeqCst);
    let error = database
        .write_blocking("enqueue", |call| {
            let error = enqueue(call).unwrap_err();
            // The instance is not called again.
            assert!(save(call, "x").is_err());
            Err::<(), _>(error)
        })
        .unwrap_err();
    assert!(
        matches!(
            error,
            Error::Component {
                operation: "enqueue",
                committed: false,
                ..
            }
        ),
        "{error:?}"
    );
    let causes: Vec<_> =
        std::iter::successors(std::error::Error::source(&error), |error| error.source())
            .map(ToString::to_string)
            .collect();
    assert!(
        causes.iter().any(|cause| cause.contains("before 1970")),
        "{causes:?}"
    );
    broken.store(false, Ordering::SeqCst);
    database.write_blocking("enqueue", enqueue).unwrap();
    assert_eq!(database.read_blocking("load", name).unwrap(), None);
}

#[test]
fn a_trap_after_a_commit_says_so() {
    let database = memory(&OpenOptions::default());
    let error = database
        .write_blocking("save", |call| -> Result<(), Error> {
            save(call, "x")?;
            panic!("on purpose");
        })
        .unwrap_err();
    assert!(
        matches!(
            error,
            Error::Component {
                committed: true,
                ..
            }
        ),
        "{error:?}"
    );
    assert_eq!(
        database.read_blocking("load", name).unwrap().as_deref(),
        Some("x")
    );
}

#[test]
fn a_call_that_nobody_waits_for_is_not_begun() {
    let database = memory(&OpenOptions::default());
    let release = hold(&database);
    {
        let mut future = Box::pin(database.write("save", |call| save(call, "never")));
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        assert!(future.as_mut().poll(&mut context).is_pending());
    }
    drop(release);
    assert_eq!(database.write_blocking("load", name).unwrap(), None);
}

#[test]
fn a_read_does_not_wait_for_a_write() {
    let directory = Directory::new();
    let database = open(&directory.path("a.db")).unwrap();
    let release = hold(&database);
    assert_eq!(database.read_blocking("load", name).unwrap(), None);
    drop(release);
}

#[test]
fn stores_that_wait_for_a_lock_hold_up_no_other() {
    let directory = Directory::new();
    let options = OpenOptions {
        busy_timeout: Duration::from_secs(60),
        ..OpenOptions::default()
    };
    let blocked: Vec<_> = (0..8)
        .map(|index| {
            let path = directory.path(format!("{index}.db"));
            let database = open_with(&path, &options).unwrap();
            let lock = Connection::open(&path).unwrap();
            lock.execute_batch("BEGIN IMMEDIATE").unwrap();
            let thread =
                thread::spawn(move || database.write_blocking("save", |call| save(call, "x")));
            (lock, thread)
        })
        .collect();
    let free = open(&directory.path("free.db")).unwrap();
    for _ in 0..20 {
        free.write_blocking("save", |call| save(call, "y")).unwrap();
    }
    // Held up, it would have got its turns only after the others had given up.
    assert!(blocked.iter().all(|(_, thread)| !thread.is_finished()));
    for (lock, thread) in blocked {
        drop(lock);
        thread.join().unwrap().unwrap();
    }
}

#[test]
fn a_lock_that_is_not_let_go_of_is_an_error_that_says_so() {
    let directory = Directory::new();
    let path = directory.path("a.db");
    let options = OpenOptions {
        busy_timeout: Duration::from_millis(20),
        ..OpenOptions::default()
    };
    let database = open_with(&path, &options).unwrap();
    let lock = Connection::open(&path).unwrap();
    lock.execute_batch("BEGIN IMMEDIATE").unwrap();
    let saved = database.write_blocking("save", |call| save(call, "x"));
    assert!(matches!(saved, Err(Error::Busy { .. })), "{saved:?}");
    drop(lock);
    database
        .write_blocking("save", |call| save(call, "x"))
        .unwrap();
}

#[test]
fn a_handle_that_is_dropped_within_a_job_does_not_stop_the_lane() {
    let directory = Directory::new();
    let path = directory.path("a.db");
    let database = open(&path).unwrap();
    let inner = database.clone();
    let (sent, received) = mpsc::channel();
    let (tell, told) = mpsc::channel();
    let mut future = Box::pin(database.write("save", move |call| {
        tell.send("begun").unwrap();
        received.recv().unwrap();
        save(call, "x")?;
        tell.send("saved").unwrap();
        // The answer holds the last handle, and nobody takes it.
        Ok::<_, Error>(inner)
    }));
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    assert!(future.as_mut().poll(&mut context).is_pending());
    assert_eq!(told.recv(), Ok("begun"));
    drop(future);
    drop(database);
    sent.send(()).unwrap();
    // From now on there is a log, until the file is closed.
    assert_eq!(told.recv(), Ok("saved"));
    let started = Instant::now();
    while directory.path("a.db-wal").exists() {
        assert!(
            started.elapsed() < Duration::from_secs(10),
            "the file stays open"
        );
        thread::sleep(Duration::from_millis(5));
    }
    let database = open(&path).unwrap();
    assert_eq!(
        database.read_blocking("load", name).unwrap().as_deref(),
        Some("x")
    );
}

#[test]
fn many_open_databases_share_a_few_threads() {
    let databases: Vec<_> = (0..100).map(|_| memory(&OpenOptions::default())).collect();
    for database in &databases {
        database
            .write_blocking("save", |call| save(call, "x"))
            .unwrap();
    }
    // Other tests may be waiting for locks meanwhile.
    assert!(Pool::global().threads() < 30);
}
