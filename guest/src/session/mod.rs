//! The database of one session.

pub mod artifacts;
pub mod attachments;
pub mod blob;
pub mod checkpoint;
mod commit;
pub mod export;
pub mod graph;
mod head;
pub mod inspection;
mod lifecycle;
mod load;
pub mod maintenance;
pub mod metadata;
pub mod queue;
pub mod retention;
mod save;
mod statistics;
pub mod turn;
pub mod usage;

pub use commit::commit;
pub use lifecycle::{initialize, retire};
pub use load::{load, load_head};
pub use save::{add_head, save_head};
pub use statistics::statistics;
