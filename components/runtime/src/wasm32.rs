//! What the standard library would bring in addition to the allocator: a panic handler,
//! and two functions that on this target are left to a libc, which is not linked because
//! it would bring more imports: the compiler's `memcmp`, and `cabi_realloc` of the
//! canonical ABI.

extern crate alloc;

use alloc::alloc::{Layout, alloc, handle_alloc_error, realloc};

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

/// Compares memory for the compiler.
///
/// # Safety
///
/// Both pointers must be valid for reads of `length` bytes.
#[unsafe(no_mangle)]
unsafe extern "C" fn memcmp(left: *const u8, right: *const u8, length: usize) -> i32 {
    let mut offset = 0;
    // Whole words as long as they are equal: the rest decides.
    while offset + 8 <= length {
        // SAFETY: the caller vouches for `length` bytes.
        let (a, b) = unsafe {
            (
                left.add(offset).cast::<u64>().read_unaligned(),
                right.add(offset).cast::<u64>().read_unaligned(),
            )
        };
        if a != b {
            break;
        }
        offset += 8;
    }
    while offset < length {
        // SAFETY: as above.
        let (a, b) = unsafe { (*left.add(offset), *right.add(offset)) };
        if a != b {
            return i32::from(a) - i32::from(b);
        }
        offset += 1;
    }
    0
}
