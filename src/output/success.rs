//! Determines if a command succeeded. MWAA sends no exit code, and some versions answer 200 for
//! commands that failed: then only the texts say. The documents have the rules as a table, and
//! `outcomes.csv` the known texts with which Airflow's commands end.
//!
//! The columns of that file: the commands (all, a group, or one), the stream (`none`: nothing was
//! printed at all), the outcome, the releases where it was seen, the place in Airflow's source, and
//! the text. In the text `*` matches anything. The text is the end of its stream, from the start of
//! a line, after warnings and log lines were removed. The first entry that matches counts.

use super::log_lines::{CleanOutput, OutputKind};
use super::{CommandFacts, SuccessStatus, traceback};
use http::StatusCode;
use std::sync::LazyLock;

/// Determines if the command succeeded, and returns the reason with it. The reason has no
/// arguments of the command; `None` means that nothing spoke against success.
pub(super) fn determine_success(
    facts: &CommandFacts,
    status: StatusCode,
    stdout: &str,
    stderr: &str,
) -> (SuccessStatus, Option<String>) {
    let errors = CleanOutput::new(stderr, OutputKind::Command);
    let exception = find_exception(&errors);

    // 1. The run that a command was to create exists: the first of its two requests created it.
    if facts.repeated && exception.is_some_and(is_existing_run) {
        return (SuccessStatus::Yes, Some(RUN_EXISTS.to_owned()));
    }

    // 2. The status, an exception, or a known text on standard error.
    if !status.is_success() {
        let reason = format!("status {}", status.as_u16());
        return (SuccessStatus::No, Some(reason));
    }
    if let Some(exception) = exception {
        let reason = format!("stderr: {}", to_class_name(exception));
        return (SuccessStatus::No, Some(reason));
    }
    if let Some(entry) = find_outcome(facts.command, Stream::Stderr, &errors.text) {
        return entry.to_success("stderr");
    }

    // 3. Neither says: the output itself has to.
    determine_from_output(facts.command, stdout, &errors)
}

/// Determines the success of a command whose status and standard error show no known failure.
fn determine_from_output(
    command: &str,
    stdout: &str,
    errors: &CleanOutput,
) -> (SuccessStatus, Option<String>) {
    let output = CleanOutput::new(stdout, OutputKind::Command);
    let is_silent = output.text.trim().is_empty();
    // an unknown text on standard error: a plugin's, or a failure's
    if !errors.text.trim().is_empty() {
        return if is_silent || has_failure_words(&errors.text) {
            (
                SuccessStatus::Unknown,
                Some("stderr: unknown text".to_owned()),
            )
        } else {
            (SuccessStatus::Yes, None)
        };
    }

    // any output that is no known failure is success
    if !is_silent {
        return match find_outcome(command, Stream::Stdout, &output.text) {
            Some(entry) => entry.to_success("stdout"),
            None => (SuccessStatus::Yes, None),
        };
    }

    // silence is success for the commands that are known to print nothing
    if has_logged_traceback(errors) {
        return (
            SuccessStatus::Unknown,
            Some("stderr: logged error".to_owned()),
        );
    }
    if stdout.trim().is_empty() && find_outcome(command, Stream::Neither, "").is_none() {
        return (SuccessStatus::Unknown, Some("no output".to_owned()));
    }
    (SuccessStatus::Yes, None)
}

/// Returns the last line of the traceback with which the program ended.
fn find_exception(errors: &CleanOutput) -> Option<&str> {
    let lines: Vec<&str> = errors.text.lines().collect();
    traceback::find_uncaught(&lines)
}

/// Returns true if Airflow refused a trigger because its run exists. The class is the same in all
/// versions.
fn is_existing_run(exception: &str) -> bool {
    exception.starts_with("airflow.exceptions.DagRunAlreadyExists: ")
        && exception.contains(" already exists for ")
}

/// Returns the exception's class: its message may contain arguments of the command.
fn to_class_name(exception: &str) -> &str {
    if traceback::is_exception(exception) {
        exception.split(':').next().unwrap_or_default()
    } else {
        "traceback"
    }
}

/// Returns true if the log on standard error ends in a traceback: an uncaught exception right
/// after a log line looks the same.
fn has_logged_traceback(errors: &CleanOutput) -> bool {
    let last = errors.messages.last();
    last.is_some_and(|last| last.contains("\nTraceback (most recent call last):\n"))
}

/// Returns true if the last line sounds like a failure.
fn has_failure_words(text: &str) -> bool {
    // programs print the failure last; earlier lines may be about something that was tried again
    let last = text.trim_end().lines().next_back().unwrap_or_default();
    let lower = last.to_ascii_lowercase();
    traceback::is_exception(last) && last.contains("Error")
        || FAILURE_WORDS.iter().any(|word| lower.contains(word))
}

