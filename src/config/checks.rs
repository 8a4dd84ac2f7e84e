//! Checks that need more than one table, and warnings of what is allowed but easily a mistake.

use super::diagnostics::{Origin, ValueError};
use super::reader::Reader;
use super::{Address, Config, Transport, files, keys, suggest};
use mwaa_model::{AwsTokens, ListenerRules, Policy};
use mwaa_policy::command_names;
use std::path::Path;

/// Runs the checks; what they find is in the reader's diagnostics.
pub(super) fn check(reader: &mut Reader<'_>, config: &Config) {
    check_addresses(reader, config);
    check_optional_tls(reader, config);
    check_defaults(reader, config);
    check_limits(reader, config);
}

/// An address that is bound.
struct BoundAddress {
    key: String,
    address: Address,
    /// True if those who can reach it can do nothing without a secret.
    is_guarded: bool,
}

/// Returns every address that is bound, without those that were rejected.
fn find_bound_addresses(reader: &Reader<'_>, config: &Config) -> Vec<BoundAddress> {
    // a TLS listener with an error in it is reported as such, not as a plain one
    let has_tls = reader.has_table(&keys::TLS);
    let client_ca = "listener.tls.client_ca";
    let has_client_ca = reader.is_written(client_ca) && !reader.is_broken(client_ca);
    let mut all: Vec<_> = get_listener_addresses(config)
        .into_iter()
        .map(|listener| BoundAddress {
            // with `optional`, that is reported
            is_guarded: has_tls
                && config.wants_tls(listener.address, listener.tls)
                && (has_client_ca || listener.secret_file.is_some()),
            address: listener.address.clone(),
            key: listener.key,
        })
        .collect();

    // these two do nothing with our AWS rights, and the first is loopback in any case
    let management = [
        ("management.address", Some(config.management.address)),
        ("management.probes", config.management.probes),
    ];
    let management = management.into_iter().filter_map(|(key, address)| {
        Some(BoundAddress {
            key: key.to_owned(),
            address: Address::Tcp(address?),
            is_guarded: true,
        })
    });
    all.splice(1..1, management);
    all.retain(|bound| !reader.is_broken(&bound.key));
    all
}

/// An address that acts with our AWS rights.
struct ListenerAddress<'a> {
    key: String,
    address: &'a Address,
    secret_file: Option<&'a Path>,
    /// The key `tls` of its table.
    tls: Option<bool>,
}

fn get_listener_addresses(config: &Config) -> Vec<ListenerAddress<'_>> {
    let listener = &config.listener;
    let secret_file = listener.secret_file.as_deref();
    let mut all = vec![ListenerAddress {
        key: "listener.address".to_owned(),
        address: &listener.address,
        secret_file,
        tls: None,
    }];

    // an environment's own listener asks for the same secret
    for entry in &config.environments {
        if let Some(address) = &entry.listen {
            all.push(ListenerAddress {
                key: format!("environments.{}.listen", entry.environment.local),
                address,
                secret_file,
                tls: None,
            });
        }
    }

    all.extend(config.listeners.iter().map(|listener| ListenerAddress {
        key: format!("{}.address", listener.rules.table),
        address: &listener.address,
        secret_file: listener.secret_file.as_deref(),
        tls: listener.tls,
    }));
    all
}

fn check_addresses(reader: &mut Reader<'_>, config: &Config) {
    let all = find_bound_addresses(reader, config);
    let is_meant = config.listener.dangerous_non_loopback;
    for (index, bound) in all.iter().enumerate() {
        let text = bound.address.to_string();
        if !bound.address.is_local() && !bound.is_guarded && !is_meant {
            // the table alone gives it no TLS if listeners are named
            let tls = match config.listener.is_tls_named {
                false => "with",
                true if bound.key.starts_with("listeners.") => "with `tls = true` here and",
                true => "without `tls = true` in other listeners, and with",
            };
            let error = ValueError::new(
                "is not a loopback address: anyone who can reach it acts with your AWS rights",
            )
            .with_hint(format!(
                "listen on 127.0.0.1 or on a Unix socket; or use [listener.tls] {tls} client_ca \
                 or a secret_file; or, to accept the risk, set dangerous_non_loopback = true \
                 in [listener]. List the clients in networks",
            ));
            reader.report(&bound.key, error.with_value(&bound.key, &text));
        }

        // each pair is reported once, with the later of the two
        let mut earlier = all.iter().take(index);
        if let Some(twin) = earlier.find(|earlier| earlier.address.overlaps(&bound.address)) {
            // a default is no mistake: report the value that is written
            let (key, other) = match reader.origin(&bound.key) {
                Origin::Default => (&twin.key, &bound.key),
                _ => (&bound.key, &twin.key),
            };
            let error = ValueError::new(format!("is already taken by {other}"))
                .with_hint("give each listener its own port or path");
            reader.report(key, error.with_value(key, &text));
        }
    }
}

