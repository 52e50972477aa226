//! Errors as they are reported: in spans, metrics and logs.

use std::error::Error;
use std::fmt;

/// An error that a job may end with.
///
/// [`Error`](crate::Error) is one. A program whose jobs do more than calling the
/// component implements it for an error of its own.
pub trait Failure {
    /// A word for programs: the outcome of the call in spans and metrics.
    fn code(&self) -> &'static str;

    /// Writes the error for a log: with its causes, but for those that may quote what a
    /// caller stores.
    ///
    /// # Errors
    ///
    /// If the formatter fails.
    fn log(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result;
}

/// An error with its causes on one line.
pub struct Chain<'e>(pub &'e dyn Error);

impl fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)?;
        let mut cause = self.0.source();
        while let Some(error) = cause {
            write!(f, ": {error}")?;
            cause = error.source();
        }
        Ok(())
    }
}

/// An error as it is logged, see [`Failure::log`].
pub struct Logged<'e, E>(pub &'e E);

impl<E: Failure> fmt::Display for Logged<'_, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.log(f)
    }
}
