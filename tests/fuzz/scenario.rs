//! Environments with their rules, what they forbid, and the witness that knows it without the
//! policy's own tables.

use crate::argparse::{Flag, taken};
use mwaa_model::{AirflowVersion, EnvName, Environment, Policy};
use mwaa_policy::CommandPolicy;
use std::collections::{BTreeSet, HashMap};
use std::fmt;

/// Commands that change nothing.
const READS: &[&str] = &[
    "assets details",
    "assets list",
    "cheat-sheet",
    "dags list",
    "dags list-import-errors",
    "dags list-jobs",
    "dags list-runs",
    "dags next-execution",
    "dags report",
    "dags show",
    "dags state",
    "providers behaviours",
    "providers get",
    "providers hooks",
    "providers links",
    "providers list",
    "providers notifications",
    "providers secrets",
    "providers triggerer",
    "providers triggers",
    "providers widgets",
    "roles list",
    "tasks failed-deps",
    "tasks list",
    "tasks render",
    "tasks state",
    "tasks states-for-dag-run",
    "variables get",
    "variables list",
    "version",
];

/// Commands that run, stop or repeat work.
const RUNS: &[&str] = &[
    "assets materialize",
    "backfill create",
    "dags backfill",
    "dags pause",
    "dags test",
    "dags trigger",
    "dags unpause",
    "tasks clear",
    "tasks run",
    "tasks test",
];

/// Options that reach into the web server's files or process.
const REACHING: &[&str] = &[
    "--cfg-path",
    "--dagfile-path",
    "--daemon",
    "--env-vars",
    "--error-file",
    "--imgcat",
    "--imgcat-dagrun",
    "--interactive",
    "--log-file",
    "--output-path",
    "--pickle",
    "--pid",
    "--post-mortem",
    "--save",
    "--save-dagrun",
    "--stderr",
    "--stdout",
    "--subdir",
];

/// An environment.
pub(crate) struct Scenario {
    name: &'static str,
    pub(crate) version: AirflowVersion,
    environment: Environment,
    /// Commands that run here but for the deny list, by the emulator's table and `allow`.
    runs: BTreeSet<&'static str>,
    flags: HashMap<&'static str, Vec<Flag>>,
    /// Commands that must not pass, as words.
    pub(crate) forbidden: Vec<Vec<String>>,
}

impl fmt::Display for Scenario {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Airflow {}, {:?}, deny {:?}",
            self.name, self.environment.policy, self.environment.deny
        )
    }
}

impl Scenario {
    /// All environments.
    pub(crate) fn all() -> Vec<Self> {
        use Policy::{All, Operator, ReadOnly, Supported};
        let deny = [
            "dags delete",
            "db",
            "users",
            "connections export",
            "variables",
        ];
        vec![
            Self::new("1.10.12", Supported, &[], &[]),
            Self::new("2.2.2", Supported, &[], &[]),
            Self::new("2.10.3", Supported, &[], &[]),
            Self::new("3.3.1", Supported, &[], &[]),
            Self::new("2.10.3", ReadOnly, &[], &[]),
            Self::new("3.3.1", ReadOnly, &[], &[]),
            Self::new("2.10.3", Operator, &[], &[]),
            Self::new("3.3.1", Operator, &[], &[]),
            Self::new(
                "2.10.3",
                ReadOnly,
                &["pools list", "dags pause"],
                &["dags list"],
            ),
            Self::new("2.10.3", Supported, &[], &deny),
            Self::new("2.10.3", All, &[], &deny),
        ]
    }

