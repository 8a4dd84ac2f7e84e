//! Checks that need more than one key.

use super::draft::Draft;
use super::keys::TLS_TABLE;
use super::problems::{Complaint, Place};
use super::{Address, Config, Listener, disk, listeners, rules, ways};
use std::path::PathBuf;

/// Runs all checks; what they find is in the draft's problems.
pub(super) fn check(draft: &mut Draft) {
    check_addresses(draft);
    check_defaults(draft);
    check_commands(draft);
    listeners::check(draft);
    check_limits(draft);
    check_listener(draft);
    check_tls(draft);
    ways::check(draft);
    disk::check(draft);
}

/// Every address that will be bound, with its key.
fn addresses(draft: &Draft) -> Vec<(String, Address)> {
    let mut all = vec![
        (
            "listener.address".to_owned(),
            draft.listener.address.clone(),
        ),
        (
            "management.address".to_owned(),
            Address::Tcp(draft.management.address),
        ),
    ];
    if let Some(address) = draft.management.probes {
        all.push((PROBES.to_owned(), Address::Tcp(address)));
    }
    for entry in &draft.environments {
        if let Some(address) = &entry.listen {
            let key = format!("environments.{}.listen", entry.environment.local);
            all.push((key, address.clone()));
        }
    }
    for own in &draft.own_listeners {
        if let Some(address) = &own.address {
            all.push((format!("{}.address", own.rules.table), address.clone()));
        }
    }
    all.retain(|(key, _)| !draft.is_broken(key));
    all
}

/// The one address that is meant for others: it acts with nobody's rights.
const PROBES: &str = "management.probes";

fn check_addresses(draft: &mut Draft) {
    let all = addresses(draft);
    let guarded = draft.has_tls()
        && (draft.listener.secret_file.is_some() || draft.tls.client_ca.is_some());
    let has_secret = |key: &str| {
        let mut own = draft.own_listeners.iter();
        own.any(|own| {
            own.secret_file.is_some() && key == format!("{}.address", own.rules.table)
        })
    };
    let guarded: Vec<_> = all
        .iter()
        .map(|(key, _)| guarded || key == PROBES || (draft.has_tls() && has_secret(key)))
        .collect();
    for (index, ((key, address), guarded)) in all.iter().zip(guarded).enumerate() {
        if !address.is_local() && !guarded && !draft.listener.dangerous_non_loopback {
            let why = Complaint::new(
                "is not loopback: whoever reaches it would act with your AWS rights",
            )
            .hint(
                "listen on 127.0.0.1 or on a unix socket; or use [listener.tls] with its \
                 client_ca or a secret_file; or, if you mean it as it is, set \
                 dangerous_non_loopback = true in [listener]. List the clients in networks",
            );
            draft.complain(key, draft.place(key), &address.to_string(), why);
        }
        let twin = all
            .iter()
            .take(index)
            .find(|(_, earlier)| earlier.overlaps(address));
        if let Some((other, _)) = twin {
            // a default is nobody's mistake: blame the value that somebody wrote
            let (key, other) = match draft.place(key) {
                Place::Default => (other, key),
                _ => (key, other),
            };
            let why = Complaint::new(format!("is already taken by {other}"))
                .hint("give each listener a port or path of its own");
            draft.complain(key, draft.place(key), &address.to_string(), why);
        }
    }
}

fn check_defaults(draft: &mut Draft) {
    let locals: Vec<_> = draft
        .environments
        .iter()
        .filter(|entry| entry.default)
        .map(|entry| entry.environment.local.clone())
        .collect();
    let Some((first, rest)) = locals.split_first() else {
        return;
    };
    for local in rest {
        let key = format!("environments.{local}.default");
        let what = format!("environments.{first} is the default already");
        let hint = Some("keep default = true in one environment".to_owned());
        draft.refuse(&key, draft.place(&key), what, hint);
    }
}

