//! Local names for what was found: the environment's own if it is free, else with its region,
//! else with its profile as well. The same environments get the same names in every run.

use super::EnvironmentList;
use crate::aws::connect::AwsIdentity;
use mwaa_model::{EnvName, Environment, Region};
use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

/// Returns the environments found that are not configured already, under local names of their
/// own, in the order of these. `taken` are the configured ones, each with its real region.
///
/// One that gets no name of its own is left out with a warning: a request must never reach
/// another one.
pub fn assign_local_names(
    taken: &[Environment],
    found: &[EnvironmentList],
) -> Vec<Environment> {
    let mut seen: HashSet<_> = taken.iter().map(EnvironmentKey::from).collect();
    let mut candidates: Vec<Candidate> = Vec::new();
    for place in found {
        for name in &place.names {
            let environment = Environment {
                name: name.as_str().into(),
                ..place.template.clone()
            };
            // two places may be the same one, by two ways of writing it
            if seen.insert(EnvironmentKey::from(&environment)) {
                candidates.push(Candidate {
                    environment,
                    format: NameFormat::Name,
                });
            }
        }
    }

    // a longer name may collide with another one, so until nothing changes
    while extend_duplicates(taken, &mut candidates) {}
    let locals = count_locals(&candidates);
    let mut named: Vec<_> = candidates
        .into_iter()
        .filter_map(|candidate| candidate.into_named(taken, &locals))
        .collect();
    // AWS lists them in no promised order
    named.sort_by(|one, other| one.local.cmp(&other.local));
    named
}

/// The key by which an environment is recognized when it is found again: its name, and the
/// identity by which it is reached.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct EnvironmentKey {
    name: Arc<str>,
    identity: AwsIdentity,
}

impl From<&Environment> for EnvironmentKey {
    fn from(environment: &Environment) -> Self {
        Self {
            name: Arc::clone(&environment.name),
            identity: AwsIdentity::from(environment),
        }
    }
}

/// The parts of an environment that its local name consists of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum NameFormat {
    Name,
    WithRegion,
    WithRegionAndProfile,
}

struct Candidate {
    environment: Environment,
    format: NameFormat,
}

impl Candidate {
    /// Returns the local name in the present format; `None` if it is not a DNS label.
    fn local(&self) -> Option<EnvName> {
        let environment = &self.environment;
        // parts that the environment does not have are left out
        let region = environment.region.as_ref().map(Region::as_str);
        let (region, profile) = match self.format {
            NameFormat::Name => (None, None),
            NameFormat::WithRegion => (region, None),
            NameFormat::WithRegionAndProfile => (region, environment.profile.as_deref()),
        };

        let parts = [Some(environment.name.as_ref()), region, profile];
        let parts: Vec<_> = parts.into_iter().flatten().map(to_label).collect();
        EnvName::new(&parts.join("-"))
    }

    /// Returns the environment under its local name; `None` if that is not free.
    fn into_named(
        self,
        taken: &[Environment],
        locals: &BTreeMap<EnvName, usize>,
    ) -> Option<Environment> {
        let local = self.local().filter(|local| is_free(local, taken, locals));
        if local.is_none() {
            tracing::warn!(
                name = %self.environment.name,
                region = ?self.environment.region,
                "no local name is free for this environment; add it to the configuration"
            );
        }

        Some(Environment {
            local: local?,
            ..self.environment
        })
    }
}

/// Adds a part to the name of every candidate whose name is not free. Returns false if there is
/// none left to which something could be added.
fn extend_duplicates(taken: &[Environment], candidates: &mut [Candidate]) -> bool {
    // counted before any of them changes: all that share a name get a longer one
    let locals = count_locals(candidates);
    let mut is_extended = false;
    for candidate in candidates {
        let is_unique = candidate
            .local()
            .is_some_and(|local| is_free(&local, taken, &locals));
        let longer = match candidate.format {
            NameFormat::Name => NameFormat::WithRegion,
            NameFormat::WithRegion | NameFormat::WithRegionAndProfile => {
                NameFormat::WithRegionAndProfile
            }
        };

        if !is_unique && longer != candidate.format {
            candidate.format = longer;
            is_extended = true;
        }
    }
    is_extended
}

