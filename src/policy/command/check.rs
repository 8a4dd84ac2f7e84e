//! The rules of an environment or of a listener, and the check of a command against them: a command,
//! a version and rules in, an [`AllowedCommand`] or a [`PolicyError`] out.

use super::{Command, ParseErrorKind, ResolvedCommand, Word, hints, is_help};
use crate::error::PolicyError;
use crate::options::{ParsedOptions, check_options, check_unknown_options, parse_options};
use crate::tables::commands::{CommandClass, CommandEntry, command_table};
use crate::tables::commands::{Release, find_release};
use bytes::Bytes;
use mwaa_model::{AirflowVersion, Environment, ListenerRules, Policy, debug_fields};

/// The rules that a command must pass: those of its environment, and those of the listener that
/// it was received by.
///
/// Each set is checked on its own, so neither can allow what the other forbids.
#[derive(Debug, Clone)]
pub struct CommandPolicy<'a> {
    pub(super) environment: Rules<'a>,
    pub(super) listener: Option<Rules<'a>>,
}

impl<'a> CommandPolicy<'a> {
    /// Creates the policy from the rules of an environment and of a listener, if it has any.
    pub fn new(environment: &'a Environment, listener: Option<&'a ListenerRules>) -> Self {
        Self {
            environment: environment.into(),
            listener: listener.map(Into::into),
        }
    }

    /// Checks a command by the environment's rules, then by the listener's. Fails with the first
    /// reason to refuse it.
    ///
    /// The tables are those of [`find_release`] for the version.
    pub fn check(
        &self,
        command: &Command<'_>,
        version: AirflowVersion,
    ) -> Result<AllowedCommand, PolicyError> {
        let release = find_release(version);
        let resolved = command.resolve(release);
        // Only a known command has options to check. They are the same for both sets of rules.
        let options = match resolved {
            ResolvedCommand::Known(entry, arguments) => {
                parse_options(&entry.arguments.options, arguments, release)
            }
            ResolvedCommand::Help
            | ResolvedCommand::Group(_)
            | ResolvedCommand::OptionFirst(_)
            | ResolvedCommand::Unknown => ParsedOptions::default(),
        };

        // The environment's rules first, so that a listener's error can say that they allow it.
        for rules in [&self.environment].into_iter().chain(&self.listener) {
            let context = CheckContext {
                command,
                version,
                release,
                options: &options,
                rules,
            };
            context.check(resolved)?;
        }
        Ok(AllowedCommand {
            line: Bytes::from(command.to_line()),
            name: resolved.name(),
            options: options.given,
            reads_only: resolved.reads_only(),
        })
    }
}

/// A command that a [`CommandPolicy`] allows. Only its check creates one.
pub struct AllowedCommand {
    line: Bytes,
    name: &'static str,
    options: Vec<&'static str>,
    reads_only: bool,
}

// The line is not shown, because arguments may be secrets.
debug_fields!(AllowedCommand: name, options);

impl AllowedCommand {
    /// Returns the command line to send. It is made of the words that were checked and never of
    /// the client's bytes. A clone of it copies nothing.
    pub fn line(&self) -> &Bytes {
        &self.line
    }

    /// Returns the command's name without its arguments, for logs and metrics: a name from the
    /// table, `help`, or `other`. Never text of the client's own.
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// Returns true if the command only reads, and shows no secret.
    pub(super) const fn reads_only(&self) -> bool {
        self.reads_only
    }

    /// Returns the options that the command is given, each once, by its longest spelling and
    /// without its value. Options that no table has are left out.
    pub fn options(&self) -> &[&'static str] {
        &self.options
    }
}

impl Rules<'_> {
    /// Checks a command by these rules alone.
    pub(crate) fn check(
        &self,
        command: &Command<'_>,
        version: AirflowVersion,
    ) -> Result<AllowedCommand, PolicyError> {
        let policy = CommandPolicy {
            environment: self.clone(),
            listener: None,
        };
        policy.check(command, version)
    }
}

/// One command and all that it is checked against.
#[derive(Clone, Copy)]
pub(super) struct CheckContext<'a> {
    pub(super) command: &'a Command<'a>,
    /// The version of the environment, for texts.
    pub(super) version: AirflowVersion,
    /// The release whose tables apply to the version.
    pub(super) release: &'static Release,
    /// The options that the command is given.
    options: &'a ParsedOptions,
    pub(super) rules: &'a Rules<'a>,
}

