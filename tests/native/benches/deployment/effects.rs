//! Executing an effect once, and replaying it.

use std::sync::Arc;

use lash_core::{EffectHost, ScopedEffectController};
use lash_wasm_store_testing::effects::{effect_with, ending, outcome, turn};

use crate::engines::Setup;
use crate::report::Report;
use crate::{interleave, names};

const EFFECTS: usize = 1000;

/// Asks for an effect, which is executed if nothing is recorded.
async fn run(controller: &ScopedEffectController<'_>, number: usize) {
    let effect = effect_with(&format!("effect-{number}"), &"x".repeat(2000));
    let executor = ending(Ok(outcome("y".repeat(2000))));
    controller
        .controller()
        .execute_effect(effect, executor)
        .await
        .unwrap();
}

async fn hosts(directory: &std::path::Path) -> Vec<Arc<dyn EffectHost>> {
    let mut hosts = Vec::new();
    for setup in Setup::ALL {
        hosts.push(setup.effects(directory).await);
    }
    hosts
}

fn controllers(hosts: &[Arc<dyn EffectHost>]) -> Vec<ScopedEffectController<'_>> {
    hosts
        .iter()
        .map(|host| host.scoped(turn()).unwrap())
        .collect()
}

/// An effect that is executed for the first time: claimed, and finished.
pub(crate) async fn execute(report: &mut Report) {
    let directory = tempfile::tempdir().unwrap();
    let hosts = hosts(directory.path()).await;
    let mut engines = controllers(&hosts);
    let samples = interleave(&mut engines, EFFECTS, run).await;
    report.add("execute", &names(), samples);
}

/// Effects that are recorded, one after the other, as when a turn is run again.
pub(crate) async fn replay(report: &mut Report) {
    let directory = tempfile::tempdir().unwrap();
    let hosts = hosts(directory.path()).await;
    for controller in controllers(&hosts) {
        for number in 0..EFFECTS {
            run(&controller, number).await;
        }
    }
    let mut engines = controllers(&hosts);
    let samples = interleave(&mut engines, EFFECTS, run).await;
    report.add("replay", &names(), samples);
}
