//! TLS to the outside: the system's roots, the handshake, and its errors in words for people.
//! TLS 1.2 and later, always verified.

use mwaa_runtime::Timer;
use rustls::pki_types::ServerName;
use rustls::{CertificateError, CipherSuite, ClientConfig, RootCertStore};
use std::io;
use std::sync::{Arc, LazyLock};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// Returns the system's roots, or Mozilla's if there are none; they are read once.
pub fn system_roots() -> &'static RootCertStore {
    &SYSTEM_ROOTS
}

static SYSTEM_ROOTS: LazyLock<RootCertStore> = LazyLock::new(|| {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    // a container without the package of its distribution has none
    if roots.is_empty() {
        roots.add_parsable_certificates(
            webpki_root_certs::TLS_SERVER_ROOT_CERTS.iter().cloned(),
        );
    }
    roots
});

/// Returns TLS settings that trust these roots and offer HTTP/1.1. They prefer AES with keys of 128
/// bits, as Chrome, Firefox and the load balancers of AWS do: it is secure, and faster than with 256
/// bits. A server may choose otherwise.
///
/// # Panics
/// Never: the crypto provider has both versions of TLS.
pub fn client_config(roots: RootCertStore) -> ClientConfig {
    let mut provider = rustls::crypto::aws_lc_rs::default_provider();
    // the sort is stable: the rest remains in rustls's order
    provider
        .cipher_suites
        .sort_by_key(|suite| !has_short_key(suite.suite()));
    let versions = ClientConfig::builder_with_provider(Arc::new(provider))
        .with_safe_default_protocol_versions()
        .expect("aws-lc-rs provides TLS 1.2 and 1.3");

    // hyper is built without HTTP/2
    let mut config = versions.with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    config
}

fn has_short_key(suite: CipherSuite) -> bool {
    matches!(
        suite,
        CipherSuite::TLS13_AES_128_GCM_SHA256
            | CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256
            | CipherSuite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256
    )
}

/// Returns the TLS settings for HTTPS proxies: the system's roots.
pub(super) fn proxy_config() -> Arc<ClientConfig> {
    static CONFIG: LazyLock<Arc<ClientConfig>> =
        LazyLock::new(|| Arc::new(client_config(SYSTEM_ROOTS.clone())));
    Arc::clone(&CONFIG)
}

/// Begins TLS on a connection and checks that the other end is `host`. Fails if it is not, or if
/// that takes longer than `limit`.
pub async fn connect<S>(
    host: &str,
    stream: S,
    config: Arc<ClientConfig>,
    limit: Duration,
    timer: &impl Timer,
) -> Result<TlsStream<S>, HandshakeError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let name = ServerName::try_from(host.to_owned())
        .map_err(|_invalid| HandshakeError::InvalidName)?;
    let connector = TlsConnector::from(config);

    let stream = timer
        .within(limit, connector.connect(name, stream))
        .await
        .map_err(|_elapsed| HandshakeError::TimedOut)??;

    let version = stream.get_ref().1.protocol_version();
    tracing::debug!(host, ?version, "TLS handshake done");
    Ok(stream)
}

/// A handshake that gave no trusted connection.
#[derive(Debug, thiserror::Error)]
pub enum HandshakeError {
    /// The host cannot be in any certificate.
    #[error("its name is not a DNS name")]
    InvalidName,
    /// It was not done within the limit.
    #[error("the handshake took too long")]
    TimedOut,
    /// The connection broke.
    #[error(transparent)]
    Io(io::Error),
    /// The other end, or its certificate, is not acceptable; or it does not accept us.
    #[error("{}", tls_text(.0))]
    Tls(rustls::Error),
}

impl HandshakeError {
    /// Returns `true` if the connection broke or was silent, so that the route may be to blame.
    pub fn is_connection_error(&self) -> bool {
        matches!(self, Self::Io(_) | Self::TimedOut)
    }

    /// Returns the fault of the other end's certificate, if that is the reason.
    pub fn certificate_fault(&self) -> Option<CertificateFault> {
        let Self::Tls(rustls::Error::InvalidCertificate(error)) = self else {
            return None;
        };
        match error {
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
                Some(CertificateFault::Expired)
            }
            CertificateError::NotValidForName
            | CertificateError::NotValidForNameContext { .. } => {
                Some(CertificateFault::OtherName)
            }
            CertificateError::UnknownIssuer => Some(CertificateFault::UnknownIssuer),
            _ => None,
        }
    }
}

/// The faults of a certificate that a person can do something about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CertificateFault {
    /// It has expired.
    Expired,
    /// It is for another name.
    OtherName,
    /// Its authority is not trusted.
    UnknownIssuer,
}

impl From<io::Error> for HandshakeError {
    /// Takes the error of TLS out of the system's error in which it comes.
    fn from(error: io::Error) -> Self {
        let tls = error.get_ref().and_then(|inner| inner.downcast_ref());
        match tls {
            Some(tls) => Self::Tls(rustls::Error::clone(tls)),
            None => Self::Io(error),
        }
    }
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "foreign enums that may grow; their own text is used"
)]
fn tls_text(error: &rustls::Error) -> String {
    let rustls::Error::InvalidCertificate(certificate_error) = error else {
        return error.to_string();
    };

    match certificate_error {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            "its certificate has expired"
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "its certificate is not valid yet (is this machine's clock right?)"
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            "its certificate is for another name"
        }
        CertificateError::UnknownIssuer => {
            "its certificate is from an unknown authority (set ca_file if it is your own \
             authority)"
        }
        CertificateError::BadSignature => {
            "its certificate is signed by another authority of the same name (is ca_file up to date?)"
        }

        other => return other.to_string(),
    }
    .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_keys_are_preferred_and_no_suite_is_lost() {
        let config = client_config(RootCertStore::empty());
        let suites = &config.crypto_provider().cipher_suites;
        let all = rustls::crypto::aws_lc_rs::default_provider().cipher_suites;
        assert_eq!(suites.len(), all.len());
        for is_13 in [true, false] {
            let mut of_version = suites
                .iter()
                .filter(|suite| suite.tls13().is_some() == is_13);
            let first = of_version.next().unwrap().suite();
            assert!(has_short_key(first), "{first:?}");
        }
    }
}