impl CheckContext<'_> {
    /// Checks the command. Each kind of name has its own rules.
    fn check(self, resolved: ResolvedCommand<'_>) -> Result<(), PolicyError> {
        let checked = match resolved {
            ResolvedCommand::Help => Ok(()),
            ResolvedCommand::OptionFirst(at) => Err(self.option_first_error(at)),
            ResolvedCommand::Group(group) => self.check_group(group),
            ResolvedCommand::Known(entry, arguments) => self.check_known(entry, arguments),
            ResolvedCommand::Unknown => self.check_unknown(),
        };
        match self.rules.owner {
            RuleOwner::Environment => checked,
            RuleOwner::Listener(table) => checked.map_err(|error| error.at_listener(table)),
        }
    }

    /// Checks a bare group. It prints its usage, which is harmless if any of its commands may
    /// run.
    fn check_group(self, group: &'static str) -> Result<(), PolicyError> {
        if self.rules.is_group_denied(group) {
            return Err(hints::denied_error(group, self.rules.owner));
        }

        let mut entries = command_table().group_entries(group);
        if self.rules.policy == Policy::All
            || self.rules.is_group_allowed(group)
            || entries.any(|entry| entry.is_supported(self.release))
        {
            Ok(())
        } else {
            Err(hints::unsupported_error(self, None))
        }
    }

    /// Checks a command of the table: the deny list, then MWAA's list and the policy, then the
    /// options.
    fn check_known(
        self,
        entry: &'static CommandEntry,
        arguments: &[Word<'_>],
    ) -> Result<(), PolicyError> {
        let rules = self.rules;
        // Before all else: the deny list overrides every policy and every allow rule.
        if rules.is_denied(entry.command) {
            return Err(hints::denied_error(entry.command, rules.owner));
        }

        // Policy "all" leaves it to the web server what the command and its options do.
        if rules.policy == Policy::All {
            return Ok(());
        }

        // An allow rule for the command replaces MWAA's list and the policy, but does not free
        // its options.
        if !rules.is_allowed(entry.command) {
            self.check_listed(entry, arguments)?;
        }
        check_options(entry, self.options, self.release, rules)
    }

    /// Fails if MWAA does not run the command at the release, or if the policy does not grant it.
    fn check_listed(
        self,
        entry: &'static CommandEntry,
        arguments: &[Word<'_>],
    ) -> Result<(), PolicyError> {
        if !entry.is_supported(self.release) {
            return Err(hints::flag_style_error(self)
                .unwrap_or_else(|| hints::unsupported_error(self, Some(entry))));
        }

        // Help runs nothing, but only if it is the only argument: an argument before it could
        // still be an error or have an effect.
        let is_only_help = matches!(arguments, [only] if is_help(&only.text));
        if is_only_help || self.rules.is_granted(entry.class) {
            Ok(())
        } else {
            Err(hints::forbidden_error(entry, self.rules))
        }
    }

    /// Checks a command of a plugin or of a newer Airflow: it is allowed only if the rules allow
    /// it.
    fn check_unknown(self) -> Result<(), PolicyError> {
        let rules = self.rules;
        // The name is the client's own text, so the error does not repeat it.
        if rules.is_unknown_denied(self.command) {
            return Err(hints::denied_error("the command", rules.owner));
        }

        // MWAA may drop a second `airflow` too, and run a command that no rule was checked for.
        let first = self.command.words().first();
        let is_airflow = first.is_some_and(|word| word.text == "airflow");
        if rules.policy == Policy::All && !is_airflow {
            return Ok(());
        }
        if !rules.is_unknown_allowed(self.command) {
            return Err(hints::unsupported_error(self, None));
        }

        // The rule allows the command, and still no option that is forbidden for all.
        check_unknown_options(OTHER, self.command.words(), self.release)
    }

    /// Returns the error for an option in place of a group's command: the way that Airflow 1.10
    /// named it, or no command at all.
    fn option_first_error(self, at: usize) -> PolicyError {
        if let Some(error) = hints::flag_style_error(self) {
            return error;
        }

        // The group was a command of its own: `backfill -s DATE` on Airflow 3.
        let single = self.command.single();
        match single.filter(|entry| command_table().find_successor(entry.command).is_some()) {
            Some(entry) => hints::unsupported_error(self, Some(entry)),
            None => ParseErrorKind::OptionFirst.at(at).into(),
        }
    }
}

impl ResolvedCommand<'_> {
    /// Returns true for a command of the table that reads and shows no secret.
    const fn reads_only(self) -> bool {
        match self {
            Self::Known(entry, _) => matches!(entry.class, CommandClass::Read),
            Self::Help | Self::Group(_) | Self::OptionFirst(_) | Self::Unknown => false,
        }
    }

    /// Returns the name for logs: a name of the table, `help` or `other`.
    const fn name(self) -> &'static str {
        match self {
            Self::Help => "help",
            Self::Group(group) => group,
            Self::Known(entry, _) => entry.command,
            Self::OptionFirst(_) | Self::Unknown => OTHER,
        }
    }
}

/// The name of a command that no table has.
const OTHER: &str = "other";

/// The rules of one environment or of one listener about commands.
///
/// A rule is a list of words: a command, a group, or a command and one of its options. It may
/// also name a command of a plugin, which no table has.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Rules<'a> {
    pub(crate) owner: RuleOwner<'a>,
    /// The built-in policy.
    pub(crate) policy: Policy,
    /// Commands and options that are added to the policy.
    pub(crate) allow: &'a [Vec<String>],
    /// Commands that are taken from it. Overrides `allow`.
    pub(crate) deny: &'a [Vec<String>],
}

