//! Which words of a command are options, as Python's argparse reads them, and which of those
//! may not pass.

use super::option_rows::{FILES, Forbidden, Row, rows_of};
use super::release::Release;

/// Options of any command that reach into files. A word that a release's own table does not
/// know, but that could be short for one of these, does not pass: the table may be older
/// than the web server.
const ANYWHERE: &[&str] = &[
    "--cfg-path",
    "--cfg_path",
    "--dagfile-path",
    "--env-vars",
    "--error-file",
    "--log-file",
    "--pid",
    "--save",
    "--save-dagrun",
    "--stderr",
    "--stdout",
    "--subdir",
    "-S",
    "-sd",
];

/// What a command's arguments say, as argparse reads them.
#[derive(Debug, Default)]
pub(super) struct Reading {
    /// The options that are given, by their longest spelling, each once.
    pub(super) given: Vec<&'static str>,
    /// The first of them that may not pass. An abbreviation of several options counts as
    /// each of them.
    pub(super) forbidden: Option<Forbidden>,
}

/// Reads the words behind a command's name.
///
/// Exact, glued (`-S/x`), clustered (`-vS/x`, `-v=S/x`), joined (`--subdir=/x`) and
/// abbreviated (`--s /x`) forms all count, as argparse takes them all. Whether a word is an
/// option depends on that word alone, also behind an option that needs a value. Words after
/// `--` are values.
pub(super) fn read(command: &str, arguments: &[String], release: &Release) -> Reading {
    let mut reading = Reading::default();
    let mut options = arguments
        .iter()
        .take_while(|word| *word != "--")
        .filter(|word| word.starts_with('-'))
        .peekable();
    // most commands have none, and the rows need no look
    if options.peek().is_none() {
        return reading;
    }
    let version = release.version();
    let rows: Vec<&Row> = rows_of(command)
        .iter()
        .copied()
        .filter(|row| row.first <= version && version <= row.last)
        .collect();
    for word in options {
        reading.take_word(word, &rows);
    }
    reading
}

impl Reading {
    fn take(&mut self, row: &Row) {
        if let Some(name) = row.spellings.last()
            && !self.given.contains(name)
        {
            self.given.push(name);
        }
        self.refuse(row.verdict());
    }

    fn refuse(&mut self, why: Option<Forbidden>) {
        self.forbidden = self.forbidden.or(why);
    }

