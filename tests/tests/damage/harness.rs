//! Damages copies of a good file, asks everything that can be asked of each, and judges
//! the answers.
//!
//! Every answer must be the right one or an error; never another answer, never a panic,
//! never a wait without end. What is refused must be found by a verification too.
//!
//! `LASH_DAMAGE_FLIPS` sets how many cases each pass has, `LASH_DAMAGE_SEED` which ones;
//! both are printed. `LASH_DAMAGE_CASE` runs one case of each pass alone and keeps its
//! file.
#![allow(
    clippy::ptr_arg,
    reason = "all ways to damage a file are of one type, and one cuts it off"
)]

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use lash_wasm_store_testing::damage::{Random, setting};
use lash_wasm_store_testing::fixtures::Place;
use lash_wasm_store_testing::flips::{self, is_sound};
use rusqlite::Connection;
use rusqlite::types::Value;

/// How long all the questions of a case may take.
const PATIENCE: Duration = Duration::from_secs(120);

const PAGE: usize = 4096;

/// What was answered to each question: text, or the text of an error.
pub(crate) type Answers = BTreeMap<String, Result<String, String>>;

/// A good file, and everything that can be asked of one like it.
pub(crate) trait Subject: Sized + Send + Sync + 'static {
    /// How many cases a pass has unless it is told otherwise.
    const CASES: u64 = 20;

    /// Makes the file.
    async fn new() -> Self;

    fn bytes(&self) -> &[u8];

    /// The file as it was before the last calls.
    fn earlier(&self) -> &[u8];

    /// Opens a file and asks everything. If it cannot be opened, the only answer is that
    /// of the question `open`.
    fn ask(&self, path: &Path) -> impl Future<Output = Answers> + Send;

    /// Whether an error is an answer, such as that something is unknown.
    fn is_answer(_error: &str) -> bool {
        false
    }

    /// Whether this answer may be another than the right one.
    fn may_differ(_question: &str, _answers: &Answers) -> bool {
        false
    }

    /// What is wrong with answers that are right or refused each.
    fn contradiction(_answers: &Answers) -> Option<String> {
        None
    }
}

/// A test for each way to damage the file of a subject.
macro_rules! passes {
    ($subject:ty: $($damage:ident)*) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $damage() {
                crate::harness::pass::<$subject>(crate::harness::$damage).await;
            }
        )*
    };
    ($subject:ty) => {
        crate::harness::passes! {
            $subject:
            a_flipped_bit_anywhere
            a_flipped_bit_in_a_byte_that_is_used
            a_flipped_bit_in_the_head_of_a_page
            a_flipped_bit_in_the_schema
            a_lost_or_misdirected_page
        }
    };
}
pub(crate) use passes;

/// Damages a copy of the file once for every case and judges the answers.
pub(crate) async fn pass<S: Subject>(damage: fn(&S, &mut Vec<u8>, &mut Random) -> String) {
    let subject = Arc::new(S::new().await);
    let right = right(&subject).await;
    let directory = tempfile::tempdir().unwrap();
    let seed = setting("LASH_DAMAGE_SEED", 1);
    let only = std::env::var("LASH_DAMAGE_CASE").ok();
    let mut count = Count::default();
    for case in 0..setting("LASH_DAMAGE_FLIPS", S::CASES) {
        if only.as_ref().is_some_and(|only| *only != case.to_string()) {
            continue;
        }
        let mut bytes = subject.bytes().to_vec();
        let what = damage(&subject, &mut bytes, &mut Random::new(seed, case));
        let path = directory.path().join(format!("{case}.db"));
        std::fs::write(&path, &bytes).unwrap();
        if only.is_some() {
            let copy = std::env::temp_dir().join("lash-damage-case.db");
            std::fs::copy(&path, &copy).unwrap();
            println!("case {case}: {what}; {}", copy.display());
        }
        let verified = is_sound(&path).await;
        let name = format!("case {case}, {what}");
        match ask(&subject, &path).await {
            Ok(answers) => count.judge::<S>(&name, verified, &right, &answers),
            Err(reason) => count.wrong.push(format!("{name}: {reason}")),
        }
        for suffix in ["", "-wal", "-shm", "-journal"] {
            let _ = std::fs::remove_file(directory.path().join(format!("{case}.db{suffix}")));
        }
    }
    println!(
        "seed {seed}, {} bytes: {} answers right, {} refused, {} wrong; {} cases without any \
         refusal",
        subject.bytes().len(),
        count.right,
        count.refused,
        count.wrong.len(),
        count.untouched,
    );
    assert!(count.wrong.is_empty(), "{:#?}", count.wrong);
    assert!(count.refused > 0 || only.is_some(), "nothing was damaged");
}

