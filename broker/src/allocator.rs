//! What the C library's allocator is asked to do otherwise: give large blocks back at once, and small ones when told to.
//!
//! It learns from the first large block that is freed to keep such blocks. Here that block is the 19 MiB that checking
//! one argon2 password takes, and a node with few clients would keep them for ever.
#![allow(unsafe_code)]

/// Blocks from this size on are the system's as soon as they are freed.
#[cfg(target_env = "gnu")]
const LARGE: libc::c_int = 1 << 20;

/// Call it once, before other threads start.
#[cfg(target_env = "gnu")]
pub fn return_large_blocks() {
    // SAFETY: mallopt sets one number of the allocator under its own lock; any value of this parameter is allowed.
    unsafe {
        libc::mallopt(libc::M_MMAP_THRESHOLD, LARGE);
    }
}

/// Other C libraries do not keep them.
#[cfg(not(target_env = "gnu"))]
pub fn return_large_blocks() {}

/// Gives the pages back that are free within the allocator's arenas: messages are small blocks, and some that are still in
/// use keep the space of a whole backlog that is gone. Takes some milliseconds for each hundred megabytes.
#[cfg(target_env = "gnu")]
pub fn return_free_pages() {
    // SAFETY: malloc_trim takes the lock of each arena; nothing that is in use is touched.
    unsafe {
        libc::malloc_trim(0);
    }
}

/// Other C libraries have no such call.
#[cfg(not(target_env = "gnu"))]
pub fn return_free_pages() {}
