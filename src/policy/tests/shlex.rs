//! The reader against CPython's own `shlex.split`: many lines, no disagreement.

use super::python::shlex_split;
use crate::command::Command;
use crate::command::{ParseError, ParseErrorKind, join_words, split, texts};

/// Lines that are compared, in one Python process: those that are accepted, what is sent for
/// them, and those that neither can read.
const LINES: usize = 200_000;

/// Characters that splitters disagree about, and a few others.
const AWKWARD: &[&str] = &[
    " ", " ", " ", "\t", "\n", "\r", "\r\n", "\"", "\"", "\"", "'", "'", "'", "\\", "\\",
    "\\\\", "\\\"", "#", "$", "`", "a", "b", "c", "-", "--", "=", ";", "|", "&", "é",
    "\u{301}", "\u{a0}", "\u{2028}", "\u{3000}", "\u{200b}", "\u{feff}", "\u{85}", "\0",
    "\u{b}", "\u{c}", "\u{1b}", "\u{1c}", "\u{7f}", "😀", "{", "}", "~", "*", "(", ">", "!",
];

/// Lines that clients send.
const REAL: &[&str] = &[
    "dags trigger example --conf '{\"a\": \"b c\", \"d\": [1, 2]}'",
    "airflow dags list -o json",
    "variables set key \"a \\\"quoted\\\" value\"",
    "variables set path 'C:\\temp\\x' --json",
    "tasks clear x -s 2024-01-01 -e 2024-01-02 --yes",
    "connections add c --conn-uri 'postgres://u:p%40@h:5432/d?x=y'",
    "dags backfill x --conf={\\\"a\\\":1} -v",
    "db clean --clean-before-timestamp '2024-01-01 00:00:00' -y",
    "trigger_dag 'my dag' -r manual__1",
    "variables set greeting 'it'\\''s'",
];

fn piece(random: &mut fastrand::Rng) -> &'static str {
    random.choice(AWKWARD).expect("not empty")
}

/// Random text.
fn random_line(random: &mut fastrand::Rng) -> String {
    (0..random.usize(0..16)).map(|_| piece(random)).collect()
}

/// A real line with a few changes: something put in, taken out, or written twice.
fn mutated(random: &mut fastrand::Rng) -> String {
    let mut line = (*random.choice(REAL).expect("not empty")).to_owned();
    for _ in 0..random.usize(0..4) {
        let places: Vec<_> = line.char_indices().map(|(at, _)| at).collect();
        let Some(&at) = random.choice(&places) else {
            return line;
        };
        match random.u8(0..4) {
            0 | 1 => line.insert_str(at, piece(random)),
            2 => drop(line.remove(at)),
            _ => line = format!("{} {}", line, line.split_at(at).1),
        }
    }
    line
}

/// Returns true if the error is at the byte that it names.
fn is_there(line: &str, ParseError { at, kind }: ParseError) -> bool {
    let rest = line.get(at..).unwrap_or_default();
    match kind {
        ParseErrorKind::OpenQuote => rest.starts_with(['"', '\'']),
        ParseErrorKind::ByteOrderMark => rest.starts_with('\u{feff}'),
        ParseErrorKind::LastBackslash => rest == "\\",
        ParseErrorKind::SecondLine => rest.starts_with(['\r', '\n']),
        ParseErrorKind::JoinedLines => rest.starts_with("\\\n") || rest.starts_with("\\\r"),
        ParseErrorKind::Control(c)
        | ParseErrorKind::Invisible(c)
        | ParseErrorKind::Space(c) => rest.starts_with(c),
        ParseErrorKind::Assignment
        | ParseErrorKind::Empty
        | ParseErrorKind::NotUtf8
        | ParseErrorKind::OptionFirst
        | ParseErrorKind::QuotedName => false,
    }
}

#[test]
fn many_lines_are_read_as_cpython_reads_them() {
    let mut random = fastrand::Rng::with_seed(7);
    let mut lines = Vec::with_capacity(LINES);
    let mut ours = Vec::with_capacity(LINES);
    while lines.len() < LINES {
        let line = if random.u8(0..4) > 0 {
            random_line(&mut random)
        } else {
            mutated(&mut random)
        };
        match split(&line) {
            Ok(words) => {
                // The line that would be sent must be split into exactly the same words.
                lines.push(join_words(words.iter().map(String::as_str)));
                ours.push(Some(words.clone()));
                lines.push(line);
                ours.push(Some(words));
            }
            Err(error) => {
                assert!(is_there(&line, error), "{line:?}: {error:?}");
                // Python cannot read these either. It can read the others, but not in the same way.
                if matches!(
                    error.kind,
                    ParseErrorKind::OpenQuote | ParseErrorKind::LastBackslash
                ) {
                    lines.push(line);
                    ours.push(None);
                }
            }
        }
    }
    let accepted = ours.iter().flatten().count();
    assert!(
        accepted > LINES * 3 / 4,
        "only {accepted} lines were accepted"
    );
    for ((line, ours), theirs) in lines.iter().zip(ours).zip(shlex_split(&lines)) {
        assert_eq!(ours, theirs, "{line:?}");
    }
}

#[test]
fn a_command_has_the_words_that_cpython_splits() {
    let mut random = fastrand::Rng::with_seed(11);
    let (mut sent, mut ours) = (Vec::new(), Vec::new());
    for _ in 0..20_000 {
        let line = mutated(&mut random);
        if let Ok(command) = Command::read(line.as_bytes()) {
            ours.push(texts(command.words()));
            let canonical = command.to_line();
            sent.extend([line, canonical]);
        }
    }
    assert!(ours.len() > 4_000, "only {} commands", ours.len());
    for (pair, ours) in shlex_split(&sent).chunks(2).zip(ours) {
        let [Some(line), Some(canonical)] = pair else {
            panic!("Python can't read what passed as {ours:?}");
        };
        let line = match line.as_slice() {
            [first, rest @ ..] if first == "airflow" => rest,
            whole => whole,
        };
        assert_eq!(line, ours);
        assert_eq!(canonical, &ours);
    }
}
