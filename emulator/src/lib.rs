//! MWAA in a box: the AWS API with real signatures, and environments with a TLS web server.
//!
//! An independent witness: nothing here imports another part of the gateway.

mod airflow;
mod answers;
mod certificates;
mod cli;
mod command_line;
mod commands;
mod control_api;
mod control_plane;
mod environment;
mod fault;
mod fault_rule;
mod front;
mod identity;
mod journal;
mod login;
mod made_up;
mod script;
mod session;
mod settings;
mod sigv4;
mod token;
mod web;
mod wire;
mod world;

use std::collections::HashSet;
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

pub use answers::{Answer, AnswerError};
pub use fault::{ControlFault, DeadForm, FormerHost, HandshakeFault, Noise, WebFault};
pub use fault_rule::FaultRule;
pub use front::{AirflowUrl, RealAirflow};
pub use identity::{Credential, Role};
pub use journal::{ControlCall, Journal, TokenKind, WebRequest};
pub use script::{Script, Switch};
pub use settings::{
    CertificateForm, FailureForm, HostForm, LoginForm, Seed, Settings, StartError,
};

use certificates::Certificates;
use environment::{Environment, valid_name};
use token::Tokens;

/// A running fake MWAA. Dropping it stops everything it started.
#[derive(Debug)]
pub struct Emulator {
    shared: Arc<Shared>,
    aws: SocketAddr,
    web: SocketAddr,
    control: Option<SocketAddr>,
    ca_pem: String,
    _servers: JoinSet<()>,
}

/// What both sides know.
#[derive(Debug)]
struct Shared {
    settings: Settings,
    credentials: Vec<Credential>,
    environments: Vec<Environment>,
    tokens: Tokens,
    script: Script,
    journal: Journal,
    commands: Mutex<JoinSet<()>>,
}

impl Emulator {
    /// Starts both sides; they answer when this returns. Must be called within a Tokio runtime.
    pub async fn start(settings: Settings) -> Result<Self, StartError> {
        let script = Script::default();
        for (command, answer) in &settings.answers {
            script.answer(command, answer.clone());
        }
        let (aws_listener, aws) = bind("AWS", settings.aws).await?;
        let (web_listener, web) = bind("web", settings.web).await?;
        let control = match settings.control {
            Some(address) if !address.ip().is_loopback() => {
                return Err(StartError::Control(address));
            }
            Some(address) => Some(bind("control", address).await?),
            None => None,
        };

        let environments = environments(&settings, web, script.clock.since_epoch())?;
        let hosts = environments.iter().flat_map(Environment::certified);
        let hosts: Vec<String> = hosts.chain(["localhost".to_owned()]).collect();
        let certificates = Certificates::make(&hosts, settings.certificate)?;
        let credentials = if settings.credentials.is_empty() {
            Role::ALL.map(made_up::credential).to_vec()
        } else {
            settings.credentials.clone()
        };
        let shared = Arc::new(Shared {
            credentials,
            environments,
            tokens: Tokens::default(),
            script,
            journal: Journal::new(settings.journal_limit),
            commands: Mutex::default(),
            settings,
        });
        let mut servers = JoinSet::new();
        // computed beside the start, which it would double; the first token waits for it, and a
        // failure shows there
        servers.spawn({
            let shared = Arc::clone(&shared);
            async move {
                let _ = shared.tokens.key().await;
            }
        });
        let (owned, answer) = (Arc::clone(&shared), control_plane::answer);
        servers.spawn(control_plane::serve(aws_listener, owned, answer));
        let control = control.map(|(listener, address)| {
            let owned = Arc::clone(&shared);
            servers.spawn(control_plane::serve(listener, owned, control_api::answer));
            address
        });
        let tls = certificates.server;
        servers.spawn(web::serve(web_listener, tls, Arc::clone(&shared)));
        Ok(Self {
            shared,
            aws,
            web,
            control,
            ca_pem: certificates.ca_pem,
            _servers: servers,
        })
    }

    /// Where the AWS side listens.
    pub fn aws_addr(&self) -> SocketAddr {
        self.aws
    }

    /// Where the web servers listen.
    pub fn web_addr(&self) -> SocketAddr {
        self.web
    }

    /// Where the control address listens, if there is one.
    pub fn control_addr(&self) -> Option<SocketAddr> {
        self.control
    }

    /// Whether AWS names a web server by a host that was chosen, instead of one in MWAA's form.
    pub fn has_web_host(&self) -> bool {
        let mut environments = self.shared.environments.iter();
        environments.any(|environment| environment.seed.web_host.is_some())
    }

    /// The AWS side as an SDK's endpoint URL.
    pub fn endpoint_url(&self) -> String {
        format!("http://{}", self.aws)
    }

    /// The CA that signed the web servers' certificate, in PEM.
    pub fn ca_pem(&self) -> &str {
        &self.ca_pem
    }

