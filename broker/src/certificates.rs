//! The TLS listeners' certificates, from the files that the configuration names.

use conf::broker::{ClientAuth, Tls};
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use rustls::{RootCertStore, ServerConfig};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock};

/// What the TLS listeners serve with. Copies share it, and another configuration can take its place meanwhile.
#[derive(Clone)]
pub struct Serving(Arc<RwLock<Arc<ServerConfig>>>);

impl From<Arc<ServerConfig>> for Serving {
    fn from(config: Arc<ServerConfig>) -> Serving {
        Serving(Arc::new(RwLock::new(config)))
    }
}

impl Serving {
    pub fn current(&self) -> Arc<ServerConfig> {
        self.0
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn replace(&self, config: Arc<ServerConfig>) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = config;
    }
}

/// The files that the certificates come from, and as what they were read last.
pub struct Files {
    names: Tls,
    serving: Serving,
    seen: Vec<Stamp>,
}

/// What tells one state of a file from another: device, inode, length, time of change in seconds and nanoseconds.
type Stamp = Option<(u64, u64, u64, i64, i64)>;

impl Files {
    /// Reads them for the first time; the error names the file.
    pub fn open(names: &Tls) -> io::Result<Files> {
        let seen = stamps(names);
        Ok(Files {
            names: names.clone(),
            serving: server_config(names)?.into(),
            seen,
        })
    }

    pub fn serving(&self) -> Serving {
        self.serving.clone()
    }

    /// Reads them again; connections from now on use them. When they are unsound, those read before stay in use.
    pub fn renew(&mut self) -> io::Result<()> {
        self.seen = stamps(&self.names);
        self.serving.replace(server_config(&self.names)?);
        Ok(())
    }

    /// Whether one of them is another than when they were read last.
    pub fn changed(&self) -> bool {
        stamps(&self.names) != self.seen
    }
}

fn stamps(names: &Tls) -> Vec<Stamp> {
    let files = [
        Some(&names.certificate),
        Some(&names.key),
        names.client_ca.as_ref(),
    ];
    let stamp = |path: &std::path::PathBuf| {
        let found = std::fs::metadata(path).ok()?;
        Some((
            found.dev(),
            found.ino(),
            found.len(),
            found.ctime(),
            found.ctime_nsec(),
        ))
    };
    files.into_iter().flatten().map(stamp).collect()
}

/// What rustls needs to serve; the error names the file.
fn server_config(files: &Tls) -> io::Result<Arc<ServerConfig>> {
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
    let key = PrivateKeyDer::from_pem_file(&files.key).map_err(|error| match error {
        pem::Error::NoItemsFound => named(&files.key, "there is no private key in it"),
        error => named(&files.key, error),
    })?;
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
        files.key = files.certificate.clone();
        let error = server_config(&files)
            .expect_err("a certificate is no key")
            .to_string();
        assert!(error.contains("c.pem: there is no private key"), "{error}");
    }

    #[test]
    fn changed_files_take_the_place_of_those_before_unless_they_are_unsound() {
        let dir = tempfile::tempdir().expect("a directory");
        let issue = || {
            let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]);
            let made = made.expect("signs");
            (made.cert.pem(), made.signing_key.serialize_pem())
        };
        let names = Tls {
            certificate: dir.path().join("c.pem"),
            key: dir.path().join("k.pem"),
            client_ca: None,
            client_auth: ClientAuth::None,
            login_from: LoginFrom::CommonName,
            only_1_3: false,
        };
        let write = |(certificate, key): &(String, String)| {
            std::fs::write(&names.certificate, certificate).expect("writes");
            std::fs::write(&names.key, key).expect("writes");
        };
        write(&issue());
        let mut files = Files::open(&names).expect("is sound");
        let serving = files.serving();
        let first = serving.current();
        assert!(!files.changed());
        write(&issue());
        assert!(files.changed());
        files.renew().expect("is sound");
        assert!(!files.changed());
        let second = serving.current();
        assert!(!Arc::ptr_eq(&first, &second));
        write(&(issue().0, String::new()));
        assert!(files.changed());
        files.renew().expect_err("there is no key");
        assert!(Arc::ptr_eq(&second, &serving.current()));
        assert!(!files.changed(), "it is said once");
    }
}
