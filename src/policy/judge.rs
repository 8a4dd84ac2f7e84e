//! The decision: a command, a version and an environment's rules in, a permit out.

use super::advice;
use super::command::{Command, Path, is_help};
use super::entry::{Class, Entry};
use super::flag_style;
use super::option_advice;
use super::options::{self, Forbidden, Reading};
use super::questions;
use super::refusal::Refusal;
use super::release::{Release, release_for};
use super::table::table;
use crate::names::{AirflowVersion, Policy};
use bytes::Bytes;
use std::fmt;

/// What the configuration of an environment, or of a listener, says about commands.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rules<'a> {
    /// Whose rules they are.
    pub whose: Whose<'a>,
    /// The built-in policy.
    pub policy: Policy,
    /// Commands or groups added to it, each as words; also ones that MWAA does not list.
    pub allow: &'a [Vec<String>],
    /// Commands or groups taken from it, each as words. Beats `allow`.
    pub deny: &'a [Vec<String>],
}

/// Whose rules forbid a request.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Whose<'a> {
    /// The environment's that the request is for.
    #[default]
    Environment,
    /// A listener's, by the table of the configuration that holds its rules.
    Listener(&'a str),
}

/// The proof that a command may be sent. Only [`judge`] makes one.
///
/// `Debug` shows the name only: the line carries secrets.
#[derive(Clone)]
pub struct Permit {
    line: Bytes,
    name: &'static str,
    class: Option<Class>,
    options: Vec<&'static str>,
}

impl Permit {
    /// The canonical command line to send.
    pub fn line(&self) -> &Bytes {
        &self.line
    }

    /// The canonical command line to send, without a copy.
    pub fn into_line(self) -> Bytes {
        self.line
    }

    /// The command's name for logs and metrics; never text of the client's own.
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// What the command does; `None` when no table knows it.
    pub const fn class(&self) -> Option<Class> {
        self.class
    }

    /// The options that the command is given, without values: the longest spelling of each
    /// that the tables know, once.
    pub fn options(&self) -> &[&'static str] {
        &self.options
    }

    /// [`options`](Self::options), taken out.
    pub(super) fn take_options(&mut self) -> Vec<&'static str> {
        std::mem::take(&mut self.options)
    }

    fn new(command: &Command, name: &'static str, class: Option<Class>) -> Self {
        Self {
            line: Bytes::from(command.canonical()),
            name,
            class,
            options: Vec::new(),
        }
    }

    fn with_options(self, options: Vec<&'static str>) -> Self {
        Self { options, ..self }
    }
}

impl fmt::Debug for Permit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Permit")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

/// Decides whether a command may be sent to an environment.
///
/// The tables are those of [`release_for`] the version; the caller logs a fallback.
pub fn judge(
    command: &Command,
    version: AirflowVersion,
    rules: &Rules<'_>,
) -> Result<Permit, Refusal> {
    let (release, _) = release_for(version);
    match command.path(release) {
        Path::Help => Ok(Permit::new(command, "help", Some(Class::Read))),
        Path::OptionFirst => Err(option_first(command, version, release, rules)),
        Path::Group(group) => judge_group(command, group, version, release, rules),
        Path::Known(entry, arguments) => {
            judge_known(command, entry, arguments, version, release, rules)
        }
        Path::Unknown => judge_unknown(command, version, release, rules),
    }
}

/// The refusal of an option where a group's command should be: a spelling of an older Airflow's,
/// or no command at all.
fn option_first(
    command: &Command,
    version: AirflowVersion,
    release: &Release,
    rules: &Rules<'_>,
) -> Refusal {
    flag_style::refusal(command, version, rules).unwrap_or_else(|| {
        // the group was a command of its own: `backfill -s DATE` on Airflow 3
        let first = command.words().first();
        let old = first.filter(|word| table().successor(word).is_some());
        match old.and_then(|word| table().single(word)) {
            Some(old) => advice::unsupported(command, Some(old), version, release),
            None => command.option_first().into(),
        }
    })
}

/// A bare group prints its usage: harmless wherever one of its commands runs.
fn judge_group(
    command: &Command,
    group: &'static str,
    version: AirflowVersion,
    release: &Release,
    rules: &Rules<'_>,
) -> Result<Permit, Refusal> {
    if rules.deny.iter().any(|entry| entry == &[group]) {
        return Err(advice::denied(group, rules.whose));
    }
    let runs = table().members(group).any(|entry| entry.runs(release));
    let allowed = rules
        .allow
        .iter()
        .any(|entry| entry.first().is_some_and(|w| w == group));
    if runs || allowed || rules.policy == Policy::All {
        Ok(Permit::new(command, group, Some(Class::Read)))
    } else {
        Err(advice::unsupported(command, None, version, release))
    }
}

