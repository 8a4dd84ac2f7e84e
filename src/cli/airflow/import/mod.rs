//! `variables import`, `connections import` and `pools import`: MWAA's web server has no such file,
//! so the file is read here, and each name in it becomes a command of its own.

mod journal;
mod json;
mod plan;
mod request;

pub(super) use request::{ImportError, ImportRequest};

use super::watch::{ImportProgress, InterruptInfo, WatchError, run_watched};
use super::{NoOutputError, print_command_error, print_fault, print_output, print_unexpected};
use crate::client::{
    CommandError, CommandOptions, CommandOutput, CommandResult, GatewayClient, ResultFormat,
};
use crate::sanitize::sanitize;
use crate::signals::Signals;
use crate::terminal::Terminal;
use crate::{ExitStatus, RunResult};
use indexmap::IndexMap;
use journal::Journal;
use json::Json;
use mwaa_model::AirflowVersion;
use mwaa_policy::Command;
use plan::{PlannedEntry, plan_entries};
use request::{ExistingAction, ImportKind};
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// The options of an import, beside the command's own.
#[derive(Debug, Clone, Copy)]
pub(super) struct ImportOptions {
    /// Continues where an earlier run ended.
    pub(super) resume: bool,
    /// Prints the result as JSON.
    pub(super) as_json: bool,
    /// The longest command that the gateway accepts, in bytes.
    pub(super) max_command: usize,
}

/// Imports the entries of the file, one after the other.
pub(super) async fn run(
    request: &ImportRequest,
    text: &str,
    options: ImportOptions,
    client: &mut GatewayClient,
    signals: &mut Signals,
    terminal: &Terminal,
) -> RunResult {
    let entries = request.parse_entries(text).map_err(|error| {
        terminal.fail(ExitStatus::Failure, &error, Some("nothing was sent"))
    })?;
    let environment = client.environment().unwrap_or_default().to_owned();
    let mut journal = Journal::open(request, &[client.identity(), environment], text);
    let mut runner = CommandRunner {
        client,
        signals,
        progress: ImportProgress::new(request.kind.word(), entries.len(), terminal),
        pending: None,
    };

    let entries = prepare(request, entries, options, &mut runner, terminal).await?;
    let mut existing = find_existing(request, &entries, &mut runner, terminal).await?;
    if let Some(journal) = journal.as_ref().filter(|_| options.resume) {
        // an entry that the earlier run has set may exist
        for (number, entry) in entries.iter().enumerate() {
            if journal.is_done(number) {
                existing.remove(&entry.name);
            }
        }
    }

    if request.existing == ExistingAction::Fail && !existing.is_empty() {
        runner.progress.clear();
        return Err(print_existing(&existing, terminal));
    }

    if let Some(journal) = journal.as_mut().filter(|journal| journal.count() > 0)
        && !options.resume
    {
        let earlier = journal.count();
        terminal.info(format_args!(
            "note: an earlier run imported {earlier} of these; all are imported again (use \
             --resume to skip them)"
        ));
        journal.reset();
    }

    let mut report = ImportReport::new(request, entries.len());
    report
        .run_entries(&entries, &existing, &mut journal, &mut runner, terminal)
        .await;
    runner.progress.clear();
    if let Some(journal) = journal.as_mut().filter(|_| report.is_complete()) {
        journal.remove();
    }
    Ok(report.print(options.as_json, terminal))
}

/// Plans the commands. Fails if one of them can't be sent: then none is.
async fn prepare(
    request: &ImportRequest,
    entries: IndexMap<String, Json>,
    options: ImportOptions,
    runner: &mut CommandRunner<'_>,
    terminal: &Terminal,
) -> Result<Vec<PlannedEntry>, ExitStatus> {
    // harmless, and shows at once if anything can be sent; the commands differ by version
    let version = match runner.read_version().await {
        Ok(version) => version,
        Err(result) => return Err(print_no_import(&result, runner, terminal)),
    };

    // all of them before the first is sent: a bad entry must not leave half an import
    let mut planned = Vec::new();
    let mut errors = Vec::new();
    for result in plan_entries(request, entries, version, options.max_command) {
        match result {
            Ok(entry) => planned.push(entry),
            Err(error) => errors.push(error),
        }
    }
    if errors.is_empty() {
        return Ok(planned);
    }

    runner.progress.clear();
    for error in errors {
        let name = sanitize(&error.name);
        let reason = sanitize(&error.reason);
        terminal.error(format_args!("cannot be imported: {name}: {reason}"));
    }
    terminal.error("nothing was imported");
    Err(ExitStatus::Failure)
}

