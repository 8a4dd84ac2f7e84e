//! The permit to send a command to an environment.

use super::Command;
use super::check::{AllowedCommand, CommandPolicy};
use super::repeatable::is_repeatable;
use crate::error::PolicyError;
use bytes::Bytes;
use http::HeaderMap;
use mwaa_model::{AirflowVersion, Entry, ListenerRules, debug_fields};
use std::sync::Arc;

/// The proof that a command may be sent to one environment. Only [`permit_command`] creates one.
pub struct CommandPermit {
    entry: Arc<Entry>,
    allowed: AllowedCommand,
    wants_json: bool,
    may_repeat: bool,
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
    headers: &HeaderMap,
    command: &Command,
    version: AirflowVersion,
) -> Result<CommandPermit, PolicyError> {
    // Nothing of the client's bytes is kept: the line is made of the words that were checked.
    let policy = CommandPolicy::new(&entry.environment, listener);
    let allowed = policy.check(command, version)?;
    let may_repeat = is_repeatable(headers, command, &allowed, version)?;

    Ok(CommandPermit {
        entry: Arc::clone(entry),
        allowed,
        wants_json: wants_json(command.words()),
        may_repeat,
    })
}

/// Returns true for `-o json`, `-ojson`, `--output json`, `--output=json` and argparse's
/// abbreviations of them; the last one counts. It decides only how the output is read.
fn wants_json(words: &[String]) -> bool {
    let mut json = false;
    let mut words = words.iter().map(String::as_str).peekable();
    while let Some(word) = words.next() {
        let value = match word.split_once('=') {
            // All words after it are values.
            _ if word == "--" => break,
            Some((name, value)) if is_output_option(name) => Some(value),
            None if word == "-o" || is_output_option(word) => words.peek().copied(),
            // Glued, or no output option at all.
            _ => word.strip_prefix("-o"),
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

#[cfg(test)]
mod tests {
    #[test]
    fn argparse_s_spellings_are_known() {
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
            let words: Vec<_> = line.split(' ').map(str::to_owned).collect();
            assert_eq!(super::wants_json(&words), json, "{line}");
        }
    }
}
