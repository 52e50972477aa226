//! Work in the background: an event from outside starts a process, which is
//! written in Lashlang, uses a tool, and wakes the session.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail};
use lash::LashSession;
use lash::host_events::{HostEventOccurrenceRequest, empty_host_event_source_key};
use lash::process::{ProcessAwaitOutput, SessionScope};
use lash::runtime::EffectScope;
use lash_core::runtime::persist_process_execution_env;
use lash_core::{
    PluginOptions, ProcessExecutionEnvSpec, ProcessOriginator, TriggerSubscriptionDraft,
};
use lashlang::{
    LashlangAbilities, LashlangSurface, LinkedModule, ResourceCatalog, TriggerInputBinding,
    TriggerInputTemplate, TypeExpr,
};
use serde_json::{Value, json};

use crate::deployment::{Deployment, said};
use crate::tools;

/// The kind of the event: a letter has come in.
const LETTER: &str = "mail.letter";

const PROGRAM: &str = r#"
process weigh(letter: any) {
  count = await tools.word_count({ text: letter.text })?
  wake { from: letter.from, words: count }
  finish { from: letter.from, words: count }
}
"#;

/// Has the process started for each letter from now on. Both the program and the
/// subscription are stored, so this is done once and not once for each life.
pub(crate) async fn subscribe(deployment: &Deployment, session: &LashSession) -> Result<()> {
    let surface = LashlangSurface::new(
        ResourceCatalog::tool_default(tools::NAMES),
        LashlangAbilities::default().with_processes(),
    );
    let program = LinkedModule::link(lashlang::parse(PROGRAM)?, surface)?;
    let artifacts = &*deployment.artifacts;
    artifacts.put_module_artifact(&program.artifact).await?;
    let environment =
        ProcessExecutionEnvSpec::new(PluginOptions::default(), session.policy_snapshot());
    let env_ref = persist_process_execution_env(artifacts, &environment).await?;
    let process_ref = program.artifact.process_ref("weigh");
    let scope = SessionScope::new(session.session_id());
    let inputs = BTreeMap::from([("letter".to_owned(), TriggerInputBinding::Event)]);
    let draft = TriggerSubscriptionDraft {
        registrant: ProcessOriginator::session(scope.clone()),
        env_ref,
        wake_target: Some(scope),
        name: Some("weigh letters".to_owned()),
        source_type: LETTER.to_owned(),
        source_key: empty_host_event_source_key(LETTER)?,
        source: json!({}),
        event_ty: TypeExpr::Any,
        process_ref: process_ref.context("there is no process")?.clone(),
        process_name: "weigh".to_owned(),
        module_ref: program.module_ref,
        required_surface_ref: program.required_surface_ref,
        input_template: TriggerInputTemplate::new(inputs),
    };
    deployment.events.register_subscription(draft).await?;
    Ok(())
}

/// Tells the agent of a letter, and answers which process this started: none if
/// it was told of this letter before.
pub(crate) async fn deliver(
    deployment: &Deployment,
    letter: &str,
    text: &str,
) -> Result<Option<String>> {
    let request = HostEventOccurrenceRequest::new(
        LETTER,
        empty_host_event_source_key(LETTER)?,
        json!({ "from": "Ada", "text": text }),
        letter,
    );
    let scope = EffectScope::runtime_operation(letter);
    let effects = deployment.effects.scoped(scope)?;
    let report = deployment.core.host_events().emit(request, effects).await?;
    Ok(report.started_process_ids.into_iter().next())
}

/// Waits for the end of a process, and answers its result.
pub(crate) async fn result(deployment: &Deployment, process_id: &str) -> Result<Value> {
    match deployment.core.processes().await_output(process_id).await? {
        ProcessAwaitOutput::Success { value, .. } => Ok(value),
        other => bail!("the process {process_id} ended with {other:?}"),
    }
}

/// Runs the turn that a process has queued by its wake, and answers what the agent
/// said.
pub(crate) async fn woken_turn(
    deployment: &Deployment,
    session: &LashSession,
    drain_id: &str,
) -> Result<String> {
    let scope = EffectScope::queue_drain(session.session_id(), drain_id);
    let effects = deployment.effects.scoped(scope)?;
    let output = session
        .queued_turn()
        .drain_id(drain_id)
        .effects(effects.controller())
        .run()
        .await?
        .context("the process has not woken the session")?;
    said(output)
}
