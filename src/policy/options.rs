//! Which words of a command are options, as Python's argparse reads them, and which of those
//! may not pass.

use super::option_rows::{Row, Takes, arguments_of};
use super::option_rules::{never, ruling};
use super::release::Release;
use std::sync::LazyLock;

/// The short spellings of an option that no command may be given.
const SHORT: &[&str] = &["-S", "-sd"];

/// What every parser of Airflow's has beside its own options.
static HELP: LazyLock<Row> = LazyLock::new(Row::help);

/// An option that may not pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Forbidden {
    /// The name.
    pub(super) option: &'static str,
    pub(super) why: &'static str,
}

/// What a command's arguments say, as argparse reads them.
#[derive(Debug, Default)]
pub(super) struct Reading {
    /// The options that are given, by name, each once.
    pub(super) given: Vec<&'static str>,
    /// Those that may not pass. An abbreviation of several options counts as each of them.
    pub(super) forbidden: Vec<Forbidden>,
    /// Whether Pythons differ in what value an option is given (`-vo=json`, `--conf=--`).
    pub(super) ambiguous: bool,
}

/// Reads the words behind a command's name.
///
/// Exact, glued (`-S/x`), clustered (`-vS/x`, `-v=S/x`), joined (`--subdir=/x`) and
/// abbreviated (`--s /x`) forms all count, as argparse takes them all. Whether a word is an
/// option depends on that word alone, also behind an option that needs a value. Words after
/// `--` are values.
pub(super) fn read(command: &'static str, arguments: &[String], release: &Release) -> Reading {
    let mut options = arguments
        .iter()
        .take_while(|word| *word != "--")
        .filter(|word| word.starts_with('-'))
        .peekable();
    // most commands have none, and the rows need no look
    if options.peek().is_none() {
        return Reading::default();
    }
    let rows = arguments_of(command).options.iter();
    let rows: Vec<&Row> = rows
        .filter(|row| row.covers(release))
        .chain([&*HELP])
        .collect();
    let mut reader = Reader {
        command,
        release,
        rows,
        reading: Reading::default(),
    };
    for word in options {
        reader.take_word(word);
    }
    reader.reading
}

/// One command's options at one release, and what was read so far.
struct Reader<'a> {
    command: &'static str,
    release: &'a Release,
    rows: Vec<&'static Row>,
    reading: Reading,
}

impl Reader<'_> {
    fn exact(&self, spelling: &str) -> Option<&'static Row> {
        self.rows
            .iter()
            .copied()
            .find(|row| row.is_spelled(spelling))
    }

    fn take(&mut self, row: &'static Row) {
        if !self.reading.given.contains(&row.name) {
            self.reading.given.push(row.name);
        }
        self.judge(row);
    }

    fn judge(&mut self, row: &'static Row) {
        let ruling = ruling(self.command, row.name, self.release);
        if let Some(ruling) = ruling.filter(|ruling| ruling.forbidden) {
            self.refuse(row.name, ruling.why);
        }
    }

    fn refuse(&mut self, option: &'static str, why: &'static str) {
        self.reading.forbidden.push(Forbidden { option, why });
    }

    /// Finds the options that argparse could take one word for (`_parse_optional`,
    /// `_get_option_tuples` and the clusters of `consume_optional`).
    fn take_word(&mut self, word: &str) {
        if word == "-" {
            return;
        }
        if let Some(row) = self.exact(word) {
            return self.take(row);
        }
        let (head, value) = word.split_once('=').unwrap_or((word, ""));
        // older Pythons take the dashes away
        self.reading.ambiguous |= value == "--";
        if let Some(row) = self.exact(head) {
            self.take(row);
            if !head.starts_with("--") && row.takes == Takes::Flag {
                // A flag takes no value: older Pythons read one as more flags (`-v=S/x`),
                // newer ones refuse it.
                self.reading.ambiguous = true;
                self.take_cluster(value, row);
            }
            return;
        }
        let (letter, glued) = split_letter(word);
        let short = self.exact(letter).filter(|_| !word.starts_with("--"));
        let mut long = self.rows.iter().flat_map(|row| {
            let short_for = |s: &&&str| **s != letter && s.starts_with(head);
            row.spellings.iter().filter(short_for).map(move |_| *row)
        });
        let first = long.next();
        match (short, first, long.next()) {
            (None, None, _) => self.take_unknown(word, head, letter),
            (None, Some(row), None) => self.take(row),
            (Some(row), None, _) => {
                self.take(row);
                self.take_cluster(glued, row);
            }
            // an error of argparse's, so nothing is given
            (short, Some(_), _) => {
                let short_for = |row: &&Row| row.spellings.iter().any(|s| s.starts_with(head));
                let rows: Vec<_> = self.rows.iter().copied().filter(short_for).collect();
                short
                    .into_iter()
                    .chain(rows)
                    .for_each(|row| self.judge(row));
            }
        }
    }

    /// Walks the letters behind a one-dash flag until one takes the rest as its value.
    fn take_cluster(&mut self, glued: &str, flag: &Row) {
        let mut takes = flag.takes;
        for (at, letter) in glued.char_indices() {
            if takes != Takes::Flag {
                // older Pythons keep the sign in the value, newer ones do not
                self.reading.ambiguous |= at > 0 && letter == '=';
                self.reading.ambiguous |= glued.get(at..) == Some("--");
                return;
            }
            let spelling = format!("-{letter}");
            let Some(row) = self.exact(&spelling) else {
                return self.take_unknown(&spelling, &spelling, &spelling);
            };
            self.take(row);
            takes = row.takes;
        }
    }

    /// Nothing that the table knows: a value if it has a space or is a number, else an error of
    /// argparse's, unless the web server is newer than the table.
    fn take_unknown(&mut self, word: &str, head: &str, letter: &str) {
        if word.contains(' ') {
            return;
        }
        if head.starts_with("--") {
            if let Some((option, ruling)) = never(head) {
                self.refuse(option, ruling.why);
            }
            return;
        }
        let short = |option: &&&str| **option == letter || word.starts_with(**option);
        if let Some(option) = SHORT.iter().find(short)
            && let Some((_, ruling)) = never("--subdir")
        {
            self.refuse(option, ruling.why);
        }
    }
}

/// Cuts `-Sx` into `-S` and `x`.
fn split_letter(word: &str) -> (&str, &str) {
    let end = word.char_indices().nth(2).map_or(word.len(), |(at, _)| at);
    word.split_at_checked(end).unwrap_or((word, ""))
}
