//! Recognising a database file by its first bytes.

use alloc::string::ToString;

use crate::Result;
use crate::bindings::format_types::{
    Found, Initialized, Kind, Mismatch, State, UnsupportedVersion,
};
use crate::storage::identity;
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

/// What every `application_id` begins with: "LS".
const PREFIX: [u8; 2] = *b"LS";

/// What marks the files of one kind of database.
pub(crate) struct Format {
    kind: Kind,
    /// The byte of `application_id` that says the kind.
    letter: u8,
    /// The only version of the schema that is supported: the last byte of
    /// `application_id`.
    version: u8,
    /// Says nothing of the version. Programs that know files of lash look at it.
    user_version: u32,
}

impl Format {
    const fn application_id(&self) -> u32 {
        let [l, s] = PREFIX;
        u32::from_be_bytes([l, s, self.letter, self.version])
    }
}

pub(crate) const SESSION: Format = Format {
    kind: Kind::Session,
    letter: b'S',
    version: 1,
    user_version: 3,
};

pub(crate) const PROCESSES: Format = Format {
    kind: Kind::Processes,
    letter: b'P',
    version: 1,
    user_version: 1,
};

pub(crate) const HOST_EVENTS: Format = Format {
    kind: Kind::HostEvents,
    letter: b'H',
    version: 1,
    user_version: 1,
};

pub(crate) const EFFECTS: Format = Format {
    kind: Kind::Effects,
    letter: b'E',
    version: 1,
    user_version: 1,
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

fn judge(
    application_id: u32,
    user_version: u32,
    kind: Kind,
) -> core::result::Result<State, Mismatch> {
    let expected = FORMATS.iter().find(|format| format.kind == kind);
    let found = Found {
        application_id,
        user_version,
        expected_user_version: expected.map_or(0, |format| format.user_version),
    };
    if application_id == 0 && user_version == 0 {
        return Ok(State::Empty);
    }
    let [l, s, letter, version] = application_id.to_be_bytes();
    let format = FORMATS.iter().find(|format| format.letter == letter);
    match format {
        Some(format) if [l, s] == PREFIX && format.kind != kind => Err(Mismatch::OtherKind(found)),
        Some(format) if [l, s] == PREFIX && format.version != version => {
            Err(Mismatch::OtherVersion(UnsupportedVersion {
                version: version.into(),
                supported: format.version.into(),
            }))
        }
        Some(_) if [l, s] == PREFIX => Ok(State::Ready),
        _ => Err(Mismatch::Foreign(found)),
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
    let user_version = pragma(&tx, "PRAGMA user_version")?;
    match judge(application_id, user_version, format.kind) {
        Ok(State::Ready) => return Ok(Initialized::Ready),
        Ok(State::Empty) if is_empty(&tx)? => {}
        Ok(State::Empty) => {
            return Ok(Initialized::Refused(Mismatch::Foreign(Found {
                application_id,
                user_version,
                expected_user_version: format.user_version,
            })));
        }
        Err(mismatch) => return Ok(Initialized::Refused(mismatch)),
    }
    for statement in [identity::CREATE_TABLE].iter().chain(schema) {
        tx.execute(statement, &[])?;
    }
    identity::create(env, &tx)?;
    fill(&tx)?;
    set_pragma(&tx, "application_id", format.application_id())?;
    set_pragma(&tx, "user_version", format.user_version)?;
    tx.commit()?;
    Ok(Initialized::Ready)
}

pub use crate::storage::identity::identity;

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
        assert_eq!(SESSION.application_id(), 0x4c53_5301);
        let state = classify(&header(0x4c53_5301, 3), Kind::Session);
        assert_eq!(state.unwrap(), State::Ready);
        for format in FORMATS {
            let header = header(format.application_id(), format.user_version);
            assert_eq!(classify(&header, format.kind).unwrap(), State::Ready);
        }
    }

    #[test]
    fn everything_else_is_refused_by_name() {
        let refused = |header: &[u8]| classify(header, Kind::Session).unwrap_err();
        assert!(matches!(refused(b"junk"), Mismatch::NotADatabase));
        assert!(matches!(
            refused(&header(0, 0)[..50]),
            Mismatch::NotADatabase
        ));
        assert!(matches!(refused(&header(0, 3)), Mismatch::Foreign(f) if f.user_version == 3));
        for id in [7, 0x4c53_0001, 0x4c54_5301, 0x4d53_5301] {
            let mismatch = refused(&header(id, 3));
            assert!(matches!(mismatch, Mismatch::Foreign(f) if f.application_id == id));
        }
        // A version of another kind that is not known yet is of another kind all the same.
        for id in [0x4c53_5001, 0x4c53_5002, 0x4c53_48ff] {
            assert!(matches!(refused(&header(id, 1)), Mismatch::OtherKind(_)));
        }
        for version in [0, 2, 255] {
            assert!(matches!(
                refused(&header(0x4c53_5300 + version, 3)),
                Mismatch::OtherVersion(found) if found.version == version && found.supported == 1
            ));
        }
    }
}