/// Returns the names that exist already, where that matters and can be asked.
async fn find_existing(
    request: &ImportRequest,
    entries: &[PlannedEntry],
    runner: &mut CommandRunner<'_>,
    terminal: &Terminal,
) -> Result<BTreeSet<String>, ExitStatus> {
    // Airflow itself refuses a connection that exists, and a pool is always set
    if request.kind != ImportKind::Variables || request.existing == ExistingAction::Overwrite {
        return Ok(BTreeSet::new());
    }
    match runner.read_variables().await {
        Ok(variables) => {
            let names = entries.iter().map(|entry| entry.name.clone());
            Ok(names.filter(|name| variables.contains(name)).collect())
        }
        Err(result) => Err(print_no_import(&result, runner, terminal)),
    }
}

/// Prints the names that exist and must not.
fn print_existing(names: &BTreeSet<String>, terminal: &Terminal) -> ExitStatus {
    for name in names {
        terminal.error(format_args!("already exists: {}", sanitize(name)));
    }
    terminal.error("nothing was imported");
    ExitStatus::Failure
}

/// Prints that a command before the first change failed.
fn print_no_import(
    result: &CallResult,
    runner: &CommandRunner<'_>,
    terminal: &Terminal,
) -> ExitStatus {
    runner.progress.clear();
    terminal.error("nothing was imported");
    print_failure(result, terminal)
}

/// Prints a result that ends an import.
fn print_failure(result: &CallResult, terminal: &Terminal) -> ExitStatus {
    match result {
        Ok(CommandResult::Output(output)) => {
            print_output(output, ResultFormat::Text, terminal);
            ExitStatus::Failure
        }
        Ok(CommandResult::Unexpected(status, _) | CommandResult::Raw(status, _)) => {
            print_unexpected(*status, "", terminal)
        }
        Ok(CommandResult::Fault(problem)) => print_fault(problem, terminal),
        Err(WatchError::Command(error)) => print_command_error(error, terminal),
        Err(WatchError::Interrupted(info)) => {
            terminal.error("interrupted");
            ExitStatus::Signal(info.signal)
        }
    }
}

/// Runs commands one after the other over one connection.
struct CommandRunner<'a> {
    client: &'a mut GatewayClient,
    signals: &'a mut Signals,
    progress: ImportProgress,
    /// A signal that came while the last command ended: no further command may be sent.
    pending: Option<u8>,
}

type CallResult = Result<CommandResult, WatchError>;

impl CommandRunner<'_> {
    /// Sets one entry; if it must be deleted first, it does not exist for the time between.
    async fn run_entry(&mut self, entry: &PlannedEntry) -> CallResult {
        if let Some(delete) = &entry.delete {
            match self.call(delete).await {
                // mostly because it did not exist: the next command shows that
                Ok(CommandResult::Output(_) | CommandResult::Unexpected(..)) => {}
                other => return other,
            }
        }
        self.call(&entry.command).await
    }

    async fn call(&mut self, command: &Command<'_>) -> CallResult {
        if let Some(signal) = self.pending {
            let info = InterruptInfo::before_command(signal);
            return Err(WatchError::Interrupted(info));
        }
        run_watched(
            self.client,
            command,
            CommandOptions::default(),
            self.signals,
            &mut self.progress,
            &mut self.pending,
        )
        .await
    }

    /// Returns the version of the environment's Airflow.
    async fn read_version(&mut self) -> Result<AirflowVersion, CallResult> {
        let output = self.call_words(&["version"]).await?;
        let text = output.json.get("output").and_then(Value::as_str);
        // warnings may come before it
        let version = text.unwrap_or(&output.stdout).lines().next_back();
        version
            .and_then(|version| version.trim().parse().ok())
            .ok_or(Ok(CommandResult::Output(output)))
    }

    /// Returns the names of the variables that exist.
    async fn read_variables(&mut self) -> Result<BTreeSet<String>, CallResult> {
        let output = self
            .call_words(&["variables", "list", "-o", "json"])
            .await?;
        let rows = output.json.get("json").and_then(Value::as_array);
        let names = rows.map(|rows| {
            let names = rows.iter().filter_map(|row| row.get("key")?.as_str());
            names.map(str::to_owned).collect()
        });
        names.ok_or(Ok(CommandResult::Output(output)))
    }

    /// Runs a command that must succeed.
    async fn call_words(&mut self, words: &[&str]) -> Result<Box<CommandOutput>, CallResult> {
        let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        // plain words can always be parsed
        let Ok(command) = Command::from_words(&words) else {
            return Err(Ok(CommandResult::Unexpected(400, String::new())));
        };
        match self.call(&command).await {
            Ok(CommandResult::Output(output)) if output.succeeded == Some(true) => Ok(output),
            other => Err(other),
        }
    }
}

