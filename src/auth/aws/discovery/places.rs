//! The state of each place, and the directory that is made of all of them.

use super::local_names::EnvironmentKey;
use super::{EnvironmentList, PlaceState, assign_local_names, format_place};
use crate::aws::{AwsError, AwsErrorKind};
use mwaa_model::{Directory, Entry, EntryId, EnvName, Environment, Fault as _, Registry};
use std::collections::HashMap;
use std::sync::Arc;

/// The places with their last answers, and every id that was ever assigned.
#[derive(Debug)]
pub(super) struct State {
    places: Vec<PlaceRecord>,
    known: Arc<Registry>,
    configured: Vec<Arc<Entry>>,
    default: Option<EnvName>,
    ids: HashMap<EnvironmentKey, EntryId>,
    /// The configured environments with the regions that the AWS chain named last.
    resolved: Vec<Environment>,
    /// The entries of the configuration that this one has replaced.
    past: Vec<Arc<Entry>>,
}

#[derive(Debug, Clone)]
struct PlaceRecord {
    template: Environment,
    /// The last answer; a later failure keeps it.
    found: Option<EnvironmentList>,
    trouble: Option<String>,
    /// The error if the last question failed.
    error: Option<AwsError>,
}

impl State {
    /// Creates the state before the first question.
    pub(super) fn new(
        places: Vec<Environment>,
        default: Option<EnvName>,
        known: Arc<Registry>,
    ) -> Self {
        let configured = known.snapshot().entries().to_vec();
        let places = places.into_iter().map(|template| PlaceRecord {
            template,
            found: None,
            trouble: Some("the environments are being listed".to_owned()),
            error: None,
        });

        Self {
            places: places.collect(),
            known,
            configured,
            default,
            ids: HashMap::new(),
            resolved: Vec::new(),
            past: Vec::new(),
        }
    }

    /// Takes over what another configuration's search has found in places that both have, and
    /// publishes it. Returns the entries that the other did not have.
    pub(super) fn adopt(&mut self, other: &Self) -> Vec<Arc<Entry>> {
        for place in &mut self.places {
            let same = other
                .places
                .iter()
                .find(|one| one.template == place.template);
            if let Some(same) = same {
                *place = same.clone();
            }
        }
        self.ids.clone_from(&other.ids);
        self.past = other.known.snapshot().entries().to_vec();

        // the AWS chain is not asked: it may need the network
        self.resolved = self.configured();
        for environment in &mut self.resolved {
            let with_region = |one: &&Environment| {
                let region = environment.region.clone().or_else(|| one.region.clone());
                let same = Environment {
                    region,
                    ..environment.clone()
                };
                same.is_same_target(one)
            };
            if let Some(found) = other.resolved.iter().find(with_region) {
                environment.region.clone_from(&found.region);
            }
        }
        let resolved = self.resolved.clone();
        self.publish(&resolved)
    }

    /// Returns region and identity of each place.
    pub(super) fn templates(&self) -> Vec<Environment> {
        self.places
            .iter()
            .map(|place| place.template.clone())
            .collect()
    }

    /// Returns the environments of the configuration.
    pub(super) fn configured(&self) -> Vec<Environment> {
        self.configured
            .iter()
            .map(|entry| entry.environment.clone())
            .collect()
    }

    /// Records the answer of the place at `index`, or the error in place of one.
    pub(super) fn set_answer(
        &mut self,
        index: usize,
        answer: Result<EnvironmentList, AwsError>,
    ) {
        let Some(place) = self.places.get_mut(index) else {
            return;
        };

        match answer {
            Ok(found) => {
                let is_empty = found.names.is_empty();
                place.trouble = is_empty.then(|| {
                    "the account has no environment in this region; check aws.region and the profile"
                        .to_owned()
                });
                place.found = Some(found);
                place.error = None;
            }
            Err(error) => {
                let trouble = format!("{}: {error}; {}", error.code().text, error.hint());
                let shown = place.format();
                tracing::warn!(place = shown, %trouble, "cannot list the environments");
                place.trouble = Some(trouble);
                place.error = Some(error);
            }
        }
    }

