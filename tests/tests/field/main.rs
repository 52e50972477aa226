//! What users and their machines do: other programs open, copy, rename and delete the
//! files, resources run out, other users look, processes fork and die.

#[cfg(target_os = "linux")]
mod cache;
#[cfg(target_os = "linux")]
mod machine;
#[cfg(target_os = "linux")]
mod private;
#[cfg(target_os = "linux")]
mod under;
