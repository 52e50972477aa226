//! The program `lash-store`: looks into databases and looks after them.
//!
//! A command is a file here. It writes results through [`output::Output`], ends with an
//! [`exit::Exit`], and returns a [`failure::Failure`] for what it could not use. The
//! logic is the library's.
#![forbid(unsafe_code)]

mod arguments;
mod exit;
mod export;
mod failure;
mod gc;
mod import;
mod inspect;
mod output;
mod progress;
mod reclaim;
mod repair;
mod run;
mod session;
mod sink;
mod table;
mod targets;
mod units;
mod vacuum;
mod verify;

use std::process::ExitCode;

use clap::Parser;

use crate::arguments::Arguments;

fn main() -> ExitCode {
    run::to_end(Arguments::parse())
}