/// Plain HTTP beside TLS would be a way around client certificates, and around TLS for clients on
/// other machines.
fn check_optional_tls(reader: &mut Reader<'_>, config: &Config) {
    let Some(tls) = config.listener.tls.as_ref().filter(|tls| tls.optional) else {
        return;
    };
    let key = "listener.tls.optional";
    if tls.client_ca.is_some() {
        let error = ValueError::new(
            "does not go with client_ca: clients without a certificate could use plain HTTP",
        );
        reader.report(key, error.with_hint("remove one of the two keys"));
    }

    for listener in get_listener_addresses(config) {
        let has_tls = config.wants_tls(listener.address, listener.tls);
        if has_tls && !listener.address.is_local() && !reader.is_broken(&listener.key) {
            let error = ValueError::new(format!(
                "is only for loopback: {} = \"{}\" is not a loopback address",
                listener.key, listener.address
            ));
            let hint = "remove the key, or listen on 127.0.0.1";
            reader.report(key, error.with_hint(hint));
        }
    }
}

/// Only one environment can be the default.
fn check_defaults(reader: &mut Reader<'_>, config: &Config) {
    let mut marked = config.environments.iter().filter(|entry| entry.default);
    let Some(first) = marked.next() else {
        return;
    };
    for entry in marked {
        let first = &first.environment.local;
        let error = ValueError::new(format!("environments.{first} is the default already"))
            .with_hint("keep default = true in one environment");
        let key = format!("environments.{}.default", entry.environment.local);
        reader.report(&key, error);
    }
}

fn check_limits(reader: &mut Reader<'_>, config: &Config) {
    let limits = &config.limits;
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

    for (is_wrong, small, large) in pairs {
        let small = format!("limits.{small}");
        let large = format!("limits.{large}");
        if !is_wrong || reader.is_broken(&small) || reader.is_broken(&large) {
            continue;
        }
        // a default is no mistake here either
        let (key, message) = match reader.origin(&small) {
            Origin::Default => (&large, format!("is less than {small}")),
            _ => (&small, format!("is more than {large}")),
        };
        reader.report(key, ValueError::new(message));
    }
}

impl Config {
    /// Returns warnings of what is allowed but easily a mistake, one line each.
    pub fn warnings(&self) -> Vec<String> {
        let tls = self.listener.tls.as_ref();
        let has_client_ca = tls.is_some_and(|tls| tls.client_ca.is_some());
        let mut warnings = Vec::new();

        // without dangerous_non_loopback these are errors
        for listener in get_listener_addresses(self) {
            let ListenerAddress { key, address, .. } = &listener;
            let has_tls = self.transport(address, listener.tls) == Transport::Tls;
            let has_secret = listener.secret_file.is_some();
            let is_guarded = has_tls && (has_client_ca || has_secret);
            if address.is_local() || is_guarded {
                continue;
            }
            let lacks = match (has_tls, has_secret) {
                (false, false) => "has neither TLS nor a secret",
                (false, true) => "has no TLS",
                (true, _) => "has no secret",
            };
            warnings.push(format!(
                "{key} = \"{address}\" is not a loopback address and {lacks}"
            ));
        }

        if has_client_ca {
            warnings.extend(find_unchecked_clients(self));
        }
        warnings.extend(tls.and_then(|tls| files::check_key_mode(&tls.key)));
        warnings.extend(find_real_tokens(self));
        warnings.extend(find_idle_allows(self));
        warnings.extend(find_unknown_commands(self));
        warnings.extend(
            self.audit
                .file
                .as_deref()
                .and_then(files::check_audit_log_mode),
        );
        warnings
    }

    /// Returns the rules of all listeners, the first one's last.
    fn listener_rules(&self) -> impl Iterator<Item = &ListenerRules> {
        let extra = self.listeners.iter().map(|listener| &listener.rules);
        extra.chain([&self.listener.rules])
    }
}

/// Returns a line for each listener that asks for no client certificates only because another one
/// sets `tls = true`. A listener that sets `tls = false` is meant to be plain.
fn find_unchecked_clients(config: &Config) -> impl Iterator<Item = String> {
    let listeners = get_listener_addresses(config).into_iter();
    let implied = listeners.filter(|listener| {
        let is_tcp = matches!(listener.address, Address::Tcp(_));
        is_tcp && listener.tls.is_none() && !config.wants_tls(listener.address, None)
    });
    implied.map(|ListenerAddress { key, address, .. }| {
        let remedy = match key.strip_suffix(".address").filter(|table| table.starts_with("listeners.")) {
            Some(table) => format!("set {table}.tls = true"),
            None => "remove `tls = true` from the other listeners".to_owned(),
        };
        format!(
            "{key} = \"{address}\" accepts plain HTTP and asks for no client certificates, because \
             another listener sets `tls = true`: {remedy}, or listen on a Unix socket"
        )
    })
}

