//! What the grammars of the commands are built from, and how parsed values are read.

use clap::builder::PossibleValuesParser;
use clap::{Arg, ArgAction, ArgMatches, Command};

use super::clock::Moment;
use super::output::Format;

/// The part of a help text that lists positional arguments.
const POSITIONALS: &str = "Positional Arguments";

/// A command with the options every Airflow command has.
pub(super) fn command(name: &'static str, about: &'static str) -> Command {
    bare(name, about).arg(
        Arg::new("verbose")
            .short('v')
            .long("verbose")
            .help("Make logging output more verbose")
            .action(ArgAction::SetTrue),
    )
}

/// A group of commands.
pub(super) fn group(
    name: &'static str,
    about: &'static str,
    commands: impl IntoIterator<Item = Command>,
) -> Command {
    bare(name, about)
        .subcommand_required(true)
        .disable_help_subcommand(true)
        .subcommand_help_heading(POSITIONALS)
        .subcommands(commands)
}

fn bare(name: &'static str, about: &'static str) -> Command {
    Command::new(name)
        .about(about)
        .args_override_self(true)
        .help_template("Usage: {usage}\n{about-section}\n{all-args}\n")
}

/// A required positional argument.
pub(super) fn positional(name: &'static str, help: &'static str) -> Arg {
    Arg::new(name)
        .value_name(name)
        .help(help)
        .required(true)
        .allow_negative_numbers(true)
        .help_heading(POSITIONALS)
}

/// An option with a value.
pub(super) fn option(short: Option<char>, long: &'static str, help: &'static str) -> Arg {
    let arg = Arg::new(long)
        .long(long)
        .help(help)
        .num_args(1)
        .allow_negative_numbers(true);
    match short {
        Some(short) => arg.short(short),
        None => arg,
    }
}

/// An option without a value.
pub(super) fn switch(short: Option<char>, long: &'static str, help: &'static str) -> Arg {
    let arg = Arg::new(long)
        .long(long)
        .help(help)
        .action(ArgAction::SetTrue);
    match short {
        Some(short) => arg.short(short),
        None => arg,
    }
}

/// `-o/--output`.
pub(super) fn output() -> Arg {
    option(
        Some('o'),
        "output",
        "Output format. Allowed values: json, yaml, plain, table (default: table)",
    )
    .value_parser(PossibleValuesParser::new(Format::NAMES))
    .hide_possible_values(true)
}

/// Makes an argument's value a date.
pub(super) fn dated(arg: Arg) -> Arg {
    arg.value_parser(|text: &str| Moment::parse(text).ok_or("parsedate"))
}

/// `-y/--yes`.
pub(super) fn yes() -> Arg {
    switch(Some('y'), "yes", "Do not prompt to confirm. Use with care!")
}

/// `-S/--subdir`: taken and of no effect, for the world has one folder of DAGs.
pub(super) fn subdir() -> Arg {
    option(
        Some('S'),
        "subdir",
        "File location or directory from which to look for the dag",
    )
}

/// What a parsed command line holds, by the names the grammar gave.
pub(super) trait Parsed {
    /// A value, if given.
    fn text(&self, name: &str) -> Option<&str>;
    /// A value the grammar requires (empty if it does not after all).
    fn required(&self, name: &str) -> &str {
        self.text(name).unwrap_or_default()
    }
    /// All values of a name.
    fn texts(&self, name: &str) -> Vec<String>;
    /// A number of the type the grammar parses it as, if given.
    fn number<T: Copy + Send + Sync + 'static>(&self, name: &str) -> Option<T>;
    /// A date, if given.
    fn moment(&self, name: &str) -> Option<Moment>;
    /// Whether a switch was given.
    fn has(&self, name: &str) -> bool;
    /// The output format asked for.
    fn format(&self) -> Format {
        Format::named(self.text("output"))
    }
}

impl Parsed for ArgMatches {
    fn text(&self, name: &str) -> Option<&str> {
        self.try_get_one::<String>(name)
            .ok()
            .flatten()
            .map(String::as_str)
    }

    fn texts(&self, name: &str) -> Vec<String> {
        let values = self.try_get_many::<String>(name).ok().flatten();
        values
            .map(|values| values.cloned().collect())
            .unwrap_or_default()
    }

    fn number<T: Copy + Send + Sync + 'static>(&self, name: &str) -> Option<T> {
        self.try_get_one::<T>(name).ok().flatten().copied()
    }

    fn moment(&self, name: &str) -> Option<Moment> {
        self.number(name)
    }

    fn has(&self, name: &str) -> bool {
        self.try_get_one::<bool>(name)
            .ok()
            .flatten()
            .copied()
            .unwrap_or(false)
    }
}