    /// Publishes the directory of what is configured and what is found, and returns those
    /// entries that are in it for the first time. An environment that was there before keeps its
    /// id, and with it tokens, queue and connections.
    pub(super) fn publish(&mut self, taken: &[Environment]) -> Vec<Arc<Entry>> {
        taken.clone_into(&mut self.resolved);
        // of every place the last good answer
        let found: Vec<_> = self
            .places
            .iter()
            .filter_map(|place| place.found.clone())
            .collect();
        // ids are looked up in the directory of before: entries keep what was learned of them
        let before = Arc::clone(&self.known.snapshot());
        let past = std::mem::take(&mut self.past);
        let mut entries = self.configured.clone();
        let mut new = Vec::new();

        for environment in assign_local_names(taken, &found) {
            let id = self.assign_id(&environment);
            let mut known = before.entries().iter().chain(&past);
            let old = known.find(|entry| entry.id == id);
            let entry = match old {
                Some(entry) if entry.environment.local == environment.local => {
                    Arc::clone(entry)
                }
                // another one of its name came or went
                Some(entry) => Arc::new(entry.with_name(environment.local)),
                None => Arc::new(Entry::new(id, environment)),
            };
            if !old.is_some_and(|old| Arc::ptr_eq(old, &entry)) {
                new.push(Arc::clone(&entry));
            }
            entries.push(entry);
        }

        self.known
            .replace(Directory::new(entries, self.default.as_ref()));
        new
    }

    /// Returns the environment's id: the one that it had before, else a new one. Ids are never
    /// assigned again, because they are the keys of caches and pools.
    fn assign_id(&mut self, environment: &Environment) -> EntryId {
        let key = EnvironmentKey::from(environment);
        *self.ids.entry(key).or_insert_with(|| self.known.next_id())
    }

    /// Returns true if AWS need not be asked again without a request for it.
    pub(super) fn is_enough(&self) -> bool {
        let answers = self.places.iter().filter_map(|place| place.found.as_ref());
        let (places, names) = answers.fold((0, 0), |(places, names), found| {
            (places + 1, names + found.names.len())
        });
        // an account without environments may get some, unless others are configured
        names > 0 || (places > 0 && !self.configured.is_empty())
    }

    /// Returns the troubles of all places in one line; `None` if there are none.
    pub(super) fn trouble(&self) -> Option<String> {
        let has_several = self.places.len() > 1;
        let has_entries = !self.known.snapshot().entries().is_empty();

        let troubles = self.places.iter().filter_map(|place| {
            let trouble = place.trouble.as_deref()?;
            // with others to serve, a place that has none is no trouble
            let is_empty = place
                .found
                .as_ref()
                .is_some_and(|found| found.names.is_empty());
            if is_empty && has_entries {
                return None;
            }

            Some(if has_several {
                format!("{}: {trouble}", place.format())
            } else {
                trouble.to_owned()
            })
        });
        let troubles: Vec<_> = troubles.collect();
        (!troubles.is_empty()).then(|| troubles.join("; "))
    }

    /// Returns the error by which nothing can be served, if that is AWS's.
    pub(super) fn error(&self) -> Option<AwsError> {
        if !self.known.snapshot().entries().is_empty() {
            return None;
        }

        let error = self.places.iter().find_map(|place| place.error.clone());
        error.or_else(|| {
            // none has failed, but some have not answered yet
            let is_open = self.places.iter().any(|place| place.found.is_none());
            is_open.then(|| {
                AwsError::new(
                    AwsErrorKind::Unavailable,
                    "AWS has not listed the environments yet",
                    "wait a moment and try again",
                )
            })
        })
    }

    /// Returns the state of each place.
    pub(super) fn places(&self) -> Vec<PlaceState> {
        self.places
            .iter()
            .map(|place| PlaceState {
                region: place.current().region.as_ref().map(ToString::to_string),
                profile: place.template.profile.as_deref().map(str::to_owned),
                found: place.found.as_ref().map(|found| found.names.len()),
                trouble: place.trouble.clone(),
            })
            .collect()
    }
}

impl PlaceRecord {
    /// Returns region and identity, with the region that answered if there was an answer.
    fn current(&self) -> &Environment {
        let answered = self.found.as_ref().map(|found| &found.template);
        answered.unwrap_or(&self.template)
    }

    fn format(&self) -> String {
        format_place(self.current())
    }
}
