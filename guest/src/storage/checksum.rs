//! Checksums of rows and of sets of rows.
//!
//! They find damage, not forgery: who can write the file can also write a
//! matching checksum. Blobs have their cryptographic key instead.

use xxhash_rust::xxh3::xxh3_64_with_seed;

/// Folds the columns of a row into one number, each column with its place, its
/// type and its length.
#[derive(Clone, Copy)]
pub(crate) struct Checksum(u64);

impl Checksum {
    /// Starts a row of a table; rows of different tables never agree.
    pub(crate) fn of(table: &'static str) -> Self {
        Self(xxh3_64_with_seed(table.as_bytes(), 0))
    }

    /// Adds bytes.
    pub(crate) fn bytes(self, bytes: &[u8]) -> Self {
        Self(xxh3_64_with_seed(bytes, self.0))
    }

    /// Adds an integer.
    pub(crate) fn integer(self, value: i64) -> Self {
        self.bytes(&value.to_le_bytes())
    }

    /// Adds a value that may be NULL.
    pub(crate) fn optional(self, value: Option<&[u8]>) -> Self {
        match value {
            Some(bytes) => self.bytes(&[1]).bytes(bytes),
            None => self.bytes(&[0]),
        }
    }

    /// Adds an integer that may be NULL.
    pub(crate) fn optional_integer(self, value: Option<i64>) -> Self {
        self.optional(value.map(i64::to_le_bytes).as_ref().map(|bytes| &bytes[..]))
    }

    /// The number, as SQLite stores it.
    pub(crate) fn finish(self) -> i64 {
        i64::from_le_bytes(self.0.to_le_bytes())
    }
}

/// A checksum of what identifies rows, for an index of its own. `column` names the
/// column that holds it, with its table: identities of different columns never
/// agree, nor does one agree with the checksum of a row.
pub(crate) fn identity(column: &'static str, parts: &[&[u8]]) -> i64 {
    parts
        .iter()
        .fold(Checksum::of(column), |checksum, part| checksum.bytes(part))
        .finish()
}

/// A checksum of content that is not always read with its row. `column` is as for
/// [`identity`].
pub(crate) fn content_hash(column: &'static str, content: &[u8]) -> i64 {
    Checksum::of(column).bytes(content).finish()
}

/// How many rows a set has and the sum of their checksums, whatever their order.
///
/// It finds what the checksum of a row cannot: rows that are gone, because a
/// page that led to them is damaged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct SetDigest {
    pub(crate) count: u64,
    pub(crate) sum: u64,
}

impl SetDigest {
    /// The digest of one row.
    pub(crate) fn single(checksum: i64) -> Self {
        let mut digest = Self::default();
        digest.insert(checksum);
        digest
    }

    pub(crate) fn insert(&mut self, checksum: i64) {
        self.count = self.count.wrapping_add(1);
        self.sum = self.sum.wrapping_add(checksum.cast_unsigned());
    }

    /// Shows its two numbers, see `Digests::visit`.
    pub(crate) fn visit(&mut self, visit: &mut dyn FnMut(&mut u64)) {
        visit(&mut self.count);
        visit(&mut self.sum);
    }

    pub(crate) fn remove(&mut self, checksum: i64) {
        self.count = self.count.wrapping_sub(1);
        self.sum = self.sum.wrapping_sub(checksum.cast_unsigned());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_have_places_types_and_lengths() {
        let row = |a: &[u8], b: &[u8]| Checksum::of("t").bytes(a).bytes(b).finish();
        assert_ne!(row(b"ab", b"c"), row(b"a", b"bc"));
        assert_ne!(row(b"a", b"b"), row(b"b", b"a"));
        assert_ne!(
            Checksum::of("t").optional(None).finish(),
            Checksum::of("t").optional(Some(b"")).finish()
        );
        assert_ne!(Checksum::of("t").finish(), Checksum::of("u").finish());
    }

    #[test]
    fn an_identity_is_no_checksum_of_a_row_nor_of_another_column() {
        let parts: &[&[u8]] = &[b"a", b"b"];
        let identity = identity("t.a", parts);
        assert_ne!(identity, super::identity("t.b", parts));
        assert_ne!(identity, super::identity("t.a", &[b"ab"]));
        let row = Checksum::of("t").bytes(b"a").bytes(b"b").finish();
        assert_ne!(identity, row);
    }

    #[test]
    fn every_flipped_bit_changes_the_checksum() {
        let bytes: alloc::vec::Vec<u8> = (0..=255).collect();
        let whole = Checksum::of("t").bytes(&bytes).finish();
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert_ne!(
                Checksum::of("t").bytes(&flipped).finish(),
                whole,
                "bit {bit}"
            );
        }
    }

    #[test]
    fn a_set_digest_ignores_order_and_forgets_what_is_removed() {
        let mut a = SetDigest::default();
        let mut b = SetDigest::default();
        a.insert(-5);
        a.insert(i64::MAX);
        b.insert(i64::MAX);
        b.insert(77);
        b.insert(-5);
        b.remove(77);
        assert_eq!(a, b);
    }
}
