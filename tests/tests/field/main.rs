//! What users and their machines do: other programs open, copy, rename and delete the
//! files, resources run out, other users look, processes fork and die.

#[cfg(target_os = "linux")]
mod cache;
mod closing;
mod deletion;
mod fork;
mod gate;
mod leases;
#[cfg(target_os = "linux")]
mod litestream;
mod log;
#[cfg(target_os = "linux")]
mod machine;
mod many_stores;
mod names;
mod occurrences;
mod other;
#[cfg(target_os = "linux")]
mod private;
mod read_only;
mod readable;
mod typed;
#[cfg(target_os = "linux")]
mod under;
