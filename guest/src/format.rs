//! Recognising a database file by its first bytes.

use alloc::string::ToString;

use crate::Result;
use crate::bindings::exports::lash::store::format::{Found, Initialized, Kind, Mismatch, State};
use crate::corruption::RowReader;
use crate::digests::Digests;
use crate::schema::{SESSION_ID, SESSION_SCHEMA, SESSION_VERSION};
use crate::seam::{Environment, Transaction, TransactionMode};

/// The first 16 bytes of every SQLite database.
const MAGIC: &[u8] = b"SQLite format 3\0";
/// Where the header has `user_version`, big-endian.
const VERSION_OFFSET: usize = 60;
/// Where the header has `application_id`, big-endian.
const APPLICATION_OFFSET: usize = 68;
/// The length of the header.
const HEADER_LENGTH: usize = 100;

struct Identity {
    kind: Kind,
    application_id: u32,
    version: u32,
}

const IDENTITIES: [Identity; 4] = [
    Identity {
        kind: Kind::Session,
        application_id: SESSION_ID,
        version: SESSION_VERSION,
    },
    Identity {
        kind: Kind::Processes,
        application_id: 0x4c53_5350,
        version: 1,
    },
    Identity {
        kind: Kind::HostEvents,
        application_id: 0x4c53_5348,
        version: 1,
    },
    Identity {
        kind: Kind::Effects,
        application_id: 0x4c53_5345,
        version: 1,
    },
];

/// The WIT function `format.classify`.
pub fn classify(header: &[u8], kind: Kind) -> core::result::Result<State, Mismatch> {
    if header.is_empty() {
        return Ok(State::Empty);
    }
    if !header.starts_with(MAGIC) {
        return Err(Mismatch::NotADatabase);
    }
    match (
        big_endian(header, APPLICATION_OFFSET),
        big_endian(header, VERSION_OFFSET),
    ) {
        (Some(application_id), Some(version)) if header.len() >= HEADER_LENGTH => {
            judge(application_id, version, kind)
        }
        _ => Err(Mismatch::NotADatabase),
    }
}

fn big_endian(header: &[u8], offset: usize) -> Option<u32> {
    let (bytes, _) = header.get(offset..)?.split_first_chunk::<4>()?;
    Some(u32::from_be_bytes(*bytes))
}

fn judge(application_id: u32, version: u32, kind: Kind) -> core::result::Result<State, Mismatch> {
    let expected_version = IDENTITIES
        .iter()
        .find(|identity| identity.kind == kind)
        .map_or(0, |identity| identity.version);
    let found = Found {
        application_id,
        version,
        expected_version,
    };
    match IDENTITIES
        .iter()
        .find(|identity| identity.application_id == application_id)
    {
        Some(identity) if identity.kind != kind => Err(Mismatch::OtherKind(found)),
        Some(_) if version == expected_version => Ok(State::Ready),
        Some(_) => Err(Mismatch::OtherVersion(found)),
        None if application_id == 0 && version == 0 => Ok(State::Empty),
        None => Err(Mismatch::Foreign(found)),
    }
}

/// The WIT function `session.initialize`.
pub fn initialize_session<E: Environment>(env: &E) -> Result<Initialized> {
    let tx = env.begin(TransactionMode::WriteDurable)?;
    let application_id = pragma(&tx, "PRAGMA application_id")?;
    let version = pragma(&tx, "PRAGMA user_version")?;
    match judge(application_id, version, Kind::Session) {
        Ok(State::Ready) => return Ok(Initialized::Ready),
        Ok(State::Empty) if is_empty(&tx)? => {}
        Ok(State::Empty) => {
            return Ok(Initialized::Refused(Mismatch::Foreign(Found {
                application_id,
                version,
                expected_version: SESSION_VERSION,
            })));
        }
        Err(mismatch) => return Ok(Initialized::Refused(mismatch)),
    }
    for statement in SESSION_SCHEMA {
        tx.execute(statement, &[])?;
    }
    Digests::new().store(&tx)?;
    set_pragma(&tx, "application_id", SESSION_ID)?;
    set_pragma(&tx, "user_version", SESSION_VERSION)?;
    tx.commit()?;
    Ok(Initialized::Ready)
}

fn pragma(tx: &impl Transaction, sql: &str) -> Result<u32> {
    let rows = tx.query(sql, &[])?;
    let mut reader = RowReader::new("the database header", &rows);
    reader.advance();
    // Both are 32-bit numbers that SQLite shows as signed.
    Ok(reader.integer()? as u32)
}

fn set_pragma(tx: &impl Transaction, name: &str, value: u32) -> Result<()> {
    let sql = ["PRAGMA ", name, " = ", &value.to_string()].concat();
    tx.execute(&sql, &[])?;
    Ok(())
}

fn is_empty(tx: &impl Transaction) -> Result<bool> {
    let rows = tx.query("SELECT 1 FROM sqlite_schema LIMIT 1", &[])?;
    Ok(rows.count == 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;
    use alloc::vec::Vec;

    fn header(application_id: u32, version: u32) -> Vec<u8> {
        let mut header = vec![0; HEADER_LENGTH];
        header[..16].copy_from_slice(MAGIC);
        header[60..64].copy_from_slice(&version.to_be_bytes());
        header[68..72].copy_from_slice(&application_id.to_be_bytes());
        header
    }

    #[test]
    fn an_empty_or_unmarked_file_is_empty() {
        assert_eq!(classify(&[], Kind::Session).unwrap(), State::Empty);
        assert_eq!(
            classify(&header(0, 0), Kind::Session).unwrap(),
            State::Empty
        );
    }

    #[test]
    fn the_right_kind_and_version_is_ready() {
        let state = classify(&header(SESSION_ID, SESSION_VERSION), Kind::Session);
        assert_eq!(state.unwrap(), State::Ready);
    }

    #[test]
    fn everything_else_is_refused_by_name() {
        let refused = |header: &[u8]| classify(header, Kind::Session).unwrap_err();
        assert!(matches!(refused(b"junk"), Mismatch::NotADatabase));
        assert!(matches!(
            refused(&header(0, 0)[..50]),
            Mismatch::NotADatabase
        ));
        assert!(matches!(refused(&header(0, 3)), Mismatch::Foreign(f) if f.version == 3));
        assert!(matches!(refused(&header(7, 0)), Mismatch::Foreign(f) if f.application_id == 7));
        assert!(matches!(
            refused(&header(0x4c53_5350, 1)),
            Mismatch::OtherKind(_)
        ));
        assert!(matches!(
            refused(&header(SESSION_ID, 4)),
            Mismatch::OtherVersion(f) if f.version == 4 && f.expected_version == 3
        ));
    }
}
