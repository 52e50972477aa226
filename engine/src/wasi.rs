//! What the component imports from WASI: the time and random numbers.
//!
//! A linker that has all of WASI, by wasmtime-wasi, needs nothing of this.

use std::time::{SystemTime, UNIX_EPOCH};

use wasmtime::StoreContextMut;
use wasmtime::component::Linker;

use crate::bindings::wasi::clocks::wall_clock::Datetime;

/// Adds `wasi:clocks/wall-clock` and `wasi:random/random` to a linker, of each the
/// function that the component imports. `now` is the clock; random numbers are the
/// operating system's.
///
/// A clock that shows a time before 1970, and an operating system without random
/// numbers, make the component trap.
///
/// # Errors
///
/// If the linker has one of the two already.
pub fn add_to_linker<T: 'static>(
    linker: &mut Linker<T>,
    now: impl Fn(&mut T) -> SystemTime + Send + Sync + 'static,
) -> wasmtime::Result<()> {
    linker
        .instance("wasi:clocks/wall-clock@0.2.0")?
        .func_wrap("now", move |mut store: StoreContextMut<'_, T>, (): ()| {
            Ok((datetime(now(store.data_mut()))?,))
        })?;
    linker.instance("wasi:random/random@0.2.0")?.func_wrap(
        "get-random-u64",
        |_: StoreContextMut<'_, T>, (): ()| {
            let random = getrandom::u64();
            random
                .map(|random| (random,))
                .map_err(|error| wasmtime::Error::msg(error.to_string()))
        },
    )
}

fn datetime(time: SystemTime) -> wasmtime::Result<Datetime> {
    // Leases that were computed from a wrong time would never be noticed.
    let since = time
        .duration_since(UNIX_EPOCH)
        .map_err(|_| wasmtime::Error::msg("the clock shows a time before 1970"))?;
    Ok(Datetime {
        seconds: since.as_secs(),
        nanoseconds: since.subsec_nanos(),
    })
}