/// The stream of an entry's text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stream {
    /// None: the entry is about commands that print nothing.
    Neither,
    Stderr,
    Stdout,
}

/// An entry of `outcomes.csv`.
#[derive(Debug)]
struct OutcomeEntry {
    commands: &'static str,
    stream: Stream,
    succeeded: SuccessStatus,
    text: &'static str,
}

impl OutcomeEntry {
    /// Parses a line; `None` if it is malformed.
    fn parse(line: &'static str) -> Option<Self> {
        let mut fields = line.splitn(6, ',');
        let commands = fields.next()?;
        let stream = match fields.next()? {
            "none" => Stream::Neither,
            "stderr" => Stream::Stderr,
            "stdout" => Stream::Stdout,
            _ => return None,
        };
        let succeeded = match fields.next()? {
            "failed" => SuccessStatus::No,
            "unknown" => SuccessStatus::Unknown,
            "worked" => SuccessStatus::Yes,
            _ => return None,
        };

        // after the releases and the place in Airflow's source
        let text = fields.nth(2)?;
        Some(Self {
            commands,
            stream,
            succeeded,
            text,
        })
    }

    /// Returns the status and the reason of a command whose output matches the entry.
    fn to_success(&self, stream: &str) -> (SuccessStatus, Option<String>) {
        let reason = match self.succeeded {
            SuccessStatus::No => Some(format!("{stream}: {}", self.text)),
            SuccessStatus::Unknown => Some(format!("{stream}: unknown text")),
            SuccessStatus::Yes => None,
        };
        (self.succeeded, reason)
    }

    /// Returns true if the entry is about the command: `variables` includes `variables get`.
    fn matches_command(&self, command: &str) -> bool {
        self.commands == "*"
            || command
                .strip_prefix(self.commands)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with(' '))
    }
}

/// Returns the entry that matches the end of the command's stream.
fn find_outcome(command: &str, stream: Stream, text: &str) -> Option<&'static OutcomeEntry> {
    let text = text.trim_end();
    OUTCOMES
        .iter()
        .filter(|entry| entry.stream == stream && entry.matches_command(command))
        .find(|entry| matches_end(text, entry.text))
}

/// Returns true if the text ends, from the start of one of its lines, as the pattern says.
fn matches_end(text: &str, pattern: &str) -> bool {
    let Some((first, rest)) = pattern.split_once('*') else {
        let before = text.strip_suffix(pattern);
        return before.is_some_and(|before| before.is_empty() || before.ends_with('\n'));
    };

    // a star matches lines too: if the pattern matches from a later line, it does so from the
    // first that begins like it, and the text is not searched once for each of its lines
    let rest_of_text = text.strip_prefix(first).or_else(|| {
        memchr::memmem::find(text.as_bytes(), format!("\n{first}").as_bytes())
            .and_then(|at| text.get(at + 1 + first.len()..))
    });
    let parts: Vec<&str> = rest.split('*').collect();
    rest_of_text.is_some_and(|text| matches_parts(text, &parts))
}

/// Returns true if the parts between the stars occur in this order, the last one at the end.
fn matches_parts(text: &str, parts: &[&str]) -> bool {
    let Some((last, between)) = parts.split_last() else {
        return text.is_empty();
    };
    let mut rest = text;
    // the first occurrence of each part leaves the most text for the others
    for part in between {
        match rest.split_once(part) {
            Some((_, after)) => rest = after,
            None => return false,
        }
    }
    rest.ends_with(last)
}

static OUTCOMES: LazyLock<Vec<OutcomeEntry>> = LazyLock::new(|| {
    CSV.lines()
        .skip(1)
        .filter_map(OutcomeEntry::parse)
        .collect()
});

const CSV: &str = include_str!("outcomes.csv");
/// The reason for success of a second request that Airflow refused.
const RUN_EXISTS: &str = "sent twice: the run exists, so the first attempt succeeded";
/// Words of failures.
const FAILURE_WORDS: &[&str] = &[
    "aborted",
    "cannot",
    "can't",
    "could not",
    "denied",
    "does not exist",
    "error",
    "exception",
    "failed",
    "invalid",
    "killed",
    "missing",
    "not found",
    "segmentation fault",
];

#[cfg(test)]
mod tests {
    use super::*;

    fn determine(
        command: &'static str,
        status: StatusCode,
        stdout: &str,
        stderr: &str,
    ) -> (SuccessStatus, Option<String>) {
        let facts = CommandFacts {
            command,
            json: false,
            version: mwaa_model::AirflowVersion::new(2, 10, 5),
            repeated: false,
        };
        determine_success(&facts, status, stdout, stderr)
    }

    fn determined(command: &'static str, stdout: &str, stderr: &str) -> SuccessStatus {
        determine(command, StatusCode::OK, stdout, stderr).0
    }

