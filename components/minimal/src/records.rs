//! What is little more than rows: usage, attachments, metadata; and retention.

use alloc::string::String;
use alloc::vec::Vec;

use crate::Minimal;
use crate::bindings::exports::lash::store::{attachments, metadata, retention, usage};
use crate::bindings::session_types::{AttachmentIntent, Description, Meta, Pruned, UsageEntry};
use crate::bindings::sqlite::{Database, TransactionMode::*};
use crate::sql::{Result, Tx, now_ms, record, within};

record!(UsageEntry: source, model, input_tokens, output_tokens, cached_input_tokens, reasoning_tokens);
record!(AttachmentIntent: attachment_id, session_id, canonical_uri, intent_at_ms);
record!(Meta: session_id, session_name, created_at, model, cwd, relation);

impl usage::Guest for Minimal {
    fn append(db: &Database, entries: Vec<UsageEntry>) -> Result<()> {
        within(db, WriteDurable, |tx| append_usage(tx, &entries))
    }

    fn load(db: &Database) -> Result<Vec<UsageEntry>> {
        within(db, Read, |tx| {
            tx.all("SELECT * FROM usage ORDER BY seq", &[])
        })
    }
}

pub(crate) fn append_usage(tx: &Tx, entries: &[UsageEntry]) -> Result<()> {
    let now_ms = now_ms();
    for entry in entries {
        let mut params = entry.params();
        params.push(&now_ms);
        let sql = "INSERT INTO usage VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, NULL)";
        tx.run(sql, &params)?;
    }
    Ok(())
}

/// The sums by source and model of the entries in which something was used.
pub(crate) fn total_usage(tx: &Tx) -> Result<Vec<UsageEntry>> {
    let sql = "SELECT source, model, sum(input), sum(output), sum(cached), sum(reasoning)
               FROM usage WHERE input + output + reasoning <> 0
               GROUP BY source, model ORDER BY min(seq)";
    tx.all(sql, &[])
}

impl retention::Guest for Minimal {
    fn prune(db: &Database, before_ms: u64) -> Result<Pruned> {
        within(db, WriteDurable, |tx| {
            let run = |sql| tx.run(sql, &[&before_ms]);
            let turns = run("DELETE FROM turns WHERE at_ms < ?1
                             AND revision < (SELECT max(revision) FROM turns)")?;
            let source_keys = run("DELETE FROM completed WHERE at_ms < ?1")?;
            // Until the entries are gone, a sum has the negative place of its first one. Those
            // in which nothing was used have another sum, so that the totals do not change.
            let sums = run("INSERT INTO usage
                SELECT source, model, sum(input), sum(output), sum(cached), sum(reasoning),
                    max(at_ms), -min(seq)
                FROM usage WHERE at_ms < ?1
                GROUP BY source, model, input + output + reasoning = 0")?;
            let summed = run("DELETE FROM usage WHERE at_ms < ?1 AND seq > 0")?;
            tx.run("UPDATE usage SET seq = -seq WHERE seq < 0", &[])?;
            let usage_entries = summed - sums;
            Ok(Pruned {
                turns,
                source_keys,
                usage_entries,
            })
        })
    }
}

impl attachments::Guest for Minimal {
    fn record_intent(db: &Database, intent: AttachmentIntent) -> Result<()> {
        let sql = "INSERT INTO attachments VALUES (?1, ?2, ?3, ?4, 0)
                   ON CONFLICT (id, session_id) DO UPDATE
                   SET uri = excluded.uri, intent_ms = excluded.intent_ms WHERE committed = 0";
        within(db, Write, |tx| tx.run(sql, &intent.params()).map(drop))
    }

    fn commit(db: &Database, session_id: String, attachment_ids: Vec<String>) -> Result<()> {
        within(db, WriteDurable, |tx| {
            commit_attachments(tx, &session_id, &attachment_ids)
        })
    }

    fn list_uncommitted(db: &Database, older_than_ms: u64) -> Result<Vec<AttachmentIntent>> {
        let sql = "SELECT * FROM attachments AS intent
                   WHERE committed = 0 AND intent_ms <= ?1 AND NOT EXISTS (
                       SELECT 1 FROM attachments WHERE id = intent.id AND committed = 1)
                   ORDER BY intent_ms, session_id, id";
        within(db, Read, |tx| tx.all(sql, &[&older_than_ms]))
    }

    fn forget(db: &Database, attachment_id: String) -> Result<()> {
        let sql = "DELETE FROM attachments WHERE id = ?1";
        within(db, Write, |tx| tx.run(sql, &[&attachment_id]).map(drop))
    }
}

pub(crate) fn commit_attachments(tx: &Tx, session_id: &String, ids: &[String]) -> Result<()> {
    let sql = "UPDATE attachments SET committed = 1 WHERE id = ?1 AND session_id = ?2";
    ids.iter()
        .try_for_each(|id| tx.run(sql, &[id, session_id]).map(drop))
}

impl metadata::Guest for Minimal {
    fn save(db: &Database, meta: Meta) -> Result<()> {
        within(db, WriteDurable, |tx| {
            tx.run("DELETE FROM meta", &[])?;
            create(tx, &meta).map(drop)
        })
    }

    fn create(db: &Database, meta: Meta) -> Result<bool> {
        within(db, WriteDurable, |tx| create(tx, &meta))
    }

    fn load(db: &Database) -> Result<Option<Meta>> {
        within(db, Read, |tx| tx.one("SELECT * FROM meta", &[]))
    }

    fn describe(db: &Database) -> Result<Option<Description>> {
        let first = "SELECT body FROM nodes INDEXED BY prompts
                     WHERE prompt = 1 AND hidden = 0 ORDER BY seq LIMIT 1";
        within(db, Read, |tx| {
            let Some(meta) = tx.one("SELECT * FROM meta", &[])? else {
                return Ok(None);
            };
            Ok(Some(Description {
                meta,
                nodes: tx.number("SELECT nodes FROM state")?,
                prompts: tx.number("SELECT prompts FROM state")?,
                first_prompt: tx.one(first, &[])?,
            }))
        })
    }
}

/// Stores metadata unless some is stored.
fn create(tx: &Tx, meta: &Meta) -> Result<bool> {
    let sql = "INSERT INTO meta SELECT ?1, ?2, ?3, ?4, ?5, ?6
               WHERE NOT EXISTS (SELECT 1 FROM meta)";
    Ok(tx.run(sql, &meta.params())? > 0)
}
