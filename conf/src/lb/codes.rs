//! Codes of the balancer's language and their explanations.

use crate::code::Code;

/// Codes in ascending order.
pub static CODES: &[Code] = &[];
