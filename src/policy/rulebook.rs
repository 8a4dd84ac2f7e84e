//! The two sets of rules that a command must pass: its environment's, and those of the listener
//! that it comes by.

use super::judge::{Permit, Rules, Whose, judge};
use super::listing::{Row, Verdict, listing};
use super::refusal::Refusal;
use super::signature::{Signature, signatures};
use super::{Argument, Command};
use crate::names::{AirflowVersion, Environment, ListenerRules, Policy};

/// Both sets of rules.
#[derive(Debug, Clone, Copy)]
pub struct Rulebook<'a> {
    /// The environment that the command is for.
    pub environment: &'a Environment,
    /// The rules of the listener, if it has any.
    pub listener: Option<&'a ListenerRules>,
}

impl Rulebook<'_> {
    /// Judges the command by the environment's rules at this version, then by the listener's.
    pub fn judge(&self, command: &Command, version: AirflowVersion) -> Result<Permit, Refusal> {
        let permit = judge(command, version, &self.own())?;
        if let Some(own) = self.listener {
            judge(command, version, &listener_rules(own))
                .map_err(|refusal| refusal.at_listener(&own.table))?;
        }
        Ok(permit)
    }

    /// Every command of the version's major, and what these rules make of it.
    pub fn listing(&self, version: AirflowVersion) -> Vec<Row> {
        let rows = listing(version).into_iter();
        rows.map(|row| self.ruled(row, version)).collect()
    }

    /// What the commands of these words take, and what these rules make of it.
    pub fn signatures(&self, words: &[String], version: AirflowVersion) -> Vec<Signature> {
        let mut found = signatures(words, version);
        for signature in &mut found {
            let command = signature.command.command;
            let refused = |argument: &&mut Argument| {
                argument.verdict == Verdict::Unsupported
                    && self.lets_in(command, &argument.spellings)
            };
            for argument in signature.arguments.iter_mut().filter(refused) {
                argument.verdict = Verdict::Supported;
            }
            signature.command = self.ruled(signature.command.clone(), version);
        }
        found
    }

    fn own(&self) -> Rules<'_> {
        Rules {
            whose: Whose::Environment,
            policy: self.environment.policy,
            allow: &self.environment.allow,
            deny: &self.environment.deny,
        }
    }

    /// The row as these rules have it: MWAA's list is only where they begin.
    fn ruled(&self, row: Row, version: AirflowVersion) -> Row {
        let words: Vec<_> = row.command.split(' ').map(str::to_owned).collect();
        let Ok(command) = Command::from_words(&words) else {
            return row;
        };
        match self.judge(&command, version) {
            Err(Refusal::Unsupported { .. }) => row,
            Err(refusal @ (Refusal::Forbidden { .. } | Refusal::AtListener { .. })) => Row {
                verdict: Verdict::Unsupported,
                reason: refusal.to_string(),
                ..row
            },
            // with the arguments that it needs it passes
            Ok(_) | Err(_) if row.verdict == Verdict::Unsupported => Row {
                verdict: Verdict::Supported,
                reason: format!("allowed by the rules; {}", row.reason),
                ..row
            },
            Ok(_) | Err(_) => row,
        }
    }

    /// Whether the rules let a forbidden option in.
    fn lets_in(&self, command: &str, spellings: &[&str]) -> bool {
        let lifted = |policy: Policy, allow: &[Vec<String>]| {
            let named = |rule: &Vec<String>| {
                let words = || rule.iter().map(String::as_str);
                let mut spellings = spellings.iter();
                spellings.any(|option| command.split(' ').chain([*option]).eq(words()))
            };
            policy == Policy::All || allow.iter().any(named)
        };
        let environment = self.environment;
        lifted(environment.policy, &environment.allow)
            && self
                .listener
                .is_none_or(|own| lifted(own.policy, &own.allow))
    }
}

fn listener_rules(own: &ListenerRules) -> Rules<'_> {
    Rules {
        whose: Whose::Listener(&own.table),
        policy: own.policy,
        allow: &own.allow,
        deny: &own.deny,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::names::EnvName;

    const VERSION: AirflowVersion = AirflowVersion::new(2, 10, 3);

    fn words(list: &[&str]) -> Vec<Vec<String>> {
        let split = |text: &&str| text.split(' ').map(str::to_owned).collect();
        list.iter().map(split).collect()
    }

    fn environment() -> Environment {
        Environment::new(EnvName::new("prod").unwrap(), "prod")
    }

    #[test]
    fn without_rules_the_list_is_mwaa_s() {
        let environment = environment();
        let open = ListenerRules::open("listener");
        for listener in [None, Some(&open)] {
            let book = Rulebook {
                environment: &environment,
                listener,
            };
            for version in [VERSION, AirflowVersion::new(3, 0, 6)] {
                assert_eq!(book.listing(version), listing(version));
                let dags = ["dags".to_owned()];
                assert_eq!(book.signatures(&dags, version), signatures(&dags, version));
            }
        }
    }

    #[test]
    fn both_sets_of_rules_change_it() {
        let environment = Environment {
            policy: Policy::Operator,
            allow: words(&["pools set", "dags list --subdir"]),
            deny: words(&["dags trigger"]),
            ..environment()
        };
        let listener = ListenerRules {
            deny: words(&["dags pause"]),
            ..ListenerRules::open("listeners.agents")
        };
        let book = Rulebook {
            environment: &environment,
            listener: Some(&listener),
        };
        let rows = book.listing(VERSION);
        for (command, verdict, reason) in [
            ("dags list", Verdict::Supported, "on MWAA's list"),
            ("pools set", Verdict::Supported, "allowed by the rules; "),
            ("pools list", Verdict::Unsupported, ""),
            ("dags trigger", Verdict::Unsupported, "deny list"),
            ("variables set", Verdict::Unsupported, "policy \"operator\""),
            ("dags pause", Verdict::Unsupported, "[listeners.agents]"),
        ] {
            let row = rows.iter().find(|row| row.command == command).unwrap();
            assert_eq!(row.verdict, verdict, "{row:?}");
            assert!(row.reason.contains(reason), "{row:?}");
        }
        let found = book.signatures(&["dags".to_owned(), "list".to_owned()], VERSION);
        let subdir = found[0]
            .arguments
            .iter()
            .find(|argument| argument.spellings.contains(&"--subdir"));
        assert_eq!(subdir.unwrap().verdict, Verdict::Supported);
    }
}
