//! What is done to a session. Nodes, batches and claims are chosen by number, from
//! few, so that operations meet.

/// The session that a sequence is mostly about, and another one.
pub(crate) const SESSIONS: [&str; 2] = ["root", "other"];

#[derive(Clone, Debug)]
pub(crate) enum Operation {
    Commit(Box<Commit>),
    Load,
    LoadPath(Option<Node>),
    LoadNode(Node),
    Tombstone(Vec<Node>),
    Vacuum,
    CollectGarbage,
    SaveMeta(u8),
    LoadMeta,
    Describe,
    Usage,
    AddUsage(u8, [i64; 4]),
    /// Changes the graph and leaves the head as it is. Not [`Graph::Unchanged`].
    ChangeGraph(Graph),
    LoadGraph,
    /// The tools and the execution.
    PutCheckpoint(Component, Component),
    GetCheckpoint(usize),
    PutBlob(u8),
    GetBlob(usize),
    PutModule(usize),
    GetModule(usize),
    /// A name, what it is, and its content.
    PutArtifact(u8, Kind, u8),
    GetArtifact(u8),
    Intent {
        attachment: u8,
        session: usize,
        at: u64,
    },
    CommitIntents(usize, Vec<u8>),
    Uncommitted(u64),
    Forget(u8),
    /// Work, and how many times: a queue of more than 64 is read otherwise.
    Enqueue(Work, usize),
    Claim(Claim),
    /// By the identifiers of batches, of which the first are the front of the queue.
    ClaimExactly(Claim, Vec<Batch>),
    Renew(usize, Lease),
    Abandon(usize),
    Cancel(usize, usize),
    Queue {
        session: usize,
        pending: bool,
    },
    /// Through a second store on the file.
    Elsewhere(Box<Operation>),
    Reopen,
}

impl Operation {
    /// Whether it closes a file or opens it twice.
    pub(crate) fn needs_file(&self) -> bool {
        matches!(self, Self::Reopen | Self::Elsewhere(_))
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Commit {
    pub(crate) session: usize,
    pub(crate) expected: Expected,
    pub(crate) graph: Graph,
    /// The new leaf; the last node if it is none.
    pub(crate) leaf: Option<Node>,
    pub(crate) turn_index: u8,
    pub(crate) tool: Component,
    pub(crate) plugin: Component,
    pub(crate) execution: Component,
    /// The execution state of a frame.
    pub(crate) frame: Option<u8>,
    pub(crate) usage: Vec<(u8, u8, [i64; 4])>,
    pub(crate) turn: Option<Turn>,
    pub(crate) completions: Vec<Completion>,
    pub(crate) attachments: Vec<u8>,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Expected {
    /// No revision.
    Absent,
    Right,
    Stale,
    Ahead,
}

#[derive(Clone, Debug)]
pub(crate) enum Graph {
    Unchanged,
    Append(Vec<NewNode>),
    /// As many nodes, each the child of the one before: whole graphs are read 128 at
    /// a time.
    Chain(usize),
    Replace(Vec<NewNode>),
    /// The stored graph and more.
    Lengthen(Vec<NewNode>),
}

/// A node to store.
#[derive(Clone, Debug)]
pub(crate) struct NewNode {
    /// A new identifier if none.
    pub(crate) again: Option<Node>,
    pub(crate) parent: Parent,
    pub(crate) body: Body,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Body {
    Plugin,
    User,
    Assistant,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Parent {
    None,
    /// The node before it in the same commit, or the last stored one.
    Before,
    Node(Node),
}

/// A node by its number, counted round, or one that never is.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Node {
    Known(usize),
    Unknown,
}

/// Part of a checkpoint.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Component {
    None,
    New(u8),
    /// One that was stored before, by its number.
    Stored(usize),
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Turn {
    pub(crate) turn: u8,
    pub(crate) hash: u8,
    /// Whether the stamp names another session than the commit.
    pub(crate) foreign: bool,
}

/// A completion of a claim by its number.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Completion {
    pub(crate) claim: usize,
    pub(crate) shape: Shape,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Shape {
    /// The batches of the claim.
    Exact,
    /// All but the first.
    Short,
    /// As many, but the first is one that was never enqueued.
    Foreign,
    /// As many, and all are the last.
    Repeated,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Generic,
    Environment,
}

#[derive(Clone, Debug)]
pub(crate) struct Work {
    pub(crate) session: usize,
    pub(crate) source_key: Option<u8>,
    pub(crate) payload: u8,
    pub(crate) ready: bool,
    pub(crate) early: bool,
    pub(crate) joins: bool,
    pub(crate) group: Option<u8>,
}

#[derive(Clone, Debug)]
pub(crate) struct Claim {
    pub(crate) session: usize,
    pub(crate) idle: bool,
    pub(crate) lease: Lease,
    pub(crate) at_most: usize,
}

/// How long a lease is: never decided by how fast a test runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lease {
    Expired,
    Long,
}

impl Lease {
    /// In ms.
    pub(crate) fn ttl_ms(self) -> u64 {
        match self {
            Self::Expired => 0,
            Self::Long => 3_600_000,
        }
    }
}

/// A batch for a claim of chosen ones.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Batch {
    /// What is at this place of what is ready.
    Ready(usize),
    /// One that was enqueued once.
    Number(usize),
}