/// Returns a line for each environment whose real tokens leave the gateway, or would.
fn find_real_tokens(config: &Config) -> impl Iterator<Item = String> {
    let environments = config.environments.iter().map(|entry| &entry.environment);
    let real = environments.filter(|environment| environment.aws_tokens == AwsTokens::Real);
    real.map(|environment| {
        let table = format!("environments.{}", environment.local);
        if environment.policy == Policy::All && environment.deny.is_empty() {
            format!(
                "{table}.aws_tokens = \"real\": with AWS's own tokens clients need the gateway no \
                 longer; no policy, queue or audit log of the gateway applies to their use"
            )
        } else {
            format!(
                "{table}.aws_tokens = \"real\" gives tokens to no client: set policy = \"all\" \
                 without deny, or remove it"
            )
        }
    })
}

/// Returns a line for each list that adds nothing because its policy takes nothing away.
fn find_idle_allows(config: &Config) -> impl Iterator<Item = String> {
    let idle = |rules: &&ListenerRules| rules.policy == Policy::All && !rules.allow.is_empty();
    config.listener_rules().filter(idle).map(|rules| {
        let table = &rules.table;
        format!("{table}.allow adds nothing: the policy of [{table}] is \"all\" already")
    })
}

/// Returns a line for each rule that names no command or group of any Airflow: with a typing
/// error it would allow, or deny, nothing. A plugin may have such a command.
fn find_unknown_commands(config: &Config) -> Vec<String> {
    let mut lists = Vec::new();
    for entry in &config.environments {
        let environment = &entry.environment;
        let table = format!("environments.{}", environment.local);
        lists.push((format!("{table}.allow"), &environment.allow));
        lists.push((format!("{table}.deny"), &environment.deny));
    }
    for rules in config.listener_rules() {
        lists.push((format!("{}.allow", rules.table), &rules.allow));
        lists.push((format!("{}.deny", rules.table), &rules.deny));
    }

    let mut unknown = Vec::new();
    for (key, rules) in lists {
        for rule in rules.iter().filter(|rule| !is_known(rule)) {
            let text = rule.join(" ");
            // the rule stays in force: a plugin may have the command
            let hint = suggest::find_nearest(&text, command_names())
                .map_or_else(String::new, |near| format!(" (did you mean \"{near}\"?)"));
            unknown.push(format!(
                "{key}: Airflow has no command \"{text}\"{hint}; a plugin may add it"
            ));
        }
    }
    unknown
}

/// Returns true if the rule begins with a command's name, or is a group's. A group of one release
/// may be a command of another, so its commands are known by two words.
fn is_known(rule: &[String]) -> bool {
    let words = rule.iter().map(String::as_str);
    // options are checked when a command is parsed
    let words: Vec<_> = words.take_while(|word| !word.starts_with('-')).collect();
    match words.as_slice() {
        [] => false,
        [only] => command_names().any(|name| name.split(' ').next() == Some(only)),
        [first, second, ..] => {
            let pair = format!("{first} {second}");
            let in_group = |name: &str| name.split_once(' ').is_some_and(|(g, _)| g == *first);
            command_names().any(|name| name == pair)
                || !command_names().any(in_group) && command_names().any(|name| name == *first)
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::Overrides;
    use crate::tests::read;

    #[test]
    fn real_tokens_cause_a_warning() {
        let text = "[environments.a]\naws_tokens = \"real\"\npolicy = \"all\"\n\
                    [environments.b]\naws_tokens = \"real\"\n\
                    [environments.c]\naws_tokens = \"local\"\n";
        let config = read(text.as_bytes(), &Overrides::default()).expect(text);
        let warnings = config.warnings();
        let [a, b] = warnings.as_slice() else {
            panic!("{warnings:?}")
        };
        assert!(
            a.starts_with("environments.a") && a.contains("no policy"),
            "{a}"
        );
        assert!(
            b.starts_with("environments.b") && b.contains("no client"),
            "{b}"
        );
    }

    #[test]
    fn a_rule_that_matches_nothing_causes_a_warning() {
        let text = "[environments.prod]\n\
                    allow = [\"pools set\", \"dags list --subdir\", \"plugin act\"]\n\
                    deny = [\"dags\", \"dags delete x\", \"dags delte\", \"list_dags x\"]\n\
                    [listeners.one]\naddress = \"127.0.0.1:8082\"\npolicy = \"operator\"\n\
                    allow = [\"variables sett\", \"dags show --save\", \"dag\"]\n";
        let config = read(text.as_bytes(), &Overrides::default()).expect(text);
        let warnings = config.warnings();
        let warning = |key: &str, rule: &str, near: &str| {
            format!("{key}: Airflow has no command \"{rule}\"{near}; a plugin may add it")
        };
        let expected = [
            warning("environments.prod.allow", "plugin act", ""),
            warning(
                "environments.prod.deny",
                "dags delte",
                " (did you mean \"dags delete\"?)",
            ),
            warning(
                "listeners.one.allow",
                "variables sett",
                " (did you mean \"variables set\"?)",
            ),
            warning("listeners.one.allow", "dag", ""),
        ];
        assert_eq!(warnings, expected);
    }
}
