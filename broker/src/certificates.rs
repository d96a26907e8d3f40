//! The TLS listeners' certificates, from the files that the configuration names.

use conf::broker::{ClientAuth, Tls};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use rustls::{RootCertStore, ServerConfig};
use std::io;
use std::path::Path;
use std::sync::Arc;

/// What rustls needs to serve; the error names the file.
pub fn server_config(files: &Tls) -> io::Result<Arc<ServerConfig>> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let versions: &[&rustls::SupportedProtocolVersion] = match files.only_1_3 {
        true => &[&rustls::version::TLS13],
        false => rustls::ALL_VERSIONS,
    };
    let builder = ServerConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(versions)
        .map_err(io::Error::other)?;
    let builder = match (&files.client_ca, files.client_auth) {
        (_, ClientAuth::None) | (None, _) => builder.with_no_client_auth(),
        (Some(path), auth) => builder.with_client_cert_verifier(verifier(path, auth, provider)?),
    };
    let chain = certificates(&files.certificate)?;
    let key = PrivateKeyDer::from_pem_file(&files.key).map_err(|e| named(&files.key, e))?;
    let config = builder
        .with_single_cert(chain, key)
        .map_err(|e| named(&files.certificate, e))?;
    Ok(Arc::new(config))
}

fn named(path: &Path, error: impl std::fmt::Display) -> io::Error {
    io::Error::other(format!("{}: {error}", path.display()))
}

fn certificates(path: &Path) -> io::Result<Vec<CertificateDer<'static>>> {
    let read = CertificateDer::pem_file_iter(path).map_err(|e| named(path, e))?;
    let all: Vec<_> = read.collect::<Result<_, _>>().map_err(|e| named(path, e))?;
    match all.is_empty() {
        true => Err(named(path, "there is no certificate in it")),
        false => Ok(all),
    }
}

fn verifier(
    path: &Path,
    auth: ClientAuth,
    provider: Arc<rustls::crypto::CryptoProvider>,
) -> io::Result<Arc<dyn ClientCertVerifier>> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(path)? {
        roots.add(certificate).map_err(|e| named(path, e))?;
    }
    let builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
    let builder = match auth {
        ClientAuth::Required => builder,
        ClientAuth::Optional | ClientAuth::None => builder.allow_unauthenticated(),
    };
    builder.build().map_err(|e| named(path, e))
}

#[cfg(test)]
mod tests {
    use super::*;
    use conf::broker::LoginFrom;

    #[test]
    fn a_certificate_and_its_key_are_read_and_faults_name_the_file() {
        let dir = tempfile::tempdir().expect("a directory");
        let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).expect("signs");
        let (certificate, key) = (dir.path().join("c.pem"), dir.path().join("k.pem"));
        std::fs::write(&certificate, made.cert.pem()).expect("writes");
        std::fs::write(&key, made.signing_key.serialize_pem()).expect("writes");
        let mut files = Tls {
            certificate: certificate.clone(),
            key,
            client_ca: Some(certificate),
            client_auth: ClientAuth::Required,
            login_from: LoginFrom::CommonName,
            only_1_3: true,
        };
        server_config(&files).expect("is sound");
        files.key = dir.path().join("none.pem");
        let error = server_config(&files)
            .expect_err("there is no key")
            .to_string();
        assert!(error.contains("none.pem"), "{error}");
    }
}
