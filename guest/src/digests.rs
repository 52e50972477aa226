//! The one row that says which rows the session's tables must have.

use alloc::vec::Vec;

use crate::Result;
use crate::checksum::{Checksum, SetDigest};
use crate::corruption::{RowReader, corrupt, verify};
use crate::seam::{Transaction, Value};

const TABLE: &str = "table_digests";

/// How many numbers the row has, the checksum not counted.
const FIELDS: usize = 27;

/// What the tables of a session hold, as of the last commit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Digests {
    /// Nodes that are not tombstoned.
    pub(crate) nodes: SetDigest,
    /// Nodes that are tombstoned.
    pub(crate) tombstones: SetDigest,
    /// The sequence that the next node gets.
    pub(crate) next_node: u64,
    /// How many of the nodes are messages of the user.
    pub(crate) prompts: u64,
    /// The sequence of the first of them, 0 if there is none.
    pub(crate) first_prompt: u64,
    pub(crate) usage_entries: SetDigest,
    pub(crate) usage_totals: SetDigest,
    pub(crate) batches: SetDigest,
    /// The sequence that the next batch gets.
    pub(crate) next_batch: u64,
    /// Attachments, committed or not.
    pub(crate) intents: SetDigest,
    pub(crate) artifacts: SetDigest,
    pub(crate) blobs: SetDigest,
    /// Stamps of committed turns.
    pub(crate) turns: SetDigest,
    /// One row or none.
    pub(crate) head: SetDigest,
    /// One row or none.
    pub(crate) meta: SetDigest,
    /// 1 once the session is being deleted.
    pub(crate) retired: u64,
}

impl Digests {
    /// What a new database has. Sequences start at 1.
    pub(crate) fn new() -> Self {
        Self {
            next_node: 1,
            next_batch: 1,
            ..Self::default()
        }
    }

    fn fields(&self) -> [u64; FIELDS] {
        [
            self.nodes.count,
            self.nodes.sum,
            self.tombstones.count,
            self.tombstones.sum,
            self.next_node,
            self.prompts,
            self.first_prompt,
            self.usage_entries.count,
            self.usage_entries.sum,
            self.usage_totals.count,
            self.usage_totals.sum,
            self.batches.count,
            self.batches.sum,
            self.next_batch,
            self.intents.count,
            self.intents.sum,
            self.artifacts.count,
            self.artifacts.sum,
            self.blobs.count,
            self.blobs.sum,
            self.turns.count,
            self.turns.sum,
            self.head.count,
            self.head.sum,
            self.meta.count,
            self.meta.sum,
            self.retired,
        ]
    }

    fn from_fields(fields: [u64; FIELDS]) -> Self {
        let [
            nodes_count,
            nodes_sum,
            tombstones_count,
            tombstones_sum,
            next_node,
            prompts,
            first_prompt,
            usage_entries_count,
            usage_entries_sum,
            usage_totals_count,
            usage_totals_sum,
            batches_count,
            batches_sum,
            next_batch,
            intents_count,
            intents_sum,
            artifacts_count,
            artifacts_sum,
            blobs_count,
            blobs_sum,
            turns_count,
            turns_sum,
            head_count,
            head_sum,
            meta_count,
            meta_sum,
            retired,
        ] = fields;
        let set = |count, sum| SetDigest { count, sum };
        Self {
            nodes: set(nodes_count, nodes_sum),
            tombstones: set(tombstones_count, tombstones_sum),
            next_node,
            prompts,
            first_prompt,
            usage_entries: set(usage_entries_count, usage_entries_sum),
            usage_totals: set(usage_totals_count, usage_totals_sum),
            batches: set(batches_count, batches_sum),
            next_batch,
            intents: set(intents_count, intents_sum),
            artifacts: set(artifacts_count, artifacts_sum),
            blobs: set(blobs_count, blobs_sum),
            turns: set(turns_count, turns_sum),
            head: set(head_count, head_sum),
            meta: set(meta_count, meta_sum),
            retired,
        }
    }

    fn encode(&self) -> Vec<u8> {
        let mut bytes: Vec<u8> = self
            .fields()
            .iter()
            .flat_map(|field| field.to_le_bytes())
            .collect();
        let checksum = Checksum::of(TABLE).bytes(&bytes).finish();
        bytes.extend_from_slice(&checksum.to_le_bytes());
        bytes
    }

    fn decode(bytes: &[u8]) -> Result<Self> {
        let (body, checksum) = bytes
            .split_last_chunk::<8>()
            .filter(|(body, _)| body.len() == FIELDS * 8)
            .ok_or_else(|| corrupt(TABLE, 1, "the row has another length"))?;
        verify(
            TABLE,
            1,
            i64::from_le_bytes(*checksum),
            Checksum::of(TABLE).bytes(body).finish(),
        )?;
        let mut fields = [0; FIELDS];
        for (field, chunk) in fields.iter_mut().zip(body.chunks_exact(8)) {
            let mut word = [0; 8];
            word.copy_from_slice(chunk);
            *field = u64::from_le_bytes(word);
        }
        Ok(Self::from_fields(fields))
    }

    pub(crate) fn load(tx: &impl Transaction) -> Result<Self> {
        let rows = tx.query("SELECT digests FROM table_digests WHERE id = 1", &[])?;
        let mut reader = RowReader::new(TABLE, &rows);
        if !reader.advance() {
            return Err(corrupt(TABLE, 1, "the row is missing"));
        }
        Self::decode(reader.blob()?)
    }

    pub(crate) fn store(&self, tx: &impl Transaction) -> Result<()> {
        tx.execute(
            "INSERT INTO table_digests (id, digests) VALUES (1, ?1)
             ON CONFLICT (id) DO UPDATE SET digests = excluded.digests",
            &[Value::Blob(&self.encode())],
        )?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_field_survives_and_every_flip_is_found() {
        let mut fields = [0; FIELDS];
        for (index, field) in fields.iter_mut().enumerate() {
            *field = u64::MAX / (index as u64 + 2);
        }
        let digests = Digests::from_fields(fields);
        assert_eq!(digests.fields(), fields);
        let bytes = digests.encode();
        assert_eq!(Digests::decode(&bytes).unwrap(), digests);
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(Digests::decode(&flipped).is_err(), "bit {bit}");
        }
        assert!(Digests::decode(&bytes[1..]).is_err());
    }
}
