//! TLS on the core thread: rustls without its own I/O, fed with what the socket gives.

use crate::certificate_name::{facts, login_name};
use crate::core::Core;
use crate::core::connection::{CertificateFacts, Encryption};
use conf::broker::LoginFrom;
use rustls::ServerConnection;
use rustls::pki_types::CertificateDer;
use std::io::{self, IoSlice, Read, Write};
use std::sync::Arc;

/// The TLS of one client's connection.
pub struct TlsSession {
    connection: ServerConnection,
    login_from: LoginFrom,
    done: bool,
}

impl TlsSession {
    /// `login_from` says what of a client's certificate is its user's name.
    pub fn new(connection: ServerConnection, login_from: LoginFrom) -> TlsSession {
        TlsSession {
            connection,
            login_from,
            done: false,
        }
    }

    /// Decrypts; `found` gets each piece of clear text, and before any of it the end of the handshake.
    pub fn receive(
        &mut self,
        mut cipher: &[u8],
        found: &mut dyn FnMut(Found<'_>),
    ) -> io::Result<()> {
        let mut buffer = [0; 16 * 1024];
        while !cipher.is_empty() {
            self.connection.read_tls(&mut cipher)?;
            let state = self
                .connection
                .process_new_packets()
                .map_err(io::Error::other)?;
            if !self.connection.is_handshaking() && !self.done {
                self.done = true;
                found(Found::Peer(self.peer()));
            }
            let mut waiting = state.plaintext_bytes_to_read();
            while waiting > 0 {
                match self.connection.reader().read(&mut buffer) {
                    Ok(0) => break,
                    Ok(count) => {
                        found(Found::Plain(&buffer[..count]));
                        waiting = waiting.saturating_sub(count);
                    }
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(())
    }

    fn peer(&self) -> TlsPeer {
        let connection = &self.connection;
        let certificate = connection
            .peer_certificates()
            .and_then(<[CertificateDer<'_>]>::first);
        TlsPeer {
            shown: encryption(
                &connection
                    .protocol_version()
                    .map(|v| format!("{v:?}"))
                    .unwrap_or_default(),
                &connection
                    .negotiated_cipher_suite()
                    .map(|s| format!("{:?}", s.suite()))
                    .unwrap_or_default(),
                certificate.and_then(|certificate| facts(certificate)),
            ),
            name: certificate.and_then(|certificate| login_name(certificate, self.login_from)),
        }
    }

    /// Encrypts; answers how much clear text was taken.
    pub fn send(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        self.connection.writer().write_vectored(slices)
    }

    pub fn wants_write(&self) -> bool {
        self.connection.wants_write()
    }

    pub fn write_to(&mut self, stream: &mut dyn Write) -> io::Result<usize> {
        self.connection.write_tls(stream)
    }
}

/// `TLSv1_3` and `TLS13_AES_128_GCM_SHA256`, `TLSv1_2` and `TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256`, as lists show them. Every
/// suite that is offered is one whose cipher authenticates.
fn encryption(version: &str, suite: &str, certificate: Option<CertificateFacts>) -> Encryption {
    let (key_exchange, cipher) = match suite.strip_prefix("TLS13_") {
        Some(cipher) => ("any", cipher),
        None => suite
            .strip_prefix("TLS_")
            .and_then(|rest| rest.split_once("_WITH_"))
            .unwrap_or(("", suite)),
    };
    let cipher = ["_SHA256", "_SHA384"]
        .iter()
        .find_map(|hash| cipher.strip_suffix(hash))
        .unwrap_or(cipher);
    Encryption {
        protocol: version.replace('_', ".").to_lowercase(),
        key_exchange: key_exchange.to_lowercase(),
        cipher: cipher.to_lowercase(),
        hash: "aead",
        certificate,
    }
}

/// The cipher suites that listeners offer, in OpenSSL's words.
pub fn suites() -> impl Iterator<Item = String> {
    let provider = rustls::crypto::ring::default_provider();
    provider
        .cipher_suites
        .into_iter()
        .map(|suite| in_openssl_words(&format!("{:?}", suite.suite())))
}

/// `TLS13_AES_128_GCM_SHA256` is `TLS_AES_128_GCM_SHA256` there, `TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256`
/// is `ECDHE-RSA-AES128-GCM-SHA256`.
fn in_openssl_words(suite: &str) -> String {
    match (suite.strip_prefix("TLS13_"), suite.strip_prefix("TLS_")) {
        (Some(rest), _) => format!("TLS_{rest}"),
        (None, rest) => rest
            .unwrap_or(suite)
            .replace("_WITH", "")
            .replace("_POLY1305_SHA256", "_POLY1305")
            .replace("AES_", "AES")
            .replace('_', "-"),
    }
}

/// What decrypting brings to light.
pub enum Found<'a> {
    Peer(TlsPeer),
    Plain(&'a [u8]),
}

/// How a client is connected, and the name in its certificate.
pub struct TlsPeer {
    pub shown: Encryption,
    pub name: Option<String>,
}

impl TlsPeer {
    /// Enters it into the connection.
    pub fn note(self, core: &mut Core, index: u32) {
        if let Some(connection) = core.connections.get_mut(index as usize) {
            connection.peer.tls = Some(Arc::new(self.shown));
            connection.peer.certificate = self.name;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn suites_are_shown_in_the_words_of_rabbitmqs_lists() {
        let shown = |version, suite| {
            let shown = encryption(version, suite, None);
            [shown.protocol, shown.key_exchange, shown.cipher].join(" ")
        };
        assert_eq!(
            shown("TLSv1_3", "TLS13_AES_256_GCM_SHA384"),
            "tlsv1.3 any aes_256_gcm"
        );
        assert_eq!(
            shown("TLSv1_2", "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256"),
            "tlsv1.2 ecdhe_rsa chacha20_poly1305"
        );
    }

    #[test]
    fn suites_are_named_as_openssl_names_them() {
        for (suite, name) in [
            ("TLS13_AES_256_GCM_SHA384", "TLS_AES_256_GCM_SHA384"),
            (
                "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
                "ECDHE-ECDSA-AES256-GCM-SHA384",
            ),
            (
                "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256",
                "ECDHE-RSA-CHACHA20-POLY1305",
            ),
        ] {
            assert_eq!(in_openssl_words(suite), name);
        }
    }
}
