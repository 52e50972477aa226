//! Whether the nodes of one request form a forest.

use alloc::collections::BTreeMap;
use alloc::vec;
use alloc::vec::Vec;

use crate::Result;
use crate::bindings::session_types::Node;
use crate::storage::corruption::invalid;

/// Where each node of a request is, by identifier.
pub(super) struct Positions<'n>(BTreeMap<&'n str, usize>);

impl<'n> Positions<'n> {
    /// Refuses an identifier that occurs twice, and a node that is its own
    /// ancestor.
    pub(super) fn of(nodes: &'n [Node]) -> Result<Self> {
        let mut positions = BTreeMap::new();
        for (position, node) in nodes.iter().enumerate() {
            if positions.insert(node.id.as_str(), position).is_some() {
                return Err(invalid(["the node ", &node.id, " occurs twice"].concat()));
            }
        }
        let positions = Self(positions);
        positions.refuse_cycles(nodes)?;
        Ok(positions)
    }

    /// The position of a node of the request.
    pub(super) fn get(&self, node_id: &str) -> Option<usize> {
        self.0.get(node_id).copied()
    }

    fn refuse_cycles(&self, nodes: &[Node]) -> Result<()> {
        let parents: Vec<Option<usize>> = nodes
            .iter()
            .map(|node| node.parent.as_deref().and_then(|parent| self.get(parent)))
            .collect();
        // Each node is walked over once: a walk stops at what an earlier walk
        // found sound, and meets its own mark only on a cycle.
        let mut seen_by = vec![None; nodes.len()];
        for start in 0..nodes.len() {
            let mut current = Some(start);
            while let Some(position) = current {
                let Some(mark) = seen_by.get_mut(position) else {
                    break;
                };
                match *mark {
                    Some(walk) if walk == start => {
                        let id = nodes.get(position).map_or("", |node| node.id.as_str());
                        return Err(invalid(["the node ", id, " is its own ancestor"].concat()));
                    }
                    Some(_) => break,
                    None => *mark = Some(start),
                }
                current = parents.get(position).copied().flatten();
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    fn nodes(pairs: &[(&str, Option<&str>)]) -> Vec<Node> {
        pairs
            .iter()
            .map(|(id, parent)| Node {
                id: id.to_string(),
                parent: parent.map(ToString::to_string),
                prompt: false,
                body: vec![],
            })
            .collect()
    }

    #[test]
    fn forests_in_any_order_are_accepted() {
        for pairs in [
            &[][..],
            &[("a", None), ("b", Some("a")), ("c", Some("a"))],
            &[("b", Some("a")), ("a", None)],
            &[("a", Some("stored")), ("b", Some("a")), ("c", None)],
        ] {
            assert!(Positions::of(&nodes(pairs)).is_ok(), "{pairs:?}");
        }
    }

    #[test]
    fn cycles_and_repetitions_are_refused() {
        for pairs in [
            &[("a", Some("a"))][..],
            &[("a", Some("b")), ("b", Some("a"))],
            &[
                ("x", None),
                ("a", Some("c")),
                ("b", Some("a")),
                ("c", Some("b")),
            ],
            &[("a", None), ("a", None)],
        ] {
            assert!(Positions::of(&nodes(pairs)).is_err(), "{pairs:?}");
        }
    }
}
