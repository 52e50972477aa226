//! Sessions.

mod growth;
mod statements;
