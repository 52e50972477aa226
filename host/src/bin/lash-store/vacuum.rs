//! `lash-store vacuum`: removes what was marked as deleted, and makes the file smaller.

use serde::Serialize;

use crate::arguments::Vacuum;
use crate::failure::Failure;
use crate::output::Output;
use crate::reclaim::{self, Database};
use crate::units::count;

#[derive(Serialize)]
struct Removed {
    removed_nodes: usize,
}

pub(crate) async fn run(arguments: Vacuum, output: &mut Output) -> Result<(), Failure> {
    let vacuum = async |database: &Database| {
        let removed_nodes = match database {
            Database::Session(store) => store.try_vacuum().await?.removed_node_count,
            _ => 0,
        };
        database.give_back_pages().await?;
        Ok(Removed { removed_nodes })
    };
    let describe = |removed: &Removed| {
        let nodes = count(removed.removed_nodes as u64, "node", "nodes");
        format!("{nodes} removed")
    };
    reclaim::each(&arguments.databases, "vacuuming", output, vacuum, describe).await
}