/// The answers of the undamaged file.
pub(crate) async fn right<S: Subject>(subject: &Arc<S>) -> Answers {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("right.db");
    std::fs::write(&path, subject.bytes()).unwrap();
    let right = ask(subject, &path).await.unwrap();
    for (question, answer) in &right {
        let sound = answer
            .as_ref()
            .map_or_else(|error| S::is_answer(error), |_| true);
        assert!(
            sound || S::may_differ(question, &right),
            "{question}: {answer:?}"
        );
    }
    assert!(is_sound(&path).await, "the undamaged file is not sound");
    right
}

/// A file that is open, with all that is in its log.
pub(crate) fn copied(place: &Place) -> Vec<u8> {
    let busy = place.raw().integer("PRAGMA wal_checkpoint(TRUNCATE)");
    assert_eq!(busy, 0, "somebody is in the way");
    std::fs::read(place.path()).unwrap()
}

/// Asks in a task of its own, where a panic can be caught.
async fn ask<S: Subject>(subject: &Arc<S>, path: &Path) -> Result<Answers, String> {
    let (subject, path) = (Arc::clone(subject), path.to_path_buf());
    let task = tokio::spawn(async move { subject.ask(&path).await });
    match tokio::time::timeout(PATIENCE, task).await {
        Ok(Ok(answers)) => Ok(answers),
        Ok(Err(panic)) => Err(panic.to_string()),
        Err(_) => Err(format!("no answer within {PATIENCE:?}")),
    }
}

#[derive(Default)]
struct Count {
    untouched: u64,
    right: u64,
    refused: u64,
    wrong: Vec<String>,
}

impl Count {
    /// `verified` says whether a verification found nothing.
    fn judge<S: Subject>(&mut self, name: &str, verified: bool, right: &Answers, found: &Answers) {
        let mut refused = 0;
        for (question, answer) in found {
            let expected = right.get(question);
            if expected == Some(answer) {
                self.right += 1;
                continue;
            }
            let may_differ = S::may_differ(question, found);
            match answer {
                // A component that stops has met something that it did not expect.
                Err(error) if error.contains("component failed") => {
                    self.wrong.push(format!("{name}: {question}: {error}"));
                }
                Err(error) if question == "open" || !S::is_answer(error) => {
                    if verified && !may_differ {
                        self.wrong
                            .push(format!("{name}: not found by verify: {question}: {error}"));
                    }
                    refused += 1;
                }
                _ if may_differ => self.right += 1,
                answer => self.wrong.push(format!(
                    "{name}: {question}: {}",
                    difference(&format!("{answer:?}"), &format!("{expected:?}"))
                )),
            }
        }
        if let Some(contradiction) = S::contradiction(found) {
            self.wrong.push(format!("{name}: {contradiction}"));
        }
        self.untouched += u64::from(refused == 0);
        self.refused += refused;
    }
}

/// The first place where two answers differ.
fn difference(answer: &str, expected: &str) -> String {
    let at = answer
        .chars()
        .zip(expected.chars())
        .position(|(left, right)| left != right)
        .unwrap_or(answer.len().min(expected.len()));
    let cut = |text: &str| -> String {
        let from = at.saturating_sub(30);
        text.chars().skip(from).take(90).collect()
    };
    format!("…{}… instead of …{}…", cut(answer), cut(expected))
}

pub(crate) fn a_flipped_bit_anywhere<S>(_: &S, bytes: &mut Vec<u8>, random: &mut Random) -> String {
    flips::flip(bytes, random)
}

