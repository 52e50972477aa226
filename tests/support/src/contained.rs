//! The rows that `cargo xtask hostile` shows.

/// Says what stopped an attack, and what was answered: `cargo xtask hostile` makes a table
/// of what the tests say. A test says it when it has checked it.
pub fn contained(attack: &str, stopped_by: &str, answer: &str) {
    // The name of the test may stand in the line already.
    println!("\n| {attack} | {stopped_by} | {answer} |");
}
