//! Waiting for changes. That somebody is woken shows by the test ending.

use std::future::Future;
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};

use super::*;

/// The mark of every topic: the length of the session's name.
fn length(call: &mut Call<'_>, topics: &[String]) -> Result<Vec<Option<u64>>, Error> {
    let length = name(call)?.map_or(0, |name| name.len() as u64);
    Ok(vec![Some(length); topics.len()])
}

fn is_ready(future: impl Future) -> bool {
    let mut context = Context::from_waker(Waker::noop());
    matches!(pin!(future).poll(&mut context), Poll::Ready(_))
}

#[test]
fn a_change_after_the_waiter_was_made_is_not_missed() {
    let database = memory(&OpenOptions::default());
    let mut waiter = database.waiter("a".to_owned(), length);
    let mut other = database.waiter("b".to_owned(), length);
    database.notify("a");
    wait(waiter.changed(0)).unwrap();
    assert!(!is_ready(other.changed(0)), "another topic");
    assert!(!is_ready(waiter.changed(0)), "told once");
}

#[test]
fn a_change_through_another_handle_of_the_file_wakes_at_once() {
    let directory = Directory::new();
    let path = directory.path("a.db");
    let ours = open(&path).unwrap();
    let theirs = open(&path).unwrap();
    let mut waiter = ours.waiter("a".to_owned(), length);
    theirs.notify("a");
    assert!(is_ready(waiter.changed(0)));
}

/// Nobody notifies, as when another process commits.
#[test]
fn a_commit_that_nobody_told_about_is_seen_in_the_file() {
    let directory = Directory::new();
    let path = directory.path("a.db");
    let ours = open(&path).unwrap();
    let theirs = open(&path).unwrap();
    for name in ["x", "xx"] {
        let mut waiter = ours.waiter("a".to_owned(), length);
        let seen = wait(ours.read("look", |call| length(call, &["a".to_owned()]))).unwrap();
        let changed = thread::spawn(move || wait(waiter.changed(seen[0].unwrap())));
        wait(theirs.write("save", move |call| save(call, name))).unwrap();
        changed.join().unwrap().unwrap();
    }
}

/// The commit comes after the caller has read and before it waits, when the file
/// may have been looked at already.
#[test]
fn a_commit_between_reading_and_waiting_is_not_missed() {
    let directory = Directory::new();
    let path = directory.path("a.db");
    let ours = open(&path).unwrap();
    let theirs = open(&path).unwrap();
    let mut waiter = ours.waiter("a".to_owned(), length);
    wait(theirs.write("save", |call| save(call, "x"))).unwrap();
    wait(waiter.changed(0)).unwrap();
}

#[test]
fn a_thousand_who_wait_are_asked_for_together() {
    static PROBES: AtomicUsize = AtomicUsize::new(0);
    fn counted(call: &mut Call<'_>, topics: &[String]) -> Result<Vec<Option<u64>>, Error> {
        PROBES.fetch_add(1, Ordering::SeqCst);
        length(call, topics)
    }
    let directory = Directory::new();
    let path = directory.path("a.db");
    let ours = open(&path).unwrap();
    let theirs = open(&path).unwrap();
    let mut waiters: Vec<_> = (0..1000)
        .map(|topic| ours.waiter(topic.to_string(), counted))
        .collect();
    wait(theirs.write("save", |call| save(call, "x"))).unwrap();
    let mut changes: Vec<_> = waiters.iter_mut().map(|w| Box::pin(w.changed(0))).collect();
    let mut context = Context::from_waker(Waker::noop());
    // Some may have been woken meanwhile.
    changes.retain_mut(|change| change.as_mut().poll(&mut context).is_pending());
    for change in changes {
        wait(change).unwrap();
    }
    // Two looks are enough for all. While the waiters were put together the file may
    // have been looked at a few times more, but not for each of them.
    assert!(PROBES.load(Ordering::SeqCst) < 100);
}

#[test]
fn who_waits_for_a_file_that_cannot_be_read_is_woken() {
    fn failing(call: &mut Call<'_>, _: &[String]) -> Result<Vec<Option<u64>>, Error> {
        Err(Error::component(call.path(), "probe", "it is broken"))
    }
    let directory = Directory::new();
    let database = open(&directory.path("a.db")).unwrap();
    let mut waiter = database.waiter("a".to_owned(), failing);
    wait(waiter.changed(0)).unwrap();
}

/// The defect: a result was on its way to the file when the future that waited for
/// it was dropped, and was never stored.
#[test]
fn what_must_be_written_is_written_though_nobody_waits() {
    let database = memory(&OpenOptions::default());
    let release = hold(&database);
    drop(database.write_surely("save", |call| save(call, "x")));
    drop(release);
    assert_eq!(
        wait(database.read("load", name)).unwrap().as_deref(),
        Some("x")
    );
}
