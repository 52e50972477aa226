//! Lists that come in pages.

use super::types::{ByteStrings, Cursor};
use crate::bindings::inspection_types::Verification;
use crate::bindings::process_types::{Grant, Process, ProcessPage, ScopePage};
use crate::bindings::session_types::{
    ArtifactPage, AttachmentPage, Batch, BatchPage, BodyPage, NodePage, UsagePage,
};

/// What an item takes without its texts and bytes.
const ITEM: usize = 512;

impl ByteStrings {
    /// Each of them, in order. An end that is out of order, which only a component that is
    /// not trusted returns, ends an empty one.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &[u8]> + ExactSizeIterator {
        let start_of = |position: usize| match position.checked_sub(1) {
            Some(before) => self.ends.get(before).copied().unwrap_or(0),
            None => 0,
        };
        (0..self.ends.len()).map(move |position| {
            let start = start_of(position) as usize;
            let end = start_of(position + 1) as usize;
            self.bytes.get(start..end).unwrap_or_default()
        })
    }

    /// How much memory they take, in bytes.
    pub fn size(&self) -> usize {
        self.bytes.len() + self.ends.len() * size_of::<u32>()
    }
}

impl<B: AsRef<[u8]>> FromIterator<B> for ByteStrings {
    fn from_iter<I: IntoIterator<Item = B>>(items: I) -> Self {
        let mut strings = Self {
            bytes: Vec::new(),
            ends: Vec::new(),
        };
        for item in items {
            strings.bytes.extend_from_slice(item.as_ref());
            // What is longer does not fit into a component.
            let end = u32::try_from(strings.bytes.len()).unwrap_or(u32::MAX);
            strings.ends.push(end);
        }
        strings
    }
}

/// A page of a list that has a [`Cursor`], see [`Call::pages`](crate::Call::pages).
pub trait Page {
    /// Where the next page begins; `None` after the last.
    fn next(&self) -> Option<&Cursor>;

    /// Takes that out of the page.
    fn take_next(&mut self) -> Option<Cursor>;

    /// How much memory the page takes, in bytes, or somewhat more.
    fn bytes(&self) -> usize;
}

macro_rules! pages {
    ($($page:ident: |$this:ident| $bytes:expr;)+) => {
        $(impl Page for $page {
            fn next(&self) -> Option<&Cursor> {
                self.next.as_ref()
            }

            fn take_next(&mut self) -> Option<Cursor> {
                self.next.take()
            }

            fn bytes(&self) -> usize {
                let $this = self;
                $bytes
            }
        })+
    };
}

fn sum<T>(items: &[T], texts: impl Fn(&T) -> usize) -> usize {
    items.iter().fold(ITEM, |sum, item| {
        sum.saturating_add(ITEM).saturating_add(texts(item))
    })
}

fn length(bytes: Option<&Vec<u8>>) -> usize {
    bytes.map_or(0, Vec::len)
}

fn process(process: &Process) -> usize {
    process.id.len()
        + process.registration_hash.len()
        + length(process.content.as_ref())
        + length(process.external_ref.as_ref())
        + length(process.wait.as_ref())
        + length(process.outcome.as_ref())
}

fn grant(grant: &Grant) -> usize {
    grant.session_id.len() + grant.scope_id.len() + grant.process_id.len() + grant.descriptor.len()
}

fn batch(batch: &Batch) -> usize {
    batch.id.len()
        + batch.session_id.len()
        + batch.source_key.as_ref().map_or(0, String::len)
        + batch.merge_key.len()
        + batch.payloads.size()
}

pages! {
    BodyPage: |page| ITEM + page.bodies.size();
    NodePage: |page| page.bodies.size() + sum(&page.nodes, |node| node.id.len());
    Verification: |page| {
        sum(&page.tables, |table| table.name.len())
            + sum(&page.problems, |found| {
                found.table.len() + found.key.len() + found.reason.len()
            })
    };
    UsagePage: |page| sum(&page.entries, |entry| entry.source.len() + entry.model.len());
    BatchPage: |page| sum(&page.batches, batch);
    AttachmentPage: |page| {
        sum(&page.intents, |intent| {
            intent.attachment_id.len() + intent.session_id.len() + intent.canonical_uri.len()
        })
    };
    ArtifactPage: |page| {
        sum(&page.artifacts, |artifact| artifact.name.len() + artifact.blob.len())
    };
    ProcessPage: |page| sum(&page.processes, process);
    ScopePage: |page| {
        sum(&page.handles, |(granted, of)| grant(granted) + process(of))
    };
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bindings::process_types::Status;
    use crate::bindings::session_types::UsageEntry;
    use crate::bindings::types::Corruption;

    const LONG: usize = 1 << 20;

    fn long() -> String {
        "x".repeat(LONG)
    }

    /// A page with one long text counted as 128 bytes, so that a component that is not
    /// trusted could fill the memory of the host with pages.
    #[test]
    fn a_page_is_as_long_as_what_it_holds() {
        let usage = UsagePage {
            entries: vec![UsageEntry {
                source: String::new(),
                model: long(),
                input_tokens: 0,
                output_tokens: 0,
                cached_input_tokens: 0,
                reasoning_tokens: 0,
            }],
            next: None,
        };
        assert!(usage.bytes() > LONG);
        let verification = Verification {
            tables: Vec::new(),
            problems: vec![Corruption {
                table: String::new(),
                key: String::new(),
                reason: long(),
            }],
            omitted: 0,
            next: None,
        };
        assert!(verification.bytes() > LONG);
        let processes = ProcessPage {
            processes: vec![Process {
                id: long(),
                number: 1,
                registration_hash: String::new(),
                content: None,
                created_at_ms: 0,
                updated_at_ms: 0,
                external_ref: None,
                wait: None,
                status: Status::Running,
                outcome: Some(vec![0; LONG]),
                last_sequence: 0,
            }],
            next: None,
        };
        assert!(processes.bytes() > 2 * LONG);
        let empty = BodyPage {
            bodies: ByteStrings {
                bytes: Vec::new(),
                ends: vec![0; LONG],
            },
            next: None,
        };
        assert!(empty.bytes() > 4 * LONG);
    }

    #[test]
    fn ends_out_of_order_are_empty_strings() {
        let strings = ByteStrings {
            bytes: b"abc".to_vec(),
            ends: vec![1, 0, u32::MAX, 3],
        };
        let split: Vec<&[u8]> = strings.iter().collect();
        assert_eq!(split, [&b"a"[..], b"", b"", b""]);
    }
}
