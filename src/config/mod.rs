//! From text to [`Config`]: the file, the flags and the defaults, checked as a whole, with every
//! problem reported at once. The keys stand in one table, `keys.rs`.

mod address;
mod assign;
mod checks;
mod disk;
mod draft;
pub mod env;
mod file;
mod home;
mod hosts;
mod keys;
mod listeners;
mod overrides;
mod problems;
pub mod reference;
mod rules;
mod search;
mod suggest;
mod urls;
mod values;
mod ways;

pub use address::{Address, BadAddress};
pub use home::{BadPath, path};
pub use overrides::{Given, Overrides};
pub use problems::{Place, Problem, Problems};
pub use search::Search;

use crate::names::{EnvName, Environment, ListenerRules, ProxyChoice, Region};
use ipnet::IpNet;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The whole configuration, complete and checked.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where clients connect, and who may.
    pub listener: Listener,
    /// The listeners besides it, in the order of the file.
    pub listeners: Vec<OwnListener>,
    /// The address of health and metrics.
    pub management: Management,
    /// The audit log.
    pub audit: Audit,
    /// How AWS is asked.
    pub aws: Aws,
    /// The way out for everybody; `None` when the configuration does not say.
    pub proxy: Option<ProxyChoice>,
    /// Every timeout, size and count.
    pub limits: Limits,
    /// The environments that are named, in the order of the file.
    pub environments: Vec<EnvironmentEntry>,
    /// The file that was read; `None` when there was none.
    pub source: Option<PathBuf>,
}

/// Where clients connect, and who may.
#[derive(Debug, Clone)]
pub struct Listener {
    /// The address to listen on.
    pub address: Address,
    /// The permissions of a unix socket.
    pub socket_mode: u32,
    /// More names that clients may call us by: `name` or `name:port`, in lower case.
    pub hosts: Vec<String>,
    /// The networks that clients may connect from.
    pub networks: Vec<IpNet>,
    /// Browser origins that may use the CLI route, as browsers write them.
    pub trusted_origins: Vec<String>,
    /// Whether requests pass that another proxy passed on.
    pub allow_forwarded: bool,
    /// The file whose content clients must send.
    pub secret_file: Option<PathBuf>,
    /// Whether listening wider than loopback is meant.
    pub dangerous_non_loopback: bool,
    /// What TCP listeners need for TLS; `None` means plain HTTP.
    pub tls: Option<Tls>,
    /// What passes here of what the environment lets pass.
    pub rules: ListenerRules,
}

/// A listener besides the first. Names, TLS and origins are those of [`Listener`].
#[derive(Debug, Clone)]
pub struct OwnListener {
    /// Its name in the configuration.
    pub name: EnvName,
    /// The address to listen on.
    pub address: Address,
    /// The permissions of a unix socket.
    pub socket_mode: u32,
    /// The only environment that it serves.
    pub environment: Option<EnvName>,
    /// The networks that clients may connect from.
    pub networks: Vec<IpNet>,
    /// The file whose content clients must send.
    pub secret_file: Option<PathBuf>,
    /// What passes here of what the environment lets pass.
    pub rules: ListenerRules,
}

/// The files of the TLS listener, all PEM.
#[derive(Debug, Clone)]
pub struct Tls {
    /// The server's certificate and those that signed it.
    pub certificate: PathBuf,
    /// Its private key.
    pub key: PathBuf,
    /// The authorities of the certificates that clients must show.
    pub client_ca: Option<PathBuf>,
}

/// Health and metrics.
#[derive(Debug, Clone)]
pub struct Management {
    /// A loopback address.
    pub address: SocketAddr,
    /// Any address, for probes and metrics alone.
    pub probes: Option<SocketAddr>,
}

/// The audit log.
#[derive(Debug, Clone, Default)]
pub struct Audit {
    /// Its file; `None` means that there is none.
    pub file: Option<PathBuf>,
    /// Whether arguments are written.
    pub arguments: bool,
    /// Whether a command runs only if it is on record.
    pub required: bool,
}

/// How AWS is asked, unless an environment says otherwise.
#[derive(Debug, Clone, Default)]
pub struct Aws {
    /// The region; `None` asks the AWS chain.
    pub region: Option<Region>,
    /// The profile; `None` is the chain's own choice.
    pub profile: Option<String>,
    /// The role assumed before anything else.
    pub role_arn: Option<String>,
    /// Another place for the MWAA API.
    pub endpoint_url: Option<String>,
    /// Whether to ask AWS for all environments; `None` when the configuration does not say.
    pub discover: Option<bool>,
    /// Where to ask for them; empty means the region and identity above.
    pub discover_in: Vec<DiscoverIn>,
}

