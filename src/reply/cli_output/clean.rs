//! Takes the noise out of a stream: escape sequences, log lines, warnings.

use super::noise::{Noise, ends_structlog, noise};
use super::traceback;
use anstream::adapter::strip_str;
use std::borrow::Cow;

/// A stream without its noise, and the noise.
#[derive(Default, Clone, PartialEq, Eq)]
pub(super) struct Clean {
    /// The lines that are no noise, as they were but for escape sequences.
    pub(super) kept: String,
    /// The noise, one text for each log line or warning with what belongs to it.
    pub(super) noise: Vec<String>,
}

/// What a stream of this command may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Holds {
    /// Output between log lines and warnings.
    Output,
    /// Log lines that are the output: those of a task that was run.
    Logs,
    /// A text of the user's at the end, which may look like anything.
    Text,
}

/// Colour codes and other escape sequences (ECMA-48) taken out; the same text if there is none.
pub(super) fn plain(text: &str) -> Cow<'_, str> {
    if text.contains(['\u{1b}', '\u{9b}']) {
        Cow::Owned(strip_str(text).to_string())
    } else {
        Cow::Borrowed(text)
    }
}

/// Separates a stream. A line that is not surely noise is kept.
pub(super) fn clean(text: &str, holds: Holds) -> Clean {
    let text = plain(text);
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    let bare: Vec<&str> = lines
        .iter()
        .map(|line| line.trim_end_matches(['\n', '\r']))
        .collect();
    let mut clean = Clean::default();
    let mut at = 0;
    while let Some(rest) = bare.get(at..).filter(|rest| !rest.is_empty()) {
        let length = noise_length(rest, holds);
        let last = at + length == bare.len();
        if length == 0 || (holds == Holds::Text && last) {
            let until = if holds == Holds::Text {
                // the user's text begins: whatever follows is it
                lines.len()
            } else {
                at + 1
            };
            for line in lines.get(at..until).unwrap_or_default() {
                clean.kept.push_str(line);
            }
            at = until;
        } else {
            let text = bare.get(at..at + length).unwrap_or_default().join("\n");
            clean.noise.push(text);
            at += length;
        }
    }
    clean
}

/// How many lines from here on are one piece of noise; 0 if the first is none.
fn noise_length(lines: &[&str], holds: Holds) -> usize {
    let Some(first) = lines.first() else {
        return 0;
    };
    let rest = lines.get(1..).unwrap_or_default();
    match noise(first) {
        None => 0,
        Some(Noise::Log | Noise::OpenLog) if holds == Holds::Logs => 0,
        Some(Noise::Log) => 1 + traceback::length(rest),
        Some(Noise::OpenLog) => {
            let goes_on = rest
                .iter()
                .take(MESSAGE)
                .take_while(|line| noise(line).is_none())
                .position(|line| ends_structlog(line));
            match goes_on {
                Some(more) => 2 + more,
                None => 1 + traceback::length(rest),
            }
        }
        // the line of source that warns, which Python shows below
        Some(Noise::Warning) => {
            let source = rest.first().is_some_and(|line| {
                line.strip_prefix("  ")
                    .is_some_and(|code| !code.starts_with(' ') && !code.is_empty())
            });
            1 + usize::from(source && has_second_colon(first))
        }
        Some(Noise::Notice) => 1,
    }
}

/// Only Python's own form, `file:12: Category`, has the line of source below.
fn has_second_colon(line: &str) -> bool {
    line.split_once("Warning: ")
        .and_then(|(before, _)| before.rsplit_once(' '))
        .is_some_and(|(place, _)| place.ends_with(':'))
}

/// The most lines that the message of one log line may go on for.
const MESSAGE: usize = 20;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn noise_goes_and_data_stays() {
        let text = "[\u{1b}[34m2026-11-22T08:45:55.055+0000\u{1b}[0m] {a.py:1} INFO - one\n\
            /x/y.py:3: FutureWarning: old\n  import old\n\
            [{\"a\": 1}]\n\
            2026-11-22T08:43:27.811819Z [warning  ] Could not import graphviz. \n\
            You might need\nRun it. [py.warnings] category=UserWarning lineno=57\n\
            \u{1b}[1;31mlast\u{1b}[0m";
        let clean = clean(text, Holds::Output);
        assert_eq!(clean.kept, "[{\"a\": 1}]\nlast");
        assert_eq!(clean.noise.len(), 3, "{:?}", clean.noise);
        assert_eq!(
            clean.noise[1],
            "/x/y.py:3: FutureWarning: old\n  import old"
        );
    }

    #[test]
    fn a_traceback_belongs_to_the_log_line_before_it() {
        let log = "[2026-11-22T08:45:55.055+0000] {a.py:1} ERROR - Failed\n\
            Traceback (most recent call last):\n  File \"x\"\nKeyError: 'a'\n";
        let clean_log = clean(&format!("{log}data\n"), Holds::Output);
        assert_eq!(clean_log.kept, "data\n");
        let logs = clean(log, Holds::Logs);
        assert_eq!(logs.kept, log, "a task's log is the output");
    }

    #[test]
    fn a_variable_s_value_is_kept_whatever_it_looks_like() {
        let log = "[2026-11-22T08:45:55.055+0000] {a.py:1} INFO - one";
        let text = clean(&format!("{log}\n{log}\n"), Holds::Text);
        assert_eq!((text.kept, text.noise.len()), (format!("{log}\n"), 1));
        let text = clean(&format!("a\n{log}\nb\n"), Holds::Text);
        assert_eq!(text.kept, format!("a\n{log}\nb\n"));
    }

    proptest! {
        #[test]
        fn what_looks_like_nothing_known_is_kept(
            lines in proptest::collection::vec("[a-z |{},:\"0-9\\[\\]]{0,30}", 0..12)
        ) {
            let text = lines.join("\n");
            prop_assume!(!text.contains("arning"));
            prop_assert_eq!(clean(&text, Holds::Output).kept, text);
        }

        #[test]
        fn every_line_is_kept_or_told(
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
            holds in prop_oneof![Just(Holds::Output), Just(Holds::Logs), Just(Holds::Text)],
        ) {
            let text = lines.join("\n");
            let clean = clean(&text, holds);
            let mut told: Vec<&str> = clean.noise.iter().flat_map(|n| n.split('\n')).collect();
            told.extend(clean.kept.lines());
            let mut all: Vec<&str> = text.lines().collect();
            told.sort_unstable();
            all.sort_unstable();
            prop_assert_eq!(told, all);
        }
    }
}
