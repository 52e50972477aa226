//! Encoding lash-core's values: what is opaque for the component becomes bytes.
//!
//! What could not be read back is refused when it is encoded. Values are encoded on the
//! thread of the caller, so that the threads of the engine have no value that is nested
//! more deeply than their stack allows.

mod checked;
mod numbers;

use std::cell::Cell;
use std::num::NonZeroUsize;
use std::panic::resume_unwind;
use std::path::Path;
use std::{io, thread};

use serde::de::{DeserializeOwned, Error as _};
use serde::{Serialize, Serializer};

use self::checked::{Checked, Rules};
use self::numbers::Plain;
use crate::error::Error;

/// How many threads decode one answer at most.
const MOST_THREADS: usize = 4;

/// How many things are worth a thread.
const LEAST_SHARE: usize = 1024;

/// Decodes many things of a kind, each with its place among them. Decoding is what most of
/// the time of reading a long list goes into, so long ones are shared out among the cores.
pub(crate) fn decode_shared<T: Sync, R: Send>(
    encoded: &[T],
    decode: impl Fn(usize, &T) -> Result<R, Error> + Sync,
) -> Result<Vec<R>, Error> {
    let threads = thread::available_parallelism()
        .map_or(1, NonZeroUsize::get)
        .min(MOST_THREADS);
    let share = encoded.len().div_ceil(threads).max(LEAST_SHARE);
    if encoded.len() <= share {
        let numbered = encoded.iter().enumerate();
        return numbered.map(|(place, item)| decode(place, item)).collect();
    }
    let decode_all = |(number, items): (usize, &[T])| -> Result<Vec<R>, Error> {
        let first = number.saturating_mul(share);
        let numbered = items.iter().enumerate();
        numbered
            .map(|(place, item)| decode(first.saturating_add(place), item))
            .collect()
    };
    let decode_all = &decode_all;
    thread::scope(|scope| {
        let shares: Vec<_> = encoded
            .chunks(share)
            .enumerate()
            .map(|share| {
                let thread = thread::Builder::new().spawn_scoped(scope, move || decode_all(share));
                // Without a thread it is decoded on this one.
                thread.map_err(|_| share)
            })
            .collect();
        let mut decoded = Vec::with_capacity(encoded.len());
        for share in shares {
            let share = match share {
                Ok(thread) => thread.join().unwrap_or_else(|panic| resume_unwind(panic)),
                Err(share) => decode_all(share),
            };
            decoded.append(&mut share?);
        }
        Ok(decoded)
    })
}

/// How many levels of lists, maps and structures a stored value may have. This is 1,000
/// levels of the application's value and what lash-core puts around it.
const MOST_LEVELS: usize = 1024;

/// How many levels are decoded on the stack that is there.
const SHALLOW: usize = 120;

/// The stack for decoding [`MOST_LEVELS`].
const DEEP_STACK: usize = 32 << 20;

/// Encodes with the names of fields, so that a field may be added later.
pub(crate) fn to_msgpack<T: Serialize + ?Sized>(
    path: &Path,
    what: &'static str,
    key: &str,
    value: &T,
) -> Result<Vec<u8>, Error> {
    let mut bytes = Vec::new();
    let mut serializer = rmp_serde::Serializer::new(&mut bytes).with_struct_map();
    serializer.unstable_set_max_depth(DEPTH_IS_CHECKED);
    checked(path, what, key, value, &mut serializer, false)?;
    Ok(bytes)
}

/// As [`to_msgpack`], with lists of bytes as bytes instead of arrays of numbers.
///
/// Only for types in which no such list is below a flattened or untagged field:
/// serde could not read it back there.
pub(crate) fn to_packed_msgpack<T: Serialize>(
    path: &Path,
    what: &'static str,
    key: &str,
    value: &T,
) -> Result<Vec<u8>, Error> {
    let mut bytes = Vec::new();
    let mut serializer = rmp_serde::Serializer::new(&mut bytes)
        .with_struct_map()
        .with_bytes(rmp_serde::config::BytesMode::ForceIterables);
    serializer.unstable_set_max_depth(DEPTH_IS_CHECKED);
    checked(path, what, key, value, &mut serializer, false)?;
    Ok(bytes)
}

/// More levels than rmp-serde is given: what counts is [`MOST_LEVELS`].
const DEPTH_IS_CHECKED: usize = 2 * MOST_LEVELS;

/// Decodes what [`to_msgpack`] or [`to_packed_msgpack`] encoded.
pub(crate) fn from_msgpack<T: DeserializeOwned>(
    path: &Path,
    what: &'static str,
    key: &str,
    bytes: &[u8],
) -> Result<T, Error> {
    read_msgpack(bytes).map_err(|source| Error::decode(path, what, key, source))
}

