//! Lists that come in pages.

use super::types::{ByteStrings, Cursor};
use crate::bindings::inspection_types::Verification;
use crate::bindings::process_types::{EventPage, ProcessPage, ScopePage, WakePage};
use crate::bindings::session_types::{
    ArtifactPage, AttachmentPage, BatchPage, BodyPage, NodePage, UsagePage,
};

/// What an item takes without its bytes: for a limit, not to the byte.
const ITEM: usize = 128;

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
    pub(crate) fn size(&self) -> usize {
        self.bytes.len() + self.ends.len() * size_of::<u32>()
    }
}

impl<B: AsRef<[u8]>> FromIterator<B> for ByteStrings {
    /// # Panics
    ///
    /// If they are longer than 4 GiB.
    fn from_iter<I: IntoIterator<Item = B>>(items: I) -> Self {
        let mut strings = Self {
            bytes: Vec::new(),
            ends: Vec::new(),
        };
        for item in items {
            strings.bytes.extend_from_slice(item.as_ref());
            strings.ends.push(strings.bytes.len() as u32);
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

    /// About how much memory the page takes, in bytes.
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

pages! {
    BodyPage: |page| page.bodies.size();
    NodePage: |page| page.bodies.size() + page.nodes.len() * ITEM;
    Verification: |page| page.problems.len() * ITEM;
    UsagePage: |page| page.entries.len() * ITEM;
    BatchPage: |page| {
        page.batches.iter().map(|batch| batch.payloads.size() + ITEM).sum()
    };
    AttachmentPage: |page| page.intents.len() * ITEM;
    ArtifactPage: |page| page.artifacts.len() * ITEM;
    ProcessPage: |page| {
        page.processes
            .iter()
            .map(|process| process.content.as_ref().map_or(0, Vec::len) + ITEM)
            .sum()
    };
    ScopePage: |page| {
        page.handles
            .iter()
            .map(|(grant, process)| {
                grant.descriptor.len() + process.content.as_ref().map_or(0, Vec::len) + ITEM
            })
            .sum()
    };
}

impl EventPage {
    /// About how much memory the page takes, in bytes.
    pub fn bytes(&self) -> usize {
        self.events.size()
    }
}

impl WakePage {
    /// About how much memory the page takes, in bytes.
    pub fn bytes(&self) -> usize {
        self.events.size()
    }
}
