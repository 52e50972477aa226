//! The operations on a session database, but for those of `session_commit`,
//! `session_import` and `session_queue`.

use std::rc::Rc;

use lash_wasm_store_guest::bindings::session_types::{
    BlobKind, BlobProfile, Namespace, ReadScope, SlotPolicy,
};
use lash_wasm_store_guest::format;
use lash_wasm_store_guest::session::{
    self, artifacts, attachments, blobs, checkpoints, graph, maintenance, metadata, queue,
    retention, usage,
};

use crate::sweep::run::{Effect, NOW, Operation, Retry, Table, copy, repair, sound};
use crate::sweep::session_commit;
use crate::sweep::session_import;
use crate::sweep::session_queue;
use crate::sweep::session_start::{
    EARLIER, Known, SESSION, checkpoint_draft, content, draft, entry, fill, intent, meta, node,
    request,
};

/// Why a second removal answers that there is nothing.
pub const GONE: &str = "what it removed is gone";

/// Databases that operations start from.
pub struct Starts {
    /// With its schema, and nothing else.
    pub fresh: Rc<Vec<u8>>,
    /// With the manifest of the checkpoint `turn 1`, stored as mere bytes.
    pub manifest: Rc<Vec<u8>>,
    /// With nothing queued, no metadata, and all that is kept reachable.
    pub bare: Rc<Vec<u8>>,
    /// With more batches than are read as a whole.
    pub deep: Rc<Vec<u8>>,
    /// With a graph of two pages.
    pub long: Rc<Vec<u8>>,
}

impl Starts {
    fn new() -> Self {
        let mut db = copy(&[]);
        db.seed(0);
        session::initialize(&db).unwrap();
        let fresh = db.image();
        session::commit(&db, request(None, "turn 1")).unwrap();
        let bare = db.image();
        let head = session::load_head(&db).unwrap().unwrap();
        let manifest = blobs::get(&db, &head.checkpoint_ref.unwrap())
            .unwrap()
            .unwrap();
        let mut of_bytes = copy(&fresh);
        let kind = BlobKind::Generic;
        blobs::put(&of_bytes, manifest, kind, false, BlobProfile::Compact).unwrap();
        let mut long = copy(&bare);
        let mut second = node("newer", None, false);
        second.body = vec![0; 1_500_000];
        graph::append(&long, &[node("older", None, false), second]).unwrap();
        for _ in 0..100 {
            queue::enqueue(&db, draft(None, SlotPolicy::Join)).unwrap();
        }
        queue::enqueue(&db, draft(Some("known"), SlotPolicy::Join)).unwrap();
        Self {
            fresh: fresh.into(),
            manifest: of_bytes.image().into(),
            bare: bare.into(),
            deep: db.image().into(),
            long: long.image().into(),
        }
    }
}

/// The table.
pub fn table() -> Table {
    let mut db = copy(&[]);
    db.seed(0);
    let known = fill(&db);
    let starts = Starts::new();
    let mut operations = lifecycle();
    operations.extend(reads(&known, &starts));
    operations.extend(session_commit::operations(&known, &starts));
    operations.extend(graph_and_blobs(&starts));
    operations.extend(attachments_and_usage());
    operations.extend(session_queue::operations(&known, &starts));
    operations.extend(session_import::operations(&starts.fresh));
    operations.extend(metadata_and_maintenance(&starts));
    let image = db.image();
    operations.push(repair(
        "repair.session",
        &image,
        "UPDATE table_digests SET digests = zeroblob(8);
         DELETE FROM database_identity;
         UPDATE usage_totals SET input_tokens = 4711",
        session::repair,
    ));
    Table {
        kind: "session",
        start: image.into(),
        operations,
        goes_on: Box::new(|db| {
            let head = match session::load_head(db) {
                Ok(head) => head,
                Err(error) => return format!("{:?}", Err::<(), _>(error)),
            };
            let revision = head.map(|head| head.revision);
            let committed = session::commit(db, request(revision, "more work")).unwrap();
            let committed = format!("{committed:?}");
            assert!(committed.contains("Committed"), "{committed}");
            format!("{:?}", queue::enqueue(db, draft(None, SlotPolicy::Join)))
        }),
    }
}

fn lifecycle() -> Vec<Operation> {
    let retired = "every call on a retired session is";
    vec![
        Operation::new(
            "session.initialize",
            "empty",
            Effect::Writes(Retry::Same),
            session::initialize,
        )
        .on(&Rc::default()),
        Operation::new(
            "session.initialize",
            "made before",
            Effect::Keeps,
            session::initialize,
        ),
        Operation::new(
            "session.retire",
            "live",
            Effect::Writes(Retry::Answers("Err(Error::Retired", retired)),
            session::retire,
        ),
    ]
}

