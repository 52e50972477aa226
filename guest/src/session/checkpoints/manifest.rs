//! How a manifest is encoded.

use alloc::vec::Vec;

use crate::bindings::session_types::Manifest;
use crate::session::blobs::key::{BlobKey, KEY_LENGTH};

/// How every encoded manifest begins.
const MAGIC: &[u8] = b"lash-checkpoint-1\0";

/// A manifest with its references as keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Keys {
    pub(super) turn_state: Vec<u8>,
    pub(super) tool_state: Option<BlobKey>,
    pub(super) plugin_snapshot: Option<BlobKey>,
    pub(super) plugin_snapshot_revision: Option<u64>,
    pub(super) execution_state: Option<BlobKey>,
}

impl Keys {
    /// What the manifest refers to.
    pub(super) fn edges(&self) -> Vec<BlobKey> {
        [self.tool_state, self.plugin_snapshot, self.execution_state]
            .into_iter()
            .flatten()
            .collect()
    }

    /// One encoding for one manifest, because its digest is its name.
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        bytes.extend_from_slice(&(self.turn_state.len() as u64).to_le_bytes());
        bytes.extend_from_slice(&self.turn_state);
        for key in [self.tool_state, self.plugin_snapshot, self.execution_state] {
            match key {
                Some(key) => {
                    bytes.push(1);
                    bytes.extend_from_slice(key.as_bytes());
                }
                None => bytes.push(0),
            }
        }
        match self.plugin_snapshot_revision {
            Some(revision) => {
                bytes.push(1);
                bytes.extend_from_slice(&revision.to_le_bytes());
            }
            None => bytes.push(0),
        }
        bytes
    }

    /// Reads an encoded manifest; none if it is not one.
    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let mut rest = bytes.strip_prefix(MAGIC)?;
        let length = usize::try_from(u64::from_le_bytes(*take(&mut rest)?)).ok()?;
        let (turn_state, tail) = rest.split_at_checked(length)?;
        rest = tail;
        let keys = Self {
            turn_state: turn_state.to_vec(),
            tool_state: take_key(&mut rest)?,
            plugin_snapshot: take_key(&mut rest)?,
            execution_state: take_key(&mut rest)?,
            plugin_snapshot_revision: match take(&mut rest)? {
                [0] => None,
                [1] => Some(u64::from_le_bytes(*take(&mut rest)?)),
                _ => return None,
            },
        };
        rest.is_empty().then_some(keys)
    }

    pub(super) fn into_manifest(self) -> Manifest {
        let text = |key: Option<BlobKey>| key.map(|key| key.text());
        Manifest {
            turn_state: self.turn_state,
            tool_state: text(self.tool_state),
            plugin_snapshot: text(self.plugin_snapshot),
            plugin_snapshot_revision: self.plugin_snapshot_revision,
            execution_state: text(self.execution_state),
        }
    }
}

fn take<'b, const N: usize>(rest: &mut &'b [u8]) -> Option<&'b [u8; N]> {
    let (head, tail) = rest.split_first_chunk::<N>()?;
    *rest = tail;
    Some(head)
}

fn take_key(rest: &mut &[u8]) -> Option<Option<BlobKey>> {
    match take(rest)? {
        [0] => Some(None),
        [1] => BlobKey::from_bytes(take::<KEY_LENGTH>(rest)?).map(Some),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    fn keys() -> Keys {
        Keys {
            turn_state: vec![1, 2, 3],
            tool_state: Some(BlobKey::of(b"a")),
            plugin_snapshot: None,
            plugin_snapshot_revision: Some(u64::MAX),
            execution_state: Some(BlobKey::of(b"b")),
        }
    }

    #[test]
    fn a_manifest_is_read_back() {
        assert_eq!(Keys::decode(&keys().encode()), Some(keys()));
        assert_eq!(keys().edges(), [BlobKey::of(b"a"), BlobKey::of(b"b")]);
    }

    #[test]
    fn a_cut_or_extended_manifest_is_refused() {
        let bytes = keys().encode();
        for length in 0..bytes.len() {
            assert_eq!(Keys::decode(&bytes[..length]), None, "cut at {length}");
        }
        assert_eq!(Keys::decode(&[bytes, vec![0]].concat()), None);
    }
}
