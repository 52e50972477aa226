//! A damaged file is answered rightly or not at all.
//!
//! Each case takes a good file, damages a copy of it, and asks everything that
//! can be asked. Every answer must be the right one or a typed error; never a
//! different answer, never a panic, never a wait without end. Damage to what
//! nothing reads is answered rightly. What is answered by an error must be found by a
//! verification too.
//!
//! `LASH_DAMAGE_FLIPS` sets how many cases each pass has, `LASH_DAMAGE_SEED` which
//! ones; both are printed. `LASH_DAMAGE_CASE` runs one case of each pass alone and
//! keeps its file.
//!
//! Two things are not asked, because they cannot be told: whether an empty file was
//! once a session, and whether a source key was completed before (see
//! `guest/src/schema/session.rs`).

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use lash_wasm_store_tests::damage::{Random, setting};
use lash_wasm_store_tests::damage_fixture::{AFTER, Answers, Session, WRITES};
use lash_wasm_store_tests::flips::is_sound;
use rusqlite::Connection;
use rusqlite::types::Value;

/// How many cases a pass has unless it is told otherwise.
const CASES: u64 = 120;

/// How long all the questions of a case may take.
const PATIENCE: Duration = Duration::from_secs(120);

#[derive(Default)]
struct Count {
    cases: u64,
    untouched: u64,
    right: u64,
    refused: u64,
    wrong: Vec<String>,
}

/// Damages a copy of the file once for every case and judges the answers.
async fn pass<D>(name: &str, damage: D)
where
    D: Fn(&Session, &Path, &mut Random) -> String,
{
    let session = Arc::new(Session::new().await);
    let directory = tempfile::tempdir().unwrap();
    let right = {
        let path = directory.path().join("right.db");
        std::fs::write(&path, &session.bytes).unwrap();
        session.ask(&path, false).await
    };
    for (question, answer) in &right {
        // Of a checkpoint that is garbage by then, a part may have been removed.
        let sound = answer.is_ok() || question.starts_with(AFTER);
        assert!(sound, "{question}: {answer:?}");
    }
    let cases = setting("LASH_DAMAGE_FLIPS", CASES);
    let seed = setting("LASH_DAMAGE_SEED", 1);
    let only = std::env::var("LASH_DAMAGE_CASE").ok();
    let mut count = Count::default();
    for case in 0..cases {
        if only.as_ref().is_some_and(|only| *only != case.to_string()) {
            continue;
        }
        let mut random = Random::new(seed, case);
        let path = directory.path().join(format!("{case}.db"));
        std::fs::write(&path, &session.bytes).unwrap();
        let what = damage(&session, &path, &mut random);
        if only.is_some() {
            let copy = std::env::temp_dir().join("lash-damage-case.db");
            std::fs::copy(&path, &copy).unwrap();
            println!("case {case}: {what}; {}", copy.display());
        }
        let read_only = random.below(4) == 0;
        let sound = is_sound(&path).await;
        let answers = ask(Arc::clone(&session), &path, read_only).await;
        count.cases += 1;
        let damaged = Case {
            name: format!("case {case}, {what}"),
            sound,
        };
        judge(&mut count, &damaged, &right, answers);
        for suffix in ["", "-wal", "-shm", "-journal"] {
            let _ = std::fs::remove_file(directory.path().join(format!("{case}.db{suffix}")));
        }
    }
    println!(
        "{name}: {} cases with seed {seed} on {} bytes: {} answers right, {} refused, {} wrong; \
         {} cases without any refusal",
        count.cases,
        session.bytes.len(),
        count.right,
        count.refused,
        count.wrong.len(),
        count.untouched,
    );
    assert!(count.wrong.is_empty(), "{:#?}", count.wrong);
}

/// Asks in a task of its own, where a panic can be caught.
async fn ask(session: Arc<Session>, path: &Path, read_only: bool) -> Result<Answers, String> {
    let path = path.to_path_buf();
    let task = tokio::spawn(async move { session.ask(&path, read_only).await });
    match tokio::time::timeout(PATIENCE, task).await {
        Ok(Ok(answers)) => Ok(answers),
        Ok(Err(panic)) => Err(panic.to_string()),
        Err(_) => Err(format!("no answer within {PATIENCE:?}")),
    }
}

