//! Sessions.

mod artifacts;
mod attachments;
mod blobs;
mod claim_selection;
mod commit;
mod deleted;
mod factory;
mod head;
mod load;
mod open;
mod queue;
mod retention;
