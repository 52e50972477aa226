//! How the account is laid out.

use std::time::Duration;

/// Begins a section.
pub(crate) fn section(title: &str) {
    println!("\n{title}");
}

/// One figure, in words.
pub(crate) fn row(label: &str, value: &str) {
    println!("  {label:<22} {value}");
}

/// A number of bytes.
pub(crate) fn bytes(count: u64) -> String {
    match count {
        0..10_000 => format!("{count} bytes"),
        10_000..10_000_000 => format!("{} KiB", count / 1024),
        _ => format!("{} MiB", count >> 20),
    }
}

/// The median and the longest of some times.
pub(crate) fn times(times: &[Duration]) -> String {
    let mut sorted = times.to_vec();
    sorted.sort();
    let ms = |time: Option<&Duration>| time.map_or(0.0, Duration::as_secs_f64) * 1000.0;
    format!(
        "median {:.1} ms, longest {:.1} ms",
        ms(sorted.get(sorted.len() / 2)),
        ms(sorted.last())
    )
}
