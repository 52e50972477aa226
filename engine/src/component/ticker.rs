//! The clock by which calls of components that are not trusted are interrupted.

use std::sync::{Mutex, MutexGuard};
use std::time::Duration;
use std::{io, thread};

use crate::sync::lock;
use wasmtime::{Engine, EngineWeak};

/// How often the epochs are moved on.
const TICK: Duration = Duration::from_millis(10);

/// The ticker of the process.
pub(crate) static TICKER: Ticker = Ticker::new();

/// The engines whose epochs are moved on. While there are any, a thread does it.
pub(crate) struct Ticker(Mutex<Vec<EngineWeak>>);

impl Ticker {
    const fn new() -> Self {
        Self(Mutex::new(Vec::new()))
    }

    /// Moves the epoch of an engine on until it is dropped.
    pub(crate) fn follow(&'static self, engine: &Engine) -> io::Result<()> {
        let mut engines = self.engines();
        if engines.is_empty() {
            thread::Builder::new()
                .name("lash-epochs".to_owned())
                .spawn(|| self.run())?;
        }
        engines.push(engine.weak());
        Ok(())
    }

    fn run(&self) {
        loop {
            thread::sleep(TICK);
            let mut engines = self.engines();
            engines.retain(|engine| {
                let engine = engine.upgrade();
                engine.inspect(Engine::increment_epoch).is_some()
            });
            if engines.is_empty() {
                return;
            }
        }
    }

    fn engines(&self) -> MutexGuard<'_, Vec<EngineWeak>> {
        lock(&self.0)
    }
}

/// How many ticks from now it is `time` later, at least.
pub(crate) fn ticks(time: Duration) -> u64 {
    let ticks = time.as_nanos().div_ceil(TICK.as_nanos());
    // The next tick may come at once.
    u64::try_from(ticks)
        .unwrap_or(u64::MAX >> 1)
        .min(u64::MAX >> 1)
        + 1
}

#[cfg(test)]
mod tests {
    use wasmtime::{Config, Instance, Module, Store, Trap};

    use super::*;

    /// `(module (func (export "run") (loop (br 0))))`
    const LOOP: &[u8] = b"\0asm\x01\0\0\0\x01\x04\x01\x60\0\0\x03\x02\x01\0\
        \x07\x07\x01\x03run\0\0\x0a\x09\x01\x07\0\x03\x40\x0c\0\x0b\x0b";

    fn interrupted() -> Engine {
        let mut config = Config::new();
        config.epoch_interruption(true);
        let engine = Engine::new(&config).unwrap();
        let module = Module::new(&engine, LOOP).unwrap();
        let mut store = Store::new(&engine, ());
        store.set_epoch_deadline(1);
        let instance = Instance::new(&mut store, &module, &[]).unwrap();
        let run = instance
            .get_typed_func::<(), ()>(&mut store, "run")
            .unwrap();
        TEST.follow(&engine).unwrap();
        let trap = run.call(&mut store, ()).unwrap_err();
        assert_eq!(trap.downcast_ref(), Some(&Trap::Interrupt));
        engine
    }

    static TEST: Ticker = Ticker::new();

    #[test]
    fn the_thread_ends_with_the_last_engine_and_another_begins_with_the_next() {
        for _ in 0..2 {
            drop(interrupted());
            while !TEST.engines().is_empty() {
                thread::yield_now();
            }
        }
    }
}
