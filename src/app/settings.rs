//! The configuration, as the settings of each crate. The files with secrets are read here.

use super::{ExternalInputs, StartError};
use ipnet::IpNet;
use mwaa_auth::aws::{self, AwsClient, DynamoDbStore, ElastiCacheLogin};
use mwaa_config::{Address, Config, Transport, read_secret_file};
use mwaa_egress::{Connector, ProxyTable};
use mwaa_fleet::{FleetKeys, FleetSettings, RedisPassword, RedisStore, Store};
use mwaa_model::{
    Entry, EntryId, EnvName, Environment, FileError, ListenerPolicy, ListenerRules,
    ProxyChoice, ProxyUser, RedisAddress, Region, Secret, StoreAddress,
};
use mwaa_proxy::admission::{self, AccessRules, NetworkFilter, SharedSecret};
use mwaa_proxy::{queue, upstream};
use mwaa_runtime::{BackgroundTasks, PaceLimit};
use mwaa_server::{ListenerConfig, TlsConfig, TlsFiles};
use mwaa_telemetry::audit;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

/// Returns the configured environments, with ids in their order.
pub(super) fn create_entries(config: &Config) -> Vec<Arc<Entry>> {
    let ids = (0..).map(EntryId);
    ids.zip(&config.environments)
        .map(|(id, entry)| Arc::new(Entry::new(id, entry.environment.clone())))
        .collect()
}

/// Returns a template for each place in which environments are looked for: the values that all
/// environments of that region and profile have in common.
pub(super) fn discovery_places(config: &Config) -> Vec<Environment> {
    let aws = &config.aws;
    let usual = Environment {
        region: aws.region.clone(),
        profile: aws.profile.as_deref().map(Into::into),
        role_arn: aws.role_arn.as_deref().map(Into::into),
        endpoint_url: aws.endpoint_url.as_deref().map(Into::into),
        ..Environment::new(EnvName::any(), "any")
    };

    let mut places: Vec<Environment> = Vec::new();
    for named in &aws.discover_in {
        let profile = named.profile.as_deref().map(Into::into);
        let place = Environment {
            region: Some(named.region.clone()),
            profile: profile.or_else(|| usual.profile.clone()),
            ..usual.clone()
        };
        // a place that is named twice would be searched twice
        let is_known = places
            .iter()
            .any(|other| other.region == place.region && other.profile == place.profile);
        if !is_known {
            places.push(place);
        }
    }

    if places.is_empty() {
        places.push(usual);
    }
    places
}

/// Returns the files of the TLS listeners, if TLS is configured.
pub(super) fn tls_files(config: &Config) -> Option<TlsFiles> {
    config.listener.tls.as_ref().map(|tls| TlsFiles {
        certificate: tls.certificate.clone(),
        key: tls.key.clone(),
        client_ca: tls.client_ca.clone(),
    })
}

/// Returns every listener: the main one, the environments' own, and those of `[listeners]`.
pub(super) fn listeners(config: &Config, tls: Option<&TlsConfig>) -> Vec<ListenerConfig> {
    let usual = &config.listener;
    // without rules a request is not compared with any
    let rules = |rules: &ListenerRules| rules.is_restrictive().then(|| rules.clone());
    let create = |address: &Address, mode, own_tls, listener| {
        let transport = config.transport(address, own_tls);
        ListenerConfig {
            address: to_socket_address(address, mode),
            listener,
            tls: tls.filter(|_| transport != Transport::Plain).cloned(),
            accepts_plain: transport != Transport::Tls,
        }
    };
    let policy = ListenerPolicy {
        name: usual.rules.table.clone(),
        environment: None,
        rules: rules(&usual.rules),
    };
    let main = create(&usual.address, usual.socket_mode, None, policy);

    let of_environments = config.environments.iter().filter_map(|entry| {
        let policy = ListenerPolicy {
            name: format!("environments.{}", entry.environment.local),
            environment: Some(entry.environment.local.clone()),
            // else an environment's own listener would be a way around them
            rules: rules(&usual.rules),
        };
        Some(create(
            entry.listen.as_ref()?,
            usual.socket_mode,
            None,
            policy,
        ))
    });

    // their rules are their own: a listener for one team may be stricter than the main one
    let further = config.listeners.iter().map(|own| {
        let policy = ListenerPolicy {
            name: own.rules.table.clone(),
            environment: own.environment.clone(),
            rules: rules(&own.rules),
        };
        create(&own.address, own.socket_mode, own.tls, policy)
    });

    // the main one first: its URL is the one that is shown to people
    std::iter::once(main)
        .chain(of_environments)
        .chain(further)
        .collect()
}

