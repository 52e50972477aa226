//! Reads what a test program prints.

use std::collections::BTreeSet;

use anyhow::{Context, Result, bail};

/// What became of the tests of one or more programs.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Outcome {
    pub(crate) passed: usize,
    pub(crate) failed: BTreeSet<String>,
    pub(crate) ignored: usize,
    pub(crate) left_out: usize,
}

/// Reads the summary of one program. The lines of the tests themselves are not
/// read: a test can print among them.
pub(crate) fn parse(output: &str) -> Result<Outcome> {
    let (before, summary) = output
        .rsplit_once("\ntest result: ")
        .context("it ended without a summary")?;
    let count = |what: &str| -> Result<usize> {
        summary
            .split(['.', ';'])
            .find_map(|part| part.trim().strip_suffix(what)?.trim().parse().ok())
            .with_context(|| format!("the summary does not say what was {what}"))
    };
    let failures = count("failed")?;
    let failed: BTreeSet<String> = before
        .rsplit_once("\nfailures:\n")
        .filter(|_| failures > 0)
        .map(|(_, names)| names.lines())
        .into_iter()
        .flatten()
        .filter_map(|line| line.strip_prefix("    "))
        .map(str::to_owned)
        .collect();
    if failed.len() != failures {
        bail!(
            "{failures} tests failed, of which {} are named",
            failed.len()
        );
    }
    Ok(Outcome {
        passed: count("passed")?,
        failed,
        ignored: count("ignored")?,
        left_out: count("filtered out")?,
    })
}

impl Outcome {
    /// Adds those of another program.
    pub(crate) fn add(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed.extend(other.failed);
        self.ignored += other.ignored;
        self.left_out += other.left_out;
    }
}

#[cfg(test)]
mod tests {
    use super::{Outcome, parse};

    const FAILED: &str = "
running 4 tests
test a ... ok
test b::c ... FAILED
test d ... ignored, slow
test e ... ok

failures:

---- b::c stdout ----
failures:
    no name

failures:
    b::c

test result: FAILED. 2 passed; 1 failed; 1 ignored; 0 measured; 7 filtered out; finished in 0.52s
";

    #[test]
    fn counts_and_names_are_read() {
        let outcome = parse(FAILED).unwrap();
        assert_eq!(
            (outcome.passed, outcome.ignored, outcome.left_out),
            (2, 1, 7)
        );
        assert_eq!(outcome.failed.iter().collect::<Vec<_>>(), ["b::c"]);

        let outcome =
            parse("\ntest result: ok. 3 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out\n")
                .unwrap();
        assert_eq!(
            outcome,
            Outcome {
                passed: 3,
                ..Outcome::default()
            }
        );
    }

    #[test]
    fn a_program_that_ends_early_is_an_error() {
        assert!(parse("\nrunning 2 tests\ntest a ... ok\n").is_err());
        assert!(parse(&FAILED.replace("    b::c\n", "")).is_err());
    }
}
