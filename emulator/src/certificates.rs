//! The emulator's CA and the certificate of its web side.

use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose,
    IsCa, KeyPair, KeyUsagePurpose, date_time_ymd,
};
use rustls::ServerConfig;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};

use super::settings::{CertificateForm, StartError};

/// What the web side needs for TLS, and the CA that clients must trust.
#[derive(Debug)]
pub(crate) struct Certificates {
    pub(crate) ca_pem: String,
    pub(crate) server: Arc<ServerConfig>,
}

impl Certificates {
    /// Makes a CA and a certificate for all `hosts`, spoilt as `form` says.
    pub(crate) fn make(hosts: &[String], form: CertificateForm) -> Result<Self, StartError> {
        let ca = authority().map_err(StartError::Certificate)?;
        let ca_pem = ca.pem();
        let (certificate, key) = leaf(hosts, form, &ca).map_err(StartError::Certificate)?;
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut server = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(StartError::Tls)?
            .with_no_client_auth()
            .with_single_cert(vec![certificate], key)
            .map_err(StartError::Tls)?;
        server.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self {
            ca_pem,
            server: Arc::new(server),
        })
    }
}

fn authority() -> Result<CertifiedIssuer<'static, KeyPair>, rcgen::Error> {
    let mut params = CertificateParams::default();
    params
        .distinguished_name
        .push(DnType::CommonName, "mwaa-gateway emulator CA");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    (params.not_before, params.not_after) =
        (date_time_ymd(2020, 1, 1), date_time_ymd(2099, 1, 1));
    CertifiedIssuer::self_signed(params, KeyPair::generate()?)
}

type Leaf = (CertificateDer<'static>, PrivateKeyDer<'static>);

fn leaf(
    hosts: &[String],
    form: CertificateForm,
    ca: &CertifiedIssuer<'static, KeyPair>,
) -> Result<Leaf, rcgen::Error> {
    let names = match form {
        CertificateForm::WrongName => vec!["elsewhere.example".to_owned()],
        _ => hosts.to_vec(),
    };
    let mut params = CertificateParams::new(names)?;
    params
        .distinguished_name
        .push(DnType::CommonName, "mwaa-gateway emulator web server");
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.use_authority_key_identifier_extension = true;
    let (first, last) = match form {
        CertificateForm::Expired => (2020, 2021),
        CertificateForm::NotYetValid => (2098, 2099),
        _ => (2020, 2099),
    };
    (params.not_before, params.not_after) =
        (date_time_ymd(first, 1, 1), date_time_ymd(last, 1, 1));
    let key = KeyPair::generate()?;
    let certificate = match form {
        CertificateForm::SelfSigned => params.self_signed(&key)?,
        CertificateForm::UnknownCa => params.signed_by(&key, &*authority()?)?,
        _ => params.signed_by(&key, &**ca)?,
    };
    let key = PrivatePkcs8KeyDer::from(key.serialize_der());
    Ok((certificate.der().clone(), PrivateKeyDer::Pkcs8(key)))
}
