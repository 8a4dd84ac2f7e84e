//! `explain`: shows how a command line is read, and whether it would pass. Sends nothing.

use crate::config_args::{ConfigArgs, config_flags};
use crate::output::{OutputArgs, OutputFormat};
use crate::terminal::Terminal;
use crate::{ExitStatus, RunResult};
use clap::Args;
use mwaa_config::{Config, EnvironmentEntry};
use mwaa_model::{AirflowVersion, EnvName, Environment, Fault as _, ListenerRules};
use mwaa_policy::{Command, CommandPolicy, PolicyError, find_release};
use std::io::BufRead as _;

/// The options of `explain`.
#[derive(Args)]
pub(crate) struct ExplainArgs {
    #[command(flatten)]
    rules: RulesArgs,
    #[command(flatten)]
    print: OutputArgs,
    /// The command line as one quoted argument; with `-`, each line of stdin
    #[arg(value_name = "LINE", allow_hyphen_values = true)]
    line: String,
}

/// The options that choose the rules: those of the configuration, where there is one.
#[derive(Debug, Args)]
pub(crate) struct RulesArgs {
    #[command(flatten)]
    config: ConfigArgs<RulesFlags>,
    /// Apply the list for this Airflow version [default: the environment's in the
    /// configuration, else 2.10.3]
    #[arg(long, value_name = "VERSION")]
    airflow_version: Option<AirflowVersion>,
}

config_flags! {
    struct RulesFlags;
    Environment: "Apply this environment's policy",
}

/// The rules of an environment, and the Airflow version that they are applied to.
#[derive(Debug)]
pub(crate) struct PolicyContext {
    pub(crate) version: AirflowVersion,
    environment: Environment,
    /// The rules of the first listener.
    listener: ListenerRules,
    /// Those of additional listeners that serve the environment and restrict it.
    others: Vec<ListenerRules>,
}

impl PolicyContext {
    /// Returns the rules of the first listener and of the environment.
    pub(crate) fn rules(&self) -> CommandPolicy<'_> {
        self.rules_at(&self.listener)
    }

    fn rules_at<'a>(&'a self, listener: &'a ListenerRules) -> CommandPolicy<'a> {
        CommandPolicy::new(&self.environment, Some(listener))
    }
}

impl RulesArgs {
    /// Reads the configuration, and prints which rules of it are used where that is not plain.
    pub(crate) fn load(&self, terminal: &Terminal) -> Result<PolicyContext, ExitStatus> {
        let config = self.config.load(terminal)?;
        let entry = find_environment(&config);
        let environment = match entry {
            Some(entry) => entry.environment.clone(),
            // with MWAA's list and no rules
            None => Environment::new(
                EnvName::new("environment").expect("a DNS label"),
                "environment",
            ),
        };
        let known_version = self.airflow_version.or(environment.airflow_version);
        if let Some(entry) = entry {
            terminal.info(format_rules_note(entry, known_version));
        } else if !config.environments.is_empty() {
            terminal.info(
                "note: MWAA's list applies, because there are several environments; choose one \
                 with -e",
            );
        }

        let version = known_version.unwrap_or(DEFAULT_VERSION);
        let release = find_release(version);
        if release.version() != version {
            terminal.info(format_args!(
                "MWAA has no list for Airflow {version}; the list for {} applies",
                release.version()
            ));
        }

        // listeners of other environments have no part in it
        let serves =
            |only: Option<&EnvName>| only.is_none_or(|only| *only == environment.local);
        let others = config.listeners.iter();
        let others = others
            .filter(|own| serves(own.environment.as_ref()) && own.rules.is_restrictive())
            .map(|own| own.rules.clone());
        Ok(PolicyContext {
            version,
            others: others.collect(),
            listener: config.listener.rules.clone(),
            environment,
        })
    }
}

/// Returns the environment that is named, else the default or only one.
fn find_environment(config: &Config) -> Option<&EnvironmentEntry> {
    match config.environments.as_slice() {
        [only] => Some(only),
        several => several.iter().find(|entry| entry.default),
    }
}

fn format_rules_note(entry: &EnvironmentEntry, version: Option<AirflowVersion>) -> String {
    let environment = &entry.environment;
    let policy = environment.policy.as_str();
    let rules = if entry.configured {
        format!(
            "note: the rules of {} apply: policy {policy}",
            environment.local
        )
    } else {
        let name = &environment.name;
        format!(
            "note: no environment `{name}` is configured; the default rules apply: policy \
             {policy}"
        )
    };

    // the version decides which commands exist, so a guess is named
    match version {
        Some(version) => format!("{rules}, Airflow {version}"),
        None => format!(
            "{rules}, Airflow {DEFAULT_VERSION} (its version is not configured; \
             --airflow-version sets it)"
        ),
    }
}

