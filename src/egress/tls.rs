//! What every TLS connection to the outside shares: the system's roots, the handshake, and words
//! for people. TLS 1.2 and later, always verified.

use crate::runtime::Timer;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use std::fmt;
use std::io;
use std::sync::{Arc, LazyLock};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// The system's roots, Mozilla's where there are none; read once.
pub fn system_roots() -> &'static RootCertStore {
    &SYSTEM_ROOTS
}

static SYSTEM_ROOTS: LazyLock<RootCertStore> = LazyLock::new(|| {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if roots.is_empty() {
        roots.add_parsable_certificates(
            webpki_root_certs::TLS_SERVER_ROOT_CERTS.iter().cloned(),
        );
    }
    roots
});

/// TLS settings that trust these roots and speak HTTP/1.1.
///
/// # Panics
/// Never: the crypto provider has both versions of TLS.
pub fn client_config(roots: RootCertStore) -> ClientConfig {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let versions = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("aws-lc-rs provides TLS 1.2 and 1.3");
    let mut config = versions.with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    config
}

/// TLS settings for HTTPS proxies: the system's roots.
pub(super) fn proxy_config() -> Arc<ClientConfig> {
    static CONFIG: LazyLock<Arc<ClientConfig>> =
        LazyLock::new(|| Arc::new(client_config(SYSTEM_ROOTS.clone())));
    Arc::clone(&CONFIG)
}

/// A handshake that gave no trusted connection.
#[derive(Debug)]
pub struct Failure {
    why: String,
    /// Whether the connection broke or was silent, so that the way there may be to blame.
    pub is_wire: bool,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.why)
    }
}

/// Makes TLS of a connection, for the name `host`.
pub async fn handshake<S>(
    host: &str,
    stream: S,
    config: Arc<ClientConfig>,
    limit: Duration,
    timer: &impl Timer,
) -> Result<TlsStream<S>, Failure>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let failed = |why: &str, is_wire| Failure {
        why: why.to_owned(),
        is_wire,
    };
    let name = ServerName::try_from(host.to_owned())
        .map_err(|_invalid| failed("its name is not a DNS name", false))?;
    let connector = TlsConnector::from(config);
    timer
        .within(limit, connector.connect(name, stream))
        .await
        .map_err(|_elapsed| failed("the handshake took too long", true))?
        .map_err(|error| explain(&error))
}

/// A TLS failure in words for people.
pub(crate) fn explain(error: &io::Error) -> Failure {
    use rustls::CertificateError as Bad;
    let told = |why: String, is_wire| Failure { why, is_wire };
    let Some(tls) = error
        .get_ref()
        .and_then(|inner| inner.downcast_ref::<rustls::Error>())
    else {
        return told(error.to_string(), true);
    };
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "a foreign enum that may grow; its own text stands in"
    )]
    let why = match tls {
        rustls::Error::InvalidCertificate(bad) => match bad {
            Bad::Expired | Bad::ExpiredContext { .. } => {
                "its certificate has expired".to_owned()
            }
            Bad::NotValidYet | Bad::NotValidYetContext { .. } => {
                "its certificate is not valid yet (is this machine's clock right?)".to_owned()
            }
            Bad::NotValidForName | Bad::NotValidForNameContext { .. } => {
                "its certificate is for another name".to_owned()
            }
            Bad::UnknownIssuer => {
                "its certificate is from an unknown authority (set ca_file if it is your own)"
                    .to_owned()
            }
            Bad::BadSignature => {
                "its certificate is signed by another authority of the same name (is ca_file up \
                 to date?)"
                    .to_owned()
            }
            other => other.to_string(),
        },
        other => other.to_string(),
    };
    told(why, false)
}
