//! What a crash or an error in the middle leaves behind.

mod effects_killed;
mod sweep;
