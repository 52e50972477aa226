//! What is told about a call: a span of `tracing`, and metrics.
//!
//! The span begins when the call is made, so that its duration includes waiting for a
//! thread, and is entered on the thread that does the work. `docs/observability.md` in
//! the repository lists all fields. Nothing that a caller stores is ever recorded, but
//! for the identifiers of sessions, processes and effect scopes.

use std::time::Instant;

use tracing::Span;
use tracing::field::Empty;

use super::{Failure, metrics};
use crate::database::Context;
use crate::observability::TARGET;
use crate::sqlite::Traffic;

/// What is known of a call when it has ended.
#[derive(Default)]
pub(crate) struct Report {
    pub(crate) traffic: Traffic,
    /// How it ended, if it succeeded and that is not all there is to say.
    pub(crate) outcome: Option<&'static str>,
}

/// A call, from when it is made until it has ended.
pub(crate) struct Observed {
    span: Span,
    operation: &'static str,
    kind: &'static str,
    /// None if nobody measures it.
    begun: Option<Instant>,
}

impl Observed {
    pub(crate) fn begin(context: &Context, operation: &'static str) -> Self {
        let kind = context.kind();
        let span = tracing::debug_span!(
            target: TARGET,
            "call",
            operation,
            kind,
            path = %context.path().display(),
            session = context.session(),
            process = Empty,
            scope = Empty,
            outcome = Empty,
            rows_read = Empty,
            bytes_read = Empty,
            rows_written = Empty,
            bytes_written = Empty,
        );
        Self {
            span,
            operation,
            kind,
            begun: metrics::ENABLED.then(Instant::now),
        }
    }

    /// What nobody asked for, and would be seen too often: nothing is told about it.
    pub(crate) fn unseen(context: &Context, operation: &'static str) -> Self {
        Self {
            span: Span::none(),
            operation,
            kind: context.kind(),
            begun: None,
        }
    }

    pub(crate) fn operation(&self) -> &'static str {
        self.operation
    }

    /// Does the work, within the span.
    pub(crate) fn during<T>(&self, work: impl FnOnce() -> T) -> T {
        self.span.in_scope(work)
    }

    pub(crate) fn end<R, E: Failure>(self, answer: &Result<R, E>, report: &Report) {
        let outcome = match answer {
            Ok(_) => report.outcome.unwrap_or("ok"),
            Err(error) => error.code(),
        };
        self.ended(outcome, report.traffic);
    }

    /// Nobody waits for the answer any more, so the call is not made.
    pub(crate) fn abandon(self) {
        self.ended("abandoned", Traffic::default());
    }

    fn ended(self, outcome: &'static str, traffic: Traffic) {
        if !self.span.is_disabled() {
            self.span.record("outcome", outcome);
            self.span.record("rows_read", traffic.rows_read);
            self.span.record("bytes_read", traffic.bytes_read);
            self.span.record("rows_written", traffic.rows_written);
            self.span.record("bytes_written", traffic.bytes_written);
        }
        if let Some(begun) = self.begun {
            metrics::call(self.kind, self.operation, outcome, begun.elapsed(), traffic);
        }
    }
}
