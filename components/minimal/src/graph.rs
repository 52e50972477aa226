//! The nodes of a session.

use crate::bindings::exports::lash::store::graph::Guest;
use crate::bindings::sqlite::TransactionMode::*;
use crate::*;

impl Guest for Minimal {
    decline! {
        load(&Database, Option<Cursor>) -> NodePage;
        append(&Database, Vec<Node>) -> ();
        replace(&Database, Vec<Node>) -> ();
    }

    fn load_node(db: &Database, id: String) -> Result<Option<Vec<u8>>> {
        within(db, Read, |session| {
            let mut nodes = session.visible().map(|stored| &stored.node);
            Ok(nodes
                .find(|node| node.id == id)
                .map(|node| node.body.clone()))
        })
    }

    fn tombstone(db: &Database, ids: Vec<String>) -> Result<u64> {
        within(db, WriteDurable, |session| {
            let before = session.visible().count();
            for stored in session.nodes.values_mut() {
                stored.tombstoned |= ids.contains(&stored.node.id);
            }
            Ok((before - session.visible().count()) as u64)
        })
    }
}

impl Session {
    /// The nodes that are not tombstoned, newest first.
    pub(crate) fn visible(&self) -> impl Iterator<Item = &Stored> {
        let newest_first = self.nodes.values().rev();
        newest_first.filter(|stored| !stored.tombstoned)
    }

    /// The place of a node, tombstoned or not: a session may go on from a tombstoned one.
    pub(crate) fn sequence(&self, id: &String) -> Option<u64> {
        let mut nodes = self.nodes.iter();
        let found = nodes.find(|(_, stored)| stored.node.id == *id);
        found.map(|(sequence, _)| *sequence)
    }

    /// The nodes from a leaf to the root, or to one that is tombstoned or was removed.
    pub(crate) fn path(&self, leaf: Option<&String>) -> impl Iterator<Item = &Stored> {
        let find = |sequence: u64| self.nodes.get(&sequence);
        let leaf = leaf.and_then(|id| self.sequence(id)).and_then(find);
        let path = core::iter::successors(leaf, move |stored| find(stored.parent?));
        path.take_while(|stored| !stored.tombstoned)
    }

    pub(crate) fn replace(&mut self, nodes: Vec<Node>) -> Result<()> {
        self.nodes.clear();
        self.append(nodes)
    }

    /// Adds nodes. A parent may be tombstoned, and may come after its children.
    pub(crate) fn append(&mut self, nodes: Vec<Node>) -> Result<()> {
        let first = self.last_number + 1;
        self.last_number += nodes.len() as u64;
        let stored = self.nodes.iter();
        let stored = stored.map(|(sequence, stored)| (stored.node.id.clone(), *sequence));
        let mut sequences: BTreeMap<String, u64> = stored.collect();
        for (sequence, node) in (first..).zip(&nodes) {
            if sequences.insert(node.id.clone(), sequence).is_some() {
                return Err(invalid(&format!("the node {} is stored already", node.id)));
            }
        }
        for (sequence, node) in (first..).zip(nodes) {
            let parent = node.parent.as_ref().map(|id| sequences.get(id).copied());
            if parent == Some(None) {
                let reason = format!("the parent of the node {} is not stored", node.id);
                return Err(invalid(&reason));
            }
            let stored = Stored {
                node,
                parent: parent.flatten(),
                tombstoned: false,
            };
            self.nodes.insert(sequence, stored);
        }
        // Only nodes that were added together can be ancestors of each other.
        let mut checked = BTreeSet::new();
        for start in first..=self.last_number {
            let (mut path, mut next) = (BTreeSet::new(), Some(start));
            while let Some(at) = next.filter(|at| *at >= first && !checked.contains(at)) {
                if !path.insert(at) {
                    return Err(invalid("a node is its own ancestor"));
                }
                next = self.nodes.get(&at).and_then(|stored| stored.parent);
            }
            checked.append(&mut path);
        }
        Ok(())
    }
}
