//! The token ledger.

use lash_core::{TokenLedgerEntry, TokenUsage};
use lash_store_engine::wit::usage::UsageEntry;

use super::{Store, logged};
use crate::error::Error;

pub(crate) fn to_entry(entry: TokenLedgerEntry) -> UsageEntry {
    UsageEntry {
        source: entry.source,
        model: entry.model,
        input_tokens: entry.usage.input_tokens,
        output_tokens: entry.usage.output_tokens,
        cached_input_tokens: entry.usage.cached_input_tokens,
        reasoning_tokens: entry.usage.reasoning_tokens,
    }
}

pub(crate) fn from_entry(entry: UsageEntry) -> TokenLedgerEntry {
    TokenLedgerEntry {
        source: entry.source,
        model: entry.model,
        usage: TokenUsage {
            input_tokens: entry.input_tokens,
            output_tokens: entry.output_tokens,
            cached_input_tokens: entry.cached_input_tokens,
            reasoning_tokens: entry.reasoning_tokens,
        },
    }
}

impl Store {
    /// Adds entries to the token ledger.
    pub async fn append_usage_deltas(&self, entries: &[TokenLedgerEntry]) {
        logged(
            "append usage",
            self.try_append_usage_deltas(entries).await,
            || (),
        );
    }

    /// As [`append_usage_deltas`](Self::append_usage_deltas), and returns the
    /// error.
    ///
    /// # Errors
    ///
    /// [`EngineError::ReadOnly`](crate::EngineError::ReadOnly) and [`EngineError::DiskFull`](crate::EngineError::DiskFull) among others.
    pub async fn try_append_usage_deltas(&self, entries: &[TokenLedgerEntry]) -> Result<(), Error> {
        if entries.is_empty() {
            return Ok(());
        }
        let entries: Vec<_> = entries.iter().cloned().map(to_entry).collect();
        self.db
            .write("append usage", move |call| {
                Ok(call.usage().append(&entries)?)
            })
            .await
    }

    /// Reads every entry of the token ledger, in order. Empty on an error.
    pub async fn load_usage_deltas(&self) -> Vec<TokenLedgerEntry> {
        logged("load usage", self.try_load_usage_deltas().await, Vec::new)
    }

    /// As [`load_usage_deltas`](Self::load_usage_deltas), and returns the error.
    ///
    /// # Errors
    ///
    /// [`EngineError::Corrupt`](crate::EngineError::Corrupt) if an entry is missing or damaged.
    pub async fn try_load_usage_deltas(&self) -> Result<Vec<TokenLedgerEntry>, Error> {
        self.db
            .read("load usage", |call| {
                let pages = call.list(|call, cursor| call.usage().load(cursor))?;
                let entries = pages.into_iter().flat_map(|page| page.entries);
                Ok(entries.map(from_entry).collect())
            })
            .await
    }
}
