//! The TLS of listeners, read from files: the certificate, and the authorities of clients. TLS 1.2
//! and later; HTTP/1.1 is the only protocol that is offered.
//!
//! Files that have changed are read again when a TLS connection comes, so that a renewed certificate
//! needs no restart, and an idle gateway does nothing.

use arc_swap::{ArcSwap, ArcSwapOption};
use mwaa_model::{FileError, error_chain};
use mwaa_runtime::boot_clock;
use rustix::fs::OFlags;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::{ParsedCertificate, WebPkiClientVerifier};
use rustls::{CertificateError, RootCertStore, ServerConfig};
use std::fmt;
use std::fs::{File, OpenOptions};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
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

/// The TLS settings of TCP listeners, which clones share.
#[derive(Clone)]
pub struct TlsConfig(Arc<SharedConfig>);

struct SharedConfig {
    files: TlsFiles,
    /// The settings in use.
    loaded: ArcSwap<Loaded>,
    /// The state of the files when these settings were read.
    used: ArcSwap<FileStates>,
    /// Why the files cannot be used now, as it was logged.
    failure: ArcSwapOption<String>,
    /// The time of the last look at the files, in milliseconds of the boot clock.
    checked: AtomicU64,
}

/// The content of the files.
struct Loaded {
    config: Arc<ServerConfig>,
    chain: Vec<CertificateDer<'static>>,
}

/// Device, number, size and times of each file. All are `None` for a file that is not there.
type FileStates = Vec<Option<[i128; 5]>>;

impl fmt::Debug for TlsConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("TlsConfig").field(&self.0.files).finish()
    }
}

impl TlsFiles {
    fn states(&self) -> FileStates {
        let nanos =
            |seconds: i64, rest: i64| i128::from(seconds) * 1_000_000_000 + i128::from(rest);

        let state = |path: &PathBuf| {
            // of a link's target: orchestrators replace the link
            let file = std::fs::metadata(path).ok()?;
            Some([
                file.dev().into(),
                file.ino().into(),
                file.len().into(),
                nanos(file.mtime(), file.mtime_nsec()),
                nanos(file.ctime(), file.ctime_nsec()),
            ])
        };
        let files = [
            Some(&self.certificate),
            Some(&self.key),
            self.client_ca.as_ref(),
        ];
        files.into_iter().flatten().map(state).collect()
    }
}

impl TlsConfig {
    /// Reads the files. Fails if one cannot be read or does not fit the others; the error names
    /// the file that is to blame.
    pub fn load(files: TlsFiles) -> Result<Self, FileError> {
        // before they are read: a later change then shows
        let used = files.states();
        let loaded = Loaded::read(&files)?;
        Ok(Self(Arc::new(SharedConfig {
            files,
            loaded: ArcSwap::from_pointee(loaded),
            used: ArcSwap::from_pointee(used),
            failure: ArcSwapOption::empty(),
            checked: AtomicU64::new(now_millis()),
        })))
    }

    /// Returns the status of the first certificate of the file that is not valid at this time,
    /// since 1970; `Valid` if all are.
    pub fn status_at(&self, now: Duration) -> CertificateStatus {
        let now = UnixTime::since_unix_epoch(now);
        let loaded = self.0.loaded.load();
        let chain = loaded.chain.iter();
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
        let loaded = self.0.loaded.load();
        let parsed = loaded.chain.first().map(ParsedCertificate::try_from);
        parsed.is_some_and(|parsed| {
            parsed.is_ok_and(|leaf| rustls::client::verify_server_name(&leaf, &name).is_ok())
        })
    }

    /// Returns `true` if the certificate holds this text, as in the name of its issuer.
    pub fn contains(&self, text: &str) -> bool {
        let loaded = self.0.loaded.load();
        let first = loaded.chain.first();
        first.is_some_and(|leaf| {
            let mut windows = leaf.windows(text.len());
            windows.any(|window| window == text.as_bytes())
        })
    }

