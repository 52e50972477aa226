//! The names of artifacts.

use std::path::PathBuf;

use anyhow::Result;
use lash_wasm_store_testing::host_events::module;
use lashlang::LashlangArtifactStore;

use super::engine::Store;
use crate::observation::Observation;
use crate::scenario::Scenario;

pub(super) fn scenarios() -> Vec<Scenario> {
    vec![Scenario::new(
        "D17",
        "bytes are stored under the name that a module has",
        |directory| Box::pin(bytes_over_a_module(directory)),
    )]
}

async fn bytes_over_a_module(directory: PathBuf) -> Result<Observation> {
    let path = directory.join("session.db");
    let module = module();
    let store = Store::open(&path).await?;
    store.put_module_artifact(&module).await?;
    store
        .put_artifact_bytes(
            module.module_ref.as_str(),
            "process_execution_env",
            b"bytes",
        )
        .await?;

    // Another handle, which has nothing in its cache.
    let store = Store::open(&path).await?;
    Ok(match store.get_module_artifact(&module.module_ref).await {
        Ok(Some(_)) => Observation::right("both are there"),
        Ok(None) => Observation::defect("the module is gone"),
        Err(error) => Observation::defect(format!("the module is gone: {error}")),
    })
}