fn reads(known: &Known, starts: &Starts) -> Vec<Operation> {
    let Known {
        blob: key,
        checkpoint: manifest,
        ..
    } = known.clone();
    let read = Effect::Reads;
    let load = |variant, scope: ReadScope| {
        Operation::new("session.load", variant, Effect::Reads, move |db| {
            session::load(db, scope.clone())
        })
    };
    let node = |variant, id| {
        Operation::new("graph.load-node", variant, Effect::Reads, move |db| {
            graph::load_node(db, id)
        })
    };
    let artifact = |space, name| {
        Operation::new("artifacts.get", name, Effect::Reads, move |db| {
            artifacts::get(db, space, name)
        })
    };
    let list = |variant, pending_only| {
        Operation::new("queue.list", variant, Effect::Reads, move |db| {
            queue::list(db, SESSION, pending_only, None)
        })
    };
    vec![
        load("full", ReadScope::Full),
        load("path", ReadScope::Path(None)),
        // Not every start has the node.
        Operation::new(
            "session.load",
            "path to a removed node",
            Effect::Keeps,
            |db| session::load(db, ReadScope::Path(Some("n3".to_owned()))),
        ),
        Operation::new("session.load-head", "", read, session::load_head),
        Operation::new("graph.load", "", Effect::Reads, |db| graph::load(db, None)),
        Operation::new("session.load-nodes", "", Effect::Reads, |db| {
            let snapshot = session::load(db, ReadScope::Full)?;
            let cursor = snapshot.and_then(|snapshot| snapshot.nodes.next);
            cursor
                .map(|cursor| graph::load_nodes(db, &cursor))
                .transpose()
        })
        .on(&starts.long),
        Operation::new("artifacts.list", "", Effect::Reads, |db| {
            artifacts::list(db, None)
        }),
        Operation::new("format.identity", "", Effect::Reads, format::identity),
        node("stored", "n1"),
        node("hidden", "hidden"),
        node("unknown", "unknown"),
        Operation::new("blobs.get", "", Effect::Reads, move |db| {
            blobs::get(db, &key)
        }),
        Operation::new("checkpoints.get", "", Effect::Reads, move |db| {
            checkpoints::get(db, &manifest)
        }),
        artifact(Namespace::Modules, "module"),
        artifact(Namespace::Bytes, "bytes"),
        artifact(Namespace::Bytes, "unknown"),
        Operation::new("usage.load", "", Effect::Reads, |db| usage::load(db, None)),
        Operation::new("attachments.list-uncommitted", "", Effect::Reads, |db| {
            attachments::list_uncommitted(db, u64::MAX, None)
        }),
        list("all", false),
        list("pending", true),
        Operation::new("metadata.load", "", Effect::Reads, metadata::load),
        Operation::new("metadata.describe", "", Effect::Reads, metadata::describe),
        Operation::new("session-export.read-page", "", Effect::Reads, |db| {
            session::read_page(db, None)
        }),
        Operation::new(
            "session-inspection.statistics",
            "",
            Effect::Reads,
            session::statistics,
        ),
        Operation::new("session-inspection.verify", "", Effect::Reads, |db| {
            sound(|cursor| session::verify(db, cursor))
        }),
    ]
}

fn graph_and_blobs(starts: &Starts) -> Vec<Operation> {
    let taken = "nodes have no other identity than their identifiers, which are taken";
    let append = |variant, effect, parent: &'static str| {
        Operation::new("graph.append", variant, effect, move |db| {
            let nodes = [
                node("n4", Some(parent), true),
                node("n5", Some("n4"), false),
            ];
            graph::append(db, &nodes)
        })
    };
    let replace = |variant, ids: [&'static str; 3]| {
        Operation::new(
            "graph.replace",
            variant,
            Effect::Writes(Retry::Same),
            move |db| {
                let mut parent = None;
                let nodes = ids.map(|id| node(id, parent.replace(id), id == "n0"));
                graph::replace(db, &nodes)
            },
        )
    };
    let tombstone = |variant, effect, ids: [&'static str; 2]| {
        Operation::new("graph.tombstone", variant, effect, move |db| {
            graph::tombstone(db, &ids.map(str::to_owned))
        })
    };
    let blob = |variant, effect, name: &'static str| {
        Operation::new("blobs.put", variant, effect, move |db| {
            blobs::put(
                db,
                content(name),
                BlobKind::Generic,
                true,
                BlobProfile::Compact,
            )
        })
    };
    let checkpoint = |variant, effect, turn: &'static str| {
        Operation::new("checkpoints.put", variant, effect, move |db| {
            checkpoints::put(db, checkpoint_draft(turn), BlobProfile::Compact)
        })
    };
    let artifact = |variant, effect, name: &'static str, kind, text: &'static str| {
        Operation::new("artifacts.put", variant, effect, move |db| {
            let profile = BlobProfile::Compact;
            artifacts::put(
                db,
                Namespace::Bytes,
                name,
                content(text),
                kind,
                true,
                profile,
            )
        })
    };
    let write = || Effect::Writes(Retry::Same);
    let generic = BlobKind::Generic;
    vec![
        append(
            "new",
            Effect::Writes(Retry::Answers("Err(Error::Invalid", taken)),
            "n3",
        ),
        append("unknown parent", Effect::Keeps, "unknown"),
        replace("with other nodes", ["m0", "m1", "m2"]),
        replace("from the second node on", ["n0", "m1", "m2"]),
        tombstone(
            "two, one the first prompt",
            Effect::Writes(Retry::Answers("Ok(0)", "they are hidden now")),
            ["n0", "n3"],
        ),
        tombstone("unknown or hidden", Effect::Keeps, ["unknown", "hidden"]),
        blob("new", write(), "new"),
        blob("stored before", Effect::Keeps, "frame"),
        checkpoint("new", write(), "new"),
        checkpoint("stored before", Effect::Keeps, "turn 2"),
        checkpoint("the manifest is stored as bytes", write(), "turn 1").on(&starts.manifest),
        artifact("new", write(), "new", generic, "new"),
        artifact("replaced", write(), "bytes", generic, "new"),
        Operation::new(
            "artifacts.delete",
            "stored before",
            Effect::Writes(Retry::Answers("Ok(false)", GONE)),
            |db| artifacts::delete(db, Namespace::Bytes, "bytes"),
        ),
        Operation::new("artifacts.delete", "unknown", Effect::Keeps, |db| {
            artifacts::delete(db, Namespace::Modules, "unknown")
        }),
        artifact(
            "of another kind",
            Effect::Keeps,
            "bytes",
            BlobKind::Module,
            "new",
        ),
    ]
}