/// What is free is mostly zeros, and nothing reads it.
pub(crate) fn a_flipped_bit_in_a_byte_that_is_used<S>(
    _: &S,
    bytes: &mut Vec<u8>,
    random: &mut Random,
) -> String {
    let end = bytes.len();
    flip_used(bytes, end, random)
}

fn flip_used(bytes: &mut [u8], end: usize, random: &mut Random) -> String {
    loop {
        let byte = random.below(end);
        if bytes[byte] != 0 {
            return flip_at(bytes, byte, random);
        }
    }
}

/// Where the structure is: the header and the pointers of each page.
pub(crate) fn a_flipped_bit_in_the_head_of_a_page<S>(
    _: &S,
    bytes: &mut Vec<u8>,
    random: &mut Random,
) -> String {
    let page = random.below(bytes.len() / PAGE);
    let byte = page * PAGE + random.below(48);
    flip_at(bytes, byte, random)
}

/// The header of the file and the table of the schema, which has its other pages early
/// in the file too.
pub(crate) fn a_flipped_bit_in_the_schema<S>(
    _: &S,
    bytes: &mut Vec<u8>,
    random: &mut Random,
) -> String {
    flip_used(bytes, 8 * PAGE, random)
}

fn flip_at(bytes: &mut [u8], byte: usize, random: &mut Random) -> String {
    let bit = random.below(8);
    bytes[byte] ^= 1 << bit;
    format!(
        "bit {bit} of byte {} on page {}",
        byte % PAGE,
        byte / PAGE + 1
    )
}

/// Writes that were lost, misdirected, or cut off.
pub(crate) fn a_lost_or_misdirected_page<S: Subject>(
    subject: &S,
    bytes: &mut Vec<u8>,
    random: &mut Random,
) -> String {
    match random.below(4) {
        0 => flips::zero(bytes, random),
        1 => flips::misplace(bytes, random),
        2 => {
            let earlier = subject.earlier();
            let page = random.below(earlier.len() / PAGE);
            let range = page * PAGE..(page + 1) * PAGE;
            bytes[range.clone()].copy_from_slice(&earlier[range]);
            format!("page {} as it was before", page + 1)
        }
        _ => {
            // An empty file is a new database; there is no telling.
            bytes.truncate(1 + random.below(bytes.len() - 1));
            format!("cut off at {}", bytes.len())
        }
    }
}

/// What somebody does to the file with another program. Only sessions know of every row
/// that is missing; what other files notice is said in the `rows` of each.
pub(crate) fn a_changed_or_deleted_row<S>(
    _: &S,
    bytes: &mut Vec<u8>,
    random: &mut Random,
) -> String {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("row.db");
    std::fs::write(&path, &*bytes).unwrap();
    let connection = Connection::open(&path).unwrap();
    connection
        .execute_batch("PRAGMA journal_mode = DELETE; PRAGMA ignore_check_constraints = ON")
        .unwrap();
    let tables = tables(&connection);
    let what = loop {
        let table = &tables[random.below(tables.len())];
        if let Some(what) = change_row(&connection, table, random) {
            break what;
        }
    };
    connection
        .execute_batch("PRAGMA journal_mode = WAL")
        .unwrap();
    drop(connection);
    *bytes = std::fs::read(&path).unwrap();
    what
}

/// The columns that can be changed in one row without a verification noticing.
pub(crate) async fn columns_that_verify_misses<S: Subject>() -> Vec<String> {
    let subject = S::new().await;
    let directory = tempfile::tempdir().unwrap();
    let good = directory.path().join("good.db");
    std::fs::write(&good, subject.bytes()).unwrap();
    let tables = tables(&Connection::open(&good).unwrap());
    let columns = tables.iter().flat_map(|table| {
        let columns = table.columns.iter();
        columns.map(move |column| (table, column))
    });
    let mut missed = Vec::new();
    for (Table { name, key, .. }, column) in columns {
        let path = directory.path().join(format!("{name}.{column}.db"));
        std::fs::write(&path, subject.bytes()).unwrap();
        let connection = Connection::open(&path).unwrap();
        let key = key.join(", ");
        // Far from what any other row has.
        let change = format!(
            "UPDATE {name} SET {column} = CASE typeof({column})
                 WHEN 'integer' THEN {column} + 4711
                 WHEN 'text' THEN {column} || ' changed'
                 ELSE zeroblob(length({column}) + 1) END
             WHERE ({key}) IN (SELECT {key} FROM {name} WHERE {column} IS NOT NULL LIMIT 1)"
        );
        connection
            .execute_batch("PRAGMA ignore_check_constraints = ON")
            .unwrap();
        let changed = connection.execute(&change, []).unwrap();
        drop(connection);
        if changed > 0 && is_sound(&path).await {
            missed.push(format!("{name}.{column}"));
        }
    }
    missed
}

