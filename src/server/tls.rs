//! The TLS of listeners, read from files: the certificate, and the authorities of clients. TLS 1.2
//! and later; HTTP/1.1 is the only protocol that is offered.

use mwaa_model::FileError;
use mwaa_runtime::{FileStates, open_regular_file};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::{ParsedCertificate, WebPkiClientVerifier};
use rustls::{CertificateError, RootCertStore, ServerConfig};
use std::fmt;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio_rustls::TlsAcceptor;

/// The files of TLS listeners, all PEM.
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

/// The TLS settings of TCP listeners, which clones share: what was in the files when they were read.
#[derive(Clone)]
pub struct TlsConfig(Arc<Loaded>);

/// The content of the files.
struct Loaded {
    files: TlsFiles,
    /// The state of the files right before they were read.
    states: FileStates,
    config: Arc<ServerConfig>,
    chain: Vec<CertificateDer<'static>>,
    client_ca: Vec<CertificateDer<'static>>,
}

impl fmt::Debug for TlsConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("TlsConfig").field(&self.0.files).finish()
    }
}

impl TlsFiles {
    /// Returns the paths of the files.
    pub fn paths(&self) -> impl Iterator<Item = &Path> {
        let own = [&self.certificate, &self.key].into_iter();
        own.chain(&self.client_ca).map(PathBuf::as_path)
    }
}

impl TlsConfig {
    /// Reads the files. Fails if one cannot be read or does not fit the others; the error names
    /// the file that is to blame.
    pub fn load(files: TlsFiles) -> Result<Self, FileError> {
        // before they are read: a later change then shows
        let states = FileStates::of(files.paths());
        Loaded::read(files, states).map(Arc::new).map(Self)
    }

    /// Reads the files again if they are others, or have changed. Sessions of TLS begin anew then: an
    /// old one may be of a client that is trusted no longer.
    pub fn load_again(&self, files: TlsFiles) -> Result<Self, FileError> {
        if self.0.states == FileStates::of(files.paths()) {
            return Ok(self.clone());
        }
        Self::load(files)
    }

    /// Returns true if both are the same settings, read once.
    pub fn is_clone_of(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// Returns true if both demand certificates of clients from the same authorities, or none.
    pub(super) fn trusts_same_clients(&self, other: &Self) -> bool {
        self.0.client_ca == other.0.client_ca
    }

    /// Returns the status of the first certificate of the file that is not valid at this time,
    /// since 1970; `Valid` if all are.
    pub fn status_at(&self, now: Duration) -> CertificateStatus {
        let now = UnixTime::since_unix_epoch(now);
        let chain = self.0.chain.iter();
        chain
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
        let parsed = self.0.chain.first().map(ParsedCertificate::try_from);
        parsed.is_some_and(|parsed| {
            parsed.is_ok_and(|leaf| rustls::client::verify_server_name(&leaf, &name).is_ok())
        })
    }

    /// Returns `true` if the certificate holds this text, as in the name of its issuer.
    pub fn contains(&self, text: &str) -> bool {
        let first = self.0.chain.first();
        first.is_some_and(|leaf| {
            let mut windows = leaf.windows(text.len());
            windows.any(|window| window == text.as_bytes())
        })
    }

    /// Returns the settings for a new connection.
    pub(super) fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::from(Arc::clone(&self.0.config))
    }
}

impl Loaded {
    /// Reads the files.
    ///
    /// # Panics
    /// Never: the crypto provider has both versions of TLS.
    fn read(files: TlsFiles, states: FileStates) -> Result<Self, FileError> {
        let chain = read_certificates(&files.certificate)?;
        let key = PrivateKeyDer::from_pem_reader(open(&files.key)?)
            .map_err(|error| FileError::new(&files.key, error))?;

        // named here: a process-wide default provider would be one more state to install
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .expect("aws-lc-rs provides TLS 1.2 and 1.3");
        let mut client_ca = Vec::new();
        let builder = match &files.client_ca {
            None => builder.with_no_client_auth(),
            Some(file) => {
                let mut roots = RootCertStore::empty();
                client_ca = read_certificates(file)?;
                for certificate in &client_ca {
                    roots
                        .add(certificate.clone())
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
            .map_err(|error| explain_rustls(&files, error))?;
        // a client that offers only HTTP/2 fails here, with an alert that says so
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self {
            config: Arc::new(config),
            files,
            states,
            chain,
            client_ca,
        })
    }
}

fn open(file: &Path) -> Result<File, FileError> {
    open_regular_file(file).map_err(|error| FileError::new(file, error))
}

fn read_certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, FileError> {
    let certificates: Vec<_> = CertificateDer::pem_reader_iter(open(file)?)
        .collect::<Result<_, _>>()
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
