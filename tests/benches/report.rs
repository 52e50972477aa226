//! The table on the terminal and the rows in `target/bench`.

use std::fs;
use std::path::Path;
use std::time::Duration;

/// One engine in one case.
#[derive(serde::Serialize)]
struct Row {
    case: String,
    engine: String,
    p50_us: f64,
    p99_us: f64,
    /// Of the medians, to the first engine of the case.
    ratio: f64,
}

pub(crate) struct Report {
    name: &'static str,
    rows: Vec<Row>,
}

impl Report {
    pub(crate) fn new(name: &'static str) -> Self {
        println!(
            "{:<16} {:<18} {:>10} {:>10} {:>7}",
            "case", "engine", "p50 us", "p99 us", "ratio"
        );
        Self {
            name,
            rows: Vec::new(),
        }
    }

    /// Adds the samples of a case, an engine each; ratios are to the first.
    pub(crate) fn add(&mut self, case: &str, engines: &[&str], samples: Vec<Vec<Duration>>) {
        let mut base = None;
        for (engine, mut samples) in engines.iter().zip(samples) {
            samples.sort();
            let p50_us = quantile(&samples, 0.5);
            let row = Row {
                case: case.to_owned(),
                engine: (*engine).to_owned(),
                p50_us,
                p99_us: quantile(&samples, 0.99),
                ratio: p50_us / *base.get_or_insert(p50_us),
            };
            println!(
                "{:<16} {:<18} {:>10.1} {:>10.1} {:>7.3}",
                row.case, row.engine, row.p50_us, row.p99_us, row.ratio
            );
            self.rows.push(row);
        }
    }

    pub(crate) fn finish(self) {
        write(self.name, &self.rows);
    }
}

/// Writes rows to `target/bench`.
pub(crate) fn write<T: serde::Serialize>(name: &str, rows: &[T]) {
    let target = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/bench");
    fs::create_dir_all(&target).unwrap();
    let file = target.join(format!("{name}.json"));
    fs::write(&file, serde_json::to_vec_pretty(rows).unwrap()).unwrap();
}

fn quantile(sorted: &[Duration], quantile: f64) -> f64 {
    let last = sorted.len().saturating_sub(1);
    let position = (last as f64 * quantile).round() as usize;
    sorted
        .get(position)
        .map_or(f64::NAN, |sample| sample.as_secs_f64() * 1e6)
}