fn judge_known(
    command: &Command,
    entry: &'static Entry,
    arguments: &[String],
    version: AirflowVersion,
    release: &Release,
    rules: &Rules<'_>,
) -> Result<Permit, Refusal> {
    let name = || entry.command.split(' ');
    if is_denied(entry.command, rules) {
        return Err(advice::denied(entry.command, rules.whose));
    }
    let reading = options::read(entry.command, arguments, release);
    let permit = || Permit::new(command, entry.command, Some(entry.class));
    if rules.policy == Policy::All {
        return Ok(permit().with_options(reading.given));
    }
    if !rules.allow.iter().any(|allowed| is_prefix(allowed, name())) {
        if !entry.runs(release) {
            let flag_style = flag_style::refusal(command, version, rules);
            return Err(flag_style.unwrap_or_else(|| {
                advice::unsupported(command, Some(entry), version, release)
            }));
        }
        let only_help = matches!(arguments, [only] if is_help(only));
        if !only_help && !grants(rules.policy, entry.class) {
            return Err(advice::forbidden(entry, rules.policy, rules.whose));
        }
    }
    if let Some(found) = refused_option(&reading, entry.command, rules) {
        return Err(option_advice::forbidden_option(entry.command, found));
    }
    if reading.ambiguous {
        return Err(option_advice::unclear_value());
    }
    match questions::unanswered(entry.command, &reading, release) {
        Some(answer) => Err(Refusal::Unconfirmed {
            command: entry.command,
            answer,
        }),
        None => Ok(permit().with_options(reading.given)),
    }
}

/// The first option that may not pass and that no rule names behind the command's words.
fn refused_option(reading: &Reading, command: &str, rules: &Rules<'_>) -> Option<Forbidden> {
    let lifted = |found: &Forbidden| {
        let named = || command.split(' ').chain([found.option]);
        let mut allow = rules.allow.iter();
        allow.any(|rule| named().eq(rule.iter().map(String::as_str)))
    };
    reading
        .forbidden
        .iter()
        .copied()
        .find(|found| !lifted(found))
}

/// A command of a plugin or of a newer Airflow: passes only where the rules say so.
fn judge_unknown(
    command: &Command,
    version: AirflowVersion,
    release: &Release,
    rules: &Rules<'_>,
) -> Result<Permit, Refusal> {
    let leading = || command.leading().iter().map(String::as_str);
    // behind an option may stand what the rule names: Pythons differ in `group -- command`
    let hides = |denied: &[String]| {
        command.leading().len() < command.words().len() && is_within(denied, leading())
    };
    let mut deny = rules.deny.iter();
    if deny.any(|denied| is_prefix(denied, leading()) || hides(denied)) {
        return Err(advice::denied("the command", rules.whose));
    }
    // nobody knows whether MWAA drops the word too, and runs what no rule was asked about
    let is_twice = command
        .words()
        .first()
        .is_some_and(|word| word == "airflow");
    if rules.policy == Policy::All && !is_twice {
        return Ok(Permit::new(command, "other", None));
    }
    if !rules
        .allow
        .iter()
        .any(|allowed| is_prefix(allowed, leading()))
    {
        return Err(advice::unsupported(command, None, version, release));
    }
    let reading = options::read("", command.words(), release);
    match reading.forbidden.first() {
        Some(found) => Err(option_advice::forbidden_option("other", *found)),
        None => Ok(Permit::new(command, "other", None)),
    }
}

/// Whether a policy grants a class of the commands that MWAA runs.
pub(super) const fn grants(policy: Policy, class: Class) -> bool {
    match policy {
        Policy::All | Policy::Supported => true,
        // what may run tasks may read what they read
        Policy::Operator => matches!(class, Class::Read | Class::Run | Class::Secret),
        Policy::ReadOnly => matches!(class, Class::Read),
    }
}

/// Whether the deny list has the command, or its group, or another spelling of it: a rule holds
/// at each version that a listener serves, and after an upgrade.
fn is_denied(command: &'static str, rules: &Rules<'_>) -> bool {
    let name = || command.split(' ');
    let spellings = table().spellings(command);
    rules.deny.iter().any(|denied| {
        let whole = |spelling: &&str| {
            let spelling = || spelling.split(' ');
            denied.iter().map(String::as_str).eq(spelling()) || is_within(denied, spelling())
        };
        is_prefix(denied, name()) || spellings.iter().any(whole)
    })
}

/// Whether a rule's words are the first words of a command's name. No words match nothing.
fn is_prefix<'a>(rule: &[String], mut name: impl Iterator<Item = &'a str>) -> bool {
    !rule.is_empty() && rule.iter().all(|word| name.next() == Some(word))
}

/// Whether a deny rule goes on after the command's name (`dags delete my_dag`). Options could
/// hide the further words, so such a rule denies the command as a whole.
fn is_within<'a>(rule: &[String], mut name: impl Iterator<Item = &'a str>) -> bool {
    let mut rule = rule.iter();
    name.all(|word| rule.next().is_some_and(|ruled| ruled == word)) && rule.next().is_some()
}
