//! Damages copies of a good file and judges what is answered.
//!
//! Every answer must be the right one or an error; never another one, never a panic,
//! never a wait without end. What is answered by an error must be found by a
//! verification too.
//!
//! `LASH_DAMAGE_FLIPS` sets how many cases each pass has, `LASH_DAMAGE_SEED` which
//! ones.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use lash_wasm_store::inspect::Inspector;
use serde_json::Value;

use crate::damage::{Random, setting};

/// How many cases a pass has unless it is told otherwise.
const CASES: u64 = 20;

/// How long all the questions of a case may take.
const PATIENCE: Duration = Duration::from_secs(60);

const PAGE: usize = 4096;

/// What was answered to each question.
pub type Answers = BTreeMap<String, Result<Value, String>>;

/// Flips a bit anywhere.
pub fn flip(bytes: &mut [u8], random: &mut Random) -> String {
    let (byte, bit) = (random.below(bytes.len()), random.below(8));
    if let Some(byte) = bytes.get_mut(byte) {
        *byte ^= 1 << bit;
    }
    format!("bit {bit} of byte {byte}")
}

/// Fills a page with zeros.
pub fn zero(bytes: &mut [u8], random: &mut Random) -> String {
    let page = random.below(bytes.len() / PAGE);
    if let Some(page) = bytes.chunks_mut(PAGE).nth(page) {
        page.fill(0);
    }
    format!("page {page} is zero")
}

/// Writes a page where another belongs.
pub fn misplace(bytes: &mut [u8], random: &mut Random) -> String {
    let [from, to] = [(); 2].map(|()| 1 + random.below(bytes.len() / PAGE - 1));
    bytes.copy_within(from * PAGE..(from + 1) * PAGE, to * PAGE);
    format!("page {from} over page {to}")
}

/// Damages a copy of the file once for every case and judges what `ask` is answered.
/// Answers what the right answers are. Of the errors, those count as answers that
/// `is_answer` says so of.
pub async fn pass<F>(
    bytes: &[u8],
    ask: impl Fn(PathBuf) -> F,
    is_answer: fn(&str) -> bool,
    damage: fn(&mut [u8], &mut Random) -> String,
) -> Answers
where
    F: Future<Output = Answers> + Send + 'static,
{
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("right.db");
    std::fs::write(&path, bytes).expect("a file");
    let right = ask(path).await;
    for (question, answer) in &right {
        let sound = answer
            .as_ref()
            .map_or_else(|error| is_answer(error), |_| true);
        assert!(sound, "{question}: {answer:?}");
    }

    assert!(
        is_sound(&directory.path().join("right.db")).await,
        "the undamaged file is not sound"
    );
    let (mut refused, mut wrong) = (0, Vec::new());
    let seed = setting("LASH_DAMAGE_SEED", 1);
    for case in 0..setting("LASH_DAMAGE_FLIPS", CASES) {
        let mut damaged = bytes.to_vec();
        let what = damage(&mut damaged, &mut Random::new(seed, case));
        let path = directory.path().join(format!("{case}.db"));
        std::fs::write(&path, &damaged).expect("a file");
        let verified = is_sound(&path).await;
        let answers = match tokio::time::timeout(PATIENCE, tokio::spawn(ask(path))).await {
            Ok(Ok(answers)) => answers,
            Ok(Err(panic)) => panic!("case {case}, {what}: {panic}"),
            Err(_) => panic!("case {case}, {what}: no answer within {PATIENCE:?}"),
        };
        for (question, answer) in answers {
            if right.get(&question) == Some(&answer) {
                continue;
            }
            match answer {
                Err(error) if !is_answer(&error) && verified => {
                    wrong.push(format!("case {case}, {what}: not found by verify: {error}"));
                }
                Err(error) if !is_answer(&error) => refused += 1,
                answer => wrong.push(format!("case {case}, {what}: {question}: {answer:?}")),
            }
        }
        for suffix in ["", "-wal", "-shm", "-journal"] {
            let _ = std::fs::remove_file(directory.path().join(format!("{case}.db{suffix}")));
        }
    }
    println!(
        "seed {seed}: {refused} answers refused, {} wrong",
        wrong.len()
    );
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(refused > 0);
    right
}

/// Whether a file can be opened and nothing is wrong with it.
pub async fn is_sound(path: &Path) -> bool {
    match Inspector::open(path).await {
        Ok(inspector) => inspector
            .verify()
            .await
            .is_ok_and(|verification| verification.is_sound()),
        Err(_) => false,
    }
}
