//! Whether a command worked. MWAA has no exit code on the wire, and in some versions answers 200
//! for commands that failed: then only the texts tell. The README has the rules as a table.

use super::Succeeded;
use super::clean::{Clean, Holds, clean};
use super::outcomes::{Stream, Verdict, known};
use super::traceback;
use http::StatusCode;

/// The judgement, and why.
pub(super) fn judge(
    command: &str,
    status: StatusCode,
    stdout: &str,
    stderr: &str,
) -> (Succeeded, Option<String>) {
    if !status.is_success() {
        return (Succeeded::No, Some(format!("status {}", status.as_u16())));
    }
    let errors = clean(stderr, Holds::Output);
    let lines: Vec<&str> = errors.kept.lines().collect();
    if let Some(raised) = traceback::uncaught(&lines) {
        return (Succeeded::No, Some(format!("stderr: {}", name(raised))));
    }
    if let Some(row) = known(command, Stream::Stderr, &errors.kept) {
        return verdict(row.verdict, "stderr", row.text);
    }
    let output = clean(stdout, Holds::Output);
    let silent = output.kept.trim().is_empty();
    if !errors.kept.trim().is_empty() {
        // noise of some program, or a text that we don't know
        return if silent || sounds_bad(&errors.kept) {
            (Succeeded::Unknown, Some("stderr: unknown text".to_owned()))
        } else {
            (Succeeded::Yes, None)
        };
    }
    if !silent {
        return match known(command, Stream::Stdout, &output.kept) {
            Some(row) => verdict(row.verdict, "stdout", row.text),
            None => (Succeeded::Yes, None),
        };
    }
    if logged_failure(&errors) {
        return (Succeeded::Unknown, Some("stderr: logged error".to_owned()));
    }
    if stdout.trim().is_empty() && known(command, Stream::Neither, "").is_none() {
        return (Succeeded::Unknown, Some("no output".to_owned()));
    }
    (Succeeded::Yes, None)
}

fn verdict(verdict: Verdict, stream: &str, text: &str) -> (Succeeded, Option<String>) {
    match verdict {
        Verdict::Failed => (Succeeded::No, Some(format!("{stream}: {text}"))),
        Verdict::Unknown => (Succeeded::Unknown, Some(format!("{stream}: unknown text"))),
        Verdict::Worked => (Succeeded::Yes, None),
    }
}

/// Whether Airflow refused a trigger because its run exists: the end of its traceback, the same
/// class in all versions.
pub(super) fn run_exists(stderr: &str) -> bool {
    let errors = clean(stderr, Holds::Output);
    let lines: Vec<&str> = errors.kept.lines().collect();
    traceback::uncaught(&lines).is_some_and(|raised| {
        raised.starts_with("airflow.exceptions.DagRunAlreadyExists: ")
            && raised.contains(" already exists for ")
    })
}

/// The exception's class: its message may hold arguments.
fn name(raised: &str) -> &str {
    if traceback::is_raised(raised) {
        raised.split(':').next().unwrap_or_default()
    } else {
        "traceback"
    }
}

/// Whether the log on standard error ends in a traceback: an uncaught exception right after a
/// line of the log looks the same.
fn logged_failure(errors: &Clean) -> bool {
    errors
        .noise
        .last()
        .is_some_and(|last| last.contains("\nTraceback (most recent call last):\n"))
}

/// Whether the last line is in the words of failure, though in none that we know.
fn sounds_bad(text: &str) -> bool {
    let last = text.trim_end().lines().next_back().unwrap_or_default();
    let lower = last.to_ascii_lowercase();
    traceback::is_raised(last) && last.contains("Error")
        || BAD_WORDS.iter().any(|word| lower.contains(word))
}

const BAD_WORDS: &[&str] = &[
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

    fn judged(command: &str, stdout: &str, stderr: &str) -> Succeeded {
        judge(command, StatusCode::OK, stdout, stderr).0
    }

    #[test]
    fn reasons_hold_no_arguments() {
        let stderr = "Traceback (most recent call last):\n  File\nKeyError: 'hunter2'\n";
        let (_, reason) = judge("variables set", StatusCode::OK, "", stderr);
        assert_eq!(reason.as_deref(), Some("stderr: KeyError"));
        let (_, reason) = judge(
            "variables get",
            StatusCode::OK,
            "",
            "Variable hunter2 does not exist\n",
        );
        assert_eq!(
            reason.as_deref(),
            Some("stderr: Variable * does not exist*")
        );
        let (_, reason) = judge("version", StatusCode::BAD_REQUEST, "2", "");
        assert_eq!(reason.as_deref(), Some("status 400"));
    }

    #[test]
    fn output_before_a_failure_does_not_hide_it() {
        let stderr = "Traceback (most recent call last):\n  File\nEOFError: EOF\n";
        assert_eq!(
            judged("tasks clear", "Are you sure? [y/n]\n", stderr),
            Succeeded::No
        );
        assert_eq!(
            judged("dags test", "a lot\n", "DagRun failed\n"),
            Succeeded::No
        );
        assert_eq!(
            judged("roles add-perms", "x\nRole named 'a' does not exist\n", ""),
            Succeeded::No
        );
    }

    #[test]
    fn what_nothing_tells_is_unknown() {
        assert_eq!(judged("version", "", ""), Succeeded::Unknown);
        assert_eq!(judged("tasks clear", "", ""), Succeeded::Yes);
        assert_eq!(judged("version", "", "never seen\n"), Succeeded::Unknown);
        assert_eq!(
            judged("version", "2\n", "ValueError: x\n"),
            Succeeded::Unknown
        );
        assert_eq!(judged("version", "2\n", "Killed\n"), Succeeded::Unknown);
        let logged = "[2026-11-22T08:45:55.055+0000] {a.py:1} ERROR - x\n\
            Traceback (most recent call last):\n  File\nKeyError: 'a'\n";
        assert_eq!(judged("tasks clear", "", logged), Succeeded::Unknown);
    }

    #[test]
    fn noise_is_no_failure() {
        let warning = "/a/b.py:3: DeprecationWarning: old error\n  raise Error\n";
        assert_eq!(judged("version", "2\n", warning), Succeeded::Yes);
        assert_eq!(judged("version", "2\n", "loading plugin\n"), Succeeded::Yes);
        assert_eq!(
            judged("variables get", "Traceback (most recent call last):\n", ""),
            Succeeded::Yes
        );
        let ignored = "Exception ignored in: <x>\nTraceback (most recent call last):\n  File\nOSError: 1\n";
        assert_ne!(judged("version", "2\n", ignored), Succeeded::No);
    }
}
