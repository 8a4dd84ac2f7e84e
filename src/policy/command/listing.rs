//! The commands and their arguments as people and programs are shown them: MWAA's list, and the
//! list that the rules of an environment and a listener make of it.

use super::check::CommandPolicy;
use super::check::Rules;
use super::{Command, hints};
use crate::error::PolicyError;
use crate::tables::arguments::{ArgumentEntry, ValueKind};
use crate::tables::commands::{
    CommandClass, CommandEntry, CommandStatus, ReleaseSpan, command_table,
};
use crate::tables::commands::{Release, find_release};
use crate::tables::find_alternative;
use mwaa_model::{AirflowVersion, Policy};

/// The verdict about a command or an argument.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum SupportStatus {
    /// It passes.
    Supported,
    /// It passes, but may fail for a known reason.
    Conditional,
    /// It does not pass.
    Unsupported,
}

/// One command of a release.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct CommandInfo {
    /// The command's words.
    pub command: &'static str,
    /// The verdict: by MWAA's list, or by the rules.
    pub verdict: SupportStatus,
    /// Its effect on the environment.
    pub class: CommandClass,
    /// The reason why it passes or not, with its other name if it has one.
    pub reason: String,
    /// The first release of this major that runs (or, if MWAA never runs it, has) the command.
    pub first: String,
    /// The last such release of this major.
    pub last: String,
    /// A note about the command; may be empty.
    pub note: &'static str,
}

/// One argument of a command.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct ArgumentInfo {
    /// All spellings of an option, the longest last; the one name of a positional argument.
    pub spellings: Vec<&'static str>,
    /// The number of values.
    pub takes: ValueKind,
    /// True if Airflow needs it.
    pub required: bool,
    /// The verdict about the argument.
    pub verdict: SupportStatus,
    /// A description of its effect, or the reason why it may not be given.
    pub reason: &'static str,
}

/// A command and its arguments.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Signature {
    /// The command as in the list of all.
    #[serde(flatten)]
    pub command: CommandInfo,
    /// Positional arguments in their order, then options by name, without `-h/--help`.
    pub arguments: Vec<ArgumentInfo>,
}

/// Returns every command of the version's major by MWAA's list, sorted by name.
pub fn list_commands(version: AirflowVersion) -> Vec<CommandInfo> {
    let release = find_release(version);
    let major = release.version().major;
    let entries = command_table().entries();
    entries
        .filter_map(|entry| Some(CommandInfo::new(entry, entry.get_span(major)?, release)))
        .collect()
}

impl CommandPolicy<'_> {
    /// Returns every command of the version's major, with the verdict of these rules.
    pub fn list_commands(&self, version: AirflowVersion) -> Vec<CommandInfo> {
        let commands = list_commands(version).into_iter();
        commands.map(|info| self.apply(info, version)).collect()
    }

    /// Returns the command with these words, or those that begin with them, with their arguments
    /// and the verdict of these rules.
    pub fn find_signatures(&self, words: &[String], version: AirflowVersion) -> Vec<Signature> {
        let mut found = find_signatures(words, version);
        for signature in &mut found {
            let command = signature.command.command;
            for argument in &mut signature.arguments {
                if self.is_option_allowed(command, argument) {
                    argument.verdict = SupportStatus::Supported;
                }
            }
            signature.command = self.apply(signature.command.clone(), version);
        }
        found
    }

    /// Returns the command with the verdict of these rules: MWAA's list is only where they start.
    fn apply(&self, info: CommandInfo, version: AirflowVersion) -> CommandInfo {
        // The bare command is checked, as a client would send it.
        let words: Vec<_> = info.command.split(' ').map(str::to_owned).collect();
        let Ok(command) = Command::from_words(&words) else {
            return info;
        };

        match self.check(&command, version) {
            // MWAA's list says more about the reason than the error does.
            Err(PolicyError::Unsupported { .. }) => info,
            Err(
                error @ (PolicyError::ForbiddenCommand { .. } | PolicyError::AtListener { .. }),
            ) => CommandInfo {
                verdict: SupportStatus::Unsupported,
                reason: error.to_string(),
                ..info
            },
            // Any other error is about the arguments, of which there are none here.
            Ok(_) | Err(_) if info.verdict == SupportStatus::Unsupported => CommandInfo {
                verdict: SupportStatus::Supported,
                reason: format!("allowed by the rules; {}", info.reason),
                ..info
            },
            Ok(_) | Err(_) => info,
        }
    }

    /// Returns true if both sets of rules allow the option.
    fn is_option_allowed(&self, command: &str, argument: &ArgumentInfo) -> bool {
        // Rules name an option by its longest spelling.
        let name = argument.spellings.last().copied().unwrap_or_default();
        let allows = |rules: &Rules<'_>| {
            rules.policy == Policy::All || rules.is_option_allowed(command, name)
        };
        allows(&self.environment) && self.listener.as_ref().is_none_or(allows)
    }
}

