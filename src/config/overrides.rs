//! What flags and variables say, which beats the file.

use super::draft::Draft;
use super::problems::Place;
use super::{EnvironmentEntry, assign, file, keys};
use crate::names::EnvName;

/// A value from a flag or a variable, with the spelling of where it came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Given {
    /// The value.
    pub value: String,
    /// The flag or variable, for messages: `--listen`, `MWAA_GATEWAY_LISTEN`.
    pub origin: String,
}

impl Given {
    /// A value and the flag or variable that gave it.
    pub fn new(origin: impl Into<String>, value: impl Into<String>) -> Self {
        Self {
            value: value.into(),
            origin: origin.into(),
        }
    }
}

/// What flags and variables say. Where both do, the caller passes the flag's value.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Overrides {
    /// Serve only these: local names of the file, MWAA names of the file, or new ones.
    pub environments: Vec<Given>,
    /// For `aws.region`. An environment's own region in the file still counts for it.
    pub region: Option<Given>,
    /// For `aws.profile`, likewise.
    pub profile: Option<Given>,
    /// For `listener.address`; a relative socket path starts at the working folder.
    pub listen: Option<Given>,
    /// For `management.address`.
    pub management: Option<Given>,
}

impl Overrides {
    pub(super) fn apply(&self, draft: &mut Draft) {
        let plain = [
            ("aws.region", &self.region),
            ("aws.profile", &self.profile),
            ("listener.address", &self.listen),
            ("management.address", &self.management),
        ];
        for (path, given) in plain {
            if let Some(given) = given {
                let place = Place::Given(given.origin.clone());
                assign::assign_given(draft, path, &given.value, &place);
            }
        }
        if !self.environments.is_empty() {
            // who names some wants these and no others
            draft.aws.discover = Some(false);
            self.choose(draft);
        }
    }

    /// Keeps the environments that are named, in the order in which they are, and makes those
    /// that the file does not know. Listeners that serve only one of the others go with it.
    fn choose(&self, draft: &mut Draft) {
        let known = std::mem::take(&mut draft.environments);
        for given in &self.environments {
            let text = given.value.as_str();
            let place = || Place::Given(given.origin.clone());
            let by_local = known.iter().find(|e| e.environment.local.as_str() == text);
            let mut by_name = known.iter().filter(|e| &*e.environment.name == text);
            let found = by_local.or_else(|| match (by_name.next(), by_name.next()) {
                (Some(only), None) => Some(only),
                _ => None,
            });
            let entry = if let Some(entry) = found {
                entry.clone()
            } else {
                let Some(local) = derive_local(draft, text, place()) else {
                    continue;
                };
                draft.begin(local, text);
                draft.environment.configured = false;
                draft.placed(
                    &format!("environments.{}", draft.environment.environment.local),
                    place(),
                );
                draft.environment.clone()
            };
            let twin = draft
                .environments
                .iter()
                .find(|e| e.environment.local == entry.environment.local);
            match twin.map(|twin| twin.environment.name.clone()) {
                None => draft.environments.push(entry),
                Some(name) if name == entry.environment.name => {}
                Some(name) => {
                    let path = format!("environments.{}", entry.environment.local);
                    let what = format!("\"{name}\" and \"{text}\" get the same local name");
                    let hint = "give one of them a local name in the file: \
                                [environments.NAME] with name = \"…\"";
                    draft.refuse(&path, place(), what, Some(hint.to_owned()));
                }
            }
        }
        let kept = &draft.environments;
        let has = |list: &[EnvironmentEntry], name: &EnvName| {
            list.iter().any(|entry| entry.environment.local == *name)
        };
        draft.own_listeners.retain(|own| {
            let only = own.environment.as_ref();
            only.is_none_or(|only| has(kept, only) || !has(&known, only))
        });
    }
}

/// The local name for an environment that only a flag names: lower case, `-` for `_`.
fn derive_local(draft: &mut Draft, text: &str, place: Place) -> Option<EnvName> {
    let outcome = keys::mwaa_name(text).and_then(|_| {
        file::local_name(&text.to_ascii_lowercase().replace('_', "-")).map_err(|why| {
            why.hint("give it a local name in the file: [environments.NAME] with name = \"…\"")
        })
    });
    match outcome {
        Ok(local) => Some(local),
        Err(why) => {
            draft.complain("environments", place, text, why);
            None
        }
    }
}
