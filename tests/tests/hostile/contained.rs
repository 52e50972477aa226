//! Every attack is stopped by what should stop it, and harms nobody.

use std::sync::atomic::{AtomicBool, Ordering};

use lash_wasm_store::{Error, StoreComponent};
use lash_wasm_store_testing::contained::contained;

use super::arena::{Arena, holdable, shared};
use super::attacks::{ATTACKS, Attack, Stopped};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[cfg_attr(not(components), ignore = "needs `rustup target add wasm32-wasip2`")]
async fn every_attack_is_contained() {
    // Two stores beside it: one on the same component, one on that of the crate.
    let mut brief = Arena::new(shared()).await;
    let mut sibling = Arena::new(holdable()).await;
    let mut neighbour = Arena::new(StoreComponent::embedded()).await;
    let mut wrong = Vec::new();
    for attack in ATTACKS {
        let (stopped, answer) = if is_stopped_by_time(attack) {
            run_timed(attack, &mut [&mut brief, &mut neighbour]).await
        } else {
            run(attack, &mut [&mut sibling, &mut neighbour]).await
        };
        contained(attack.name, &attack.stopped.words(), &answer);
        if !stopped {
            wrong.push(format!("{}: {answer}", attack.name));
        }
    }
    for other in [brief, sibling, neighbour] {
        other.assert_sound().await;
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

fn is_stopped_by_time(attack: &Attack) -> bool {
    matches!(
        attack.stopped,
        Stopped::Limit("call_time") | Stopped::LimitAfterCommit("call_time")
    )
}

async fn live(others: &mut [&mut Arena]) {
    for other in others {
        other.honest_call().await;
    }
}

/// Runs an attack, which begins when others have begun and ended a call while its
/// component ran: had one of them waited for the attacker, both would wait for ever.
///
/// Answers whether the attack was stopped as it should be, and what was answered.
async fn run(attack: &Attack, others: &mut [&mut Arena]) -> (bool, String) {
    let mut arena = Arena::new(holdable()).await;
    let before = arena.dump();
    let mut answer = Ok(String::new().into());
    for step in attack.steps {
        arena.hold.begin();
        let living = async {
            arena.hold.taken().await;
            live(others).await;
            arena.hold.end();
            // And once more, while it attacks.
            live(others).await;
        };
        (answer, ()) = tokio::join!(arena.attack(step), living);
    }
    judge(attack, &mut arena, &before, answer.map(drop)).await
}

/// Runs an attack whose time is limited, and others beside it.
async fn run_timed(attack: &Attack, others: &mut [&mut Arena]) -> (bool, String) {
    let mut arena = Arena::new(shared()).await;
    let before = arena.dump();
    let mut answer = Ok(String::new().into());
    for step in attack.steps {
        (answer, ()) = tokio::join!(arena.attack(step), live(others));
    }
    judge(attack, &mut arena, &before, answer.map(drop)).await
}

async fn judge(
    attack: &Attack,
    arena: &mut Arena,
    before: &str,
    answer: Result<(), Error>,
) -> (bool, String) {
    assert_eq!(arena.dump(), before, "{} has changed the file", attack.name);
    arena.honest_call().await;
    arena.assert_sound().await;

    let stopped = attack.stopped.is(answer.as_ref().copied());
    let words = match &answer {
        Ok(()) => "ok, and nothing was written".to_owned(),
        Err(error) => {
            let path = arena.path().display().to_string();
            format!("`{}`: {error}", error.code()).replace(&path, "session.db")
        }
    };
    (stopped, words)
}

/// More stores run than there are threads for others, half of them under their write
/// locks, until the test ends it. Were they on the same threads, or behind the same lock,
/// the calls of others would wait for ever.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[cfg_attr(not(components), ignore = "needs `rustup target add wasm32-wasip2`")]
async fn stores_that_run_hold_up_no_other() {
    let mut running = Vec::new();
    let ended = std::sync::Arc::new(AtomicBool::new(false));
    for round in 0..6 {
        let arena = Arena::new(holdable()).await;
        let hold = arena.hold.clone();
        let ended = std::sync::Arc::clone(&ended);
        hold.begin();
        let attack = tokio::spawn(async move {
            let command = ["hold", "hold-in-transaction"][round % 2];
            let answer = arena.attack(command).await;
            assert!(ended.load(Ordering::SeqCst), "{answer:?}");
            answer.map(|answer| answer.0)
        });
        hold.taken().await;
        running.push((hold, attack));
    }
    let mut sibling = Arena::new(holdable()).await;
    let mut neighbour = Arena::new(StoreComponent::embedded()).await;
    for _ in 0..3 {
        live(&mut [&mut sibling, &mut neighbour]).await;
    }
    ended.store(true, Ordering::SeqCst);
    for (hold, attack) in running {
        hold.end();
        assert_eq!(attack.await.unwrap().unwrap(), "not stopped");
    }
    contained(
        "six stores run, three of them under the write lock",
        "threads of their own",
        "calls of other stores are answered meanwhile",
    );
}
