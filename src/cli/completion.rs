//! Shell completion: the scripts that `completions` prints, and `complete`, which they call for the
//! words at the cursor. It asks the running gateway or reads the configuration, and never calls AWS.

use crate::ExitStatus;
use crate::arguments::CliArgs;
use crate::config_args::{ConfigArgs, config_flags};
use crate::running::{EnvironmentSet, run_blocking};
use crate::terminal::Terminal;
use clap::{Args, CommandFactory as _, Parser};
use clap_complete::{ArgValueCandidates, CompletionCandidate, Shell, engine};
use mwaa_app::LocalEnvironment;
use mwaa_model::AirflowVersion;
use mwaa_policy::{SupportStatus, list_commands};
use std::collections::BTreeSet;
use std::ffi::OsString;
use std::time::Duration;

/// Prints a shell's script.
pub(crate) fn print_script(shell: Shell, terminal: &Terminal) -> ExitStatus {
    match shell {
        Shell::Bash => terminal.print(BASH),
        Shell::Fish => terminal.print(FISH),
        Shell::Zsh => terminal.print(ZSH),
        // without names of environments and Airflow commands
        other => {
            let mut script = Vec::new();
            clap_complete::generate(other, &mut visible_command(), "mwaa-gateway", &mut script);
            terminal.print(String::from_utf8_lossy(&script));
        }
    }
    ExitStatus::Success
}

/// Returns the program without its hidden commands, which generated scripts would offer.
fn visible_command() -> clap::Command {
    let all = CliArgs::command();
    let commands = all.get_subcommands().filter(|sub| !sub.is_hide_set());
    clap::Command::new("mwaa-gateway")
        .version(env!("CARGO_PKG_VERSION"))
        .args(all.get_arguments())
        .subcommands(commands.cloned())
}

/// The options of `complete`.
#[derive(Args)]
pub(crate) struct CompleteArgs {
    /// The line so far; its last word, which may be empty, is the one to complete
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    line: Vec<String>,
}

/// Prints the words that may be at the cursor, a line each: the word, and after a tab its help. No
/// lines mean that the shell should offer files.
pub(crate) fn run(args: &CompleteArgs, terminal: &Terminal) -> ExitStatus {
    for candidate in find_candidates(&args.line, load_names) {
        let word = candidate.get_value().display();
        let help = candidate.get_help().map(ToString::to_string);
        // only the first line: a shell shows one line for each word
        match help.as_deref().and_then(|help| help.lines().next()) {
            Some(help) => terminal.print(format_args!("{word}\t{help}\n")),
            None => terminal.print(format_args!("{word}\n")),
        }
    }
    ExitStatus::Success
}

/// Returns the candidates for the last word of a line. `load_names` returns the environments that
/// may be named in this line.
fn find_candidates(
    line: &[String],
    load_names: fn(line: &[String], typed: &str) -> BTreeSet<String>,
) -> Vec<CompletionCandidate> {
    let Some((typed, before)) = line.split_last() else {
        return Vec::new();
    };
    let mut words: Vec<String> = Vec::new();
    for word in before {
        // bash splits `--environment=x` into three words
        let is_option = |word: &String| word.starts_with('-') && word != "--";
        if word != "=" || !words.last().is_some_and(is_option) {
            words.push(word.clone());
        }
    }

    let command_words = airflow_command(&words);
    if !command_words.is_empty() {
        // the program's own options end where the Airflow command begins
        let mut next_words = find_airflow_words(&command_words);
        next_words.retain(|word| word.starts_with(typed));
        return to_candidates(next_words);
    }

    // both are asked for only if they can be at the cursor
    let line = words.clone();
    let typed_name = typed.clone();
    let names = ArgValueCandidates::new(move || to_candidates(load_names(&line, &typed_name)));
    let airflow_words = ArgValueCandidates::new(|| to_candidates(find_airflow_words(&[])));
    let mut command = CliArgs::command().mut_subcommands(|sub| {
        let is_airflow = sub.get_name() == "airflow";
        sub.mut_args(|arg| match arg.get_id().as_str() {
            "environment" => arg.add(names.clone()),
            // `commands` has an argument of this name too
            "command" if is_airflow => arg.add(airflow_words.clone()),
            _ => arg,
        })
    });

    let index = words.len();
    words.push(typed.clone());
    let words = words.into_iter().map(OsString::from).collect();
    let candidates = engine::complete(&mut command, words, index, None);
    let mut candidates = candidates.unwrap_or_default();

    let is_option = |candidate: &CompletionCandidate| {
        candidate.get_value().as_encoded_bytes().starts_with(b"-")
    };
    // an empty word could be any option: they would hide the names
    let has_names = candidates.iter().any(|candidate| !is_option(candidate));
    candidates.retain(|candidate| {
        !candidate.is_hide_set()
            && (!has_names || typed.starts_with('-') || !is_option(candidate))
    });
    candidates
}

