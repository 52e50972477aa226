//! What a component without the standard library needs to be linked.
//!
//! A `#![no_std]` crate says `lash_component_runtime::link!();`. On other targets than
//! `wasm32`, where such a crate is checked and tested, this is the standard library.
#![no_std]

#[cfg(not(target_arch = "wasm32"))]
extern crate std;

#[cfg(target_arch = "wasm32")]
mod wasm32;

#[cfg(target_arch = "wasm32")]
pub use dlmalloc::GlobalDlmalloc as Allocator;

/// Links the runtime into a component.
///
/// The allocator is a static of the component's own crate: the compiler can then inline
/// it before it decides what else to inline, and the store's component is 8 % smaller.
#[macro_export]
macro_rules! link {
    () => {
        #[cfg(target_arch = "wasm32")]
        #[global_allocator]
        static ALLOCATOR: $crate::Allocator = $crate::Allocator;
    };
}

/// Ends the call with a trap; on other targets, the process.
pub fn trap() -> ! {
    #[cfg(target_arch = "wasm32")]
    core::arch::wasm32::unreachable();
    #[cfg(not(target_arch = "wasm32"))]
    std::process::abort()
}
