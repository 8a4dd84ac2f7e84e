//! Reads a command line as argparse does, by the help text of the command.

use std::collections::HashMap;

use super::super::answers::Answer;
use super::clock::Moment;
use super::not_simulated;
use super::output::Format;
use super::texts::Release;

/// A command and the values of its arguments.
#[derive(Debug, Default)]
pub(super) struct Arguments {
    /// Such as `dags list`.
    pub(super) command: String,
    values: HashMap<&'static str, String>,
}

/// An option of a command, as its help describes it.
struct Flag {
    /// Such as `-o` and `--output`.
    names: Vec<&'static str>,
    /// The name of its value; empty if it takes none.
    value: &'static str,
}

impl Arguments {
    /// Reads the words of a command line. Fails with a usage error, with the help that the words
    /// ask for, or if the command is not simulated.
    pub(super) fn parse(release: Release, words: &[String]) -> Result<Self, Answer> {
        let depth = usize::from(words.first().is_some_and(|word| !word.starts_with('-')));
        let pair = words.get(..2).map(|pair| pair.join(" "));
        let (command, rest) = match pair.filter(|pair| release.help(pair).is_some()) {
            Some(pair) => (pair, words.get(2..)),
            None => (
                words.get(..depth).unwrap_or_default().join(" "),
                words.get(depth..),
            ),
        };
        let rest = rest.unwrap_or_default();
        let help = release.help(&command).ok_or_else(|| not_simulated(words))?;
        if help.contains(" COMMAND ...") || command.is_empty() {
            return Err(match rest.first().map(String::as_str) {
                Some("-h" | "--help") => Answer::stdout(help),
                None => usage(release, &command, &required(&["COMMAND"])),
                Some(_) => not_simulated(words),
            });
        }

        let mut arguments = Self {
            command,
            ..Self::default()
        };
        let unknown = arguments.read(release, help, rest)?;
        if unknown.is_empty() {
            return Ok(arguments);
        }
        let message = format!("unrecognized arguments: {}", unknown.join(" "));
        Err(usage(release, "", &message))
    }

    /// The value of an argument, or nothing.
    pub(super) fn text(&self, name: &str) -> &str {
        self.get(name).unwrap_or_default()
    }

    /// The value of an argument, if it was given.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.values.get(name).map(String::as_str)
    }

    /// The value of an argument that is a date, if it was given.
    pub(super) fn date(&self, name: &str) -> Option<Moment> {
        self.get(name).and_then(Moment::parse)
    }

    /// Whether an option was given.
    pub(super) fn has(&self, name: &str) -> bool {
        self.values.contains_key(name)
    }

    /// The format of `--output`.
    pub(super) fn format(&self) -> Format {
        Format::named(self.text("output"))
    }

    /// Reads the words after the command, and returns those that it does not know.
    fn read(
        &mut self,
        release: Release,
        help: &'static str,
        words: &[String],
    ) -> Result<Vec<String>, Answer> {
        let flags: Vec<Flag> = entries(help, "Options:").map(Flag::read).collect();
        let mut places = entries(help, "Positional Arguments:");
        let mut unknown = Vec::new();
        let mut only_places = false;

        let mut words = words.iter().peekable();
        while let Some(word) = words.next() {
            if word == "--" && !only_places {
                only_places = true;
            } else if only_places || !is_option(word) {
                match places.next() {
                    Some(place) => {
                        let name = place.split(' ').next().unwrap_or_default();
                        self.values.insert(name, word.clone());
                    }
                    None => unknown.push(word.clone()),
                }
            } else if let Some((flag, attached)) = find(&flags, word) {
                let next = words.next_if(|next| {
                    !flag.value.is_empty() && attached.is_none() && !is_option(next)
                });
                let value = attached.or_else(|| next.map(String::as_str));
                let value = flag
                    .check(value)
                    .map_err(|message| usage(release, &self.command, &message))?;
                if flag.key() == "help" {
                    return Err(Answer::stdout(help));
                }
                self.values.insert(flag.key(), value.to_owned());
            } else {
                unknown.push(word.clone());
            }
        }

        let missing = flags
            .iter()
            .filter(|flag| flag.is_required(help) && !self.has(flag.key()))
            .map(|flag| flag.names.join("/"));
        let left = places.map(|place| place.split(' ').next().unwrap_or_default().to_owned());
        let missing: Vec<String> = missing.chain(left).collect();
        if missing.is_empty() {
            return Ok(unknown);
        }
        Err(usage(release, &self.command, &required(&missing)))
    }
}

