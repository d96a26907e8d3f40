//! placeholder, replaced by the language's first commit.

/// Codes of this language.
pub static CODES: &[crate::code::Code] = &[];
