//! `tune.*` and switches of facilities.

use super::GlobalDraft;
use crate::diagnostic::Diagnostic;
use crate::keyword::{Args, Keyword, wrong};
use crate::lb::value;

/// Bytes of a socket's buffer; what the kernel would not take anyway is its most.
fn socket_buffer(a: &mut Args<'_>) -> Result<Option<u32>, Diagnostic> {
    let bytes = value::take_size(a, "a size")?.0;
    a.finish()?;
    Ok(Some(bytes.min(i32::MAX as u64) as u32))
}

/// The lines.
pub static KEYWORDS: &[Keyword<GlobalDraft>] = &[
    Keyword {
        name: "tune.bufsize",
        args: "<size>",
        doc: "Bound of what content inspection and HTTP headers may hold. Default 16384.",
        example: "tune.bufsize 32768",
        apply: |d, a| {
            let word = a.peek();
            let size = value::take_size(a, "a size")?;
            if let Some(word) = word.filter(|_| size.0 == 0) {
                return Err(wrong(word, "a size above 0"));
            }
            d.global.tune.bufsize = Some(size);
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
        name: "tune.rcvbuf.client",
        args: "<size>",
        doc: "`SO_RCVBUF` of the connections of clients: bounds what the kernel keeps for a slow one. \
              Unless said, the kernel adapts it.",
        example: "tune.rcvbuf.client 65536",
        apply: |d, a| {
            d.global.tune.client_buffers.receive = socket_buffer(a)?;
            Ok(())
        },
    },
    Keyword {
        name: "tune.rcvbuf.server",
        args: "<size>",
        doc: "`SO_RCVBUF` of the connections of servers: bounds what the kernel keeps for a slow one. \
              Unless said, the kernel adapts it.",
        example: "tune.rcvbuf.server 65536",
        apply: |d, a| {
            d.global.tune.server_buffers.receive = socket_buffer(a)?;
            Ok(())
        },
    },
    Keyword {
        name: "tune.sndbuf.client",
        args: "<size>",
        doc: "`SO_SNDBUF` of the connections of clients: bounds what the kernel keeps for a slow one. \
              Unless said, the kernel adapts it.",
        example: "tune.sndbuf.client 65536",
        apply: |d, a| {
            d.global.tune.client_buffers.send = socket_buffer(a)?;
            Ok(())
        },
    },
    Keyword {
        name: "tune.sndbuf.server",
        args: "<size>",
        doc: "`SO_SNDBUF` of the connections of servers: bounds what the kernel keeps for a slow one. \
              Unless said, the kernel adapts it.",
        example: "tune.sndbuf.server 65536",
        apply: |d, a| {
            d.global.tune.server_buffers.send = socket_buffer(a)?;
            Ok(())
        },
    },
    Keyword {
        name: "no-memory-trimming",
        args: "",
        doc: "Memory that is free after many connections have gone is kept, not given back.",
        example: "no-memory-trimming",
        apply: |d, a| {
            d.global.tune.keep_memory = true;
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
    Keyword {
        name: "nouring",
        args: "",
        doc: "Each session makes its own system calls: receives and sends of a turn are not handed to the \
              kernel together by io_uring. Evenkeel's own; where the system has no io_uring, this holds anyway.",
        example: "nouring",
        apply: |d, a| {
            d.global.disable.uring = true;
            a.finish()
        },
    },
];
