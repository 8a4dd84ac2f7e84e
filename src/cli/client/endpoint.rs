//! The address of a gateway, and the certificate and the secret that belong to it.

use mwaa_config::{Address, Config, Transport};
use mwaa_model::Secret;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName, SubjectPublicKeyInfoDer, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, SignatureScheme};
use std::error::Error;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A listener or a management address of a gateway.
#[derive(Debug, Clone)]
pub(crate) struct Endpoint {
    pub(super) address: Address,
    /// The TLS settings, which accept only the configuration's own certificate.
    pub(super) tls: Option<Arc<ClientConfig>>,
    /// The secret that clients must send. It is sent only to a gateway.
    pub(super) secret: Option<Arc<Secret<String>>>,
}

/// A file that the client needs can't be used.
#[derive(Debug, thiserror::Error)]
#[error("cannot use {}", file.display())]
pub(super) struct EndpointError {
    file: PathBuf,
    source: Box<dyn Error + Send + Sync>,
}

impl EndpointError {
    fn new(file: &Path, source: impl Error + Send + Sync + 'static) -> Self {
        Self {
            file: file.to_owned(),
            source: Box::new(source),
        }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.address.fmt(f)
    }
}

impl Endpoint {
    /// Returns the endpoint at an address, without TLS and secret.
    pub(crate) fn new(address: Address) -> Self {
        Self {
            address,
            tls: None,
            secret: None,
        }
    }

    /// Returns the main listener, and the one of the only environment: the same process has both,
    /// but one may be reachable where the other is not. Fails if a file can't be used.
    pub(super) fn from_config(config: &Config) -> Result<Vec<Self>, EndpointError> {
        let listener = &config.listener;
        let own = match config.environments.as_slice() {
            [only] => only.listen.clone(),
            _ => None,
        };
        let addresses = [Some(listener.address.clone()), own].into_iter().flatten();
        let addresses: Vec<_> = addresses.filter_map(to_local_address).collect();
        // then no file is needed, and a missing one does not matter
        if addresses.is_empty() {
            return Ok(Vec::new());
        }

        let secret = listener.secret_file.as_deref().map(read_secret);
        let secret = secret.transpose()?;
        let tls = listener.tls.as_ref();
        let tls = tls.map(|files| pin_certificate(&files.certificate));
        let tls = tls.transpose()?;
        let endpoints = addresses.into_iter().map(|address| Self {
            tls: tls
                .clone()
                .filter(|_| config.transport(&address, None) != Transport::Plain),
            secret: secret.clone(),
            address,
        });
        Ok(endpoints.collect())
    }

    /// Returns the `Host` that names the environment with this local name, or none in particular.
    pub(super) fn host(&self, local: Option<&str>) -> String {
        let name = local.map_or_else(
            || "localhost".to_owned(),
            |local| format!("{local}.localhost"),
        );
        match &self.address {
            Address::Tcp(address) => format!("{name}:{}", address.port()),
            Address::Unix(_) => name,
        }
    }
}

/// Returns the address that reaches a listener of this machine. `None` means that its port is
/// chosen by the system, so that it is not known.
fn to_local_address(address: Address) -> Option<Address> {
    let Address::Tcp(address) = address else {
        return Some(address);
    };
    // not every system connects to the unspecified address
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    (address.port() != 0).then(|| Address::Tcp(SocketAddr::new(ip, address.port())))
}

fn read_secret(file: &Path) -> Result<Arc<Secret<String>>, EndpointError> {
    let content =
        std::fs::read_to_string(file).map_err(|error| EndpointError::new(file, error))?;
    // from here on it is wiped when it is dropped
    let content = Secret::new(content);
    Ok(Arc::new(Secret::concat(&[content.reveal().trim()])))
}

/// Returns TLS settings that accept certificates with the key of the first one of a PEM file, with any
/// names and dates, and no others. A renewed certificate may be in the file before it is in use.
fn pin_certificate(file: &Path) -> Result<Arc<ClientConfig>, EndpointError> {
    let certificate =
        CertificateDer::from_pem_file(file).map_err(|error| EndpointError::new(file, error))?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let parsed = ParsedCertificate::try_from(&certificate)
        .map_err(|error| EndpointError::new(file, error))?;
    let verifier = PinnedVerifier {
        public_key: parsed.subject_public_key_info(),
        provider: Arc::clone(&provider),
    };

    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| EndpointError::new(file, error))?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

/// Accepts the certificates of one key. The handshake's signature proves as usual that the other side
/// has it.
#[derive(Debug)]
struct PinnedVerifier {
    public_key: SubjectPublicKeyInfoDer<'static>,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for PinnedVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let shown = ParsedCertificate::try_from(end_entity)?;
        if shown.subject_public_key_info() == self.public_key {
            Ok(ServerCertVerified::assertion())
        } else {
            Err(CertificateError::ApplicationVerificationFailure.into())
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wildcard_address_is_reached_through_loopback() {
        let near = |text: &str| {
            to_local_address(text.parse().unwrap()).map(|address| address.to_string())
        };
        assert_eq!(near("0.0.0.0:8443").as_deref(), Some("127.0.0.1:8443"));
        assert_eq!(near("[::]:8443").as_deref(), Some("[::1]:8443"));
        assert_eq!(near("192.0.2.1:80").as_deref(), Some("192.0.2.1:80"));
        assert_eq!(near("127.0.0.1:0"), None);
        assert_eq!(near("unix:/run/g").as_deref(), Some("unix:/run/g"));
    }

    #[test]
    fn the_host_names_the_environment() {
        let endpoint = |text: &str| Endpoint::new(text.parse::<Address>().unwrap());
        let tcp = endpoint("127.0.0.1:8080");
        assert_eq!(tcp.host(Some("prod")), "prod.localhost:8080");
        assert_eq!(tcp.host(None), "localhost:8080");
        assert_eq!(endpoint("unix:/run/g").host(Some("prod")), "prod.localhost");
    }
}
