//! Separates the output of a command from what Airflow, Python and MWAA's image print beside it:
//! log lines, warnings, notices, colour codes.

use super::traceback;
use anstream::adapter::strip_str;
use std::borrow::Cow;

/// The kinds of output that a stream may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum OutputKind {
    /// The command's own output, between log lines and warnings.
    Command,
    /// The log of a task, which is the output itself.
    TaskLog,
    /// A text of the user's at the end, which may look like anything.
    UserText,
}

/// A stream, separated.
#[derive(Default, Clone, PartialEq, Eq)]
pub(super) struct CleanOutput {
    /// The command's own lines, unchanged except for escape sequences.
    pub(super) text: String,
    /// The log lines and warnings, each with the lines that belong to it.
    pub(super) messages: Vec<String>,
}

impl CleanOutput {
    /// Separates a stream. A line that is not surely a message is kept.
    pub(super) fn new(stream: &str, kind: OutputKind) -> Self {
        let stream = strip_escapes(stream);
        // recognised without their line ends, kept with them
        let lines: Vec<&str> = stream.split_inclusive('\n').collect();
        let bare: Vec<&str> = lines
            .iter()
            .map(|line| line.trim_end_matches(['\n', '\r']))
            .collect();
        let mut clean = Self::default();

        let mut at = 0;
        while let Some(rest) = bare.get(at..).filter(|rest| !rest.is_empty()) {
            let count = count_message_lines(rest, kind);
            // the last lines are the user's text, even if they look like a message
            let is_user_text = kind == OutputKind::UserText && at + count == bare.len();
            if count > 0 && !is_user_text {
                let message = rest.get(..count).unwrap_or_default().join("\n");
                clean.messages.push(message);
                at += count;
                continue;
            }

            // a text of the user's reaches to the end of the stream
            let end = match kind {
                OutputKind::UserText => lines.len(),
                OutputKind::Command | OutputKind::TaskLog => at + 1,
            };
            let kept = lines.get(at..end).unwrap_or_default();
            clean.text.extend(kept.iter().copied());
            at = end;
        }
        clean
    }
}

/// Removes colour codes and other escape sequences (ECMA-48).
fn strip_escapes(text: &str) -> Cow<'_, str> {
    if text.contains(['\u{1b}', '\u{9b}']) {
        Cow::Owned(strip_str(text).to_string())
    } else {
        Cow::Borrowed(text)
    }
}

/// Returns the number of lines of the message at the beginning; 0 if the first line begins none.
fn count_message_lines(lines: &[&str], kind: OutputKind) -> usize {
    let Some((first, rest)) = lines.split_first() else {
        return 0;
    };

    match MessageKind::from_line(first) {
        None => 0,
        // the log of a task is its output
        Some(MessageKind::Log | MessageKind::OpenLog) if kind == OutputKind::TaskLog => 0,
        Some(MessageKind::Log) => 1 + traceback::count_lines(rest),
        // structlog writes the logger and its pairs after the message, so they end it; without
        // them only the first line belongs to it
        Some(MessageKind::OpenLog) => {
            let end = rest
                .iter()
                .take(MAX_CONTINUATION)
                .take_while(|line| MessageKind::from_line(line).is_none())
                .position(|line| is_structlog_end(line));
            match end {
                Some(end) => 2 + end,
                None => 1 + traceback::count_lines(rest),
            }
        }
        // Python prints the line of source that warns below its warning
        Some(MessageKind::Warning) => {
            let source = rest.first().and_then(|line| line.strip_prefix("  "));
            let is_source =
                source.is_some_and(|code| !code.starts_with(' ') && !code.is_empty());
            1 + usize::from(is_source && has_second_colon(first))
        }
        Some(MessageKind::Notice) => 1,
    }
}

/// Returns true for Python's own form, `file:12: Category`; only that has the source below.
fn has_second_colon(line: &str) -> bool {
    line.split_once("Warning: ")
        .and_then(|(before, _)| before.rsplit_once(' '))
        .is_some_and(|(place, _)| place.ends_with(':'))
}

/// The kinds of lines that begin a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum MessageKind {
    /// A log line; a traceback may belong to it.
    Log,
    /// A log line of Airflow 3.1 and later whose message continues in the next lines.
    OpenLog,
    /// A warning of Python's; the line of source that caused it may follow.
    Warning,
    /// A known line of another kind.
    Notice,
}

