//! The tables of a session database.
//!
//! Three answers of absence are not confirmed, because a session asks for them
//! all the time and they would cost more the longer it lasts: that a turn is not
//! committed yet (the revision that its commit expects would give it away), that
//! a source key was not completed earlier, and what a queue of more than 64
//! batches holds for a claim.

use crate::storage::digests;

/// What makes an empty database one of this kind, in order.
pub(super) const STATEMENTS: &[&str] = &[
    digests::CREATE_TABLE,
    // One row; the digests say whether it must be there.
    "CREATE TABLE session_head (
        id           INTEGER PRIMARY KEY CHECK (id = 1),
        session_id   TEXT NOT NULL,
        revision     INTEGER NOT NULL,
        leaf         TEXT,
        checkpoint   BLOB,
        blob_keys    BLOB NOT NULL,
        retained     BLOB NOT NULL,
        content_hash INTEGER NOT NULL,
        checksum     INTEGER NOT NULL,
        content      BLOB NOT NULL
    )",
    // `body` comes last, so that reading the other columns does not touch the
    // overflow pages of a long body.
    "CREATE TABLE graph_nodes (
        seq        INTEGER PRIMARY KEY,
        node_id    TEXT NOT NULL UNIQUE,
        parent_seq INTEGER,
        prompt     INTEGER NOT NULL,
        tombstoned INTEGER NOT NULL,
        checksum   INTEGER NOT NULL,
        body       BLOB NOT NULL
    )",
    "CREATE INDEX graph_nodes_tombstoned ON graph_nodes (seq) WHERE tombstoned = 1",
    // Parents that vacuum removed: a path that ends at one of them ends rightly.
    "CREATE TABLE removed_nodes (seq INTEGER PRIMARY KEY)",
    "CREATE TABLE blobs (
        id       INTEGER PRIMARY KEY,
        key      BLOB NOT NULL UNIQUE,
        kind     INTEGER NOT NULL,
        encoding INTEGER NOT NULL,
        length   INTEGER NOT NULL,
        edges    BLOB NOT NULL,
        checksum INTEGER NOT NULL,
        content  BLOB NOT NULL
    )",
    "CREATE TABLE artifacts (
        id       INTEGER PRIMARY KEY,
        space    INTEGER NOT NULL,
        name     TEXT NOT NULL,
        kind     INTEGER NOT NULL,
        blob_key BLOB NOT NULL,
        checksum INTEGER NOT NULL,
        UNIQUE (space, name)
    )",
    "CREATE TABLE usage_entries (
        seq              INTEGER PRIMARY KEY,
        source           TEXT NOT NULL,
        model            TEXT NOT NULL,
        input_tokens     INTEGER NOT NULL,
        output_tokens    INTEGER NOT NULL,
        cached_tokens    INTEGER NOT NULL,
        reasoning_tokens INTEGER NOT NULL,
        recorded_at_ms   INTEGER NOT NULL,
        checksum         INTEGER NOT NULL
    )",
    "CREATE TABLE usage_totals (
        seq              INTEGER PRIMARY KEY,
        source           TEXT NOT NULL,
        model            TEXT NOT NULL,
        input_tokens     INTEGER NOT NULL,
        output_tokens    INTEGER NOT NULL,
        cached_tokens    INTEGER NOT NULL,
        reasoning_tokens INTEGER NOT NULL,
        recorded_at_ms   INTEGER NOT NULL,
        checksum         INTEGER NOT NULL,
        UNIQUE (source, model)
    )",
    "CREATE TABLE runtime_turn_commits (
        session_id      TEXT NOT NULL,
        turn_id         TEXT NOT NULL,
        commit_hash     TEXT NOT NULL,
        revision        INTEGER NOT NULL,
        checkpoint      BLOB NOT NULL,
        committed_at_ms INTEGER NOT NULL,
        checksum        INTEGER NOT NULL,
        PRIMARY KEY (session_id, turn_id)
    ) WITHOUT ROWID",
    // A claim's columns change, a payload does not: it has its own table.
    "CREATE TABLE queued_batches (
        seq              INTEGER PRIMARY KEY,
        batch_id         TEXT NOT NULL UNIQUE,
        session_id       TEXT NOT NULL,
        source_key       TEXT,
        delivery         INTEGER NOT NULL,
        slot             INTEGER NOT NULL,
        merge_key        TEXT NOT NULL,
        available_at_ms  INTEGER NOT NULL,
        enqueued_at_ms   INTEGER NOT NULL,
        claim_id         TEXT,
        lease_token      TEXT,
        fencing_token    INTEGER NOT NULL,
        lease_expires_ms INTEGER NOT NULL,
        checksum         INTEGER NOT NULL
    )",
    "CREATE INDEX queued_batches_ready
        ON queued_batches (session_id, max(available_at_ms, lease_expires_ms))",
    "CREATE UNIQUE INDEX queued_batches_source
        ON queued_batches (session_id, source_key) WHERE source_key IS NOT NULL",
    "CREATE INDEX queued_batches_claim
        ON queued_batches (claim_id) WHERE claim_id IS NOT NULL",
    "CREATE TABLE queued_payloads (
        seq      INTEGER PRIMARY KEY,
        checksum INTEGER NOT NULL,
        payloads BLOB NOT NULL
    )",
    // What keeps a source key idempotent after its batch was completed.
    "CREATE TABLE completed_sources (
        session_id      TEXT NOT NULL,
        source_key      TEXT NOT NULL,
        payload_digest  BLOB NOT NULL,
        seq             INTEGER NOT NULL,
        batch_id        TEXT NOT NULL,
        delivery        INTEGER NOT NULL,
        slot            INTEGER NOT NULL,
        merge_key       TEXT NOT NULL,
        available_at_ms INTEGER NOT NULL,
        enqueued_at_ms  INTEGER NOT NULL,
        completed_at_ms INTEGER NOT NULL,
        checksum        INTEGER NOT NULL,
        PRIMARY KEY (session_id, source_key)
    ) WITHOUT ROWID",
    "CREATE TABLE attachment_intents (
        session_id      TEXT NOT NULL,
        attachment_id   TEXT NOT NULL,
        canonical_uri   TEXT NOT NULL,
        intent_at_ms    INTEGER NOT NULL,
        committed_at_ms INTEGER,
        state           INTEGER NOT NULL,
        checksum        INTEGER NOT NULL,
        PRIMARY KEY (session_id, attachment_id)
    ) WITHOUT ROWID",
    "CREATE INDEX attachment_intents_attachment ON attachment_intents (attachment_id)",
    "CREATE TABLE session_meta (
        id           INTEGER PRIMARY KEY CHECK (id = 1),
        session_id   TEXT NOT NULL,
        session_name TEXT NOT NULL,
        created_at   TEXT NOT NULL,
        model        TEXT NOT NULL,
        cwd          TEXT,
        relation     BLOB NOT NULL,
        checksum     INTEGER NOT NULL
    )",
];
