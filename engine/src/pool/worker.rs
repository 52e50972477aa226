//! One thread's instance of the component, or one lane's.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Instant;

use crate::component::Instance;
use crate::database::{Call, Clock, Context};
use crate::error::Error;
use crate::observability::{Report, metrics};
use crate::sqlite::SqliteConnection;

/// What an instance may keep between calls. Its memory never shrinks, so one
/// that has carried something very large is thrown away instead.
const KEPT_MEMORY: usize = 64 << 20;

/// What a thread of the pool has to itself; or a lane, for a component that is not trusted.
#[derive(Default)]
pub(crate) struct Worker {
    instance: Option<Box<Instance>>,
    report: Report,
}

impl Worker {
    /// What is to be told about the calls since this was asked last.
    pub(crate) fn take_report(&mut self) -> Report {
        std::mem::take(&mut self.report)
    }

    /// Runs `job` with the connection in `slot`, which is back in there without
    /// a transaction afterwards. If that is not possible, the slot is empty.
    ///
    /// A trap or a panic ends the job with [`Error::Component`], and the instance.
    pub(crate) fn call<R, E: From<Error>>(
        &mut self,
        context: &Context,
        operation: &'static str,
        slot: &mut Option<SqliteConnection>,
        job: impl FnOnce(&mut Call<'_>) -> Result<R, E>,
    ) -> Result<R, E> {
        // The time of the job begins here, and once: what a component that is not trusted
        // does while its instance is made counts.
        let begun = Instant::now();
        let clock = &context.options.clock;
        let component = &context.options.component;
        let mut instance = match self.instance.take() {
            Some(mut instance) => {
                component.begin_call(&mut instance.store);
                instance.store.data_mut().clock = Some(Clock::clone(clock));
                instance
            }
            None => {
                let instance = component
                    .instantiate(Clock::clone(clock))
                    .map_err(|trap| context.trapped(trap, operation, false))?;
                metrics::instance_made();
                // In a box, because the handles of all exports are kilobytes to move.
                Box::new(instance)
            }
        };
        let state = instance.store.data_mut();
        if let Some(connection) = slot.take() {
            state.sqlite.lend_since(connection, begun);
        }
        let result = catch_unwind(AssertUnwindSafe(|| {
            job(&mut Call::new(&mut instance, context, operation))
        }));
        let state = instance.store.data_mut();
        state.clock = None;
        let committed = state.sqlite.has_committed();
        *slot = state.sqlite.take_back();
        self.report.traffic.add(state.sqlite.take_traffic());
        self.report.outcome = state.outcome.take();
        let result = result.unwrap_or_else(|panic| {
            instance.broken = true;
            Err(E::from(Error::Component {
                path: context.path().to_path_buf(),
                operation,
                committed,
                source: panic_message(panic.as_ref()).into(),
            }))
        });
        if instance.broken {
            metrics::instance_stopped();
        } else if instance.store.data().growth.memory <= KEPT_MEMORY {
            self.instance = Some(instance);
        }
        result
    }
}

fn panic_message(panic: &(dyn Any + Send)) -> String {
    let message = panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    format!("panicked: {}", message.unwrap_or("no message"))
}
