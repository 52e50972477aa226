//! What the native crate has in the end, imported.

use super::engine::Engine;
use super::operation::{Filter, Occurrence, Operation, SESSIONS, SOURCES, Subscription};

/// Compares answers before and after an import, unless the last operation is meant to take
/// the engines apart: first of what reads, then of what goes on.
pub(super) async fn compare(native: &mut Engine, apart: bool) -> Result<(), String> {
    let Some(imported) = native.imported().await.filter(|_| !apart) else {
        return Ok(());
    };
    let mut imported = imported.map_err(|error| format!("the import: {error}"))?;
    for operation in lists().into_iter().chain(writes()).chain(lists()) {
        let before = native.run(&operation).await;
        let after = imported.run(&operation).await;
        if before != after {
            return Err(format!(
                "{operation:?}\n  before the import: {before}\n  after it: {after}"
            ));
        }
    }
    Ok(())
}

const ALL: Filter = Filter {
    session: None,
    handle: None,
    name: None,
    source_type: None,
    source: None,
    enabled: None,
};

fn lists() -> Vec<Operation> {
    let mut filters = vec![ALL];
    for source in 0..SOURCES.len() {
        filters.extend([false, true].map(|enabled| Filter {
            source_type: Some(true),
            source: Some(source),
            enabled: Some(enabled),
            ..ALL
        }));
    }
    filters.extend((0..SESSIONS.len()).map(|session| Filter {
        session: Some(session),
        ..ALL
    }));
    filters.extend((0..3).map(|name| Filter {
        name: Some(name),
        ..ALL
    }));
    filters.extend((0..12).map(|handle| Filter {
        handle: Some(handle),
        ..ALL
    }));
    filters.into_iter().map(Operation::List).collect()
}

/// What occurred before is delivered to those who subscribed before the import, so the
/// new subscriptions come last.
fn writes() -> Vec<Operation> {
    let mut writes = Vec::new();
    for source in 0..SOURCES.len() {
        for key in 0..3 {
            for payload in 0..2 {
                let occurrence = Occurrence {
                    source,
                    key,
                    payload,
                    is_blank: false,
                };
                writes.push(Operation::Record(occurrence.clone()));
                writes.push(Operation::Reserve(occurrence));
            }
        }
    }
    writes.extend((0..12).map(|handle| Operation::Cancel(0, handle)));
    writes.push(Operation::Subscribe(Subscription {
        session: Some(1),
        source: 0,
        name: Some(1),
        process: 0,
    }));
    writes.push(Operation::DeleteSession(1));
    writes
}
