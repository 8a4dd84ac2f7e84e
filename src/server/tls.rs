//! The TLS of a listener, read from files: its certificate, and the authorities of its clients.
//! TLS 1.2 and later; HTTP/1.1 is the only protocol that is offered.

use mwaa_model::FileError;
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

/// Finds the file that is to blame: rustls also reads the certificate when it compares it with the
/// key.
fn explain_rustls(files: &TlsFiles, error: rustls::Error) -> FileError {
    match error {
        rustls::Error::InconsistentKeys(_) => {
            let certificate = files.certificate.display();
            let reason = format!(
                "it does not match the first certificate in {certificate} (the server's own \
                 certificate must come first)"
            );
            FileError::new(&files.key, reason)
        }
        rustls::Error::InvalidCertificate(_) => FileError::new(&files.certificate, error),
        _ => FileError::new(&files.key, error),
    }
}

/// The state of a certificate at some time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CertificateStatus {
    /// It is valid.
    Valid,
    /// Its last day is over.
    Expired,
    /// Its first day is still to come.
    NotYet,
}

/// The TLS settings of TCP listeners; clones share one store of resumable sessions.
#[derive(Clone)]
pub struct TlsConfig {
    config: Arc<ServerConfig>,
    chain: Vec<CertificateDer<'static>>,
}

impl fmt::Debug for TlsConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsConfig")
            .field("chain", &self.chain.len())
            .finish_non_exhaustive()
    }
}

impl TlsConfig {
    /// Reads the files. Fails if one cannot be read or does not fit the others; the error names
    /// the file that is to blame.
    ///
    /// # Panics
    /// Never: the crypto provider has both versions of TLS.
    pub fn load(files: &TlsFiles) -> Result<Self, FileError> {
        let chain = read_certificates(&files.certificate)?;
        let key = PrivateKeyDer::from_pem_file(&files.key)
            .map_err(|error| FileError::new(&files.key, error))?;

        // named here: a process-wide default provider would be one more state to install
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .expect("aws-lc-rs provides TLS 1.2 and 1.3");
        let builder = match &files.client_ca {
            None => builder.with_no_client_auth(),
            Some(file) => {
                let mut roots = RootCertStore::empty();
                for certificate in read_certificates(file)? {
                    roots
                        .add(certificate)
                        .map_err(|error| FileError::new(file, error))?;
                }

                let verifier =
                    WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
                        .build()
                        .map_err(|error| FileError::new(file, error))?;
                builder.with_client_cert_verifier(verifier)
            }
        };

        let mut config = builder
            .with_single_cert(chain.clone(), key)
            .map_err(|error| explain_rustls(files, error))?;
        // a client that offers only HTTP/2 fails here, with an alert that says so
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self {
            config: Arc::new(config),
            chain,
        })
    }

    /// Returns the status of the first certificate of the file that is not valid at this time,
    /// since 1970; `Valid` if all are.
    pub fn status_at(&self, now: Duration) -> CertificateStatus {
        let now = UnixTime::since_unix_epoch(now);
        self.chain
            .iter()
            .map(|certificate| check_dates(certificate, now))
            .find(|status| *status != CertificateStatus::Valid)
            .unwrap_or(CertificateStatus::Valid)
    }

    /// Returns `true` if the certificate is for this host: a DNS name, or an IP address without
    /// brackets (RFC 9525).
    pub fn is_valid_for(&self, host: &str) -> bool {
        let Ok(name) = ServerName::try_from(host) else {
            return false;
        };

        // the server's own certificate is the first; the others only sign
        let parsed = self.chain.first().map(ParsedCertificate::try_from);
        parsed.is_some_and(|parsed| {
            parsed.is_ok_and(|leaf| rustls::client::verify_server_name(&leaf, &name).is_ok())
        })
    }

    pub(super) fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::from(Arc::clone(&self.config))
    }
}

fn read_certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, FileError> {
    let certificates: Vec<_> = CertificateDer::pem_file_iter(file)
        .and_then(Iterator::collect)
        .map_err(|error| FileError::new(file, error))?;
    if certificates.is_empty() {
        return Err(FileError::new(file, "it contains no certificate"));
    }
    Ok(certificates)
}

/// Checks the dates of a certificate. rustls has no call for that alone, so this asks the verifier
/// for a path to no root at all: it looks at the dates before it looks for issuers.
fn check_dates(certificate: &CertificateDer<'_>, now: UnixTime) -> CertificateStatus {
    let Ok(parsed) = ParsedCertificate::try_from(certificate) else {
        return CertificateStatus::Valid;
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
        )) => CertificateStatus::Expired,
        Err(rustls::Error::InvalidCertificate(
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. },
        )) => CertificateStatus::NotYet,
        // the missing root is the expected error
        Ok(()) | Err(_) => CertificateStatus::Valid,
    }
}
