//! The token ledger and the manifest of attachments.

use lash_store_engine::wit::attachments::AttachmentIntent;
use lash_store_engine::wit::session_import::ImportedAttachment;
use lash_store_engine::wit::usage::UsageEntry;

use crate::import::error::ImportError;
use crate::import::run::Run;
use crate::import::table::Table;

/// Brings the ledger over.
pub(super) fn usage(run: &mut Run<'_>) -> Result<(), ImportError> {
    const USAGE: Table = Table {
        name: "usage_deltas",
        columns: "seq, source, model, input_tokens, output_tokens, cached_input_tokens, \
                  reasoning_tokens",
    };
    run.table(
        &USAGE,
        |_, row| {
            Ok(UsageEntry {
                source: row.text(1)?.to_owned(),
                model: row.text(2)?.to_owned(),
                input_tokens: row.integer(3)?,
                output_tokens: row.integer(4)?,
                cached_input_tokens: row.integer(5)?,
                reasoning_tokens: row.integer(6)?,
            })
        },
        |call, entries| Ok(call.session_import().add_usage(entries)?),
    )
}

/// Brings the manifest of attachments over.
pub(super) fn attachments(run: &mut Run<'_>) -> Result<(), ImportError> {
    const ATTACHMENTS: Table = Table {
        name: "attachment_manifest",
        columns: "attachment_id, session_id, canonical_uri, intent_at_ms, committed_at_ms",
    };
    run.table(
        &ATTACHMENTS,
        |_, row| {
            Ok(ImportedAttachment {
                intent: AttachmentIntent {
                    attachment_id: row.text(0)?.to_owned(),
                    session_id: row.text(1)?.to_owned(),
                    canonical_uri: row.text(2)?.to_owned(),
                    intent_at_ms: row.time(3)?,
                },
                committed_at_ms: row.optional_time(4)?,
            })
        },
        |call, attachments| Ok(call.session_import().add_attachments(attachments)?),
    )
}
