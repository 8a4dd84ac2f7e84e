//! The HTTP client that the SDK uses: the same rustls and aws-lc-rs as the rest.

use aws_smithy_http_client::Builder;
use aws_smithy_http_client::proxy::ProxyConfig;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_http_client::tls::{self, TlsContext, TrustStore};
use aws_smithy_runtime_api::client::http::SharedHttpClient;
use rustls::pki_types::CertificateDer;
use std::fmt::Write as _;

/// What the client takes from its surroundings.
#[derive(Clone, Default)]
pub(super) struct Surroundings {
    /// More roots, as PEM (`AWS_CA_BUNDLE`).
    pub(super) ca_bundle: Option<Vec<u8>>,
    /// `HTTPS_PROXY`.
    pub(super) https_proxy: Option<String>,
    /// `NO_PROXY`.
    pub(super) no_proxy: Option<String>,
}

/// Builds the client. Roots: the system's, else Mozilla's; plus the bundle.
///
/// Only the HTTPS proxy is honoured: the SDK would send requests for instance and container
/// credentials, which are plain HTTP, through an HTTP proxy too.
pub(super) fn http_client(surroundings: &Surroundings) -> SharedHttpClient {
    let system = !rustls_native_certs::load_native_certs().certs.is_empty();
    let mut trust = TrustStore::empty().with_native_roots(system);
    if !system {
        for root in webpki_root_certs::TLS_SERVER_ROOT_CERTS {
            trust = trust.with_pem_certificate(pem(root));
        }
    }
    if let Some(bundle) = &surroundings.ca_bundle {
        trust = trust.with_pem_certificate(bundle.clone());
    }
    let tls = TlsContext::builder()
        .with_trust_store(trust)
        .build()
        .unwrap_or_default();
    let proxy = surroundings.https_proxy.as_deref().and_then(|url| {
        let proxy = ProxyConfig::https(url).ok()?;
        Some(proxy.no_proxy(surroundings.no_proxy.as_deref().unwrap_or("")))
    });
    let provider = tls::Provider::rustls(CryptoMode::AwsLc);
    Builder::new().build_with_connector_fn(move |settings, components| {
        let mut connector = aws_smithy_http_client::Connector::builder()
            .tls_provider(provider.clone())
            .tls_context(tls.clone());
        connector.set_connector_settings(settings.cloned());
        if let Some(components) = components {
            connector.set_sleep_impl(components.sleep_impl());
        }
        connector.set_proxy_config(proxy.clone());
        connector.build()
    })
}

fn pem(der: &CertificateDer<'_>) -> String {
    use base64::Engine as _;
    let mut text = String::from("-----BEGIN CERTIFICATE-----\n");
    let encoded = base64::engine::general_purpose::STANDARD.encode(der);
    for line in encoded.as_bytes().chunks(64) {
        let _infallible = writeln!(text, "{}", String::from_utf8_lossy(line));
    }
    text.push_str("-----END CERTIFICATE-----\n");
    text
}