fn check_commands(draft: &mut Draft) {
    let mut lists = Vec::new();
    for entry in &draft.environments {
        let environment = &entry.environment;
        let table = format!("environments.{}", environment.local);
        lists.push((table, &environment.allow, &environment.deny));
    }
    let own = draft.own_listeners.iter().map(|own| &own.rules);
    for rules in own.chain([&draft.listener.rules]) {
        lists.push((rules.table.clone(), &rules.allow, &rules.deny));
    }
    let mut both = Vec::new();
    for (table, allow, deny) in lists {
        for words in allow.iter().filter(|words| deny.contains(words)) {
            both.push((format!("{table}.deny"), words.join(" ")));
        }
    }
    both.retain(|(key, _)| !draft.is_broken(key));
    for (key, command) in both {
        let why = Complaint::new("is in allow as well").hint("keep it in one of the two");
        draft.complain(&key, draft.place(&key), &command, why);
    }
}

fn check_limits(draft: &mut Draft) {
    let limits = &draft.limits;
    let pairs = [
        (
            limits.mint_try > limits.mint_total,
            "mint_try",
            "mint_total",
        ),
        (limits.pool_idle > limits.pool_age, "pool_idle", "pool_age"),
        (
            limits.target_size > limits.head_size,
            "target_size",
            "head_size",
        ),
    ];
    for (wrong, small, large) in pairs {
        let (small, large) = (format!("limits.{small}"), format!("limits.{large}"));
        if !wrong || draft.is_broken(&small) || draft.is_broken(&large) {
            continue;
        }
        let (key, what) = match draft.place(&small) {
            Place::Default => (&large, format!("is less than {small}")),
            _ => (&small, format!("is more than {large}")),
        };
        draft.refuse(key, draft.place(key), what, None);
    }
}

fn check_listener(draft: &mut Draft) {
    const KEY: &str = "listener.networks";
    let tcp = matches!(draft.listener.address, Address::Tcp(_));
    if tcp && draft.listener.networks.is_empty() && !draft.is_broken(KEY) {
        let hint = "leave the key out for this machine only, or list networks".to_owned();
        let what = "the list is empty: nobody could connect";
        draft.refuse(KEY, draft.place(KEY), what, Some(hint));
    }
}

/// Half a TLS listener would be a plain one.
fn check_tls(draft: &mut Draft) {
    if !draft.has_tls() || draft.is_broken(TLS_TABLE) {
        return;
    }
    let files = [
        (draft.tls.certificate.is_some(), "certificate"),
        (draft.tls.key.is_some(), "key"),
    ];
    for (_, name) in files.iter().filter(|(there, _)| !there) {
        let key = format!("{TLS_TABLE}.{name}");
        if !draft.is_broken(&key) {
            let hint = "name the PEM files of certificate and key, or leave [listener.tls] out";
            let what = "is missing".to_owned();
            draft.refuse(&key, draft.place(TLS_TABLE), what, Some(hint.to_owned()));
        }
    }
}

impl Listener {
    /// Whether TLS and a secret or client certificates keep strangers out.
    fn is_guarded(&self, secret_file: Option<&PathBuf>) -> bool {
        self.tls
            .as_ref()
            .is_some_and(|tls| tls.client_ca.is_some() || secret_file.is_some())
    }
}

impl Config {
    /// Things that are allowed but that people should know of, one line each.
    pub fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        let usual = self.listener.secret_file.as_ref();
        let mut wide = vec![("listener.address".to_owned(), &self.listener.address, usual)];
        for entry in &self.environments {
            if let Some(address) = &entry.listen {
                let key = format!("environments.{}.listen", entry.environment.local);
                wide.push((key, address, usual));
            }
        }
        for own in &self.listeners {
            let key = format!("{}.address", own.rules.table);
            wide.push((key, &own.address, own.secret_file.as_ref()));
        }
        wide.retain(|(_, address, secret)| {
            !address.is_local() && !self.listener.is_guarded(*secret)
        });
        let plain = self.listener.tls.is_none();
        for (key, address, secret) in wide {
            let secret = if secret.is_none() {
                " and asks for no secret"
            } else {
                ""
            };
            let clear = if plain { ", unencrypted" } else { "" };
            warnings.push(format!(
                "{key} = \"{address}\" is wider than loopback{clear}{secret}"
            ));
        }
        let key = self.listener.tls.as_ref().map(|tls| tls.key.as_path());
        warnings.extend(key.and_then(disk::loose_key));
        warnings.extend(listeners::idle_allows(self));
        warnings.extend(rules::strangers(self));
        warnings.extend(self.audit.file.as_deref().and_then(disk::odd_log));
        warnings
    }
}
