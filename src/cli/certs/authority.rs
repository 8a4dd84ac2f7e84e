//! The local CA and the server certificates that it signs. The CA can sign for the names of the
//! configuration and for this machine only, so that its key is of no use for anything else.

use super::names::Names;
use aws_lc_rs::digest::{SHA256, digest};
use mwaa_app::CERTIFICATE_MAKER;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose,
    IsCa, Issuer, KeyPair, KeyUsagePurpose, NameConstraints, PKCS_ECDSA_P256_SHA256,
    PublicKeyData as _, SerialNumber, date_time_ymd,
};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, OtherError, RootCertStore};
use std::fmt::Write as _;
use std::time::Duration;

/// A CA and its key.
pub(super) struct Authority {
    pub(super) pem: String,
    pub(super) key: KeyPair,
}

/// A CA that cannot sign a certificate.
#[derive(Debug, Clone, thiserror::Error)]
pub(super) enum Misfit {
    #[error("its key is missing")]
    NoKey,
    #[error("its key is that of another CA")]
    OtherKey,
    #[error("it expires too soon")]
    Expiring,
    #[error("it is not valid yet")]
    NotYet,
    #[error("it cannot sign for the names of this configuration")]
    Names,
    #[error("clients would reject its certificate: {0}")]
    Rejected(CertificateError),
}

impl Authority {
    /// Creates a CA that can sign for these names. `now` is the wall clock, since 1970.
    pub(super) fn create(
        key: KeyPair,
        names: &Names,
        now: Duration,
    ) -> Result<Self, rcgen::Error> {
        let mut params = issuer_params(&key);
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.name_constraints = Some(NameConstraints {
            permitted_subtrees: names.subtrees(),
            excluded_subtrees: Vec::new(),
        });
        params.serial_number = Some(random_serial());
        set_dates(&mut params, now, CA_LIFETIME);
        let pem = params.self_signed(&key)?.pem();
        Ok(Self { pem, key })
    }

    /// Signs a certificate for these names and the server's key, and returns it as PEM.
    pub(super) fn sign(
        &self,
        server: &KeyPair,
        names: &Names,
        now: Duration,
    ) -> Result<String, rcgen::Error> {
        let mut params = CertificateParams::default();
        params.distinguished_name = name_of("mwaa-gateway");
        params.subject_alt_names = names.alternative_names()?;
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.use_authority_key_identifier_extension = true;
        params.serial_number = Some(random_serial());
        set_dates(&mut params, now, SERVER_LIFETIME);

        let issuer = Issuer::new(issuer_params(&self.key), &self.key);
        Ok(params.signed_by(server, &issuer)?.pem())
    }

    /// Returns the reason why clients that trust this CA would not accept a certificate that it has
    /// signed; `None` if they accept it to its end.
    pub(super) fn find_misfit(&self, certificate: &str, now: Duration) -> Option<Misfit> {
        let parse = |pem: &str| CertificateDer::from_pem_slice(pem.as_bytes()).ok();
        let (Some(ca), Some(leaf)) = (parse(&self.pem), parse(certificate)) else {
            return Some(Misfit::OtherKey);
        };

        // its own dates: the verifier does not read those of a root
        let mut roots = RootCertStore::empty();
        let error_at = |time| verify(&ca, &roots, time).err();
        if let Some(
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. },
        ) = error_at(now)
        {
            return Some(Misfit::NotYet);
        }
        if let Some(CertificateError::Expired | CertificateError::ExpiredContext { .. }) =
            error_at(now.saturating_add(SERVER_LIFETIME))
        {
            return Some(Misfit::Expiring);
        }

        if roots.add(ca).is_err() {
            return Some(Misfit::OtherKey);
        }
        match verify(&leaf, &roots, now) {
            Ok(()) => None,
            Err(CertificateError::BadSignature | CertificateError::UnknownIssuer) => {
                Some(Misfit::OtherKey)
            }
            Err(CertificateError::Other(OtherError(error)))
                if error.downcast_ref() == Some(&webpki::Error::NameConstraintViolation) =>
            {
                Some(Misfit::Names)
            }
            Err(error) => Some(Misfit::Rejected(error)),
        }
    }
}

