//! What an occurrence is to start: reserving it, finding what is not settled, and settling
//! it.

use std::collections::HashMap;
use std::path::Path;

use lash_core::{PluginError, TriggerDeliveryReservation, deterministic_delivery_process_id};
use lash_store_engine::Error as EngineError;
use lash_store_engine::wit::host_events::{FanOut, Settlement};
use lash_store_engine::wit::types::Corruption;

use super::SqliteHostEventStore;
use super::occurrences::from_occurrence;
use super::subscriptions::{from_subscription, subscription_sequence};
use crate::error::Error;
use crate::operation;

/// How many deliveries one call reads, and how many occurrences one removes.
pub(super) const PAGE: u32 = 256;

/// How far the deliveries that are not settled were read.
#[derive(Clone, Copy, Default)]
pub(super) struct Unsettled {
    /// The number of the last one.
    after: u64,
    /// Whether there are no more.
    pub(super) ended: bool,
    /// What they are in bytes.
    collected: usize,
}

/// What the deliveries of an occurrence are in bytes: each repeats the occurrence.
pub(crate) fn size(fan_out: &FanOut) -> usize {
    let occurrence = fan_out.occurrence.content.len() + fan_out.occurrence.id.len();
    let deliveries = fan_out.deliveries.iter();
    deliveries
        .map(|delivery| {
            size_of::<TriggerDeliveryReservation>() + delivery.subscription.content.len()
        })
        .fold(0, |sum, delivery| {
            sum.saturating_add(occurrence).saturating_add(delivery)
        })
}

/// The deliveries of an occurrence, each with its number.
pub(crate) fn from_fan_out(
    path: &Path,
    fan_out: FanOut,
) -> Result<Vec<(u64, TriggerDeliveryReservation)>, Error> {
    let occurrence = from_occurrence(path, fan_out.occurrence)?;
    fan_out
        .deliveries
        .into_iter()
        .map(|delivery| {
            let subscription = from_subscription(path, &delivery.subscription)?;
            let process_id = deterministic_delivery_process_id(
                &occurrence.occurrence_id,
                &subscription.subscription_id,
            )
            .map_err(|source| Error::encode(path, "the identifier of a process", "", source))?;
            let reservation = TriggerDeliveryReservation {
                occurrence: occurrence.clone(),
                subscription,
                process_id,
            };
            Ok((delivery.number, reservation))
        })
        .collect()
}

/// What settles these deliveries, one entry for each occurrence in a row. Those
/// whose subscription is none of ours are left out.
pub(crate) fn to_settlements<'r>(
    deliveries: impl IntoIterator<Item = &'r TriggerDeliveryReservation>,
) -> Vec<Settlement> {
    let mut settlements: Vec<Settlement> = Vec::new();
    for delivery in deliveries {
        let subscription_id = &delivery.subscription.subscription_id;
        let Some(sequence) = subscription_sequence(subscription_id) else {
            continue;
        };
        let occurrence_id = &delivery.occurrence.occurrence_id;
        match settlements.last_mut() {
            Some(last) if last.occurrence_id == *occurrence_id => last.subscriptions.push(sequence),
            _ => settlements.push(Settlement {
                occurrence_id: occurrence_id.clone(),
                subscriptions: vec![sequence],
            }),
        }
    }
    settlements
}

impl SqliteHostEventStore {
    pub(super) async fn reserve(
        &self,
        occurrence_id: &str,
    ) -> Result<Vec<TriggerDeliveryReservation>, PluginError> {
        let id = occurrence_id.to_owned();
        let reserved = self
            .db
            .write("reserve deliveries", move |call| {
                call.host_events()
                    .reserve(&id)?
                    .map(|fan_out| {
                        call.collect(&mut 0, size(&fan_out))?;
                        from_fan_out(call.path(), fan_out)
                    })
                    .transpose()
            })
            .await?;
        match reserved {
            Some(deliveries) => Ok(deliveries
                .into_iter()
                .map(|(_, reservation)| reservation)
                .collect()),
            None => Err(PluginError::Session(format!(
                "unknown host event occurrence `{occurrence_id}`"
            ))),
        }
    }

    /// What settles each delivery that is not settled, by the process that it
    /// starts.
    pub(crate) async fn unsettled_by_process(&self) -> Result<HashMap<String, Settlement>, Error> {
        let mut by_process = HashMap::new();
        let mut unsettled = Unsettled::default();
        loop {
            let page = self.next_page(&mut unsettled).await?;
            for reservation in page {
                for settlement in to_settlements([&reservation]) {
                    by_process.insert(reservation.process_id.clone(), settlement);
                }
            }
            if unsettled.ended {
                return Ok(by_process);
            }
        }
    }

    /// The next page of deliveries that are not settled.
    pub(super) async fn next_page(
        &self,
        unsettled: &mut Unsettled,
    ) -> Result<Vec<TriggerDeliveryReservation>, Error> {
        let mut read = *unsettled;
        let (page, read) = self
            .db
            .read("list unsettled deliveries", move |call| {
                let found = call.host_events().unsettled(read.after, PAGE)?;
                operation::passed_over(call.path(), &found.corrupt);
                let mut page = Vec::new();
                for fan_out in found.fan_outs {
                    call.collect(&mut read.collected, size(&fan_out))?;
                    for (number, reservation) in from_fan_out(call.path(), fan_out)? {
                        // Otherwise the same page could come for ever.
                        if number <= read.after {
                            return Err(call
                                .contradiction(format!(
                                    "it answered delivery {number} after delivery {}",
                                    read.after
                                ))
                                .into());
                        }
                        read.after = number;
                        page.push(reservation);
                    }
                }
                if found.next.is_some_and(|next| next < read.after) {
                    return Err(call
                        .contradiction("it returned a page that leads back")
                        .into());
                }
                read.after = found.next.unwrap_or(read.after);
                read.ended = found.next.is_none();
                Ok((page, read))
            })
            .await?;
        *unsettled = read;
        Ok(page)
    }

    /// Reserves what was recorded and never reserved, because whoever recorded it stopped in
    /// between.
    pub(super) async fn reserve_recorded(&self) -> Result<(), Error> {
        let mut after = Some(0);
        while let Some(from) = after {
            after = self
                .db
                .write("reserve recorded occurrences", move |call| {
                    let page = call.host_events().unreserved(from, PAGE)?;
                    operation::passed_over(call.path(), &page.corrupt);
                    for id in &page.occurrence_ids {
                        match call.host_events().reserve(id) {
                            Err(EngineError::Corrupt {
                                table, key, reason, ..
                            }) => {
                                let damage = Corruption { table, key, reason };
                                operation::passed_over(call.path(), &[damage]);
                            }
                            reserved => drop(reserved?),
                        }
                    }
                    match page.next {
                        Some(next) if next <= from => Err(call
                            .contradiction("it returned a page that leads to itself")
                            .into()),
                        next => Ok(next),
                    }
                })
                .await?;
        }
        Ok(())
    }

    pub(crate) async fn settle(&self, settlements: Vec<Settlement>) -> Result<(), Error> {
        if settlements.is_empty() {
            return Ok(());
        }
        self.db
            .write("settle deliveries", move |call| {
                Ok(call.host_events().settle(&settlements)?)
            })
            .await
    }
}
