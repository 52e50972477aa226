//! Programs that are killed in the middle of their work.

mod effects;
mod processes;
