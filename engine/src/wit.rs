//! The types of the component's interfaces, grouped by the interface whose functions
//! take or return them.
//!
//! They are generated from `wit/`, in the repository and in the package of this crate,
//! which specifies them and the functions that take them. [`Call`](crate::Call) has a
//! method for each interface, and each of these a method for each function.

mod page;

/// The types of the interface `types`.
pub mod types {
    pub use super::page::Page;
    pub use crate::bindings::session_types::{BlobKind, BlobProfile, BlobSource};
    pub use crate::bindings::types::{BlobRef, ByteStrings, Corruption, Cursor};
}

/// The types of the interface `format`.
pub mod format {
    pub use crate::bindings::format_types::{
        Found, Initialized, Kind, Mismatch, State, UnsupportedVersion,
    };
}

/// The types of the interface `inspection-types`.
pub mod inspection_types {
    pub use crate::bindings::inspection_types::{CheckedTable, Repaired, Verification};
}

/// The types of the interface `export-types`.
pub mod export_types {
    pub use crate::bindings::export_types::{Exported, Field, FieldValue, Page};
}

/// The types of the interface `session`.
pub mod session {
    pub use crate::bindings::session_types::{
        BodyPage, CommitOutcome, CommitRequest, GraphChange, Head, HeadBody, HeadDraft, ReadScope,
        Receipt, RevisionConflict, Snapshot, TurnStamp,
    };
}

/// The types of the interface `graph`.
pub mod graph {
    pub use crate::bindings::session_types::{Node, NodePage, StoredNode};
}

/// The types of the interface `checkpoints`.
pub mod checkpoints {
    pub use crate::bindings::session_types::{
        Checkpoint, CheckpointDraft, Manifest, StoredCheckpoint,
    };
}

/// The types of the interface `artifacts`.
pub mod artifacts {
    pub use crate::bindings::session_types::{Artifact, ArtifactPage, Namespace};
}

/// The types of the interface `attachments`.
pub mod attachments {
    pub use crate::bindings::session_types::{AttachmentIntent, AttachmentPage};
}

/// The types of the interface `queue`.
pub mod queue {
    pub use crate::bindings::session_types::{
        Batch, BatchDraft, BatchPage, Boundary, ClaimRequest, Completion, DeliveryPolicy,
        HeldClaim, SlotPolicy,
    };
}

/// The types of the interface `usage`.
pub mod usage {
    pub use crate::bindings::session_types::{UsageEntry, UsagePage};
}

/// The types of the interface `metadata`.
pub mod metadata {
    pub use crate::bindings::session_types::{Description, Meta};
}

/// The types of the interface `maintenance`.
pub mod maintenance {
    pub use crate::bindings::session_types::{GcStep, VacuumStep};
}

/// The types of the interface `retention`.
pub mod retention {
    pub use crate::bindings::session_types::Pruned;
}

/// The types of the interface `session-inspection`.
pub mod session_inspection {
    pub use crate::bindings::inspection_types::{
        AttachmentStatistics, BlobSizes, Garbage, HeadStatistics, QueueStatistics,
        SessionStatistics,
    };
}

/// The types of the interface `session-import`.
pub mod session_import {
    pub use crate::bindings::import_types::{
        CheckedNodes, ImportedArtifact, ImportedAttachment, ImportedBatch, ImportedBatchClaim,
        ImportedBlob, ImportedNode, ImportedTurn, StoredContent,
    };
}

/// The types of the interface `processes`.
pub mod processes {
    pub use crate::bindings::process_types::{
        Changed, Process, ProcessPage, PrunablePage, Registered, Registration, Selection, Status,
    };
}

/// The types of the interface `process-events`.
pub mod process_events {
    pub use crate::bindings::process_types::{
        Appended, Awaited, Basis, End, Event, EventDraft, EventPage, Position, WakePage,
    };
}

/// The types of the interface `process-handles`.
pub mod process_handles {
    pub use crate::bindings::process_types::{Grant, Revocation, ScopePage};
}

/// The types of the interface `process-leases`.
pub mod process_leases {
    pub use crate::bindings::process_types::{Claimed, Lease};
}

/// The types of the interface `process-inspection`.
pub mod process_inspection {
    pub use crate::bindings::inspection_types::ProcessStatistics;
}

/// The types of the interface `process-import`.
pub mod process_import {
    pub use crate::bindings::import_types::{
        ImportedEnd, ImportedEvent, ImportedHandle, ImportedLease, ImportedProcess, Wake,
    };
}

/// The types of the interface `host-events`.
pub mod host_events {
    pub use crate::bindings::host_event_types::{
        Delivery, FanOut, Occurrence, OccurrenceDraft, Pruned, Recorded, Settlement, Subscription,
        SubscriptionDraft, SubscriptionFilter, UnreservedPage, UnsettledPage,
    };
}

/// The types of the interface `host-event-inspection`.
pub mod host_event_inspection {
    pub use crate::bindings::inspection_types::HostEventStatistics;
}

/// The types of the interface `host-event-import`.
pub mod host_event_import {
    pub use crate::bindings::import_types::{
        ImportedDelivery, ImportedOccurrence, ImportedSubscription,
    };
}

/// The types of the interface `effects`.
pub mod effects {
    pub use crate::bindings::effect_types::{
        Acquired, Busy, Claim, EffectKey, FinishedEffect, Known, Pruned, Recorded, Request,
    };
}

/// The types of the interface `effect-inspection`.
pub mod effect_inspection {
    pub use crate::bindings::inspection_types::EffectStatistics;
}

/// The types of the interface `effect-import`.
pub mod effect_import {
    pub use crate::bindings::import_types::{
        Adopted, ImportedEffect, ImportedEffectClaim, ImportedState,
    };
}
