//! TLS on the core thread: rustls without its own I/O, fed with what the socket gives.

use crate::core::Core;
use rustls::ServerConnection;
use rustls::pki_types::CertificateDer;
use std::io::{self, IoSlice, Read, Write};

pub struct TlsSession {
    connection: ServerConnection,
    done: bool,
    told: bool,
}

impl TlsSession {
    pub fn new(connection: ServerConnection) -> TlsSession {
        TlsSession {
            connection,
            done: false,
            told: false,
        }
    }

    /// Decrypts; `plain` gets each piece of clear text.
    pub fn receive(&mut self, mut cipher: &[u8], plain: &mut dyn FnMut(&[u8])) -> io::Result<()> {
        let mut buffer = [0; 16 * 1024];
        while !cipher.is_empty() {
            self.connection.read_tls(&mut cipher)?;
            let state = self
                .connection
                .process_new_packets()
                .map_err(io::Error::other)?;
            if !self.connection.is_handshaking() {
                self.done = true;
            }
            let mut waiting = state.plaintext_bytes_to_read();
            while waiting > 0 {
                match self.connection.reader().read(&mut buffer) {
                    Ok(0) => break,
                    Ok(count) => {
                        plain(&buffer[..count]);
                        waiting = waiting.saturating_sub(count);
                    }
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(())
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

    /// True once, when the handshake has ended.
    pub fn take_handshake_done(&mut self) -> bool {
        self.done && !std::mem::replace(&mut self.told, true)
    }
}

/// Enters version, cipher and the client's name into the connection's peer.
pub fn note_peer(core: &mut Core, index: u32, session: &TlsSession) {
    let Some(connection) = core.connections.get_mut(index as usize) else {
        return;
    };
    let version = session
        .connection
        .protocol_version()
        .map(|v| format!("{v:?}"))
        .unwrap_or_default();
    let cipher = session.connection.negotiated_cipher_suite();
    let cipher = cipher
        .map(|suite| format!("{:?}", suite.suite()))
        .unwrap_or_default();
    connection.peer.tls = Some((version, cipher));
    let certificate = session
        .connection
        .peer_certificates()
        .and_then(<[CertificateDer<'_>]>::first);
    connection.peer.certificate = certificate.and_then(|certificate| common_name(certificate));
}

/// The last common name of the certificate's subject.
///
/// The bytes come from a certificate that rustls has verified. They are searched for the subject's attribute type
/// (2.5.4.3) rather than decoded as a whole: the issuer's stands first, the subject's after the validity.
fn common_name(certificate: &[u8]) -> Option<String> {
    let subject = der::subject(certificate)?;
    let oid = [0x06, 0x03, 0x55, 0x04, 0x03];
    let at = memchr::memmem::rfind(subject, &oid)?;
    let (_, value, _) = der::element(&subject[at + oid.len()..])?;
    String::from_utf8(value.to_vec()).ok()
}

/// As much of DER as finding a certificate's subject needs.
mod der {
    /// Tag, contents and what follows.
    pub fn element(input: &[u8]) -> Option<(u8, &[u8], &[u8])> {
        let (&tag, rest) = input.split_first()?;
        let (&first, rest) = rest.split_first()?;
        let (length, rest) = match first {
            0..=0x7f => (usize::from(first), rest),
            0x81..=0x84 => {
                let (bytes, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
                (
                    bytes
                        .iter()
                        .fold(0, |length, byte| length << 8 | usize::from(*byte)),
                    rest,
                )
            }
            _ => return None,
        };
        let (contents, rest) = rest.split_at_checked(length)?;
        Some((tag, contents, rest))
    }

    /// Certificate, its to-be-signed part: version, serial, algorithm, issuer, validity, subject.
    pub fn subject(certificate: &[u8]) -> Option<&[u8]> {
        let (_, certificate, _) = element(certificate)?;
        let (_, mut rest, _) = element(certificate)?;
        if rest.first() == Some(&0xa0) {
            rest = element(rest)?.2;
        }
        for _ in 0..4 {
            rest = element(rest)?.2;
        }
        Some(element(rest)?.1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_subjects_common_name_is_found() {
        let mut parameters = rcgen::CertificateParams::default();
        parameters.distinguished_name = rcgen::DistinguishedName::new();
        parameters
            .distinguished_name
            .push(rcgen::DnType::OrganizationName, "Shop");
        parameters
            .distinguished_name
            .push(rcgen::DnType::CommonName, "worker-1");
        let key = rcgen::KeyPair::generate().unwrap();
        let certificate = parameters.self_signed(&key).unwrap();
        assert_eq!(common_name(certificate.der()), Some("worker-1".to_owned()));
    }

    #[test]
    fn bytes_that_are_no_certificate_have_no_name() {
        for length in 0..64 {
            assert_eq!(common_name(&vec![0x30; length]), None);
            assert_eq!(common_name(&vec![0xff; length]), None);
        }
    }
}
