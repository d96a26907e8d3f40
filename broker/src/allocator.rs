//! What the C library's allocator is asked to do otherwise: give large blocks back at once.
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
