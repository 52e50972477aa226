//! `lash-store gc`: removes blobs that nothing refers to.

use serde::Serialize;

use crate::arguments::Gc;
use crate::failure::Failure;
use crate::output::Output;
use crate::reclaim::{self, Database};
use crate::units::count;

/// What was done; nothing, where there are no blobs.
#[derive(Default, Serialize)]
struct Collected {
    removed_blobs: usize,
}

pub(crate) async fn run(arguments: Gc, output: &mut Output) -> Result<(), Failure> {
    let collect = async |database: &Database| {
        let Database::Session(store) = database else {
            return Ok(Collected::default());
        };
        let report = store.try_gc_unreachable().await?;
        Ok(Collected {
            removed_blobs: report.deleted_blob_count,
        })
    };
    let describe = |collected: &Collected| {
        let blobs = count(collected.removed_blobs as u64, "blob", "blobs");
        format!("{blobs} removed")
    };
    reclaim::each(
        &arguments.databases,
        "collecting",
        output,
        collect,
        describe,
    )
    .await
}
