//! Damage anywhere in a file of a session.
//!
//! Two things are not asked, because they cannot be told: whether an empty file was
//! once a session, and whether a source key was completed before (see
//! `guest/src/session/schema.rs`).

use std::path::Path;

use lash_wasm_store_testing::damage_fixture::{AFTER, Session, WRITES};

use crate::harness::{self, Answers, Subject, passes};

impl Subject for Session {
    const CASES: u64 = 90;

    async fn new() -> Self {
        Self::new().await
    }

    fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    fn earlier(&self) -> &[u8] {
        &self.earlier
    }

    async fn ask(&self, path: &Path) -> Answers {
        self.ask(path, false).await
    }

    /// Of a checkpoint that is garbage by then, a part may have been removed; and what
    /// was refused was not done, and so is not found afterwards.
    fn may_differ(question: &str, answers: &Answers) -> bool {
        let refused = |question: &str| answers.get(question).is_some_and(Result::is_err);
        // What is corrupt is passed over.
        matches!(question, "gc" | "vacuum") && !refused(question)
            || question.starts_with(AFTER) && (refused(question) || WRITES.into_iter().any(refused))
    }

    /// A collection that refused has removed nothing.
    fn contradiction(answers: &Answers) -> Option<String> {
        if answers.get("gc")?.is_ok() {
            return None;
        }
        let changed = |(question, before): &(&String, &Result<String, String>)| {
            let after = answers.get(&format!("{AFTER}{question}"));
            question.starts_with("blob ")
                && before.is_ok()
                && after.is_some_and(|after| after.is_ok() && after != *before)
        };
        let (question, _) = answers.iter().find(changed)?;
        Some(format!("gc removed {question}"))
    }
}

passes!(Session);
passes!(Session: a_changed_or_deleted_row);

/// But the number of a row that no other one refers to.
#[tokio::test]
async fn a_changed_column_is_found_by_verify() {
    let missed = harness::columns_that_verify_misses::<Session>().await;
    let numbers = [
        "session_head.id",
        "removed_nodes.seq",
        "blobs.id",
        "artifacts.id",
        "session_meta.id",
    ];
    assert_eq!(missed, numbers);
}

mod read_only {
    use super::*;

    struct ReadOnly(Session);

    impl Subject for ReadOnly {
        const CASES: u64 = 30;

        async fn new() -> Self {
            Self(Session::new().await)
        }

        fn bytes(&self) -> &[u8] {
            &self.0.bytes
        }

        fn earlier(&self) -> &[u8] {
            &self.0.earlier
        }

        async fn ask(&self, path: &Path) -> Answers {
            self.0.ask(path, true).await
        }
    }

    passes!(ReadOnly);
    passes!(ReadOnly: a_changed_or_deleted_row);
}
