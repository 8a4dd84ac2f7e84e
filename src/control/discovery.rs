//! Finds every environment of the account and region, where none is named: `ListEnvironments`
//! until it answers. The gateway serves meanwhile; it just knows of nothing yet.

use super::{AwsError, ControlPlane};
use crate::names::{Directory, Entry, EntryId, EnvName, Environment, Fault, Known};
use crate::runtime::Background;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// The search for environments.
#[derive(Debug)]
pub struct Discovery {
    control: Arc<dyn ControlPlane>,
    /// What every environment found has in common: region, identity, policy.
    template: Environment,
    known: Arc<Known>,
    trouble: Mutex<Option<String>>,
}

impl Discovery {
    /// Makes the search; it fills `known`.
    pub fn new(
        control: Arc<dyn ControlPlane>,
        template: Environment,
        known: Arc<Known>,
    ) -> Arc<Self> {
        let trouble = Mutex::new(Some("AWS is being asked for the environments".to_owned()));
        Arc::new(Self {
            control,
            template,
            known,
            trouble,
        })
    }

    /// Asks until there is something to serve; `found` is called for each environment. `limit`
    /// bounds one question. After that AWS is not asked again.
    pub fn start(
        self: Arc<Self>,
        background: &Background,
        limit: Duration,
        found: impl Fn(&Arc<Entry>) + Send + 'static,
    ) {
        background.spawn(async move {
            let mut pause = FIRST_PAUSE;
            loop {
                let question = self.control.list_environments(&self.template);
                match tokio::time::timeout(limit, question).await {
                    Ok(Ok(names)) if !names.is_empty() => {
                        let entries = entries(&self.template, &names);
                        entries.iter().for_each(&found);
                        self.known.replace(Directory::new(entries, None));
                        self.note(None);
                        return;
                    }
                    Ok(Ok(_none)) => self.note(Some(
                        "the account has no environment in this region; check aws.region and the profile".to_owned(),
                    )),
                    Ok(Err(error)) => self.note(Some(explain(&error))),
                    Err(_elapsed) => self.note(Some("AWS does not answer ListEnvironments".to_owned())),
                }
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
        });
    }

    /// Why there is nothing to serve yet.
    pub fn trouble(&self) -> Option<String> {
        self.trouble
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn note(&self, trouble: Option<String>) {
        if let Some(trouble) = &trouble {
            tracing::warn!(%trouble, "no environments yet");
        }
        *self.trouble.lock().unwrap_or_else(PoisonError::into_inner) = trouble;
    }
}

fn explain(error: &AwsError) -> String {
    format!("{}: {error}; {}", error.code().text, error.hint())
}

/// The environments under local names. Two that would get the same one are both left out: a
/// request must never reach the other of two.
pub fn entries(template: &Environment, names: &[String]) -> Vec<Arc<Entry>> {
    let mut by_local: BTreeMap<EnvName, Vec<&String>> = BTreeMap::new();
    for name in names {
        if let Some(local) = EnvName::of_mwaa(name) {
            by_local.entry(local).or_default().push(name);
        } else {
            tracing::warn!(
                name,
                "no host name can hold this environment's name; name it in the configuration"
            );
        }
    }
    let mut entries = Vec::new();
    for (id, (local, names)) in (0..).map(EntryId).zip(by_local) {
        match names.as_slice() {
            [name] => {
                let environment = Environment {
                    local,
                    name: name.as_str().into(),
                    ..template.clone()
                };
                entries.push(Arc::new(Entry::new(id, environment)));
            }
            _ => {
                tracing::warn!(%local, ?names, "these would share a local name; name them in the configuration");
            }
        }
    }
    entries
}

/// The pause after the first failed question.
const FIRST_PAUSE: Duration = Duration::from_secs(2);
/// The longest pause: a login done meanwhile is noticed within it.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn local_names_are_made_and_never_shared() {
        let template = Environment::new(EnvName::new("x").unwrap(), "x");
        let names = ["Prod_EU", "staging", "a-b", "a_b"].map(str::to_owned);
        let found = entries(&template, &names);
        let locals: Vec<_> = found
            .iter()
            .map(|entry| entry.environment.local.as_str())
            .collect();
        assert_eq!(locals, ["prod-eu", "staging"]);
        assert_eq!(found[0].environment.name.as_ref(), "Prod_EU");
    }
}
