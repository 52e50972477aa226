//! How far long work is, on a terminal.

use std::fs;
use std::path::Path;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use crate::units::{bytes, number, plain};

/// What is shown while nobody knows how much there is to do.
const SPINNER: &str = "{spinner} {msg} {prefix} {elapsed}";

/// How bytes are counted.
const BYTES: &str = "{msg} [{bar:30}] {percent} % {binary_bytes_per_sec} {eta}";

/// A bar on standard error. It is not drawn if that is no terminal, and is gone when this
/// is dropped.
pub(crate) struct Bar(ProgressBar);

impl Bar {
    pub(crate) fn new(doing: &str, path: &Path) -> Self {
        let bar = ProgressBar::new_spinner().with_style(style(SPINNER));
        let size = fs::metadata(path).map_or(0, |metadata| metadata.len());
        let path = plain(&path.to_string_lossy());
        bar.set_message(format!("{doing} {path}, {}", bytes(size)));
        bar.enable_steady_tick(Duration::from_millis(200));
        Self(bar)
    }

    /// One that is never drawn.
    pub(crate) fn hidden() -> Self {
        Self(ProgressBar::hidden())
    }

    /// So many bytes of all are done.
    pub(crate) fn set(&self, done: u64, total: u64) {
        if self.0.length().is_none() {
            self.0.set_style(style(BYTES));
        }
        self.0.set_length(total);
        self.0.set_position(done);
    }

    /// So many records are done, of nobody knows how many.
    pub(crate) fn records(&self, done: u64) {
        self.0.set_prefix(format!("{} records", number(done)));
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template)
        .unwrap_or_else(|_| ProgressStyle::default_spinner())
        .progress_chars("=> ")
}
