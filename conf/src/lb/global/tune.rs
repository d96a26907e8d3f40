//! `tune.*` and switches of facilities.

use super::GlobalDraft;
use crate::keyword::Keyword;
use crate::lb::value::{self, Unit};

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
        name: "tune.maxaccept",
        args: "<count>",
        doc: "Connections accepted in a row before others get their turn.",
        example: "tune.maxaccept 64",
        apply: |d, a| {
            let count = value::take_number(a, "a number of connections", -1, 65535)?;
            d.global.tune.maxaccept = u32::try_from(count).ok();
            a.finish()
        },
    },
    Keyword {
        name: "tune.maxpollevents",
        args: "<count>",
        doc: "Events taken from the kernel at once.",
        example: "tune.maxpollevents 200",
        apply: |d, a| {
            let count = value::take_number(a, "a number of events", 1, 1_000_000)?;
            d.global.tune.maxpollevents = Some(count as u32);
            a.finish()
        },
    },
    Keyword {
        name: "tune.rcvbuf.client",
        args: "<size>",
        doc: "Receive buffer of client sockets; the system's choice when absent.",
        example: "tune.rcvbuf.client 64k",
        apply: |d, a| {
            d.global.tune.rcvbuf_client = Some(value::take_size(a, "a size")?);
            a.finish()
        },
    },
    Keyword {
        name: "tune.rcvbuf.server",
        args: "<size>",
        doc: "Receive buffer of server sockets; the system's choice when absent.",
        example: "tune.rcvbuf.server 64k",
        apply: |d, a| {
            d.global.tune.rcvbuf_server = Some(value::take_size(a, "a size")?);
            a.finish()
        },
    },
    Keyword {
        name: "tune.sndbuf.client",
        args: "<size>",
        doc: "Send buffer of client sockets; the system's choice when absent.",
        example: "tune.sndbuf.client 64k",
        apply: |d, a| {
            d.global.tune.sndbuf_client = Some(value::take_size(a, "a size")?);
            a.finish()
        },
    },
    Keyword {
        name: "tune.sndbuf.server",
        args: "<size>",
        doc: "Send buffer of server sockets; the system's choice when absent.",
        example: "tune.sndbuf.server 64k",
        apply: |d, a| {
            d.global.tune.sndbuf_server = Some(value::take_size(a, "a size")?);
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
        name: "tune.idletimer",
        args: "<time>",
        doc: "Silence after which a stream counts as idle.",
        example: "tune.idletimer 1s",
        apply: |d, a| {
            d.global.tune.idletimer = Some(value::take_time(a, "a time", Unit::Millis)?);
            a.finish()
        },
    },
    Keyword {
        name: "tune.runqueue-depth",
        args: "<count>",
        doc: "Tasks run before the kernel is asked for events again.",
        example: "tune.runqueue-depth 200",
        apply: |d, a| {
            d.global.tune.runqueue_depth = Some(value::take_u32(a, "a number of tasks")?);
            a.finish()
        },
    },
    Keyword {
        name: "tune.http.maxhdr",
        args: "<count>",
        doc: "Most headers of a request or an answer. Default 101.",
        example: "tune.http.maxhdr 101",
        apply: |d, a| {
            let count = value::take_number(a, "a number of headers", 1, 32767)?;
            d.global.tune.http_maxhdr = Some(count as u32);
            a.finish()
        },
    },
    Keyword {
        name: "tune.http.logurilen",
        args: "<bytes>",
        doc: "Longest URI in lines. Default 1024.",
        example: "tune.http.logurilen 1024",
        apply: |d, a| {
            d.global.tune.http_logurilen = Some(value::take_u32(a, "a number of bytes")?);
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
