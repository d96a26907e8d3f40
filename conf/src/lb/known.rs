//! Keywords that HAProxy 2.6 has and this language does not have yet: named as
//! such (E0007), never ignored.

use crate::diagnostic::Diagnostic;
use crate::source::Span;

/// The refusal.
pub fn not_yet(span: Span, what: &str) -> Diagnostic {
    Diagnostic::error("E0007", span, format!("{what} is known, but not there yet"))
        .label("not implemented")
}

/// Sections.
pub static SECTIONS: &[&str] = &[
    "cache",
    "fcgi-app",
    "http-errors",
    "log-forward",
    "mailers",
    "peers",
    "program",
    "resolvers",
    "ring",
];

/// Options of `server`.
pub static SERVER_OPTIONS: &[&str] = &[
    "agent-addr",
    "agent-check",
    "agent-inter",
    "agent-port",
    "agent-send",
    "allow-0rtt",
    "alpn",
    "ca-file",
    "ca-sign-file",
    "check-alpn",
    "check-proto",
    "check-sni",
    "check-ssl",
    "check-via-socks4",
    "ciphers",
    "ciphersuites",
    "crl-file",
    "crt",
    "force-sslv3",
    "force-tlsv10",
    "force-tlsv11",
    "force-tlsv12",
    "force-tlsv13",
    "log-proto",
    "max-reuse",
    "namespace",
    "no-agent-check",
    "no-check-ssl",
    "no-ssl",
    "no-ssl-reuse",
    "no-sslv3",
    "no-tls-tickets",
    "no-tlsv10",
    "no-tlsv11",
    "no-tlsv12",
    "no-tlsv13",
    "no-verifyhost",
    "npn",
    "pool-low-conn",
    "pool-max-conn",
    "pool-purge-delay",
    "proto",
    "redir",
    "resolve-net",
    "resolve-opts",
    "resolve-prefer",
    "resolvers",
    "sni",
    "socks4",
    "ssl",
    "ssl-max-ver",
    "ssl-min-ver",
    "ssl-reuse",
    "stick",
    "tls-tickets",
    "verify",
    "verifyhost",
    "ws",
];

/// Options of `bind`.
pub static BIND_OPTIONS: &[&str] = &[
    "accept-netscaler-cip",
    "allow-0rtt",
    "alpn",
    "ca-file",
    "ca-ignore-err",
    "ca-sign-file",
    "ca-sign-pass",
    "ca-verify-file",
    "ciphers",
    "ciphersuites",
    "crl-file",
    "crt",
    "crt-ignore-err",
    "crt-list",
    "curves",
    "ecdhe",
    "force-sslv3",
    "force-tlsv10",
    "force-tlsv11",
    "force-tlsv12",
    "force-tlsv13",
    "generate-certificates",
    "namespace",
    "no-ca-names",
    "no-sslv3",
    "no-tls-tickets",
    "no-tlsv10",
    "no-tlsv11",
    "no-tlsv12",
    "no-tlsv13",
    "npn",
    "ocsp-update",
    "prefer-client-ciphers",
    "proto",
    "quic-cc-algo",
    "quic-force-retry",
    "shards",
    "ssl",
    "ssl-max-ver",
    "ssl-min-ver",
    "strict-sni",
    "thread",
    "tls-ticket-keys",
    "tls-tickets",
    "verify",
    "x-accept-proxy",
];

/// Keywords of `global`.
pub static GLOBAL: &[&str] = &[];

/// Keywords of proxies.
pub static PROXY: &[&str] = &[];