/// The results of all entries.
struct ImportReport {
    kind: ImportKind,
    /// Entries are deleted before they are set.
    overwrites: bool,
    total: usize,
    done: usize,
    /// Done by an earlier run.
    earlier: usize,
    /// Not changed, because they exist.
    skipped: Vec<String>,
    failed: Vec<(String, String)>,
    unknown: Vec<(String, String)>,
    /// The number of entries in a row without an answer.
    unanswered: usize,
    /// The result that stopped the import.
    stop: Option<CallResult>,
    /// An entry that is done could not be written down, so that --resume does not know it.
    has_gap: bool,
}

impl ImportReport {
    fn new(request: &ImportRequest, total: usize) -> Self {
        Self {
            kind: request.kind,
            overwrites: request.kind == ImportKind::Connections
                && request.existing == ExistingAction::Overwrite,
            total,
            done: 0,
            earlier: 0,
            skipped: Vec::new(),
            failed: Vec::new(),
            unknown: Vec::new(),
            unanswered: 0,
            stop: None,
            has_gap: false,
        }
    }

    /// Runs the entries that are to be set, until one of them stops the import.
    async fn run_entries(
        &mut self,
        entries: &[PlannedEntry],
        existing: &BTreeSet<String>,
        journal: &mut Option<Journal>,
        runner: &mut CommandRunner<'_>,
        terminal: &Terminal,
    ) {
        self.has_gap = journal.is_none();
        for (number, entry) in entries.iter().enumerate() {
            if journal
                .as_ref()
                .is_some_and(|journal| journal.is_done(number))
            {
                self.earlier += 1;
            } else if existing.contains(entry.name.as_str()) {
                self.skipped.push(entry.name.clone());
            } else {
                let result = runner.run_entry(entry).await;
                let is_done = self.add(entry.name.clone(), result);
                // a write to a full disk must not stop the import
                if is_done
                    && !self.has_gap
                    && let Some(journal) = journal
                    && let Err(error) = journal.add(number)
                {
                    self.has_gap = true;
                    terminal.info(format_args!(
                        "note: the progress cannot be recorded, so --resume will not work: \
                         {error}"
                    ));
                }
            }

            if self.is_stopped() {
                break;
            }
            runner.progress.set_position(number + 1);
        }
    }

    /// Adds the result of one entry, and returns true if that entry is set.
    fn add(&mut self, name: String, result: CallResult) -> bool {
        let is_unanswered = match &result {
            Ok(CommandResult::Unexpected(..) | CommandResult::Raw(..)) => true,
            // the next entry may succeed
            Ok(CommandResult::Fault(problem)) => {
                problem.may_have_run() || problem.code == "upstream.unavailable"
            }
            Ok(CommandResult::Output(_)) | Err(_) => false,
        };
        self.unanswered = if is_unanswered {
            self.unanswered + 1
        } else {
            0
        };

        match result {
            Ok(CommandResult::Output(output)) => return self.add_output(name, &output),
            Ok(CommandResult::Unexpected(status, _) | CommandResult::Raw(status, _)) => {
                let reason = NoOutputError(status).to_string();
                self.unknown.push((name, reason));
            }
            Ok(CommandResult::Fault(problem)) if problem.code.starts_with("request.") => {
                let reason = problem.detail.as_deref().unwrap_or(&problem.title);
                self.failed.push((name, reason.to_owned()));
            }
            Ok(CommandResult::Fault(problem)) => {
                if is_unanswered {
                    self.unknown.push((name, problem.title.clone()));
                }
                if !is_unanswered || self.unanswered >= MAX_UNANSWERED {
                    self.stop = Some(Ok(CommandResult::Fault(problem)));
                }
            }
            Err(error) => {
                match &error {
                    WatchError::Command(CommandError::Broken(reason)) => {
                        self.unknown.push((name, reason.to_string()));
                    }
                    WatchError::Interrupted(info) if info.sent != Some(false) => {
                        self.unknown.push((name, "it was interrupted".to_owned()));
                    }
                    // nothing was sent
                    WatchError::Command(_) | WatchError::Interrupted(_) => {}
                }
                self.stop = Some(Err(error));
            }
        }
        false
    }

