//! What happened to a session, in names that all engines share.

use std::collections::{BTreeMap, BTreeSet};

use lash_core::runtime::QueuedWorkClaimBoundary;
use lash_core::store::queued_work::{ClaimCandidate, select_claim_prefix};
use lash_core::{DeliveryPolicy, MergeKey, SlotPolicy};

use super::operation::{
    Batch, Body, Claim, Commit, Completion, Component, Expected, Graph, Kind, Lease, NewNode, Node,
    Parent, SESSIONS, Shape, Work,
};

/// The part of a checkpoint, by the kind of its name.
pub(crate) const COMPONENTS: [(&str, &str); 3] = [
    ("tool", "tool_state_ref"),
    ("plugin", "plugin_snapshot_ref"),
    ("execution", "execution_state_ref"),
];

/// A stored node.
#[derive(Clone, Debug)]
pub(crate) struct StoredNode {
    pub(crate) id: String,
    pub(crate) parent: Option<String>,
    pub(crate) body: Body,
    pub(crate) tombstoned: bool,
    /// Whether its parent was removed.
    pub(crate) is_orphan: bool,
}

/// A batch in the queue.
#[derive(Clone, Debug)]
pub(crate) struct Queued {
    /// Its number among all that there ever were.
    pub(crate) number: usize,
    pub(crate) work: Work,
    /// The claim that has it, and its lease.
    pub(crate) claim: Option<(usize, Lease)>,
}

