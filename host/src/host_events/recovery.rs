//! What a router cannot do: finding what it left unstarted.

use lash_core::{PluginError, ProcessRegistry, TriggerDeliveryReservation};

use super::deliveries::Unsettled;
use super::{SqliteHostEventStore, deliveries};
use crate::error::{Error, UNKNOWN_PROCESS};
use crate::operation;

impl SqliteHostEventStore {
    /// The deliveries that were reserved and whose processes do not exist, in the
    /// order in which they were reserved. What is found to exist is settled, and
    /// not looked at again.
    ///
    /// An occurrence that was recorded and never reserved is reserved first: whoever recorded
    /// it stopped in between. What is corrupt is passed over and logged.
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
    /// returns but that the process is unknown: a registry that cannot be read
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
        self.reserve_recorded().await?;
        let mut unstarted = Vec::new();
        let mut unsettled = Unsettled::default();
        loop {
            let page = self.next_page(&mut unsettled).await?;
            let mut started = Vec::new();
            for reservation in page {
                if exists(registry, &reservation.process_id).await? {
                    started.push(reservation);
                } else {
                    unstarted.push(reservation);
                }
            }
            self.settle_deliveries(&started).await?;
            if unsettled.ended {
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
        self.settle(deliveries::to_settlements(deliveries)).await
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
}

/// Whether a registry has a process.
///
/// `get_process` returns a failure as absence. The grants of a process are asked
/// for instead: they are returned only for one that exists, and the error for one
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
