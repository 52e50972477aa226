//! The component as it is shipped, and hosts for it.

mod built;
mod embedding;
mod host_conformance;
