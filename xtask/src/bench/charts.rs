//! Which charts there are, and what they show.

use super::results::{NATIVE, OURS, Results, TARGET};
use super::svg::{Bar, Chart, number};

/// An engine as a reader knows it, with its colour.
type Series = (u8, &'static str, &'static str);

const THERE: Series = (0, NATIVE, "lash-sqlite-store");
const HERE: Series = (1, OURS, "lash-wasm-store");
const DURABLE: Series = (2, "component, FULL", "lash-wasm-store, FULL");
const ABOVE: u8 = 3;

/// A chart of cases that have a unit in common.
struct Subject {
    file: &'static str,
    title: &'static str,
    axis: &'static str,
    /// A value is divided by this before it is shown.
    divisor: f64,
    series: &'static [Series],
    /// Cases and the names of their groups.
    cases: &'static [(&'static str, &'static str)],
}

const BOTH: &[Series] = &[THERE, HERE];

const SUBJECTS: [Subject; 7] = [
    Subject {
        file: "history.svg",
        title: "A commit, by the length of history",
        axis: "median, milliseconds (less is better)",
        divisor: 1000.0,
        series: BOTH,
        cases: &[
            ("commit-60", "new session"),
            ("commit-2000", "after 2,000 nodes"),
            ("commit-10000", "after 10,000 nodes"),
            ("commit-50000", "after 50,000 nodes"),
        ],
    },
    Subject {
        file: "changed.svg",
        title: "A commit, by what changed and how it is compressed",
        axis: "median, milliseconds (less is better)",
        divisor: 1000.0,
        series: BOTH,
        cases: &[
            ("commit-60", "all blobs"),
            ("commit-one-blob", "one blob"),
            ("commit-no-blob", "no blob"),
            ("commit-low-latency", "all, LowLatency"),
            ("commit-compact", "all, Compact"),
        ],
    },
    Subject {
        file: "durability.svg",
        title: "A commit, at durability NORMAL and FULL",
        axis: "median, milliseconds (less is better)",
        divisor: 1000.0,
        series: &[
            (0, NATIVE, "lash-sqlite-store, NORMAL"),
            (1, OURS, "lash-wasm-store, NORMAL"),
            DURABLE,
        ],
        cases: &[("durability", "new session")],
    },
    Subject {
        file: "disk.svg",
        title: "The file of a session, by commits",
        axis: "MiB (less is better)",
        divisor: 1024.0,
        series: BOTH,
        cases: &[
            ("disk-100", "100 commits"),
            ("disk-200", "200 commits"),
            ("disk-500", "500 commits"),
            ("disk-1000", "1,000 commits"),
            ("disk-2000", "2,000 commits"),
        ],
    },
    Subject {
        file: "memory.svg",
        title: "Memory, by open stores after one commit each",
        axis: "MiB (less is better)",
        divisor: 1024.0,
        series: BOTH,
        cases: &[
            ("memory-100", "100 stores"),
            ("memory-250", "250 stores"),
            ("memory-500", "500 stores"),
            ("memory-1000", "1,000 stores"),
        ],
    },
    Subject {
        file: "sessions.svg",
        title: "Commits of sessions at once",
        axis: "commits a second, all together (more is better)",
        divisor: 1.0,
        series: BOTH,
        cases: &[
            ("sessions-1", "1 session"),
            ("sessions-4", "4 sessions"),
            ("sessions-16", "16 sessions"),
        ],
    },
    Subject {
        file: "readers.svg",
        title: "Four readers beside a writer, on one session",
        axis: "a second (more is better)",
        divisor: 1.0,
        series: BOTH,
        cases: &[
            ("readers-4", "loads, all readers"),
            ("readers-4-writer", "commits of the writer"),
        ],
    },
];

