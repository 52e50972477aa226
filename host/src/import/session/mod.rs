//! Session databases.
//!
//! Blobs keep their keys, and everything else its identifiers, numbers, times and
//! tokens: what the application knows it finds, and what was claimed stays claimed.

mod artifacts;
mod blobs;
mod head;
mod manifest;
mod metadata;
mod nodes;
mod queue;
mod rest;
mod turns;

use super::error::ImportError;
use super::run::Run;

/// Brings everything over.
pub(super) fn import(run: &mut Run<'_>) -> Result<(), ImportError> {
    metadata::import(run)?;
    // The others refer to blobs.
    blobs::import(run)?;
    artifacts::import(run)?;
    nodes::import(run)?;
    let revision = head::import(run)?;
    turns::import(run, revision)?;
    rest::usage(run)?;
    queue::import(run)?;
    rest::attachments(run)
}
