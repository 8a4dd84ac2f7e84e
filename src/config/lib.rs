//! From text to [`Config`]: the file, the flags and the defaults, checked as a whole, with every
//! diagnostic reported at once. All keys are in one table, `keys.rs`.

mod address;

mod checks;
mod diagnostics;
mod effective;
pub mod env;
mod files;
mod hosts;
mod keys;
mod raw_value;
mod reader;
pub mod reference;
mod search;
mod suggest;
mod tables;
mod values;

pub use address::{Address, AddressError};
pub use diagnostics::{Diagnostic, Diagnostics, Origin};
pub use effective::{EffectiveConfig, EffectiveValue};
pub use files::read_secret_file;
pub use keys::LimitSettings;
pub use reference::{annotated_file, schema};
pub use search::SearchPath;
pub use values::{PathError, parse_path, quote};

use ipnet::IpNet;
use mwaa_model::{EnvName, Environment, ListenerRules, ProxyChoice, Region, StoreAddress};
use reader::Reader;
use search::{ConfigFile, Document};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

/// Reads the configuration: defaults, then the file, then flags and variables; the later wins.
/// A named file must exist; else the first file of the search counts, or none.
pub fn load(
    explicit: Option<&Path>,
    overrides: &Overrides,
    search: &SearchPath,
) -> Result<Config, Diagnostics> {
    Ok(read(explicit, overrides, search)?.0)
}

/// Reads the configuration as [`load`] does, when the gateway runs already. Fails if the named file is
/// no regular file: a pipe was read to its end at the start, and would block the thread now.
pub fn load_again(
    explicit: Option<&Path>,
    overrides: &Overrides,
    search: &SearchPath,
) -> Result<Config, Diagnostics> {
    if let Some(file) = explicit {
        ConfigFile::check_regular(file)?;
    }
    load(explicit, overrides, search)
}

/// Reads the configuration as [`load`] does, and returns every key with the value that counts and
/// the origin of the value.
pub fn effective(
    explicit: Option<&Path>,
    overrides: &Overrides,
    search: &SearchPath,
) -> Result<EffectiveConfig, Diagnostics> {
    Ok(read(explicit, overrides, search)?.1)
}

fn read(
    explicit: Option<&Path>,
    overrides: &Overrides,
    search: &SearchPath,
) -> Result<(Config, EffectiveConfig), Diagnostics> {
    let file = ConfigFile::find(explicit, search)?;
    let document = file.as_ref().map(Document::parse).transpose()?;
    let mut reader = Reader::new(document.as_ref(), overrides);
    reader.certs_command = certs_command(explicit);
    let mut config = tables::read(&mut reader, overrides);
    let effective = reader.finish()?;

    config.source = file.map(|file| file.path);
    config.values = effective.clone();
    Ok((config, effective))
}

/// Returns the command that makes the certificates of a configuration, given the file that was named.
fn certs_command(explicit: Option<&Path>) -> String {
    let command = "mwaa-gateway certs";
    match explicit.and_then(Path::to_str) {
        Some(file) if !file.contains(char::is_control) => {
            format!("{command} --config {}", quote(file))
        }
        Some(_) | None => command.to_owned(),
    }
}

/// A value from a flag or a variable, with the spelling of its origin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Override {
    /// The value.
    pub value: String,
    /// The flag or variable, for messages: `--listen`, `MWAA_GATEWAY_LISTEN`.
    pub origin: String,
}

impl Override {
    /// Creates a value with the flag or variable that gave it.
    pub fn new(origin: impl Into<String>, value: impl Into<String>) -> Self {
        Self {
            value: value.into(),
            origin: origin.into(),
        }
    }

    fn origin(&self) -> Origin {
        Origin::Override(self.origin.clone())
    }
}

