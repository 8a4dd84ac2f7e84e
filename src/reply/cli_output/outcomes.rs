//! The known texts with which Airflow's commands end: the table `outcomes.csv`.
//!
//! Its columns: the commands (all, a group, or one), the stream (`none`: nothing was printed at
//! all), the verdict, the releases where it was seen, the place in Airflow's source, and the text.
//! In the text `*` stands for anything. The text is the end of its stream, from the start of a
//! line on, when warnings and log lines are taken out. The first row that fits counts.

use std::sync::LazyLock;

/// What a row says of the command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    Failed,
    Unknown,
    Worked,
}

/// Where a row's text stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stream {
    /// Nowhere: the row is about commands that say nothing.
    Neither,
    Stderr,
    Stdout,
}

/// One row.
#[derive(Debug)]
pub(super) struct Outcome {
    commands: &'static str,
    stream: Stream,
    pub(super) verdict: Verdict,
    pub(super) text: &'static str,
}

static TABLE: LazyLock<Vec<Outcome>> =
    LazyLock::new(|| CSV.lines().skip(1).filter_map(read_row).collect());

const CSV: &str = include_str!("outcomes.csv");

fn read_row(line: &'static str) -> Option<Outcome> {
    let mut fields = line.splitn(6, ',');
    let commands = fields.next()?;
    let stream = match fields.next()? {
        "none" => Stream::Neither,
        "stderr" => Stream::Stderr,
        "stdout" => Stream::Stdout,
        _ => return None,
    };
    let verdict = match fields.next()? {
        "failed" => Verdict::Failed,
        "unknown" => Verdict::Unknown,
        "worked" => Verdict::Worked,
        _ => return None,
    };
    let text = fields.nth(2)?;
    Some(Outcome {
        commands,
        stream,
        verdict,
        text,
    })
}

/// The row that knows how this command's stream ends.
pub(super) fn known(command: &str, stream: Stream, text: &str) -> Option<&'static Outcome> {
    let text = text.trim_end();
    TABLE
        .iter()
        .filter(|row| row.stream == stream && is_about(row.commands, command))
        .find(|row| ends_with(text, row.text))
}

/// Whether the command is among a row's: `variables` also stands for `variables get`.
fn is_about(commands: &str, command: &str) -> bool {
    commands == "*"
        || command
            .strip_prefix(commands)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with(' '))
}

/// Whether a text ends, from the start of one of its lines on, as the pattern says.
fn ends_with(text: &str, pattern: &str) -> bool {
    let Some((first, rest)) = pattern.split_once('*') else {
        let before = text.strip_suffix(pattern);
        return before.is_some_and(|before| before.is_empty() || before.ends_with('\n'));
    };
    // a star stands for lines too: if a later line fits, so does the first that begins so, and
    // no text is gone through once for each of its lines
    let begun = match text.strip_prefix(first) {
        Some(begun) => Some(begun),
        None => memchr::memmem::find(text.as_bytes(), format!("\n{first}").as_bytes())
            .and_then(|at| text.get(at + 1 + first.len()..)),
    };
    let parts: Vec<&str> = rest.split('*').collect();
    begun.is_some_and(|begun| goes_on(begun, &parts))
}

/// Whether the parts between stars come in this order, the last one at the end.
fn goes_on(text: &str, parts: &[&str]) -> bool {
    let Some((last, between)) = parts.split_last() else {
        return text.is_empty();
    };
    let mut rest = text;
    for part in between {
        match rest.split_once(part) {
            Some((_, after)) => rest = after,
            None => return false,
        }
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_is_read_and_reached() {
        assert_eq!(TABLE.len(), CSV.lines().count() - 1);
        for row in TABLE.iter().filter(|row| row.stream != Stream::Neither) {
            let text = row.text.replace('*', "some");
            let command = row.commands.replace('*', "version");
            let found = known(&command, row.stream, &format!("before\n{text}\n"));
            assert_eq!(found.map(|row| row.verdict), Some(row.verdict), "{row:?}");
        }
    }

    #[test]
    fn a_text_is_the_end_of_its_stream_from_a_line_on() {
        let known = |command, text| known(command, Stream::Stderr, text).is_some();
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
    fn a_text_of_many_lines_costs_little() {
        for line in ["a\n", "Variable a\n", "airflow a\n", ": line a\n", "\n"] {
            let text = line.repeat(1 << 18) + "x";
            for command in ["variables get", "users create", "dags test", "other"] {
                assert!(known(command, Stream::Stderr, &text).is_none(), "{line:?}");
            }
        }
    }
}
