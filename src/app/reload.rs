//! Reads the configuration again while the gateway runs: on request, and when one of its files has
//! changed. A configuration that cannot be used changes nothing and is reported.

use super::generation::{Draft, Generation};
use super::sockets::SocketSet;
use super::status::GatewayStatus;
use super::supervisor::Notifier;
use super::worker::Update;
use super::{ExternalInputs, StartError, settings};
use mwaa_config::{Config, Diagnostics};
use mwaa_model::error_chain;
use mwaa_runtime::{BackgroundTasks, FileStates, Timestamp};
use std::convert::Infallible;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Notify, mpsc, oneshot};

/// Reads the configuration, as it was read at the start.
#[derive(Clone)]
pub struct ConfigSource(Arc<ReadConfig>);

type ReadConfig =
    dyn Fn() -> Result<(Config, ExternalInputs), Vec<ConfigProblem>> + Send + Sync;

impl fmt::Debug for ConfigSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConfigSource").finish_non_exhaustive()
    }
}

impl ConfigSource {
    /// Creates a source from a function that reads files, variables and flags. It runs on a thread
    /// of its own.
    pub fn new(
        read: impl Fn() -> Result<(Config, ExternalInputs), Vec<ConfigProblem>>
        + Send
        + Sync
        + 'static,
    ) -> Self {
        Self(Arc::new(read))
    }
}

/// One thing that keeps a configuration from being used. `Display` prints one line without the hint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigProblem {
    /// The problem in one line: its place, its key, and what is wrong.
    pub text: String,
    /// The way to correct it.
    pub hint: Option<String>,
}

impl fmt::Display for ConfigProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl ConfigProblem {
    /// Returns the problems that reading a file has found.
    pub fn list(diagnostics: &Diagnostics) -> Vec<Self> {
        let problems = diagnostics.iter().map(|one| Self {
            text: one.headline(),
            hint: one.hint.clone(),
        });
        problems.collect()
    }
}

impl From<StartError> for ConfigProblem {
    fn from(error: StartError) -> Self {
        Self {
            text: error_chain(&error),
            hint: None,
        }
    }
}

/// Requests to read the configuration again. Clones ask the same gateway; several requests that come
/// while it reads are one.
#[derive(Debug, Clone, Default)]
pub struct ReloadRequests(Arc<Notify>);

impl ReloadRequests {
    /// Requests it, and does not wait.
    pub fn send(&self) {
        self.0.notify_one();
    }
}

/// Reads the configuration again, and replaces the running one.
pub(super) struct Reloader {
    pub(super) generation: Arc<Generation>,
    pub(super) sockets: SocketSet,
    pub(super) status: Arc<GatewayStatus>,
    pub(super) background: BackgroundTasks,
    pub(super) notifier: Notifier,
    pub(super) source: Option<ConfigSource>,
    pub(super) requests: ReloadRequests,
    /// The files as they were read last.
    pub(super) files: FileStates,
    /// One for each worker.
    pub(super) workers: Vec<mpsc::UnboundedSender<Update>>,
}

/// The reason for a reload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Trigger {
    Signal,
    FileChange,
    /// The last one has failed, and the reason may be gone.
    Retry,
}

impl Reloader {
    /// Waits for requests and changes, and reloads one after the other.
    pub(super) async fn run(&mut self) -> Infallible {
        let mut watch = FileWatch::new(std::mem::take(&mut self.files));
        loop {
            let trigger = tokio::select! {
                () = self.requests.0.notified() => Trigger::Signal,
                trigger = watch.wait(&self.background) => trigger,
            };
            if trigger == Trigger::Signal && self.generation.config.source.is_none() {
                tracing::info!(
                    "nothing to reload: the gateway was started without a configuration file"
                );
                continue;
            }

            // before they are read: a later change then shows
            let before = watch.look(&self.background).await;
            if trigger != Trigger::Retry {
                self.notifier.reloading();
            }
            let is_complete = self.reload(trigger).await;
            if trigger != Trigger::Retry {
                self.notifier.ready(&self.status_line(is_complete));
            }
            let files = named_files(&self.generation.config);
            watch.restart(before.with_paths(files), is_complete);
        }
    }

