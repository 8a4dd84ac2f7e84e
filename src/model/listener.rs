//! The listeners that requests come in by, and the rules that a listener adds.

use super::{EnvName, Policy};
use std::fmt;

/// One of the gateway's listeners, and what it allows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListenerPolicy {
    /// Its table in the configuration: `listener`, `listeners.NAME`, `environments.NAME`.
    pub name: String,
    /// The environment that it serves, if it serves only one.
    pub environment: Option<EnvName>,
    /// Its rules, if they may allow less than the environment's.
    pub rules: Option<ListenerRules>,
}

impl ListenerPolicy {
    /// Returns true if it is the address that an environment has for itself.
    pub fn is_own(&self) -> bool {
        self.name.starts_with("environments.")
    }

    /// Returns what is special about it, for people: the only environment that it serves, and its
    /// rules.
    pub fn summary(&self) -> Option<String> {
        let only = self.environment.as_ref().map(|name| format!("only {name}"));
        let rules = self.rules.as_ref().map(ToString::to_string);
        // one of them alone, if there is only one
        match (only, rules) {
            (Some(only), Some(rules)) => Some(format!("{only}, {rules}")),
            (only, rules) => only.or(rules),
        }
    }
}

/// The rules of a listener. A request must satisfy them and those of its environment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListenerRules {
    /// The table of the configuration that holds them: `listener`, `listeners.NAME`.
    pub table: String,
    /// The built-in policy.
    pub policy: Policy,
    /// Commands added to it, each as words; never beyond what the environment allows.
    pub allow: Vec<Vec<String>>,
    /// Commands removed from it, each as words. Overrides `allow`.
    pub deny: Vec<Vec<String>>,
}

impl ListenerRules {
    /// Creates rules that allow everything.
    pub fn allow_all(table: impl Into<String>) -> Self {
        Self {
            table: table.into(),
            policy: Policy::All,
            allow: Vec::new(),
            deny: Vec::new(),
        }
    }

    /// Returns true if they refuse anything.
    pub fn is_restrictive(&self) -> bool {
        self.policy != Policy::All || !self.deny.is_empty()
    }
}

impl fmt::Display for ListenerRules {
    /// Writes a summary for people: `policy read-only, allow 1, deny 2`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "policy {}", self.policy.as_str())?;
        for (list, what) in [(&self.allow, "allow"), (&self.deny, "deny")] {
            if !list.is_empty() {
                write!(f, ", {what} {}", list.len())?;
            }
        }
        Ok(())
    }
}
