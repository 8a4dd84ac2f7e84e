//! Checks of the listeners' own tables, `[listeners.NAME]`.

use super::draft::Draft;
use super::problems::Complaint;
use super::{Address, Config, suggest};
use crate::names::{EnvName, ListenerRules, Policy};

/// Runs them; what they find is in the draft's problems.
pub(super) fn check(draft: &mut Draft) {
    for own in draft.own_listeners.clone() {
        let table = &own.rules.table;
        let address = format!("{table}.address");
        if own.address.is_none() && !draft.is_broken(&address) {
            let hint = "give it an \"IP:port\" or \"unix:/path\" of its own".to_owned();
            draft.refuse(&address, draft.place(table), "is missing", Some(hint));
        }
        let networks = format!("{table}.networks");
        let tcp = matches!(own.address, Some(Address::Tcp(_)));
        let nobody = own.networks.as_ref().is_some_and(Vec::is_empty);
        if tcp && nobody && !draft.is_broken(&networks) {
            let hint = "leave the key out for those of [listener], or list networks".to_owned();
            let what = "the list is empty: nobody could connect";
            draft.refuse(&networks, draft.place(&networks), what, Some(hint));
        }
        check_environment(draft, table, own.environment.as_ref().map(EnvName::as_str));
    }
}

/// A listener of an environment that nobody names would answer with nothing but faults; AWS may
/// still know it where the gateway asks.
fn check_environment(draft: &mut Draft, table: &str, name: Option<&str>) {
    let implied = draft.environments.is_empty() || !draft.aws.discover_in.is_empty();
    let (Some(name), false) = (name, draft.aws.discover.unwrap_or(implied)) else {
        return;
    };
    let key = format!("{table}.environment");
    let locals = draft
        .environments
        .iter()
        .map(|entry| entry.environment.local.as_str());
    let locals: Vec<_> = locals.collect();
    if locals.contains(&name) || draft.is_broken(&format!("environments.{name}")) {
        return;
    }
    let hint = match suggest::nearest(name, locals.iter().copied()) {
        Some(near) => format!("did you mean \"{near}\"?"),
        None => format!("the environments are {}", locals.join(", ")),
    };
    let why = Complaint::new("is no environment of this file").hint(hint);
    draft.complain(&key, draft.place(&key), name, why);
}

/// Lists that add nothing, because the listener's policy takes nothing away.
pub(super) fn idle_allows(config: &Config) -> Vec<String> {
    let all = config.listeners.iter().map(|own| &own.rules);
    let idle = |rules: &&ListenerRules| rules.policy == Policy::All && !rules.allow.is_empty();
    all.chain([&config.listener.rules])
        .filter(idle)
        .map(|rules| {
            let table = &rules.table;
            format!("{table}.allow adds nothing: the policy of [{table}] is \"all\" already")
        })
        .collect()
}
