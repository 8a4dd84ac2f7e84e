//! Whether an environment could be served now, from what is known; nothing is asked for it.

use super::Shared;
use crate::names::{Entry, Fault};

impl Shared {
    /// Why this environment could not serve a request now, for people.
    pub fn trouble(&self, entry: &Entry) -> Option<String> {
        let unknown = entry.airflow_version().is_none();
        let token = self.broker.state(entry);
        // a live token serves, whatever became of its refresh
        let failure = token.failure.filter(|_| token.age.is_none());
        let failure = failure.map(|error| tell(error.as_ref())).or_else(|| {
            let error = self.versions.failure(entry).filter(|_| unknown)?;
            Some(tell(error.as_ref()))
        });
        match failure {
            Some(told) => Some(told),
            None => unknown.then(|| "the Airflow version is not known yet".to_owned()),
        }
    }
}

/// A failure with its code and what to do about it.
fn tell(error: &dyn Fault) -> String {
    format!("{}: {error}; {}", error.code().text, error.hint())
}
