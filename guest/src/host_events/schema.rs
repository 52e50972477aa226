//! The tables of the database of host events.
//!
//! Only subscriptions, and deliveries that are not settled, have a digest of all
//! their rows. Occurrences and settled deliveries are many, and are read one at a
//! time or by what they belong to:
//! - an idempotency key, or the number of a subscription, is unknown only if both
//!   of its indexes say so,
//! - an occurrence counts its deliveries,
//! - a second index must lead to the same subscriptions of a source, or of a
//!   session, so that one damaged page neither loses an event nor leaves a
//!   subscription behind.
//!
//! What is found by one index only is not confirmed, where a row that is hidden
//! makes nothing happen twice and loses nothing that is to be started: an
//! occurrence by its identifier (who asks gets an error), subscriptions by their
//! name or by the type of their source alone, what is old enough to be pruned, what was
//! never reserved (it is not pruned either), and a delivery that is to be settled.

use crate::storage::digests;

/// What makes an empty database one of this kind, in order.
pub(super) const STATEMENTS: &[&str] = &[
    digests::CREATE_TABLE,
    "CREATE TABLE subscriptions (
        seq              INTEGER PRIMARY KEY,
        scope_id         TEXT NOT NULL,
        session_id       TEXT,
        session_identity INTEGER,
        name             TEXT,
        source_type      TEXT NOT NULL,
        source_key       TEXT NOT NULL,
        source_identity  INTEGER NOT NULL,
        enabled          INTEGER NOT NULL,
        created_at_ms    INTEGER NOT NULL,
        updated_at_ms    INTEGER NOT NULL,
        checksum         INTEGER NOT NULL,
        content          BLOB NOT NULL
    )",
    "CREATE INDEX subscriptions_seq ON subscriptions (seq)",
    "CREATE INDEX subscriptions_session
        ON subscriptions (session_id, enabled) WHERE session_id IS NOT NULL",
    "CREATE INDEX subscriptions_session_identity
        ON subscriptions (session_identity, enabled) WHERE session_identity IS NOT NULL",
    "CREATE INDEX subscriptions_source
        ON subscriptions (source_type, enabled, source_key)",
    "CREATE INDEX subscriptions_source_identity ON subscriptions (source_identity, enabled)",
    "CREATE INDEX subscriptions_name ON subscriptions (name) WHERE name IS NOT NULL",
    // `watermark` is the number that the next subscription had at that time;
    // `deliveries` and `unsettled` count rows of `deliveries`.
    "CREATE TABLE occurrences (
        number          INTEGER PRIMARY KEY,
        id              TEXT NOT NULL UNIQUE,
        idempotency_key TEXT NOT NULL UNIQUE,
        identity        INTEGER NOT NULL,
        request_hash    TEXT NOT NULL,
        source_type     TEXT NOT NULL,
        source_key      TEXT NOT NULL,
        occurred_at_ms  INTEGER NOT NULL,
        watermark       INTEGER NOT NULL,
        deliveries      INTEGER NOT NULL,
        unsettled       INTEGER NOT NULL,
        reserved        INTEGER NOT NULL,
        checksum        INTEGER NOT NULL
    )",
    // The counts of an occurrence change, its payload does not: it has its own
    // table.
    "CREATE TABLE occurrence_payloads (
        number   INTEGER PRIMARY KEY,
        checksum INTEGER NOT NULL,
        content  BLOB NOT NULL
    )",
    "CREATE INDEX occurrences_identity ON occurrences (identity)",
    "CREATE INDEX occurrences_settled ON occurrences (occurred_at_ms)
        WHERE unsettled = 0 AND reserved = 1",
    // Whoever recorded it may have died before it was reserved.
    "CREATE INDEX occurrences_unreserved ON occurrences (number) WHERE reserved = 0",
    "CREATE TABLE deliveries (
        number        INTEGER PRIMARY KEY,
        occurrence    INTEGER NOT NULL,
        subscription  INTEGER NOT NULL,
        created_at_ms INTEGER NOT NULL,
        settled       INTEGER NOT NULL,
        checksum      INTEGER NOT NULL,
        UNIQUE (occurrence, subscription)
    )",
    "CREATE INDEX deliveries_unsettled ON deliveries (number) WHERE settled = 0",
    "CREATE INDEX deliveries_pending ON deliveries (subscription) WHERE settled = 0",
];
