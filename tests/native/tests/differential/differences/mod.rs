//! Where this crate differs from another engine on purpose: the one list.
//!
//! [`Difference`] names each and says why. The module of its kind of database says
//! exactly when it applies: after which operations, and which two answers it allows.
//! [`crate::examples`] has a sequence for each.

pub(crate) mod effects;
pub(crate) mod host_events;
pub(crate) mod processes;
pub(crate) mod session;

macro_rules! differences {
    ($($(#[$reason:meta])* $name:ident,)*) => {
        /// A difference that is meant. Beside the native crate, unless it says
        /// otherwise.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub(crate) enum Difference {
            $($(#[$reason])* $name,)*
        }

        impl Difference {
            /// All of them.
            pub(crate) const ALL: &[Self] = &[$(Self::$name),*];
        }
    };
}

differences! {
    /// Sessions: a commit without an expected revision means that no head exists.
    /// Otherwise the second of two creators deletes the work of the first.
    AbsentRevision,
    /// Sessions: a commit whose nodes hang on nothing or in a circle, or whose leaf is
    /// unknown, is refused. Otherwise paths have holes, or never end.
    DanglingGraph,
    /// Sessions: a path ends where a parent was removed, also when another node gets the
    /// parent's identifier. The native crate goes on from that one, which may be a
    /// descendant: then it never answers.
    RemovedParent,
    /// Sessions: a checkpoint that refers to a blob that is not stored is refused.
    /// Otherwise it is read as an empty one later.
    DanglingCheckpoint,
    /// Sessions: the manifest of a stamped turn is kept by garbage collection, because
    /// a replay of the commit answers it. The native crate keeps a copy with the stamp.
    StampedManifest,
    /// Sessions: the execution state of a frame is a blob, not part of the head, and is
    /// counted by garbage collection.
    FrameBlobs,
    /// Queue: a completion must name the batches that its claim has, not as many.
    /// Otherwise others stay claimed and are delivered again.
    CountedCompletion,
    /// Queue: a renewal that is refused extends nothing. The native crate extends the
    /// batches that are left before it refuses.
    PartialRenewal,
    /// Commit: two completions of one claim are refused.
    RepeatedCompletion,
    /// Queue: a claim of chosen batches that is refused leaves all batches alone. The
    /// native crate claims what is ready and gives it back, and so takes batches from
    /// an owner whose lease has expired but who could still complete.
    ExactClaimLeavesAlone,
    /// Queue: work under a source key that was completed is not queued again.
    Redelivery,
    /// Attachments: an intent that is recorded again is as old as the last record.
    /// Otherwise a sweep removes what is just being written.
    RefreshedIntent,
    /// Times and counters of 64 bits: larger values than 63 bits count as the largest.
    /// The native crate turns them into negative numbers.
    SixtyFourBits,
    /// Artifacts: a name of one kind is not given to another kind.
    ArtifactKind,
    /// Processes, beside both: acknowledging a wake of an event that does not exist yet
    /// does nothing. Otherwise the wake is lost when the event comes.
    AcknowledgedInAdvance,
    /// Processes, beside the store in memory: a lease on a process that does not exist
    /// is refused, as by the native crate.
    MemoryLeaseOfNothing,
    /// Processes, beside the store in memory: handles are transferred all or none, as
    /// by the native crate.
    MemoryTransferInPart,
    /// Processes, beside both: an event that ends a process is refused from a worker
    /// that lost its lease.
    LostLease,
    /// Host events, beside both: a subscription does not get an occurrence that was
    /// recorded before it.
    LateSubscription,
    /// Effects: scopes of two kinds or sessions with the same identifier share nothing.
    SharedScope,
    /// Effects: an error that says that the effect could not be executed is not
    /// recorded, and so not replayed for ever.
    NotExecuted,
    /// Effects: `start_replay` of a host leaves controllers alone that were handed out
    /// before, so that a turn does not fail in the middle.
    ReplayOfOneController,
}
