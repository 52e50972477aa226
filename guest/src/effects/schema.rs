//! The tables of the database of effects.
//!
//! The scopes count their effects, so that what retention removes is known to be
//! all that a scope has, and effects of young scopes are not read for it. Nothing
//! else reads more than single effects, so there are no digests.

/// What makes an empty database one of this kind, in order.
pub(super) const STATEMENTS: &[&str] = &[
    "CREATE TABLE effect_scopes (
        id            INTEGER PRIMARY KEY,
        scope         TEXT NOT NULL UNIQUE,
        effects       INTEGER NOT NULL,
        last_claim_ms INTEGER NOT NULL,
        checksum      INTEGER NOT NULL
    )",
    // `content` comes last, so that reading the other columns does not touch the
    // overflow pages of a long result.
    "CREATE TABLE effects (
        id               INTEGER PRIMARY KEY,
        scope_id         INTEGER NOT NULL,
        replay_key       TEXT NOT NULL,
        identity         INTEGER NOT NULL,
        envelope_hash    TEXT NOT NULL,
        status           INTEGER NOT NULL,
        owner_id         TEXT,
        lease_token      TEXT,
        lease_expires_ms INTEGER NOT NULL,
        due_at_ms        INTEGER,
        generation       INTEGER NOT NULL,
        claimed_at_ms    INTEGER NOT NULL,
        settled_at_ms    INTEGER,
        content_hash     INTEGER NOT NULL,
        checksum         INTEGER NOT NULL,
        content          BLOB NOT NULL,
        UNIQUE (scope_id, replay_key)
    )",
    "CREATE UNIQUE INDEX effects_identity ON effects (identity)",
];