/// Returns the listeners over TLS that serve the same requests as this one, which has the same name
/// for clients and asks them for the same: a client of this one may use them too.
pub(super) fn find_tls_twins(
    config: &Config,
    listener: &ListenerConfig,
    all: &[ListenerConfig],
) -> Vec<String> {
    let has_client_ca = config
        .listener
        .tls
        .as_ref()
        .is_some_and(|tls| tls.client_ca.is_some());
    if listener.tls.is_some() || has_client_ca {
        return Vec::new();
    }

    let ip = |bound: &ListenerConfig| match &bound.address {
        mwaa_server::Address::Tcp(address) => Some(address.ip()),
        mwaa_server::Address::Unix(..) => None,
    };
    let access = |bound: &ListenerConfig| {
        let mut own = config.listeners.iter();
        let own = own.find(|own| own.rules.table == bound.listener.name);
        own.map_or(
            (&config.listener.secret_file, &config.listener.networks),
            |own| (&own.secret_file, &own.networks),
        )
    };
    // whatever its name, a listener without rules allows all
    let rules = |bound: &ListenerConfig| {
        let rules = bound.listener.rules.clone();
        rules.map(|rules| (rules.policy, rules.allow, rules.deny))
    };
    let is_twin = |other: &&ListenerConfig| {
        other.tls.is_some()
            && ip(other).is_some_and(|ip_of| Some(ip_of) == ip(listener))
            && access(other) == access(listener)
            && rules(other) == rules(listener)
    };
    let twins = all.iter().filter(is_twin);
    twins.map(|twin| twin.listener.name.clone()).collect()
}

fn to_socket_address(address: &Address, mode: u32) -> mwaa_server::Address {
    match address {
        Address::Tcp(address) => mwaa_server::Address::Tcp(*address),
        Address::Unix(path) => mwaa_server::Address::Unix(path.clone(), mode),
    }
}

/// Returns the rules of admission. `bound` are the TCP addresses that a Host may name.
///
/// Fails if a secret file cannot be used.
pub(super) fn load_admission(
    config: &Config,
    bound: &[SocketAddr],
) -> Result<admission::Settings, StartError> {
    let listener = &config.listener;

    // a further listener has networks and a secret of its own, and none of the main one's
    let own = config.listeners.iter().map(|own| {
        let rules = load_access_rules(&own.networks, own.secret_file.as_deref())?;
        Ok((own.rules.table.clone(), rules))
    });

    Ok(admission::Settings {
        access: load_access_rules(&listener.networks, listener.secret_file.as_deref())?,
        listener_access: own.collect::<Result<_, StartError>>()?,
        hosts: admission::HostFilter::new(bound, &listener.hosts),
        trusted_origins: listener.trusted_origins.clone(),
        allow_forwarded: listener.allow_forwarded,
        target_size: config.limits.target_size,
    })
}

fn load_access_rules(
    networks: &[IpNet],
    secret_file: Option<&Path>,
) -> Result<AccessRules, StartError> {
    let secret = secret_file.map(|file| {
        let content = read_secret_file(file)?;
        SharedSecret::new(content.reveal()).ok_or_else(|| file_error(file, "it is empty"))
    });
    Ok(AccessRules {
        networks: NetworkFilter::new(networks.to_vec()),
        secret: secret.transpose()?,
    })
}

