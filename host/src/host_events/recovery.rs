//! What a router cannot do: finding what it left unstarted, and forgetting what
//! is long over.

use std::collections::HashMap;
use std::time::SystemTime;

use lash_core::{PluginError, ProcessRegistry, TriggerDeliveryReservation};
use lash_store_engine::epoch_ms;
use lash_store_engine::wit::host_events::Settlement;

use super::SqliteHostEventStore;
use crate::convert::host_events as convert;
use crate::error::{Error, UNKNOWN_PROCESS};
use crate::operation;

/// How many deliveries one call reads, and how many occurrences one removes.
const PAGE: u32 = 256;

/// How far the deliveries that are not settled were read.
#[derive(Clone, Copy, Default)]
struct Unsettled {
    /// The number of the last one.
    after: u64,
    /// What they are in bytes.
    collected: usize,
}

impl SqliteHostEventStore {
    /// The deliveries that were reserved and whose processes do not exist, in the
    /// order in which they were reserved. What is found to exist is settled, and
    /// not looked at again.
    ///
    /// [`TriggerRedelivery`](super::TriggerRedelivery) starts one of them.
    ///
    /// A process that was about to be started when this looked is among them.
    /// Starting it twice is harmless: its identifier follows from occurrence and
    /// subscription, and registering it again changes nothing. A subscription
    /// among them may have been cancelled since; the occurrence came before that.
    /// What shall never be started is given to
    /// [`settle_deliveries`](Self::settle_deliveries).
    ///
    /// A process that was pruned from the registry looks as if it had never been
    /// started. So call this, or [`settle_processes`](Self::settle_processes),
    /// before processes are pruned.
    ///
    /// # Errors
    ///
    /// `PluginError::Session` if this store fails, and whatever the registry
    /// answers but that the process is unknown: a registry that cannot be read
    /// does not make a process look unstarted.
    pub async fn unstarted_deliveries(
        &self,
        registry: &dyn ProcessRegistry,
    ) -> Result<Vec<TriggerDeliveryReservation>, PluginError> {
        let span = self.db.operation("find unstarted deliveries");
        operation::within(span, self.find_unstarted(registry)).await
    }

    async fn find_unstarted(
        &self,
        registry: &dyn ProcessRegistry,
    ) -> Result<Vec<TriggerDeliveryReservation>, PluginError> {
        let mut unstarted = Vec::new();
        let mut unsettled = Unsettled::default();
        loop {
            let page = self.next_page(&mut unsettled).await?;
            let complete = page.len() < PAGE as usize;
            let mut started = Vec::new();
            for reservation in page {
                if exists(registry, &reservation.process_id).await? {
                    started.push(reservation);
                } else {
                    unstarted.push(reservation);
                }
            }
            self.settle_deliveries(&started).await?;
            if complete {
                break;
            }
        }
        if !unstarted.is_empty() {
            // A process may have been pruned since its delivery was read. It was
            // settled before that.
            let unsettled = self.unsettled_by_process().await?;
            unstarted.retain(|delivery: &TriggerDeliveryReservation| {
                unsettled.contains_key(&delivery.process_id)
            });
        }
        Ok(unstarted)
    }

    /// Notes that the processes of deliveries were started, or that nobody will
    /// start them. Settling what was settled before, or is unknown, does nothing.
    ///
    /// # Errors
    ///
    /// [`EngineError::Corrupt`](crate::EngineError::Corrupt) if something that must be changed is damaged.
    pub async fn settle_deliveries(
        &self,
        deliveries: &[TriggerDeliveryReservation],
    ) -> Result<(), Error> {
        self.settle(convert::to_settlements(deliveries)).await
    }

    /// Settles the deliveries that started these processes. Who removes processes
    /// from a registry calls it before, lest they be started again; `prune_ended`
    /// of [`SqliteProcessRegistry`](crate::SqliteProcessRegistry) does.
    ///
    /// # Errors
    ///
    /// As [`settle_deliveries`](Self::settle_deliveries).
    pub async fn settle_processes(&self, process_ids: &[String]) -> Result<(), Error> {
        if process_ids.is_empty() {
            return Ok(());
        }
        let settled = async {
            let mut unsettled = self.unsettled_by_process().await?;
            let started = process_ids.iter().filter_map(|id| unsettled.remove(id));
            self.settle(started.collect()).await
        };
        operation::within(self.db.operation("settle processes"), settled).await
    }

