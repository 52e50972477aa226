//! What users and their machines do: other programs open, copy, rename and delete the
//! files, resources run out, other users look, processes fork and die.
mod closing;
mod fork;
mod gate;
mod leases;
mod many_stores;
