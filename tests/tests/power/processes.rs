//! The processes of a deployment.

use std::path::Path;

use lash_core::{ProcessHandleDescriptor, ProcessRegistry, SessionScope};
use lash_wasm_store::Durability;
use lash_wasm_store_testing::damage::wait_until_closed;
use lash_wasm_store_testing::fixtures::at;
use lash_wasm_store_testing::process_fixtures::{registration, success, tick, wake};

use crate::proof::{ready, step, steps};
use crate::state::{NOW_MS, clock, contents, failure, power};

power! {
    registry: super::work, super::state;
}

async fn state(base: &Path) -> Result<String, String> {
    let path = base.join("processes.db");
    let builder = clock().builder();
    let registry = builder.open_process_registry(&path).await;
    let registry = registry.map_err(failure)?;
    let contents = contents(&path).await?;
    registry.close().await;
    Ok(contents)
}

async fn work(base: &Path, durability: Durability) {
    let path = base.join("processes.db");
    let clock = clock();
    let open = || {
        let builder = clock.builder().durability(durability);
        builder.open_process_registry(&path)
    };
    let registry = steps(true, open()).await.unwrap();
    ready();
    let scope = SessionScope::new("a-session");
    for id in ["a", "b"] {
        step(true, registry.register_process(registration(id)))
            .await
            .unwrap();
        let descriptor = ProcessHandleDescriptor::new(Some("kind"), Some(id));
        step(true, registry.grant_handle(&scope, id, descriptor))
            .await
            .unwrap();
        let lease = step(false, registry.claim_process_lease(id, "owner", 60_000))
            .await
            .unwrap();
        for n in 0..2 {
            step(true, registry.append_event(id, tick(n)))
                .await
                .unwrap();
        }
        let lease = step(false, registry.renew_process_lease(&lease, 90_000))
            .await
            .unwrap();
        let woken = step(true, registry.append_event(id, wake("up")))
            .await
            .unwrap();
        let sequence = woken.event.sequence;
        step(true, registry.ack_wake(id, sequence)).await.unwrap();
        let ended = registry.complete_process_with_lease(&lease, success(id));
        step(true, ended).await.unwrap();
    }
    step(true, registry.revoke_handle(&scope, "a"))
        .await
        .unwrap();
    clock.advance(10_000);
    let before = at(NOW_MS.cast_unsigned() + 1);
    let pruned = steps(true, registry.prune_ended(before, None)).await;
    assert_eq!(pruned.unwrap(), 1);
    registry.close().await;
    wait_until_closed(&path);
    let registry = steps(true, open()).await.unwrap();
    step(true, registry.register_process(registration("c")))
        .await
        .unwrap();
    let deleted = registry.delete_session_process_state("a-session");
    step(true, deleted).await.unwrap();
    registry.close().await;
    wait_until_closed(&path);
}
