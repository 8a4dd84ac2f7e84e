//! The permit to send a command to an environment, once, or a second time if the outcome of the first
//! is unknown. Only `dags trigger` with a run id of the client's own may be repeated, and only if
//! Airflow then refuses a second run for sure.

use super::check::{AllowedCommand, CommandPolicy};
use super::{Command, Word};
use crate::error::PolicyError;
use bytes::Bytes;
use mwaa_http1::Headers;
use mwaa_http1::name::MWAA_GATEWAY_REPEATABLE;
use mwaa_model::{AirflowVersion, Entry, ListenerRules, debug_fields};
use std::sync::Arc;

/// The proof that a command may be sent to one environment. Only [`permit_command`] creates one, and a
/// [`KnownCommand`](super::memory::KnownCommand) creates it again.
pub struct CommandPermit {
    pub(super) entry: Arc<Entry>,
    pub(super) allowed: Arc<AllowedCommand>,
    pub(super) wants_json: bool,
    pub(super) may_repeat: bool,
}

debug_fields!(CommandPermit: entry, allowed, wants_json, may_repeat);

impl CommandPermit {
    /// Returns the environment that the command may be sent to.
    pub fn entry(&self) -> &Arc<Entry> {
        &self.entry
    }

    /// Returns the command line to send. A clone of it copies nothing.
    pub fn line(&self) -> &Bytes {
        self.allowed.line()
    }

    /// Returns the command's name without its arguments, for logs.
    pub fn name(&self) -> &'static str {
        self.allowed.name()
    }

    /// Returns the command's options, each by its longest spelling and without its value.
    pub fn options(&self) -> &[&'static str] {
        self.allowed.options()
    }

    /// Returns true if the command asks for its output as JSON.
    pub fn wants_json(&self) -> bool {
        self.wants_json
    }

    /// Returns true if the command may be sent a second time when the outcome of the first is
    /// unknown.
    pub fn may_repeat(&self) -> bool {
        self.may_repeat
    }
}

/// Checks a command against the environment's rules at its version, then against the listener's.
///
/// `headers` are the client's: they may ask for a repeatable command. Returns the permit. Fails
/// with the first reason to refuse the command.
pub fn permit_command(
    entry: &Arc<Entry>,
    listener: Option<&ListenerRules>,
    headers: &Headers,
    command: &Command<'_>,
    version: AirflowVersion,
) -> Result<CommandPermit, PolicyError> {
    // Nothing of the client's bytes is kept: the line is made of the words that were checked.
    let policy = CommandPolicy::new(&entry.environment, listener);
    let allowed = policy.check(command, version)?;
    let may_repeat = is_repeatable(headers, command, &allowed, version)?;

    Ok(CommandPermit {
        entry: Arc::clone(entry),
        allowed: Arc::new(allowed),
        wants_json: wants_json(command.words()),
        may_repeat,
    })
}

