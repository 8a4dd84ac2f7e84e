//! Certificates for the tests, made when they run, and TLS clients that trust them.

use mwaa_runtime::Timestamp;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair,
    KeyUsagePurpose, date_time_ymd,
};
use rustls::client::WantsClientCert;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, ConfigBuilder, RootCertStore};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// A certificate authority.
pub(crate) struct Authority(CertifiedIssuer<'static, KeyPair>);

/// A certificate and its key, as PEM.
pub(crate) struct Pair {
    pub(crate) certificate: String,
    pub(crate) key: String,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let key = KeyPair::generate().unwrap();
        Self(CertifiedIssuer::self_signed(params, key).unwrap())
    }

    pub(crate) fn pem(&self) -> String {
        self.0.pem()
    }

    pub(crate) fn roots(&self) -> RootCertStore {
        let mut roots = RootCertStore::empty();
        roots.add(self.0.der().clone()).unwrap();
        roots
    }

    /// A certificate for these names that is valid for long.
    pub(crate) fn pair(&self, names: &[&str]) -> Pair {
        self.pair_for_years(names, 2020, 2099)
    }

    /// A certificate that is valid from the first day of one year to that of another.
    pub(crate) fn pair_for_years(&self, names: &[&str], first: i32, last: i32) -> Pair {
        let names: Vec<_> = names.iter().map(ToString::to_string).collect();
        let mut params = CertificateParams::new(names).unwrap();
        params.not_before = date_time_ymd(first, 1, 1);
        params.not_after = date_time_ymd(last, 1, 1);
        self.sign(&params)
    }

    /// A certificate for `localhost` that ends so many days from now, made by this program.
    pub(crate) fn pair_for_days(&self, days: u64, maker: &str) -> Pair {
        let mut params = CertificateParams::new(["localhost".to_owned()]).unwrap();
        let now = Timestamp::now().wall();
        params.not_before = date_time_ymd(2020, 1, 1);
        params.not_after = date_time_ymd(1970, 1, 1) + now + Duration::from_hours(24 * days);
        params
            .distinguished_name
            .push(DnType::OrganizationName, maker);
        self.sign(&params)
    }

    fn sign(&self, params: &CertificateParams) -> Pair {
        let key = KeyPair::generate().unwrap();
        Pair {
            certificate: params.signed_by(&key, &*self.0).unwrap().pem(),
            key: key.serialize_pem(),
        }
    }

    /// A client that trusts this authority, and shows a certificate if it has one.
    pub(crate) fn client(&self, shown: Option<&Pair>) -> ClientConfig {
        let builder = client_of(self.roots());
        match shown {
            None => builder.with_no_client_auth(),
            Some(pair) => {
                let der = CertificateDer::from_pem_slice(pair.certificate.as_bytes()).unwrap();
                let key = PrivateKeyDer::from_pem_slice(pair.key.as_bytes()).unwrap();
                builder.with_client_auth_cert(vec![der], key).unwrap()
            }
        }
    }
}

/// A client that trusts the authority of this certificate.
pub(crate) fn client_that_trusts(ca: CertificateDer<'static>) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    roots.add(ca).unwrap();
    client_of(roots).with_no_client_auth()
}

fn client_of(roots: RootCertStore) -> ConfigBuilder<ClientConfig, WantsClientCert> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
}

impl Pair {
    /// Writes the files that a TLS listener needs, the key readable only by its owner, and returns
    /// the table that names them.
    pub(crate) fn write(&self, folder: &Path) -> String {
        let certificate = Self::file(folder, "gateway.pem", &self.certificate);
        let key = Self::file(folder, "gateway.key", &self.key);
        format!(
            "[listener.tls]\ncertificate = '{}'\nkey = '{}'\n",
            certificate.display(),
            key.display()
        )
    }

    fn file(folder: &Path, name: &str, content: &str) -> PathBuf {
        use std::os::unix::fs::PermissionsExt as _;
        let path = folder.join(name);
        std::fs::write(&path, content).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        path
    }
}
