//! Python's tracebacks, plain and in the boxes that rich draws.

use super::noise::is_dotted;

/// How many lines from here on are one traceback with its causes; 0 if none begins here. Of a
/// message of several lines only the first is counted.
pub(super) fn length(lines: &[&str]) -> usize {
    let mut end = 0;
    loop {
        let rest = lines.get(end..).unwrap_or_default();
        let one = if is_plain_start(rest) {
            plain(rest)
        } else if is_box_start(rest) {
            boxed(rest)
        } else {
            0
        };
        if one == 0 {
            return end;
        }
        let after = end + one;
        // the exception that came of it, or of which it came
        match lines.get(after..) {
            Some(["", cause, "", ..]) if is_link(cause) => end = after + 3,
            _ => return after,
        }
        if length_of_one(lines.get(end..).unwrap_or_default()) == 0 {
            return after;
        }
    }
}

fn length_of_one(lines: &[&str]) -> usize {
    if is_plain_start(lines) {
        plain(lines)
    } else if is_box_start(lines) {
        boxed(lines)
    } else {
        0
    }
}

fn is_plain_start(lines: &[&str]) -> bool {
    lines.first() == Some(&HEADING)
}

fn is_box_start(lines: &[&str]) -> bool {
    lines
        .first()
        .is_some_and(|line| line.starts_with('╭') && line.contains(BOX_HEADING))
}

fn plain(lines: &[&str]) -> usize {
    let frames = lines
        .iter()
        .skip(1)
        .take_while(|line| line.starts_with(' '))
        .count();
    let ends = lines.get(1 + frames).is_some_and(|line| is_raised(line));
    1 + frames + usize::from(ends)
}

fn boxed(lines: &[&str]) -> usize {
    let inside = lines
        .iter()
        .skip(1)
        .take_while(|line| line.starts_with('│'))
        .count();
    let closed = lines
        .get(1 + inside)
        .is_some_and(|line| line.starts_with('╰'));
    if !closed {
        return 0;
    }
    let ends = lines.get(2 + inside).is_some_and(|line| is_raised(line));
    2 + inside + usize::from(ends)
}

fn is_link(line: &str) -> bool {
    line == "During handling of the above exception, another exception occurred:"
        || line == "The above exception was the direct cause of the following exception:"
}

/// `some.module.SomeError: text` or `SomeError`, as a traceback ends.
pub(super) fn is_raised(line: &str) -> bool {
    let name = line.split(": ").next().unwrap_or_default();
    let name = name.strip_suffix(':').unwrap_or(name);
    let class = name.rsplit('.').next().unwrap_or_default();
    is_dotted(name) && class.starts_with(|c: char| c.is_ascii_uppercase())
}

/// What an uncaught exception ended with: the last line of the last traceback that ended the
/// program. Exceptions in threads, finalizers and logging do not.
pub(super) fn uncaught<'a>(lines: &[&'a str]) -> Option<&'a str> {
    let mut found = None;
    let mut at = 0;
    while let Some(rest) = lines.get(at..).filter(|rest| !rest.is_empty()) {
        let length = length(rest);
        if length == 0 {
            at += 1;
            continue;
        }
        let before = at.checked_sub(1).and_then(|before| lines.get(before));
        if !before.is_some_and(|line| is_harmless(line)) {
            found = lines.get(at + length - 1).copied();
        }
        at += length;
    }
    found
}

/// Whether the line introduces a traceback that does not end the program.
fn is_harmless(line: &str) -> bool {
    line.starts_with("Exception ignored in")
        || line.starts_with("Exception in thread ")
        || line == "--- Logging error ---"
        || (line.starts_with("Process ") && line.ends_with(':'))
}

const HEADING: &str = "Traceback (most recent call last):";
const BOX_HEADING: &str = "Traceback (most recent call last)";

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &str) -> Vec<&str> {
        text.lines().collect()
    }

    #[test]
    fn a_chain_is_one_traceback() {
        let text = "Traceback (most recent call last):\n  File \"a\", line 1, in b\n    x\nKeyError: 'k'\n\n\
            During handling of the above exception, another exception occurred:\n\n\
            Traceback (most recent call last):\n  File \"a\"\nairflow.exceptions.DagNotFound: no\ndata";
        let lines = lines(text);
        assert_eq!(length(&lines), lines.len() - 1);
        assert_eq!(uncaught(&lines), Some("airflow.exceptions.DagNotFound: no"));
    }

    #[test]
    fn boxes_are_tracebacks_too() {
        let text = "╭──── Traceback (most recent call last) ────╮\n│ /a.py:1 in b │\n╰────╯\nRuntimeError: asked\nmore";
        assert_eq!(length(&lines(text)), 4);
        assert_eq!(length(&lines("╭─ Usage ─╮\n╰─╯")), 0);
    }

    #[test]
    fn what_ends_no_program_is_no_failure() {
        for before in [
            "Exception ignored in: <function a>",
            "Exception in thread Thread-1:",
            "--- Logging error ---",
            "Process ForkProcess-1:",
        ] {
            let text =
                format!("{before}\nTraceback (most recent call last):\n  File\nOSError: x");
            assert_eq!(uncaught(&lines(&text)), None, "{before}");
        }
        assert_eq!(uncaught(&lines("a\nb: c")), None);
    }
}
