//! What users and their machines do: other programs open, copy, rename and delete the
//! files, resources run out, other users look, processes fork and die.

mod deletion;
mod log;
mod names;
mod occurrences;
mod other;
mod read_only;
mod readable;
mod typed;