    fn add_output(&mut self, name: String, output: &CommandOutput) -> bool {
        let reason = last_line(output);
        // Airflow has no code for it, only this text
        let exists =
            self.kind == ImportKind::Connections && reason.ends_with(" already exists.");
        match output.succeeded {
            Some(true) => self.done += 1,
            Some(false) if exists && !self.overwrites => self.skipped.push(name),
            Some(false) => self.failed.push((name, reason)),
            None => self.unknown.push((name, reason)),
        }
        output.succeeded == Some(true)
    }

    /// Returns true if the next entry should not be tried.
    fn is_stopped(&self) -> bool {
        self.stop.is_some() || self.unanswered >= MAX_UNANSWERED
    }

    /// Returns true if `--resume` has nothing left to do.
    fn is_complete(&self) -> bool {
        self.failed.is_empty() && self.unknown.is_empty() && !self.is_stopped()
    }

    fn count_untried(&self) -> usize {
        let seen = self.done + self.earlier + self.skipped.len();
        self.total - seen - self.failed.len() - self.unknown.len()
    }

    fn print(&self, as_json: bool, terminal: &Terminal) -> ExitStatus {
        let kind = self.kind.word();
        if as_json {
            terminal.print_untrusted(format_args!("{}\n", self.to_json()));
        } else {
            let done = self.done + self.earlier;
            terminal
                .print_untrusted(format_args!("{done} of {} {kind} imported\n", self.total));
        }

        if self.earlier > 0 {
            terminal.info(format_args!("{} of them by an earlier run", self.earlier));
        }
        for (entries, word) in [(&self.failed, "failed"), (&self.unknown, "unknown")] {
            for (name, reason) in entries {
                let name = sanitize(name);
                let reason = sanitize(reason);
                terminal.error(format_args!("{word}: {name}: {reason}"));
            }
        }
        for name in &self.skipped {
            let name = sanitize(name);
            terminal.info(format_args!("skipped, already exists: {name}"));
        }

        let untried = self.count_untried();
        if untried > 0 {
            terminal.info(format_args!("not attempted: {untried}"));
        }

        // the delete may have worked where the command that adds it did not
        if self.overwrites && !(self.failed.is_empty() && self.unknown.is_empty()) {
            terminal.error(
                "a failed connection may be missing now: an import deletes a connection before \
                 it adds it",
            );
        }
        if !self.is_complete() && !self.has_gap {
            terminal.info("to resume, run the same command with --resume before the `--`");
        }
        match &self.stop {
            Some(result) => print_failure(result, terminal),
            None if self.is_complete() => ExitStatus::Success,
            None => ExitStatus::Failure,
        }
    }

    fn to_json(&self) -> Value {
        let to_list = |entries: &[(String, String)]| -> Vec<_> {
            let entries = entries.iter();
            entries
                .map(|(name, reason)| json!({"name": name, "why": reason}))
                .collect()
        };
        json!({
            "total": self.total,
            "done": self.done,
            "earlier": self.earlier,
            "skipped": self.skipped,
            "failed": to_list(&self.failed),
            "unknown": to_list(&self.unknown),
            "not_tried": self.count_untried(),
        })
    }
}

/// Returns the last line that a command printed.
fn last_line(output: &CommandOutput) -> String {
    let errors = output.json.get("errors").and_then(Value::as_str);
    // without the log lines, if the gateway could separate them
    let errors = errors.unwrap_or(&output.stderr);
    let text = if errors.trim().is_empty() {
        &output.stdout
    } else {
        errors
    };
    let last = text.trim_end().lines().next_back();
    last.unwrap_or("no output").to_owned()
}

/// After so many entries in a row without an answer, the web server has trouble of its own.
const MAX_UNANSWERED: usize = 3;
