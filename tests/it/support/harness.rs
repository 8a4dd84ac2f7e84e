//! A whole world: an emulator on a runtime of its own, and the gateway on its threads.

use super::{Client, Response, eventually, soon};
use mwaa_app::{ConfigProblem, ConfigSource, ExternalInputs, ReloadRequests, ShutdownStatus};
use mwaa_auth::aws::StaticKey;
use mwaa_config::{Overrides, SearchPath};
use mwaa_emulator::{Emulator, Journal, Script, Settings, TokenKind};
use mwaa_model::Secret;
use mwaa_runtime::ClockShift;
use serde_json::Value;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;
use tempfile::TempDir;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::oneshot;
use tokio::task::JoinSet;

/// An emulator and a gateway that is configured for it. Dropping it stops both.
pub(crate) struct Harness {
    emulator: Emulator,
    gateway: Gateway,
    // after the emulator, whose tasks run there
    _runtime: Detached,
    folder: TempDir,
}

struct Gateway {
    urls: Vec<String>,
    management: String,
    clock: ClockShift,
    reloads: ReloadRequests,
    stop: Option<oneshot::Sender<()>>,
    outcome: Option<oneshot::Receiver<ShutdownStatus>>,
    thread: Option<JoinHandle<()>>,
}

/// A runtime that may be dropped inside another one.
struct Detached(Option<Runtime>);

impl Drop for Detached {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

impl Harness {
    /// One environment, `demo`, and the default configuration.
    pub(crate) async fn new() -> Self {
        Self::with(Settings::default(), "").await
    }

    /// The default emulator, and `extra` TOML laid over the configuration.
    pub(crate) async fn configured(extra: &str) -> Self {
        Self::with(Settings::default(), extra).await
    }

    /// Starts both. `extra` is TOML laid over the emulator's own snippet: tables are merged,
    /// other values replaced. Unless it says otherwise the gateway listens on free ports, has
    /// two threads and waits for nothing when it stops.
    pub(crate) async fn with(settings: Settings, extra: &str) -> Self {
        Self::scripted(settings, extra, |_| {}).await
    }

    /// The same, with misbehaviour that the gateway meets from its start.
    pub(crate) async fn scripted(
        settings: Settings,
        extra: &str,
        direct: impl FnOnce(&Script),
    ) -> Self {
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("emulator")
            .enable_all()
            .build()
            .unwrap();
        let started = runtime.spawn(Emulator::start(settings));
        let emulator = soon("the emulator", started).await.unwrap().unwrap();
        direct(emulator.script());
        let folder = tempfile::tempdir().unwrap();
        write_configuration(&emulator, &folder, extra);
        let file = folder.path().join(FILE);
        let inputs = ExternalInputs {
            static_key: Some(StaticKey {
                id: emulator.access_key_id().to_owned(),
                secret: Arc::new(Secret::new(emulator.secret_access_key().to_owned())),
            }),
            ..ExternalInputs::default()
        };
        let gateway = Gateway::start(file, inputs).await;
        Self {
            emulator,
            gateway,
            _runtime: Detached(Some(runtime)),
            folder,
        }
    }

    pub(crate) fn emulator(&self) -> &Emulator {
        &self.emulator
    }

    pub(crate) fn journal(&self) -> &Journal {
        self.emulator.journal()
    }

    pub(crate) fn script(&self) -> &Script {
        self.emulator.script()
    }

    /// Where the gateway listens, as URLs: the shared listener first.
    pub(crate) fn urls(&self) -> &[String] {
        &self.gateway.urls
    }

    /// The shared listener's address.
    pub(crate) fn address(&self) -> SocketAddr {
        address(&self.gateway.urls[0])
    }

    /// The management listener's address.
    pub(crate) fn management(&self) -> SocketAddr {
        address(&self.gateway.management)
    }

    /// A new connection to the shared listener.
    pub(crate) async fn connect(&self) -> Client {
        Client::tcp(self.address()).await
    }

    /// The bytes of a plain command request to the shared listener.
    pub(crate) fn request(&self, command: &str) -> String {
        self.request_with("", command)
    }