#[derive(Default)]
pub(crate) struct Model {
    /// The session that the store belongs to, and the revision of its head.
    pub(crate) head: Option<(usize, u64)>,
    pub(crate) leaf: Option<String>,
    pub(crate) nodes: Vec<StoredNode>,
    /// How many identifiers of nodes there were.
    pub(crate) node_count: usize,
    /// The hash of each turn.
    pub(crate) turns: BTreeMap<u8, u8>,
    /// The checkpoint and components of the head, by kind and number.
    pub(crate) head_blobs: BTreeSet<(&'static str, usize)>,
    /// All that are stored.
    pub(crate) blobs: BTreeSet<(&'static str, usize)>,
    /// The execution state of the head's frame, and all that are stored.
    pub(crate) head_frame: Option<u8>,
    pub(crate) frames: BTreeSet<u8>,
    /// How many checkpoints and components of a kind were ever stored.
    pub(crate) named: BTreeMap<&'static str, usize>,
    /// The checkpoints of stamped turns.
    pub(crate) stamped: BTreeSet<usize>,
    pub(crate) artifacts: BTreeMap<u8, Kind>,
    /// Whether each attachment with an intent is committed.
    pub(crate) attachments: BTreeMap<u8, bool>,
    pub(crate) queue: Vec<Queued>,
    /// The batches of each claim.
    pub(crate) claims: Vec<Vec<usize>>,
    /// How many batches there ever were.
    pub(crate) batches: usize,
    /// The payload that was completed last under a source key.
    pub(crate) completed: BTreeMap<(usize, u8), (u8, usize)>,
}

impl Model {
    /// The revision that a commit expects.
    pub(crate) fn expected(&self, expected: Expected) -> Option<u64> {
        let revision = self.head.map_or(0, |(_, revision)| revision);
        match expected {
            Expected::Absent => None,
            Expected::Right => Some(revision),
            // Nothing is before the first one.
            Expected::Stale => Some(revision.checked_sub(1).unwrap_or(7)),
            Expected::Ahead => Some(revision + 1),
        }
    }

    /// The identifier of a node. All that there ever were can be meant.
    pub(crate) fn node(&self, node: Node) -> String {
        match node {
            Node::Known(number) if self.node_count > 0 => format!("n{}", number % self.node_count),
            _ => "unknown".to_owned(),
        }
    }

    /// The nodes that a change of the graph names.
    pub(crate) fn new_nodes(&self, graph: &Graph) -> Vec<StoredNode> {
        let (mut nodes, added): (Vec<StoredNode>, &[NewNode]) = match graph {
            Graph::Unchanged => (Vec::new(), &[]),
            Graph::Append(added) | Graph::Replace(added) => (Vec::new(), added),
            Graph::Chain(count) => return self.chain(*count),
            Graph::Lengthen(added) => {
                let mut kept = self.nodes.clone();
                kept.retain(|node| !node.tombstoned);
                kept.iter_mut().for_each(|node| node.is_orphan = false);
                (kept, added)
            }
        };
        let stored = match graph {
            Graph::Append(_) => self.nodes.last().map(|node| node.id.clone()),
            _ => None,
        };
        let mut fresh = self.node_count;
        for node in added {
            let before = nodes.last().map(|node| node.id.clone());
            let id = match node.again {
                Some(again) => self.node(again),
                None => {
                    fresh += 1;
                    format!("n{}", fresh - 1)
                }
            };
            nodes.push(StoredNode {
                id,
                parent: match node.parent {
                    Parent::None => None,
                    Parent::Before => before.or_else(|| stored.clone()),
                    Parent::Node(parent) => Some(self.node(parent)),
                },
                body: node.body,
                tombstoned: false,
                is_orphan: false,
            });
        }
        nodes
    }

    fn chain(&self, count: usize) -> Vec<StoredNode> {
        let mut parent = self.nodes.last().map(|node| node.id.clone());
        let ids = (self.node_count..self.node_count + count).map(|number| format!("n{number}"));
        ids.map(|id| StoredNode {
            id: id.clone(),
            parent: parent.replace(id),
            body: Body::User,
            tombstoned: false,
            is_orphan: false,
        })
        .collect()
    }

    /// How many new identifiers a change of the graph uses.
    pub(crate) fn fresh(graph: &Graph) -> usize {
        match graph {
            Graph::Unchanged => 0,
            Graph::Chain(count) => *count,
            Graph::Append(added) | Graph::Replace(added) | Graph::Lengthen(added) => {
                added.iter().filter(|node| node.again.is_none()).count()
            }
        }
    }

    /// The leaf of a commit.
    pub(crate) fn new_leaf(&self, commit: &Commit) -> Option<String> {
        match (commit.leaf, &commit.graph) {
            (Some(leaf), _) => Some(self.node(leaf)),
            (None, Graph::Unchanged) => self.leaf.clone(),
            (None, graph) => {
                let last = self.new_nodes(graph).last().map(|node| node.id.clone());
                last.or_else(|| match graph {
                    Graph::Append(_) | Graph::Chain(_) => self.leaf.clone(),
                    _ => None,
                })
            }
        }
    }

    /// Whether a commit names a node twice, which every engine refuses.
    pub(crate) fn names_twice(&self, graph: &Graph) -> bool {
        let mut seen: BTreeSet<String> = match graph {
            Graph::Append(_) | Graph::Chain(_) => {
                self.nodes.iter().map(|node| node.id.clone()).collect()
            }
            _ => BTreeSet::new(),
        };
        let nodes = self.new_nodes(graph);
        nodes.into_iter().any(|node| !seen.insert(node.id))
    }

    /// Removes what is tombstoned.
    pub(crate) fn vacuum(&mut self) {
        let removed: BTreeSet<String> = self
            .nodes
            .extract_if(.., |node| node.tombstoned)
            .map(|node| node.id)
            .collect();
        for node in &mut self.nodes {
            let parent = node.parent.as_ref();
            node.is_orphan |= parent.is_some_and(|parent| removed.contains(parent));
        }
    }

    /// Whether the identifier of a parent that was removed has come back.
    pub(crate) fn has_changeling(&self) -> bool {
        self.nodes.iter().any(|orphan| {
            let is_parent = |node: &StoredNode| Some(&node.id) == orphan.parent.as_ref();
            orphan.is_orphan && self.nodes.iter().any(is_parent)
        })
    }

    /// Whether a commit hangs nodes on nothing, in a circle, or has no such leaf.
    pub(crate) fn dangles(&self, commit: &Commit) -> bool {
        let leaf = self.new_leaf(commit);
        let stays = !commit.graph.replaces() && self.head.is_some() && leaf == self.leaf;
        let is_known = |leaf: &String| {
            let stored = if commit.graph.replaces() {
                &[][..]
            } else {
                &self.nodes
            };
            let new = self.new_nodes(&commit.graph);
            stored.iter().chain(&new).any(|node| node.id == *leaf)
        };
        let is_lost = !stays && leaf.is_some_and(|leaf| !is_known(&leaf));
        is_lost || self.hangs_on_nothing(&commit.graph)
    }

    /// Whether nodes hang on nothing or in a circle.
    pub(crate) fn hangs_on_nothing(&self, graph: &Graph) -> bool {
        let nodes = self.new_nodes(graph);
        let mut parents: BTreeMap<&str, Option<&str>> = BTreeMap::new();
        if !graph.replaces() {
            // Whatever these hang on was accepted.
            parents.extend(self.nodes.iter().map(|node| (node.id.as_str(), None)));
        }
        for node in &nodes {
            parents.insert(&node.id, node.parent.as_deref());
        }
        for node in &nodes {
            let mut at = Some(node.id.as_str());
            let mut steps = 0;
            while let Some(id) = at {
                let Some(parent) = parents.get(id) else {
                    return true;
                };
                at = *parent;
                steps += 1;
                if steps > parents.len() {
                    return true;
                }
            }
        }
        false
    }

    /// A number among the names of a kind, counted round.
    pub(crate) fn named(&self, kind: &'static str, number: usize) -> Option<usize> {
        self.named.get(kind).map(|count| number % count)
    }

    /// The number of the component that a commit refers to.
    pub(crate) fn referred(&self, kind: &'static str, component: Component) -> Option<usize> {
        match component {
            Component::Stored(number) => self.named(kind, number),
            _ => None,
        }
    }

    /// Whether a checkpoint refers to a component that is gone.
    pub(crate) fn refers_to_nothing(&self, components: [Component; 3]) -> bool {
        COMPONENTS
            .iter()
            .zip(components)
            .any(|((kind, _), component)| {
                self.referred(kind, component)
                    .is_some_and(|number| !self.blobs.contains(&(*kind, number)))
            })
    }

    /// The claim that a completion is of, counted round.
    pub(crate) fn claim(&self, claim: usize) -> Option<usize> {
        (!self.claims.is_empty()).then(|| claim % self.claims.len())
    }

    /// The batches that a claim still has.
    pub(crate) fn held(&self, claim: usize) -> Vec<usize> {
        self.queue
            .iter()
            .filter(|queued| queued.claim.is_some_and(|(holder, _)| holder == claim))
            .map(|queued| queued.number)
            .collect()
    }

    /// The batches that a completion names; none is one that never was.
    pub(crate) fn completed(&self, completion: Completion) -> Vec<Option<usize>> {
        let Some(claim) = self.claim(completion.claim) else {
            return Vec::new();
        };
        let mut batches: Vec<Option<usize>> = self.claims[claim]
            .iter()
            .map(|batch| Some(*batch))
            .collect();
        match completion.shape {
            Shape::Exact => {}
            Shape::Short => drop(batches.remove(0)),
            Shape::Foreign => batches[0] = None,
            Shape::Repeated => {
                let last = batches[batches.len() - 1];
                batches.fill(last);
            }
        }
        batches
    }

    /// Whether a completion names what its claim has, and whether it only names as
    /// many.
    pub(crate) fn owns(&self, session: usize, completion: Completion) -> (bool, bool) {
        let Some(claim) = self.claim(completion.claim) else {
            return (true, true);
        };
        let of_session = self
            .queue
            .iter()
            .filter(|queued| queued.claim.is_some_and(|(holder, _)| holder == claim))
            .all(|queued| queued.work.session == session);
        let held: BTreeSet<Option<usize>> = self.held(claim).into_iter().map(Some).collect();
        let named = self.completed(completion);
        let exact =
            named.len() == held.len() && named.iter().copied().collect::<BTreeSet<_>>() == held;
        (of_session && exact, of_session && named.len() == held.len())
    }

    /// The batches that a claim would take now, by their places in the queue.
    pub(crate) fn claimable(&self, claim: &Claim, at_most: usize) -> Vec<usize> {
        let ready = self.ready(claim.session);
        let candidates: Vec<ClaimCandidate> = ready
            .iter()
            .map(|place| {
                let work = &self.queue[*place].work;
                ClaimCandidate {
                    enqueue_seq: 0,
                    claim_fencing_token: 0,
                    delivery_policy: work.delivery(),
                    slot_policy: work.slot(),
                    merge_key: work.merge_key(),
                }
            })
            .collect();
        let taken = select_claim_prefix(&candidates, claim.boundary(), at_most);
        ready[..taken].to_vec()
    }

    fn ready(&self, session: usize) -> Vec<usize> {
        let places = self.queue.iter().enumerate().filter(|(_, queued)| {
            queued.work.session == session
                && queued.work.ready
                && queued
                    .claim
                    .is_none_or(|(_, lease)| lease == Lease::Expired)
        });
        places.map(|(place, _)| place).collect()
    }

    /// The numbers of chosen batches.
    pub(crate) fn chosen(&self, session: usize, batches: &[Batch]) -> Vec<usize> {
        let ready = self.ready(session);
        let numbers = batches.iter().filter_map(|batch| match batch {
            Batch::Ready(place) => ready.get(*place).map(|place| self.queue[*place].number),
            Batch::Number(number) if self.batches > 0 => Some(number % self.batches),
            Batch::Number(_) => None,
        });
        numbers.collect()
    }
}

impl Graph {
    fn replaces(&self) -> bool {
        matches!(self, Self::Replace(_) | Self::Lengthen(_))
    }
}

impl Claim {
    pub(crate) fn boundary(&self) -> QueuedWorkClaimBoundary {
        match self.idle {
            true => QueuedWorkClaimBoundary::Idle,
            false => QueuedWorkClaimBoundary::ActiveTurnCheckpoint,
        }
    }
}

impl Work {
    pub(crate) fn session(&self) -> &'static str {
        SESSIONS[self.session]
    }

    pub(crate) fn delivery(&self) -> DeliveryPolicy {
        match self.early {
            true => DeliveryPolicy::EarliestSafeBoundary,
            false => DeliveryPolicy::AfterCurrentTurnCommit,
        }
    }

    pub(crate) fn slot(&self) -> SlotPolicy {
        match self.joins {
            true => SlotPolicy::Join,
            false => SlotPolicy::Exclusive,
        }
    }

    pub(crate) fn merge_key(&self) -> MergeKey {
        match self.group {
            Some(group) => MergeKey::Group(group.to_string()),
            None => MergeKey::PayloadDefault,
        }
    }
}
