//! The embedded component as one that is not trusted: it works as before, and stops
//! where its limits are. What a hostile component does is in `tests/tests/hostile`.

use super::*;
use crate::limits::{Limit, Limits};
use crate::{COMPONENT, StoreComponent};

fn options(limits: Limits) -> OpenOptions {
    OpenOptions {
        component: StoreComponent::untrusted(COMPONENT, limits).unwrap(),
        ..OpenOptions::default()
    }
}

fn limit(answer: Result<(), Error>) -> Limit {
    match answer {
        Err(Error::Limit {
            limit,
            committed: false,
            ..
        }) => limit,
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_was_written_is_read_after_reopening_by_either() {
    let directory = Directory::new();
    let path = directory.path("a.db");
    let untrusted = options(Limits::default());
    for (options, value) in [(&untrusted, "x"), (&OpenOptions::default(), "y")] {
        let database = open_with(&path, options).unwrap();
        database
            .write_blocking("save", move |call| save(call, value))
            .unwrap();
    }
    let database = open_with(&path, &untrusted).unwrap();
    assert_eq!(
        database.read_blocking("load", name).unwrap().as_deref(),
        Some("y")
    );
}

/// The time is moved on instead of waited for: however slow the machine is, one call takes
/// too long and no other one does.
#[test]
fn a_call_that_takes_too_long_is_stopped_and_the_next_one_is_answered() {
    let call_time = Duration::from_secs(3600);
    let options = options(Limits::default().call_time(call_time));
    let engine = options.component.engine_for_tests();
    let late = Arc::new(AtomicBool::new(false));
    let options = OpenOptions {
        clock: Arc::new({
            let late = Arc::clone(&late);
            move || {
                if late.swap(false, Ordering::SeqCst) {
                    // More ticks than there are in an hour.
                    (0..1 << 20).for_each(|_| engine.increment_epoch());
                }
                SystemTime::now()
            }
        }),
        ..options
    };
    let database = memory(&options);
    late.store(true, Ordering::SeqCst);
    let answer = database.write_blocking("enqueue", enqueue);
    assert_eq!(limit(answer), Limit::CallTime(call_time));
    database.write_blocking("enqueue", enqueue).unwrap();
}

#[test]
fn an_instance_does_not_grow_beyond_its_memory() {
    let memory_bytes = 4 << 20;
    let database = memory(&options(Limits::default().memory_bytes(memory_bytes)));
    let long = "x".repeat(memory_bytes);
    let answer = database.write_blocking("save", move |call| save(call, &long));
    assert_eq!(limit(answer), Limit::Memory(memory_bytes));
    database
        .write_blocking("save", |call| save(call, "short"))
        .unwrap();
}

#[test]
fn what_is_no_component_is_not_loaded() {
    let error = StoreComponent::untrusted(b"\0asm", Limits::default()).unwrap_err();
    assert_eq!(error.code(), "load");
}

/// Dropping the last database and the component ends the threads.
#[test]
fn threads_end_with_the_component() {
    let component = StoreComponent::untrusted(COMPONENT, Limits::default()).unwrap();
    let pool = component.pool_for_tests();
    let options = OpenOptions {
        component,
        ..OpenOptions::default()
    };
    drop(memory(&options));
    assert!(pool.threads() > 0);
    drop(options);
    let started = Instant::now();
    while pool.threads() > 0 {
        assert!(started.elapsed() < Duration::from_secs(10));
        thread::sleep(Duration::from_millis(5));
    }
}