    /// Returns the status for the service manager.
    fn status_line(&self, is_complete: bool) -> String {
        let trouble = if is_complete {
            ""
        } else {
            "; the configuration cannot be used"
        };
        addresses(&self.generation, &self.sockets) + trouble
    }

    /// Reads the configuration and uses it, or reports why it cannot be used. Returns true if what is
    /// in the files counts now.
    async fn reload(&mut self, trigger: Trigger) -> bool {
        tracing::debug!(?trigger, "reading the configuration again");
        let mut problems = Vec::new();
        if let Err(error) = self.try_reload(&mut problems).await {
            problems.push(error.into());
        }

        let state = &self.generation.state.metrics.configuration;
        if problems.is_empty() {
            state.set_loaded(Timestamp::now().wall());
            return true;
        }
        let lines: Vec<_> = problems.iter().map(ToString::to_string).collect();
        // a retry says nothing new, unless the reason is another one
        if state.set_failure(lines.join("; ")) || trigger != Trigger::Retry {
            for ConfigProblem { text, hint } in &problems {
                tracing::error!(problem = %text, hint, "the configuration cannot be used; the previous one remains in use");
            }
        }
        false
    }

    /// Reads the configuration and uses it. If its file cannot be used, the problems are added, and
    /// the files that the previous one names are read again: a certificate must not expire because
    /// of a mistake elsewhere.
    async fn try_reload(
        &mut self,
        problems: &mut Vec<ConfigProblem>,
    ) -> Result<(), StartError> {
        let old = Arc::clone(&self.generation);
        let source = self.source.clone();
        let read = move || {
            let read = source.map(|ConfigSource(read)| read());
            let (again, problems) = match read {
                Some(Ok(again)) => (Some(again), Vec::new()),
                Some(Err(problems)) => (None, problems),
                None => (None, Vec::new()),
            };
            let (config, inputs) =
                again.unwrap_or_else(|| (old.config.clone(), old.inputs.clone()));
            (Draft::load(config, inputs, Some(&old)), problems)
        };
        let (draft, found) = self.run_blocking(read).await?;
        problems.extend(found);
        let draft = draft?;

        // new sockets before anything is changed: an address may be in use
        let plan = self.sockets.plan(&draft.config, draft.tls.as_ref()).await?;
        let (old, background) = (Arc::clone(&self.generation), self.background.clone());
        let listeners = plan.listeners.clone();
        let build =
            move || Generation::build(draft, &listeners, Some(&old), &background).map(Arc::new);
        let new = self.run_blocking(build).await??;

        // from here on nothing fails and nothing waits, until all is replaced
        let ended = self.sockets.apply(plan, &new.config);
        let old = std::mem::replace(&mut self.generation, new);
        self.status
            .replace(Arc::clone(&self.generation), &self.sockets);
        self.sockets
            .serve_management(&self.status, &self.background);
        let updated = self.update_workers();
        ended.iter().for_each(tokio::task::AbortHandle::abort);
        self.report_certificate(&old);
        if problems.is_empty() {
            self.report_changes(&old);
        }
        self.generation.start_aws_calls(Some(&old));

        for worker in updated {
            // an error means that the worker has ended
            let _done = worker.await;
        }
        self.generation.forget_removed(&old);
        Ok(())
    }

    async fn run_blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, StartError> {
        let output = self.background.run_blocking(work).await;
        output.ok_or_else(|| StartError::Thread(std::io::ErrorKind::Interrupted.into()))
    }

    /// Sends the new configuration to all workers. Returns the ends of their answers.
    fn update_workers(&self) -> Vec<oneshot::Receiver<()>> {
        let send = |worker: &mpsc::UnboundedSender<Update>| {
            let (done, updated) = oneshot::channel();
            let generation = Arc::clone(&self.generation);
            // a worker that has ended ends the gateway
            let _gone = worker.send(Update { generation, done });
            updated
        };
        self.workers.iter().map(send).collect()
    }

    fn report_certificate(&self, old: &Generation) {
        let new = &self.generation;
        if let (Some(old), Some(tls), Some(files)) =
            (&old.tls, &new.tls, &new.config.listener.tls)
            && !old.is_clone_of(tls)
        {
            let certificate = files.certificate.display();
            tracing::info!(%certificate, "the listener's certificate was loaded again");
        }
    }

