//! Every attack is stopped by what should stop it, and harms nobody.

use lash_wasm_store::StoreComponent;

use super::arena::{Arena, shared};
use super::attacks::{ATTACKS, Attack};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_attack_is_contained() {
    // Two stores beside it: one on the same component, one on that of the crate.
    let mut sibling = Arena::new(shared()).await;
    let mut neighbour = Arena::new(StoreComponent::embedded()).await;
    println!("| attack | stopped by | answer |\n|---|---|---|");
    let mut wrong = Vec::new();
    for attack in ATTACKS {
        let (stopped, answer) = run(attack, &mut [&mut sibling, &mut neighbour]).await;
        let by = attack.stopped.words();
        println!("| {} | {by} | {answer} |", attack.name);
        if !stopped {
            wrong.push(format!("{}: {answer}", attack.name));
        }
    }
    sibling.assert_sound().await;
    neighbour.assert_sound().await;
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// Answers whether the attack was stopped as it should be, and what was answered.
async fn run(attack: &Attack, others: &mut [&mut Arena]) -> (bool, String) {
    let mut arena = Arena::new(shared()).await;
    let before = arena.dump();
    let mut answer = Ok(String::new().into());
    for step in attack.steps {
        let attacking = arena.attack(step);
        let living = async {
            for other in others.iter_mut() {
                other.honest_call().await;
            }
        };
        (answer, ()) = tokio::join!(attacking, living);
    }
    assert_eq!(arena.dump(), before, "{} has changed the file", attack.name);
    arena.honest_call().await;
    arena.assert_sound().await;

    let stopped = attack.stopped.is(answer.as_ref().map(drop));
    let words = match &answer {
        Ok(_) => "ok, and nothing was written".to_owned(),
        Err(error) => {
            let path = arena.path().display().to_string();
            format!("`{}`: {error}", error.code()).replace(&path, "session.db")
        }
    };
    (stopped, words)
}
