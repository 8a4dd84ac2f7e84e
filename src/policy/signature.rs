//! What a command takes at a release, as people and programs are shown it.

use super::listing::{self, Verdict, listing};
pub use super::option_rows::Takes;
use super::option_rows::{Row, arguments_of};
use super::option_rules::ruling;
use super::release::{Release, release_for};
use crate::names::AirflowVersion;

/// One argument of a command.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Argument {
    /// All spellings of an option, the longest last; the one name of a positional argument.
    pub spellings: Vec<&'static str>,
    /// How many values it takes.
    pub takes: Takes,
    /// Whether Airflow insists on it.
    pub required: bool,
    /// Whether it passes.
    pub verdict: Verdict,
    /// What it does, or why it does not pass.
    pub reason: &'static str,
}

/// A command and what it takes.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Signature {
    /// The command as in the list of all.
    #[serde(flatten)]
    pub command: listing::Row,
    /// Positional arguments in their order, then options by name. `-h/--help` is left out.
    pub arguments: Vec<Argument>,
}

/// The commands that have these words, or begin with them, at a version, with what they take.
pub fn signatures(words: &[String], version: AirflowVersion) -> Vec<Signature> {
    let (release, _) = release_for(version);
    let asked = words.join(" ");
    let group = format!("{asked} ");
    let mut rows = listing(version);
    rows.retain(|row| row.command == asked || row.command.starts_with(&group));
    let with_arguments = |row: listing::Row| Signature {
        arguments: arguments(row.command, release),
        command: row,
    };
    rows.into_iter().map(with_arguments).collect()
}

fn arguments(command: &'static str, release: &Release) -> Vec<Argument> {
    let rows = arguments_of(command);
    let covered = |row: &&Row| row.covers(release);
    let positional = rows.positional.iter().filter(covered).map(|row| Argument {
        spellings: vec![row.name],
        takes: row.takes,
        required: row.required,
        verdict: Verdict::Supported,
        reason: "",
    });
    let options = rows.options.iter().filter(covered).map(|row| {
        let ruling = ruling(command, row.name, release);
        Argument {
            spellings: row.spellings.clone(),
            takes: row.takes,
            required: row.required,
            verdict: match ruling {
                Some(ruling) if !ruling.forbidden => Verdict::Supported,
                _ => Verdict::Unsupported,
            },
            reason: ruling.map_or("", |ruling| ruling.why),
        }
    });
    positional.chain(options).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        text.split(' ').map(str::to_owned).collect()
    }

    #[test]
    fn shows_what_a_command_takes_at_each_release() {
        let show = |version: &str| {
            let found = signatures(
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
        let found = signatures(&words("dags"), AirflowVersion::new(2, 10, 3));
        assert!(
            found.len() > 10 && found.iter().all(|s| s.command.command.starts_with("dags "))
        );
        assert!(signatures(&words("dag"), AirflowVersion::new(2, 10, 3)).is_empty());
        assert!(signatures(&words("users"), AirflowVersion::new(2, 10, 3)).len() > 3);
    }

    #[test]
    fn says_why_an_option_does_not_pass() {
        let found = signatures(&words("dags show"), AirflowVersion::new(2, 10, 3));
        let save = found.iter().flat_map(|signature| &signature.arguments);
        let save: Vec<_> = save.filter(|a| a.spellings.contains(&"--save")).collect();
        assert!(
            matches!(save.as_slice(), [a] if a.verdict == Verdict::Unsupported
                && a.reason == "it writes a file on the web server"),
            "{save:?}"
        );
    }

    /// One spelling means different things.
    #[test]
    fn says_of_each_command_what_its_own_option_does() {
        for (command, version, reason) in [
            ("dags list", "3.3.1", "parses the DAG files"),
            ("dags list-import-errors", "3.3.1", "parses the DAG files"),
            ("jobs check", "2.10.3", "looks at the jobs"),
            ("dags backfill", "2.10.3", "runs the tasks"),
        ] {
            let found = signatures(&words(command), version.parse().expect("a version"));
            let mut all = found.iter().flat_map(|signature| &signature.arguments);
            let local = all.find(|a| a.spellings.contains(&"--local"));
            assert!(
                local.is_some_and(|a| a.reason.starts_with(reason)),
                "{command}: {local:?}"
            );
        }
    }
}
