//! How components run on this machine: as fast as it allows.
//!
//! A machine may have too few addresses for wasmtime's usual reservation of 4 GiB for a
//! memory. What is then made differently is remembered. A failure is not: the limits of a
//! process can be raised while it runs.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU8, Ordering};

use wasmtime::Engine;

use crate::observability::TARGET;
use crate::resource::Resource;
use crate::sync::lock;

/// A way to run components.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Machine code that checks no access to memory, because 4 GiB of addresses are reserved.
    Roomy,
    /// Machine code that checks every access, in few addresses.
    Compact,
}

const MODES: usize = 2;

impl Mode {
    /// The mode to try when this one failed, if another one can do without what was missing.
    pub(super) fn instead(self, error: &wasmtime::Error) -> Option<Self> {
        match (Resource::of(error)?, self) {
            (Resource::Memory, Self::Roomy) => Some(Self::Compact),
            _ => None,
        }
    }

    fn from_index(index: u8) -> Self {
        match index {
            0 => Self::Roomy,
            _ => Self::Compact,
        }
    }

    fn warning(self) -> &'static str {
        match self {
            Self::Roomy => "",
            Self::Compact => {
                "there are no 4 GiB of addresses for the memory of a component: it runs with less, \
                 and slower; raise `ulimit -v`"
            }
        }
    }
}

/// The engines that have one configuration, and which of them works here.
pub(crate) struct Engines {
    mode: AtomicU8,
    engines: ByMode<Engine>,
}

impl Engines {
    pub(super) const fn new() -> Self {
        Self {
            mode: AtomicU8::new(Mode::Roomy as u8),
            engines: ByMode::new(),
        }
    }

    /// Engines that begin with what others have found out.
    pub(super) fn as_found_by(other: &Self) -> Self {
        Self {
            mode: AtomicU8::new(other.mode.load(Ordering::Relaxed)),
            engines: ByMode::new(),
        }
    }

    /// The mode in which components run now.
    pub(crate) fn mode(&self) -> Mode {
        Mode::from_index(self.mode.load(Ordering::Relaxed))
    }

    /// The engine of a mode.
    pub(super) fn get(
        &self,
        mode: Mode,
        make: impl FnOnce() -> wasmtime::Result<Engine>,
    ) -> wasmtime::Result<Engine> {
        self.engines.get(mode, make)
    }

    /// Does something in the current mode, or in another one if this machine does not
    /// allow it. If that succeeds, the other one is the current one from then on.
    pub(crate) fn adapt<T>(
        &self,
        mut attempt: impl FnMut(Mode) -> wasmtime::Result<T>,
    ) -> wasmtime::Result<T> {
        let begun = self.mode();
        let mut mode = begun;
        loop {
            match attempt(mode) {
                Ok(done) => {
                    if mode != begun {
                        self.remember(mode);
                    }
                    return Ok(done);
                }
                Err(error) => mode = mode.instead(&error).ok_or(error)?,
            }
        }
    }

    pub(super) fn remember(&self, mode: Mode) {
        let before = self.mode.swap(mode as u8, Ordering::Relaxed);
        if before != mode as u8 {
            tracing::warn!(target: TARGET, "{}", mode.warning());
        }
    }
}

/// Something for each mode, made when it is first needed.
pub(crate) struct ByMode<T>([Mutex<Option<T>>; MODES]);

impl<T: Clone> ByMode<T> {
    pub(crate) const fn new() -> Self {
        Self([const { Mutex::new(None) }; MODES])
    }

    /// What there is for the mode. One caller makes it, and others wait for that; a
    /// failure is returned to one caller only.
    pub(crate) fn get(
        &self,
        mode: Mode,
        make: impl FnOnce() -> wasmtime::Result<T>,
    ) -> wasmtime::Result<T> {
        let Some(made) = self.0.get(mode as usize) else {
            return make();
        };
        let mut made = lock(made);
        if let Some(made) = made.as_ref() {
            return Ok(made.clone());
        }
        Ok(made.insert(make()?).clone())
    }
}

#[cfg(all(test, unix))]
mod tests {
    use rustix::io::Errno;

    use super::*;

    fn no_memory() -> wasmtime::Error {
        wasmtime::Error::from(Errno::NOMEM)
    }

    #[test]
    fn what_works_is_remembered_and_what_fails_is_not() {
        let engines = Engines::new();
        let mut tried = Vec::new();
        let error = engines.adapt(|mode| {
            tried.push(mode);
            Err::<(), _>(no_memory())
        });
        assert_eq!(Resource::of(&error.unwrap_err()), Some(Resource::Memory));
        assert_eq!(tried, [Mode::Roomy, Mode::Compact]);
        assert_eq!(engines.mode(), Mode::Roomy);

        let only_compact = |mode| match mode {
            Mode::Compact => Ok(()),
            _ => Err(no_memory()),
        };
        engines.adapt(only_compact).unwrap();
        assert_eq!(engines.mode(), Mode::Compact);
        assert_eq!(Engines::as_found_by(&engines).mode(), Mode::Compact);
    }

    #[test]
    fn what_failed_is_made_again() {
        let made = ByMode::new();
        made.get(Mode::Roomy, || Err(no_memory())).unwrap_err();
        assert_eq!(made.get(Mode::Roomy, || Ok(1)).unwrap(), 1);
        assert_eq!(made.get(Mode::Roomy, || Ok(2)).unwrap(), 1);
        assert_eq!(made.get(Mode::Compact, || Ok(3)).unwrap(), 3);
    }
}
