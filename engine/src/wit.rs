//! The types of the component's interfaces, one module for each interface.
//!
//! They are generated from `wit/`, in the repository and in the package of this crate,
//! which specifies them and the functions that take them. [`Call`](crate::Call) has a
//! method for each interface, and each of these a method for each function.

/// The types of the interface `types`.
pub mod types {
    pub use crate::bindings::types::{BlobKind, BlobProfile, BlobRef, BlobSource, UsageEntry};
}

/// The types of the interface `format`.
pub mod format {
    pub use crate::bindings::interfaces::format::{Found, Initialized, Kind, Mismatch, State};
}

/// The types of the interface `inspection-types`.
pub mod inspection_types {
    pub use crate::bindings::interfaces::inspection_types::{CheckedTable, Verification};
}

/// The types of the interface `export-types`.
pub mod export_types {
    pub use crate::bindings::interfaces::export_types::{Exported, Field, FieldValue, Page};
}

/// The types of the interface `session`.
pub mod session {
    pub use crate::bindings::interfaces::session::{
        CommitOutcome, CommitRequest, GraphChange, Head, HeadBody, HeadDraft, ReadScope, Receipt,
        RevisionConflict, Snapshot, TurnStamp,
    };
}

/// The types of the interface `graph`.
pub mod graph {
    pub use crate::bindings::interfaces::graph::Node;
}

/// The types of the interface `checkpoints`.
pub mod checkpoints {
    pub use crate::bindings::interfaces::checkpoints::{
        Checkpoint, CheckpointDraft, Manifest, StoredCheckpoint,
    };
}

/// The types of the interface `artifacts`.
pub mod artifacts {
    pub use crate::bindings::interfaces::artifacts::NameSpace;
}

/// The types of the interface `attachments`.
pub mod attachments {
    pub use crate::bindings::interfaces::attachments::Intent;
}

/// The types of the interface `queue`.
pub mod queue {
    pub use crate::bindings::interfaces::queue::{
        Batch, Boundary, ClaimRequest, Completion, DeliveryPolicy, Draft, HeldClaim, SlotPolicy,
    };
}

/// The types of the interface `metadata`.
pub mod metadata {
    pub use crate::bindings::interfaces::metadata::{Description, Meta};
}

/// The types of the interface `maintenance`.
pub mod maintenance {
    pub use crate::bindings::interfaces::maintenance::GcReport;
}

/// The types of the interface `retention`.
pub mod retention {
    pub use crate::bindings::interfaces::retention::Pruned;
}

/// The types of the interface `session-inspection`.
pub mod session_inspection {
    pub use crate::bindings::interfaces::session_inspection::{
        AttachmentStatistics, BlobSizes, Garbage, HeadStatistics, QueueStatistics,
        SessionStatistics,
    };
}

/// The types of the interface `session-import`.
pub mod session_import {
    pub use crate::bindings::interfaces::session_import::{
        CheckedNodes, ImportedArtifact, ImportedAttachment, ImportedBatch, ImportedBlob,
        ImportedClaim, ImportedNode, ImportedTurn, StoredContent,
    };
}

/// The types of the interface `processes`.
pub mod processes {
    pub use crate::bindings::interfaces::processes::{
        Changed, Process, Registered, Registration, Selection, Status,
    };
}

/// The types of the interface `process-events`.
pub mod process_events {
    pub use crate::bindings::interfaces::process_events::{
        Appended, Awaited, Basis, Draft, End, Event, Position,
    };
}

/// The types of the interface `process-handles`.
pub mod process_handles {
    pub use crate::bindings::interfaces::process_handles::{Grant, Revocation};
}

/// The types of the interface `process-leases`.
pub mod process_leases {
    pub use crate::bindings::interfaces::process_leases::{Claimed, Lease};
}

/// The types of the interface `process-inspection`.
pub mod process_inspection {
    pub use crate::bindings::interfaces::process_inspection::ProcessStatistics;
}

/// The types of the interface `process-import`.
pub mod process_import {
    pub use crate::bindings::interfaces::process_import::{
        ImportedEnd, ImportedEvent, ImportedHandle, ImportedLease, ImportedProcess, Wake,
    };
}

/// The types of the interface `host-events`.
pub mod host_events {
    pub use crate::bindings::interfaces::host_events::{
        Delivery, FanOut, Occurrence, OccurrenceDraft, Recorded, Settlement, Subscription,
        SubscriptionDraft, SubscriptionFilter,
    };
}

/// The types of the interface `host-event-inspection`.
pub mod host_event_inspection {
    pub use crate::bindings::interfaces::host_event_inspection::HostEventStatistics;
}

/// The types of the interface `host-event-import`.
pub mod host_event_import {
    pub use crate::bindings::interfaces::host_event_import::{
        ImportedDelivery, ImportedOccurrence, ImportedSubscription,
    };
}

/// The types of the interface `effects`.
pub mod effects {
    pub use crate::bindings::interfaces::effects::{
        Acquired, Busy, Claim, EffectKey, FinishedEffect, Known, Pruned, Recorded, Request,
    };
}

/// The types of the interface `effect-inspection`.
pub mod effect_inspection {
    pub use crate::bindings::interfaces::effect_inspection::EffectStatistics;
}

/// The types of the interface `effect-import`.
pub mod effect_import {
    pub use crate::bindings::interfaces::effect_import::{
        Adopted, ImportedClaim, ImportedEffect, ImportedState,
    };
}
