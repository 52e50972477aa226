//! What the session is called and where it comes from.

use lash_core::SessionMeta;

use crate::import::error::ImportError;
use crate::import::json::decode;
use crate::import::run::Run;
use crate::import::table::{Reason, SourceRow, Table};
use crate::session::metadata::to_meta;

const META: Table = Table {
    name: "session_meta",
    columns: "session_id, session_name, created_at, model, cwd, relation_json",
};

/// Brings the metadata over.
pub(super) fn import(run: &mut Run<'_>) -> Result<(), ImportError> {
    let Some(meta) = run.row(&META, read)? else {
        return Ok(());
    };
    run.write(move |call| {
        call.belongs_to(&meta.session_id);
        let meta = to_meta(call.path(), meta)?;
        Ok(call.metadata().save(&meta)?)
    })
}

fn read(row: &SourceRow<'_>) -> Result<SessionMeta, Reason> {
    let relation = row
        .optional_text(5)?
        .map(|text| decode("the relation", text));
    Ok(SessionMeta {
        session_id: row.text(0)?.to_owned(),
        session_name: row.text(1)?.to_owned(),
        created_at: row.text(2)?.to_owned(),
        model: row.text(3)?.to_owned(),
        cwd: row.optional_text(4)?.map(str::to_owned),
        relation: relation.transpose()?.unwrap_or_default(),
    })
}
