//! Statistics: rows read from the running process, and the forms in which they are shown.

pub mod column;
pub mod difference;
pub mod encode;
pub mod info;
pub mod page;
pub mod prometheus;
pub mod read;
pub mod row;
pub mod status;
pub mod value;