/// Returns what a CA with this key is called: its name depends on the key alone, so that it need not
/// be read from the certificate.
fn issuer_params(key: &KeyPair) -> CertificateParams {
    let mut id = String::new();
    for byte in digest(&SHA256, key.der_bytes()).as_ref().iter().take(4) {
        // a String takes all that is written
        let _infallible = write!(id, "{byte:02x}");
    }
    let mut params = CertificateParams::default();
    params.distinguished_name = name_of(&format!("mwaa-gateway local CA {id}"));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}

fn name_of(common: &str) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    name.push(DnType::OrganizationName, CERTIFICATE_MAKER);
    name.push(DnType::CommonName, common);
    name
}

/// Sets a validity that begins a day ago, because the clocks of clients differ.
fn set_dates(params: &mut CertificateParams, now: Duration, lifetime: Duration) {
    let start = now.saturating_sub(Duration::from_hours(24));
    params.not_before = date_time_ymd(1970, 1, 1) + start;
    params.not_after = params.not_before + lifetime;
}

/// Returns a number that no other certificate of the CA has: some clients refuse two with the same.
fn random_serial() -> SerialNumber {
    let mut bytes = [0; 16];
    aws_lc_rs::rand::fill(&mut bytes).expect("the system has randomness");
    // positive, and never shorter (RFC 5280 section 4.1.2.2)
    if let Some(first) = bytes.first_mut() {
        *first = *first & 0x7f | 0x40;
    }
    SerialNumber::from_slice(&bytes)
}

/// Verifies a certificate as clients do, but for its names.
fn verify(
    certificate: &CertificateDer<'_>,
    roots: &RootCertStore,
    now: Duration,
) -> Result<(), CertificateError> {
    let provider = rustls::crypto::aws_lc_rs::default_provider();
    let verified = ParsedCertificate::try_from(certificate).and_then(|parsed| {
        rustls::client::verify_server_cert_signed_by_trust_anchor(
            &parsed,
            roots,
            &[],
            UnixTime::since_unix_epoch(now),
            provider.signature_verification_algorithms.all,
        )
    });

    match verified {
        Ok(()) => Ok(()),
        Err(rustls::Error::InvalidCertificate(error)) => Err(error),
        Err(_) => Err(CertificateError::BadEncoding),
    }
}

/// Returns true if a certificate in a PEM file was made by this command.
pub(super) fn is_ours(pem: &[u8]) -> bool {
    let der = CertificateDer::from_pem_slice(pem);
    der.is_ok_and(|der| memchr::memmem::find(&der, CERTIFICATE_MAKER.as_bytes()).is_some())
}

/// Returns the names below `localhost` of a certificate in a PEM file.
pub(super) fn local_names(pem: &str) -> Vec<String> {
    let Ok(der) = CertificateDer::from_pem_slice(pem.as_bytes()) else {
        return Vec::new();
    };
    let Ok(certificate) = webpki::EndEntityCert::try_from(&der) else {
        return Vec::new();
    };
    let names = certificate.valid_dns_names();
    let local = names.filter(|name| name.ends_with(".localhost") && !name.starts_with('*'));
    local.map(str::to_owned).collect()
}

/// Creates a key that all clients accept.
pub(super) fn create_key() -> Result<KeyPair, rcgen::Error> {
    KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)
}

/// Reads a key that this command may have made; any other kind is `None`.
pub(super) fn read_key(pem: &[u8]) -> Option<KeyPair> {
    let key = KeyPair::from_pem(std::str::from_utf8(pem).ok()?).ok()?;
    (key.algorithm() == &PKCS_ECDSA_P256_SHA256).then_some(key)
}

/// A year: longer ones are against the rules that browsers and scanners apply.
pub(super) const SERVER_LIFETIME: Duration = Duration::from_hours(365 * 24);
/// Clients must trust the next one by hand.
const CA_LIFETIME: Duration = Duration::from_hours(3650 * 24);
/// The last moment at which certificates can be made: their dates have four digits for the year.
pub(super) const LATEST: Duration = Duration::from_hours(24 * 365 * 8000);
