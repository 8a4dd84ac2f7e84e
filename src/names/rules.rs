//! What a listener lets pass, besides what the rules of the environment say.

use super::Policy;
use std::fmt;

/// The rules of a listener. A request must pass them and those of its environment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListenerRules {
    /// The table of the configuration that holds them: `listener`, `listeners.NAME`.
    pub table: String,
    /// The built-in policy.
    pub policy: Policy,
    /// Commands added to it, each as words; never beyond what the environment lets pass.
    pub allow: Vec<Vec<String>>,
    /// Commands taken from it, each as words. Beats `allow`.
    pub deny: Vec<Vec<String>>,
}

impl ListenerRules {
    /// Rules that let all pass.
    pub fn open(table: impl Into<String>) -> Self {
        Self {
            table: table.into(),
            policy: Policy::All,
            allow: Vec::new(),
            deny: Vec::new(),
        }
    }

    /// Whether they keep anything back.
    pub fn restrict(&self) -> bool {
        self.policy != Policy::All || !self.deny.is_empty()
    }
}

impl fmt::Display for ListenerRules {
    /// What they let pass, for people: `policy read-only, allow 1, deny 2`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "policy {}", self.policy.word())?;
        for (list, what) in [(&self.allow, "allow"), (&self.deny, "deny")] {
            if !list.is_empty() {
                write!(f, ", {what} {}", list.len())?;
            }
        }
        Ok(())
    }
}
