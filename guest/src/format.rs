//! Recognising a database file by its first bytes.

use alloc::string::ToString;

use crate::Result;
use crate::bindings::exports::lash::store::format::{Found, Initialized, Kind, Mismatch, State};
use crate::storage::rows::RowReader;
use crate::storage::seam::{Environment, Transaction, TransactionMode};

/// The first 16 bytes of every SQLite database.
const MAGIC: &[u8] = b"SQLite format 3\0";
/// Where the header has `user_version`, big-endian.
const VERSION_OFFSET: usize = 60;
/// Where the header has `application_id`, big-endian.
const APPLICATION_OFFSET: usize = 68;
/// The length of the header.
const HEADER_LENGTH: usize = 100;

/// What marks the files of one kind of database.
pub(crate) struct Format {
    kind: Kind,
    application_id: u32,
    /// The only `user_version` that is supported.
    version: u32,
}

pub(crate) const SESSION: Format = Format {
    kind: Kind::Session,
    // "LSSS"
    application_id: 0x4c53_5353,
    version: 3,
};

pub(crate) const PROCESSES: Format = Format {
    kind: Kind::Processes,
    // "LSSP"
    application_id: 0x4c53_5350,
    version: 1,
};

pub(crate) const HOST_EVENTS: Format = Format {
    kind: Kind::HostEvents,
    // "LSSH"
    application_id: 0x4c53_5348,
    version: 1,
};

pub(crate) const EFFECTS: Format = Format {
    kind: Kind::Effects,
    // "LSSE"
    application_id: 0x4c53_5345,
    version: 1,
};

const FORMATS: [&Format; 4] = [&SESSION, &PROCESSES, &HOST_EVENTS, &EFFECTS];

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
    let expected_version = FORMATS
        .iter()
        .find(|format| format.kind == kind)
        .map_or(0, |format| format.version);
    let found = Found {
        application_id,
        version,
        expected_version,
    };
    match FORMATS
        .iter()
        .find(|format| format.application_id == application_id)
    {
        Some(format) if format.kind != kind => Err(Mismatch::OtherKind(found)),
        Some(_) if version == expected_version => Ok(State::Ready),
        Some(_) => Err(Mismatch::OtherVersion(found)),
        None if application_id == 0 && version == 0 => Ok(State::Empty),
        None => Err(Mismatch::Foreign(found)),
    }
}

/// The WIT function `initialize` of every kind. `schema` makes an empty database one of
/// the kind, and `fill` writes the rows that a new one has.
pub(crate) fn initialize<E: Environment>(
    env: &E,
    format: &Format,
    schema: &[&str],
    fill: impl FnOnce(&E::Transaction<'_>) -> Result<()>,
) -> Result<Initialized> {
    let tx = env.begin(TransactionMode::WriteDurable)?;
    let application_id = pragma(&tx, "PRAGMA application_id")?;
    let version = pragma(&tx, "PRAGMA user_version")?;
    match judge(application_id, version, format.kind) {
        Ok(State::Ready) => return Ok(Initialized::Ready),
        Ok(State::Empty) if is_empty(&tx)? => {}
        Ok(State::Empty) => {
            return Ok(Initialized::Refused(Mismatch::Foreign(Found {
                application_id,
                version,
                expected_version: format.version,
            })));
        }
        Err(mismatch) => return Ok(Initialized::Refused(mismatch)),
    }
    for statement in schema {
        tx.execute(statement, &[])?;
    }
    fill(&tx)?;
    set_pragma(&tx, "application_id", format.application_id)?;
    set_pragma(&tx, "user_version", format.version)?;
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
    let rows = tx.query("SELECT 1 FROM sqlite_master LIMIT 1", &[])?;
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
        let state = classify(
            &header(SESSION.application_id, SESSION.version),
            Kind::Session,
        );
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
            refused(&header(SESSION.application_id, 4)),
            Mismatch::OtherVersion(f) if f.version == 4 && f.expected_version == 3
        ));
    }
}