    #[test]
    fn reasons_contain_no_arguments() {
        let stderr = "Traceback (most recent call last):\n  File\nKeyError: 'hunter2'\n";
        let (_, reason) = determine("variables set", StatusCode::OK, "", stderr);
        assert_eq!(reason.as_deref(), Some("stderr: KeyError"));
        let (_, reason) = determine(
            "variables get",
            StatusCode::OK,
            "",
            "Variable hunter2 does not exist\n",
        );
        assert_eq!(
            reason.as_deref(),
            Some("stderr: Variable * does not exist*")
        );
        let (_, reason) = determine("version", StatusCode::BAD_REQUEST, "2", "");
        assert_eq!(reason.as_deref(), Some("status 400"));
    }

    #[test]
    fn output_before_a_failure_does_not_hide_it() {
        let stderr = "Traceback (most recent call last):\n  File\nEOFError: EOF\n";
        assert_eq!(
            determined("tasks clear", "Are you sure? [y/n]\n", stderr),
            SuccessStatus::No
        );
        assert_eq!(
            determined("dags test", "a lot\n", "DagRun failed\n"),
            SuccessStatus::No
        );
        assert_eq!(
            determined("roles add-perms", "x\nRole named 'a' does not exist\n", ""),
            SuccessStatus::No
        );
    }

    #[test]
    fn without_a_known_text_the_success_is_unknown() {
        assert_eq!(determined("version", "", ""), SuccessStatus::Unknown);
        assert_eq!(determined("tasks clear", "", ""), SuccessStatus::Yes);
        assert_eq!(
            determined("version", "", "never seen\n"),
            SuccessStatus::Unknown
        );
        assert_eq!(
            determined("version", "2\n", "ValueError: x\n"),
            SuccessStatus::Unknown
        );
        assert_eq!(
            determined("version", "2\n", "Killed\n"),
            SuccessStatus::Unknown
        );
        let logged = "[2026-11-22T08:45:55.055+0000] {a.py:1} ERROR - x\n\
            Traceback (most recent call last):\n  File\nKeyError: 'a'\n";
        assert_eq!(
            determined("tasks clear", "", logged),
            SuccessStatus::Unknown
        );
    }

    #[test]
    fn a_log_message_is_not_a_failure() {
        let warning = "/a/b.py:3: DeprecationWarning: old error\n  raise Error\n";
        assert_eq!(determined("version", "2\n", warning), SuccessStatus::Yes);
        assert_eq!(
            determined("version", "2\n", "loading plugin\n"),
            SuccessStatus::Yes
        );
        assert_eq!(
            determined("variables get", "Traceback (most recent call last):\n", ""),
            SuccessStatus::Yes
        );
        let ignored = "Exception ignored in: <x>\nTraceback (most recent call last):\n  File\nOSError: 1\n";
        assert_ne!(determined("version", "2\n", ignored), SuccessStatus::No);
    }

    #[test]
    fn every_entry_of_the_table_is_parsed_and_matched() {
        assert_eq!(OUTCOMES.len(), CSV.lines().count() - 1);
        for entry in OUTCOMES
            .iter()
            .filter(|entry| entry.stream != Stream::Neither)
        {
            let text = entry.text.replace('*', "some");
            let command = entry.commands.replace('*', "version");
            let found = find_outcome(&command, entry.stream, &format!("before\n{text}\n"));
            assert_eq!(
                found.map(|entry| entry.succeeded),
                Some(entry.succeeded),
                "{entry:?}"
            );
        }
    }

    #[test]
    fn a_text_matches_from_a_line_start_to_the_end_of_its_stream() {
        let known = |command, text| find_outcome(command, Stream::Stderr, text).is_some();
        assert!(known("variables get", "Variable k does not exist\n"));
        assert!(known(
            "variables get",
            "Variable two\nlines does not exist."
        ));
        assert!(!known("variables get", "x Variable k does not exist"));
        assert!(!known("variables", "Variable k does not exist"));
        assert!(!known("dags list", "Variable k does not exist"));
        assert!(known(
            "other",
            "\nairflow command error: x, see help above.\n"
        ));
        assert!(!known(
            "other",
            "airflow command error: x, see help above.\nmore"
        ));
        assert!(known("dags test", "DagRun failed"));
        assert!(!known("dags test", "DagRun failed once"));
        assert!(!known("dags test", "x DagRun failed"));
        let two = "Variable a\nmore\nVariable b does not exist\n";
        assert!(known("variables get", two));
    }

    #[test]
    fn many_lines_take_linear_time() {
        for line in ["a\n", "Variable a\n", "airflow a\n", ": line a\n", "\n"] {
            let text = line.repeat(1 << 18) + "x";
            for command in ["variables get", "users create", "dags test", "other"] {
                assert!(
                    find_outcome(command, Stream::Stderr, &text).is_none(),
                    "{line:?}"
                );
            }
        }
    }
}
