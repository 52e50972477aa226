//! How the content of a blob is stored: as it is, or deflated.

use alloc::vec::Vec;

use miniz_oxide::deflate::compress_to_vec_zlib;
use miniz_oxide::inflate::decompress_to_vec_zlib_with_limit;

use crate::bindings::session_types::BlobProfile;

/// How stored bytes are made into content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Encoding {
    Raw,
    Zlib,
}

impl Encoding {
    pub(crate) fn code(self) -> i64 {
        match self {
            Self::Raw => 0,
            Self::Zlib => 1,
        }
    }

    pub(crate) fn from_code(code: i64) -> Option<Self> {
        match code {
            0 => Some(Self::Raw),
            1 => Some(Self::Zlib),
            _ => None,
        }
    }
}

/// The level to compress content of this length at, if it is worth trying.
pub(crate) fn level(profile: BlobProfile, compressible: bool, length: usize) -> Option<u8> {
    match profile {
        _ if !compressible => None,
        BlobProfile::LowLatency => None,
        BlobProfile::Balanced => (length >= 1024).then_some(2),
        BlobProfile::Compact => (length >= 512).then_some(5),
    }
}

/// Deflates content; none if it would not become smaller.
pub(crate) fn deflate(content: &[u8], level: u8) -> Option<Vec<u8>> {
    let deflated = compress_to_vec_zlib(content, level);
    (deflated.len() < content.len()).then_some(deflated)
}

/// Inflates to as many bytes as there are, up to `most`; none if the bytes are damaged,
/// or if they hold more.
pub(crate) fn inflate_unknown(stored: &[u8], most: usize) -> Option<Vec<u8>> {
    decompress_to_vec_zlib_with_limit(stored, most).ok()
}

/// Inflates to exactly `length` bytes; none if the bytes are damaged, or if they
/// hold more or less.
pub(crate) fn inflate(stored: &[u8], length: usize) -> Option<Vec<u8>> {
    decompress_to_vec_zlib_with_limit(stored, length)
        .ok()
        .filter(|content| content.len() == length)
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    #[test]
    fn only_what_is_worth_it_is_compressed() {
        assert_eq!(level(BlobProfile::LowLatency, true, 1 << 20), None);
        assert_eq!(level(BlobProfile::Balanced, false, 1 << 20), None);
        assert_eq!(level(BlobProfile::Balanced, true, 1023), None);
        assert_eq!(level(BlobProfile::Balanced, true, 1024), Some(2));
        assert_eq!(level(BlobProfile::Compact, true, 511), None);
        assert_eq!(level(BlobProfile::Compact, true, 512), Some(5));
    }

    #[test]
    fn inflating_is_bounded_by_the_recorded_length() {
        let content = vec![7; 1 << 20];
        let stored = deflate(&content, 6).unwrap();
        assert!(stored.len() < 4096);
        assert_eq!(inflate(&stored, content.len()), Some(content));
        assert_eq!(inflate(&stored, (1 << 20) - 1), None);
        assert_eq!(inflate(&stored, (1 << 20) + 1), None);
        assert_eq!(inflate(b"not zlib", 8), None);
    }

    #[test]
    fn what_does_not_shrink_stays_raw() {
        assert_eq!(deflate(&[1, 2, 3], 1), None);
    }
}
