//! Exporting all effects.

use crate::Result;
use crate::bindings::export_types::Page as ExportPage;
use crate::storage::corruption::verify_count;
use crate::storage::paging::{self, Cursor, List, Numbered, Page, RecordBuilder};
use crate::storage::rows::{RowReader, read_one};
use crate::storage::seam::{Environment, Transaction, TransactionMode, Value, unsigned};

use super::effect_row::{self, EffectRow, Status};
use super::scope_row::{self, ScopeRow};

const SCOPES: Numbered = Numbered {
    table: ScopeRow::TABLE,
    lengths: None,
    rows: scope_row::FROM,
};

const EFFECTS: Numbered = Numbered {
    table: effect_row::TABLE,
    lengths: Some(
        "SELECT length(effect.content)
         FROM effect_scopes scope JOIN effects effect ON effect.scope_id = scope.id
         WHERE effect.id >= ?1 ORDER BY effect.id LIMIT ?2",
    ),
    rows: effect_row::FROM,
};

/// The WIT function `effect-export.read-page`.
pub fn read_page(env: &impl Environment, cursor: Option<&[u8]>) -> Result<ExportPage> {
    let tx = env.begin(TransactionMode::Read)?;
    let list = List::of("effect-export.read-page", &[], &[]);
    paging::read_page(cursor, &list, None, |cursor, page| match cursor.table {
        0 => Some(export_scopes(&tx, cursor, page)),
        1 => Some(export_effects(&tx, cursor, page)),
        _ => None,
    })
}

fn export_scopes(tx: &impl Transaction, cursor: &mut Cursor, page: &mut Page) -> Result<bool> {
    SCOPES.export(tx, cursor, page, &mut |_, page, reader| {
        let row = ScopeRow::read(reader)?;
        let rows = tx.query(
            "SELECT count(*) FROM effects WHERE scope_id = ?1",
            &[Value::Integer(row.id)],
        )?;
        let found = read_one(effect_row::TABLE, &rows, RowReader::integer)?.unwrap_or(0);
        let counted = verify_count(effect_row::TABLE, unsigned(found), unsigned(row.effects));
        page.note(effect_row::TABLE, counted)?;
        page.push(
            RecordBuilder::new("effect_scope")
                .text("scope", &row.scope)
                .number("effects", row.effects)
                .number("last_claim_ms", row.last_claim_ms),
        );
        Ok(())
    })
}

fn export_effects(tx: &impl Transaction, cursor: &mut Cursor, page: &mut Page) -> Result<bool> {
    EFFECTS.export(tx, cursor, page, &mut |_, page, reader| {
        let row = EffectRow::read(reader)?;
        let content = reader.blob()?.to_vec();
        let recorded = row.recorded(content.clone())?.map(|_| content);
        let status = match row.status {
            Status::Claimed => "claimed",
            Status::Released => "released",
            Status::Completed => "completed",
            Status::Failed => "failed",
        };
        let lease_expires = row.owner_id.as_ref().map(|_| row.lease_expires_ms);
        page.push(
            RecordBuilder::new("effect")
                .number("sequence", row.id)
                .text("scope", &row.scope)
                .text("replay_key", &row.replay_key)
                .text("envelope_hash", &row.envelope_hash)
                .text("status", status)
                .optional_text("lease_owner", row.owner_id.as_deref())
                .optional_text("lease_token", row.lease_token.as_deref())
                .optional_number("lease_expires_at_ms", lease_expires)
                .optional_number("due_at_ms", row.due_at_ms)
                .number("generation", row.generation)
                .number("claimed_at_ms", row.claimed_at_ms)
                .optional_number("settled_at_ms", row.settled_at_ms)
                .optional_payload("content", recorded),
        );
        Ok(())
    })
}