/// The values of flags and variables, which beat the file. If both a flag and a variable are
/// given, this holds the flag's.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Overrides {
    /// Serve only these: local names of the file, MWAA names of the file, or new ones.
    pub environments: Vec<Override>,
    /// For `aws.region`. An environment's own region in the file still counts for it.
    pub region: Option<Override>,
    /// For `aws.profile`, likewise.
    pub profile: Option<Override>,
    /// For `listener.address`; a relative socket path starts at the working folder.
    pub listen: Option<Override>,
    /// For `management.address`.
    pub management: Option<Override>,
    /// True for the command that makes the certificate and the key: they need not exist yet.
    pub makes_certificates: bool,
}

impl Overrides {
    /// Returns the value for a key.
    fn find(&self, key: &str) -> Option<&Override> {
        match key {
            "aws.region" => self.region.as_ref(),
            "aws.profile" => self.profile.as_ref(),
            "listener.address" => self.listen.as_ref(),
            "management.address" => self.management.as_ref(),
            _ => None,
        }
    }
}

/// The whole configuration, complete and checked.
#[derive(Debug, Clone)]
pub struct Config {
    /// The first listener.
    pub listener: ListenerSettings,
    /// The listeners besides it, in the order of the file.
    pub listeners: Vec<ExtraListenerSettings>,
    /// The addresses of health and metrics.
    pub management: ManagementSettings,
    /// The audit log.
    pub audit: AuditSettings,
    /// The log and the traces.
    pub telemetry: TelemetrySettings,
    /// Identity and endpoints of the AWS calls.
    pub aws: AwsSettings,
    /// The proxy for all environments; `None` if the configuration does not say.
    pub proxy: Option<ProxyChoice>,
    /// The fleet; `None` if the gateway is alone.
    pub fleet: Option<FleetSettings>,
    /// Every timeout, size and count.
    pub limits: LimitSettings,
    /// The environments that are named, in the order of the file.
    pub environments: Vec<EnvironmentEntry>,
    /// The file that was read; `None` if there was none.
    pub source: Option<PathBuf>,
    /// The command that makes the certificates of this configuration.
    pub certs_command: String,
    /// Every key with its value, as it was read.
    pub values: EffectiveConfig,
}

impl Config {
    /// Returns true if AWS is asked for environments: as the configuration says, else if it names
    /// none, or says where to ask.
    pub fn discovers(&self) -> bool {
        let implied = self.environments.is_empty() || !self.aws.discover_in.is_empty();
        self.aws.discover.unwrap_or(implied)
    }

    /// Returns the protocols of a listener at this address. `own` is the key `tls` of its table.
    pub fn transport(&self, address: &Address, own: Option<bool>) -> Transport {
        match &self.listener.tls {
            Some(tls) if self.wants_tls(address, own) => {
                if tls.optional {
                    Transport::Both
                } else {
                    Transport::Tls
                }
            }
            Some(_) | None => Transport::Plain,
        }
    }

    /// Returns true if a listener is to use TLS, whether its files can be used or not.
    fn wants_tls(&self, address: &Address, own: Option<bool>) -> bool {
        matches!(address, Address::Tcp(_)) && own.unwrap_or(!self.listener.is_tls_named)
    }
}

/// The protocols of a listener.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    /// Plain HTTP.
    Plain,
    /// TLS alone.
    Tls,
    /// TLS and plain HTTP on one port.
    Both,
}

/// The first listener: where clients connect, and which of them may.
#[derive(Debug, Clone)]
pub struct ListenerSettings {
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
    /// True to serve requests that another proxy forwarded.
    pub allow_forwarded: bool,
    /// The file whose content clients must send.
    pub secret_file: Option<PathBuf>,
    /// True to allow addresses wider than loopback without TLS and a secret.
    pub dangerous_non_loopback: bool,
    /// The files of listeners with TLS; `None` means that all are plain.
    pub tls: Option<TlsSettings>,
    /// True if a listener sets `tls = true`: then only those that do use TLS.
    pub is_tls_named: bool,
    /// The rules that a request must pass here, besides its environment's.
    pub rules: ListenerRules,
}

