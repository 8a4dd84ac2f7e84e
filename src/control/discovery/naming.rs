//! Local names for what was found: the environment's own where it is free, else with its region,
//! else with its profile as well. The same environments get the same names in every run.

use super::Found;
use crate::names::{EnvName, Environment, Region};
use std::collections::BTreeMap;

/// The environments found that are not configured already, under local names of their own, in
/// the order of these. One that gets no name of its own is left out with a warning: a request
/// must never reach another one. `taken` are the configured ones, each with its real region.
pub fn environments(taken: &[Environment], found: &[Found]) -> Vec<Environment> {
    let mut candidates: Vec<Candidate> = Vec::new();
    for place in found {
        for name in &place.names {
            let environment = Environment {
                name: name.as_str().into(),
                ..place.template.clone()
            };
            let known = |other: &Environment| is_same(other, &environment);
            if !taken.iter().any(known)
                && !candidates.iter().any(|other| known(&other.environment))
            {
                candidates.push(Candidate {
                    environment,
                    detail: Detail::Name,
                });
            }
        }
    }
    while raise_duplicates(taken, &mut candidates) {}
    let locals = count(&candidates);
    let mut named: Vec<_> = candidates
        .into_iter()
        .filter_map(|candidate| {
            let local = candidate
                .local()
                .filter(|local| is_free(local, taken, &locals));
            let Some(local) = local else {
                let environment = &candidate.environment;
                tracing::warn!(
                    name = %environment.name,
                    region = ?environment.region,
                    "no local name is free for this environment; name it in the configuration"
                );
                return None;
            };
            Some(Environment {
                local,
                ..candidate.environment
            })
        })
        .collect();
    named.sort_by(|one, other| one.local.cmp(&other.local));
    named
}

/// Whether both are the same environment, reached as the same identity.
fn is_same(one: &Environment, other: &Environment) -> bool {
    one.name == other.name
        && one.region == other.region
        && one.profile == other.profile
        && one.role_arn == other.role_arn
        && one.endpoint_url == other.endpoint_url
}

/// How much of an environment its local name tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Detail {
    Name,
    Region,
    Profile,
}

struct Candidate {
    environment: Environment,
    detail: Detail,
}

impl Candidate {
    fn local(&self) -> Option<EnvName> {
        let environment = &self.environment;
        let region = environment.region.as_ref().map(Region::as_str);
        let (region, profile) = match self.detail {
            Detail::Name => (None, None),
            Detail::Region => (region, None),
            Detail::Profile => (region, environment.profile.as_deref()),
        };
        let parts = [Some(environment.name.as_ref()), region, profile];
        let parts: Vec<_> = parts.into_iter().flatten().map(label).collect();
        EnvName::new(&parts.join("-"))
    }
}

/// Lets every candidate whose name is not its own tell more; `false` when there is none left
/// that could.
fn raise_duplicates(taken: &[Environment], candidates: &mut [Candidate]) -> bool {
    let locals = count(candidates);
    let mut raised = false;
    for candidate in candidates {
        let lonely = candidate
            .local()
            .is_some_and(|local| is_free(&local, taken, &locals));
        let more = match candidate.detail {
            Detail::Name => Detail::Region,
            Detail::Region | Detail::Profile => Detail::Profile,
        };
        if !lonely && more != candidate.detail {
            candidate.detail = more;
            raised = true;
        }
    }
    raised
}

fn count(candidates: &[Candidate]) -> BTreeMap<EnvName, usize> {
    let mut locals = BTreeMap::new();
    for local in candidates.iter().filter_map(Candidate::local) {
        *locals.entry(local).or_insert(0) += 1;
    }
    locals
}

fn is_free(local: &EnvName, taken: &[Environment], locals: &BTreeMap<EnvName, usize>) -> bool {
    !local.is_reserved()
        && locals.get(local).is_none_or(|count| *count < 2)
        && taken.iter().all(|other| other.local != *local)
}

/// The text as part of a DNS label: in lower case, with `-` for what labels can't hold.
fn label(text: &str) -> String {
    let kept = |c: char| {
        if c.is_ascii_alphanumeric() {
            c.to_ascii_lowercase()
        } else {
            '-'
        }
    };
    text.chars()
        .map(kept)
        .collect::<String>()
        .trim_matches('-')
        .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(place: &str, names: &[&str]) -> Found {
        let (profile, region) = place
            .rsplit_once('@')
            .map_or((None, place), |(p, r)| (Some(p), r));
        Found {
            template: Environment {
                region: Region::new(region),
                profile: profile.map(Into::into),
                ..Environment::new(EnvName::any(), "any")
            },
            names: names.iter().map(ToString::to_string).collect(),
        }
    }

    fn locals(taken: &[Environment], found: &[Found]) -> Vec<String> {
        let named = environments(taken, found);
        named
            .iter()
            .map(|environment| environment.local.to_string())
            .collect()
    }

    #[test]
    fn a_name_alone_is_enough_where_it_is_the_only_one() {
        let found = [
            found("eu-west-1", &["Prod_EU", "staging"]),
            found("us-east-1", &["other"]),
        ];
        assert_eq!(locals(&[], &found), ["other", "prod-eu", "staging"]);
        assert_eq!(environments(&[], &found)[1].name.as_ref(), "Prod_EU");
    }

    #[test]
    fn the_region_and_then_the_profile_tell_two_of_one_name_apart() {
        let two = [found("eu-west-1", &["prod"]), found("us-east-1", &["prod"])];
        assert_eq!(locals(&[], &two), ["prod-eu-west-1", "prod-us-east-1"]);
        let three = [
            found("Team A@eu-west-1", &["prod"]),
            found("team_b@eu-west-1", &["prod"]),
            found("team_b@us-east-1", &["prod"]),
        ];
        let wanted = [
            "prod-eu-west-1-team-a",
            "prod-eu-west-1-team-b",
            "prod-us-east-1",
        ];
        assert_eq!(locals(&[], &three), wanted);
        let mut turned = three.to_vec();
        turned.reverse();
        assert_eq!(
            locals(&[], &turned),
            wanted,
            "the order of the places does not matter"
        );
    }

    #[test]
    fn two_that_can_t_be_told_apart_are_both_left_out() {
        let found = [found("eu-west-1", &["a-b", "a_b", "c", &"x".repeat(80)])];
        assert_eq!(locals(&[], &found), ["c"]);
    }

    #[test]
    fn names_that_lead_elsewhere_are_not_given_away() {
        let found = [found("eu-west-1", &["env", "prod", "prod-eu-west-1"])];
        let taken = Environment::new(EnvName::new("prod").unwrap(), "another");
        let named = environments(&[taken], &found);
        let pairs: Vec<_> = named
            .iter()
            .map(|one| (one.local.as_str(), one.name.as_ref()))
            .collect();
        // all tell their region: `env` is reserved, `prod` configured, and then both are alike
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
    fn what_is_configured_is_not_found_again() {
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
