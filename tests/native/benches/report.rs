//! The table on the terminal and the rows in `target/bench`.

use std::fs;
use std::path::Path;
use std::time::Duration;

/// One engine in one case.
#[derive(serde::Serialize)]
struct Row {
    case: String,
    engine: String,
    /// Of `p50` and `p99`.
    unit: String,
    /// The median; of what is measured once, the value.
    p50: f64,
    p99: Option<f64>,
    /// Of the medians, to the first engine of the case: what one costs, so below one
    /// is better than the first engine. Of a rate it is the inverse.
    ratio: f64,
}

/// How two values of a unit compare.
#[derive(Clone, Copy)]
pub(crate) enum Better {
    Less,
    More,
}

pub(crate) struct Report {
    name: &'static str,
    rows: Vec<Row>,
}

impl Report {
    pub(crate) fn new(name: &'static str) -> Self {
        println!(
            "{:<22} {:<20} {:>12} {:>12} {:<14} {:>7}",
            "case", "engine", "p50", "p99", "unit", "ratio"
        );
        Self {
            name,
            rows: Vec::new(),
        }
    }

    /// Adds the times of a case, an engine each; ratios are to the first.
    pub(crate) fn add(&mut self, case: &str, engines: &[&str], samples: Vec<Vec<Duration>>) {
        let samples = samples.into_iter().map(|samples| {
            samples
                .iter()
                .map(|sample| sample.as_secs_f64() * 1e6)
                .collect()
        });
        self.rows(case, engines, "us", Better::Less, samples.collect());
    }

    /// Adds samples of something else.
    pub(crate) fn rows(
        &mut self,
        case: &str,
        engines: &[&str],
        unit: &str,
        better: Better,
        samples: Vec<Vec<f64>>,
    ) {
        let mut base = None;
        for (engine, mut samples) in engines.iter().zip(samples) {
            samples.sort_by(f64::total_cmp);
            let p50 = quantile(&samples, 0.5);
            let base = *base.get_or_insert(p50);
            // The hundredth part of a few samples is the largest, which says little.
            let tail = samples.len() >= 50;
            let row = Row {
                case: case.to_owned(),
                engine: (*engine).to_owned(),
                unit: unit.to_owned(),
                p50,
                p99: tail.then(|| quantile(&samples, 0.99)),
                ratio: match better {
                    Better::Less => p50 / base,
                    Better::More => base / p50,
                },
            };
            let p99 = row.p99.map_or_else(String::new, |p99| format!("{p99:.1}"));
            println!(
                "{:<22} {:<20} {:>12.1} {:>12} {:<14} {:>7.3}",
                row.case, row.engine, row.p50, p99, row.unit, row.ratio
            );
            self.rows.push(row);
        }
    }

    /// Writes the rows to `target/bench`.
    pub(crate) fn finish(self) {
        let target = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/bench");
        fs::create_dir_all(&target).unwrap();
        let file = target.join(format!("{}.json", self.name));
        fs::write(&file, serde_json::to_vec_pretty(&self.rows).unwrap()).unwrap();
    }
}

fn quantile(sorted: &[f64], quantile: f64) -> f64 {
    let last = sorted.len().saturating_sub(1);
    let position = (last as f64 * quantile).round() as usize;
    sorted.get(position).copied().unwrap_or(f64::NAN)
}
