//! Files of effects.

pub(crate) mod flips;
mod rows;
