//! The little that `mode http` needs so far.

use crate::diagnostic::Diagnostic;
use crate::keyword::{Args, Keyword, wrong};
use crate::lb::draft::Draft;
use crate::lb::model::ErrorFile;
use crate::lb::value;
use std::path::PathBuf;

const STATUSES: &[i64] = &[
    200, 400, 401, 403, 404, 405, 407, 408, 410, 413, 425, 429, 500, 501, 502, 503, 504,
];

fn errorfile(d: &mut Draft, a: &mut Args<'_>) -> Result<(), Diagnostic> {
    let code = a.expect("a status")?;
    let status = value::number(code, "a status", 100, 599)?;
    if !STATUSES.contains(&status) {
        return Err(wrong(code, "a status that can be replaced"));
    }
    let file = a.expect("a file")?;
    a.finish()?;
    let path = PathBuf::from(&file.text);
    let content = std::fs::read(&path).map_err(|e| {
        Diagnostic::error("E0001", file.span, format!("cannot read `{}`", file.text))
            .label(e.to_string())
    })?;
    d.proxy
        .http
        .error_files
        .retain(|f| i64::from(f.status) != status);
    d.proxy.http.error_files.push(ErrorFile {
        status: status as u16,
        path,
        content,
    });
    Ok(())
}

/// Of both sides.
pub static BOTH: &[Keyword<Draft>] = &[Keyword {
    name: "errorfile",
    args: "<status> <file>",
    doc: "The whole answer for a status that the balancer makes itself, headers included.",
    example: "errorfile 503 /dev/null",
    apply: errorfile,
}];

/// Of the side of the clients.
pub static FRONT: &[Keyword<Draft>] = &[Keyword {
    name: "monitor-uri",
    args: "<path>",
    doc: "Requests for exactly this path are answered 200 (503 when a `monitor fail` condition \
          holds), without a line.",
    example: "monitor-uri /alive",
    apply: |d, a| {
        d.proxy.http.monitor_uri = Some(a.expect("a path")?.text.clone());
        d.marks.http_only.push(("monitor-uri", a.head()));
        a.finish()
    },
}];
