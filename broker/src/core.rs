//! The engine: decides, and does no I/O. Beside it stands what acts.

pub mod access;
pub mod limits;
pub mod policy;
