//! Python's tracebacks, plain and in the boxes that rich draws.

use super::log_lines::is_dotted;

/// Returns the number of lines of the traceback at the beginning, with those of its causes; 0 if
/// there is none. Of an exception's message only the first line is counted.
pub(super) fn count_lines(lines: &[&str]) -> usize {
    let mut count = count_one(lines);
    // Python prints the cause first, then a sentence between blank lines, then what it caused
    while count > 0
        && let Some(["", heading, "", rest @ ..]) = lines.get(count..)
        && is_cause_heading(heading)
    {
        match count_one(rest) {
            // the sentence was printed by something else
            0 => break,
            more => count += 3 + more,
        }
    }
    count
}

/// The same without its causes.
fn count_one(lines: &[&str]) -> usize {
    match lines.first() {
        Some(&HEADING) => count_plain_lines(lines),
        Some(line) if line.starts_with('╭') && line.contains(BOX_HEADING) => {
            count_box_lines(lines)
        }
        _ => 0,
    }
}

fn count_plain_lines(lines: &[&str]) -> usize {
    let frames = lines.iter().skip(1);
    let end = 1 + frames.take_while(|line| line.starts_with(' ')).count();
    end + count_exception(lines, end)
}

fn count_box_lines(lines: &[&str]) -> usize {
    let frames = lines.iter().skip(1);
    let end = 1 + frames.take_while(|line| line.starts_with('│')).count();
    // without its end it is not known which lines belong to it
    let is_closed = lines.get(end).is_some_and(|line| line.starts_with('╰'));
    if is_closed {
        end + 1 + count_exception(lines, end + 1)
    } else {
        0
    }
}

/// Returns 1 if the line is the exception that ends a traceback, else 0.
fn count_exception(lines: &[&str], at: usize) -> usize {
    usize::from(lines.get(at).is_some_and(|line| is_exception(line)))
}

fn is_cause_heading(line: &str) -> bool {
    line == "During handling of the above exception, another exception occurred:"
        || line == "The above exception was the direct cause of the following exception:"
}

/// Returns true for the end of a traceback: `some.module.SomeError: text` or `SomeError`.
pub(super) fn is_exception(line: &str) -> bool {
    let name = line.split(": ").next().unwrap_or_default();
    let name = name.strip_suffix(':').unwrap_or(name);
    // Python's exceptions are classes, whose names begin with a capital
    let class = name.rsplit('.').next().unwrap_or_default();
    is_dotted(name) && class.starts_with(|c: char| c.is_ascii_uppercase())
}

/// Returns the last line of the last traceback that ended the program. Exceptions in threads,
/// finalizers and logging do not end it.
pub(super) fn find_uncaught<'a>(lines: &[&'a str]) -> Option<&'a str> {
    let mut found = None;
    let mut at = 0;
    while let Some(rest) = lines.get(at..).filter(|rest| !rest.is_empty()) {
        let count = count_lines(rest);
        if count == 0 {
            at += 1;
            continue;
        }

        let before = at.checked_sub(1).and_then(|before| lines.get(before));
        if !before.is_some_and(|line| is_harmless(line)) {
            found = lines.get(at + count - 1).copied();
        }
        at += count;
    }
    found
}

/// Returns true for the line before a traceback that does not end the program.
fn is_harmless(line: &str) -> bool {
    line.starts_with("Exception ignored in")
        || line.starts_with("Exception in thread ")
        || line == "--- Logging error ---"
        || (line.starts_with("Process ") && line.ends_with(':'))
}

/// The first line of a plain traceback.
const HEADING: &str = "Traceback (most recent call last):";
/// A part of the first line of a box.
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
        assert_eq!(count_lines(&lines), lines.len() - 1);
        assert_eq!(
            find_uncaught(&lines),
            Some("airflow.exceptions.DagNotFound: no")
        );
    }

    #[test]
    fn boxed_tracebacks_are_recognised() {
        let text = "╭──── Traceback (most recent call last) ────╮\n│ /a.py:1 in b │\n╰────╯\nRuntimeError: asked\nmore";
        assert_eq!(count_lines(&lines(text)), 4);
        assert_eq!(count_lines(&lines("╭─ Usage ─╮\n╰─╯")), 0);
    }

    #[test]
    fn a_traceback_that_does_not_end_the_program_is_not_a_failure() {
        for before in [
            "Exception ignored in: <function a>",
            "Exception in thread Thread-1:",
            "--- Logging error ---",
            "Process ForkProcess-1:",
        ] {
            let text =
                format!("{before}\nTraceback (most recent call last):\n  File\nOSError: x");
            assert_eq!(find_uncaught(&lines(&text)), None, "{before}");
        }
        assert_eq!(find_uncaught(&lines("a\nb: c")), None);
    }
}
