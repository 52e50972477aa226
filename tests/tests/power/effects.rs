//! The effects of a deployment.

use std::path::Path;

use lash_core::EffectScope;
use lash_wasm_store::{Durability, SqliteEffectReplayOptions};
use lash_wasm_store_testing::damage::wait_until_closed;
use lash_wasm_store_testing::effects::{LONG, controller_of, effect, returning, run, turn};
use lash_wasm_store_testing::fixtures::at;

use crate::proof::{ready, steps};
use crate::state::{NOW_MS, clock, contents, failure, power};

power! {
    host: super::work, super::state;
}

fn options() -> SqliteEffectReplayOptions {
    SqliteEffectReplayOptions { lease_ttl: LONG }
}

async fn state(base: &Path) -> Result<String, String> {
    let path = base.join("effects.db");
    let host = clock().builder().open_effect_host(&path, options()).await;
    let host = host.map_err(failure)?;
    let contents = contents(&path).await?;
    host.close().await;
    Ok(contents)
}

async fn work(base: &Path, durability: Durability) {
    let path = base.join("effects.db");
    let clock = clock();
    let open = || {
        let builder = clock.builder().durability(durability);
        builder.open_effect_host(&path, options())
    };
    let other = EffectScope::turn("session", "other");
    let host = steps(true, open()).await.unwrap();
    ready();
    for (scope, key) in [(turn(), "a"), (turn(), "b"), (other.clone(), "c")] {
        // Claimed, then finished.
        let controller = controller_of(&host, scope);
        steps(true, run(&controller, effect(key), returning("done")))
            .await
            .unwrap();
    }
    host.close().await;
    wait_until_closed(&path);
    let host = steps(true, open()).await.unwrap();
    for key in ["d", "e"] {
        let controller = controller_of(&host, other.clone());
        steps(true, run(&controller, effect(key), returning("done")))
            .await
            .unwrap();
    }
    // What is removed may come back.
    assert_eq!(steps(false, host.forget_scope(&turn())).await.unwrap(), 2);
    clock.advance(10_000);
    let before = at(NOW_MS.cast_unsigned() + 1);
    assert_eq!(steps(false, host.prune(before)).await.unwrap(), 3);
    host.close().await;
    wait_until_closed(&path);
}