/// Returns the settings of client connections.
pub(super) fn connections(config: &Config) -> mwaa_server::Settings {
    let limits = &config.limits;
    mwaa_server::Settings {
        head_timeout: limits.head_timeout,
        keep_alive: limits.keep_alive,
        head_size: limits.head_size,
        header_count: limits.header_count,
    }
}

/// Returns the limits, proxies and tunnels of connections to AWS and to web servers.
///
/// Fails if a proxy cannot be used, or the file of its user.
pub(super) fn load_connector(
    config: &Config,
    inputs: &ExternalInputs,
    background: &BackgroundTasks,
) -> Result<Connector, StartError> {
    let limits = &config.limits;
    let settings = mwaa_egress::Settings {
        dns: limits.upstream_dns,
        connect: limits.upstream_connect,
        tls: limits.upstream_tls,
        tunnel_start: limits.tunnel_start,
        tunnel_age: limits.tunnel_age,
    };

    // the proxies of the configuration, else those of the environment variables
    let users = load_proxy_users(config)?;
    let proxies = ProxyTable::new(config.proxy.as_ref(), users, &inputs.proxies)
        .map_err(|(variable, reason)| StartError::Proxy { variable, reason })?;
    let environments = config.environments.iter().map(|entry| &entry.environment);
    Ok(Connector::new(settings, proxies, environments, background))
}

/// Returns the users of all proxies, by their files.
///
/// Fails if a file cannot be used.
pub(super) fn load_proxy_users(
    config: &Config,
) -> Result<HashMap<Arc<Path>, ProxyUser>, StartError> {
    // a file that several choices name is read again for each, which does no harm
    let users = proxy_user_files(config).map(|file| {
        let content = read_secret_file(file)?;
        let user = ProxyUser::from_file(content.reveal())
            .ok_or_else(|| file_error(file, "it contains no line user:password"))?;
        Ok((file.into(), user))
    });
    users.collect()
}

/// Returns the files with the users of proxies.
pub(super) fn proxy_user_files(config: &Config) -> impl Iterator<Item = &Path> {
    let own = config.environments.iter();
    let choices = own.filter_map(|entry| entry.environment.proxy.as_ref());
    choices
        .chain(&config.proxy)
        .filter_map(|choice| match choice {
            ProxyChoice::Through(proxy) => proxy.user_file.as_deref(),
            ProxyChoice::Off => None,
        })
}

fn file_error(file: &Path, reason: &'static str) -> StartError {
    FileError::new(file, reason).into()
}

/// Returns the settings of the client for AWS.
pub(super) fn aws(
    config: &Config,
    inputs: &ExternalInputs,
    connector: &Connector,
) -> aws::Settings {
    aws::Settings {
        call_timeout: config.limits.mint_try,
        tls_timeout: config.limits.upstream_tls,
        connector: connector.clone(),
        ca_bundle: inputs.ca_bundle.clone(),
        static_key: inputs.static_key.clone(),
    }
}

/// Returns the limits of tokens and sessions.
pub(super) fn credentials(config: &Config) -> mwaa_auth::Settings {
    mwaa_auth::Settings {
        mint_total: config.limits.mint_total,
        mint_wait: config.limits.mint_wait,
        token_use: config.limits.token_use,
        session_use: config.limits.session_use,
    }
}

/// Returns the limits of the command queues.
pub(super) fn queue(config: &Config) -> queue::Settings {
    queue::Settings {
        size: config.limits.queue_size,
        wait: config.limits.queue_wait,
    }
}

/// Returns the keys of the fleet; `None` if the gateway is alone. Fails if the file holds none.
pub(super) fn load_fleet_keys(config: &Config) -> Result<Option<FleetKeys>, StartError> {
    let Some(fleet) = &config.fleet else {
        return Ok(None);
    };
    let file = &fleet.key_file;
    let keys = std::fs::read(file).map_err(|error| FileError::new(file, error))?;
    let keys = FleetKeys::parse(&Secret::new(keys));
    Ok(Some(keys.map_err(|error| FileError::new(file, error))?))
}