fn to_candidates(words: BTreeSet<String>) -> Vec<CompletionCandidate> {
    words.into_iter().map(CompletionCandidate::new).collect()
}

/// Returns the words of the Airflow command in a line that is not complete.
fn airflow_command(line: &[String]) -> Vec<String> {
    let matches = CliArgs::command()
        // the line is not complete: an option may lack its value
        .ignore_errors(true)
        .try_get_matches_from(line);
    let Ok(matches) = matches else {
        return Vec::new();
    };
    let airflow = matches.subcommand_matches("airflow");
    let words = airflow.and_then(|airflow| airflow.get_many::<String>("command"));
    words.into_iter().flatten().cloned().collect()
}

/// Returns the next words of Airflow commands that pass at any version since Airflow 2.
fn find_airflow_words(words: &[String]) -> BTreeSet<String> {
    // a list has every command of its major version
    let latest = [2, 3].map(|major| AirflowVersion::new(major, u16::MAX, u16::MAX));
    let rows = latest.into_iter().flat_map(list_commands);
    rows.filter(|row| row.verdict != SupportStatus::Unsupported)
        .filter_map(|row| {
            let mut rest = row.command.split(' ');
            let is_match = words.iter().all(|word| rest.next() == Some(word));
            is_match.then(|| rest.next())?.map(str::to_owned)
        })
        .collect()
}

/// The options of a line that choose the gateway and the configuration.
#[derive(Debug, Parser)]
struct LineArgs {
    #[command(flatten)]
    config: ConfigArgs<LineFlags>,
}

config_flags! {
    struct LineFlags;
    Management: "The management address of the running gateway",
}

/// Returns the local names of the environments; or MWAA's names, if no local one begins with the
/// typed text.
fn load_names(line: &[String], typed: &str) -> BTreeSet<String> {
    // the other options of the line may be incomplete, or wrong
    let mut args = vec!["mwaa-gateway".to_owned()];
    for option in ["--config", "--management"] {
        let joined = format!("{option}=");
        args.extend(
            line.iter()
                .filter(|word| word.starts_with(&joined))
                .cloned(),
        );
        let pairs = line.windows(2);
        let pairs = pairs.filter(|pair| pair.first().is_some_and(|word| word == option));
        args.extend(pairs.flatten().cloned());
    }

    let config = LineArgs::try_parse_from(args)
        .ok()
        .and_then(|line| line.config.read().ok());
    let Some(config) = config else {
        return BTreeSet::new();
    };

    let running = run_blocking(EnvironmentSet::load(&config, STATUS_TIMEOUT)).ok();
    let list = running
        .flatten()
        .unwrap_or_else(|| EnvironmentSet::from_config(&config));
    let names = |name: fn(&LocalEnvironment) -> &String| -> BTreeSet<String> {
        let names = list.environments.iter().map(name);
        names.filter(|name| is_plain(name)).cloned().collect()
    };

    let locals = names(|one| &one.local);
    if locals.iter().any(|name| name.starts_with(typed)) {
        locals
    } else {
        names(|one| &one.name)
    }
}

/// Returns true for a name that no shell needs to quote.
fn is_plain(name: &str) -> bool {
    let mut bytes = name.bytes();
    bytes.all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
}

/// Words are read line by line and never evaluated. The last function is for an alias:
/// `complete -F _mwaa_gateway_airflow airflow`.
const BASH: &str = r#"_mwaa_gateway_complete() {
    local word
    COMPREPLY=()
    while IFS=$'\t' read -r word _; do
        COMPREPLY+=("$word")
    done < <("$@" 2>/dev/null)
}

_mwaa_gateway() {
    _mwaa_gateway_complete "$1" complete -- "${COMP_WORDS[@]:0:COMP_CWORD}" "$2"
}

_mwaa_gateway_airflow() {
    _mwaa_gateway_complete mwaa-gateway complete -- \
        mwaa-gateway airflow -- "${COMP_WORDS[@]:1:COMP_CWORD-1}" "$2"
}