/// Decodes MessagePack.
pub(crate) fn read_msgpack<T: DeserializeOwned>(
    bytes: &[u8],
) -> Result<T, rmp_serde::decode::Error> {
    let decode = |levels: usize| {
        let mut deserializer = rmp_serde::Deserializer::from_read_ref(bytes);
        // It refuses the level that it is given.
        deserializer.set_max_depth(levels + 1);
        T::deserialize(&mut deserializer)
    };
    match decode(SHALLOW) {
        Err(rmp_serde::decode::Error::DepthLimitExceeded) => {
            stacker::grow(DEEP_STACK, || decode(MOST_LEVELS))
        }
        decoded => decoded,
    }
}

/// Encodes as JSON.
pub(crate) fn to_json<T: Serialize + ?Sized>(
    path: &Path,
    what: &'static str,
    key: &str,
    value: &T,
) -> Result<Vec<u8>, Error> {
    let mut bytes = Vec::with_capacity(128);
    let mut serializer = serde_json::Serializer::new(&mut bytes);
    checked(path, what, key, value, &mut serializer, true)?;
    Ok(bytes)
}

/// Encodes as JSON in a string.
pub(crate) fn to_json_text<T: Serialize + ?Sized>(
    path: &Path,
    what: &'static str,
    key: &str,
    value: &T,
) -> Result<String, Error> {
    String::from_utf8(to_json(path, what, key, value)?)
        .map_err(|source| Error::encode(path, what, key, source))
}

/// Checks that a value can be stored as JSON, without encoding it.
pub(crate) fn check_json<T: Serialize + ?Sized>(
    path: &Path,
    what: &'static str,
    key: &str,
    value: &T,
) -> Result<(), Error> {
    let mut serializer = serde_json::Serializer::new(io::sink());
    checked(path, what, key, value, &mut serializer, true)
}

/// Decodes JSON.
pub(crate) fn from_json<T: DeserializeOwned>(
    path: &Path,
    what: &'static str,
    key: &str,
    bytes: &[u8],
) -> Result<T, Error> {
    read_json(bytes).map_err(|source| Error::decode(path, what, key, source))
}

/// Decodes JSON.
pub(crate) fn read_json<T: DeserializeOwned>(bytes: &[u8]) -> serde_json::Result<T> {
    let error = match read_levels(bytes, false) {
        Ok(value) => return Ok(value),
        Err(error) => error,
    };
    let levels = levels(bytes);
    if levels <= SHALLOW {
        return Err(error);
    }
    if levels > MOST_LEVELS {
        return Err(serde_json::Error::custom(format!(
            "it has {levels} levels, and at most {MOST_LEVELS} can be read"
        )));
    }
    stacker::grow(DEEP_STACK, || read_levels(bytes, true))
}

/// Decodes JSON of 127 levels, or of any number.
fn read_levels<T: DeserializeOwned>(bytes: &[u8], any: bool) -> serde_json::Result<T> {
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    if any {
        deserializer.disable_recursion_limit();
    }
    let value = match *numbers::ARE_KEPT {
        false => T::deserialize(&mut deserializer)?,
        true => T::deserialize(Plain(&mut deserializer))?,
    };
    deserializer.end()?;
    Ok(value)
}

/// How many levels of lists and maps a JSON text has.
pub(crate) fn levels(json: &[u8]) -> usize {
    let mut level = 0_usize;
    let mut deepest = 0;
    let mut bytes = json.iter();
    while let Some(byte) = bytes.next() {
        match byte {
            b'"' => {
                // To the end of the text. What is behind a backslash does not end it.
                while let Some(byte) = bytes.next() {
                    match byte {
                        b'"' => break,
                        b'\\' => drop(bytes.next()),
                        _ => {}
                    }
                }
            }
            b'[' | b'{' => {
                level = level.saturating_add(1);
                deepest = deepest.max(level);
            }
            b']' | b'}' => level = level.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

/// Serializes a value, unless it could not be read back.
fn checked<S: Serializer, T: Serialize + ?Sized>(
    path: &Path,
    what: &'static str,
    key: &str,
    value: &T,
    inner: S,
    json: bool,
) -> Result<(), Error>
where
    S::Error: Send + Sync + 'static,
{
    let too_deep = Cell::new(false);
    let rules = Rules {
        json,
        too_deep: &too_deep,
    };
    let serializer = Checked {
        inner,
        rules,
        level: 0,
    };
    match value.serialize(serializer) {
        Ok(_) => Ok(()),
        Err(_) if too_deep.get() => Err(Error::too_deep(path, what, key, MOST_LEVELS)),
        Err(source) => Err(Error::encode(path, what, key, source)),
    }
}

#[cfg(test)]
mod tests;
