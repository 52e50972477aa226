//! Entries of the token ledger.

use lash_core::{TokenLedgerEntry, TokenUsage};
use lash_store_engine::wit::types::UsageEntry;

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
