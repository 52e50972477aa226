//! Changes to a database: of bytes, of pages, and of rows.

use rusqlite::types::Value;
use rusqlite::{Connection, MAIN_DB};

use crate::fuzz::input::Input;

/// Where the header says how a file is read and written: 2 for a log, which a database in
/// memory cannot have.
const MODE: std::ops::Range<usize> = 18..20;

/// What a schema may be made to say about a table.
const SCHEMAS: [&str; 6] = [
    "CREATE TABLE x(a)",
    "CREATE TABLE x(a INTEGER PRIMARY KEY, b DEFAULT (hex(zeroblob(1000000000))))",
    "CREATE VIEW x AS WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i FROM n",
    "CREATE VIRTUAL TABLE x USING fts5(a)",
    "CREATE TRIGGER x AFTER INSERT ON blobs BEGIN DELETE FROM blobs; END",
    "nonsense",
];

/// The file with the changes that the input says, at most 8.
pub(super) fn edited(image: &[u8], input: &mut Input<'_>) -> Vec<u8> {
    let mut bytes = image.to_vec();
    for _ in 0..8 {
        if !input.more() || bytes.is_empty() {
            break;
        }
        match input.below(16) {
            0..4 => overwrite(&mut bytes, input),
            4 => number(&mut bytes, input),
            5 => page(&mut bytes, input),
            6 => bytes.truncate(input.below(image.len())),
            7 => bytes.extend(input.bytes()),
            8 => {
                let at = input.below(100);
                if let Some(byte) = bytes.get_mut(at) {
                    *byte = input.byte();
                }
            }
            9 => schema(&mut bytes, input),
            _ => row(&mut bytes, input),
        }
    }
    bytes
}

fn overwrite(bytes: &mut [u8], input: &mut Input<'_>) {
    let at = input.below(bytes.len());
    let length = 1 + input.below(8);
    for (place, byte) in bytes[at..].iter_mut().zip(input.take(length)) {
        *place = byte;
    }
}

/// A number of the file format, big-endian, at the begin of a page or elsewhere.
fn number(bytes: &mut [u8], input: &mut Input<'_>) {
    let page = page_size(bytes);
    let at = match input.flag() {
        true => input.below(bytes.len() / page + 1) * page + input.below(16),
        false => input.below(bytes.len()),
    };
    let number = input.number().to_be_bytes();
    let width = input.pick(&[1, 2, 4, 8]);
    for (place, byte) in bytes.iter_mut().skip(at).zip(&number[8 - width..]) {
        *place = *byte;
    }
}

/// A page over another, which may be the header's.
fn page(bytes: &mut [u8], input: &mut Input<'_>) {
    let page = page_size(bytes);
    let pages = bytes.len() / page;
    if pages > 0 {
        let [from, to] = [(); 2].map(|()| input.below(pages) * page);
        bytes.copy_within(from..from + page, to);
    }
}

fn page_size(bytes: &[u8]) -> usize {
    match bytes {
        [_, rest @ ..] => match rest.get(15..17) {
            Some([high, low]) => usize::from(u16::from_be_bytes([*high, *low])).max(512),
            _ => 512,
        },
        [] => 512,
    }
}

/// Opens the bytes in memory, as long as SQLite can, and takes them back.
fn with_sql(bytes: &mut Vec<u8>, change: impl FnOnce(&Connection) -> rusqlite::Result<()>) {
    let Some(mode) = bytes.get(MODE).map(<[u8]>::to_vec) else {
        return;
    };
    bytes[MODE].fill(1);
    let changed = || {
        let mut connection = Connection::open_in_memory()?;
        connection.deserialize_read_exact(MAIN_DB, bytes.as_slice(), bytes.len(), false)?;
        connection.execute_batch(
            "PRAGMA foreign_keys = OFF; PRAGMA ignore_check_constraints = ON;
             PRAGMA writable_schema = ON;",
        )?;
        change(&connection)?;
        Ok::<_, rusqlite::Error>(connection.serialize(MAIN_DB)?.to_vec())
    };
    // What is damaged too much stays as it is.
    if let Ok(changed) = changed() {
        *bytes = changed;
    }
    if let Some(place) = bytes.get_mut(MODE) {
        place.copy_from_slice(&mode);
    }
}

/// Something else in a column, a row less, or one in two places.
fn row(bytes: &mut Vec<u8>, input: &mut Input<'_>) {
    let (table, column, row) = (input.byte(), input.byte(), input.byte());
    let (what, value) = (input.below(8), value(input));
    with_sql(bytes, |connection| {
        let tables = names(
            connection,
            "SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name",
        )?;
        let Some(table) = nth(&tables, table) else {
            return Ok(());
        };
        let columns = format!("SELECT name FROM pragma_table_info('{table}') ORDER BY cid");
        let Some(column) = nth(&names(connection, &columns)?, column).cloned() else {
            return Ok(());
        };
        let of = format!(
            "({column}) IN (SELECT {column} FROM {table} LIMIT 1
                OFFSET {row} % (SELECT max(1, count(*)) FROM {table}))"
        );
        match what {
            0 => connection.execute(&format!("DELETE FROM {table} WHERE {of}"), [])?,
            1 => connection.execute(
                &format!("UPDATE OR REPLACE {table} SET {column} = {column} + 1 WHERE {of}"),
                [],
            )?,
            _ => connection.execute(
                &format!("UPDATE OR REPLACE {table} SET {column} = ?1 WHERE {of}"),
                [value],
            )?,
        };
        Ok(())
    });
}

fn value(input: &mut Input<'_>) -> Value {
    match input.below(5) {
        0 => Value::Null,
        1 => Value::Integer(input.number().cast_signed()),
        2 => Value::Real(f64::from_bits(input.number())),
        3 => Value::Text(input.name()),
        _ => Value::Blob(input.bytes()),
    }
}

/// Another definition of a table or an index.
fn schema(bytes: &mut Vec<u8>, input: &mut Input<'_>) {
    let (entry, definition) = (input.byte(), input.pick(&SCHEMAS));
    let root = input.maybe(Input::number);
    with_sql(bytes, |connection| {
        let entries = names(connection, "SELECT name FROM sqlite_schema ORDER BY rowid")?;
        let Some(name) = nth(&entries, entry) else {
            return Ok(());
        };
        let definition = definition.replacen(" x", &format!(" {name}"), 1);
        let kind = match definition.split(' ').nth(1) {
            Some("VIEW") => "view",
            Some("TRIGGER") => "trigger",
            _ => "table",
        };
        connection.execute(
            "UPDATE sqlite_schema SET sql = ?1, type = ?2,
                rootpage = coalesce(?3, rootpage * (?2 = 'table')) WHERE name = ?4",
            rusqlite::params![definition, kind, root.map(u64::cast_signed), name],
        )?;
        Ok(())
    });
}

fn names(connection: &Connection, sql: &str) -> rusqlite::Result<Vec<String>> {
    let mut statement = connection.prepare(sql)?;
    let names = statement.query_map([], |row| row.get(0))?;
    names.collect()
}

fn nth(names: &[String], number: u8) -> Option<&String> {
    names.get(usize::from(number).checked_rem(names.len())?)
}