impl CommandInfo {
    fn new(entry: &'static CommandEntry, span: ReleaseSpan, release: &Release) -> Self {
        let (verdict, reason) = match entry.status(release) {
            CommandStatus::Supported => (SupportStatus::Supported, "on MWAA's list".to_owned()),
            CommandStatus::SupportedWithoutPlugins => (
                SupportStatus::Conditional,
                "fails if a DAG needs a plugin or package that the web server lacks".to_owned(),
            ),
            CommandStatus::OtherReleases if release.version() < span.first => (
                SupportStatus::Unsupported,
                format!("on MWAA's list since {}", span.first),
            ),
            CommandStatus::OtherReleases => (
                SupportStatus::Unsupported,
                format!("on MWAA's list up to {}", span.last),
            ),
            CommandStatus::Unlisted => (
                SupportStatus::Unsupported,
                describe_unlisted(entry, release),
            ),
        };

        Self {
            command: entry.command,
            verdict,
            class: entry.class,
            reason,
            first: span.first.to_string(),
            last: span.last.to_string(),
            note: entry.note,
        }
    }
}

/// Returns the reason why MWAA does not list a command, with its new name if it was renamed.
fn describe_unlisted(entry: &CommandEntry, release: &Release) -> String {
    // An old name gets the reason of its current name.
    let renamed = hints::find_other_name(entry.command, release);
    let current = renamed
        .and_then(|new| command_table().get(new))
        .unwrap_or(entry);

    let alternative = find_alternative(current.command);
    let reason = alternative
        .filter(|_| current.unlisted_kind == "file-io")
        .unwrap_or_else(|| hints::unlisted_reason(current.unlisted_kind));
    match renamed {
        Some(new) => format!("{reason}; it is now `{new}`"),
        None => reason.to_owned(),
    }
}

/// Returns the command with these words, or those that begin with them, with their arguments.
fn find_signatures(words: &[String], version: AirflowVersion) -> Vec<Signature> {
    let release = find_release(version);
    let name = words.join(" ");
    let group = format!("{name} ");

    list_commands(version)
        .into_iter()
        .filter(|info| info.command == name || info.command.starts_with(&group))
        .map(|info| Signature {
            arguments: list_arguments(info.command, release),
            command: info,
        })
        .collect()
}

