//! Whether an environment could be served now, from what is known; nothing is asked for it.

use super::Shared;
use crate::names::{Entry, Fault as _};

impl Shared {
    /// Why this environment could not serve a request now, for people.
    pub fn trouble(&self, entry: &Entry) -> Option<String> {
        let unknown = entry.airflow_version().is_none();
        let token = self.broker.state(entry);
        // a live token serves, whatever became of its refresh
        let failure = token.failure.filter(|_| token.age.is_none());
        let failure = failure.or_else(|| self.versions.failure(entry).filter(|_| unknown));
        match failure {
            Some(error) => Some(format!("{}: {error}; {}", error.code().text, error.hint())),
            None => unknown.then(|| "the Airflow version is not known yet".to_owned()),
        }
    }
}
