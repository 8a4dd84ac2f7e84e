//! From the configuration to each room's own settings.

use super::{Extras, StartError};
use crate::config::{Address, Config};
use crate::egress::{Egress, Proxies};
use crate::guard::{CallerSecret, Gate, Networks};
use crate::listener::{self, Door, Tls, TlsFiles};
use crate::names::{
    Entrance, Entry, EntryId, EnvName, Environment, ListenerRules, ProxyChoice, ProxyUser,
    Secret,
};
use crate::runtime::{Background, Pace};
use crate::telemetry::audit;
use crate::{control, credential, egress, gateway, guard, queue, upstream};
use ipnet::IpNet;
use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A file that the configuration names could not be used.
pub(super) struct Unreadable {
    pub(super) file: PathBuf,
    pub(super) why: String,
}

pub(super) fn tls(config: &Config) -> Option<TlsFiles> {
    config.listener.tls.as_ref().map(|tls| TlsFiles {
        certificate: tls.certificate.clone(),
        key: tls.key.clone(),
        client_ca: tls.client_ca.clone(),
    })
}

pub(super) fn doors(config: &Config, tls: Option<&Tls>) -> Vec<Door> {
    let address = |address: &Address, mode: u32| match address {
        Address::Tcp(address) => listener::Address::Tcp(*address),
        Address::Unix(path) => listener::Address::Unix(path.clone(), mode),
    };
    let rules = |rules: &ListenerRules| rules.restrict().then(|| rules.clone());
    let usual = &config.listener;
    let main = Door {
        address: address(&usual.address, usual.socket_mode),
        entrance: Entrance {
            name: usual.rules.table.clone(),
            environment: None,
            rules: rules(&usual.rules),
        },
        tls: tls.cloned(),
    };
    let of_environments = config.environments.iter().filter_map(|entry| {
        Some(Door {
            address: address(entry.listen.as_ref()?, usual.socket_mode),
            entrance: Entrance {
                name: format!("environments.{}", entry.environment.local),
                environment: Some(entry.environment.local.clone()),
                // else an environment's own listener would be a way around them
                rules: rules(&usual.rules),
            },
            tls: tls.cloned(),
        })
    });
    let further = config.listeners.iter().map(|own| Door {
        address: address(&own.address, own.socket_mode),
        entrance: Entrance {
            name: own.rules.table.clone(),
            environment: own.environment.clone(),
            rules: rules(&own.rules),
        },
        tls: tls.cloned(),
    });
    std::iter::once(main)
        .chain(of_environments)
        .chain(further)
        .collect()
}

pub(super) fn entries(config: &Config) -> Vec<Arc<Entry>> {
    let ids = (0..).map(EntryId);
    ids.zip(&config.environments)
        .map(|(id, entry)| Arc::new(Entry::new(id, entry.environment.clone())))
        .collect()
}

/// Where environments are looked for: what those of each place have in common.
pub(super) fn places(config: &Config) -> Vec<Environment> {
    let usual = template(config);
    let named = config.aws.discover_in.iter().map(|place| Environment {
        region: Some(place.region.clone()),
        profile: place
            .profile
            .as_deref()
            .map(Into::into)
            .or_else(|| usual.profile.clone()),
        ..usual.clone()
    });
    let mut places: Vec<Environment> = Vec::new();
    for place in named {
        let same = |other: &Environment| {
            (&other.region, &other.profile) == (&place.region, &place.profile)
        };
        if !places.iter().any(same) {
            places.push(place);
        }
    }
    if places.is_empty() {
        places.push(usual);
    }
    places
}

fn template(config: &Config) -> Environment {
    let aws = &config.aws;
    Environment {
        region: aws.region.clone(),
        profile: aws.profile.as_deref().map(Into::into),
        role_arn: aws.role_arn.as_deref().map(Into::into),
        endpoint_url: aws.endpoint_url.as_deref().map(Into::into),
        ..Environment::new(EnvName::any(), "any")
    }
}

pub(super) fn guard(
    config: &Config,
    bound: Vec<SocketAddr>,
) -> Result<guard::Settings, Unreadable> {
    let (listener, limits) = (&config.listener, &config.limits);
    let gate = |networks: &[IpNet], file: Option<&Path>| {
        Ok(Gate {
            networks: Networks::new(networks.to_vec()),
            secret: file.map(secret).transpose()?,
        })
    };
    let own = config.listeners.iter().map(|own| {
        let gate = gate(&own.networks, own.secret_file.as_deref())?;
        Ok((own.rules.table.clone(), gate))
    });
    Ok(guard::Settings {
        gate: gate(&listener.networks, listener.secret_file.as_deref())?,
        own_gates: own.collect::<Result<_, _>>()?,
        hosts: guard::HostRules::new(bound, &listener.hosts),
        trusted_origins: listener.trusted_origins.clone(),
        allow_forwarded: listener.allow_forwarded,
        header_count: limits.header_count,
        head_size: limits.head_size,
        target_size: limits.target_size,
    })
}