    /// Everybody who may sign; made up, one for each role, unless the settings name some.
    pub fn credentials(&self) -> &[Credential] {
        &self.shared.credentials
    }

    /// The first access key id that may sign.
    pub fn access_key_id(&self) -> &str {
        let first = self.credentials().first();
        first.map_or("", |credential| &credential.access_key_id)
    }

    /// The secret that belongs to [`access_key_id`](Self::access_key_id).
    pub fn secret_access_key(&self) -> &str {
        let first = self.credentials().first();
        first.map_or("", |credential| &credential.secret_access_key)
    }

    /// The region signatures must be made for.
    pub fn region(&self) -> &str {
        &self.shared.settings.region
    }

    /// The web server host of an environment, in MWAA's shape.
    pub fn host(&self, environment: &str) -> Option<String> {
        Some(self.environment(environment)?.host().to_string())
    }

    /// Deletes an environment and recreates it under its old name, with another host and no
    /// sessions; false if there is none. `old` is the behaviour of its former host.
    pub fn recreate(&self, environment: &str, old: FormerHost) -> bool {
        let found = self.environment(environment);
        found.map(|found| found.recreate(old)).is_some()
    }

    /// Changes the status that GetEnvironment reports; false if there is no such environment.
    pub fn set_status(&self, environment: &str, status: &str) -> bool {
        let found = self.environment(environment);
        found.map(|found| found.set_status(status)).is_some()
    }

    /// A gateway configuration for these environments; the CA must be written to `ca_file`.
    pub fn config_toml(&self, ca_file: &Path) -> String {
        let quoted = |text: &str| toml::Value::String(text.to_owned()).to_string();
        let (region, endpoint) = (quoted(self.region()), quoted(&self.endpoint_url()));
        let (web, ca_file) = (
            quoted(&self.web.to_string()),
            quoted(&ca_file.to_string_lossy()),
        );
        let mut text = format!("[aws]\nregion = {region}\nendpoint_url = {endpoint}\n");
        let several = self.shared.environments.len() > 1;
        for (index, environment) in self.shared.environments.iter().enumerate() {
            let name = &environment.seed.name; // letters, digits, - and _: a bare key
            // writing to a string cannot fail
            let _ = write!(
                text,
                "\n[environments.{name}]\nname = {}\nconnect_to = {web}\nca_file = {ca_file}\n",
                quoted(name)
            );
            if let Some(domain) = &environment.seed.custom_domain {
                let _ = writeln!(text, "custom_domain = {}", quoted(domain));
            }
            if several && index == 0 {
                text.push_str("default = true\n");
            }
        }
        text
    }

    /// The switches for misbehaviour.
    pub fn script(&self) -> &Script {
        &self.shared.script
    }

    /// What has been seen so far.
    pub fn journal(&self) -> &Journal {
        &self.shared.journal
    }

    fn environment(&self, name: &str) -> Option<&Environment> {
        let mut environments = self.shared.environments.iter();
        environments.find(|environment| environment.seed.name == name)
    }
}

impl Drop for Emulator {
    fn drop(&mut self) {
        // each running command holds `shared`, which holds the set: without this it keeps running
        self.shared
            .commands
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .abort_all();
    }
}

impl Shared {
    /// Runs work to its end, whatever becomes of the request that asked for it.
    fn run(&self, command: impl Future<Output = ()> + Send + 'static) {
        let mut commands = self.commands.lock().unwrap_or_else(PoisonError::into_inner);
        while commands.try_join_next().is_some() {}
        commands.spawn(command);
    }
}

/// Makes the environments. Fails if the name of one is not valid or is used twice.
fn environments(
    settings: &Settings,
    web: SocketAddr,
    created: Duration,
) -> Result<Vec<Environment>, StartError> {
    let mut names = HashSet::new();
    let environments = settings.environments.iter().map(|seed| {
        if !valid_name(&seed.name) || !names.insert(&seed.name) {
            return Err(StartError::Environment(seed.name.clone()));
        }
        let mut seed = seed.clone();
        let host = seed.web_host.take();
        seed.web_host = host.map(|host| match host.strip_suffix(":0") {
            Some(name) => format!("{name}:{}", web.port()),
            None => host,
        });
        Ok(Environment::new(
            seed,
            &settings.region,
            settings.cli_slots,
            created,
        ))
    });
    environments.collect()
}

async fn bind(
    side: &'static str,
    address: SocketAddr,
) -> Result<(TcpListener, SocketAddr), StartError> {
    let failed = |source| StartError::Bind {
        side,
        address,
        source,
    };
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    Ok((listener, address))
}

/// Accepts connections forever, and drops them all when it is dropped.
async fn accept<C>(listener: TcpListener, connection: impl Fn(TcpStream) -> C)
where
    C: Future<Output = ()> + Send + 'static,
{
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => drop(connections.spawn(connection(stream))),
                // the system has no socket to give
                Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

#[cfg(test)]
mod tests;
