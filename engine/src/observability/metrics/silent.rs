//! Without the feature nothing is recorded.

use std::time::Duration;

use crate::sqlite::Traffic;

pub(crate) const ENABLED: bool = false;

pub(crate) fn call(_: &'static str, _: &'static str, _: &'static str, _: Duration, _: Traffic) {}

pub(crate) fn lock_wait(_: Duration) {}

pub(crate) fn checkpoint(_: &'static str) {}

pub(crate) fn instance_made() {}

pub(crate) fn instance_stopped() {}

pub(crate) fn threads(_: usize) {}

pub(crate) fn waiting_databases(_: usize) {}

pub(crate) fn waiting_calls(_: usize) {}
