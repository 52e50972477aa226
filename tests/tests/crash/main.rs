//! What a crash or an error in the middle leaves behind.

mod killed;
mod sweep;
