//! Which lane a thread takes, by the order in which jobs end.

use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex};

use super::{Class, Job, Lane, Pool};
use crate::sqlite::Role;

const THREADS: usize = 2;

fn pool() -> Arc<Pool> {
    Pool::new(THREADS, false, None)
}

fn lane() -> Arc<Lane> {
    Lane::new(Role::Writer, false, false, None)
}

/// A job that says that it has begun, and ends when it is let go.
fn long(begun: &Sender<()>, release: &Arc<Mutex<Receiver<()>>>) -> Job {
    let begun = begun.clone();
    let release = Arc::clone(release);
    Box::new(move |_, _| {
        begun.send(()).unwrap();
        let _ = release.lock().unwrap().recv();
        Box::new(|| ())
    })
}

fn says(name: &'static str, done: &Sender<&'static str>) -> Job {
    let done = done.clone();
    Box::new(move |_, _| Box::new(move || done.send(name).unwrap()))
}

/// Keeps every thread for ordinary jobs in a long one, and queues further ones behind,
/// until the answer is dropped.
fn occupy(pool: &Pool) -> Sender<()> {
    let (release, released) = mpsc::channel();
    let released = Arc::new(Mutex::new(released));
    let (begun, has_begun) = mpsc::channel();
    for _ in 0..10 * THREADS {
        let job = long(&begun, &released);
        lane().push(pool, Class::Ordinary, job).unwrap();
    }
    for _ in 0..THREADS {
        has_begun.recv().unwrap();
    }
    release
}

#[test]
fn an_urgent_job_waits_for_no_long_job_of_another_lane() {
    let pool = pool();
    let release = occupy(&pool);
    let (done, ended) = mpsc::channel();
    for _ in 0..100 {
        let urgent = lane();
        urgent
            .push(&pool, Class::Urgent, says("urgent", &done))
            .unwrap();
        // None of the others has been let go.
        assert_eq!(ended.recv(), Ok("urgent"));
    }
    assert!(pool.threads() <= THREADS + 1, "{}", pool.threads());
    drop(release);
}

/// The thread that is kept for urgent jobs has to do the ordinary one first.
#[test]
fn an_urgent_job_behind_a_long_one_of_its_own_lane_holds_up_no_other_lane() {
    let pool = pool();
    let release = occupy(&pool);
    let (own_release, released) = mpsc::channel();
    let released = Arc::new(Mutex::new(released));
    let (begun, has_begun) = mpsc::channel();
    let (done, ended) = mpsc::channel();
    let behind: Vec<_> = (0..5)
        .map(|_| {
            let lane = lane();
            let job = long(&begun, &released);
            lane.push(&pool, Class::Ordinary, job).unwrap();
            lane.push(&pool, Class::Urgent, says("behind", &done))
                .unwrap();
            has_begun.recv().unwrap();
            lane
        })
        .collect();
    let other = lane();
    other
        .push(&pool, Class::Urgent, says("other", &done))
        .unwrap();
    assert_eq!(ended.recv(), Ok("other"));
    drop(own_release);
    for _ in &behind {
        assert_eq!(ended.recv(), Ok("behind"));
    }
    drop(release);
}

#[test]
fn ordinary_jobs_get_their_turn_while_urgent_ones_never_end() {
    /// Queues itself again.
    fn again(pool: Arc<Pool>, lane: Arc<Lane>, left: usize, done: Sender<&'static str>) {
        let (next_pool, next_lane) = (Arc::clone(&pool), Arc::clone(&lane));
        let job: Job = Box::new(move |_, _| {
            match left {
                0 => done.send("urgent").unwrap(),
                _ => again(next_pool, next_lane, left - 1, done),
            }
            Box::new(|| ())
        });
        lane.push(&pool, Class::Urgent, job).unwrap();
    }
    let pool = pool();
    let (done, ended) = mpsc::channel();
    for _ in 0..4 * THREADS {
        again(Arc::clone(&pool), lane(), 20_000, done.clone());
    }
    lane()
        .push(&pool, Class::Ordinary, says("ordinary", &done))
        .unwrap();
    assert_eq!(ended.recv(), Ok("ordinary"));
    for _ in 0..4 * THREADS {
        assert_eq!(ended.recv(), Ok("urgent"));
    }
}

#[test]
fn the_jobs_of_a_lane_stay_in_order() {
    let pool = pool();
    let release = occupy(&pool);
    let lane = lane();
    let (done, ended) = mpsc::channel();
    for (class, name) in [
        (Class::Ordinary, "first"),
        (Class::Ordinary, "second"),
        (Class::Urgent, "third"),
        (Class::Ordinary, "fourth"),
    ] {
        lane.push(&pool, class, says(name, &done)).unwrap();
    }
    for name in ["first", "second", "third"] {
        assert_eq!(ended.recv(), Ok(name));
    }
    drop(release);
    assert_eq!(ended.recv(), Ok("fourth"));
}
