//! Sessions.

mod artifacts;
mod attachments;
mod blobs;
mod claim_selection;
mod commit;
mod deleted;
mod dropped;
mod factory;
mod head;
mod leases;
mod load;
mod locks;
mod open;
mod queue;
mod readonly;
mod retention;