/// A listener besides the first. Names, TLS and origins are those of [`ListenerSettings`].
#[derive(Debug, Clone)]
pub struct ExtraListenerSettings {
    /// Its name in the configuration.
    pub name: EnvName,
    /// The address to listen on.
    pub address: Address,
    /// The permissions of a unix socket.
    pub socket_mode: u32,
    /// The only environment that it serves.
    pub environment: Option<EnvName>,
    /// True if it uses TLS; `None` if its table does not say.
    pub tls: Option<bool>,
    /// The networks that clients may connect from.
    pub networks: Vec<IpNet>,
    /// The file whose content clients must send.
    pub secret_file: Option<PathBuf>,
    /// The rules that a request must pass here, besides its environment's.
    pub rules: ListenerRules,
}

/// The files of listeners with TLS, all PEM.
#[derive(Debug, Clone)]
pub struct TlsSettings {
    /// The server's certificate and those that signed it.
    pub certificate: PathBuf,
    /// Its private key.
    pub key: PathBuf,
    /// The authorities of the certificates that clients must show.
    pub client_ca: Option<PathBuf>,
    /// True if these listeners accept plain HTTP too.
    pub optional: bool,
}

/// The addresses of health and metrics.
#[derive(Debug, Clone)]
pub struct ManagementSettings {
    /// A loopback address.
    pub address: SocketAddr,
    /// Any address, for probes and metrics alone.
    pub probes: Option<SocketAddr>,
}

/// The audit log.
#[derive(Debug, Clone)]
pub struct AuditSettings {
    /// Its file; `None` means that there is none.
    pub file: Option<PathBuf>,
    /// True to write the arguments of commands.
    pub arguments: bool,
    /// True to run a command only if it is on record.
    pub required: bool,
}

/// The store that several gateways share.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FleetSettings {
    /// Its address.
    pub store: StoreAddress,
    /// The file with the keys.
    pub key_file: PathBuf,
    /// The file with the store's password.
    pub password_file: Option<PathBuf>,
    /// True to run no commands while the store cannot be used.
    pub refuses: bool,
}

/// The log and the traces.
#[derive(Debug, Clone)]
pub struct TelemetrySettings {
    /// True to log a line for each request.
    pub access_log: bool,
    /// The URL of the collector of traces.
    pub otlp_endpoint: Option<String>,
}

/// Identity and endpoints of the AWS calls, unless an environment has its own.
#[derive(Debug, Clone)]
pub struct AwsSettings {
    /// The region; `None` asks the AWS chain.
    pub region: Option<Region>,
    /// The profile; `None` is the chain's own choice.
    pub profile: Option<String>,
    /// The role assumed before anything else.
    pub role_arn: Option<String>,
    /// Another place for the MWAA API.
    pub endpoint_url: Option<String>,
    /// True to ask AWS for all environments; `None` if the configuration does not say.
    pub discover: Option<bool>,
    /// The regions to ask for them; empty means the region and identity above.
    pub discover_in: Vec<DiscoverySource>,
}

/// A region, and the profile to ask there with if it is not [`AwsSettings::profile`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DiscoverySource {
    /// The region.
    pub region: Region,
    /// The profile.
    pub profile: Option<String>,
}

/// One named environment and its own settings.
#[derive(Debug, Clone)]
pub struct EnvironmentEntry {
    /// The environment, with the values of `[aws]` where it has none of its own.
    pub environment: Environment,
    /// A listener of its own.
    pub listen: Option<Address>,
    /// A PEM file with more trust roots for its web server.
    pub ca_file: Option<PathBuf>,
    /// True if it serves requests that name no environment.
    pub default: bool,
    /// True if the file has it; else only a flag or variable names it.
    pub configured: bool,
}

#[cfg(test)]
mod tests;