fn count_locals(candidates: &[Candidate]) -> BTreeMap<EnvName, usize> {
    let mut locals = BTreeMap::new();
    for local in candidates.iter().filter_map(Candidate::local) {
        *locals.entry(local).or_insert(0) += 1;
    }
    locals
}

fn is_free(local: &EnvName, taken: &[Environment], locals: &BTreeMap<EnvName, usize>) -> bool {
    !local.is_reserved()
        && locals.get(local).is_none_or(|count| *count < 2)
        // a configured name is never taken away
        && taken.iter().all(|other| other.local != *local)
}

/// Returns the text as part of a DNS label: in lower case, with `-` for what labels cannot hold.
fn to_label(text: &str) -> String {
    let to_allowed = |c: char| {
        if c.is_ascii_alphanumeric() {
            c.to_ascii_lowercase()
        } else {
            '-'
        }
    };

    text.chars()
        .map(to_allowed)
        .collect::<String>()
        .trim_matches('-')
        .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(place: &str, names: &[&str]) -> EnvironmentList {
        let (profile, region) = place
            .rsplit_once('@')
            .map_or((None, place), |(p, r)| (Some(p), r));
        EnvironmentList {
            template: Environment {
                region: Region::new(region),
                profile: profile.map(Into::into),
                ..Environment::new(EnvName::any(), "any")
            },
            names: names.iter().map(ToString::to_string).collect(),
        }
    }

    fn locals(taken: &[Environment], found: &[EnvironmentList]) -> Vec<String> {
        let named = assign_local_names(taken, found);
        named
            .iter()
            .map(|environment| environment.local.to_string())
            .collect()
    }

    #[test]
    fn a_unique_name_gets_no_region_or_profile() {
        let found = [
            found("eu-west-1", &["Prod_EU", "staging"]),
            found("us-east-1", &["other"]),
        ];
        assert_eq!(locals(&[], &found), ["other", "prod-eu", "staging"]);
        assert_eq!(assign_local_names(&[], &found)[1].name.as_ref(), "Prod_EU");
    }

    #[test]
    fn equal_names_get_the_region_and_then_the_profile() {
        let two = [found("eu-west-1", &["prod"]), found("us-east-1", &["prod"])];
        assert_eq!(locals(&[], &two), ["prod-eu-west-1", "prod-us-east-1"]);
        let three = [
            found("Team A@eu-west-1", &["prod"]),
            found("team_b@eu-west-1", &["prod"]),
            found("team_b@us-east-1", &["prod"]),
        ];
        let expected = [
            "prod-eu-west-1-team-a",
            "prod-eu-west-1-team-b",
            "prod-us-east-1",
        ];
        assert_eq!(locals(&[], &three), expected);
        let mut turned = three.to_vec();
        turned.reverse();
        assert_eq!(
            locals(&[], &turned),
            expected,
            "the order of the places does not matter"
        );
    }

    #[test]
    fn names_that_stay_ambiguous_are_left_out() {
        let found = [found("eu-west-1", &["a-b", "a_b", "c", &"x".repeat(80)])];
        assert_eq!(locals(&[], &found), ["c"]);
    }

    #[test]
    fn a_name_in_use_is_not_assigned_again() {
        let found = [found("eu-west-1", &["env", "prod", "prod-eu-west-1"])];
        let taken = Environment::new(EnvName::new("prod").unwrap(), "another");
        let named = assign_local_names(&[taken], &found);
        let pairs: Vec<_> = named
            .iter()
            .map(|one| (one.local.as_str(), one.name.as_ref()))
            .collect();
        // all have their region: `env` is reserved, `prod` configured, and then both are alike
        assert_eq!(
            pairs,
            [
                ("env-eu-west-1", "env"),
                ("prod-eu-west-1", "prod"),
                ("prod-eu-west-1-eu-west-1", "prod-eu-west-1"),
            ]
        );
    }

    #[test]
    fn a_configured_environment_is_not_listed_again() {
        let found = [
            found("a@eu-west-1", &["prod", "test"]),
            found("b@eu-west-1", &["prod"]),
        ];
        let taken = Environment {
            region: Region::new("eu-west-1"),
            profile: Some("a".into()),
            ..Environment::new(EnvName::new("mine").unwrap(), "prod")
        };
        // the other identity may do other things with it
        assert_eq!(locals(&[taken], &found), ["prod", "test"]);
    }
}