    /// Finds the options that argparse could take one word for (`_parse_optional`,
    /// `_get_option_tuples` and the clusters of `consume_optional`).
    fn take_word(&mut self, word: &str, rows: &[&'static Row]) {
        if word == "-" {
            return;
        }
        let exact = |spelling: &str| rows.iter().find(|row| row.spellings.contains(&spelling));
        if let Some(row) = exact(word) {
            return self.take(row);
        }
        let (head, value) = word.split_once('=').unwrap_or((word, ""));
        if let Some(row) = exact(head) {
            self.take(row);
            if !head.starts_with("--") {
                // A flag takes no value, so argparse reads one as more flags: `-v=S/x`.
                self.take_cluster(value, row, rows);
            }
            return;
        }
        let (letter, glued) = split_letter(word);
        let short = exact(letter).filter(|_| !word.starts_with("--"));
        let candidates = rows.iter().flat_map(|row| {
            let short_for = |s: &&&str| **s != letter && s.starts_with(head);
            row.spellings.iter().filter(short_for).map(move |_| *row)
        });
        match (short, candidates.clone().next()) {
            (None, None) => self.take_unknown(word, head, letter),
            (Some(row), None) => {
                self.take(row);
                self.take_cluster(glued, row, rows);
            }
            (None, Some(row)) if candidates.clone().nth(1).is_none() => self.take(row),
            // ambiguous: an error of argparse's, so nothing is given
            (row, Some(_)) => {
                let mut both = row.copied().into_iter().chain(candidates);
                self.refuse(both.find_map(Row::verdict));
            }
        }
    }

    /// Walks the letters behind a one-dash flag until one takes the rest as its value.
    fn take_cluster(&mut self, glued: &str, flag: &Row, rows: &[&'static Row]) {
        let mut takes_value = flag.takes_value;
        for letter in glued.chars() {
            if takes_value {
                return;
            }
            let spelling = format!("-{letter}");
            let row = rows
                .iter()
                .find(|row| row.spellings.contains(&spelling.as_str()));
            let Some(row) = row else {
                return self.take_unknown(&spelling, &spelling, &spelling);
            };
            self.take(row);
            takes_value = row.takes_value;
        }
    }

    /// Nothing that the table knows: a value if it has a space or is a number, else an error of
    /// argparse's, unless the web server is newer than the table.
    fn take_unknown(&mut self, word: &str, head: &str, letter: &str) {
        if word.contains(' ') {
            return;
        }
        let anywhere = ANYWHERE.iter().find(|option| {
            if head.starts_with("--") {
                option.starts_with(head)
            } else {
                **option == letter || word.starts_with(*option)
            }
        });
        self.refuse(anywhere.map(|option| Forbidden {
            option,
            reason: FILES,
        }));
    }
}

/// Cuts `-Sx` into `-S` and `x`.
fn split_letter(word: &str) -> (&str, &str) {
    let end = word.char_indices().nth(2).map_or(word.len(), |(at, _)| at);
    word.split_at_checked(end).unwrap_or((word, ""))
}

#[cfg(test)]
mod tests {
    use super::super::release::release_for;
    use super::*;

    fn reading(command: &str, arguments: &str, version: &str) -> Reading {
        let (release, _) = release_for(version.parse().expect("a version"));
        let words = super::super::words::split(arguments).expect("words");
        read(command, &words, release)
    }

    fn found(command: &str, arguments: &str, version: &str) -> Option<&'static str> {
        reading(command, arguments, version)
            .forbidden
            .map(|found| found.option)
    }

    #[test]
    fn names_the_options_that_are_given() {
        for (command, arguments, given) in [
            ("dags trigger", "x", &[][..]),
            (
                "dags trigger",
                "x --conf {} -r=1 --exec 2024-01-01",
                &["--conf", "--run-id", "--exec-date"],
            ),
            (
                "dags trigger",
                "-vvcS x -c{} --verbose",
                &["--verbose", "--conf"],
            ),
            (
                "dags trigger",
                "x --no={} '--conf {}' '--conf={ }'",
                &["--no-replace-microseconds", "--conf"],
            ),
            ("dags trigger", "x -c -- --run-id", &["--conf"]),
            ("dags trigger", "x - -1 --unknown -q", &[]),
            ("dags backfill", "x --ignore", &[]), // ambiguous
            ("dags delete", "x -y", &["--yes"]),
        ] {
            assert_eq!(
                reading(command, arguments, "2.10.3").given,
                given,
                "{arguments}"
            );
        }
    }

    #[test]
    fn finds_every_form_that_argparse_takes() {
        for arguments in [
            "x --subdir /x",
            "x --subdir=/x",
            "x --sub /x",
            "x --s /x",
            "x --s=/x",
            "x -S /x",
            "x -S/x",
            "x -S=/x",
            "x '-S /x y'",
            "x '--subdir=/x y'",
            "x -vS/x",
            "x -vvS/x",
            "x -v=S/x",
            "x -vS=/x",
            "--subdir /x x",
            "x --conf '{}' -S /x",
            "x --conf --subdir",
        ] {
            let option = found("dags trigger", arguments, "2.10.3");
            assert_eq!(option, Some("--subdir"), "{arguments}");
        }
    }

    #[test]
    fn lets_values_and_other_options_pass() {
        for (command, arguments) in [
            (
                "dags trigger",
                "x --conf '{\"subdir\": \"-S\"}' --run-id S -e 2024-01-01",
            ),
            ("dags trigger", "x -- --subdir /x"),
            ("dags trigger", "x -cS/x"),
            ("dags trigger", "x -vcS"),
            ("dags trigger", "x -rmanual-S"),
            ("dags trigger", "x '--s x y'"),
            ("dags trigger", "x -"),
            ("dags list-runs", "-d x --st 2024-01-01 -sS"),
            ("db clean", "--clean-before-timestamp 2024-01-01 --s"),
            ("variables set", "k -- -1"),
            ("variables set", "k -1"),
            ("tasks clear", "x -dv -s 2024-01-01"),
            ("dags list", "-o json"),
        ] {
            assert_eq!(
                found(command, arguments, "2.10.3"),
                None,
                "{command} {arguments}"
            );
        }
    }

    #[test]
    fn knows_what_each_release_has() {
        let cases = [
            ("dags show", "x -s f.png", "2.10.3", Some("--save")),
            ("dags show", "x --imgcat", "2.10.3", None),
            (
                "dags test",
                "x --show-dagrun",
                "2.0.2",
                Some("--show-dagrun"),
            ),
            ("dags test", "x --show-dagrun", "2.10.3", None),
            ("dags test", "x --sa f", "2.10.3", Some("--save-dagrun")),
            ("dags test", "x -f /x.py", "3.0.6", Some("--dagfile-path")),
            ("tasks test", "x y --env '{}'", "3.0.6", Some("--env-vars")),
            (
                "tasks run",
                "x y z --cfg-path /x",
                "2.10.3",
                Some("--cfg-path"),
            ),
            (
                "tasks run",
                "x y z --error-f /x",
                "2.2.2",
                Some("--error-file"),
            ),
            ("variables", "-i /x", "1.10.12", Some("--import")),
            ("variables", "--exp=/x", "1.10.12", Some("--export")),
            ("variables", "-s k v", "1.10.12", None),
            ("list_dags", "-sd /x", "1.10.12", Some("--subdir")),
            ("list_dags", "-s /x", "1.10.12", Some("--subdir")),
            (
                "backfill",
                "x -s 2020-01-01 -sd=/x",
                "1.10.12",
                Some("--subdir"),
            ),
            ("backfill", "x -s 2020-01-01", "1.10.12", None),
            // not in the table of 3.x: refused because the web server may be newer
            ("dags list", "-S /x", "3.3.1", Some("-S")),
            ("dags list", "--subd /x", "3.3.1", Some("--subdir")),
            ("dags list", "-l", "3.3.1", None),
        ];
        for (command, arguments, version, option) in cases {
            assert_eq!(
                found(command, arguments, version),
                option,
                "{command} {arguments}"
            );
        }
    }
}
