//! Host events.

mod deliveries;
mod model;
mod recovery;
