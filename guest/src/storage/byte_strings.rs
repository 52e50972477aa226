//! Byte strings in one block.

use alloc::vec::Vec;

use crate::bindings::types::ByteStrings;

impl ByteStrings {
    /// None.
    pub(crate) fn new() -> Self {
        Self {
            bytes: Vec::new(),
            ends: Vec::new(),
        }
    }

    /// Adds one.
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
        // Lengths of memory of a 32-bit machine fit.
        self.ends.push(self.bytes.len() as u32);
    }

    /// Each of them; `None` if the ends are out of order.
    pub(crate) fn split(&self) -> Option<Vec<&[u8]>> {
        let mut start = 0;
        let mut strings = Vec::with_capacity(self.ends.len());
        for end in &self.ends {
            let end = *end as usize;
            strings.push(self.bytes.get(start..end)?);
            start = end;
        }
        (start == self.bytes.len()).then_some(strings)
    }
}

impl<B: AsRef<[u8]>> FromIterator<B> for ByteStrings {
    fn from_iter<I: IntoIterator<Item = B>>(items: I) -> Self {
        let mut strings = Self::new();
        for item in items {
            strings.push(item.as_ref());
        }
        strings
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_out_of_order_are_refused() {
        let mut strings = ByteStrings::from_iter(["", "abc", ""]);
        assert_eq!(strings.split().unwrap(), [&b""[..], b"abc", b""]);
        for ends in [&[3, 2, 3][..], &[4], &[2], &[]] {
            strings.ends = ends.to_vec();
            assert_eq!(strings.split(), None, "{ends:?}");
        }
        assert_eq!(ByteStrings::new().split().unwrap().len(), 0);
    }
}
