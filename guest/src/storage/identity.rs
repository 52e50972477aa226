//! The identity of a database: what tells it from another one under the same path.

use alloc::string::String;

use crate::Result;
use crate::storage::corruption::{self, missing};
use crate::storage::findings::Findings;
use crate::storage::hex;
use crate::storage::rows::read_one;
use crate::storage::seam::{Environment, Transaction, TransactionMode};
use crate::storage::table::table;

/// Makes the table, which has one row.
pub(crate) const CREATE_TABLE: &str = "CREATE TABLE database_identity (
    id       INTEGER PRIMARY KEY CHECK (id = 1),
    identity BLOB NOT NULL,
    checksum INTEGER NOT NULL
)";

table! {
    struct IdentityRow<'r> in "database_identity", named by id {
        id: i64,
        identity: &'r [u8],
    }
}

/// Writes the row of a new database.
pub(crate) fn create(env: &impl Environment, tx: &impl Transaction) -> Result<()> {
    insert(tx, &random(env))
}

/// An identity that no database has.
pub(crate) fn random(env: &impl Environment) -> [u8; 16] {
    let mut identity = [0; 16];
    for bytes in identity.as_chunks_mut::<8>().0 {
        *bytes = env.random().to_le_bytes();
    }
    identity
}

fn insert(tx: &impl Transaction, identity: &[u8]) -> Result<()> {
    let row = IdentityRow { id: 1, identity };
    tx.execute(IdentityRow::INSERT, &row.values())?;
    Ok(())
}

fn read(tx: &impl Transaction) -> Result<String> {
    let rows = tx.query(IdentityRow::SELECT, &[])?;
    let row = read_one(IdentityRow::TABLE, &rows, IdentityRow::read)?
        .ok_or_else(|| missing(IdentityRow::TABLE, 1))?;
    let mut text = String::new();
    hex::push_hex(&mut text, row.identity);
    Ok(text)
}

/// Checks the row. A repair replaces a corrupt one by an identity that no database has.
pub(crate) fn verify_row(tx: &impl Transaction, findings: &mut Findings) -> Result<()> {
    match (read(tx), findings.new_identity()) {
        (Err(error), Some(identity)) => {
            let damage = corruption::damage(IdentityRow::TABLE, error)?;
            tx.execute("DELETE FROM database_identity", &[])?;
            insert(tx, &identity)?;
            findings.rebuilt(damage);
            Ok(())
        }
        (read, _) => findings.note(IdentityRow::TABLE, read).map(drop),
    }
}

/// The WIT function `format.identity`.
pub fn identity(env: &impl Environment) -> Result<String> {
    read(&env.begin(TransactionMode::Read)?)
}