/// The store of a fleet, its keys, and the settings for it.
pub(super) type FleetParts = (Box<dyn Store>, FleetKeys, FleetSettings);

/// Returns the parts of the fleet; `None` if the gateway is alone. Nothing is
/// connected yet.
///
/// Fails if a file cannot be used.
pub(super) fn load_fleet(
    config: &Config,
    connector: &Connector,
    aws: &Arc<AwsClient>,
    background: &BackgroundTasks,
) -> Result<Option<FleetParts>, StartError> {
    let (Some(fleet), Some(keys)) = (&config.fleet, load_fleet_keys(config)?) else {
        return Ok(None);
    };
    let store: Box<dyn Store> = match &fleet.store {
        StoreAddress::Redis(address) => Box::new(RedisStore::new(
            address.clone(),
            load_redis_password(config, address, aws, background)?,
            connector.clone(),
            background.clone(),
        )),
        StoreAddress::DynamoDb(table) => {
            let place = create_place(config, &table.name, table.region.as_ref());
            let store = DynamoDbStore::new(Arc::clone(aws), place, background.clone());
            Box::new(store)
        }
    };

    let settings = FleetSettings {
        call: config.limits.fleet_call,
        command: config.limits.cli_first_byte,
        shares: !fleet.refuses,
    };
    Ok(Some((store, keys, settings)))
}

fn load_redis_password(
    config: &Config,
    address: &RedisAddress,
    aws: &Arc<AwsClient>,
    background: &BackgroundTasks,
) -> Result<RedisPassword, StartError> {
    if let Some(cache) = &address.iam {
        let place = create_place(config, &cache.name, cache.region.as_ref());
        let user = address.user.as_deref().unwrap_or_default();
        let login = ElastiCacheLogin::new(Arc::clone(aws), place, user, background.clone());
        return Ok(RedisPassword::Made(Box::new(login)));
    }

    let file = config
        .fleet
        .as_ref()
        .and_then(|fleet| fleet.password_file.as_deref());
    Ok(match file.map(read_secret_file).transpose()? {
        // an editor ends the line
        Some(text) => RedisPassword::Fixed(Secret::concat(&[text.reveal().trim_end()])),
        None => RedisPassword::None,
    })
}

/// Returns what AWS is asked about for the fleet, with the identity of `[aws]`.
fn create_place(config: &Config, name: &str, region: Option<&Region>) -> Environment {
    let aws = &config.aws;
    Environment {
        region: region.or(aws.region.as_ref()).cloned(),
        profile: aws.profile.as_deref().map(Arc::from),
        role_arn: aws.role_arn.as_deref().map(Arc::from),
        ..Environment::new(EnvName::any(), name)
    }
}

/// Returns the settings of the audit log, if there is to be one.
pub(super) fn audit(config: &Config) -> Option<audit::Settings> {
    let configured = &config.audit;
    configured.file.clone().map(|file| audit::Settings {
        file,
        arguments: configured.arguments,
        required: configured.required,
    })
}

/// Returns the limits of connections to web servers.
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

/// Returns the most pages at each listener that may show themselves live: a small part of the connections.
pub(super) fn watchers(config: &Config) -> usize {
    (config.limits.connections / 16).clamp(1, 16)
}

/// Returns the limits of requests and outputs.
pub(super) fn proxy_limits(config: &Config) -> mwaa_proxy::Limits {
    mwaa_proxy::Limits {
        cli_body: config.limits.cli_body,
        request_body: config.limits.request_body,
        body_pace: PaceLimit {
            idle: config.limits.body_idle,
            rate: config.limits.body_rate,
        },
        cli_output: config.limits.cli_output,
    }
}
