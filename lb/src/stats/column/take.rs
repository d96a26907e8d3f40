//! Parts of a row as values of cells, for the rows of the table.

use crate::stats::row::{Back, Check, Front, Kind, Rate, Row, Server};
use crate::stats::value::Value;

pub(super) fn n32(number: u32) -> Value<'static> {
    Value::U32(number)
}

pub(super) fn n64(number: u64) -> Value<'static> {
    Value::U64(number)
}

/// The value where the condition holds, none elsewhere.
pub(super) fn only(condition: bool, value: Value<'_>) -> Value<'_> {
    if condition { value } else { Value::None }
}

/// Of what servers and backends have.
pub(super) fn back(row: &Row, value: fn(&Back) -> Value<'_>) -> Value<'_> {
    row.back.as_ref().map_or(Value::None, value)
}

/// Of what frontends and listeners have.
pub(super) fn front(row: &Row, value: fn(&Front) -> Value<'_>) -> Value<'_> {
    row.front.as_ref().map_or(Value::None, value)
}

/// Of what only servers have.
pub(super) fn server(row: &Row, value: fn(&Server) -> Value<'_>) -> Value<'_> {
    row.server.as_ref().map_or(Value::None, value)
}

/// Of a server's health check.
pub(super) fn check(row: &Row, value: fn(&Check) -> Value<'_>) -> Value<'_> {
    row.server
        .as_ref()
        .and_then(|server| server.check.as_ref())
        .map_or(Value::None, value)
}

/// Of a server's agent check.
pub(super) fn agent(row: &Row, value: fn(&Check) -> Value<'_>) -> Value<'_> {
    row.server
        .as_ref()
        .and_then(|server| server.agent.as_ref())
        .map_or(Value::None, value)
}

/// HTTP responses of a class: 0 stands for 1xx to 4 for 5xx, 5 for others.
pub(super) fn response(row: &Row, class: usize) -> Value<'_> {
    row.http
        .as_ref()
        .map_or(Value::None, |http| n64(http.responses[class]))
}

/// Sessions in a second.
pub(super) fn rate(row: &Row) -> Option<Rate> {
    match (&row.front, &row.back) {
        (Some(front), _) if row.kind == Kind::Frontend => Some(front.session_rate),
        (_, Some(back)) => Some(back.session_rate),
        _ => None,
    }
}

pub(super) fn is_frontend(row: &Row) -> bool {
    row.kind == Kind::Frontend
}

pub(super) fn is_proxy(row: &Row) -> bool {
    matches!(row.kind, Kind::Frontend | Kind::Backend)
}

/// `slim`: 0 where there is no limit, nothing for a server without one.
pub(super) fn slim(row: &Row) -> Value<'_> {
    match (row.kind, row.traffic.sessions.limit) {
        (Kind::Server, None) => Value::None,
        (_, limit) => n32(limit.unwrap_or(0)),
    }
}

/// Where a server or listener is.
pub(super) fn address(row: &Row) -> Value<'_> {
    match (&row.server, &row.listen_address) {
        (Some(server), _) => Value::text(&server.address),
        (None, Some(address)) => Value::text(address),
        (None, None) => Value::None,
    }
}

/// Requests in a second, of frontends.
pub(super) fn request_rate(row: &Row) -> Option<Rate> {
    is_frontend(row).then(|| {
        row.http
            .as_ref()
            .map_or_else(Default::default, |http| http.request_rate)
    })
}

/// `req_tot`: a frontend without HTTP has 0.
pub(super) fn requests_total(row: &Row) -> Value<'_> {
    match (&row.http, row.kind) {
        (Some(http), _) => n64(http.requests_total),
        (None, Kind::Frontend) => n64(0),
        (None, _) => Value::None,
    }
}

/// What proxies have and what is not spoken here: 0.
pub(super) fn proxy_zero(row: &Row) -> Value<'_> {
    only(is_proxy(row), n64(0))
}

/// Of proxies: 0 where they do not speak HTTP.
pub(super) fn h1(row: &Row, value: fn(&Row) -> u64) -> Value<'_> {
    only(
        is_proxy(row),
        n64(if row.http.is_some() { value(row) } else { 0 }),
    )
}

/// `h1_total_connections`: a frontend's from clients, a backend's to servers.
pub(super) fn h1_connections(row: &Row) -> u64 {
    match (&row.front, &row.back) {
        (Some(front), _) => front.connections_total,
        (None, Some(back)) => back.connections_opened,
        (None, None) => 0,
    }
}
