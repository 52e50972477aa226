//! Counters, gauges and histograms of the process, if the feature `metrics` is on.
//!
//! `docs/observability.md` in the repository lists them.

#[cfg(feature = "metrics")]
mod recorded;
#[cfg(not(feature = "metrics"))]
mod silent;

#[cfg(feature = "metrics")]
pub(crate) use recorded::*;
#[cfg(not(feature = "metrics"))]
pub(crate) use silent::*;