/// A region, and the profile to ask there with if it is not [`Aws::profile`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DiscoverIn {
    /// The region.
    pub region: Region,
    /// The profile.
    pub profile: Option<String>,
}

impl Config {
    /// Whether AWS is asked for environments: what the configuration says, else if it names
    /// none, or says where to ask.
    pub fn discovers(&self) -> bool {
        let implied = self.environments.is_empty() || !self.aws.discover_in.is_empty();
        self.aws.discover.unwrap_or(implied)
    }
}

/// One named environment and what it has of its own.
#[derive(Debug, Clone)]
pub struct EnvironmentEntry {
    /// The environment; what it does not say itself comes from `[aws]`.
    pub environment: Environment,
    /// A listener of its own.
    pub listen: Option<Address>,
    /// A PEM file with more trust roots for its web server.
    pub ca_file: Option<PathBuf>,
    /// The file with the user and password for its own proxy.
    pub proxy_user_file: Option<PathBuf>,
    /// The words of its tunnel, as they are written.
    pub tunnel_words: Vec<String>,
    /// Whether it serves requests that name no environment.
    pub default: bool,
    /// Whether the file has it; else only a flag or variable names it.
    pub configured: bool,
}

/// Every timeout, size (in bytes) and count.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Limits {
    /// A request's head is complete, from its first byte.
    pub head_timeout: Duration,
    /// An idle client connection stays open.
    pub keep_alive: Duration,
    /// The head of a request.
    pub head_size: usize,
    /// Header fields of a request.
    pub header_count: usize,
    /// The path and query of a request.
    pub target_size: usize,
    /// The pause within a request's body.
    pub body_idle: Duration,
    /// The average of a request's body, in bytes a second.
    pub body_rate: usize,
    /// The body of a CLI request.
    pub cli_body: usize,
    /// The body of a REST or UI request.
    pub request_body: usize,
    /// Client connections at once.
    pub connections: usize,
    /// Requests in flight get this long when the gateway stops.
    pub drain: Duration,
    /// One look-up of the web server's name.
    pub upstream_dns: Duration,
    /// One TCP connection to the web server.
    pub upstream_connect: Duration,
    /// A tunnel's program has its port open.
    pub tunnel_start: Duration,
    /// A tunnel is replaced when it is older.
    pub tunnel_age: Duration,
    /// One TLS handshake with the web server.
    pub upstream_tls: Duration,
    /// The web server's first byte after any other request was sent.
    pub upstream_first_byte: Duration,
    /// The web server's first byte after a CLI command was sent.
    pub cli_first_byte: Duration,
    /// The pause within a web server's reply.
    pub upstream_body_idle: Duration,
    /// An idle connection to the web server is kept.
    pub pool_idle: Duration,
    /// Any connection to the web server is kept.
    pub pool_age: Duration,
    /// One try to get a token.
    pub mint_try: Duration,
    /// All tries to get a token.
    pub mint_total: Duration,
    /// A request waits for a token.
    pub mint_wait: Duration,
    /// A token is used while younger than this.
    pub token_use: Duration,
    /// An Airflow session is used while younger than this.
    pub session_use: Duration,
    /// Commands waiting, for each environment.
    pub queue_size: usize,
    /// A command waits for its turn.
    pub queue_wait: Duration,
    /// Decoded output of a command.
    pub cli_output: usize,
    /// Threads that serve; 0 is one for each core.
    pub threads: usize,
}

/// Reads the configuration: defaults, then the file, then flags and variables; the later wins.
/// A named file must exist; else the first file of the search counts, or none.
pub fn load(
    explicit: Option<&Path>,
    overrides: &Overrides,
    search: &Search,
) -> Result<Config, Problems> {
    let mut draft = draft::Draft::with_defaults();
    let found = search::find(explicit, search)?;
    if let Some(found) = &found {
        file::read(found, &mut draft)?;
    }
    overrides.apply(&mut draft);
    checks::check(&mut draft);
    draft.finish(found.map(|found| found.path))
}

#[cfg(test)]
mod tests;
