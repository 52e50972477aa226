//! Bytes as lower-case hex digits.

use alloc::string::String;

const HEX: &[u8; 16] = b"0123456789abcdef";

/// Appends bytes in lower-case hex.
pub(crate) fn push_hex(text: &mut String, bytes: &[u8]) {
    for byte in bytes {
        for nibble in [byte >> 4, byte & 15] {
            text.push(char::from(
                HEX.get(usize::from(nibble)).copied().unwrap_or(b'0'),
            ));
        }
    }
}
