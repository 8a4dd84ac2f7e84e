//! The gateway that runs already: the HTTP calls to its management address, and the environments
//! that it serves.

use crate::client::{ConnectError, Connection, Endpoint};
use http::{Method, StatusCode};
use http_body_util::{BodyExt as _, Limited};
use mwaa_app::LocalEnvironment;
use mwaa_config::{Address, Config};
use mwaa_runtime::{RuntimeTimer, Timer as _};
use serde::Deserialize;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

/// Sends a GET request to a management address, and returns the status and the body. Fails if that
/// takes longer than `timeout`, however slowly the other side sends.
pub(crate) async fn get(
    address: SocketAddr,
    path: &str,
    timeout: Duration,
) -> Result<(StatusCode, String), ConnectError> {
    // a program that sends a byte now and then must not hold the command up
    let exchange = async {
        let mut connection = Connection::connect(&Endpoint::new(Address::Tcp(address))).await?;
        let response = connection
            .send(Method::GET, path, &address.to_string())
            .await?;

        let status = response.status();
        // a program that is no gateway may send without end
        let body = Limited::new(response.into_body(), MAX_BODY).collect().await;
        let body = body.map_err(|_error| ConnectError::Foreign)?.to_bytes();
        Ok((status, String::from_utf8_lossy(&body).trim().to_owned()))
    };
    let result = RuntimeTimer.within(timeout, exchange).await;
    result.unwrap_or(Err(ConnectError::Silent))
}

/// Returns true if a gateway answers at this address: its listener, or its management address.
/// Must run outside of any runtime.
pub(crate) fn is_gateway(address: SocketAddr) -> bool {
    run_blocking(async {
        let endpoint = Endpoint::new(Address::Tcp(address));
        // its listener, by the header of its responses
        Connection::open(&endpoint).await.is_ok()
            || get(address, "/startupz", TIMEOUT)
                .await
                .is_ok_and(|(status, body)| status == StatusCode::OK && body == "ok")
    })
    .unwrap_or(false)
}

/// Runs a future that calls a gateway to its end. Must run outside of any runtime.
pub(crate) fn run_blocking<T>(future: impl Future<Output = T>) -> io::Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    Ok(runtime.block_on(future))
}

/// The environments that a command may name. It can be read from the status of a gateway.
#[derive(Debug, Deserialize)]
pub(crate) struct EnvironmentSet {
    pub(crate) environments: Vec<LocalEnvironment>,
    /// The URL of the page that shows all of them.
    #[serde(rename = "url")]
    pub(crate) overview: Option<String>,
}

impl EnvironmentSet {
    /// Returns those of the configuration.
    pub(crate) fn from_config(config: &Config) -> Self {
        Self {
            environments: mwaa_app::configured_environments(config),
            overview: mwaa_app::main_url(config),
        }
    }

    /// Returns those of the gateway at the management address; `None` means that none answers in
    /// time.
    pub(crate) async fn load(config: &Config, timeout: Duration) -> Option<Self> {
        let address = config.management.address;
        let (status, body) = get(address, "/status", timeout).await.ok()?;
        // another program's 404 says nothing about environments
        if status != StatusCode::OK {
            return None;
        }
        serde_json::from_str(&body).ok()
    }

    /// Finds an environment by its local name, or by MWAA's name if only one has that.
    pub(crate) fn find(&self, name: &str) -> Option<&LocalEnvironment> {
        // local names are unique, MWAA names only within a region
        let local = self.environments.iter().find(|one| one.local == name);
        let mut named = self.environments.iter().filter(|one| one.name == name);
        local.or_else(|| match (named.next(), named.next()) {
            (Some(only), None) => Some(only),
            _ => None,
        })
    }

    /// Returns the local names.
    pub(crate) fn local_names(&self) -> Vec<String> {
        let environments = self.environments.iter();
        environments.map(|one| one.local.clone()).collect()
    }
}

/// A gateway of this machine answers at once.
const TIMEOUT: Duration = Duration::from_secs(1);
/// More than the status of a thousand environments, in bytes.
const MAX_BODY: usize = 4 << 20;
