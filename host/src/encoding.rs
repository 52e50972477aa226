//! Encoding lash-core's values: what is opaque for the component becomes bytes.

use std::num::NonZeroUsize;
use std::path::Path;
use std::thread;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::Error;

/// How many threads decode one answer at most.
const MOST_THREADS: usize = 4;

/// How many things are worth a thread.
const LEAST_SHARE: usize = 1024;

/// Decodes many things of a kind. Decoding is what most of the time of reading a
/// long list goes into, so long ones are shared out among the cores.
pub(crate) fn decode_shared<T: Sync, R: Send>(
    encoded: &[T],
    decode: impl Fn(&T) -> Result<R, Error> + Sync,
) -> Result<Vec<R>, Error> {
    let threads = thread::available_parallelism()
        .map_or(1, NonZeroUsize::get)
        .min(MOST_THREADS);
    let share = encoded.len().div_ceil(threads).max(LEAST_SHARE);
    if encoded.len() <= share {
        return encoded.iter().map(decode).collect();
    }
    thread::scope(|scope| {
        let decode = &decode;
        let shares: Vec<_> = encoded
            .chunks(share)
            .map(|share| {
                scope.spawn(move || share.iter().map(decode).collect::<Result<Vec<R>, Error>>())
            })
            .collect();
        let mut decoded = Vec::with_capacity(encoded.len());
        for share in shares {
            match share.join() {
                Ok(share) => decoded.append(&mut share?),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        Ok(decoded)
    })
}

/// Encodes with the names of fields, so that a field may be added later.
pub(crate) fn to_msgpack<T: Serialize>(
    path: &Path,
    what: &'static str,
    value: &T,
) -> Result<Vec<u8>, Error> {
    rmp_serde::to_vec_named(value).map_err(|source| Error::encode(path, what, source))
}

/// As [`to_msgpack`], with lists of bytes as bytes instead of arrays of numbers.
///
/// Only for types in which no such list is below a flattened or untagged field:
/// serde could not read it back there.
pub(crate) fn to_packed_msgpack<T: Serialize>(
    path: &Path,
    what: &'static str,
    value: &T,
) -> Result<Vec<u8>, Error> {
    let mut bytes = Vec::new();
    let mut serializer = rmp_serde::Serializer::new(&mut bytes)
        .with_struct_map()
        .with_bytes(rmp_serde::config::BytesMode::ForceIterables);
    match value.serialize(&mut serializer) {
        Ok(()) => Ok(bytes),
        Err(source) => Err(Error::encode(path, what, source)),
    }
}

/// Decodes what [`to_msgpack`] or [`to_packed_msgpack`] encoded.
pub(crate) fn from_msgpack<T: DeserializeOwned>(
    path: &Path,
    what: &'static str,
    key: &str,
    bytes: &[u8],
) -> Result<T, Error> {
    rmp_serde::from_slice(bytes).map_err(|source| Error::decode(path, what, key, source))
}

/// Encodes as JSON.
pub(crate) fn to_json<T: Serialize>(
    path: &Path,
    what: &'static str,
    value: &T,
) -> Result<Vec<u8>, Error> {
    serde_json::to_vec(value).map_err(|source| Error::encode(path, what, source))
}

/// Decodes JSON.
pub(crate) fn from_json<T: DeserializeOwned>(
    path: &Path,
    what: &'static str,
    key: &str,
    bytes: &[u8],
) -> Result<T, Error> {
    serde_json::from_slice(bytes).map_err(|source| Error::decode(path, what, key, source))
}
