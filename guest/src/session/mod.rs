//! The database of one session.

pub mod artifacts;
pub mod attachments;
pub mod blobs;
pub mod checkpoints;
mod commit;
pub(crate) mod digests;
mod export;
pub mod graph;
mod head;
mod lifecycle;
mod load;
pub mod maintenance;
pub mod metadata;
pub mod queue;
pub mod retention;
mod save;
mod schema;
mod statistics;
pub mod turns;
pub mod usage;
mod verify;

pub use commit::commit;
pub use export::read_page;
pub use lifecycle::{initialize, retire};
pub use load::{load, load_head};
pub use save::{add_head, save_head};
pub use statistics::statistics;
pub use verify::{repair, verify};