    /// What settles each delivery that is not settled, by the process that it
    /// starts.
    pub(crate) async fn unsettled_by_process(&self) -> Result<HashMap<String, Settlement>, Error> {
        let mut by_process = HashMap::new();
        let mut unsettled = Unsettled::default();
        loop {
            let page = self.next_page(&mut unsettled).await?;
            let complete = page.len() < PAGE as usize;
            for reservation in page {
                for settlement in convert::to_settlements([&reservation]) {
                    by_process.insert(reservation.process_id.clone(), settlement);
                }
            }
            if complete {
                return Ok(by_process);
            }
        }
    }

    /// Gives pages that are no longer needed back to the file system, some at a time, so
    /// that others can write in between. Whatever removes something does that at its end;
    /// this is for what an interrupted one left.
    ///
    /// # Errors
    ///
    /// [`EngineError::Busy`](crate::EngineError::Busy), [`EngineError::ReadOnly`](crate::EngineError::ReadOnly) and their like. What was given back until then
    /// stays so.
    pub async fn give_back_pages(&self) -> Result<(), Error> {
        Ok(self.db.incremental_vacuum().await?)
    }

    /// Removes occurrences from before a time, with their deliveries, and answers
    /// how many. Those of which a delivery is not settled stay.
    ///
    /// The idempotency key of what was removed is new again. So choose a time
    /// further back than the longest delay with which anybody reports an
    /// occurrence again. A time in the future counts as now.
    ///
    /// # Errors
    ///
    /// [`EngineError::Corrupt`](crate::EngineError::Corrupt) if something that is to be removed is damaged. What was
    /// removed before it was found stays removed.
    pub async fn prune_occurrences(&self, occurred_before: SystemTime) -> Result<u64, Error> {
        let span = self.db.operation("prune occurrences");
        operation::within(span, self.prune(occurred_before)).await
    }

    async fn prune(&self, occurred_before: SystemTime) -> Result<u64, Error> {
        let before_ms = epoch_ms(occurred_before);
        let mut pruned: u64 = 0;
        loop {
            let batch = self
                .db
                .write("prune occurrences", move |call| {
                    Ok(call.host_events().prune(before_ms, PAGE)?)
                })
                .await?;
            pruned = pruned.saturating_add(batch);
            if batch < u64::from(PAGE) {
                break;
            }
        }
        self.db.give_back_pages().await;
        Ok(pruned)
    }

    /// The next page of deliveries that are not settled.
    async fn next_page(
        &self,
        unsettled: &mut Unsettled,
    ) -> Result<Vec<TriggerDeliveryReservation>, Error> {
        let mut read = *unsettled;
        let (page, read) = self
            .db
            .read("list unsettled deliveries", move |call| {
                let fan_outs = call.host_events().unsettled(read.after, PAGE)?;
                let mut page = Vec::new();
                for fan_out in fan_outs {
                    call.collect(&mut read.collected, convert::size(&fan_out))?;
                    for (number, reservation) in convert::from_fan_out(call.path(), fan_out)? {
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
                Ok((page, read))
            })
            .await?;
        *unsettled = read;
        Ok(page)
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

/// Whether a registry has a process.
///
/// `get_process` answers a failure as absence. The grants of a process are asked
/// for instead: they are answered only for one that exists, and the error for one
/// that does not says so. Should a registry say it in other words, `get_process`
/// is asked too, and the error is passed on if it knows nothing.
async fn exists(registry: &dyn ProcessRegistry, process_id: &str) -> Result<bool, PluginError> {
    match registry.handle_grants_for_process(process_id).await {
        Ok(_) => Ok(true),
        Err(error) if error.to_string().contains(UNKNOWN_PROCESS) => Ok(false),
        Err(error) => match registry.get_process(process_id).await {
            Some(_) => Ok(true),
            None => Err(error),
        },
    }
}