impl MessageKind {
    /// Returns the kind of message that the line begins; `None` for a line of output. The line has
    /// no escape sequences.
    fn from_line(line: &str) -> Option<Self> {
        if is_task_handler_log(line) {
            return Some(Self::Log);
        }
        if let Some(message) = parse_structlog(line) {
            let is_complete = is_structlog_end(message);
            return Some(if is_complete {
                Self::Log
            } else {
                Self::OpenLog
            });
        }
        if is_warning(line) {
            return Some(Self::Warning);
        }
        let is_notice = NOTICES.iter().any(|notice| line.starts_with(notice));
        is_notice.then_some(Self::Notice)
    }
}

/// Returns true for a log line of Airflow up to 3.0:
/// `[2026-11-22T08:45:55.055+0000] {dagbag.py:588} INFO - text`.
fn is_task_handler_log(line: &str) -> bool {
    let Some((time, rest)) = line
        .strip_prefix('[')
        .and_then(|rest| rest.split_once("] {"))
    else {
        return false;
    };
    let Some((place, rest)) = rest.split_once("} ") else {
        return false;
    };

    let line_number = place.rsplit_once(':').map(|(_, number)| number);
    let level = rest.split_once(" - ").map(|(level, _)| level.trim_end());

    starts_with_date(time)
        && line_number.is_some_and(|number| number.parse::<u32>().is_ok())
        && level.is_some_and(|level| LEVELS.contains(&level))
}

/// Returns the message of a log line of Airflow 3.1 and later:
/// `2026-11-22T08:43:27.811819Z [warning  ] text [logger] key=value`.
fn parse_structlog(line: &str) -> Option<&str> {
    let (time, rest) = line.split_once(" [")?;
    // padded to the length of the longest level
    let (level, message) = rest.split_once("] ")?;
    let is_level = LEVELS
        .iter()
        .any(|known| known.eq_ignore_ascii_case(level.trim_end()));
    (starts_with_date(time) && !time.contains(' ') && is_level).then_some(message)
}

/// Returns true if the line ends the message of such a log line: `… [logger.name] key=value`.
fn is_structlog_end(line: &str) -> bool {
    // computed once, so that a line of many brackets is read once
    let end = line.trim_end().len();
    let last_pair = line.rfind('=');
    let mut after = line.len();
    let mut close = None;

    // from the end, because the message may have brackets too
    for open in memchr::memrchr_iter(b'[', line.as_bytes()) {
        let inside = line.get(open + 1..after).unwrap_or_default();
        close = inside.find(']').map(|at| open + 1 + at).or(close);
        after = open;
        if let Some(close) = close {
            let name = line.get(open + 1..close).unwrap_or_default();
            if is_dotted(name) && (close + 1 >= end || last_pair.is_some_and(|at| at > close)) {
                return true;
            }
        }
    }
    false
}

/// Returns true for Python's warnings: `/path/file.py:12: SomeWarning: text`, Airflow's form of
/// it without the second colon, and a bare `DeprecationWarning: text`.
fn is_warning(line: &str) -> bool {
    let Some((before, _text)) = line.split_once("Warning: ") else {
        return false;
    };
    // the category's own name ends in `Warning`, which was cut off
    let (before, category) = before.rsplit_once(' ').unwrap_or(("", before));
    if !is_dotted(category) && !category.is_empty() {
        return false;
    }

    // Airflow's form has no colon after the line number
    let place = before.strip_suffix(':').unwrap_or(before);
    match place.rsplit_once(':') {
        Some((file, line)) => {
            line.bytes().all(|b| b.is_ascii_digit())
                && (file.starts_with(['/', '<']) || file == "sys")
        }
        None => before.is_empty() && BARE_CATEGORIES.contains(&category),
    }
}

fn starts_with_date(text: &str) -> bool {
    let bytes = text.as_bytes();
    // `2026-11-22T08:43:27` at least
    bytes.len() >= 19
        && bytes.iter().zip(b"0000-00-00").all(|(byte, form)| {
            if *form == b'0' {
                byte.is_ascii_digit()
            } else {
                byte == form
            }
        })
}

