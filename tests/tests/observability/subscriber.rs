//! A subscriber that remembers every span and event of the process, at every level.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::path::Path;
use std::sync::{Mutex, OnceLock};
use std::thread::{self, ThreadId};

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};
use tracing_core::span::Current;

/// Fields by name, as text.
pub type Fields = BTreeMap<&'static str, String>;

/// A span as it was recorded.
#[derive(Clone, Debug)]
pub struct Span {
    pub id: u64,
    pub parent: Option<u64>,
    pub name: &'static str,
    pub target: &'static str,
    pub fields: Fields,
    pub threads: HashSet<ThreadId>,
}

impl Span {
    /// A field, empty if it was not recorded.
    pub fn text(&self, field: &str) -> &str {
        self.fields.get(field).map_or("", String::as_str)
    }

    /// A field that is a number.
    pub fn number(&self, field: &str) -> u64 {
        self.text(field).parse().unwrap()
    }
}

/// An event.
#[derive(Clone, Debug)]
pub struct Happened {
    pub parent: Option<u64>,
    pub fields: Fields,
}

/// Everything.
#[derive(Default)]
pub struct Recorded {
    metadata: Mutex<Vec<&'static Metadata<'static>>>,
    spans: Mutex<Vec<Span>>,
    events: Mutex<Vec<Happened>>,
}

thread_local! {
    static ENTERED: RefCell<Vec<u64>> = const { RefCell::new(Vec::new()) };
}

fn current() -> Option<u64> {
    ENTERED.with_borrow(|entered| entered.last().copied())
}

/// The subscriber of this process, which is installed when this is called first, before
/// any store is opened; the recorder of metrics too.
pub fn recorded() -> &'static Recorded {
    static RECORDED: OnceLock<&'static Recorded> = OnceLock::new();
    RECORDED.get_or_init(|| {
        let recorded: &'static Recorded = Box::leak(Box::default());
        tracing::subscriber::set_global_default(Shared(recorded)).unwrap();
        #[cfg(feature = "metrics")]
        crate::metrics::sums();
        recorded
    })
}

impl Recorded {
    /// The spans about a database, in order.
    pub fn of(&self, path: &Path) -> Vec<Span> {
        let path = path.display().to_string();
        let spans = self.spans.lock().unwrap();
        let of = spans.iter().filter(|span| span.text("path") == path);
        of.cloned().collect()
    }

    /// The spans of one operation on a database, in order.
    pub fn operations(&self, path: &Path, operation: &str) -> Vec<Span> {
        let mut spans = self.of(path);
        spans.retain(|span| span.text("operation") == operation);
        spans
    }

    /// The events within a span.
    pub fn events_of(&self, span: &Span) -> Vec<Happened> {
        let events = self.events.lock().unwrap();
        let of = events.iter().filter(|event| event.parent == Some(span.id));
        of.cloned().collect()
    }

    /// Everything that was ever recorded, as text.
    pub fn everything(&self) -> String {
        let spans = self.spans.lock().unwrap();
        let events = self.events.lock().unwrap();
        format!("{spans:?} {events:?}")
    }
}

struct Shared(&'static Recorded);

impl Subscriber for Shared {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, attributes: &Attributes<'_>) -> Id {
        let mut spans = self.0.spans.lock().unwrap();
        let metadata = attributes.metadata();
        let mut fields = Visitor::default();
        attributes.record(&mut fields);
        let id = spans.len() as u64 + 1;
        let parent = attributes.parent().map(Id::into_u64);
        spans.push(Span {
            id,
            parent: parent.or_else(|| attributes.is_contextual().then(current).flatten()),
            name: metadata.name(),
            target: metadata.target(),
            fields: fields.0,
            threads: HashSet::new(),
        });
        self.0.metadata.lock().unwrap().push(metadata);
        Id::from_u64(id)
    }

    fn record(&self, span: &Id, values: &Record<'_>) {
        let mut fields = Visitor::default();
        values.record(&mut fields);
        self.change(span, |span| span.fields.extend(fields.0));
    }

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut fields = Visitor::default();
        event.record(&mut fields);
        self.0.events.lock().unwrap().push(Happened {
            parent: current(),
            fields: fields.0,
        });
    }

    fn enter(&self, span: &Id) {
        ENTERED.with_borrow_mut(|entered| entered.push(span.into_u64()));
        self.change(span, |span| {
            span.threads.insert(thread::current().id());
        });
    }

    fn exit(&self, _: &Id) {
        ENTERED.with_borrow_mut(|entered| entered.pop());
    }

    fn current_span(&self) -> Current {
        match current() {
            Some(id) => {
                let metadata = self.0.metadata.lock().unwrap()[id as usize - 1];
                Current::new(Id::from_u64(id), metadata)
            }
            None => Current::none(),
        }
    }
}

impl Shared {
    fn change(&self, id: &Id, change: impl FnOnce(&mut Span)) {
        change(&mut self.0.spans.lock().unwrap()[id.into_u64() as usize - 1]);
    }
}

#[derive(Default)]
struct Visitor(Fields);

impl Visit for Visitor {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.0.insert(field.name(), format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.insert(field.name(), value.to_owned());
    }
}
