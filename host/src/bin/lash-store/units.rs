//! Figures as people read them.

const KIB: u64 = 1024;
const UNITS: [&str; 4] = ["KiB", "MiB", "GiB", "TiB"];

/// A number of bytes with one digit behind the point, in the unit that fits.
pub(crate) fn bytes(bytes: u64) -> String {
    if bytes < KIB {
        return format!("{bytes} B");
    }
    let mut value = bytes as f64 / KIB as f64;
    let mut units = UNITS.iter();
    let mut unit = units.next();
    // What would be rounded to 1024 of a unit is one of the next.
    while value >= 1023.95
        && let Some(next) = units.next()
    {
        value /= KIB as f64;
        unit = Some(next);
    }
    format!("{value:.1} {}", unit.unwrap_or(&"KiB"))
}

/// How many percent smaller `after` is than `before`.
pub(crate) fn percent_smaller(before: u64, after: u64) -> String {
    if before == 0 {
        return "0 %".to_owned();
    }
    let part = 1.0 - after as f64 / before as f64;
    format!("{:.0} %", part * 100.0)
}

/// A number with its noun.
pub(crate) fn count(number: usize, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}
