//! `option_rules.csv` as rulings: which options may pass, decided for each option of every
//! command, and why.

use super::release::Release;
use crate::names::AirflowVersion;
use std::collections::HashMap;
use std::sync::LazyLock;

/// What was decided about an option.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ruling {
    /// For which command; `*` for all that have no ruling of their own.
    command: &'static str,
    /// The last release at which the ruling holds.
    until: Option<AirflowVersion>,
    pub(super) forbidden: bool,
    /// What the option does. For forbidden ones the rest of a sentence: `it reads …`.
    pub(super) why: &'static str,
}

/// The rulings by the option's name, those for one command before those for all.
static RULINGS: LazyLock<HashMap<&'static str, Vec<Ruling>>> = LazyLock::new(|| {
    let mut rulings: HashMap<_, Vec<_>> = HashMap::new();
    let lines = include_str!("option_rules.csv").lines().skip(1);
    for (options, ruling) in lines.filter_map(read_line) {
        for option in options.split('/') {
            rulings.entry(option).or_default().push(ruling);
        }
    }
    rulings
});

/// The options that no command may be given, for words that no table knows.
static NEVER: LazyLock<Vec<&'static str>> = LazyLock::new(|| {
    let never = |rulings: &Vec<Ruling>| rulings.iter().all(|r| r.forbidden && r.command == "*");
    let named = RULINGS.iter().filter(|(_, rulings)| never(rulings));
    let mut names: Vec<_> = named.map(|(name, _)| *name).collect();
    names.sort_unstable();
    names
});

fn read_line(line: &'static str) -> Option<(&'static str, Ruling)> {
    let mut fields = line.splitn(5, ',');
    let options = fields.next()?;
    let command = fields.next()?;
    let until = match fields.next()? {
        "" => None,
        version => Some(version.parse().ok()?),
    };
    let forbidden = match fields.next()? {
        "forbidden" => true,
        "passes" => false,
        _ => return None,
    };
    let why = fields.next()?;
    Some((
        options,
        Ruling {
            command,
            until,
            forbidden,
            why,
        },
    ))
}

/// What was decided about an option of a command; the table's tests see that there is one.
pub(super) fn ruling(command: &str, option: &str, release: &Release) -> Option<Ruling> {
    // 1.10 writes `--cfg_path`
    let rulings = if option.contains('_') {
        RULINGS.get(option.replace('_', "-").as_str())
    } else {
        RULINGS.get(option)
    };
    let holds = |ruling: &&Ruling| {
        (ruling.command == command || ruling.command == "*")
            && ruling.until.is_none_or(|until| release.version() <= until)
    };
    rulings?.iter().find(holds).copied()
}

/// The forbidden option that a word of two dashes, which no table knows, could be short for:
/// the table may be older than the web server.
pub(super) fn never(prefix: &str) -> Option<(&'static str, Ruling)> {
    let prefix = prefix.replace('_', "-");
    let option = NEVER.iter().find(|option| option.starts_with(&prefix))?;
    Some((option, *RULINGS.get(option)?.first()?))
}

#[cfg(test)]
mod tests {
    use super::super::option_rows::all_rows;
    use super::super::release::release_for;
    use super::*;

    #[test]
    fn every_option_has_a_ruling_and_every_ruling_an_option() {
        let lines = include_str!("option_rules.csv").lines().skip(1);
        assert_eq!(lines.clone().filter_map(read_line).count(), lines.count());
        for row in all_rows() {
            let (release, _) = release_for(row.first);
            let found = ruling(row.command, row.name, release);
            assert!(
                found.is_some(),
                "{} {} has no ruling",
                row.command,
                row.name
            );
        }
        for (option, rulings) in RULINGS.iter() {
            let named = all_rows().filter(|row| row.name.replace('_', "-") == *option);
            let rows: Vec<_> = named.collect();
            assert!(!rows.is_empty(), "{option} is no command's");
            for ruling in rulings {
                let has = rows.iter().any(|row| row.command == ruling.command);
                assert!(ruling.command == "*" || has, "{option} {ruling:?}");
                assert_eq!(
                    ruling.forbidden,
                    ruling.why.starts_with("it ") || ruling.until.is_some()
                );
            }
            let general = rulings.iter().position(|ruling| ruling.command == "*");
            assert!(general.is_none_or(|at| at + 1 == rulings.len()), "{option}");
        }
    }
}
