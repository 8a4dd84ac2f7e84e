//! What a TLS listener shows and asks for: its certificate, and the clients' authorities.
//! TLS 1.2 and later; HTTP/1.1 is the only protocol that is offered.

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::{ParsedCertificate, WebPkiClientVerifier};
use rustls::{CertificateError, RootCertStore, ServerConfig};
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio_rustls::TlsAcceptor;

/// The files of a TLS listener, all PEM.
#[derive(Debug, Clone)]
pub struct TlsFiles {
    /// The server's certificate, followed by those that signed it.
    pub certificate: PathBuf,
    /// Its private key.
    pub key: PathBuf,
    /// The authorities of the certificates that clients must show, if they must.
    pub client_ca: Option<PathBuf>,
}

/// A file of the TLS listener that can't be used.
#[derive(Debug)]
#[non_exhaustive]
pub struct TlsError {
    file: PathBuf,
    why: String,
}

impl fmt::Display for TlsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot use {}: {}", self.file.display(), self.why)
    }
}

impl std::error::Error for TlsError {}

/// Whether a certificate's time has come and not gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Validity {
    /// It is valid now.
    Valid,
    /// Its last day is over.
    Expired,
    /// Its first day is still to come.
    NotYet,
}

/// What TCP listeners need for TLS; clones share one store of resumable sessions.
#[derive(Clone)]
pub struct Tls {
    config: Arc<ServerConfig>,
    chain: Vec<CertificateDer<'static>>,
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls")
            .field("chain", &self.chain.len())
            .finish_non_exhaustive()
    }
}

impl Tls {
    /// Reads the files. An error names the file that is to blame.
    pub fn load(files: &TlsFiles) -> Result<Self, TlsError> {
        let chain = certificates(&files.certificate)?;
        let key = PrivateKeyDer::from_pem_file(&files.key)
            .map_err(|error| bad(&files.key, error.to_string()))?;
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .expect("aws-lc-rs provides TLS 1.2 and 1.3");
        let builder = match &files.client_ca {
            None => builder.with_no_client_auth(),
            Some(file) => {
                let mut roots = RootCertStore::empty();
                for certificate in certificates(file)? {
                    roots
                        .add(certificate)
                        .map_err(|error| bad(file, error.to_string()))?;
                }
                let verifier =
                    WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
                        .build()
                        .map_err(|error| bad(file, error.to_string()))?;
                builder.with_client_cert_verifier(verifier)
            }
        };
        let mut config = builder
            .with_single_cert(chain.clone(), key)
            .map_err(|error| explain(files, &error))?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self {
            config: Arc::new(config),
            chain,
        })
    }

    /// Whether all certificates of the file are valid at this time, since 1970; else what is
    /// wrong with the first that is not.
    pub fn validity(&self, now: Duration) -> Validity {
        let now = UnixTime::since_unix_epoch(now);
        let judged = self
            .chain
            .iter()
            .map(|certificate| validity(certificate, now));
        judged
            .into_iter()
            .find(|validity| *validity != Validity::Valid)
            .unwrap_or(Validity::Valid)
    }

    /// Whether the certificate is for this host: a DNS name, or an IP address without brackets
    /// (RFC 9525).
    pub fn covers(&self, host: &str) -> bool {
        let Ok(name) = ServerName::try_from(host) else {
            return false;
        };
        let parsed = self.chain.first().map(ParsedCertificate::try_from);
        parsed.is_some_and(|parsed| {
            parsed.is_ok_and(|leaf| rustls::client::verify_server_name(&leaf, &name).is_ok())
        })
    }

    pub(super) fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::from(Arc::clone(&self.config))
    }
}

fn bad(file: &Path, why: impl Into<String>) -> TlsError {
    TlsError {
        file: file.to_owned(),
        why: why.into(),
    }
}

fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let found: Vec<_> = CertificateDer::pem_file_iter(file)
        .and_then(Iterator::collect)
        .map_err(|error| bad(file, error.to_string()))?;
    if found.is_empty() {
        return Err(bad(file, "it holds no certificate"));
    }
    Ok(found)
}

/// rustls reads the certificate too when it compares it with the key.
fn explain(files: &TlsFiles, error: &rustls::Error) -> TlsError {
    match error {
        rustls::Error::InconsistentKeys(_) => bad(
            &files.key,
            format!(
                "it is not the key of the first certificate in {} (the server's own comes first)",
                files.certificate.display()
            ),
        ),
        rustls::Error::InvalidCertificate(_) => bad(&files.certificate, error.to_string()),
        _ => bad(&files.key, error.to_string()),
    }
}

/// Asks the verifier for a path to nowhere: it looks at the dates before it looks for issuers.
fn validity(certificate: &CertificateDer<'_>, now: UnixTime) -> Validity {
    let Ok(parsed) = ParsedCertificate::try_from(certificate) else {
        return Validity::Valid;
    };
    let algorithms = rustls::crypto::aws_lc_rs::default_provider();
    let verified = rustls::client::verify_server_cert_signed_by_trust_anchor(
        &parsed,
        &RootCertStore::empty(),
        &[],
        now,
        algorithms.signature_verification_algorithms.all,
    );
    match verified {
        Err(rustls::Error::InvalidCertificate(
            CertificateError::Expired | CertificateError::ExpiredContext { .. },
        )) => Validity::Expired,
        Err(rustls::Error::InvalidCertificate(
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. },
        )) => Validity::NotYet,
        Ok(()) | Err(_) => Validity::Valid,
    }
}
