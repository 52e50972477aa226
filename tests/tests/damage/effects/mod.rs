//! Files of effects.

mod flips;
mod rows;