fn list_arguments(command: &str, release: &Release) -> Vec<ArgumentInfo> {
    let Some(CommandEntry { arguments, .. }) = command_table().get(command) else {
        return Vec::new();
    };
    let in_release = |entry: &&ArgumentEntry| entry.is_in(release);

    let positional = arguments.positional.iter().filter(in_release);
    let positional = positional.map(|entry| ArgumentInfo {
        spellings: vec![entry.name],
        takes: entry.takes,
        required: entry.required,
        verdict: SupportStatus::Supported,
        reason: "",
    });
    let options = arguments.options.iter().filter(in_release).map(|entry| {
        let rule = entry.find_rule(release);
        ArgumentInfo {
            spellings: entry.spellings.clone(),
            takes: entry.takes,
            required: entry.required,
            // Without a rule an option is unsupported: no one has decided that it may pass.
            verdict: match rule {
                Some(rule) if !rule.forbidden => SupportStatus::Supported,
                _ => SupportStatus::Unsupported,
            },
            reason: rule.map_or("", |rule| rule.reason),
        }
    });
    positional.chain(options).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use mwaa_model::{EnvName, Environment, ListenerRules};

    const VERSION: AirflowVersion = AirflowVersion::new(2, 10, 3);

    fn rules(list: &[&str]) -> Vec<Vec<String>> {
        let split = |text: &&str| text.split(' ').map(str::to_owned).collect();
        list.iter().map(split).collect()
    }

    fn environment() -> Environment {
        Environment::new(EnvName::new("prod").unwrap(), "prod")
    }

    fn words(text: &str) -> Vec<String> {
        text.split(' ').map(str::to_owned).collect()
    }

    #[test]
    fn without_rules_the_list_equals_mwaa_s() {
        let environment = environment();
        let open = ListenerRules::allow_all("listener");
        for listener in [None, Some(&open)] {
            let policy = CommandPolicy::new(&environment, listener);
            for version in [VERSION, AirflowVersion::new(3, 0, 6)] {
                assert_eq!(policy.list_commands(version), list_commands(version));
                let dags = ["dags".to_owned()];
                assert_eq!(
                    policy.find_signatures(&dags, version),
                    find_signatures(&dags, version)
                );
            }
        }
    }

    #[test]
    fn environment_and_listener_rules_change_the_list() {
        let environment = Environment {
            policy: Policy::Operator,
            allow: rules(&["pools set", "dags list --subdir"]),
            deny: rules(&["dags trigger"]),
            ..environment()
        };
        let listener = ListenerRules {
            deny: rules(&["dags pause"]),
            ..ListenerRules::allow_all("listeners.agents")
        };
        let policy = CommandPolicy::new(&environment, Some(&listener));
        let rows = policy.list_commands(VERSION);
        for (command, verdict, reason) in [
            ("dags list", SupportStatus::Supported, "on MWAA's list"),
            (
                "pools set",
                SupportStatus::Supported,
                "allowed by the rules; ",
            ),
            ("pools list", SupportStatus::Unsupported, ""),
            ("dags trigger", SupportStatus::Unsupported, "deny list"),
            (
                "variables set",
                SupportStatus::Unsupported,
                "policy \"operator\"",
            ),
            (
                "dags pause",
                SupportStatus::Unsupported,
                "[listeners.agents]",
            ),
        ] {
            let row = rows.iter().find(|row| row.command == command).unwrap();
            assert_eq!(row.verdict, verdict, "{row:?}");
            assert!(row.reason.contains(reason), "{row:?}");
        }
        let found = policy.find_signatures(&["dags".to_owned(), "list".to_owned()], VERSION);
        let subdir = found[0]
            .arguments
            .iter()
            .find(|argument| argument.spellings.contains(&"--subdir"));
        assert_eq!(subdir.unwrap().verdict, SupportStatus::Supported);
    }

    #[test]
    fn the_list_gives_a_reason_for_each_refused_command() {
        let rows = list_commands(AirflowVersion::new(2, 2, 2));
        let find = |command| rows.iter().find(|row| row.command == command);
        let show = |command| {
            let row = find(command).expect("a row");
            (
                row.verdict,
                row.reason.as_str(),
                row.first.as_str(),
                row.last.as_str(),
            )
        };
        let list = "on MWAA's list";
        assert_eq!(
            show("dags trigger"),
            (SupportStatus::Supported, list, "2.0.2", "2.11.2")
        );
        let later = "on MWAA's list since 2.4.3";
        assert_eq!(
            show("db clean"),
            (SupportStatus::Unsupported, later, "2.4.3", "2.11.2")
        );
        let identity = "MWAA takes users and roles from IAM";
        assert_eq!(
            show("users list"),
            (SupportStatus::Unsupported, identity, "2.0.2", "2.11.2")
        );
        let import = show("variables import").1;
        assert!(
            import.contains("`mwaa-gateway airflow -- variables import FILE`"),
            "{import}"
        );
        assert!(find("trigger_dag").is_none() && find("backfill create").is_none());
        assert!(rows.is_sorted_by(|a, b| a.command < b.command));

        let rows = list_commands(AirflowVersion::new(2, 0, 2));
        let dags_list = rows
            .iter()
            .find(|row| row.command == "dags list")
            .expect("a row");
        assert_eq!(dags_list.verdict, SupportStatus::Conditional);
    }

    #[test]
    fn a_signature_has_the_arguments_of_the_release() {
        let show = |version: &str| {
            let found = find_signatures(
                &words("dags list-runs"),
                version.parse().expect("a version"),
            );
            let [signature] = found.as_slice() else {
                panic!("{found:?}");
            };
            let arguments = signature.arguments.iter();
            arguments
                .map(|a| format!("{} {:?} {}", a.spellings.join("/"), a.takes, a.required))
                .collect::<Vec<_>>()
        };
        assert!(show("2.10.3").contains(&"-d/--dag-id Value true".to_owned()));
        let later = show("3.0.6");
        assert_eq!(later.first().map(String::as_str), Some("DAG_ID Value true"));
        assert!(!later.iter().any(|argument| argument.contains("--dag-id")));
    }

    #[test]
    fn a_group_shows_all_of_its_commands() {
        let found = find_signatures(&words("dags"), AirflowVersion::new(2, 10, 3));
        assert!(
            found.len() > 10 && found.iter().all(|s| s.command.command.starts_with("dags "))
        );
        assert!(find_signatures(&words("dag"), AirflowVersion::new(2, 10, 3)).is_empty());
        assert!(find_signatures(&words("users"), AirflowVersion::new(2, 10, 3)).len() > 3);
    }

    #[test]
    fn a_refused_option_has_a_reason() {
        let found = find_signatures(&words("dags show"), AirflowVersion::new(2, 10, 3));
        let save = found.iter().flat_map(|signature| &signature.arguments);
        let save: Vec<_> = save.filter(|a| a.spellings.contains(&"--save")).collect();
        assert!(
            matches!(save.as_slice(), [a] if a.verdict == SupportStatus::Unsupported
                && a.reason == "it writes a file on the web server"),
            "{save:?}"
        );
    }

    /// One spelling means different things.
    #[test]
    fn the_reason_for_an_option_depends_on_the_command() {
        for (command, version, reason) in [
            ("dags list", "3.3.1", "parses the DAG files"),
            ("dags list-import-errors", "3.3.1", "parses the DAG files"),
            ("jobs check", "2.10.3", "looks at the jobs"),
            ("dags backfill", "2.10.3", "runs the tasks"),
        ] {
            let found = find_signatures(&words(command), version.parse().expect("a version"));
            let mut all = found.iter().flat_map(|signature| &signature.arguments);
            let local = all.find(|a| a.spellings.contains(&"--local"));
            assert!(
                local.is_some_and(|a| a.reason.starts_with(reason)),
                "{command}: {local:?}"
            );
        }
    }
}
