//! Ways to damage a file that SQLite itself does not notice, and what chooses among
//! them.

use std::io::{Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::time::Duration;

use rusqlite::Connection;

/// Numbers that look random and are the same for the same seed (splitmix64).
pub struct Random(u64);

impl Random {
    /// The numbers of one case of a suite.
    pub fn new(seed: u64, case: u64) -> Self {
        Self(seed.wrapping_mul(1_000_003).wrapping_add(case))
    }

    /// The next number, less than the bound.
    pub fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((z ^ (z >> 31)) % bound as u64).expect("a small number")
    }
}

/// A number from the environment.
pub fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |value| value.parse().expect(name))
}

/// Waits until a file has taken over its log, which the last handle does when it
/// is closed.
pub fn wait_until_closed(path: &Path) {
    let log = path.with_extension("db-wal");
    for _ in 0..1000 {
        if !log.exists() {
            return;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    unreachable!("the log stays");
}

/// Empties an index of one page, and leaves its table as it is. The file must be
/// closed.
pub fn empty_index(path: &Path, index: &str) {
    wait_until_closed(path);
    let (page, size): (i64, i64) = {
        let connection = Connection::open(path).expect("the file opens");
        let page = connection
            .query_row(
                "SELECT rootpage FROM sqlite_master WHERE name = ?1",
                [index],
                |row| row.get(0),
            )
            .expect(index);
        let size = connection
            .query_row("PRAGMA page_size", [], |row| row.get(0))
            .expect("a page size");
        (page, size)
    };
    wait_until_closed(path);
    let mut file = std::fs::OpenOptions::new()
        .read(true)
        .write(true)
        .open(path)
        .expect("the file opens");
    let start = ((page - 1) * size).cast_unsigned();
    let mut kind = [0];
    file.seek(SeekFrom::Start(start)).expect("a page");
    file.read_exact(&mut kind).expect("a page");
    assert_eq!(kind, [10], "{index} is a leaf");
    // How many cells the page has.
    file.seek(SeekFrom::Start(start + 3)).expect("a page");
    file.write_all(&[0, 0]).expect("the page is written");
}

/// Changes rows of a table by a function that opens the file, and leaves its indexes as
/// they are, but for those that a constraint made. Returns what the function returns.
pub fn update_table_only<T>(path: &Path, update: impl FnOnce(&Path) -> T) -> T {
    let edit = |sql: &str| {
        let connection = Connection::open(path).expect("the file opens");
        connection
            .execute_batch(&format!("PRAGMA writable_schema = ON; {sql}"))
            .expect(sql);
    };
    edit(
        "CREATE TABLE hidden AS SELECT * FROM sqlite_schema WHERE type = 'index' AND sql NOT NULL;
         DELETE FROM sqlite_schema WHERE type = 'index' AND sql NOT NULL;",
    );
    let updated = update(path);
    edit(
        "INSERT INTO sqlite_schema SELECT * FROM hidden;
         DELETE FROM sqlite_schema WHERE name = 'hidden';",
    );
    updated
}

/// Makes an index anew with only some of its entries: those of rows for which the
/// condition `keep` holds. Where the index is defined it looks as if it had all. It
/// is `on` a table and columns.
pub fn hide_from_index(path: &Path, index: &str, on: &str, keep: &str) {
    let connection = Connection::open(path).expect("the file opens");
    let definition: String = connection
        .query_row(
            "SELECT sql FROM sqlite_schema WHERE name = ?1",
            [index],
            |row| row.get(0),
        )
        .expect(index);
    connection
        .execute_batch(&format!(
            "DROP INDEX {index};
             CREATE INDEX {index} ON {on} WHERE {keep};
             PRAGMA writable_schema = ON;"
        ))
        .expect(index);
    let restored = connection
        .execute(
            "UPDATE sqlite_schema SET sql = ?1 WHERE name = ?2",
            [&definition, index],
        )
        .expect(index);
    assert_eq!(restored, 1, "{index}");
}
