//! What happened to processes.

use std::path::Path;

use lash_core::{PluginError, ProcessEvent};
use lash_store_engine::wit::process_events::Event;
use lash_store_engine::wit::types::ByteStrings;
use lash_store_engine::{Call, Error as EngineError};

use super::SqliteProcessRegistry;
use crate::encoding::{from_json, read_json, to_json};
use crate::error::{Error, unknown_process};

/// Some events, and the sequence after which there are more.
struct Page {
    events: ByteStrings,
    next: Option<u64>,
}

const EVENT: &str = "the event of process";

pub(crate) fn to_event(path: &Path, event: &ProcessEvent) -> Result<Vec<u8>, Error> {
    let key = format!("{} {}", event.process_id, event.sequence);
    to_json(path, EVENT, &key, event)
}

pub(crate) fn from_event(path: &Path, id: &str, content: &[u8]) -> Result<ProcessEvent, Error> {
    from_json(path, EVENT, "", content).map_err(|error| error.of(|| name_of(id, content)))
}

/// The process, and the sequence in an event that cannot be read otherwise.
fn name_of(id: &str, content: &[u8]) -> String {
    #[derive(serde::Deserialize)]
    struct Numbered {
        sequence: u64,
    }
    match read_json::<Numbered>(content) {
        Ok(numbered) => format!("{id} {}", numbered.sequence),
        Err(_) => id.to_owned(),
    }
}

fn from_events(
    path: &Path,
    id: &str,
    events: &ByteStrings,
) -> impl Iterator<Item = Result<ProcessEvent, Error>> {
    events.iter().map(|content| from_event(path, id, content))
}

/// What lash-core compares a repeated event with.
pub(crate) fn from_existing(
    path: &Path,
    id: &str,
    event: Event,
) -> Result<(String, ProcessEvent), Error> {
    Ok((event.payload_hash, from_event(path, id, &event.content)?))
}

impl SqliteProcessRegistry {
    /// Reads events of a process, page by page. `read` returns a page after a sequence and
    /// where the next one begins, and `None` if there is no such process.
    async fn events(
        &self,
        operation: &'static str,
        process_id: &str,
        after_sequence: u64,
        read: impl Fn(&mut Call<'_>, &str, u64) -> Result<Option<Page>, EngineError> + Send + 'static,
    ) -> Result<Vec<ProcessEvent>, PluginError> {
        let id = process_id.to_owned();
        let events = self
            .shared
            .db
            .read(operation, move |call| {
                call.of_process(&id);
                call.keep_snapshot();
                let mut events = Vec::new();
                let mut collected = 0;
                let mut next = Some(after_sequence);
                while let Some(sequence) = next {
                    let Some(page) = read(call, &id, sequence)? else {
                        return Ok(None);
                    };
                    call.collect(&mut collected, page.events.size())?;
                    for event in from_events(call.path(), &id, &page.events) {
                        events.push(event?);
                    }
                    next = page.next;
                    // Otherwise the same page would come for ever.
                    if next.is_some_and(|next| next <= sequence) {
                        let what = "it returned a page that does not lead on";
                        return Err(call.contradiction(what).into());
                    }
                }
                Ok(Some(events))
            })
            .await?;
        events.ok_or_else(|| unknown_process(process_id))
    }

    pub(super) async fn events_behind(
        &self,
        process_id: &str,
        after_sequence: u64,
    ) -> Result<Vec<ProcessEvent>, PluginError> {
        let read = |call: &mut Call<'_>, id: &str, sequence| {
            let page = call.process_events().after(id, sequence)?;
            Ok(page.map(|page| {
                let read = page.events.ends.len() as u64;
                let last = page.first_sequence.saturating_add(read).saturating_sub(1);
                Page {
                    next: page.more.then_some(last),
                    events: page.events,
                }
            }))
        };
        self.events("read process events", process_id, after_sequence, read)
            .await
    }

    /// An unknown process has no wakes: that is an error, as it is for events.
    pub(super) async fn wakes_behind(
        &self,
        process_id: &str,
        after_sequence: u64,
    ) -> Result<Vec<ProcessEvent>, PluginError> {
        let read = |call: &mut Call<'_>, id: &str, sequence| {
            let page = call.process_events().wakes_after(id, sequence)?;
            Ok(page.map(|page| Page {
                events: page.events,
                next: page.next,
            }))
        };
        self.events("read process wakes", process_id, after_sequence, read)
            .await
    }

    pub(super) async fn acknowledge_wake(
        &self,
        process_id: &str,
        sequence: u64,
    ) -> Result<(), PluginError> {
        let id = process_id.to_owned();
        let known = self
            .shared
            .db
            .write("acknowledge process wake", move |call| {
                call.of_process(&id);
                Ok(call.process_events().acknowledge_wake(&id, sequence)?)
            })
            .await?;
        if known {
            Ok(())
        } else {
            Err(unknown_process(process_id))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Another release may have written it. The error named only the process.
    #[test]
    fn an_event_that_cannot_be_decoded_is_named() {
        let path = Path::new("x.db");
        let error = from_event(path, "p", br#"{"sequence":9,"later":[1]}"#).unwrap_err();
        let text = error.to_string();
        assert!(text.contains("the event of process p 9 in x.db"), "{text}");
    }
}
