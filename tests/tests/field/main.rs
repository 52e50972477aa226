//! What users and their machines do: other programs open, copy, rename and delete the
//! files, resources run out, other users look, processes fork and die.

mod closing;
mod deletion;
mod fork;
mod gate;
mod leases;
mod log;
mod many_stores;
mod names;
mod occurrences;
mod other;
mod read_only;
mod readable;
mod typed;
