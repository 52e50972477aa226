//! The ledger as people read it: a table in Markdown, a line for each defect.

use crate::observation::Observation;
use crate::scenario::Scenario;

/// A scenario and what both engines did.
pub(crate) struct Row {
    pub(crate) scenario: Scenario,
    pub(crate) native: Observation,
    pub(crate) ours: Observation,
}

impl Row {
    /// What is wrong with the ledger, if anything.
    pub(crate) fn problem(&self) -> Option<&'static str> {
        if self.ours.is_defect {
            return Some("this crate shows the defect");
        }
        match (self.native.is_defect, self.scenario.not_confirmed) {
            (true, None) | (false, Some(_)) => None,
            (false, None) => Some("the native crate does not show the defect"),
            (true, Some(_)) => Some("the native crate shows a defect that is called not confirmed"),
        }
    }

    pub(crate) fn print(&self) {
        let confirmed = match self.scenario.not_confirmed {
            Some(reason) => format!("not confirmed ({reason}): "),
            None => String::new(),
        };
        println!(
            "| {} | {} | {confirmed}{} | {} |",
            self.scenario.id, self.scenario.title, self.native.text, self.ours.text,
        );
        if let Some(problem) = self.problem() {
            println!("| wrong | {problem} | | |");
        }
    }
}

/// Prints the first lines.
pub(crate) fn head() {
    println!("| | what is provoked | the native crate | this crate |");
    println!("|---|---|---|---|");
}

/// Prints the last line.
pub(crate) fn summarize(rows: &[Row]) {
    let count = |holds: fn(&Row) -> bool| rows.iter().filter(|row| holds(row)).count();
    println!(
        "\n{} defects: the native crate shows {}, this crate {}; {} wrong entries",
        rows.len(),
        count(|row| row.native.is_defect),
        count(|row| row.ours.is_defect),
        count(|row| row.problem().is_some()),
    );
}