    /// Returns the settings for a new connection, from the files as they were at most
    /// [`CHECK_INTERVAL`] ago. If these cannot be used, the last good ones remain.
    pub(super) fn acceptor(&self) -> TlsAcceptor {
        let shared = &self.0;
        let now = now_millis();
        let checked = shared.checked.load(Ordering::Relaxed);
        let is_due = now.saturating_sub(checked) >= CHECK_INTERVAL;
        // one thread looks, and the others take what there is
        if is_due
            && shared
                .checked
                .compare_exchange(checked, now, Ordering::Relaxed, Ordering::Relaxed)
                .is_ok()
        {
            shared.reload_if_changed(Loaded::read);
        }
        TlsAcceptor::from(Arc::clone(&shared.loaded.load().config))
    }
}

impl SharedConfig {
    /// Reads the files again if one has changed. If that fails, the next look reads them once more,
    /// because the error may be a passing one. Three small files are read faster than another thread
    /// could be asked to.
    fn reload_if_changed(&self, read: impl FnOnce(&TlsFiles) -> Result<Loaded, FileError>) {
        let states = self.files.states();
        if **self.used.load() == states {
            self.failure.store(None);
            return;
        }

        let certificate = self.files.certificate.display();
        match read(&self.files) {
            Ok(loaded) => {
                // its sessions start anew: an old one may be of a client that is trusted no longer
                self.loaded.store(Arc::new(loaded));
                self.used.store(Arc::new(states));
                self.failure.store(None);
                tracing::info!(%certificate, "the listener's certificate was loaded again");
            }
            Err(error) => {
                let error = error_chain(&error);
                let previous = self.failure.swap(Some(Arc::new(error.clone())));
                // once, and not at each look
                if previous.is_none_or(|previous| *previous != error) {
                    tracing::warn!(%certificate, %error, "the listener's certificate has changed and cannot be used; the previous one remains in use");
                }
            }
        }
    }
}

fn now_millis() -> u64 {
    u64::try_from(boot_clock().as_millis()).unwrap_or(u64::MAX)
}

impl Loaded {
    /// Reads the files.
    ///
    /// # Panics
    /// Never: the crypto provider has both versions of TLS.
    fn read(files: &TlsFiles) -> Result<Self, FileError> {
        let chain = read_certificates(&files.certificate)?;
        let key = PrivateKeyDer::from_pem_reader(open(&files.key)?)
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
}

/// Opens a regular file, or a link to one. Fails for others: a pipe would block the thread.
fn open(file: &Path) -> Result<File, FileError> {
    let failed = |error| FileError::new(file, error);
    if !std::fs::metadata(file).map_err(failed)?.is_file() {
        return Err(FileError::new(file, "it is not a regular file"));
    }

    // also a pipe that has just come in its place
    let flags = OFlags::NONBLOCK.bits().cast_signed();
    let mut options = OpenOptions::new();
    options.read(true).custom_flags(flags);
    options.open(file).map_err(failed)
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

/// The files are looked at no more often than this, in milliseconds.
const CHECK_INTERVAL: u64 = 1000;

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Error, ErrorKind};

    /// Writes a new certificate with its key, and returns it.
    fn renew(files: &TlsFiles) -> CertificateDer<'static> {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("pair");
        std::fs::write(&files.certificate, made.cert.pem()).expect("file");
        std::fs::write(&files.key, made.signing_key.serialize_pem()).expect("file");
        made.cert.der().clone()
    }

    /// The process may be out of descriptors, or a network file system may not answer.
    #[test]
    fn files_that_cannot_be_read_for_a_moment_are_read_at_the_next_look() {
        let folder = tempfile::tempdir().expect("folder");
        let files = TlsFiles {
            certificate: folder.path().join("c.pem"),
            key: folder.path().join("c.key"),
            client_ca: None,
        };
        let old = renew(&files);
        let TlsConfig(shared) = TlsConfig::load(files.clone()).expect("usable");
        let served = || shared.loaded.load().chain.clone();
        let new = renew(&files);

        for error in [ErrorKind::StaleNetworkFileHandle, ErrorKind::TimedOut] {
            let fail = |files: &TlsFiles| Err(FileError::new(&files.key, Error::from(error)));
            shared.reload_if_changed(fail);
            let failure = shared.failure.load_full().expect("a failure");
            assert!(
                failure.contains(&Error::from(error).to_string()),
                "{failure}"
            );
            assert_eq!(served(), std::slice::from_ref(&old));
        }
        shared.reload_if_changed(Loaded::read);
        assert_eq!(served(), [new]);
        assert_eq!(shared.failure.load_full(), None);
        shared.reload_if_changed(|_| panic!("nothing has changed"));
    }
}
