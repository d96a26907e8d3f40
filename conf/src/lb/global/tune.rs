//! `tune.*` and switches of facilities.

use super::GlobalDraft;
use crate::keyword::Keyword;
use crate::lb::value;

/// The lines.
pub static KEYWORDS: &[Keyword<GlobalDraft>] = &[
    Keyword {
        name: "tune.bufsize",
        args: "<size>",
        doc: "Bound of what content inspection and HTTP headers may hold. Default 16384.",
        example: "tune.bufsize 32768",
        apply: |d, a| {
            d.global.tune.bufsize = Some(value::take_size(a, "a size")?);
            a.finish()
        },
    },
    Keyword {
        name: "tune.maxrewrite",
        args: "<size>",
        doc: "Room kept for added HTTP headers.",
        example: "tune.maxrewrite 1024",
        apply: |d, a| {
            d.global.tune.maxrewrite = Some(value::take_size(a, "a size")?);
            a.finish()
        },
    },
    Keyword {
        name: "tune.pipesize",
        args: "<size>",
        doc: "Size of the pipes for splicing.",
        example: "tune.pipesize 256k",
        apply: |d, a| {
            d.global.tune.pipesize = Some(value::take_size(a, "a size")?);
            a.finish()
        },
    },
    Keyword {
        name: "nosplice",
        args: "",
        doc: "Never splices, as with `-dS`.",
        example: "nosplice",
        apply: |d, a| {
            d.global.disable.splice = true;
            a.finish()
        },
    },
    Keyword {
        name: "noreuseport",
        args: "",
        doc: "Listening sockets are not shared by SO_REUSEPORT, as with `-dR`.",
        example: "noreuseport",
        apply: |d, a| {
            d.global.disable.reuseport = true;
            a.finish()
        },
    },
];
