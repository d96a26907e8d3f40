//! What the settings of a file come together in.

use super::model::{ClientAuth, Config, LoginFrom, Tls};
use super::value::Given;
use crate::diagnostic::Diagnostic;
use crate::source::Span;
use std::net::SocketAddr;
use std::path::PathBuf;

/// What the rows fill; certificates come together only at the end.
#[derive(Debug, Default)]
pub struct Draft {
    /// The configuration so far.
    pub config: Config,
    /// The node's certificate.
    pub certificate: Option<PathBuf>,
    /// Its private key.
    pub key: Option<PathBuf>,
    /// Authorities of client certificates.
    pub client_ca: Option<PathBuf>,
    /// Whether clients must show one.
    pub client_auth: Option<ClientAuth>,
    /// The user's name for EXTERNAL.
    pub login_from: Option<LoginFrom>,
    /// Only TLS 1.3.
    pub only_1_3: bool,
    /// Where TLS is first asked for.
    pub tls_at: Option<Span>,
    /// Addresses to listen on, as the file has them.
    pub listeners: Vec<(SocketAddr, Span)>,
}

impl Draft {
    /// One address or several, noted with their places.
    pub fn addresses(&mut self, value: &Given, port: u16) -> Result<Vec<SocketAddr>, Diagnostic> {
        let found = value.each(|one| Ok((one.address(port)?, one.span)))?;
        self.listeners.extend(&found);
        Ok(found.into_iter().map(|(address, _)| address).collect())
    }

    /// The first two of the file's listeners that cannot both be had: the later one's place, and the earlier one's.
    pub fn clash(&self) -> Option<(SocketAddr, Span, Span)> {
        let pairs = self.listeners.iter().enumerate().flat_map(|(at, later)| {
            let earlier = self.listeners[..at].iter();
            earlier.map(move |earlier| (earlier, later))
        });
        pairs
            .into_iter()
            .find(|(earlier, later)| overlap(earlier.0, later.0))
            .map(|(earlier, later)| (later.0, later.1, earlier.1))
    }

    /// Puts the certificates together. The error says which is missing for
    /// the TLS listeners.
    pub fn finish(mut self) -> Result<Config, &'static str> {
        let tls = match (self.certificate, self.key) {
            (Some(certificate), Some(key)) => Some(Tls {
                certificate,
                key,
                client_auth: self.client_auth.unwrap_or(match self.client_ca {
                    Some(_) => ClientAuth::Optional,
                    None => ClientAuth::None,
                }),
                client_ca: self.client_ca,
                login_from: self.login_from.unwrap_or(LoginFrom::DistinguishedName),
                only_1_3: self.only_1_3,
            }),
            (None, Some(_)) => return Err("a certificate"),
            (Some(_), None) => return Err("a private key"),
            (None, None) if !self.config.listen_tls.is_empty() => {
                return Err("a certificate and a private key");
            }
            (None, None) => None,
        };
        let asks = |t: &Tls| t.client_auth != ClientAuth::None && t.client_ca.is_none();
        if tls.as_ref().is_some_and(asks) {
            return Err("the authorities of the clients' certificates");
        }
        self.config.tls = tls;
        Ok(self.config)
    }
}

/// Whether two sockets cannot both listen; port 0 is another one each time.
fn overlap(a: SocketAddr, b: SocketAddr) -> bool {
    let covers = |wide: SocketAddr, other: SocketAddr| {
        wide.ip().is_unspecified() && (wide.is_ipv6() || other.is_ipv4())
    };
    a.port() == b.port() && a.port() != 0 && (a.ip() == b.ip() || covers(a, b) || covers(b, a))
}
