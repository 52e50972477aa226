//! Files of sessions.

mod blobs;
mod flips;
mod garbage;
mod rows;
