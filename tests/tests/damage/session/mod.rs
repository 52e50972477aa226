//! Files of sessions.

mod blobs;
mod flips;
mod garbage;
mod replaced;
mod rows;
