//! Decides whether a command may be sent: a command, a version and rules in, an
//! [`AllowedCommand`] or a [`PolicyError`] out.

use super::rules::{RuleOwner, Rules};
use super::{Command, ResolvedCommand, hints, is_help};
use crate::error::PolicyError;
use crate::options::parse::parse_options;
use crate::options::{check_options, check_unknown_options};
use crate::tables::commands::{CommandEntry, command_table};
use crate::tables::releases::{Release, find_release};
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
        command: &Command,
        version: AirflowVersion,
    ) -> Result<AllowedCommand, PolicyError> {
        // The environment's rules first, so that a listener's error can say that they allow it.
        let allowed = self.environment.check(command, version)?;
        if let Some(listener) = &self.listener {
            listener.check(command, version)?;
        }
        Ok(allowed)
    }
}

/// A command that a [`CommandPolicy`] allows. Only its check creates one.
pub struct AllowedCommand {
    line: Bytes,
    name: &'static str,
    options: Vec<&'static str>,
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
        command: &Command,
        version: AirflowVersion,
    ) -> Result<AllowedCommand, PolicyError> {
        let release = find_release(version);
        let context = CheckContext {
            command,
            version,
            release,
            rules: self,
        };

        // Each kind of name has its own rules. Only a known command has options to check.
        let checked = match command.resolve(release) {
            ResolvedCommand::Help => Ok(context.allow("help", Vec::new())),
            ResolvedCommand::OptionFirst => Err(context.option_first_error()),
            ResolvedCommand::Group(group) => context.check_group(group),
            ResolvedCommand::Known(entry, arguments) => context.check_known(entry, arguments),
            ResolvedCommand::Unknown => context.check_unknown(),
        };
        match self.owner {
            RuleOwner::Environment => checked,
            RuleOwner::Listener(table) => checked.map_err(|error| error.at_listener(table)),
        }
    }
}

/// One command and all that it is checked against.
#[derive(Clone, Copy)]
pub(super) struct CheckContext<'a> {
    pub(super) command: &'a Command,
    /// The version of the environment, for texts.
    pub(super) version: AirflowVersion,
    /// The release whose tables apply to the version.
    pub(super) release: &'static Release,
    pub(super) rules: &'a Rules<'a>,
}

impl CheckContext<'_> {
    /// Creates the result for a command that passed every check.
    fn allow(self, name: &'static str, options: Vec<&'static str>) -> AllowedCommand {
        AllowedCommand {
            line: Bytes::from(self.command.to_line()),
            name,
            options,
        }
    }

    /// Checks a bare group. It prints its usage, which is harmless if any of its commands may
    /// run.
    fn check_group(self, group: &'static str) -> Result<AllowedCommand, PolicyError> {
        if self.rules.is_group_denied(group) {
            return Err(hints::denied_error(group, self.rules.owner));
        }

        let mut entries = command_table().group_entries(group);
        if self.rules.policy == Policy::All
            || self.rules.is_group_allowed(group)
            || entries.any(|entry| entry.is_supported(self.release))
        {
            Ok(self.allow(group, Vec::new()))
        } else {
            Err(hints::unsupported_error(self, None))
        }
    }

    /// Checks a command of the table: the deny list, then MWAA's list and the policy, then the
    /// options.
    fn check_known(
        self,
        entry: &'static CommandEntry,
        arguments: &[String],
    ) -> Result<AllowedCommand, PolicyError> {
        let rules = self.rules;
        // Before all else: the deny list overrides every policy and every allow rule.
        if rules.is_denied(entry.command) {
            return Err(hints::denied_error(entry.command, rules.owner));
        }

        // Policy "all" leaves it to the web server what the command and its options do.
        if rules.policy == Policy::All {
            let options = parse_options(entry.command, arguments, self.release);
            return Ok(self.allow(entry.command, options.given));
        }

        // An allow rule for the command replaces MWAA's list and the policy, but does not free
        // its options.
        if !rules.is_allowed(entry.command) {
            self.check_listed(entry, arguments)?;
        }
        let options = check_options(entry.command, arguments, self.release, rules)?;
        Ok(self.allow(entry.command, options))
    }

    /// Fails if MWAA does not run the command at the release, or if the policy does not grant it.
    fn check_listed(
        self,
        entry: &'static CommandEntry,
        arguments: &[String],
    ) -> Result<(), PolicyError> {
        if !entry.is_supported(self.release) {
            return Err(hints::flag_style_error(self)
                .unwrap_or_else(|| hints::unsupported_error(self, Some(entry))));
        }

        // Help runs nothing, but only if it is the only argument: an argument before it could
        // still be an error or have an effect.
        let is_only_help = matches!(arguments, [only] if is_help(only));
        if is_only_help || self.rules.is_granted(entry.class) {
            Ok(())
        } else {
            Err(hints::forbidden_error(entry, self.rules))
        }
    }

    /// Checks a command of a plugin or of a newer Airflow: it is allowed only if the rules allow
    /// it.
    fn check_unknown(self) -> Result<AllowedCommand, PolicyError> {
        let rules = self.rules;
        // The name is the client's own text, so the error does not repeat it.
        if rules.is_unknown_denied(self.command) {
            return Err(hints::denied_error("the command", rules.owner));
        }

        // MWAA may drop a second `airflow` too, and run a command that no rule was checked for.
        let first = self.command.words().first();
        let is_airflow = first.is_some_and(|word| word == "airflow");
        if rules.policy == Policy::All && !is_airflow {
            return Ok(self.allow(OTHER, Vec::new()));
        }
        if !rules.is_unknown_allowed(self.command) {
            return Err(hints::unsupported_error(self, None));
        }

        // The rule allows the command, and still no option that is forbidden for all.
        check_unknown_options(OTHER, self.command.words(), self.release)?;
        Ok(self.allow(OTHER, Vec::new()))
    }

    /// Returns the error for an option in place of a group's command: the way that Airflow 1.10
    /// named it, or no command at all.
    fn option_first_error(self) -> PolicyError {
        if let Some(error) = hints::flag_style_error(self) {
            return error;
        }

        // The group was a command of its own: `backfill -s DATE` on Airflow 3.
        let first = self.command.words().first();
        let renamed = first.filter(|word| command_table().find_successor(word).is_some());
        match renamed.and_then(|word| command_table().get_single(word)) {
            Some(entry) => hints::unsupported_error(self, Some(entry)),
            None => self.command.option_first_error().into(),
        }
    }
}

/// The name of a command that no table has.
const OTHER: &str = "other";
