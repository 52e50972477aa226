//! The head of a session and the commit protocol.

use crate::bindings::exports::lash::store::session::Guest;
use crate::bindings::format_types::Initialized;
use crate::bindings::sqlite::TransactionMode::*;
use crate::*;

impl Guest for Minimal {
    fn initialize(db: &Database) -> Result<Initialized> {
        format::initialize(db)
    }

    fn retire(db: &Database) -> Result<()> {
        within(db, WriteDurable, |session| {
            session.retired = true;
            Ok(())
        })
    }

    fn commit(db: &Database, request: CommitRequest) -> Result<CommitOutcome> {
        within(db, WriteDurable, |session| match session.refuse(&request) {
            Some(outcome) => Ok(outcome),
            None => session.commit(request).map(CommitOutcome::Committed),
        })
    }

    fn load(db: &Database, scope: ReadScope) -> Result<Option<Snapshot>> {
        within(db, Read, |session| {
            let Some((mut head, _)) = session.head.clone() else {
                return Ok(None);
            };
            let (leaf, nodes): (_, Vec<&Stored>) = match scope {
                ReadScope::Full => (head.leaf.clone(), session.visible().collect()),
                ReadScope::Path(leaf) => {
                    let leaf = leaf.or_else(|| head.leaf.clone());
                    (leaf.clone(), session.path(leaf.as_ref()).collect())
                }
            };
            let bodies = nodes.iter().map(|stored| stored.node.body.clone());
            let bodies = bodies.collect();
            let blobs = head.blob_refs.iter().map(|key| session.content(key));
            head.blobs = blobs.collect::<Result<_>>()?;
            head.node_count = session.visible().count() as u64;
            let checkpoint = head.checkpoint_ref.as_ref();
            let checkpoint = checkpoint.map(|key| session.checkpoint(key));
            Ok(Some(Snapshot {
                leaf,
                nodes: BodyPage { bodies, next: None },
                checkpoint: checkpoint.transpose()?,
                usage: session.total_usage(),
                head,
            }))
        })
    }

    decline! {
        load_nodes(&Database, Cursor) -> BodyPage;
        load_head(&Database) -> Option<Head>;
        save_head(&Database, HeadDraft) -> u64;
    }
}

impl Session {
    fn revision(&self) -> u64 {
        self.head.as_ref().map_or(0, |(head, _)| head.revision)
    }

    /// Returns the outcome of a commit that writes nothing, in the order of the WIT.
    fn refuse(&mut self, request: &CommitRequest) -> Option<CommitOutcome> {
        let session_id = &request.session_id;
        let stored = self.head.as_ref().map(|(head, _)| &head.session_id);
        if let Some(stored) = stored.filter(|stored| *stored != session_id) {
            return Some(CommitOutcome::SessionMismatch(stored.clone()));
        }
        if let Some(stamp) = &request.turn {
            let is_same = |turn: &&Turn| turn.stamp.turn_id == stamp.turn_id;
            let turn = self.turns.iter().find(is_same);
            if stamp.session_id != *session_id || turn.is_some_and(|turn| turn.stamp != *stamp) {
                return Some(CommitOutcome::TurnConflict(stamp.clone()));
            } else if let Some(turn) = turn {
                return Some(CommitOutcome::Replayed(turn.receipt.clone()));
            }
        }
        let (expected, actual) = (request.expected_revision, self.revision());
        // Revision 0 stands for no head, too.
        if expected != Some(actual) && (expected.is_some() || self.head.is_some()) {
            let conflict = RevisionConflict { expected, actual };
            return Some(CommitOutcome::RevisionConflict(conflict));
        }
        let lost = self.find_lost(session_id, &request.completions);
        lost.map(CommitOutcome::ClaimLost)
    }

    fn commit(&mut self, request: CommitRequest) -> Result<Receipt> {
        let session_id = request.session_id;
        for held in &request.completions {
            self.complete(held)?;
        }
        match request.graph {
            GraphChange::Unchanged => {}
            GraphChange::Append(nodes) => self.append(nodes)?,
            GraphChange::Replace(nodes) => self.replace(nodes)?,
        }
        let leaf = request.leaf.as_ref().map(|leaf| self.sequence(leaf));
        if leaf == Some(None) {
            return Err(invalid("the leaf is not stored"));
        }
        self.usage.extend(request.usage);
        self.commit_attachments(&session_id, request.attachment_ids);
        let checkpoint = self.put_checkpoint(request.checkpoint)?;
        let receipt = Receipt {
            revision: self.revision() + 1,
            checkpoint_ref: checkpoint.key,
            manifest: checkpoint.manifest,
        };
        let blobs = request.head.blobs.into_iter();
        let blobs: Result<_> = blobs.map(|source| self.put(source)).collect();
        let retained = request.head.retained.into_iter().map(BlobSource::Stored);
        let retained: Result<_> = retained.map(|source| self.put(source)).collect();
        let head = Head {
            session_id,
            revision: receipt.revision,
            content: request.head.content,
            blobs: ByteStrings::from_iter([]),
            blob_refs: blobs?,
            leaf: request.leaf,
            checkpoint_ref: Some(receipt.checkpoint_ref.clone()),
            node_count: 0,
        };
        self.head = Some((head, retained?));
        if let Some(stamp) = request.turn {
            let (receipt, at_ms) = (receipt.clone(), now_ms());
            self.turns.push(Turn {
                stamp,
                receipt,
                at_ms,
            });
        }
        Ok(receipt)
    }
}