/// Returns true for a name as Python writes it, with its module.
pub(super) fn is_dotted(name: &str) -> bool {
    !name.is_empty()
        && !name.starts_with(|c: char| c.is_ascii_digit() || c == '.')
        && name
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'.')
}

/// The most lines by which the message of one log line may continue.
const MAX_CONTINUATION: usize = 20;
/// The levels of Python's logging.
const LEVELS: &[&str] = &["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL", "EXCEPTION"];
/// Categories that occur without a place, less their `Warning`.
const BARE_CATEGORIES: &[&str] = &[
    "",
    "Deprecation",
    "Future",
    "PendingDeprecation",
    "RemovedInAirflow3",
    "Resource",
    "Runtime",
    "User",
];

/// The beginnings of other known lines: the rest of Airflow's warning about graphviz, its notes about a
/// schedule, and what MWAA's image prints of itself.
const NOTICES: &[&str] = &[
    "You might need to install the graphviz package and necessary system packages.",
    "Run `pip install graphviz` to attempt to install it.",
    "[WARN] No following schedule can be found.",
    "[INFO] Please be reminded this DAG is PAUSED now.",
    "CloudWatch logging is disabled",
    "CloudWatch logging is enabled",
    "Generating RDS auth token",
    "RDS auth token generat",
];

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn log_messages_are_removed_and_data_is_kept() {
        let text = "[\u{1b}[34m2026-11-22T08:45:55.055+0000\u{1b}[0m] {a.py:1} INFO - one\n\
            /x/y.py:3: FutureWarning: old\n  import old\n\
            [{\"a\": 1}]\n\
            2026-11-22T08:43:27.811819Z [warning  ] Could not import graphviz. \n\
            You might need\nRun it. [py.warnings] category=UserWarning lineno=57\n\
            \u{1b}[1;31mlast\u{1b}[0m";
        let clean = CleanOutput::new(text, OutputKind::Command);
        assert_eq!(clean.text, "[{\"a\": 1}]\nlast");
        assert_eq!(clean.messages.len(), 3, "{:?}", clean.messages);
        assert_eq!(
            clean.messages[1],
            "/x/y.py:3: FutureWarning: old\n  import old"
        );
    }

    #[test]
    fn a_traceback_belongs_to_the_log_line_before_it() {
        let log = "[2026-11-22T08:45:55.055+0000] {a.py:1} ERROR - Failed\n\
            Traceback (most recent call last):\n  File \"x\"\nKeyError: 'a'\n";
        let clean_log = CleanOutput::new(&format!("{log}data\n"), OutputKind::Command);
        assert_eq!(clean_log.text, "data\n");
        let logs = CleanOutput::new(log, OutputKind::TaskLog);
        assert_eq!(logs.text, log, "a task's log is the output");
    }

    #[test]
    fn a_variable_s_value_that_looks_like_a_log_line_is_kept() {
        let log = "[2026-11-22T08:45:55.055+0000] {a.py:1} INFO - one";
        let text = CleanOutput::new(&format!("{log}\n{log}\n"), OutputKind::UserText);
        assert_eq!((text.text, text.messages.len()), (format!("{log}\n"), 1));
        let text = CleanOutput::new(&format!("a\n{log}\nb\n"), OutputKind::UserText);
        assert_eq!(text.text, format!("a\n{log}\nb\n"));
    }

    #[test]
    fn real_log_messages_are_recognised() {
        for (line, kind) in [
            (
                "[2026-11-22T08:45:55.055+0000] {dagbag.py:588} INFO - Filling up",
                MessageKind::Log,
            ),
            (
                "[2021-05-01 10:00:00,123] {__init__.py:38} WARNING - old",
                MessageKind::Log,
            ),
            (
                "2026-11-22T08:46:34.735562Z [info     ] DAG bundles loaded: x [airflow.a.B] loc=manager.py:304",
                MessageKind::Log,
            ),
            (
                "2026-11-22T08:43:27.811819Z [warning  ] Could not import graphviz. ",
                MessageKind::OpenLog,
            ),
            (
                "/usr/lib/airflow/dag_command.py:48 UserWarning: Could not import graphviz.",
                MessageKind::Warning,
            ),
            (
                "/dags/old.py:3: RemovedInAirflow3Warning: This is deprecated.",
                MessageKind::Warning,
            ),
            (
                "<string>:1 sqlalchemy.exc.SAWarning: something",
                MessageKind::Warning,
            ),
            (
                "sys:1: ResourceWarning: unclosed file",
                MessageKind::Warning,
            ),
            ("DeprecationWarning: old", MessageKind::Warning),
            (
                "[INFO] Please be reminded this DAG is PAUSED now.",
                MessageKind::Notice,
            ),
        ] {
            assert_eq!(MessageKind::from_line(line), Some(kind), "{line}");
        }
    }

    #[test]
    fn a_structlog_message_ends_with_its_logger_and_fields() {
        for (line, ends) in [
            ("text [a.b] loc=1", true),
            ("text [a.b]", true),
            ("text [a.b] \t", true),
            ("text [a.b] [1, 2] x=[3]", true),
            ("[[a]", true),
            ("[a] text", false),
            ("k=v [a] text", false),
            ("[a [b c] d", false),
            ("[a", false),
            ("a]", false),
            ("[]", false),
            ("", false),
        ] {
            assert_eq!(is_structlog_end(line), ends, "{line:?}");
        }
    }

    #[test]
    fn hostile_lines_take_linear_time() {
        for text in ["[", "[a]", "[a", "] {", " [", "} "] {
            let line = "2026-11-22T08:43:27.811819Z [info     ] ".to_owned()
                + &text.repeat(1 << 20)
                + &" ".repeat(1 << 20)
                + "x";
            let _kind = MessageKind::from_line(&line);
        }
    }

    #[test]
    fn data_is_not_taken_for_a_log_message() {
        for line in [
            "",
            "[2026, 11, 22]",
            r#"[{"dag_id": "a", "text": "x.py:1: UserWarning: y"}]"#,
            "[2026-11-22T08:45:55.055+0000] and nothing more",
            "[2026-11-22T08:45:55.055+0000] {a} INFO - no line number",
            "2026-11-22T08:46:34.735562Z",
            "2026-11-22T08:46:34.735562Z [queued] lab_hello",
            "2026-11-22 08:46:34+00:00 | [info] x",
            "dag_id | fileloc",
            "UserWarning: ",
            "a note about UserWarning: x",
            "MyOwnWarning: from a variable",
            "relative.py:1: UserWarning: a variable's text",
            "Warnings: none",
        ]
        .into_iter()
        .filter(|line| *line != "UserWarning: ")
        {
            assert_eq!(MessageKind::from_line(line), None, "{line}");
        }
    }

    proptest! {
        #[test]
        fn unrecognised_lines_are_kept(
            lines in proptest::collection::vec("[a-z |{},:\"0-9\\[\\]]{0,30}", 0..12)
        ) {
            let text = lines.join("\n");
            prop_assume!(!text.contains("arning"));
            prop_assert_eq!(CleanOutput::new(&text, OutputKind::Command).text, text);
        }

        #[test]
        fn every_line_is_kept_as_text_or_as_a_message(
            lines in proptest::collection::vec(
                prop_oneof![
                    "[ -~]{0,30}",
                    Just("[2026-11-22T08:45:55.055+0000] {a.py:1} ERROR - x".to_owned()),
                    Just("2026-11-22T08:45:55.055000Z [error    ] x [a.b] loc=1".to_owned()),
                    Just("2026-11-22T08:45:55.055000Z [error    ] x".to_owned()),
                    Just("/a/b.py:1: UserWarning: x".to_owned()),
                    Just("  source".to_owned()),
                    Just("Traceback (most recent call last):".to_owned()),
                    Just("KeyError: 'a'".to_owned()),
                ],
                0..20,
            ),
            kind in prop_oneof![Just(OutputKind::Command), Just(OutputKind::TaskLog), Just(OutputKind::UserText)],
        ) {
            let text = lines.join("\n");
            let clean = CleanOutput::new(&text, kind);
            let mut seen: Vec<&str> = clean.messages.iter().flat_map(|n| n.split('\n')).collect();
            seen.extend(clean.text.lines());
            let mut all: Vec<&str> = text.lines().collect();
            seen.sort_unstable();
            all.sort_unstable();
            prop_assert_eq!(seen, all);
        }
    }
}