/// What the overview shows, in its order. Steps on the way to a case are in the chart
/// of their subject only.
const CASES: [(&str, &str); 41] = [
    ("commit-60", "commit, new session"),
    ("commit-2000", "commit, 2,000 nodes"),
    ("commit-10000", "commit, 10,000 nodes"),
    ("commit-50000", "commit, 50,000 nodes"),
    ("commit-one-blob", "commit, one blob changed"),
    ("commit-no-blob", "commit, no blob changed"),
    ("commit-low-latency", "commit, LowLatency"),
    ("commit-compact", "commit, Compact"),
    ("sessions-1", "throughput, 1 session"),
    ("sessions-4", "throughput, 4 sessions"),
    ("sessions-16", "throughput, 16 sessions"),
    ("readers-4", "4 readers beside a writer"),
    ("readers-4-writer", "the writer beside them"),
    ("load-full-100", "load graph, 100 nodes"),
    ("load-full-10000", "load graph, 10,000 nodes"),
    ("load-path-100", "load path, 100 nodes"),
    ("load-path-10000", "load path, 10,000 nodes"),
    ("load-node", "load one node"),
    ("enqueue-10", "enqueue, 10 pending"),
    ("enqueue-1000", "enqueue, 1,000 pending"),
    ("enqueue-100000", "enqueue, 100,000 pending"),
    ("claim-10", "claim, 10 pending"),
    ("claim-1000", "claim, 1,000 pending"),
    ("claim-100000", "claim, 100,000 pending"),
    ("idle-claim", "idle claim, empty"),
    ("idle-claim-later", "idle claim, 2,000 for later"),
    ("attachment-intent", "attachment intent"),
    ("gc-10000", "gc, 10,000 blobs"),
    ("open", "open a session"),
    ("start", "process to first commit"),
    ("disk-2000", "file after 2,000 commits"),
    ("memory-1000", "memory, 1,000 stores"),
    ("append-10", "process event, after 10"),
    ("append-10000", "process event, after 10,000"),
    ("renew-busy", "renew a lease, all cores busy"),
    ("execute", "execute an effect"),
    ("replay", "replay an effect"),
    ("list-10000", "10,000 subscriptions"),
    ("list-session", "100 of them"),
    ("delete-session", "remove 100 of them"),
    ("waiting-1000", "1,000 idle waiters, CPU"),
];

/// The charts of what was measured, with the names of their files.
pub(super) fn all(results: &Results, note: &str) -> Vec<(&'static str, String)> {
    let mut charts: Vec<(&str, String)> = SUBJECTS
        .iter()
        .filter_map(|subject| Some((subject.file, chart(subject, results, note)?)))
        .collect();
    charts.push(("overview.svg", overview(results, note)));
    charts
}

/// A chart, if any of its cases was measured.
fn chart(subject: &Subject, results: &Results, note: &str) -> Option<String> {
    let groups: Vec<(String, Vec<Bar>)> = subject
        .cases
        .iter()
        .map(|(case, name)| {
            let bars = subject.series.iter().filter_map(|(colour, engine, _)| {
                let value = results.find(case, engine)?.p50 / subject.divisor;
                let label = number(value);
                Some(Bar {
                    colour: *colour,
                    value,
                    label,
                })
            });
            ((*name).to_owned(), bars.collect())
        })
        .filter(|(_, bars): &(String, Vec<Bar>)| !bars.is_empty())
        .collect();
    let legend: Vec<(u8, &str)> = subject
        .series
        .iter()
        .map(|(colour, _, name)| (*colour, *name))
        .collect();
    let chart = Chart {
        title: subject.title,
        axis: subject.axis,
        legend: &legend,
        marks: &[],
        groups,
        note,
    };
    (!chart.groups.is_empty()).then(|| chart.draw())
}

/// The ratios of the cases, under names that a reader knows.
fn overview(results: &Results, note: &str) -> String {
    let groups = CASES
        .iter()
        .filter_map(|(case, name)| {
            let ours = results.find(case, OURS)?;
            let bar = Bar {
                colour: if ours.ratio > TARGET { ABOVE } else { HERE.0 },
                value: ours.ratio,
                label: format!("{:.2}", ours.ratio),
            };
            Some(((*name).to_owned(), vec![bar]))
        })
        .collect();
    Chart {
        title: "What lash-wasm-store costs, lash-sqlite-store being 1",
        axis: "ratio of medians (less is better)",
        legend: &[(HERE.0, "at most 0.8"), (ABOVE, "above")],
        marks: &[(TARGET, "0.8"), (1.0, "1")],
        groups,
        note,
    }
    .draw()
}