complete -o bashdefault -o default -F _mwaa_gateway mwaa-gateway
"#;

const ZSH: &str = r#"#compdef mwaa-gateway

_mwaa-gateway() {
    local -a lines
    lines=("${(@f)$("$words[1]" complete -- "${(@)words[1,CURRENT]}" 2>/dev/null)}")
    if [[ -z "$lines" ]]; then
        _files
    else
        compadd -l -d lines -- "${(@)lines%%$'\t'*}"
    fi
}

if [ "$funcstack[1]" = "_mwaa-gateway" ]; then
    _mwaa-gateway "$@"
else
    compdef _mwaa-gateway mwaa-gateway
fi
"#;

const FISH: &str = r#"function __fish_mwaa_gateway_complete
    set -l line (commandline -opc)
    set -l found ($line[1] complete -- $line (commandline -ct) 2>/dev/null)
    if set -q found[1]
        string join \n -- $found
    else
        __fish_complete_path (commandline -ct)
    end
end
complete -c mwaa-gateway -f -a "(__fish_mwaa_gateway_complete)"
"#;

/// A person who presses a key waits no longer for a gateway.
const STATUS_TIMEOUT: Duration = Duration::from_millis(500);

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<String> {
        line.split(' ').map(str::to_owned).collect()
    }

    /// The candidates at the end of the line, where the environments are `prod` and `test`.
    fn found(line: &str) -> Vec<String> {
        let names = |_: &[String], _: &str| ["prod", "test"].map(str::to_owned).into();
        let candidates = find_candidates(&words(line), names);
        let values = candidates.iter().map(CompletionCandidate::get_value);
        values.map(|value| value.display().to_string()).collect()
    }

    #[test]
    fn environments_are_completed_where_one_is_expected() {
        for line in [
            "mwaa-gateway airflow -e ",
            "mwaa-gateway --log debug airflow --environment ",
            "mwaa-gateway airflow --environment = ",
            "mwaa-gateway airflow --output raw -e ",
            "mwaa-gateway serve --environment ",
            "mwaa-gateway open ",
            "mwaa-gateway open --print ",
        ] {
            assert_eq!(found(line), ["prod", "test"], "{line}");
        }
        assert_eq!(found("mwaa-gateway airflow -e t"), ["test"]);
        for (line, first) in [
            ("mwaa-gateway airflow ", "assets"),
            ("mwaa-gateway airflow -- ", "assets"),
            ("mwaa-gateway airflow -e prod -- dags ", "backfill"),
            ("mwaa-gateway airflow -e = prod dags t", "test"),
            ("mwaa-gateway airflow --config=x variables ", "delete"),
        ] {
            assert_eq!(
                found(line).first().map(String::as_str),
                Some(first),
                "{line}"
            );
        }
        for line in [
            "mwaa-gateway airflow --config ",
            "mwaa-gateway open prod te",
            "mwaa-gateway check -- ",
            "mwaa-gateway airflow --config=x dags list -o ",
            "mwaa-gateway airflow -- dags -e ",
            "mwaa-gateway airflow dags list --out",
        ] {
            assert_eq!(found(line), [""; 0], "{line}");
        }
        for line in ["mwaa-gateway open prod ", "mwaa-gateway serve "] {
            assert!(
                found(line).iter().all(|word| word.starts_with('-')),
                "{line}"
            );
        }
    }

    #[test]
    fn commands_and_options_are_those_of_the_program() {
        assert_eq!(found("mwaa-gateway comp"), ["completions"]);
        assert_eq!(found("mwaa-gateway tun"), [""; 0]);
        assert!(found("mwaa-gateway airflow --out").contains(&"--output".to_owned()));
        assert!(found("mwaa-gateway serve --").contains(&"--log-format".to_owned()));
    }

    #[test]
    fn only_words_of_allowed_commands_are_completed() {
        let first = find_airflow_words(&[]);
        assert!(
            first.contains("dags") && first.contains("version"),
            "{first:?}"
        );
        assert!(!first.contains("users"), "{first:?}");
        let dags = find_airflow_words(&words("dags"));
        assert!(
            dags.contains("trigger") && dags.contains("list-runs"),
            "{dags:?}"
        );
        assert!(find_airflow_words(&words("dags list")).is_empty());
        assert!(find_airflow_words(&words("nonsense")).is_empty());
    }
}
