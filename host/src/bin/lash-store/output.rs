//! What is written, for people or for programs.

use std::fmt;
use std::io::{self, IsTerminal, Write};
use std::path::Path;

use clap::builder::styling::{AnsiColor, Style};
use serde::Serialize;

use crate::exit::Exit;
use crate::failure::Failure;
use crate::units::plain;

const BOLD: Style = Style::new().bold();
const GOOD: Style = AnsiColor::Green.on_default();
const BAD: Style = AnsiColor::Red.on_default().bold();
const DIM: Style = Style::new().dimmed();

/// Standard output and standard error, and what is to be written there.
pub(crate) struct Output {
    /// Whether programs read it.
    json: bool,
    colour: bool,
    exit: Exit,
}

impl Output {
    pub(crate) fn new(json: bool) -> Self {
        let colour = io::stdout().is_terminal()
            && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
            && std::env::var_os("TERM").is_none_or(|value| value != "dumb");
        Self {
            json,
            colour,
            exit: Exit::Fine,
        }
    }

    /// Writes a result: `value` for programs, `text` for people.
    pub(crate) fn result(
        &self,
        value: &impl Serialize,
        text: impl FnOnce(&Self) -> String,
    ) -> Result<(), Failure> {
        let mut line = if self.json { json(value) } else { text(self) };
        if !line.ends_with('\n') {
            line.push('\n');
        }
        let mut stdout = io::stdout().lock();
        stdout
            .write_all(line.as_bytes())
            .and_then(|()| stdout.flush())
            .map_err(|error| Failure::stdout(&error))
    }

    /// Says what could not be done, and goes on, unless the whole command ends with it.
    pub(crate) fn failed(&mut self, failure: Failure) -> Result<(), Failure> {
        if failure.ends_all {
            return Err(failure);
        }
        self.end_with(failure.exit);
        self.report(&failure);
        Ok(())
    }

    /// Says what could not be done.
    pub(crate) fn report(&self, failure: &Failure) {
        let line = if self.json {
            json(failure)
        } else {
            format!("lash-store: {}", failure.lines())
        };
        // There is nobody else to tell.
        let _ = writeln!(io::stderr().lock(), "{line}");
    }

    /// Says that a file in a directory is none of those that the command is for.
    pub(crate) fn skipped(&self, path: &Path, reason: &str) {
        #[derive(Serialize)]
        struct Skipped<'a> {
            path: String,
            skipped: &'a str,
        }
        let line = if self.json {
            json(&Skipped {
                path: path.display().to_string(),
                skipped: reason,
            })
        } else {
            plain(&format!("lash-store: skipped {}: {reason}", path.display()))
        };
        let _ = writeln!(io::stderr().lock(), "{line}");
    }

    /// The program will end with this, or worse.
    pub(crate) fn end_with(&mut self, exit: Exit) {
        self.exit = self.exit.max(exit);
    }

    pub(crate) fn exit(&self) -> Exit {
        self.exit
    }

    pub(crate) fn bold(&self, text: impl fmt::Display) -> String {
        self.styled(BOLD, text)
    }

    pub(crate) fn good(&self, text: impl fmt::Display) -> String {
        self.styled(GOOD, text)
    }

    pub(crate) fn bad(&self, text: impl fmt::Display) -> String {
        self.styled(BAD, text)
    }

    pub(crate) fn dim(&self, text: impl fmt::Display) -> String {
        self.styled(DIM, text)
    }

    fn styled(&self, style: Style, text: impl fmt::Display) -> String {
        if self.colour {
            format!("{style}{text}{style:#}")
        } else {
            text.to_string()
        }
    }
}

/// A value on one line. There is no value here that JSON cannot hold.
pub(crate) fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).unwrap_or_else(|error| {
        serde_json::json!({ "error": { "code": "fault", "message": error.to_string() } })
            .to_string()
    })
}
