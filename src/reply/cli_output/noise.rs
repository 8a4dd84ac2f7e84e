//! Lines that are no output of a command: log lines, Python's warnings, notices.

/// What kind of noise a line begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Noise {
    /// A log line; a traceback may belong to it.
    Log,
    /// A log line of Airflow 3.1 and later whose message goes on in the next lines.
    OpenLog,
    /// A warning of Python's; the line of source that caused it may follow.
    Warning,
    /// A known line of another kind.
    Notice,
}

/// Which noise the line begins, if any. The line has no escape sequences.
pub(super) fn noise(line: &str) -> Option<Noise> {
    if is_task_handler(line) {
        Some(Noise::Log)
    } else if let Some(rest) = structlog(line) {
        let whole = ends_structlog(rest);
        Some(if whole { Noise::Log } else { Noise::OpenLog })
    } else if is_warning(line) {
        Some(Noise::Warning)
    } else {
        is_notice(line).then_some(Noise::Notice)
    }
}

/// `[2026-11-22T08:45:55.055+0000] {dagbag.py:588} INFO - text`: Airflow up to 3.0.
fn is_task_handler(line: &str) -> bool {
    let Some((stamp, rest)) = line
        .strip_prefix('[')
        .and_then(|rest| rest.split_once("] {"))
    else {
        return false;
    };
    let Some((place, rest)) = rest.split_once("} ") else {
        return false;
    };
    let level = rest.split_once(" - ").map(|(level, _)| level);
    starts_with_date(stamp)
        && place
            .rsplit_once(':')
            .is_some_and(|(_, line)| line.parse::<u32>().is_ok())
        && level.is_some_and(|level| LEVELS.iter().any(|known| *known == level.trim_end()))
}

/// `2026-11-22T08:43:27.811819Z [warning  ] text [logger] key=value`: Airflow 3.1 and later.
/// What comes after the level.
fn structlog(line: &str) -> Option<&str> {
    let (stamp, rest) = line.split_once(" [")?;
    let (level, rest) = rest.split_once("] ")?;
    let known = LEVELS
        .iter()
        .any(|known| known.eq_ignore_ascii_case(level.trim_end()));
    (starts_with_date(stamp) && !stamp.contains(' ') && known).then_some(rest)
}

/// Whether a line of Airflow 3.1's log ends its message: `… [logger.name] key=value`.
pub(super) fn ends_structlog(line: &str) -> bool {
    // known once, so that a line of many brackets is gone through once
    let end = line.trim_end().len();
    let last_pair = line.rfind('=');
    let mut after = line.len();
    let mut close = None;
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

/// Python's warnings: `/path/file.py:12: SomeWarning: text`, Airflow's form of it without the
/// second colon, and a bare `DeprecationWarning: text`.
fn is_warning(line: &str) -> bool {
    let Some((before, category)) = line
        .split_once("Warning: ")
        .map(|(before, _)| before.rsplit_once(' ').unwrap_or(("", before)))
    else {
        return false;
    };
    if !is_dotted(category) && !category.is_empty() {
        return false;
    }
    let place = before.strip_suffix(':').unwrap_or(before);
    match place.rsplit_once(':') {
        Some((file, line)) => {
            line.bytes().all(|b| b.is_ascii_digit())
                && (file.starts_with(['/', '<']) || file == "sys")
        }
        None => before.is_empty() && BARE_CATEGORIES.contains(&category),
    }
}

fn is_notice(line: &str) -> bool {
    NOTICES.iter().any(|notice| line.starts_with(notice))
}

fn starts_with_date(text: &str) -> bool {
    let bytes = text.as_bytes();
    bytes.len() >= 19
        && bytes.iter().zip(b"0000-00-00").all(|(byte, form)| {
            if *form == b'0' {
                byte.is_ascii_digit()
            } else {
                byte == form
            }
        })
}

/// A name as Python writes it, with its module.
pub(super) fn is_dotted(name: &str) -> bool {
    !name.is_empty()
        && !name.starts_with(|c: char| c.is_ascii_digit() || c == '.')
        && name
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'.')
}

/// The levels of Python's logging.
const LEVELS: &[&str] = &["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL", "EXCEPTION"];

/// Categories that stand without a place, less their `Warning`.
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

/// How other known lines begin: the rest of Airflow's warning about graphviz, its notes about a
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

    #[test]
    fn real_noise_is_known() {
        for (line, kind) in [
            (
                "[2026-11-22T08:45:55.055+0000] {dagbag.py:588} INFO - Filling up",
                Noise::Log,
            ),
            (
                "[2021-05-01 10:00:00,123] {__init__.py:38} WARNING - old",
                Noise::Log,
            ),
            (
                "2026-11-22T08:46:34.735562Z [info     ] DAG bundles loaded: x [airflow.a.B] loc=manager.py:304",
                Noise::Log,
            ),
            (
                "2026-11-22T08:43:27.811819Z [warning  ] Could not import graphviz. ",
                Noise::OpenLog,
            ),
            (
                "/usr/lib/airflow/dag_command.py:48 UserWarning: Could not import graphviz.",
                Noise::Warning,
            ),
            (
                "/dags/old.py:3: RemovedInAirflow3Warning: This is deprecated.",
                Noise::Warning,
            ),
            (
                "<string>:1 sqlalchemy.exc.SAWarning: something",
                Noise::Warning,
            ),
            ("sys:1: ResourceWarning: unclosed file", Noise::Warning),
            ("DeprecationWarning: old", Noise::Warning),
            (
                "[INFO] Please be reminded this DAG is PAUSED now.",
                Noise::Notice,
            ),
        ] {
            assert_eq!(noise(line), Some(kind), "{line}");
        }
    }

    #[test]
    fn the_end_of_a_message_is_a_logger_and_its_pairs() {
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
            assert_eq!(ends_structlog(line), ends, "{line:?}");
        }
    }

    #[test]
    fn hostile_lines_cost_little() {
        for text in ["[", "[a]", "[a", "] {", " [", "} "] {
            let line = "2026-11-22T08:43:27.811819Z [info     ] ".to_owned()
                + &text.repeat(1 << 20)
                + &" ".repeat(1 << 20)
                + "x";
            let _kind = noise(&line);
        }
    }

    #[test]
    fn data_is_no_noise() {
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
            assert_eq!(noise(line), None, "{line}");
        }
    }
}