/// A damaged file.
struct Case {
    name: String,
    /// Whether a verification found nothing.
    sound: bool,
}

fn judge(count: &mut Count, case: &Case, right: &Answers, answers: Result<Answers, String>) {
    let Case { name, sound } = case;
    let answers = match answers {
        Ok(answers) => answers,
        Err(reason) => {
            count.wrong.push(format!("{name}: {reason}"));
            return;
        }
    };
    let mut refused = 0;
    // What was refused was not done, and so is not found afterwards.
    let undone = WRITES
        .iter()
        .any(|write| answers.get(*write).is_some_and(Result::is_err));
    for (question, answer) in &answers {
        match (answer, right.get(question)) {
            // A component that stops has met something that it did not expect.
            (Err(error), _) if error.contains("component failed") => {
                count.wrong.push(format!("{name}: {question}: {error}"))
            }
            (Err(error), Some(Ok(_))) if *sound && !question.starts_with(AFTER) => {
                count.wrong.push(format!(
                    "{name}: not found by a verification: {question}: {error}"
                ))
            }
            (Err(_), _) => refused += 1,
            (Ok(answer), Some(Ok(expected))) if answer == expected => count.right += 1,
            (Ok(_), _) if undone && question.starts_with(AFTER) => count.right += 1,
            (Ok(answer), expected) => count.wrong.push(format!(
                "{name}: {question}: {}",
                difference(answer, expected.and_then(|answer| answer.as_deref().ok()))
            )),
        }
    }
    // A collection that refused has removed nothing.
    if answers.get("gc").is_some_and(Result::is_err) {
        for (question, before) in &answers {
            let after = answers.get(&format!("{AFTER}{question}"));
            if question.starts_with("blob ")
                && before.is_ok()
                && after.is_some_and(|after| after.is_ok() && after != before)
            {
                count.wrong.push(format!("{name}: gc removed {question}"));
            }
        }
    }
    if refused == 0 {
        count.untouched += 1;
    }
    count.refused += refused;
}

/// The first place where two answers differ.
fn difference(answer: &str, expected: Option<&str>) -> String {
    let expected = expected.unwrap_or("nothing");
    let at = answer
        .bytes()
        .zip(expected.bytes())
        .position(|(left, right)| left != right)
        .unwrap_or(answer.len().min(expected.len()));
    let cut = |text: &str| -> String {
        let from = at.saturating_sub(30);
        text.chars().skip(from).take(90).collect()
    };
    format!("…{}… instead of …{}…", cut(answer), cut(expected))
}

fn page_size(bytes: &[u8]) -> usize {
    usize::from(u16::from_be_bytes([bytes[16], bytes[17]]))
}

fn flip(path: &Path, bit: usize) -> String {
    let mut bytes = std::fs::read(path).unwrap();
    bytes[bit / 8] ^= 1 << (bit % 8);
    std::fs::write(path, &bytes).unwrap();
    let size = page_size(&bytes).max(512);
    format!(
        "bit {} of byte {} on page {}",
        bit % 8,
        bit / 8 % size,
        bit / 8 / size + 1
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flipped_bit_anywhere() {
    pass("bits anywhere", |session, path, random| {
        flip(path, random.below(session.bytes.len() * 8))
    })
    .await;
}

/// Where the structure is: the header and the pointers of each page.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flipped_bit_in_the_head_of_a_page() {
    pass("bits in heads of pages", |session, path, random| {
        let size = page_size(&session.bytes);
        let page = random.below(session.bytes.len() / size);
        flip(path, page * size * 8 + random.below(48 * 8))
    })
    .await;
}

/// The header of the file and the table of the schema.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flipped_bit_in_the_schema() {
    pass("bits in the schema", |session, path, random| {
        // The table of the schema has its other pages early in the file too.
        let end = page_size(&session.bytes) * 3;
        flip(path, random.below(end * 8))
    })
    .await;
}

