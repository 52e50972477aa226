//! Executing an effect once, and replaying it.

use std::sync::Arc;

use lash_core::{
    EffectHost, EffectScope, ExecResponse, RuntimeEffectCommand, RuntimeEffectEnvelope,
    RuntimeEffectKind, RuntimeEffectLocalExecutor, RuntimeEffectOutcome, RuntimeInvocation,
    RuntimeScope, ScopedEffectController,
};
use serde_json::json;

use crate::engines::Setup;
use crate::report::Report;
use crate::{interleave, names};

const EFFECTS: usize = 1000;

fn envelope(number: usize) -> RuntimeEffectEnvelope {
    let key = format!("effect-{number}");
    RuntimeEffectEnvelope::new(
        RuntimeInvocation::effect(
            RuntimeScope::for_turn("session", "turn", 1, 0),
            key.clone(),
            RuntimeEffectKind::ExecCode,
            key,
        ),
        RuntimeEffectCommand::ExecCode {
            code: "x".repeat(2000),
        },
    )
}

async fn run(
    host: &Arc<dyn EffectHost>,
    scoped: Option<&ScopedEffectController<'_>>,
    number: usize,
) {
    let executor = RuntimeEffectLocalExecutor::testing(|_| async {
        Ok(RuntimeEffectOutcome::ExecCode {
            result: Ok(ExecResponse {
                observations: Vec::new(),
                observation_truncation: Vec::new(),
                tool_calls: Vec::new(),
                images: Vec::new(),
                printed_images: Vec::new(),
                error: None,
                duration_ms: 0,
                terminal_finish: Some(json!("y".repeat(2000))),
            }),
        })
    });
    let own;
    let scoped = match scoped {
        Some(scoped) => scoped,
        None => {
            own = host.scoped(scope()).unwrap();
            &own
        }
    };
    scoped
        .controller()
        .execute_effect(envelope(number), executor)
        .await
        .unwrap();
}

fn scope() -> EffectScope {
    EffectScope::turn("session", "turn")
}

/// An effect that is executed for the first time: claimed, and finished.
pub(crate) async fn execute(report: &mut Report) {
    let directory = tempfile::tempdir().unwrap();
    let mut hosts = Vec::new();
    for setup in Setup::ALL {
        hosts.push(setup.effects(directory.path()).await);
    }
    let mut engines = Vec::new();
    for host in &hosts {
        engines.push((host, host.scoped(scope()).unwrap()));
    }
    let samples = interleave(&engines, EFFECTS, async |(host, scoped), turn| {
        run(host, Some(scoped), turn).await;
    })
    .await;
    report.add("execute", &names(), samples);
}

/// Effects that are recorded, one after the other, as when a turn is run again.
pub(crate) async fn replay(report: &mut Report) {
    let directory = tempfile::tempdir().unwrap();
    let mut hosts = Vec::new();
    for setup in Setup::ALL {
        let host = setup.effects(directory.path()).await;
        for number in 0..EFFECTS {
            run(&host, None, number).await;
        }
        hosts.push(host);
    }
    let mut engines = Vec::new();
    for host in &hosts {
        engines.push((host, host.scoped(scope()).unwrap()));
    }
    let samples = interleave(&engines, EFFECTS, async |(host, scoped), turn| {
        run(host, Some(scoped), turn).await;
    })
    .await;
    report.add("replay", &names(), samples);
}
