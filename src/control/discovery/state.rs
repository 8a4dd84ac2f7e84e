//! What is known of each place, and the directory that is made of all of them.

use super::{Found, PlaceState, environments, explain};
use crate::control::{AwsError, AwsErrorKind};
use crate::names::{Directory, Entry, EntryId, EnvName, Environment, Known};
use std::collections::HashMap;
use std::sync::Arc;

/// The places with their last answers, and every id that was ever given.
#[derive(Debug)]
pub(super) struct State {
    places: Vec<Place>,
    known: Arc<Known>,
    configured: Vec<Arc<Entry>>,
    default: Option<EnvName>,
    given: HashMap<Key, EntryId>,
    /// The first id that is not a configured environment's.
    first: u32,
}

#[derive(Debug)]
struct Place {
    template: Environment,
    /// The last answer; a later failure leaves it alone.
    found: Option<Found>,
    trouble: Option<String>,
    /// Why the last question was not answered.
    failed: Option<AwsError>,
}

/// What makes an environment the same one when it is found again.
type Key = (
    Arc<str>,
    Option<Arc<str>>,
    Option<Arc<str>>,
    Option<String>,
    Option<Arc<str>>,
);

fn key(environment: &Environment) -> Key {
    (
        Arc::clone(&environment.name),
        environment.profile.clone(),
        environment.role_arn.clone(),
        environment.region.as_ref().map(ToString::to_string),
        environment.endpoint_url.clone(),
    )
}

impl State {
    pub(super) fn new(
        places: Vec<Environment>,
        default: Option<EnvName>,
        known: Arc<Known>,
    ) -> Self {
        let configured = known.now().entries().to_vec();
        let first = configured.iter().map(|entry| entry.id.0 + 1).max();
        let places = places.into_iter().map(|template| Place {
            template,
            found: None,
            trouble: Some("AWS is being asked for the environments".to_owned()),
            failed: None,
        });
        Self {
            places: places.collect(),
            known,
            configured,
            default,
            given: HashMap::new(),
            first: first.unwrap_or(0),
        }
    }

    pub(super) fn templates(&self) -> Vec<Environment> {
        self.places
            .iter()
            .map(|place| place.template.clone())
            .collect()
    }

    pub(super) fn configured(&self) -> Vec<Environment> {
        self.configured
            .iter()
            .map(|entry| entry.environment.clone())
            .collect()
    }

    /// Notes a place's answer, or why there is none.
    pub(super) fn note(&mut self, index: usize, answer: Result<Found, AwsError>) {
        let Some(place) = self.places.get_mut(index) else {
            return;
        };
        match answer {
            Ok(found) => {
                let none = found.names.is_empty();
                place.trouble = none.then(|| {
                    "the account has no environment in this region; check aws.region and the profile"
                        .to_owned()
                });
                place.found = Some(found);
                place.failed = None;
            }
            Err(error) => {
                let trouble = explain(&error);
                let shown = place.shown();
                tracing::warn!(place = shown, %trouble, "environments can't be asked for");
                place.trouble = Some(trouble);
                place.failed = Some(error);
            }
        }
    }

    /// Makes the directory of what is configured and what is found, and gives those entries
    /// that stand in it for the first time. An environment that was there before keeps its id,
    /// and with it tokens, queue and connections.
    pub(super) fn publish(&mut self, taken: &[Environment]) -> Vec<Arc<Entry>> {
        let found: Vec<_> = self
            .places
            .iter()
            .filter_map(|place| place.found.clone())
            .collect();
        let before = Arc::clone(&self.known.now());
        let mut entries = self.configured.clone();
        let mut new = Vec::new();
        for environment in environments(taken, &found) {
            let next = EntryId(
                self.first
                    .saturating_add(u32::try_from(self.given.len()).unwrap_or(u32::MAX)),
            );
            let id = *self.given.entry(key(&environment)).or_insert(next);
            let old = before.entries().iter().find(|entry| entry.id == id);
            let entry = match old {
                Some(entry) if entry.environment.local == environment.local => {
                    Arc::clone(entry)
                }
                Some(entry) => Arc::new(entry.renamed(environment.local)),
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

    /// Whether AWS need not be asked again by itself.
    pub(super) fn is_enough(&self) -> bool {
        let answered = self.places.iter().filter_map(|place| place.found.as_ref());
        let (places, names) = answered.fold((0, 0), |(places, names), found| {
            (places + 1, names + found.names.len())
        });
        names > 0 || (places > 0 && !self.configured.is_empty())
    }

    pub(super) fn trouble(&self) -> Option<String> {
        let several = self.places.len() > 1;
        let troubles = self.places.iter().filter_map(|place| {
            let trouble = place.trouble.as_deref()?;
            // with others to serve, a place that has none is no trouble
            let empty = place
                .found
                .as_ref()
                .is_some_and(|found| found.names.is_empty());
            let served = !self.known.now().entries().is_empty();
            (!(empty && served)).then(|| {
                if several {
                    format!("{}: {trouble}", place.shown())
                } else {
                    trouble.to_owned()
                }
            })
        });
        let troubles: Vec<_> = troubles.collect();
        (!troubles.is_empty()).then(|| troubles.join("; "))
    }

    /// Why nothing can be served, if that is AWS's doing.
    pub(super) fn fault(&self) -> Option<AwsError> {
        if !self.known.now().entries().is_empty() {
            return None;
        }
        let failed = self.places.iter().find_map(|place| place.failed.clone());
        failed.or_else(|| {
            let open = self.places.iter().any(|place| place.found.is_none());
            open.then(|| {
                AwsError::new(
                    AwsErrorKind::Unavailable,
                    "AWS has not answered yet which environments there are",
                    "wait a moment and try again",
                )
            })
        })
    }

    pub(super) fn places(&self) -> Vec<PlaceState> {
        self.places
            .iter()
            .map(|place| PlaceState {
                region: place.region(),
                profile: place.template.profile.as_deref().map(str::to_owned),
                found: place.found.as_ref().map(|found| found.names.len()),
                trouble: place.trouble.clone(),
            })
            .collect()
    }
}

impl Place {
    /// The configured region, or the one that was asked.
    fn region(&self) -> Option<String> {
        let answered = self.found.as_ref().map(|found| &found.template);
        let region = answered.unwrap_or(&self.template).region.as_ref();
        region.map(ToString::to_string)
    }

    /// As the configuration writes it: `PROFILE@REGION`.
    fn shown(&self) -> String {
        let region = self
            .region()
            .unwrap_or_else(|| "the default region".to_owned());
        match &self.template.profile {
            Some(profile) => format!("{profile}@{region}"),
            None => region,
        }
    }
}
