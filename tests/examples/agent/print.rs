//! How the account is laid out.

/// Begins a section.
pub(crate) fn section(title: &str) {
    println!("\n{title}");
}

/// One step, in words.
pub(crate) fn row(label: &str, value: &str) {
    println!("  {label:<14} {value}");
}
