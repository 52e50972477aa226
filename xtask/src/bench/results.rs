//! What the benchmarks have measured, and the table of it.

use std::fmt::Write;
use std::path::Path;

use anyhow::{Context, Result};
use serde_json::Value;

/// What all others are compared with.
pub(super) const NATIVE: &str = "lash-sqlite-store";
/// This crate.
pub(super) const OURS: &str = "component";
/// What a case costs here may be at most this part of what it costs there.
pub(super) const TARGET: f64 = 0.8;

/// One engine in one case.
pub(super) struct Row {
    case: String,
    engine: String,
    pub(super) unit: String,
    pub(super) p50: f64,
    p99: Option<f64>,
    pub(super) ratio: f64,
}

impl Row {
    fn from_json(row: &Value) -> Option<Self> {
        let text = |name| Some(row.get(name)?.as_str()?.to_owned());
        Some(Self {
            case: text("case")?,
            engine: text("engine")?,
            unit: text("unit")?,
            p50: row.get("p50")?.as_f64()?,
            p99: row.get("p99")?.as_f64(),
            ratio: row.get("ratio")?.as_f64()?,
        })
    }
}

#[derive(Default)]
pub(super) struct Results(Vec<Row>);

impl Results {
    /// Adds what a benchmark has written.
    pub(super) fn read(&mut self, file: &Path) -> Result<()> {
        let context = || format!("cannot read {}", file.display());
        let text = std::fs::read(file).with_context(context)?;
        let rows: Vec<Value> = serde_json::from_slice(&text).with_context(context)?;
        for row in &rows {
            self.0.push(Row::from_json(row).with_context(context)?);
        }
        Ok(())
    }

    pub(super) fn find(&self, case: &str, engine: &str) -> Option<&Row> {
        self.0
            .iter()
            .find(|row| row.case == case && row.engine == engine)
    }

    /// The cases that both crates have, with what they measured, in the order in which
    /// they ran.
    pub(super) fn compared(&self) -> impl Iterator<Item = (&str, &Row, &Row)> {
        let ours = self.0.iter().filter(|row| row.engine == OURS);
        ours.filter_map(|row| Some((row.case.as_str(), self.find(&row.case, NATIVE)?, row)))
    }

    /// A line for each case, with a mark where it costs more than it may.
    pub(super) fn table(&self) -> String {
        let mut table = format!(
            "{:<20} {:>11} {:>11} {:>11} {:>11} {:<10} {:>7} {:>7}\n",
            "case", "native", "p99", "ours", "p99", "unit", "ratio", "target"
        );
        for (case, native, ours) in self.compared() {
            let mark = if ours.ratio > TARGET { "  above" } else { "" };
            // Writing to a string does not fail.
            let _ = writeln!(
                table,
                "{case:<20} {:>11.1} {:>11} {:>11.1} {:>11} {:<10} {:>7.2} {TARGET:>7}{mark}",
                native.p50,
                tail(native),
                ours.p50,
                tail(ours),
                ours.unit,
                ours.ratio,
            );
        }
        table
    }
}

fn tail(row: &Row) -> String {
    row.p99
        .map_or_else(|| "-".to_owned(), |p99| format!("{p99:.1}"))
}