/// Returns true for `-o json`, `-ojson`, `--output json`, `--output=json` and argparse's
/// abbreviations of them; the last one counts. It decides only how the output is read.
fn wants_json(words: &[Word<'_>]) -> bool {
    let mut json = false;
    let mut words = words.iter().map(|word| &*word.text).peekable();

    while let Some(word) = words.next() {
        let value = match word {
            // All words after it are values.
            "--" => break,
            "-o" => words.peek().copied(),
            // Glued, or no output option at all.
            _ if !word.starts_with("--") => word.strip_prefix("-o"),
            _ => match word.split_once('=') {
                Some((name, value)) if is_output_option(name) => Some(value),
                None if is_output_option(word) => words.peek().copied(),
                _ => None,
            },
        };
        json = value.map_or(json, |value| value == "json");
    }
    json
}

/// Returns true for `--output` and its abbreviations. Even `--o` abbreviates no other option that
/// takes `json`.
fn is_output_option(name: &str) -> bool {
    name.len() > "--".len() && "--output".starts_with(name)
}

/// Returns true if the client asks for a repeatable command, false if it does not. The header is a
/// boolean (RFC 9651 section 3.3.6).
///
/// Fails if it asks and the command is not repeatable. A client that asked and got no error would
/// rely on it.
pub(super) fn is_repeatable(
    headers: &Headers,
    command: &Command<'_>,
    allowed: &AllowedCommand,
    version: AirflowVersion,
) -> Result<bool, PolicyError> {
    let mut values = headers.get_all(MWAA_GATEWAY_REPEATABLE);
    // Any other value is an error and not a no: the client means something by it.
    let asked = match (values.next(), values.next()) {
        (None | Some(b"?0"), None) => false,
        (Some(b"?1"), None) => true,
        _ => {
            return Err(not_repeatable(
                "Mwaa-Gateway-Repeatable must be ?1 or ?0, and be sent once",
                "send ?1, or remove the header",
            ));
        }
    };

    if asked {
        check_run_id(command.words(), allowed)?;
        check_run_date(allowed, version)?;
    }
    Ok(asked)
}

/// Fails if the command is not a trigger with a run id of its own.
fn check_run_id(words: &[Word<'_>], allowed: &AllowedCommand) -> Result<(), PolicyError> {
    // The option has had two spellings, each the longest of its release.
    let run_id = match allowed.name() {
        "dags trigger" => "--run-id",
        "trigger_dag" => "--run_id",
        _ => {
            return Err(not_repeatable(
                "only `dags trigger` can be retried safely",
                "remove the header: this command is never retried",
            ));
        }
    };
    if !allowed.options().contains(&run_id) {
        return Err(not_repeatable(
            "the command has no run id, so a retry would create a second run",
            "add --run-id with a unique id",
        ));
    }

    // Airflow replaces an empty run id by one that it generates.
    let is_empty =
        |word: &str| word.is_empty() || (word.starts_with('-') && word.ends_with('='));
    if words.iter().any(|word| is_empty(&word.text)) {
        return Err(not_repeatable(
            "an empty argument could be the run id",
            "remove empty arguments",
        ));
    }
    Ok(())
}

/// Fails if Airflow could take the run of another trigger for this one because of its date.
///
/// Airflow 2.2 to 2.11 find an existing run by its id or its date (`DagRun.find_duplicate`), and
/// drop the fraction of a second of the date. All others find it by its id.
fn check_run_date(
    allowed: &AllowedCommand,
    version: AirflowVersion,
) -> Result<(), PolicyError> {
    // From 2.1 on, to be safe: MWAA has no release between 2.0.2 and 2.2.2.
    let finds_by_date =
        (AirflowVersion::new(2, 1, 0)..AirflowVersion::new(3, 0, 0)).contains(&version);
    if !finds_by_date {
        return Ok(());
    }

    if allowed.options().contains(&"--exec-date") {
        return Err(not_repeatable(
            "this Airflow version treats runs with the same date as the same run",
            "remove --exec-date",
        ));
    }
    if !allowed.options().contains(&"--no-replace-microseconds") {
        return Err(not_repeatable(
            "this Airflow version treats runs of the same second as the same run",
            "add --no-replace-microseconds, which Airflow has since 2.6",
        ));
    }
    Ok(())
}

fn not_repeatable(detail: &'static str, hint: &'static str) -> PolicyError {
    PolicyError::NotRepeatable { detail, hint }
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_argparse_spelling_of_output_json_is_recognised() {
        for (line, json) in [
            ("dags list -o json", true),
            ("dags list -ojson", true),
            ("dags list --output json", true),
            ("dags list --output=json", true),
            ("dags list --out json", true),
            ("dags list --outp=json -v", true),
            ("dags list -o json -o yaml", false),
            ("dags list -o yaml -o json", true),
            ("dags list", false),
            ("dags list -o", false),
            ("dags list --outputs json", false),
            ("variables set key -- -o json", false),
            ("variables set key json", false),
        ] {
            let words = super::super::split_words(line).expect("words");
            assert_eq!(super::wants_json(&words), json, "{line}");
        }
    }
}

#[cfg(test)]
mod repeatable_tests {
    use super::super::check::Rules;
    use super::*;
    use mwaa_model::Fault as _;

    fn asked(header: &[&str], line: &str, version: &str) -> Result<bool, PolicyError> {
        let mut headers = Headers::new();
        for value in header {
            headers.append(MWAA_GATEWAY_REPEATABLE, value);
        }
        let version = version.parse().unwrap();
        let command = Command::read(line.as_bytes()).unwrap();
        let allowed = Rules::default().check(&command, version).unwrap();
        is_repeatable(&headers, &command, &allowed, version)
    }

    #[test]
    fn every_form_of_a_run_id_is_recognised() {
        for line in [
            "dags trigger x --run-id r",
            "dags trigger x --run-id=r",
            "dags trigger x --run r",
            "dags trigger x --ru=r",
            "dags trigger x -r r",
            "dags trigger x -rr",
            "dags trigger x -r=r",
            "dags trigger -r r -- x",
            "airflow dags trigger --run-id r x --conf '{\"a\": \"=\"}'",
        ] {
            assert_eq!(asked(&["?1"], line, "3.0.6"), Ok(true), "{line}");
            assert_eq!(asked(&[], line, "3.0.6"), Ok(false), "{line}");
            assert_eq!(asked(&["?0"], line, "3.0.6"), Ok(false), "{line}");
        }
        assert_eq!(asked(&["?1"], "trigger_dag x -r r", "1.10.12"), Ok(true));
        assert_eq!(asked(&["?1"], "dags trigger x -r r", "2.0.2"), Ok(true));
    }

    #[test]
    fn a_command_that_could_start_a_second_run_is_not_repeatable() {
        for (line, version) in [
            ("version", "3.0.6"),
            ("dags list", "3.0.6"),
            ("dags trigger x", "3.0.6"),
            ("dags trigger x -- --run-id r", "3.0.6"),
            ("dags trigger x --run-id ''", "3.0.6"),
            ("dags trigger x --run-id=", "3.0.6"),
            ("dags trigger x --run-id= --run-id r", "3.0.6"),
            ("dags trigger x -r=", "3.0.6"),
            ("dags trigger x -r ''", "3.0.6"),
            ("dags trigger x -r r --conf ''", "3.0.6"),
            ("trigger_dag x", "1.10.12"),
            ("dags trigger x -r r", "2.10.3"),
            (
                "dags trigger x -r r --no-replace-microseconds -e 2024-01-01",
                "2.10.3",
            ),
        ] {
            let error = asked(&["?1"], line, version).unwrap_err();
            assert_eq!(error.code().text, "policy.not_repeatable", "{line}");
        }
        let sure = "dags trigger x -r r --no-replace-microseconds";
        assert_eq!(asked(&["?1"], sure, "2.10.3"), Ok(true));
    }

    #[test]
    fn the_header_is_a_boolean() {
        for header in [
            &["1"][..],
            &["true"],
            &["?1", "?1"],
            &["?1, ?1"],
            &[""],
            &["?1;a"],
        ] {
            let error = asked(header, "dags trigger x -r r", "3.0.6").unwrap_err();
            assert_eq!(error.code().text, "policy.not_repeatable", "{header:?}");
        }
    }
}
