//! Figures and texts as people read them.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use indicatif::{HumanBytes, HumanCount, HumanDuration};

/// What is later than this, somebody set to the end of time.
const CENTURY: Duration = Duration::from_secs(100 * 365 * 24 * 60 * 60);

/// A number of bytes in the unit that fits.
pub(crate) fn bytes(bytes: u64) -> String {
    HumanBytes(bytes).to_string()
}

/// A number, with its thousands set off.
pub(crate) fn number(number: u64) -> String {
    HumanCount(number).to_string()
}

/// A number with its noun.
pub(crate) fn count(count: u64, one: &str, many: &str) -> String {
    format!("{} {}", number(count), if count == 1 { one } else { many })
}

/// How many percent smaller `after` is than `before`.
pub(crate) fn percent_smaller(before: u64, after: u64) -> String {
    if before == 0 {
        return "0 %".to_owned();
    }
    let part = 1.0 - after as f64 / before as f64;
    format!("{:.0} %", part * 100.0)
}

/// When a time in ms since 1970 is, or was.
pub(crate) fn moment(ms: u64) -> String {
    let moment = Duration::from_millis(ms);
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    match moment.checked_sub(now) {
        Some(ahead) if ahead > CENTURY => "never".to_owned(),
        Some(ahead) => format!("in {}", HumanDuration(ahead)),
        None => format!("{} ago", HumanDuration(now.saturating_sub(moment))),
    }
}

/// Whether a character does something to a terminal or to the text around it: controls,
/// line separators, what is written in which direction, and what is not seen.
fn is_unsafe(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            '\u{61c}' | '\u{200b}' | '\u{200e}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}'
                | '\u{e0000}'..='\u{e007f}'
        )
}

/// A text that was stored, so that it cannot do anything to a terminal.
pub(crate) fn plain(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    for character in text.chars() {
        if is_unsafe(character) {
            plain.extend(character.escape_default());
        } else {
            plain.push(character);
        }
    }
    plain
}
