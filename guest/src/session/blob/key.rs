//! Keys of blobs: which algorithm, and its digest of the raw content.

use alloc::string::String;

use crate::hex::push_hex;

/// The multihash code of BLAKE3, the first byte of every stored key.
const BLAKE3: u8 = 0x1e;
/// How a key begins in its text form.
const PREFIX: &str = "blake3:";

/// How long a stored key is.
pub(crate) const KEY_LENGTH: usize = 33;

/// A key as it is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct BlobKey([u8; KEY_LENGTH]);

impl BlobKey {
    /// The key of content.
    pub(crate) fn of(content: &[u8]) -> Self {
        let mut key = [BLAKE3; KEY_LENGTH];
        if let Some((_, digest)) = key.split_first_mut() {
            digest.copy_from_slice(blake3::hash(content).as_bytes());
        }
        Self(key)
    }

    /// Reads a stored key; none if it is of another length or algorithm.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let key: [u8; KEY_LENGTH] = bytes.try_into().ok()?;
        (key.first() == Some(&BLAKE3)).then_some(Self(key))
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Reads the text form; none if it is not one, so that no blob can have it.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let digits = text.strip_prefix(PREFIX)?.as_bytes();
        if digits.len() != (KEY_LENGTH - 1) * 2 {
            return None;
        }
        let mut key = [BLAKE3; KEY_LENGTH];
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
        text.push_str(PREFIX);
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
