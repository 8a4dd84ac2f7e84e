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

/// The first word among a command's arguments that is an option which may not pass.
///
/// Exact, glued (`-S/x`), clustered (`-vS/x`, `-v=S/x`), joined (`--subdir=/x`) and
/// abbreviated (`--s /x`) forms all count, as argparse takes them all. Words after `--` are
/// values.
pub(super) fn forbidden(
    command: &str,
    arguments: &[String],
    release: &Release,
) -> Option<Forbidden> {
    let mut options = arguments
        .iter()
        .take_while(|word| *word != "--")
        .filter(|word| word.starts_with('-'))
        .peekable();
    // most commands have none, and the rows need no look
    options.peek()?;
    let version = release.version();
    let rows: Vec<&Row> = rows_of(command)
        .iter()
        .copied()
        .filter(|row| row.first <= version && version <= row.last)
        .collect();
    options.find_map(|word| judge_word(word, &rows))
}

/// Finds the options that argparse could take one word for (`_parse_optional`,
/// `_get_option_tuples` and the clusters of `consume_optional`).
fn judge_word(word: &str, rows: &[&Row]) -> Option<Forbidden> {
    let after_dash = word.strip_prefix('-').filter(|rest| !rest.is_empty())?;
    let exact = |spelling: &str| rows.iter().find(|row| row.spellings.contains(&spelling));
    if let Some(row) = exact(word) {
        return row.verdict();
    }
    let (head, value) = word.split_once('=').unwrap_or((word, ""));
    if let Some(row) = exact(head) {
        // A flag takes no value, so argparse reads one as more flags: `-v=S/x`.
        return row.verdict().or_else(|| cluster(value, row, rows));
    }
    if after_dash.starts_with('-') {
        let short_for = |row: &&Row| row.spellings.iter().any(|s| s.starts_with(head));
        let mut candidates = rows.iter().copied().filter(short_for).peekable();
        if candidates.peek().is_some() {
            return candidates.find_map(Row::verdict);
        }
    } else {
        let (letter, glued) = split_letter(word);
        let row = exact(letter);
        let abbreviated = |row: &&&Row| row.spellings.iter().any(|s| s.starts_with(word));
        let named = row.and_then(|row| row.verdict().or_else(|| cluster(glued, row, rows)));
        let found = named.or_else(|| {
            rows.iter()
                .filter(abbreviated)
                .find_map(|row| row.verdict())
        });
        if found.is_some() || row.is_some() {
            return found;
        }
    }
    // Nothing that the table knows: a value if it has a space, else an error of argparse's,
    // unless the web server is newer than the table.
    if word.contains(' ') {
        return None;
    }
    let (letter, _) = split_letter(word);
    let anywhere = ANYWHERE.iter().find(|option| {
        if head.starts_with("--") {
            option.starts_with(head)
        } else {
            **option == letter || word.starts_with(*option)
        }
    });
    anywhere.map(|option| Forbidden {
        option,
        reason: FILES,
    })
}

/// Walks the letters behind a one-dash flag until one takes the rest as its value.
fn cluster(glued: &str, flag: &Row, rows: &[&Row]) -> Option<Forbidden> {
    if flag.takes_value || flag.spellings.last().is_some_and(|s| s.len() < 2) {
        return None;
    }
    for letter in glued.chars() {
        let spelling = format!("-{letter}");
        let row = rows
            .iter()
            .find(|row| row.spellings.contains(&spelling.as_str()));
        match row {
            Some(row) => {
                if row.forbidden.is_some() || row.takes_value {
                    return row.verdict();
                }
            }
            None if letter == 'S' => {
                return Some(Forbidden {
                    option: "-S",
                    reason: FILES,
                });
            }
            None => return None,
        }
    }
    None
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

    fn found(command: &str, arguments: &str, version: &str) -> Option<&'static str> {
        let (release, _) = release_for(version.parse().expect("a version"));
        let words = super::super::words::split(arguments).expect("words");
        forbidden(command, &words, release).map(|found| found.option)
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
