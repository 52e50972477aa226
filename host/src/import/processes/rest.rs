//! Handles, and rows that belong to no process.

use lash_core::ProcessHandleDescriptor;
use lash_store_engine::wit::process_import::ImportedHandle;

use crate::import::error::ImportError;
use crate::import::json::{decode, require};
use crate::import::run::Run;
use crate::import::table::{Reason, SourceRow, Table};

const GRANTS: Table = Table {
    name: "process_handle_grants",
    columns: "scope_id || ' ' || process_id, session_id, scope_id, process_id, descriptor_json",
};

/// Tables of which every row belongs to a process, which its second column says.
const BELONGINGS: [Table; 3] = [
    Table {
        name: "process_events",
        columns: "process_id || ' ' || sequence, EXISTS (
            SELECT 1 FROM processes p WHERE p.process_id = process_events.process_id), sequence",
    },
    Table {
        name: "process_wake_acks",
        columns: "process_id || ' ' || sequence, EXISTS (
            SELECT 1 FROM processes p WHERE p.process_id = process_wake_acks.process_id), sequence",
    },
    Table {
        name: "process_leases",
        columns: "process_id, EXISTS (
            SELECT 1 FROM processes p WHERE p.process_id = process_leases.process_id), 0",
    },
];

/// Brings handles over, and names what belongs to no process.
pub(super) fn import(run: &mut Run<'_>) -> Result<(), ImportError> {
    run.table(
        &GRANTS,
        |_, row| handle(row),
        |call, handles| Ok(call.process_import().add_handles(handles)?),
    )?;
    for table in &BELONGINGS {
        run.each(
            table,
            |_, row| {
                require(row.integer(1)? == 1, "its process is missing")?;
                row.integer(2).map(|_| ())
            },
            |_, ()| Ok(()),
        )?;
    }
    Ok(())
}

fn handle(row: &SourceRow<'_>) -> Result<ImportedHandle, Reason> {
    let session_id = row.text(1)?;
    let scope_id = row.text(2)?;
    let of_session = scope_id.strip_prefix("session:");
    let frame = of_session.and_then(|scope| scope.strip_prefix(session_id));
    require(
        frame.is_some_and(|frame| frame.is_empty() || frame.starts_with("/frame:")),
        "the scope is not one of the session",
    )?;
    let descriptor = row.text(4)?;
    decode::<ProcessHandleDescriptor>("the descriptor", descriptor)?;
    Ok(ImportedHandle {
        process_id: row.text(3)?.to_owned(),
        scope_id: scope_id.to_owned(),
        session_id: session_id.to_owned(),
        descriptor: descriptor.as_bytes().to_vec(),
    })
}
