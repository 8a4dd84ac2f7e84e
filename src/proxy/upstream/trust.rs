//! The certificates that a web server is verified by: TLS 1.2 and later, with no switch that
//! turns it off.

use mwaa_egress::tls;
use mwaa_model::{EntryId, FileError};
use mwaa_runtime::{LARGEST_BUNDLE, read_regular_file};
use rustls::client::Resumption;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use std::collections::HashMap;
use std::fmt;
use std::path::Path;
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

impl Trust {
    /// Reads the extra roots.
    pub fn new(ca_file: Option<&Path>) -> Result<Self, FileError> {
        let mut extra = Vec::new();
        if let Some(file) = ca_file {
            let content = read_regular_file(file, LARGEST_BUNDLE)
                .map_err(|cause| FileError::new(file, cause))?;
            let certificates = CertificateDer::pem_slice_iter(&content);
            for certificate in certificates {
                extra.push(certificate.map_err(|cause| FileError::new(file, cause))?);
            }

            if extra.is_empty() {
                return Err(FileError::new(file, "it contains no certificate"));
            }
            // a certificate that cannot be a root is an error now, not at the first request
            let mut probe = RootCertStore::empty();
            for certificate in &extra {
                probe
                    .add(certificate.clone())
                    .map_err(|cause| FileError::new(file, cause))?;
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
pub struct TrustStore {
    own: HashMap<EntryId, Arc<Trust>>,
    system: Arc<Trust>,
}

impl TrustStore {
    /// Creates a store from the roots of the configured environments.
    pub fn new(own: HashMap<EntryId, Trust>) -> Self {
        let own = own.into_iter();
        Self {
            own: own.map(|(id, trust)| (id, Arc::new(trust))).collect(),
            system: Arc::new(Trust {
                extra: Vec::new(),
                config: OnceLock::new(),
            }),
        }
    }

    /// Returns the store that takes the place of `previous`: that one itself if nothing differs; else
    /// this one, with those of its parts that do not differ, so that they are not set up again.
    #[must_use]
    pub fn succeed(mut self, previous: &Arc<Self>) -> Arc<Self> {
        self.system = Arc::clone(&previous.system);
        let mut kept = 0;
        for (id, trust) in &mut self.own {
            let old = previous.own.get(id);
            if let Some(old) = old.filter(|old| old.extra == trust.extra) {
                *trust = Arc::clone(old);
                kept += 1;
            }
        }
        if kept == self.own.len() && kept == previous.own.len() {
            return Arc::clone(previous);
        }
        Arc::new(self)
    }

    /// Returns the roots of this environment.
    pub(super) fn get(&self, id: EntryId) -> &Trust {
        self.own.get(&id).unwrap_or(&self.system).as_ref()
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
        let error = Trust::new(Some(&file)).unwrap_err();
        assert!(mwaa_model::error_chain(&error).contains("no certificate"));
        assert!(Trust::new(Some(&folder.path().join("missing.pem"))).is_err());
        assert!(Trust::new(None).is_ok());
    }
}
