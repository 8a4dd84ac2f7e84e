//! The rules of an environment or of a listener, and the commands and options that they name.

use super::Command;
use crate::tables::commands::{CommandClass, command_table};
use mwaa_model::{Environment, ListenerRules, Policy};

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
    pub(super) fn is_unknown_allowed(&self, command: &Command) -> bool {
        let name = command.words_before_options();
        let mut allow = self.allow.iter();
        allow.any(|rule| is_prefix(rule, name.iter().map(String::as_str)))
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
    pub(super) fn is_unknown_denied(&self, command: &Command) -> bool {
        let name = command.words_before_options();
        let words = || name.iter().map(String::as_str);

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
