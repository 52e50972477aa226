//! The tables of the database of processes.
//!
//! What was registered never changes, and neither does an outcome: both have
//! tables of their own, so that an append writes one event and one small row.
//! Processes have numbers, which come from a counter that never goes back.
//!
//! Every process has a row of its state, which also holds its lease, the digest
//! of its handles and that of its pending wakes: none of them can be missing
//! without notice. What is asked for by a name (a process, a replay key, a type of
//! event, a scope, a session) has two indexes, one over the name and one over a
//! checksum of it, and both must agree.

use crate::storage::digests;

/// What makes an empty database one of this kind, in order.
pub(super) const STATEMENTS: &[&str] = &[
    digests::CREATE_TABLE,
    "CREATE TABLE processes (
        seq               INTEGER PRIMARY KEY,
        id                TEXT NOT NULL UNIQUE,
        identity          INTEGER NOT NULL,
        registration_hash TEXT NOT NULL,
        created_at_ms     INTEGER NOT NULL,
        content_hash      INTEGER NOT NULL,
        checksum          INTEGER NOT NULL,
        content           BLOB NOT NULL
    )",
    "CREATE INDEX processes_identity ON processes (identity)",
    "CREATE TABLE process_states (
        seq              INTEGER PRIMARY KEY,
        status           INTEGER NOT NULL,
        updated_at_ms    INTEGER NOT NULL,
        ended_at_ms      INTEGER NOT NULL,
        last_sequence    INTEGER NOT NULL,
        grant_count      INTEGER NOT NULL,
        grant_sum        INTEGER NOT NULL,
        wake_count       INTEGER NOT NULL,
        wake_sum         INTEGER NOT NULL,
        fencing_token    INTEGER NOT NULL,
        lease_owner      TEXT,
        lease_token      TEXT,
        lease_claimed_ms INTEGER NOT NULL,
        lease_expires_ms INTEGER NOT NULL,
        checksum         INTEGER NOT NULL,
        wait             BLOB,
        external_ref     BLOB
    )",
    "CREATE INDEX process_states_running ON process_states (seq) WHERE status = 0",
    "CREATE INDEX process_states_prunable ON process_states (ended_at_ms)
        WHERE status <> 0 AND grant_count = 0",
    "CREATE TABLE process_outcomes (
        seq      INTEGER PRIMARY KEY,
        checksum INTEGER NOT NULL,
        outcome  BLOB NOT NULL
    )",
    // The number of the process in the upper half of the key, the sequence of the
    // event in the lower: the events of a process lie side by side.
    "CREATE TABLE process_events (
        id              INTEGER PRIMARY KEY,
        process         INTEGER NOT NULL,
        type            TEXT NOT NULL,
        type_identity   INTEGER NOT NULL,
        replay_key      TEXT,
        replay_identity INTEGER,
        payload_hash    TEXT NOT NULL,
        wake            INTEGER NOT NULL,
        content_hash    INTEGER NOT NULL,
        checksum        INTEGER NOT NULL,
        content         BLOB NOT NULL
    )",
    "CREATE INDEX process_events_type ON process_events (process, type)",
    "CREATE INDEX process_events_type_identity ON process_events (type_identity)",
    "CREATE UNIQUE INDEX process_events_replay
        ON process_events (process, replay_key) WHERE replay_key IS NOT NULL",
    "CREATE UNIQUE INDEX process_events_replay_identity
        ON process_events (replay_identity) WHERE replay_identity IS NOT NULL",
    "CREATE INDEX process_events_wakes ON process_events (process) WHERE wake = 1",
    "CREATE TABLE process_grants (
        id               INTEGER PRIMARY KEY,
        scope_id         TEXT NOT NULL,
        process          INTEGER NOT NULL,
        session_id       TEXT NOT NULL,
        scope_identity   INTEGER NOT NULL,
        session_identity INTEGER NOT NULL,
        checksum         INTEGER NOT NULL,
        descriptor       BLOB NOT NULL,
        UNIQUE (scope_id, process)
    )",
    "CREATE INDEX process_grants_scope_identity ON process_grants (scope_identity, process)",
    "CREATE INDEX process_grants_process ON process_grants (process)",
    "CREATE INDEX process_grants_session ON process_grants (session_id)",
    "CREATE INDEX process_grants_session_identity ON process_grants (session_identity)",
];
