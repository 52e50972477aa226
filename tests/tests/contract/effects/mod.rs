//! Effects.

mod claims;
mod replay;
mod retention;