impl Flag {
    /// Reads an entry of the help, such as `-o, --output (table, json)  Output format`.
    fn read(entry: &'static str) -> Self {
        let entry = entry.split("  ").next().unwrap_or_default();
        let mut names = Vec::new();
        let mut rest = entry;
        while rest.starts_with('-') {
            let end = rest.find([',', ' ']).unwrap_or(rest.len());
            let (name, more) = rest.split_at(end);
            names.push(name);
            rest = more.trim_start_matches([',', ' ']);
        }
        Self { names, value: rest }
    }

    fn key(&self) -> &'static str {
        self.names
            .last()
            .map_or("", |name| name.trim_start_matches('-'))
    }

    fn is_required(&self, help: &str) -> bool {
        let usage = help.split("\n\n").next().unwrap_or_default();
        let optional = |name: &&&str| usage.contains(&format!("[{name}"));
        !self.names.iter().any(|name| optional(&name))
    }

    /// The value that the option takes; says what is wrong with it.
    fn check<'a>(&self, value: Option<&'a str>) -> Result<&'a str, String> {
        let name = self.names.join("/");
        if self.value.is_empty() {
            return match value {
                None => Ok(""),
                Some(value) => Err(format!(
                    "argument {name}: ignored explicit argument '{value}'"
                )),
            };
        }
        let value = value.ok_or_else(|| format!("argument {name}: expected one argument"))?;
        let choices = self.value.trim_matches(['(', ')', '{', '}']).split(',');
        let choices: Vec<&str> = choices.map(str::trim).collect();
        if choices.len() > 1 && !choices.contains(&value) {
            let choices = choices.join("', '");
            return Err(format!(
                "argument {name}: invalid choice: '{value}' (choose from '{choices}')"
            ));
        }
        if self.value.ends_with("_DATE") && Moment::parse(value).is_none() {
            return Err(format!("argument {name}: invalid parse value: '{value}'"));
        }
        Ok(value)
    }
}

/// The entries of a part of the help: its lines that are indented by two spaces.
fn entries(help: &'static str, title: &str) -> impl Iterator<Item = &'static str> {
    let lines = help.lines().skip_while(move |line| *line != title).skip(1);
    lines
        .take_while(|line| !line.is_empty())
        .filter_map(|line| line.strip_prefix("  "))
        .filter(|line| !line.starts_with(' '))
}

/// The option that a word names, in full, by its first letters or by its short form, and the
/// value that is attached to it.
fn find<'a, 'w>(flags: &'a [Flag], word: &'w str) -> Option<(&'a Flag, Option<&'w str>)> {
    let (name, value) = match word.split_once('=') {
        Some((name, value)) if name.starts_with("--") => (name, Some(value)),
        _ => (word, None),
    };
    let named = |test: &dyn Fn(&str) -> bool| {
        let mut fitting = flags
            .iter()
            .filter(|flag| flag.names.iter().any(|name| test(name)));
        fitting.next().filter(|_| fitting.next().is_none())
    };
    if let Some(flag) = named(&|known| known == name) {
        return Some((flag, value));
    }
    if name.starts_with("--") {
        return Some((named(&|known| known.starts_with(name))?, value));
    }
    let (short, attached) = word.split_at_checked(2)?;
    Some((named(&|known| known == short)?, Some(attached)))
}

/// Whether a word is an option: a dash and neither a number nor a text with blanks.
fn is_option(word: &str) -> bool {
    let name = word.split('=').next().unwrap_or_default();
    word.len() > 1
        && name.starts_with('-')
        && !name.contains(' ')
        && word.parse::<f64>().is_err()
}

fn required(names: &[impl AsRef<str>]) -> String {
    let names: Vec<&str> = names.iter().map(AsRef::as_ref).collect();
    format!("the following arguments are required: {}", names.join(", "))
}

/// A usage error: the help on standard output, the error on standard error.
fn usage(release: Release, command: &str, message: &str) -> Answer {
    let name = format!("airflow {command}");
    Answer {
        stdout: release.help(command).unwrap_or_default().to_owned(),
        stderr: format!(
            "\n{} command error: {message}, see help above.\n",
            name.trim_end()
        ),
        exit_code: 2,
    }
}
