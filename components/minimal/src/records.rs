//! What is little more than lists: usage, attachments, metadata; and retention.

use crate::bindings::exports::lash::store::{attachments, metadata, retention, usage};
use crate::bindings::sqlite::TransactionMode::*;
use crate::*;

impl usage::Guest for Minimal {
    decline! {
        append(&Database, Vec<UsageEntry>) -> ();
        load(&Database, Option<Cursor>) -> UsagePage;
    }
}

impl Session {
    /// The sums by source and model of the entries in which something was used.
    pub(crate) fn total_usage(&self) -> Vec<UsageEntry> {
        let mut totals: Vec<UsageEntry> = Vec::new();
        for entry in &self.usage {
            let is_same =
                |sum: &&mut UsageEntry| sum.source == entry.source && sum.model == entry.model;
            let used = entry.input_tokens.saturating_add(entry.output_tokens);
            if used.saturating_add(entry.reasoning_tokens) == 0 {
                continue;
            } else if let Some(sum) = totals.iter_mut().find(is_same) {
                for (sum, tokens) in [
                    (&mut sum.input_tokens, entry.input_tokens),
                    (&mut sum.output_tokens, entry.output_tokens),
                    (&mut sum.cached_input_tokens, entry.cached_input_tokens),
                    (&mut sum.reasoning_tokens, entry.reasoning_tokens),
                ] {
                    *sum = sum.saturating_add(tokens);
                }
            } else {
                totals.push(entry.clone());
            }
        }
        totals
    }

    pub(crate) fn commit_attachments(&mut self, session_id: &str, ids: Vec<String>) {
        for id in ids {
            if let Some((_, committed)) = self.attachments.get_mut(&(session_id.into(), id)) {
                *committed = true;
            }
        }
    }
}

impl attachments::Guest for Minimal {
    fn record_intent(db: &Database, mut intent: AttachmentIntent) -> Result<bool> {
        intent.intent_at_ms = intent.intent_at_ms.min(i64::MAX as u64);
        within(db, Write, |session| {
            let key = (intent.session_id.clone(), intent.attachment_id.clone());
            let stored = session.attachments.get(&key);
            if stored.is_none_or(|(_, committed)| !committed) {
                session.attachments.insert(key, (intent, false));
            }
            Ok(true)
        })
    }

    fn commit(db: &Database, session_id: String, ids: Vec<String>) -> Result<Option<String>> {
        within(db, WriteDurable, |session| {
            session.commit_attachments(&session_id, ids);
            Ok(None)
        })
    }

    fn list_uncommitted(db: &Database, until_ms: u64, _: Option<Cursor>) -> Result<AttachmentPage> {
        within(db, Read, |session| {
            let all = session.attachments.values();
            let committed = all.clone().filter(|(_, committed)| *committed);
            let committed: BTreeSet<&String> =
                committed.map(|(intent, _)| &intent.attachment_id).collect();
            let intents = all.map(|(intent, _)| intent).filter(|intent| {
                intent.intent_at_ms <= until_ms && !committed.contains(&intent.attachment_id)
            });
            let (intents, next) = (intents.cloned().collect(), None);
            Ok(AttachmentPage { intents, next })
        })
    }

    decline! {
        condemn(&Database, String, u64) -> bool;
    }

    fn forget(db: &Database, attachment_id: String) -> Result<()> {
        within(db, Write, |session| {
            let attachments = &mut session.attachments;
            attachments.retain(|(_, id), _| *id != attachment_id);
            Ok(())
        })
    }
}

impl metadata::Guest for Minimal {
    fn save(db: &Database, meta: Meta) -> Result<()> {
        within(db, WriteDurable, |session| {
            session.meta = Some(meta);
            Ok(())
        })
    }

    fn create(db: &Database, meta: Meta) -> Result<bool> {
        within(db, WriteDurable, |session| {
            let absent = session.meta.is_none();
            session.meta.get_or_insert(meta);
            Ok(absent)
        })
    }

    fn load(db: &Database) -> Result<Option<Meta>> {
        within(db, Read, |session| Ok(session.meta.clone()))
    }

    decline! {
        describe(&Database) -> Option<Description>;
    }
}

impl retention::Guest for Minimal {
    /// Leaves the entries of usage alone: to sum them up would change no total.
    fn prune(db: &Database, before_ms: u64, limit: u32) -> Result<Pruned> {
        within(db, WriteDurable, |session| {
            let (limit, newest) = (limit as usize, session.turns.pop());
            let is_old = |turn: &mut Turn| turn.at_ms < before_ms;
            let turns = session.turns.extract_if(.., is_old).take(limit).count() as u64;
            let more_turns = session.turns.iter_mut().any(is_old);
            session.turns.extend(newest);
            let is_old = |(_, at_ms): &mut (Batch, u64)| *at_ms < before_ms;
            let source_keys = session.completed.extract_if(.., is_old).take(limit).count() as u64;
            let more = more_turns || session.completed.iter_mut().any(is_old);
            Ok(Pruned {
                turns,
                source_keys,
                usage_entries: 0,
                more,
                corrupt: Vec::new(),
            })
        })
    }
}
