//! Whether an environment could be served now, from what is known; nothing is asked for it.

use super::Shared;
use crate::names::{Entry, Fault};
use std::fmt;

/// Why an environment could not serve a request now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trouble {
    /// The fault's code, where it is a fault and no mere waiting.
    pub code: Option<&'static str>,
    /// What is wrong.
    pub what: String,
    /// What to do about it.
    pub hint: Option<String>,
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(code) = self.code {
            write!(f, "{code}: ")?;
        }
        f.write_str(&self.what)?;
        match &self.hint {
            Some(hint) => write!(f, "; {hint}"),
            None => Ok(()),
        }
    }
}

impl Shared {
    /// Why this environment could not serve a request now.
    pub fn trouble(&self, entry: &Entry) -> Option<Trouble> {
        let unknown = entry.airflow_version().is_none();
        let version = || {
            let error = self.versions.failure(entry).filter(|_| unknown)?;
            Some(told(error.as_ref()))
        };
        let token = self.broker.state(entry);
        // a live token serves, whatever became of its refresh
        let failure = token.failure.filter(|_| token.age.is_none());
        let failure = failure.map(|error| told(error.as_ref())).or_else(version);
        failure.or_else(|| {
            unknown.then(|| Trouble {
                code: None,
                what: "the Airflow version is not known yet".to_owned(),
                hint: None,
            })
        })
    }
}

fn told(fault: &dyn Fault) -> Trouble {
    Trouble {
        code: Some(fault.code().text),
        what: fault.to_string(),
        hint: Some(fault.hint().into_owned()),
    }
}
