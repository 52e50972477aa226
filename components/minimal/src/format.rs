//! What marks a file of this store, and how one is created.

use crate::bindings::exports::lash::store::format::Guest;
use crate::bindings::format_types::*;
use crate::bindings::sqlite::TransactionMode::*;
use crate::*;

const MAGIC: &[u8] = b"SQLite format 3\0";
/// Files of the embedded component begin with "LS". Others must not.
const APPLICATION_ID: u32 = u32::from_be_bytes(*b"MIN1");
const VERSION: u32 = 1;

impl Guest for Minimal {
    fn classify(header: Vec<u8>, kind: Kind) -> Result<State, Mismatch> {
        let field = |offset| header.get(offset..)?.first_chunk().copied();
        match (field(68), field(60)) {
            _ if header.is_empty() => Ok(State::Empty),
            (Some(id), Some(version)) if header.len() >= 100 && header.starts_with(MAGIC) => {
                judge(u32::from_be_bytes(id), u32::from_be_bytes(version), kind)
            }
            _ => Err(Mismatch::NotADatabase),
        }
    }

    fn identity(db: &Database) -> Result<String> {
        within(db, Read, |session| Ok(session.identity.clone()))
    }
}

fn judge(application_id: u32, user_version: u32, kind: Kind) -> Result<State, Mismatch> {
    let is_session = kind == Kind::Session;
    let found = Found {
        application_id,
        user_version,
        expected_user_version: if is_session { VERSION } else { 0 },
    };
    let (version, supported) = (user_version, VERSION);
    match (application_id, user_version) {
        (0, 0) => Ok(State::Empty),
        (APPLICATION_ID, _) if !is_session => Err(Mismatch::OtherKind(found)),
        (APPLICATION_ID, VERSION) => Ok(State::Ready),
        (APPLICATION_ID, _) => Err(Mismatch::OtherVersion(UnsupportedVersion {
            version,
            supported,
        })),
        _ => Err(Mismatch::Foreign(found)),
    }
}

/// Creates the table in a database that is empty.
pub(crate) fn initialize(db: &Database) -> Result<Initialized> {
    let tx = db.begin(WriteDurable)?;
    let number = |sql| {
        // A tag precedes the number, see `wit/sqlite.wit`.
        let cells = tx.query(sql, &[])?.cells;
        let number = cells.get(1..).and_then(|number| number.first_chunk());
        Ok::<u32, Error>(number.map_or(0, |number| u32::from_le_bytes(*number)))
    };
    let (application_id, user_version) = (
        number("PRAGMA application_id")?,
        number("PRAGMA user_version")?,
    );
    match judge(application_id, user_version, Kind::Session) {
        Ok(State::Ready) => return Ok(Initialized::Ready),
        Ok(State::Empty) if number("SELECT count(*) FROM sqlite_schema")? == 0 => {}
        Ok(State::Empty) => {
            let expected_user_version = VERSION;
            let found = Found {
                application_id,
                user_version,
                expected_user_version,
            };
            return Ok(Initialized::Refused(Mismatch::Foreign(found)));
        }
        Err(mismatch) => return Ok(Initialized::Refused(mismatch)),
    }
    let session = Session {
        identity: random_hex(2),
        ..Session::default()
    };
    tx.execute("CREATE TABLE session (value)", &[])?;
    tx.execute(
        "INSERT INTO session VALUES (?1)",
        &[Value::Blob(encode(&session)?)],
    )?;
    tx.execute(&format!("PRAGMA application_id = {APPLICATION_ID}"), &[])?;
    tx.execute(&format!("PRAGMA user_version = {VERSION}"), &[])?;
    Transaction::commit(tx)?;
    Ok(Initialized::Ready)
}