/// The part of the configuration that rules belong to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum RuleOwner<'a> {
    /// The environment that the request is for.
    #[default]
    Environment,
    /// A listener, by the table of the configuration that has its rules.
    Listener(&'a str),
}

impl<'a> From<&'a Environment> for Rules<'a> {
    fn from(environment: &'a Environment) -> Self {
        Self {
            owner: RuleOwner::Environment,
            policy: environment.policy,
            allow: &environment.allow,
            deny: &environment.deny,
        }
    }
}

impl<'a> From<&'a ListenerRules> for Rules<'a> {
    fn from(listener: &'a ListenerRules) -> Self {
        Self {
            owner: RuleOwner::Listener(&listener.table),
            policy: listener.policy,
            allow: &listener.allow,
            deny: &listener.deny,
        }
    }
}

impl Rules<'_> {
    /// Returns true if the policy grants a class of the commands that MWAA runs.
    pub(super) const fn is_granted(&self, class: CommandClass) -> bool {
        match self.policy {
            Policy::All | Policy::Supported => true,
            // A task can read every secret, so a client that may run tasks may read them too.
            Policy::Operator => matches!(
                class,
                CommandClass::Read | CommandClass::Run | CommandClass::Secret
            ),
            Policy::ReadOnly => matches!(class, CommandClass::Read),
        }
    }

    /// Returns true if the allow list has the command or its group.
    pub(super) fn is_allowed(&self, command: &str) -> bool {
        let mut allow = self.allow.iter();
        allow.any(|rule| is_prefix(rule, command.split(' ')))
    }

    /// Returns true if the allow list has the group or one of its commands: its usage text is
    /// then of use.
    pub(super) fn is_group_allowed(&self, group: &str) -> bool {
        let mut allow = self.allow.iter();
        allow.any(|rule| rule.first().is_some_and(|word| word == group))
    }

    /// Returns true if the allow list has a command that no table has.
    pub(super) fn is_unknown_allowed(&self, command: &Command<'_>) -> bool {
        let name = command.words_before_options();
        let mut allow = self.allow.iter();
        allow.any(|rule| is_prefix(rule, name.iter().map(|word| &*word.text)))
    }

    /// Returns true if the allow list has this option of this command.
    pub(crate) fn is_option_allowed(&self, command: &str, option: &str) -> bool {
        // Exactly these words: a rule for a command does not free its options.
        let named = || command.split(' ').chain([option]);
        let mut allow = self.allow.iter();
        allow.any(|rule| named().eq(rule.iter().map(String::as_str)))
    }

    /// Returns true if the deny list has the command, its group, or another name that the
    /// command has had: a rule applies at each version that a listener serves, and after an
    /// upgrade.
    pub(super) fn is_denied(&self, command: &'static str) -> bool {
        if self.deny.is_empty() {
            return false;
        }

        let names = command_table().find_all_names(command);
        self.deny.iter().any(|rule| {
            // Of another name only the whole counts: its group has other commands too.
            let has_whole_name = |name: &&str| {
                rule.iter().map(String::as_str).eq(name.split(' '))
                    || is_extension(rule, name.split(' '))
            };
            is_prefix(rule, command.split(' ')) || names.iter().any(has_whole_name)
        })
    }

    /// Returns true if the deny list has the group itself.
    pub(super) fn is_group_denied(&self, group: &str) -> bool {
        // A rule for one of its commands leaves the usage text allowed.
        self.deny.iter().any(|rule| rule == &[group])
    }

    /// Returns true if the deny list has a command that no table has, or could have it.
    pub(super) fn is_unknown_denied(&self, command: &Command<'_>) -> bool {
        let name = command.words_before_options();
        let words = || name.iter().map(|word| &*word.text);

        // The rest of the name may follow an option: Python versions differ in the way they read
        // `group -- command`.
        let has_options = name.len() < command.words().len();
        let mut deny = self.deny.iter();
        deny.any(|rule| is_prefix(rule, words()) || has_options && is_extension(rule, words()))
    }
}

/// Returns true if a rule's words are the first words of a command's name. A rule without words
/// matches nothing.
fn is_prefix<'a>(rule: &[String], mut name: impl Iterator<Item = &'a str>) -> bool {
    !rule.is_empty() && rule.iter().all(|word| name.next() == Some(word))
}

/// Returns true if a deny rule has the command's name and further words (`dags delete my_dag`).
/// Options could hide the further words, so such a rule denies the command as a whole.
fn is_extension<'a>(rule: &[String], mut name: impl Iterator<Item = &'a str>) -> bool {
    let mut rule = rule.iter();
    name.all(|word| rule.next().is_some_and(|ruled| ruled == word)) && rule.next().is_some()
}
