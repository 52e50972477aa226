//! Keys of blobs: which algorithm, and its digest of the raw content.
//!
//! New content gets a BLAKE3 key. Blobs that were imported have the SHA-256 key that
//! they had, so that who knows a blob by it still finds it.

use alloc::string::String;

use sha2::{Digest, Sha256};

use crate::storage::hex::push_hex;

/// The multihash codes, the first byte of every stored key.
const BLAKE3: u8 = 0x1e;
const SHA2_256: u8 = 0x12;
/// How a key of a BLAKE3 digest begins in its text form. One of a SHA-256 digest is the
/// digest alone.
const PREFIX: &str = "blake3:";

/// How long a stored key is.
pub(crate) const KEY_LENGTH: usize = 33;

/// A key as it is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct BlobKey([u8; KEY_LENGTH]);

impl BlobKey {
    /// The key that content gets.
    pub(crate) fn of(content: &[u8]) -> Self {
        Self::new(BLAKE3, blake3::hash(content).as_bytes())
    }

    fn new(algorithm: u8, digest: &[u8; KEY_LENGTH - 1]) -> Self {
        let mut key = [algorithm; KEY_LENGTH];
        if let Some((_, place)) = key.split_first_mut() {
            place.copy_from_slice(digest);
        }
        Self(key)
    }

    /// Whether this is the key of content.
    pub(crate) fn is_of(&self, content: &[u8]) -> bool {
        *self
            == match self.is_imported() {
                true => Self::new(SHA2_256, &Sha256::digest(content).into()),
                false => Self::of(content),
            }
    }

    /// Whether it is a key that a blob had before it was imported.
    pub(crate) fn is_imported(&self) -> bool {
        self.algorithm() == SHA2_256
    }

    fn algorithm(&self) -> u8 {
        let [algorithm, ..] = self.0;
        algorithm
    }

    /// Reads a stored key; none if it is of another length or algorithm.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let key: [u8; KEY_LENGTH] = bytes.try_into().ok()?;
        let [algorithm, ..] = key;
        matches!(algorithm, BLAKE3 | SHA2_256).then_some(Self(key))
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Reads the text form; none if it is not one, so that no blob can have it.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (algorithm, digits) = match text.strip_prefix(PREFIX) {
            Some(digits) => (BLAKE3, digits.as_bytes()),
            None => (SHA2_256, text.as_bytes()),
        };
        if digits.len() != (KEY_LENGTH - 1) * 2 {
            return None;
        }
        let mut key = [algorithm; KEY_LENGTH];
        let (_, digest) = key.split_first_mut()?;
        for (byte, pair) in digest.iter_mut().zip(digits.chunks_exact(2)) {
            let [high, low] = pair else { return None };
            *byte = digit(*high)? << 4 | digit(*low)?;
        }
        Some(Self(key))
    }

    /// The text form.
    pub(crate) fn text(&self) -> String {
        let mut text = String::with_capacity(PREFIX.len() + KEY_LENGTH * 2);
        if !self.is_imported() {
            text.push_str(PREFIX);
        }
        push_hex(&mut text, self.0.get(1..).unwrap_or_default());
        text
    }
}

fn digit(character: u8) -> Option<u8> {
    match character {
        b'0'..=b'9' => Some(character - b'0'),
        b'a'..=b'f' => Some(character - b'a' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_form_names_the_algorithm_and_is_read_back() {
        let key = BlobKey::of(b"");
        assert_eq!(
            key.text(),
            "blake3:af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262"
        );
        assert_eq!(BlobKey::parse(&key.text()), Some(key));
        assert_eq!(BlobKey::from_bytes(key.as_bytes()), Some(key));
    }

    #[test]
    fn an_imported_key_is_its_digits_alone() {
        let text = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        let key = BlobKey::parse(text).unwrap();
        assert!(key.is_imported() && key.is_of(b"abc") && !key.is_of(b"abd"));
        assert_eq!(key.text(), text);
        assert_eq!(BlobKey::from_bytes(key.as_bytes()), Some(key));
        assert!(BlobKey::of(b"abc").is_of(b"abc") && !BlobKey::of(b"abc").is_imported());
    }

    #[test]
    fn what_is_no_key_is_not_read() {
        for text in [
            "",
            "blake3:",
            "sha256:00",
            "blake3:zz",
            &"blake3:".repeat(10),
        ] {
            assert_eq!(BlobKey::parse(text), None, "{text}");
        }
        let upper = BlobKey::of(b"").text().to_uppercase();
        assert_eq!(BlobKey::parse(&upper), None);
        assert_eq!(BlobKey::from_bytes(&[0; KEY_LENGTH]), None);
    }
}