pub(crate) fn run(args: &ExplainArgs, terminal: &Terminal) -> RunResult {
    let context = args.rules.load(terminal)?;
    explain_lines(&args.line, &context, args.print.output, terminal)
}

/// Explains a line, or with `-` each line of stdin. Fails if a line would be refused.
pub(crate) fn explain_lines(
    line: &str,
    context: &PolicyContext,
    format: OutputFormat,
    terminal: &Terminal,
) -> RunResult {
    if line != "-" {
        return explain_line(line.as_bytes(), context, format, terminal);
    }

    let mut exit = ExitStatus::Success;
    for line in std::io::stdin().lock().split(b'\n') {
        let line = line.map_err(|error| terminal.fail(ExitStatus::Failure, &error, None))?;
        // a line that is refused does not hide the next ones
        if explain_line(&line, context, format, terminal)? != ExitStatus::Success {
            exit = ExitStatus::Failure;
        }
    }
    Ok(exit)
}

fn explain_line(
    line: &[u8],
    context: &PolicyContext,
    format: OutputFormat,
    terminal: &Terminal,
) -> RunResult {
    let explained = ExplainOutput::new(line, context);
    match format {
        // a line each, unlike the JSON of other commands
        OutputFormat::Json => {
            let json = serde_json::to_string(&explained)
                .map_err(|error| terminal.fail(ExitStatus::Failure, &error, None))?;
            terminal.print(format_args!("{json}\n"));
        }
        OutputFormat::Table => terminal.print(explained.format()),
    }

    Ok(match explained.verdict {
        LineStatus::Passes { .. } => ExitStatus::Success,
        LineStatus::Refused(_) => ExitStatus::Failure,
    })
}

/// The explanation of a command line.
#[derive(serde::Serialize)]
struct ExplainOutput {
    #[serde(flatten)]
    verdict: LineStatus,
    /// Further listeners that refuse a line that passes at the first one.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    refused_at: Vec<ListenerRefusal>,
}

#[derive(serde::Serialize)]
#[serde(tag = "verdict", rename_all = "lowercase")]
enum LineStatus {
    Passes {
        /// The command's name.
        command: &'static str,
        /// The options it is given, without values.
        options: Vec<&'static str>,
        /// The line that would be sent.
        line: String,
    },
    Refused(RefusalInfo),
}

#[derive(serde::Serialize)]
struct RefusalInfo {
    code: &'static str,
    detail: String,
    hint: String,
}

#[derive(serde::Serialize)]
struct ListenerRefusal {
    /// The listener's table in the configuration.
    listener: String,
    #[serde(flatten)]
    refusal: RefusalInfo,
}

impl From<PolicyError> for RefusalInfo {
    fn from(error: PolicyError) -> Self {
        Self {
            code: error.code().text,
            detail: error.detail(),
            hint: error.hint().into_owned(),
        }
    }
}

impl ExplainOutput {
    fn new(line: &[u8], context: &PolicyContext) -> Self {
        Self::try_new(line, context).unwrap_or_else(|error| Self {
            verdict: LineStatus::Refused(error.into()),
            refused_at: Vec::new(),
        })
    }

    fn try_new(line: &[u8], context: &PolicyContext) -> Result<Self, PolicyError> {
        let command = Command::read(line)?;
        let allowed = context.rules().check(&command, context.version)?;

        // the first listener and the environment come first: the others can only refuse more
        let refused_at = context.others.iter().filter_map(|listener| {
            let rules = context.rules_at(listener);
            let error = rules.check(&command, context.version).err()?;
            Some(ListenerRefusal {
                listener: listener.table.clone(),
                refusal: error.into(),
            })
        });
        Ok(Self {
            refused_at: refused_at.collect(),
            verdict: LineStatus::Passes {
                command: allowed.name(),
                options: allowed.options().to_vec(),
                line: String::from_utf8_lossy(allowed.line()).into_owned(),
            },
        })
    }

    /// Formats it for people.
    fn format(&self) -> String {
        let format_refusal = |RefusalInfo { code, detail, hint }: &RefusalInfo| {
            format!("{code}: {detail}; {hint}\n")
        };
        let mut text = match &self.verdict {
            LineStatus::Passes { line, .. } => format!("passes   {line}\n"),
            LineStatus::Refused(refusal) => format!("refused  {}", format_refusal(refusal)),
        };

        for ListenerRefusal { listener, refusal } in &self.refused_at {
            let refusal = format_refusal(refusal);
            text.extend(["         but refused at ", listener, ": ", &refusal]);
        }
        text
    }
}

/// The version where none is given or configured.
const DEFAULT_VERSION: AirflowVersion = AirflowVersion::new(2, 10, 3);