    /// The same with more header fields, each with its line's end.
    pub(crate) fn request_with(&self, headers: &str, command: &str) -> String {
        format!(
            "POST /aws_mwaa/cli HTTP/1.1\r\nHost: {}\r\nContent-Type: text/plain\r\n{headers}\
             Content-Length: {}\r\n\r\n{command}",
            self.address(),
            command.len()
        )
    }

    /// The same for one of several environments, by its own name.
    pub(crate) fn request_for(&self, environment: &str, command: &str) -> String {
        let address = self.address().to_string();
        let name = format!("{environment}.localhost:{}", self.address().port());
        self.request(command).replacen(&address, &name, 1)
    }

    /// Sends each request on a connection of its own, all at once.
    pub(crate) fn at_once(
        &self,
        requests: impl IntoIterator<Item = String>,
    ) -> JoinSet<Response> {
        let address = self.address();
        requests
            .into_iter()
            .map(|request| async move { Client::tcp(address).await.exchange(request).await })
            .collect()
    }

    /// Runs a command on a connection of its own.
    pub(crate) async fn command(&self, command: &str) -> Response {
        let request = self.request(command);
        self.connect().await.exchange(request).await
    }

    /// Asks the management address.
    pub(crate) async fn manage(&self, path: &str) -> Response {
        let mut client = Client::tcp(self.management()).await;
        client.exchange(self.question(path)).await
    }

    fn question(&self, path: &str) -> String {
        let address = self.management();
        format!("GET {path} HTTP/1.1\r\nHost: {address}\r\n\r\n")
    }

    /// Waits until `/status` holds this value at this place (a JSON pointer, RFC 6901).
    pub(crate) async fn status_says(&self, place: &str, value: impl Into<Value>) {
        let value = Some(value.into());
        let mut client = Client::tcp(self.management()).await;
        eventually(&format!("{value:?} at {place}"), async || {
            let status = client.exchange(self.question("/status")).await.json();
            (status.pointer(place) == value.as_ref()).then_some(())
        })
        .await;
    }

    /// Waits until so many commands stand in the queue of the first environment.
    pub(crate) async fn queued(&self, count: usize) {
        self.status_says("/environments/0/queue/waiting", count)
            .await;
    }

    /// Moves the clocks of the gateway and of the emulator forward. AWS refuses signatures that are
    /// 15 minutes old, and the SDK signs by the clock of the machine: it must be less in all.
    pub(crate) fn advance(&self, by: Duration) {
        self.gateway.clock.advance(by);
        self.script().advance_clock(by);
    }

    /// Waits until the predicate is true for the journal.
    pub(crate) async fn seen(&self, what: &str, predicate: impl FnMut(&Journal) -> bool) {
        soon(what, self.journal().wait_for(predicate)).await;
    }

    /// How many CLI tokens were issued.
    pub(crate) fn mints(&self) -> usize {
        self.journal().mints(TokenKind::Cli)
    }

    /// The folder of the configuration.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Replaces what is laid over the configuration, and waits until it counts.
    pub(crate) async fn reconfigure(&self, extra: &str) {
        write_configuration(&self.emulator, &self.folder, extra);
        let status = self.reload().await;
        assert_eq!(status["failure"], Value::Null);
    }

    /// Changes the configuration, and waits until it counts.
    pub(crate) async fn edit(&self, change: impl FnOnce(&mut toml::Table)) {
        let file = self.folder.path().join(FILE);
        let mut table = std::fs::read_to_string(&file).unwrap().parse().unwrap();
        change(&mut table);
        std::fs::write(&file, table.to_string()).unwrap();
        let status = self.reload().await;
        assert_eq!(status["failure"], Value::Null);
    }

    /// Replaces the text of the configuration, and returns why it is not used.
    pub(crate) async fn spoil(&self, text: &str) -> String {
        std::fs::write(self.folder.path().join(FILE), text).unwrap();
        let status = self.reload().await;
        let failure = status["failure"].as_str();
        failure.expect("a failure").to_owned()
    }