/// Writes that were lost, misdirected, or cut off.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_or_misdirected_page() {
    pass("pages", |session, path, random| {
        let mut bytes = session.bytes.clone();
        let size = page_size(&bytes);
        let page = random.below(bytes.len() / size);
        let range = page * size..(page + 1) * size;
        let what = match random.below(4) {
            0 => {
                bytes[range].fill(0);
                "zeroed"
            }
            1 => {
                let other = random.below(bytes.len() / size) * size;
                let copy = bytes[other..other + size].to_vec();
                bytes[range].copy_from_slice(&copy);
                "overwritten with another"
            }
            2 => match session.earlier.get(range.clone()) {
                Some(earlier) => {
                    bytes[range].copy_from_slice(earlier);
                    "as it was before"
                }
                None => "untouched",
            },
            _ => {
                // An empty file is a new database; there is no telling.
                bytes.truncate(1 + random.below(bytes.len() - 1));
                "where the file ends"
            }
        };
        std::fs::write(path, &bytes).unwrap();
        format!("page {} {what}", page + 1)
    })
    .await;
}

/// What somebody does to the file with another program.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_changed_or_deleted_row() {
    pass("rows", |_, path, random| {
        let connection = Connection::open(path).unwrap();
        connection
            .execute_batch("PRAGMA ignore_check_constraints = ON")
            .unwrap();
        let tables = tables(&connection);
        loop {
            let table = &tables[random.below(tables.len())];
            if let Some(what) = change_row(&connection, table, random) {
                connection
                    .execute_batch("PRAGMA journal_mode = DELETE; PRAGMA journal_mode = WAL")
                    .unwrap();
                return what;
            }
        }
    })
    .await;
}

/// Tables with the columns of each and those of its key.
fn tables(connection: &Connection) -> Vec<(String, Vec<String>, Vec<String>)> {
    let names: Vec<String> = connection
        .prepare("SELECT name FROM sqlite_schema WHERE type = 'table'")
        .unwrap()
        .query_map([], |row| row.get(0))
        .unwrap()
        .map(Result::unwrap)
        .collect();
    let mut tables = Vec::new();
    for name in names {
        let columns: BTreeMap<i64, (String, i64)> = connection
            .prepare(&format!(
                "SELECT cid, name, pk FROM pragma_table_info('{name}')"
            ))
            .unwrap()
            .query_map([], |row| Ok((row.get(0)?, (row.get(1)?, row.get(2)?))))
            .unwrap()
            .map(Result::unwrap)
            .collect();
        let key = columns
            .values()
            .filter(|(_, key)| *key > 0)
            .map(|(column, _)| column.clone())
            .collect();
        let columns = columns.into_values().map(|(column, _)| column).collect();
        tables.push((name, columns, key));
    }
    tables
}

fn change_row(
    connection: &Connection,
    (table, columns, key): &(String, Vec<String>, Vec<String>),
    random: &mut Random,
) -> Option<String> {
    let count: i64 = connection
        .query_row(&format!("SELECT count(*) FROM {table}"), [], |row| {
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
            &format!("SELECT {keys} FROM {table} ORDER BY {keys} LIMIT 1 OFFSET {offset}"),
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
        0 | 1 => format!("DELETE FROM {table} WHERE {condition}"),
        2 => format!("UPDATE {table} SET {column} = zeroblob(length({column})) WHERE {condition}"),
        3 => format!("UPDATE {table} SET {column} = 0 WHERE {condition}"),
        4 => format!(
            "UPDATE {table} SET {column} = substr({column}, 1, length({column}) / 2)
             WHERE {condition}"
        ),
        _ => format!(
            "UPDATE {table} SET {column} =
                 (SELECT other.{column} FROM {table} AS other
                  WHERE other.{column} IS NOT {table}.{column} LIMIT 1)
             WHERE {condition}"
        ),
    };
    match connection.execute(&change, rusqlite::params_from_iter(&row)) {
        Ok(0) | Err(_) => None,
        Ok(_) => Some(format!("{change} {row:?}")),
    }
}
