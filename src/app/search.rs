//! The environments that the configuration names and those that AWS lists, for commands that run
//! without a gateway.

use super::settings;
use crate::config::Config;
use crate::control::{AwsError, Sdk, discovery};
use crate::names::{Entry, EntryId, Environment};
use std::sync::Arc;

/// What was found, and what each place answered.
pub(super) struct Searched {
    /// The configured environments first.
    pub(super) entries: Vec<Arc<Entry>>,
    /// Each place with the names that it has, or why it did not tell.
    pub(super) places: Vec<(String, Result<Vec<String>, AwsError>)>,
}

/// Asks AWS for environments where the configuration wants that.
pub(super) async fn search(sdk: &Sdk, config: &Config) -> Searched {
    let mut entries = settings::entries(config);
    let mut places = Vec::new();
    if !config.discovers() {
        return Searched { entries, places };
    }
    let limit = config.limits.mint_total;
    let mut all = Vec::new();
    for place in settings::places(config) {
        let answer = discovery::list(sdk, &place, limit).await;
        let shown = shown(answer.as_ref().map_or(&place, |found| &found.template));
        places.push((
            shown,
            answer
                .as_ref()
                .map(|found| found.names.clone())
                .map_err(Clone::clone),
        ));
        all.extend(answer);
    }
    let taken = entries
        .iter()
        .map(|entry| entry.environment.clone())
        .collect();
    let taken = discovery::with_regions(sdk, taken, limit).await;
    let found = discovery::environments(&taken, &all);
    let ids = (0..).map(EntryId).skip(entries.len());
    entries.extend(
        ids.zip(found)
            .map(|(id, found)| Arc::new(Entry::new(id, found))),
    );
    Searched { entries, places }
}

/// A place as the configuration writes it.
fn shown(place: &Environment) -> String {
    let region = place
        .region
        .as_ref()
        .map_or("the default region", |region| region.as_str());
    match &place.profile {
        Some(profile) => format!("{profile}@{region}"),
        None => region.to_owned(),
    }
}