    fn new(
        version: &'static str,
        policy: Policy,
        allow: &[&'static str],
        deny: &[&str],
    ) -> Self {
        let mut flags = HashMap::new();
        let mut names: BTreeSet<_> = emulated(None).collect();
        let asked = match version {
            "2.10.3" => "2.10.5",
            "3.3.1" => "3.3.2",
            _ => "none",
        };
        for line in include_str!("parsers.txt")
            .lines()
            .filter(|line| !line.starts_with('#'))
        {
            let mut columns = line.split('|');
            let mut column = || columns.next().expect("three columns");
            let (airflow, name, options) = (column(), column(), column());
            names.insert(name);
            if airflow == asked {
                flags.insert(name, options.split(' ').map(Flag::read).collect());
            }
        }
        let words = |rule: &&str| rule.split(' ').map(str::to_owned).collect();
        let runs: BTreeSet<_> = emulated(Some(numbers(version)))
            .filter(|name| match policy {
                Policy::All | Policy::Supported => true,
                Policy::Operator => READS.contains(name) || RUNS.contains(name),
                Policy::ReadOnly => READS.contains(name),
            })
            .chain(allow.iter().copied())
            .collect();
        let mut scenario = Self {
            name: version,
            version: version.parse().expect("a version"),
            environment: Environment {
                policy,
                allow: allow.iter().map(words).collect(),
                deny: deny.iter().map(words).collect(),
                ..Environment::new(EnvName::any(), version)
            },
            runs,
            flags,
            forbidden: Vec::new(),
        };
        scenario.forbidden = scenario.commands(&names);
        scenario
    }

    /// Commands that are forbidden here: by their names, and by an option.
    fn commands(&self, names: &BTreeSet<&'static str>) -> Vec<Vec<String>> {
        let mut commands = Vec::new();
        let mut add = |name: &str, arguments: &[&str]| {
            let words = name.split(' ').chain(arguments.iter().copied());
            let words: Vec<_> = words.map(str::to_owned).collect();
            if self.finding(&words).is_some() {
                commands.push(words);
            }
        };
        for name in names {
            for arguments in [
                &[][..],
                &["x"],
                &["x", "--yes"],
                &["key", "a \"b\" 'c'", "-v"],
            ] {
                add(name, arguments);
            }
        }
        for (name, flags) in &self.flags {
            for spelling in flags
                .iter()
                .filter(|f| reaches(f))
                .flat_map(|f| &f.spellings)
            {
                add(name, &["x", spelling, "/tmp/x"]);
                add(name, &[spelling, "/tmp/x", "y", "-v"]);
            }
        }
        commands.sort();
        commands
    }

    pub(crate) fn policy(&self) -> CommandPolicy<'_> {
        CommandPolicy::new(&self.environment, None)
    }

    /// Returns the reason why these words must not reach the web server; `None` if they may.
    pub(crate) fn finding(&self, words: &[String]) -> Option<String> {
        let is_help = |word: &String| word == "-h" || word == "--help";
        let denied = |rule: &&Vec<String>| words.starts_with(rule);
        if let Some(rule) = self.environment.deny.iter().find(denied) {
            return Some(format!("{rule:?} is denied"));
        }
        if self.environment.policy == Policy::All {
            return words
                .first()
                .is_none_or(|first| first.starts_with('-') && !is_help(first))
                .then(|| "it begins with an option".to_owned());
        }
        let (first, rest) = words.split_first()?;
        let pair = rest.first().map(|second| format!("{first} {second}"));
        let pair = pair.and_then(|pair| self.runs.get(pair.as_str()));
        let (name, arguments) = match (pair, rest) {
            (Some(pair), [_, arguments @ ..]) => (*pair, arguments),
            _ => match self.runs.get(first.as_str()) {
                Some(single) => (*single, rest),
                None => {
                    return (!self.is_usage(words))
                        .then(|| "no such command runs here".to_owned());
                }
            },
        };
        let flags = self.flags.get(name).map_or(&[][..], Vec::as_slice);
        let mut taken = taken(arguments, flags).into_iter();
        taken
            .find(|flag| reaches(flag))
            .map(|flag| format!("{flag:?} reaches into the web server"))
    }

    /// Returns true if the words only ask for usage: of all, of a group, or of a command that MWAA
    /// runs.
    fn is_usage(&self, words: &[String]) -> bool {
        let Some((last, before)) = words.split_last() else {
            return false;
        };
        let is_help = last == "-h" || last == "--help";
        let name = if is_help {
            before.join(" ")
        } else {
            words.join(" ")
        };
        let group = emulated(Some(numbers(self.name))).any(|command| {
            command
                .split_once(' ')
                .is_some_and(|(group, _)| group == name)
        }) || self
            .environment
            .allow
            .iter()
            .any(|allowed| allowed.first() == Some(&name));
        let command =
            is_help && emulated(Some(numbers(self.name))).any(|command| command == name);
        group || command || (is_help && before.is_empty())
    }
}

fn reaches(flag: &Flag) -> bool {
    flag.spellings
        .iter()
        .any(|spelling| REACHING.contains(spelling))
}

/// The commands that MWAA runs by the emulator's table, of one release or of all.
fn emulated(version: Option<[u32; 3]>) -> impl Iterator<Item = &'static str> {
    let table = include_str!("../../emulator/src/commands.csv");
    let rows = table.lines().filter(|line| !line.starts_with('#')).skip(1);
    rows.filter_map(move |row| {
        let mut columns = row.split(',');
        let (command, first, last) = (columns.next()?, columns.next()?, columns.next()?);
        // what the guide does not list passes only where a rule says so
        if columns.next() == Some("U") {
            return None;
        }
        let covers = |version| numbers(first) <= version && version <= numbers(last);
        version.is_none_or(covers).then_some(command)
    })
}

fn numbers(version: &str) -> [u32; 3] {
    let mut parts = version
        .split('.')
        .map(|part| part.parse().expect("a number"));
    std::array::from_fn(|_| parts.next().expect("three numbers"))
}