/// For each table, a statement that corrupts its first row: its checksum, or where there is
/// none, its last column.
pub(crate) fn corrupt_rows(path: &Path) -> Vec<String> {
    let tables = tables(&Connection::open(path).unwrap());
    let tables = tables
        .into_iter()
        .filter(|table| table.name != "removed_nodes");
    tables
        .map(|Table { name, columns, key }| {
            let key = key.join(", ");
            match columns.iter().any(|column| column == "checksum") {
                true => format!(
                    "UPDATE {name} SET checksum = checksum + 1
                     WHERE ({key}) IN (SELECT {key} FROM {name} LIMIT 1)"
                ),
                false => format!("UPDATE {name} SET digests = zeroblob(8)"),
            }
        })
        .collect()
}

struct Table {
    name: String,
    columns: Vec<String>,
    key: Vec<String>,
}

fn tables(connection: &Connection) -> Vec<Table> {
    let texts = |sql: &str, name: &str| -> Vec<String> {
        connection
            .prepare(sql)
            .unwrap()
            .query_map([name], |row| row.get(0))
            .unwrap()
            .map(Result::unwrap)
            .collect()
    };
    texts("SELECT name FROM sqlite_schema WHERE type = ?1", "table")
        .into_iter()
        .map(|name| Table {
            columns: texts("SELECT name FROM pragma_table_info(?1) ORDER BY cid", &name),
            key: texts(
                "SELECT name FROM pragma_table_info(?1) WHERE pk > 0 ORDER BY cid",
                &name,
            ),
            name,
        })
        .collect()
}

/// `None` if there is nothing to change, or the change is none.
fn change_row(connection: &Connection, table: &Table, random: &mut Random) -> Option<String> {
    let Table { name, columns, key } = table;
    let count: i64 = connection
        .query_row(&format!("SELECT count(*) FROM {name}"), [], |row| {
            row.get(0)
        })
        .unwrap();
    if count == 0 {
        return None;
    }
    let offset = random.below(usize::try_from(count).unwrap());
    let keys = key.join(", ");
    let row: Vec<Value> = connection
        .query_row(
            &format!("SELECT {keys} FROM {name} ORDER BY {keys} LIMIT 1 OFFSET {offset}"),
            [],
            |row| (0..key.len()).map(|column| row.get(column)).collect(),
        )
        .unwrap();
    let condition: Vec<String> = key
        .iter()
        .enumerate()
        .map(|(index, column)| format!("{column} = ?{}", index + 1))
        .collect();
    let condition = condition.join(" AND ");
    let column = &columns[random.below(columns.len())];
    let change = match random.below(6) {
        0 | 1 => format!("DELETE FROM {name} WHERE {condition}"),
        2 => format!("UPDATE {name} SET {column} = zeroblob(length({column})) WHERE {condition}"),
        3 => format!("UPDATE {name} SET {column} = 0 WHERE {condition}"),
        4 => format!(
            "UPDATE {name} SET {column} = substr({column}, 1, length({column}) / 2)
             WHERE {condition}"
        ),
        _ => format!(
            "UPDATE {name} SET {column} =
                 (SELECT other.{column} FROM {name} AS other
                  WHERE other.{column} IS NOT {name}.{column} LIMIT 1)
             WHERE {condition}"
        ),
    };
    match connection.execute(&change, rusqlite::params_from_iter(&row)) {
        Ok(0) | Err(_) => None,
        Ok(_) => Some(format!("{change} {row:?}")),
    }
}