fn secret(file: &Path) -> Result<CallerSecret, Unreadable> {
    let unreadable = |why: String| Unreadable {
        file: file.to_owned(),
        why,
    };
    let content =
        std::fs::read_to_string(file).map_err(|error| unreadable(error.to_string()))?;
    let content = Secret::new(content);
    CallerSecret::new(content.reveal()).ok_or_else(|| unreadable("it is empty".to_owned()))
}

pub(super) fn connections(config: &Config) -> listener::Settings {
    let limits = &config.limits;
    listener::Settings {
        head_timeout: limits.head_timeout,
        keep_alive: limits.keep_alive,
        head_size: limits.head_size,
        header_count: limits.header_count,
    }
}

/// The way out: its limits, proxies and tunnels.
pub(super) fn egress(
    config: &Config,
    extras: &Extras,
    background: &Background,
) -> Result<Egress, StartError> {
    let limits = &config.limits;
    let settings = egress::Settings {
        dns: limits.upstream_dns,
        connect: limits.upstream_connect,
        tls: limits.upstream_tls,
        tunnel_start: limits.tunnel_start,
        tunnel_age: limits.tunnel_age,
    };
    let users =
        proxy_users(config).map_err(|error| StartError::Unreadable(error.file, error.why))?;
    let proxies = Proxies::new(config.proxy.as_ref(), users, &extras.proxies)
        .map_err(|(variable, why)| StartError::Proxy(variable, why))?;
    let environments = config.environments.iter().map(|entry| &entry.environment);
    Ok(Egress::new(settings, proxies, environments, background))
}

/// The users of all proxies, by their files.
pub(super) fn proxy_users(
    config: &Config,
) -> Result<HashMap<Arc<Path>, ProxyUser>, Unreadable> {
    let own = config.environments.iter();
    let choices = own.filter_map(|entry| entry.environment.proxy.as_ref());
    let files = choices
        .chain(&config.proxy)
        .filter_map(|choice| match choice {
            ProxyChoice::Through(proxy) => proxy.user_file.clone(),
            ProxyChoice::Off => None,
        });
    files
        .map(|file| {
            let unreadable = |why: String| Unreadable {
                file: file.to_path_buf(),
                why,
            };
            let content = std::fs::read_to_string(&file).map_err(|error| {
                unreadable(match error.kind() {
                    io::ErrorKind::InvalidData => "it is not UTF-8 text".to_owned(),
                    _ => error.to_string(),
                })
            })?;
            let content = Secret::new(content);
            let user = ProxyUser::from_file(content.reveal())
                .ok_or_else(|| unreadable("it holds no line user:password".to_owned()))?;
            Ok((file, user))
        })
        .collect()
}

pub(super) fn control(config: &Config, extras: &Extras, egress: &Egress) -> control::Settings {
    control::Settings {
        call_timeout: config.limits.mint_try,
        tls_timeout: config.limits.upstream_tls,
        egress: egress.clone(),
        ca_bundle: extras.ca_bundle.clone(),
        static_key: extras.static_key.clone(),
    }
}

pub(super) fn credential(config: &Config) -> credential::Settings {
    credential::Settings {
        mint_total: config.limits.mint_total,
        mint_wait: config.limits.mint_wait,
        token_use: config.limits.token_use,
        session_use: config.limits.session_use,
    }
}

pub(super) fn queue(config: &Config) -> queue::Settings {
    queue::Settings {
        size: config.limits.queue_size,
        wait: config.limits.queue_wait,
    }
}

pub(super) fn audit(config: &Config) -> Option<audit::Settings> {
    let configured = &config.audit;
    configured.file.clone().map(|file| audit::Settings {
        file,
        arguments: configured.arguments,
        required: configured.required,
    })
}

pub(super) fn upstream(config: &Config) -> upstream::Settings {
    let limits = &config.limits;
    upstream::Settings {
        tls: limits.upstream_tls,
        cli_first_byte: limits.cli_first_byte,
        first_byte: limits.upstream_first_byte,
        body_idle: limits.upstream_body_idle,
        pool_idle: limits.pool_idle,
        pool_age: limits.pool_age,
    }
}

pub(super) fn corridor(config: &Config) -> gateway::Limits {
    gateway::Limits {
        cli_body: config.limits.cli_body,
        request_body: config.limits.request_body,
        body: Pace {
            idle: config.limits.body_idle,
            rate: config.limits.body_rate,
        },
        cli_output: config.limits.cli_output,
    }
}