    /// Lets the gateway read its configuration again. Returns what `/status` then says of it.
    pub(crate) async fn reload(&self) -> Value {
        let before = self.configuration().await;
        self.gateway.reloads.send();
        eventually("a reload", async || {
            let now = self.configuration().await;
            (now["reads"] != before["reads"]).then_some(now)
        })
        .await
    }

    /// What `/status` says of the configuration.
    pub(crate) async fn configuration(&self) -> Value {
        self.manage("/status").await.json()["configuration"].clone()
    }

    /// Asks the gateway to stop, and does not wait for it.
    pub(crate) fn stop(&mut self) {
        if let Some(stop) = self.gateway.stop.take() {
            let _gone = stop.send(());
        }
    }

    /// Waits until the gateway has stopped.
    pub(crate) async fn stopped(&mut self) -> ShutdownStatus {
        let outcome = self.gateway.outcome.take().expect("asked only once");
        soon("the gateway's end", outcome).await.unwrap()
    }
}

impl Gateway {
    async fn start(file: PathBuf, inputs: ExternalInputs) -> Self {
        let read = move || {
            let folder = file.parent().unwrap().to_owned();
            let search = SearchPath {
                folder: folder.clone(),
                user: Vec::new(),
                system: folder,
            };
            let config = mwaa_config::load_again(Some(&file), &Overrides::default(), &search);
            let config = config.map_err(|problems| ConfigProblem::list(&problems))?;
            Ok((config, inputs.clone()))
        };
        let (stop, stopped) = oneshot::channel();
        let (ended, outcome) = oneshot::channel();
        let (bound_sender, bound) = oneshot::channel();
        let clock = ClockShift::default();
        let followed = clock.clone();
        let serve = async move {
            let (config, inputs) = read().unwrap_or_else(|problems| panic!("{problems:?}"));
            let gateway = mwaa_app::Gateway::bind(config, &inputs).await.unwrap();
            let gateway = gateway.with_source(ConfigSource::new(read));
            let reloads = gateway.reload_requests();
            let urls = (gateway.urls(), gateway.management_url(), reloads);
            bound_sender.send(urls).unwrap();
            let status = gateway.serve(async { drop(stopped.await) }).await.unwrap();
            let _unheard = ended.send(status);
        };
        let thread = thread::spawn(move || {
            followed.enter();
            let runtime = Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(serve);
            runtime.shutdown_background();
        });
        let (urls, management, reloads) = soon("the gateway's start", bound).await.unwrap();
        Self {
            urls,
            management,
            clock,
            reloads,
            stop: Some(stop),
            outcome: Some(outcome),
            thread: Some(thread),
        }
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        self.stop = None;
        if let Some(thread) = self.thread.take() {
            // its panic has been printed; a second one would hide the test's own
            drop(thread.join());
        }
    }
}

fn address(url: &str) -> SocketAddr {
    let (_, address) = url.split_once("://").unwrap();
    address.parse().unwrap()
}

fn write_configuration(emulator: &Emulator, folder: &TempDir, extra: &str) {
    let ca_file = folder.path().join("ca.pem");
    std::fs::write(&ca_file, emulator.ca_pem()).unwrap();
    let mut table: toml::Table = DEFAULTS.parse().unwrap();
    lay_over(&mut table, emulator.config_toml(&ca_file).parse().unwrap());
    lay_over(&mut table, extra.parse().unwrap());
    std::fs::write(folder.path().join(FILE), table.to_string()).unwrap();
}

fn lay_over(base: &mut toml::Table, extra: toml::Table) {
    for (key, value) in extra {
        match (base.get_mut(&key), value) {
            (Some(toml::Value::Table(base)), toml::Value::Table(extra)) => {
                lay_over(base, extra);
            }
            (_, value) => drop(base.insert(key, value)),
        }
    }
}

const FILE: &str = "mwaa-gateway.toml";
const DEFAULTS: &str = r#"
    [listener]
    address = "127.0.0.1:0"
    [management]
    address = "127.0.0.1:0"
    [limits]
    threads = 2
    drain = "0s"
"#;