    /// Logs which keys are different from those of `old`.
    fn report_changes(&self, old: &Generation) {
        let (before, now) = (&old.config, &self.generation.config);
        let changed = before.values.changed_keys(&now.values);
        if changed.is_empty() {
            tracing::info!("the configuration was read again; no key has changed");
        } else {
            tracing::info!(
                changed = changed.join(", "),
                "the configuration was read again"
            );
        }

        if before.limits.threads != now.limits.threads {
            tracing::warn!("limits.threads has changed, which takes effect at the next start");
        }
        if before.fleet != now.fleet {
            tracing::warn!("[fleet] has changed, which takes effect at the next start");
        }
        if before.telemetry.otlp_endpoint != now.telemetry.otlp_endpoint {
            tracing::warn!(
                "telemetry.otlp_endpoint has changed, which takes effect at the next start"
            );
        }
        let warned = before.warnings();
        for warning in now.warnings() {
            if !warned.contains(&warning) {
                tracing::warn!("{warning}");
            }
        }
    }
}

/// Returns all addresses in one line.
pub(super) fn addresses(generation: &Generation, sockets: &SocketSet) -> String {
    let urls = generation.state.urls.listeners.iter();
    let urls: Vec<_> = urls.map(|listener| listener.url.as_str()).collect();
    let management = sockets.management.address;
    let probes = sockets.probes.as_ref();
    let probes = probes.map(|probes| format!("; probes on http://{}", probes.address));
    format!(
        "listening on {}; management on http://{management}{}",
        urls.join(", "),
        probes.unwrap_or_default()
    )
}

/// Returns the files whose change makes another configuration.
pub(super) fn named_files(config: &Config) -> impl Iterator<Item = &Path> {
    let listener = &config.listener;
    let tls = listener.tls.as_ref();
    let of_tls = tls.map(|tls| {
        [
            Some(&tls.certificate),
            Some(&tls.key),
            tls.client_ca.as_ref(),
        ]
    });
    let secrets = config.listeners.iter().map(|own| &own.secret_file);
    let authorities = config.environments.iter().map(|entry| &entry.ca_file);

    let files = [&config.source, &listener.secret_file].into_iter();
    let files = files.chain(secrets).chain(authorities).flatten();
    let files = files.chain(of_tls.into_iter().flatten().flatten());
    files
        .map(PathBuf::as_path)
        .chain(settings::proxy_user_files(config))
}

/// Watches files by looking at them: every file system has their state, also those of other
/// machines and of containers, and each way to replace a file changes it.
struct FileWatch {
    /// The state that was read last.
    read: FileStates,
    /// The state at the last look.
    seen: FileStates,
    /// The looks until what was read is tried again, if it could not be used.
    retry: Option<u32>,
}

impl FileWatch {
    fn new(read: FileStates) -> Self {
        Self {
            seen: read.clone(),
            read,
            retry: None,
        }
    }

    /// Waits until a file has changed and stays as it is until the next look: what is being written
    /// is not read.
    async fn wait(&mut self, background: &BackgroundTasks) -> Trigger {
        loop {
            tokio::time::sleep(INTERVAL).await;
            let now = self.look(background).await;
            let is_stable = now == self.seen;
            self.seen = now;
            if is_stable && self.seen != self.read {
                return Trigger::FileChange;
            }
            if let Some(looks) = &mut self.retry {
                *looks = looks.saturating_sub(1);
                if *looks == 0 {
                    return Trigger::Retry;
                }
            }
        }
    }

    /// Returns the state of the files now.
    async fn look(&self, background: &BackgroundTasks) -> FileStates {
        let files = self.read.clone();
        let looked = background.run_blocking(move || files.again()).await;
        // the runtime is shutting down
        looked.unwrap_or_else(|| self.seen.clone())
    }

    /// Watches from this state on, which was read and could be used, or not.
    fn restart(&mut self, read: FileStates, is_complete: bool) {
        self.seen = read.clone();
        self.read = read;
        self.retry = (!is_complete).then_some(RETRY);
    }
}

/// The time between two looks.
const INTERVAL: Duration = Duration::from_secs(1);
/// The looks after which a configuration that could not be used is tried again.
const RETRY: u32 = 5;
