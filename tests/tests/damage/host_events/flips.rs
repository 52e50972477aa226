//! Damage anywhere in a file of host events.

use std::path::Path;

use super::File;
use crate::harness::{self, Answers, Subject, passes};

impl Subject for File {
    const CASES: u64 = 50;

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
        self.ask(path).await
    }

    /// That requests conflict, or that an occurrence is unknown, is an answer.
    fn is_answer(error: &str) -> bool {
        error.contains("idempotency conflict") || error.contains("unknown host event occurrence")
    }

    /// What only one index leads to; `rows::unconfirmed` says by which.
    fn may_differ(question: &str, answers: &Answers) -> bool {
        let unknown = |error: &String| error.contains("unknown host event occurrence");
        match question {
            // What is corrupt is passed over.
            "list by name" | "list of the type" | "prune" | "settle" | "unstarted" => true,
            _ if question.starts_with("reserve") => answers[question].as_ref().is_err_and(unknown),
            _ => false,
        }
    }
}

passes!(File);

#[tokio::test]
async fn a_changed_column_is_found_by_verify() {
    let missed = harness::columns_that_verify_misses::<File>().await;
    assert_eq!(missed, [""; 0]);
}
