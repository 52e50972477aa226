//! Sequences of calls with any arguments, on the component's logic compiled natively.
//!
//! A call answers, or refuses with an error that says what is wrong with it: never with
//! one of SQLite, and never that something is damaged. Afterwards all is sound.

mod calls;
mod effects;
mod host_events;
mod processes;
mod session;
mod session_import;

pub(super) use calls::Calls;

use std::sync::OnceLock;

use lash_wasm_store_guest::bindings::inspection_types::Verification;
use lash_wasm_store_guest::bindings::types::Error;
use lash_wasm_store_guest::seam::Environment;
use lash_wasm_store_guest::{
    effects as effect, host_events as event, processes as process, session as own,
};

use super::input::Input;
use crate::faults::FaultyEnvironment;

/// When everything happens, in ms since 1970.
const NOW: i64 = 1_000_000;

/// A kind of database.
#[derive(Clone, Copy, Debug)]
pub(super) enum Kind {
    Session,
    Processes,
    HostEvents,
    Effects,
}

pub(super) const KINDS: [Kind; 4] = [
    Kind::Session,
    Kind::Processes,
    Kind::HostEvents,
    Kind::Effects,
];

impl Kind {
    /// One call, whichever the input says.
    pub(super) fn call<E: Environment>(self, env: &E, input: &mut Input<'_>, calls: &mut Calls) {
        match self {
            Self::Session => session::call(env, input, calls),
            Self::Processes => processes::call(env, input, calls),
            Self::HostEvents => host_events::call(env, input, calls),
            Self::Effects => effects::call(env, input, calls),
        }
    }

    /// All steps of a verification.
    pub(super) fn verify(self, env: &impl Environment) -> Result<Verification, Error> {
        let step = |cursor: Option<&[u8]>| match self {
            Self::Session => own::verify(env, cursor),
            Self::Processes => process::verify(env, cursor),
            Self::HostEvents => event::verify(env, cursor),
            Self::Effects => effect::verify(env, cursor),
        };
        let mut all = step(None)?;
        while let Some(cursor) = all.next.take() {
            let next = step(Some(&cursor))?;
            all.tables.extend(next.tables);
            all.problems.extend(next.problems);
            all.omitted += next.omitted;
            all.next = next.next;
        }
        Ok(all)
    }

    /// A new database of the kind.
    pub(super) fn open(self) -> FaultyEnvironment {
        static IMAGES: OnceLock<[Vec<u8>; 4]> = OnceLock::new();
        let images = IMAGES.get_or_init(|| {
            KINDS.map(|kind| {
                let mut env = FaultyEnvironment::empty();
                let initialized = match kind {
                    Self::Session => own::initialize(&env),
                    Self::Processes => process::initialize(&env),
                    Self::HostEvents => event::initialize(&env),
                    Self::Effects => effect::initialize(&env),
                };
                initialized.expect("a database");
                env.image()
            })
        });
        let env = FaultyEnvironment::from_image(&images[self as usize]);
        env.set_time(NOW);
        env
    }
}

pub(super) fn run(data: &[u8]) {
    let mut input = Input::new(data);
    let kind = input.pick(&KINDS);
    let env = kind.open();
    let mut calls = Calls::judged();
    for _ in 0..100 {
        if !input.more() {
            break;
        }
        if input.byte() == 0 {
            env.set_time(i64::try_from(input.number()).unwrap_or(i64::MAX));
        }
        kind.call(&env, &mut input, &mut calls);
    }
    if calls.retired {
        return;
    }
    let verification = kind.verify(&env).expect("a verification");
    assert!(
        verification.problems.is_empty(),
        "{kind:?}: {:?} after {:?}",
        verification.problems,
        calls.made
    );
}