fn attachments_and_usage() -> Vec<Operation> {
    let write = || Effect::Writes(Retry::Same);
    let record = |variant, effect, attachment, at_ms| {
        Operation::new("attachments.record-intent", variant, effect, move |db| {
            let mut intent = intent(attachment, SESSION);
            intent.intent_at_ms = at_ms;
            attachments::record_intent(db, &intent)
        })
    };
    let commit = |variant, effect, attachment: &'static str| {
        Operation::new("attachments.commit", variant, effect, move |db| {
            let ids = [attachment.to_owned(), "unknown".to_owned()];
            attachments::commit(db, SESSION, &ids)
        })
    };
    let condemn = |variant, effect, attachment: &'static str| {
        Operation::new("attachments.condemn", variant, effect, move |db| {
            attachments::condemn(db, attachment, u64::MAX)
        })
    };
    let forget = |variant, effect, attachment: &'static str| {
        Operation::new("attachments.forget", variant, effect, move |db| {
            attachments::forget(db, attachment)
        })
    };
    let counted = "entries of usage have no identity";
    vec![
        record("new", write(), "new", 7),
        record("pending before", write(), "pending", 7),
        record("committed before", Effect::Keeps, "committed", 7),
        commit("pending", write(), "pending"),
        commit("committed before", Effect::Keeps, "committed"),
        condemn("pending", write(), "pending"),
        condemn("committed before", Effect::Keeps, "committed"),
        condemn("unknown", Effect::Keeps, "unknown"),
        forget("of two sessions", write(), "shared"),
        forget("unknown", Effect::Keeps, "unknown"),
        Operation::new(
            "usage.append",
            "known and new",
            Effect::Writes(Retry::Again("Ok(())", counted)),
            |db| usage::append(db, &[entry("turn"), entry("new")]),
        ),
        Operation::new("usage.append", "nothing", Effect::Keeps, |db| {
            usage::append(db, &[])
        }),
    ]
}

fn metadata_and_maintenance(starts: &Starts) -> Vec<Operation> {
    let write = || Effect::Writes(Retry::Same);
    let save = || {
        Operation::new("metadata.save", "", write(), |db| {
            metadata::save(db, &meta("new"))
        })
    };
    let create = |variant, effect| {
        Operation::new("metadata.create", variant, effect, |db| {
            metadata::create(db, &meta("new"))
        })
    };
    let vacuum = |variant, effect| {
        Operation::new("maintenance.vacuum", variant, effect, |db| {
            maintenance::vacuum(db, 100)
        })
    };
    let gc = |variant, effect| {
        Operation::new("maintenance.gc", variant, effect, |db| {
            maintenance::gc(db, 100)
        })
    };
    let prune = |variant, effect, before_ms: i64| {
        Operation::new("retention.prune", variant, effect, move |db| {
            retention::prune(db, before_ms.unsigned_abs(), 100)
        })
    };
    let answers = |begin| Effect::Writes(Retry::Answers(begin, GONE));
    let nothing = "Ok(Pruned { turns: 0, source-keys: 0, usage-entries: 0";
    vec![
        save(),
        save().on(&starts.bare),
        create("the first", answers("Ok(false)")).on(&starts.bare),
        create("stored before", Effect::Keeps),
        vacuum("one node", answers("Ok(VacuumStep { removed: 0")),
        vacuum("nothing", Effect::Keeps).on(&starts.bare),
        gc("a checkpoint", answers("Ok(GcStep")),
        gc("nothing", Effect::Keeps).on(&starts.bare),
        prune("the first turn", answers(nothing), EARLIER),
        prune("all", answers(nothing), NOW + 1),
        prune("nothing", Effect::Keeps, 0),
    ]
}
