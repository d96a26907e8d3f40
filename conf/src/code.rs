//! Error codes and their long explanations (`evenkeel explain CODE`).
//!
//! `E00xx` belong to every language, `E1xxx` to the balancer's, `E2xxx` to the
//! VRRP daemon's, `E3xxx` to the broker's. A code never changes its meaning.

/// One code with what `evenkeel explain` prints.
#[derive(Debug)]
pub struct Code {
    /// `E1001`.
    pub id: &'static str,
    /// One line, as a heading.
    pub title: &'static str,
    /// What it means, why it matters, what to do; plain text in paragraphs.
    pub explanation: &'static str,
}

/// Codes that every language uses.
pub static COMMON: &[Code] = &[
    Code {
        id: "E0001",
        title: "a file cannot be read",
        explanation: "The configuration file, or one that it includes, is missing, is not a file, \
                      is not readable by this user, or is not UTF-8. The message names the path \
                      and the system's reason.",
    },
    Code {
        id: "E0002",
        title: "unknown keyword",
        explanation: "The word at the caret is not a keyword in this place. Where a known keyword \
                      is near in spelling it is suggested; otherwise the keywords that this \
                      section takes are in the reference page of the language.",
    },
    Code {
        id: "E0003",
        title: "an argument is missing",
        explanation: "The keyword needs more words than the line has. The message shows the \
                      keyword's whole form.",
    },
    Code {
        id: "E0004",
        title: "too many arguments",
        explanation: "The line goes on after the keyword has all that it takes. The caret stands \
                      under the first word too many; a missing quote or comment sign is the usual \
                      cause.",
    },
    Code {
        id: "E0005",
        title: "a value is not of the kind wanted",
        explanation: "The word at the caret was read as a number, time, size, address or one of a \
                      list of words, and is not one. The message says what would be accepted.",
    },
    Code {
        id: "E0006",
        title: "a value is out of range",
        explanation: "The value has the right form but lies outside of the range that the message \
                      gives.",
    },
    Code {
        id: "E0007",
        title: "known, but not there yet",
        explanation: "The keyword exists in the program whose language this is, but Evenkeel does \
                      not implement it yet. It is refused rather than ignored, because ignoring \
                      it would run something else than what is written.",
    },
    Code {
        id: "E0008",
        title: "unclosed quote or block",
        explanation: "A quote, brace or conditional block was opened at the place shown and never \
                      closed.",
    },
    Code {
        id: "E0009",
        title: "a NUL byte",
        explanation: "The line has a byte of value 0. For many programs a text ends there, so that \
                      what follows on the line would be lost without a word.",
    },
];

/// All codes in ascending order.
pub fn all() -> impl Iterator<Item = &'static Code> {
    COMMON
        .iter()
        .chain(crate::lb::CODES)
        .chain(crate::vip::CODES)
        .chain(crate::broker::CODES)
}

/// The code with this id, in either case.
pub fn find(id: &str) -> Option<&'static Code> {
    all().find(|code| code.id.eq_ignore_ascii_case(id))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_unique_ascending_and_explained() {
        let ids: Vec<_> = all().map(|c| c.id).collect();
        assert!(ids.windows(2).all(|w| w[0] < w[1]), "{ids:?}");
        assert!(all().all(|c| !c.title.is_empty() && c.explanation.len() > 40));
        assert!(find("e0002").is_some());
    }
}
