//! The one row that says which rows the tables of a database must have.

use alloc::vec::Vec;

use crate::Result;
use crate::storage::checksum::Checksum;
use crate::storage::corruption::{corrupt, missing, verify};
use crate::storage::rows::{RowReader, read_one};
use crate::storage::seam::{Transaction, Value};

pub(crate) const TABLE: &str = "table_digests";

/// Makes the table, which has one row.
pub(crate) const CREATE_TABLE: &str = "CREATE TABLE table_digests (
    id      INTEGER PRIMARY KEY CHECK (id = 1),
    digests BLOB NOT NULL
)";

/// What the tables of one kind of database hold, as of the last commit: numbers,
/// and digests of sets of rows.
pub(crate) trait Digests: Copy + Default + PartialEq {
    /// What a new database has.
    fn new() -> Self;

    /// Shows every number, always in the same order, for reading and for writing.
    fn visit(&mut self, visit: &mut dyn FnMut(&mut u64));

    /// Fails if the database must not be used any more.
    fn admit(&self) -> Result<()> {
        Ok(())
    }

    /// A number that changes with every change of the row.
    fn fingerprint(self) -> u64 {
        let checksum = Checksum::of(TABLE).bytes(&encode(self)).finish();
        checksum.cast_unsigned()
    }

    /// Reads the row.
    fn load(tx: &impl Transaction) -> Result<Self> {
        let rows = tx.query("SELECT digests FROM table_digests WHERE id = 1", &[])?;
        let bytes = read_one(TABLE, &rows, RowReader::blob)?.ok_or_else(|| missing(TABLE, 1))?;
        decode(bytes)
    }

    /// Writes the row anew, whatever is stored in its place.
    fn replace(&self, tx: &impl Transaction) -> Result<()> {
        tx.execute("DELETE FROM table_digests", &[])?;
        self.store(tx)
    }

    /// Writes the row.
    fn store(&self, tx: &impl Transaction) -> Result<()> {
        tx.execute(
            "INSERT INTO table_digests (id, digests) VALUES (1, ?1)
             ON CONFLICT (id) DO UPDATE SET digests = excluded.digests",
            &[Value::Blob(&encode(*self))],
        )?;
        Ok(())
    }
}

fn encode(mut digests: impl Digests) -> Vec<u8> {
    let mut bytes = Vec::new();
    digests.visit(&mut |number| bytes.extend_from_slice(&number.to_le_bytes()));
    let checksum = Checksum::of(TABLE).bytes(&bytes).finish();
    bytes.extend_from_slice(&checksum.to_le_bytes());
    bytes
}

fn decode<D: Digests>(bytes: &[u8]) -> Result<D> {
    let another_length = || corrupt(TABLE, 1, "the row has another length");
    let (body, checksum) = bytes.split_last_chunk::<8>().ok_or_else(another_length)?;
    verify(
        TABLE,
        1,
        i64::from_le_bytes(*checksum),
        Checksum::of(TABLE).bytes(body).finish(),
    )?;
    let (numbers, rest) = body.as_chunks::<8>();
    let mut numbers = numbers.iter();
    let mut complete = rest.is_empty();
    let mut digests = D::default();
    digests.visit(&mut |number| match numbers.next() {
        Some(bytes) => *number = u64::from_le_bytes(*bytes),
        None => complete = false,
    });
    if complete && numbers.next().is_none() {
        Ok(digests)
    } else {
        Err(another_length())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::checksum::SetDigest;

    #[derive(Clone, Copy, Debug, Default, PartialEq)]
    struct Sample {
        rows: SetDigest,
        next: u64,
    }

    impl Digests for Sample {
        fn new() -> Self {
            Self::default()
        }

        fn visit(&mut self, visit: &mut dyn FnMut(&mut u64)) {
            self.rows.visit(visit);
            visit(&mut self.next);
        }
    }

    #[test]
    fn every_number_survives_and_every_flip_is_found() {
        let mut digests = Sample::default();
        let mut count = 0;
        digests.visit(&mut |number| {
            count += 1;
            *number = u64::MAX / (count + 1);
        });
        let bytes = encode(digests);
        assert_eq!(decode::<Sample>(&bytes).unwrap(), digests);
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(decode::<Sample>(&flipped).is_err(), "bit {bit}");
        }
    }

    #[test]
    fn a_row_of_another_length_is_refused() {
        let bytes = encode(Sample::new());
        assert!(decode::<Sample>(&bytes[1..]).is_err());
        assert!(decode::<Sample>(&[]).is_err());
        let body = &bytes[..bytes.len() - 16];
        let mut shorter = body.to_vec();
        shorter.extend(Checksum::of(TABLE).bytes(body).finish().to_le_bytes());
        assert!(decode::<Sample>(&shorter).is_err());
    }
}
