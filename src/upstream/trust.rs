//! Whom the gateway believes to be a web server: TLS 1.2 and later, verified, with no switch
//! that turns it off.

use crate::egress::tls;
use crate::names::EntryId;
use rustls::client::Resumption;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use std::collections::HashMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

/// The trust of one environment: the system's roots (Mozilla's where there are none) and those
/// of its `ca_file`.
pub struct Trust {
    extra: Vec<CertificateDer<'static>>,
    config: OnceLock<Arc<ClientConfig>>,
}

impl fmt::Debug for Trust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Trust")
            .field("extra", &self.extra.len())
            .finish_non_exhaustive()
    }
}

/// A `ca_file` that can't be used.
#[derive(Debug)]
#[non_exhaustive]
pub struct TrustError {
    file: PathBuf,
    why: String,
}

impl fmt::Display for TrustError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot use {}: {}", self.file.display(), self.why)
    }
}

impl std::error::Error for TrustError {}

impl Trust {
    /// Reads the extra roots.
    pub fn new(ca_file: Option<&Path>) -> Result<Self, TrustError> {
        let mut extra = Vec::new();
        if let Some(file) = ca_file {
            let bad = |why: String| TrustError {
                file: file.to_owned(),
                why,
            };
            let certificates =
                CertificateDer::pem_file_iter(file).map_err(|error| bad(error.to_string()))?;
            for certificate in certificates {
                extra.push(certificate.map_err(|error| bad(error.to_string()))?);
            }
            if extra.is_empty() {
                return Err(bad("it holds no certificate".to_owned()));
            }
            let mut probe = RootCertStore::empty();
            for certificate in &extra {
                probe
                    .add(certificate.clone())
                    .map_err(|error| bad(error.to_string()))?;
            }
        }
        Ok(Self {
            extra,
            config: OnceLock::new(),
        })
    }

    /// The TLS settings, made on first use. Each environment has its own resumption store, so
    /// a session of one is never offered to another.
    pub(super) fn config(&self) -> Arc<ClientConfig> {
        Arc::clone(self.config.get_or_init(|| {
            let mut roots = tls::system_roots().clone();
            for certificate in &self.extra {
                // checked when the file was read
                drop(roots.add(certificate.clone()));
            }
            let mut config = tls::client_config(roots);
            config.resumption = Resumption::in_memory_sessions(RESUMED_SESSIONS);
            Arc::new(config)
        }))
    }
}

/// The trust of all environments: each one's own, and the system's for those that have none.
#[derive(Debug)]
pub struct Trusts {
    own: HashMap<EntryId, Trust>,
    system: Trust,
}

impl Trusts {
    /// Takes what the configured environments trust.
    pub fn new(own: HashMap<EntryId, Trust>) -> Self {
        Self {
            own,
            system: Trust {
                extra: Vec::new(),
                config: OnceLock::new(),
            },
        }
    }

    /// What this environment trusts.
    pub(super) fn of(&self, id: EntryId) -> &Trust {
        self.own.get(&id).unwrap_or(&self.system)
    }

    /// Loads the roots and the crypto now, so that the first request does not pay for it.
    pub fn warm_up(&self) {
        let trusts = self.own.values();
        for trust in trusts.chain(self.own.is_empty().then_some(&self.system)) {
            let _ready = trust.config();
        }
    }
}

/// One web server, one store: a few tickets are enough.
const RESUMED_SESSIONS: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ca_file_without_certificates_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("ca.pem");
        std::fs::write(&file, "no certificate").unwrap();
        assert!(
            Trust::new(Some(&file))
                .unwrap_err()
                .to_string()
                .contains("no certificate")
        );
        assert!(Trust::new(Some(&folder.path().join("missing.pem"))).is_err());
        assert!(Trust::new(None).is_ok());
    }
}
