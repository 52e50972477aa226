//! What the standard library would bring: an allocator, a panic handler, and the
//! canonical ABI's `cabi_realloc`, which on this target wit-bindgen leaves to a
//! libc that is not linked.

use alloc::alloc::{Layout, alloc, handle_alloc_error, realloc};

#[global_allocator]
static ALLOCATOR: dlmalloc::GlobalDlmalloc = dlmalloc::GlobalDlmalloc;

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    core::arch::wasm32::unreachable()
}

/// Allocates for the host, as the canonical ABI prescribes.
///
/// # Safety
///
/// `old_ptr` must come from this function with `old_len` and `align`, or
/// `old_len` must be 0; `align` must be a power of two.
#[unsafe(export_name = "cabi_realloc")]
unsafe extern "C" fn cabi_realloc(
    old_ptr: *mut u8,
    old_len: usize,
    align: usize,
    new_len: usize,
) -> *mut u8 {
    if new_len == 0 {
        return core::ptr::without_provenance_mut(align);
    }
    // SAFETY: `align` is a power of two by the canonical ABI, which bounds
    // `new_len` to the address space; the other conditions are the caller's.
    unsafe {
        let layout = Layout::from_size_align_unchecked(new_len, align);
        let pointer = if old_len == 0 {
            alloc(layout)
        } else {
            realloc(
                old_ptr,
                Layout::from_size_align_unchecked(old_len, align),
                new_len,
            )
        };
        if pointer.is_null() {
            handle_alloc_error(layout);
        }
        pointer
    }
}
