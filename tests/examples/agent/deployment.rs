//! Everything durable of the agent, opened in one directory, and the core that
//! works on it.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use lash::persistence::FileAttachmentStore;
use lash::plugins::{PluginSpec, StaticPluginFactory};
use lash::runtime::EffectScope;
use lash::{LashCore, LashSession, ModelSpec, TurnInput, TurnOutput};
use lash_core::{EffectHost, HostEventStore, LashlangArtifactStore};
use lash_wasm_store::{
    SqliteEffectHost, SqliteEffectReplayOptions, SqliteHostEventStore, SqliteProcessRegistry,
    SqliteSessionStoreFactory, Store,
};

use crate::ledger::Ledger;
use crate::{provider, tools};

/// How long an effect is left to a process that does not finish it. Who takes
/// over from a killed process waits that long; and an effect that takes longer may
/// be executed by two, so outside of an example this is more than a second.
pub(crate) const LEASE: Duration = Duration::from_secs(1);

/// An agent in its directory.
pub(crate) struct Deployment {
    pub(crate) core: LashCore,
    pub(crate) effects: Arc<dyn EffectHost>,
    pub(crate) events: Arc<dyn HostEventStore>,
    pub(crate) artifacts: Arc<dyn LashlangArtifactStore>,
    pub(crate) ledger: Ledger,
}

impl Deployment {
    /// Opens the agent, and creates it if it does not exist.
    pub(crate) async fn open(root: &Path, ledger: Ledger) -> Result<Self> {
        std::fs::create_dir_all(root)
            .with_context(|| format!("cannot create {}", root.display()))?;
        let sessions = SqliteSessionStoreFactory::new(root.join("sessions"));
        let processes = SqliteProcessRegistry::open(&root.join("processes.db")).await?;
        let events: Arc<dyn HostEventStore> =
            Arc::new(SqliteHostEventStore::open(&root.join("events.db")).await?);
        let artifacts: Arc<dyn LashlangArtifactStore> =
            Arc::new(Store::open(&root.join("artifacts.db")).await?);
        let lease = SqliteEffectReplayOptions { lease_ttl: LEASE };
        let effects: Arc<dyn EffectHost> =
            Arc::new(SqliteEffectHost::open_with_options(&root.join("effects.db"), lease).await?);
        let model = ModelSpec::from_token_limits("scripted-model", None, 200_000, None)
            .map_err(anyhow::Error::msg)?;
        let core = LashCore::standard()
            .provider(provider::scripted(ledger.clone()))
            .model(model)
            .tools(tools::notes(ledger.clone()))
            .plugin(Arc::new(StaticPluginFactory::new("end", end(&ledger))))
            .store_factory(Arc::new(sessions))
            .process_registry(Arc::new(processes))
            .host_event_store(Arc::clone(&events))
            .lashlang_artifact_store(Arc::clone(&artifacts))
            .effect_host(Arc::clone(&effects))
            .attachment_store(Arc::new(FileAttachmentStore::new(root.join("attachments"))))
            .build()?;
        Ok(Self {
            core,
            effects,
            events,
            artifacts,
            ledger,
        })
    }

    /// Opens a session, and creates it if it does not exist.
    pub(crate) async fn session(&self, id: &str) -> Result<LashSession> {
        Ok(self.core.session(id).open().await?)
    }

    /// Runs a turn that has not been committed: from its beginning, or, if it was
    /// begun under this id before, from where it was left. Answers what the agent
    /// said.
    ///
    /// With effects that are recorded it is the caller who names the turn, as the
    /// name is what they are found by.
    pub(crate) async fn turn(
        &self,
        session: &LashSession,
        turn_id: &str,
        text: &str,
    ) -> Result<String> {
        let scope = EffectScope::turn(session.session_id(), turn_id);
        let output = session
            .turn(TurnInput::text(text))
            .advanced()
            .run_with_scope(self.effects.scoped(scope)?)
            .await?;
        said(output)
    }
}

/// What the agent said in a turn that succeeded.
pub(crate) fn said(output: TurnOutput) -> Result<String> {
    ensure!(
        output.is_success(),
        "the turn ended with {:?} {:?}",
        output.result.outcome,
        output.result.errors
    );
    Ok(output.assistant_message().unwrap_or_default().to_owned())
}

/// A plugin with one more place to be held: a turn is over, but not committed.
fn end(ledger: &Ledger) -> PluginSpec {
    let ledger = ledger.clone();
    PluginSpec::new().with_after_turn(Arc::new(move |_| {
        let ledger = ledger.clone();
        Box::pin(async move {
            ledger.pass("before the commit of the turn").await;
            Ok(Vec::new())
        })
    }))
}
