//! Reads every table into its settings, with the checks that need more than one of its keys, and
//! chooses the environments that flags name.

use super::diagnostics::{Origin, ValueError};
use super::effective::{EffectiveConfig, format_string};
use super::files::{Content, check_audit_log, check_file, read_file};
use super::reader::{Reader, TableEntry, TableReader};
use super::{
    Address, AuditSettings, AwsSettings, Config, EnvironmentEntry, ExtraListenerSettings,
    FleetSettings, LimitSettings, ListenerSettings, ManagementSettings, Override, Overrides,
    TelemetrySettings, TlsSettings, checks, hosts, keys, suggest, values,
};
use mwaa_model::{
    AwsTokens, BrowserMode, EnvName, Environment, ListenerRules, Policy, ProxyChoice,
    ProxyConfig, RestVia, StoreAddress, TunnelCommand,
};
use std::net::SocketAddr;
use std::sync::Arc;

/// Reads the configuration from the reader's values; what is wrong with them is in the reader.
pub(super) fn read(reader: &mut Reader<'_>, overrides: &Overrides) -> Config {
    // environments first: listeners name them
    let mut aws = read_aws(&mut reader.table(&keys::AWS));
    let known = read_environments(reader);
    let environments = match overrides.environments.as_slice() {
        [] => known.clone(),
        names => {
            // a flag that names environments means these and no others
            let origin = names.first().map_or(Origin::Default, Override::origin);
            reader.record("aws.discover", Some("false".to_owned()), origin);
            aws.discover = Some(false);
            select_environments(reader, &known, names)
        }
    };

    let mut config = Config {
        listener: read_listener(reader),
        listeners: Vec::new(),
        management: read_management(&mut reader.table(&keys::MANAGEMENT)),
        audit: read_audit(&mut reader.table(&keys::AUDIT)),
        telemetry: read_telemetry(&mut reader.table(&keys::TELEMETRY)),
        aws,
        proxy: read_proxy(&mut reader.table(&keys::PROXY)),
        fleet: read_fleet(&mut reader.table(&keys::FLEET)),
        limits: LimitSettings::read(&mut reader.table(&keys::LIMITS)),
        environments,
        source: None,
        certs_command: reader.certs_command.clone(),
        values: EffectiveConfig::default(),
    };
    read_extra_listeners(reader, &mut config, &known);

    // `config show` prints what the default comes to
    if config.aws.discover.is_none() {
        let discovers = config.discovers().to_string();
        reader.record("aws.discover", Some(discovers), Origin::Default);
    }
    checks::check(reader, &config);
    config
}

fn read_listener(reader: &mut Reader<'_>) -> ListenerSettings {
    let mut table = reader.table(&keys::LISTENER);
    let listener = ListenerSettings {
        address: table.address("address").expect("an address has a default"),
        socket_mode: table.text("socket_mode", values::parse_mode),
        hosts: table.list("hosts", hosts::parse_host_entry),
        networks: table.list("networks", values::parse_network),
        trusted_origins: table.list("trusted_origins", hosts::parse_origin),
        allow_forwarded: table.flag("allow_forwarded"),
        secret_file: read_file(&mut table, "secret_file", Content::Secret),
        dangerous_non_loopback: table.flag("dangerous_non_loopback"),
        tls: None,
        is_tls_named: false,
        rules: read_rules(&mut table),
    };

    // a unix socket has permissions instead
    if matches!(listener.address, Address::Tcp(_)) && listener.networks.is_empty() {
        let error = ValueError::new("the list is empty: no client could connect")
            .with_hint("remove the key to allow only this machine, or list networks");
        table.report("networks", error);
    }

    let tls = read_tls(&mut reader.table(&keys::TLS));
    ListenerSettings { tls, ..listener }
}

fn read_tls(table: &mut TableReader<'_, '_>) -> Option<TlsSettings> {
    let (certificate, key) = if table.reader.overrides.makes_certificates {
        (table.file("certificate"), table.file("key"))
    } else {
        (
            read_file(table, "certificate", Content::Certificate),
            read_file(table, "key", Content::Key),
        )
    };
    let client_ca = read_file(table, "client_ca", Content::Certificates);
    let optional = table.flag("optional");

    // half a TLS listener would be a plain one
    if table.entry.origin != Origin::Default && !table.reader.is_broken(&table.entry.path) {
        let hint = format!(
            "name the PEM files of the certificate and the key (`{}` makes them), or remove \
             [listener.tls]",
            table.reader.certs_command
        );
        table.report_missing("certificate", &hint);
        table.report_missing("key", &hint);
    }

    Some(TlsSettings {
        certificate: certificate?,
        key: key?,
        client_ca,
        optional,
    })
}

/// Reads policy, allow and deny, which three tables have.
fn read_rules(table: &mut TableReader<'_, '_>) -> ListenerRules {
    let rules = ListenerRules {
        table: table.entry.path.clone(),
        policy: match table.choice("policy") {
            "all" => Policy::All,
            "operator" => Policy::Operator,
            "read-only" => Policy::ReadOnly,
            // the reader has rejected every other word
            _ => Policy::Supported,
        },
        allow: table.list("allow", values::parse_command_or_option),
        deny: table.list("deny", values::parse_command),
    };

    // deny would win, and allow would have no effect
    let mut both = rules.allow.clone();
    both.retain(|words| rules.deny.contains(words));
    for words in both {
        let error = ValueError::new("is also in allow")
            .with_hint("keep it in only one of them")
            .with_value(&table.path_of("deny"), &words.join(" "));
        table.report("deny", error);
    }
    rules
}

fn read_management(table: &mut TableReader<'_, '_>) -> ManagementSettings {
    ManagementSettings {
        address: table.text("address", parse_management_address),
        probes: table.optional_text("probes", parse_probes_address),
    }
}

fn parse_management_address(text: &str) -> Result<SocketAddr, ValueError> {
    match text.parse::<Address>()? {
        Address::Tcp(address) if Address::Tcp(address).is_local() => Ok(address),
        Address::Tcp(_) => Err(ValueError::new("is not a loopback address").with_hint(
            "the management address must be loopback: use \"127.0.0.1:9180\"; for kubelet and \
             Prometheus set management.probes",
        )),
        Address::Unix(_) => Err(ValueError::new("is a unix socket")
            .with_hint("health and metrics need a TCP address: use \"127.0.0.1:9180\"")),
    }
}

fn parse_probes_address(text: &str) -> Result<SocketAddr, ValueError> {
    match text.parse::<Address>()? {
        Address::Tcp(address) => Ok(address),
        Address::Unix(_) => Err(ValueError::new("is a unix socket")
            .with_hint("probes need a TCP address: use \"0.0.0.0:9181\"")),
    }
}

fn read_audit(table: &mut TableReader<'_, '_>) -> AuditSettings {
    let audit = AuditSettings {
        file: table.file("file"),
        arguments: table.flag("arguments"),
        required: table.flag("required"),
    };
    if let Some(error) = audit.file.as_deref().and_then(check_audit_log) {
        table.report("file", error);
    }
    audit
}

fn read_telemetry(table: &mut TableReader<'_, '_>) -> TelemetrySettings {
    TelemetrySettings {
        access_log: table.flag("access_log"),
        otlp_endpoint: table.optional_text("otlp_endpoint", hosts::parse_collector_url),
    }
}

fn read_aws(table: &mut TableReader<'_, '_>) -> AwsSettings {
    AwsSettings {
        region: table.optional_text("region", values::parse_region),
        profile: table.optional_text("profile", values::parse_profile),
        role_arn: table.optional_text("role_arn", values::parse_role_arn),
        endpoint_url: table.optional_text("endpoint_url", hosts::parse_endpoint_url),
        discover: table.optional_flag("discover"),
        discover_in: table.list("discover_in", values::parse_discovery_source),
    }
}

fn read_proxy(table: &mut TableReader<'_, '_>) -> Option<ProxyChoice> {
    let hint = "set proxy.url, or write the user into the URL in HTTPS_PROXY";
    read_proxy_keys(table, ["url", "user_file"], hint)
}

/// Reads a proxy and the file with its user, which needs a proxy that is used.
fn read_proxy_keys(
    table: &mut TableReader<'_, '_>,
    [url, user_file]: [&str; 2],
    hint: &str,
) -> Option<ProxyChoice> {
    let choice = table.optional_text(url, hosts::parse_proxy);
    let file = table.file(user_file);

    // a password for no proxy is a proxy that was forgotten
    let used = matches!(choice, Some(ProxyChoice::Through(_)));
    if file.is_some() && !used && !table.reader.is_broken(&table.path_of(url)) {
        let error = ValueError::new("is set without a proxy").with_hint(hint);
        table.report(user_file, error);
    }
    check_file(table, user_file, file.as_deref(), Content::User);

    Some(match choice? {
        ProxyChoice::Off => ProxyChoice::Off,
        ProxyChoice::Through(proxy) => ProxyChoice::Through(ProxyConfig {
            user_file: file.as_deref().map(Arc::from),
            ..proxy
        }),
    })
}

fn read_fleet(table: &mut TableReader<'_, '_>) -> Option<FleetSettings> {
    let store = table.optional_text("store", hosts::parse_store);
    let key_file = read_file(table, "key_file", Content::Secret);
    let password_file = read_file(table, "password_file", Content::Secret);
    let refuses = table.choice("on_loss") == "refuse";

    // a key without a store is a store that was forgotten
    if table.is_written("store") {
        let hint = "make one for the whole fleet: \
                    (umask 077; head -c 32 /dev/urandom | base64 > FILE)";
        table.report_missing("key_file", hint);
    }
    for key in ["key_file", "password_file"] {
        if table.is_written(key) && !table.is_written("store") {
            let error = ValueError::new("is set without a store");
            table.report(key, error.with_hint("set fleet.store too"));
        }
    }
    let has_no_password = match &store {
        Some(StoreAddress::Redis(address)) => address.iam.is_some(),
        Some(StoreAddress::DynamoDb(_)) => true,
        None => false,
    };
    if has_no_password && table.is_written("password_file") {
        let error = ValueError::new("is set for a store that takes the AWS identity");
        table.report("password_file", error.with_hint("remove it"));
    }
    Some(FleetSettings {
        store: store?,
        key_file: key_file?,
        password_file,
        refuses,
    })
}

/// Reads the environments of the file. One whose name can't be used is read for its diagnostics.
fn read_environments(reader: &mut Reader<'_>) -> Vec<EnvironmentEntry> {
    // a name that AWS would not take is reported when the table is read
    let mut known = Vec::new();
    let homes = keys::ENVIRONMENTS.heading();
    for entry in reader.named_tables(&keys::ENVIRONMENTS, "environment", &homes) {
        let name = entry.name;
        let mut table = reader.open(&keys::ENVIRONMENTS, entry);
        let local = values::parse_local_name(name).map_err(|error| {
            let error = error.with_value(&table.entry.path, name);
            table.reject(error);
        });
        match read_environment(&mut table, local.ok(), name) {
            Some(environment) => known.push(environment),
            None => table.reader.remove_table(&table.entry.path),
        }
    }
    known
}

/// Reads an environment that is called `name` unless it has another. `None` means that there is
/// no local name for it.
fn read_environment(
    table: &mut TableReader<'_, '_>,
    local: Option<EnvName>,
    name: &str,
) -> Option<EnvironmentEntry> {
    let mwaa_name = table.optional_text("name", values::parse_mwaa_name);
    // without a name of its own it is called as its table, which must then be a name for MWAA
    if !table.is_written("name") {
        if let (Some(_), Err(error)) = (&local, values::parse_mwaa_name(name)) {
            table.reject(error.with_value(&table.entry.path, name));
        }
        let key = table.path_of("name");
        let origin = table.entry.origin.clone();
        table.reader.record(&key, Some(format_string(name)), origin);
    }

    // three ways to the web server, of which it has one
    let connect_to: Option<Arc<str>> =
        table.optional_text("connect_to", hosts::parse_host_port);
    let hint = "set the environment's proxy too";
    let proxy = read_proxy_keys(table, ["proxy", "proxy_user_file"], hint);
    let tunnel = read_tunnel(table, proxy.as_ref(), connect_to.is_some());
    let rules = read_rules(table);

    Some(EnvironmentEntry {
        listen: table.address("listen"),
        ca_file: read_file(table, "ca_file", Content::Certificates),
        default: table.flag("default"),
        configured: matches!(table.entry.origin, Origin::Position { .. }),
        environment: Environment {
            name: mwaa_name.unwrap_or_else(|| name.into()),
            region: table.optional_text("region", values::parse_region),
            profile: table.optional_text("profile", values::parse_profile),
            role_arn: table.optional_text("role_arn", values::parse_role_arn),
            endpoint_url: table.optional_text("endpoint_url", hosts::parse_endpoint_url),
            airflow_version: table
                .optional_text("airflow_version", values::parse_airflow_version),
            connect_to,
            proxy,
            tunnel,
            custom_domain: table.optional_text("custom_domain", hosts::parse_domain),
            policy: rules.policy,
            allow: rules.allow,
            deny: rules.deny,
            cli_concurrency: table.number("cli_concurrency"),
            browser: match table.choice("browser") {
                "redirect" => BrowserMode::Redirect,
                _ => BrowserMode::Proxy,
            },
            rest_via: read_rest_via(table),
            aws_tokens: match table.choice("aws_tokens") {
                "real" => AwsTokens::Real,
                _ => AwsTokens::Local,
            },
            // last: a table with a bad name is read as well
            local: local?,
        },
    })
}

fn read_rest_via(table: &mut TableReader<'_, '_>) -> RestVia {
    match table.choice("rest_via") {
        "auto" => RestVia::Auto,
        "invoke" => RestVia::Invoke,
        _ => RestVia::Direct,
    }
}

/// Reads a tunnel, which must be the only way to the web server.
fn read_tunnel(
    table: &mut TableReader<'_, '_>,
    proxy: Option<&ProxyChoice>,
    connects_elsewhere: bool,
) -> Option<TunnelCommand> {
    let words = table.list("tunnel", |word| Ok(word.to_owned()));
    if !table.is_written("tunnel") {
        return None;
    }

    let tunnel = TunnelCommand::new(&words);
    if let Err((message, hint)) = &tunnel {
        table.report("tunnel", ValueError::new(message).with_hint(*hint));
    }

    let other = match proxy {
        _ if connects_elsewhere => Some("connect_to"),
        Some(ProxyChoice::Through(_)) => Some("proxy"),
        Some(ProxyChoice::Off) | None => None,
    };
    if let Some(other) = other {
        let error = ValueError::new(format!("cannot be combined with {other}"));
        table.report("tunnel", error.with_hint("keep only one of them"));
    }
    tunnel.ok()
}

/// Returns the environments that flags name, in their order: those of the file, and new ones for
/// names that it does not have.
fn select_environments(
    reader: &mut Reader<'_>,
    known: &[EnvironmentEntry],
    names: &[Override],
) -> Vec<EnvironmentEntry> {
    let mut chosen: Vec<EnvironmentEntry> = Vec::new();
    for given in names {
        let text = given.value.as_str();
        // the same new name twice is one environment
        let is_twice = |twin: &EnvironmentEntry| *twin.environment.name == *text;
        if chosen.iter().any(|twin| !twin.configured && is_twice(twin)) {
            continue;
        }
        let entry = find_environment(known, text).cloned();
        let Some(entry) = entry.or_else(|| create_environment(reader, given)) else {
            continue;
        };

        // a local name is a host name, so it can have one environment only
        let local = &entry.environment.local;
        match find_by_local(&chosen, local) {
            None => chosen.push(entry),
            Some(twin) if twin.environment.name == entry.environment.name => {}
            Some(twin) => {
                let name = &twin.environment.name;
                let error = ValueError::new(format!(
                    "\"{name}\" and \"{text}\" get the same local name"
                ));
                let hint = "give one of them a local name in the file: \
                            [environments.NAME] with name = \"…\"";
                let key = format!("environments.{local}");
                reader.reject(&key, given.origin(), error.with_hint(hint));
            }
        }
    }

    // the checks of the others do not matter: their files may not even be there
    for entry in known {
        let local = &entry.environment.local;
        if find_by_local(&chosen, local).is_none() {
            reader.remove_table(&format!("environments.{local}"));
        }
    }
    chosen
}

/// Finds an environment by its local name, else by MWAA's name if only one has it.
fn find_environment<'a>(
    known: &'a [EnvironmentEntry],
    text: &str,
) -> Option<&'a EnvironmentEntry> {
    let mut local = known.iter();
    let local = local.find(|entry| entry.environment.local.as_str() == text);
    let mut named = known.iter();
    let mut next_named = || named.find(|entry| &*entry.environment.name == text);
    local.or_else(|| next_named().filter(|_| next_named().is_none()))
}

fn find_by_local<'a>(
    entries: &'a [EnvironmentEntry],
    local: &EnvName,
) -> Option<&'a EnvironmentEntry> {
    entries
        .iter()
        .find(|entry| entry.environment.local == *local)
}

/// Creates an environment that only a flag names: its local name is MWAA's in lower case, with
/// `-` for `_`.
fn create_environment(reader: &mut Reader<'_>, given: &Override) -> Option<EnvironmentEntry> {
    let text = given.value.as_str();
    let local = values::parse_mwaa_name(text).and_then(|_| {
        let hint = "give it a local name in the file: [environments.NAME] with name = \"…\"";
        let local = values::parse_local_name(&text.to_ascii_lowercase().replace('_', "-"));
        local.map_err(|error| error.with_hint(hint))
    });
    let key = "environments";
    let local = local.map_err(|error| {
        reader.reject(key, given.origin(), error.with_value(key, text));
    });
    let local = local.ok()?;

    // it has every default of an environment's table
    let path = format!("{key}.{local}");
    let entry = TableEntry::unwritten(path, given.origin());
    let mut table = reader.open(&keys::ENVIRONMENTS, entry);
    read_environment(&mut table, Some(local), text)
}

/// Adds the listeners besides the first.
fn read_extra_listeners(
    reader: &mut Reader<'_>,
    config: &mut Config,
    known: &[EnvironmentEntry],
) {
    let homes = "[listener] or [listeners.NAME]";
    for entry in reader.named_tables(&keys::LISTENERS, "additional listener", homes) {
        let text = entry.name;
        let mut table = reader.open(&keys::LISTENERS, entry);
        if let Some(name) = EnvName::new(text) {
            let listener = read_extra_listener(&mut table, name, config, known);
            config.listeners.extend(listener);
        } else {
            let error = ValueError::new("cannot be the name of a listener")
                .with_hint("use 1 to 63 of a-z, 0-9 and -, not at either end");
            table.reject(error.with_value(&table.entry.path, text));
        }
    }
}

/// Reads a listener. `None` means that it has no address, or that its environment is not served.
fn read_extra_listener(
    table: &mut TableReader<'_, '_>,
    name: EnvName,
    config: &mut Config,
    known: &[EnvironmentEntry],
) -> Option<ExtraListenerSettings> {
    let address = table.address("address");
    let hint = "give it its own \"IP:port\" or \"unix:/path\"";
    table.report_missing("address", hint);

    // the list of [listener] is checked there
    let networks = table.list("networks", values::parse_network);
    let is_tcp = matches!(address, Some(Address::Tcp(_)));
    if is_tcp && networks.is_empty() && table.is_written("networks") {
        let error = ValueError::new("the list is empty: no client could connect")
            .with_hint("remove the key to use the networks of [listener], or list networks");
        table.report("networks", error);
    }

    let environment = table.optional_text("environment", values::parse_local_name);
    if let Some(only) = &environment {
        check_environment(table, only, config);
    }
    let secret_file = read_file(table, "secret_file", Content::Secret);
    let socket_mode = table.text("socket_mode", values::parse_mode);
    let rules = read_rules(table);

    let tls = table.optional_flag("tls");
    if tls == Some(true) {
        check_tls(table, address.as_ref());
        // also if flags leave this one out: they must not change what the others speak
        config.listener.is_tls_named = true;
    }

    // a listener of an environment that flags leave out goes with it
    let has = |list, only| find_by_local(list, only).is_some();
    let is_left_out = |only| has(known, only) && !has(&config.environments, only);
    if environment.as_ref().is_some_and(is_left_out) {
        table.reader.remove_table(&table.entry.path);
        return None;
    }
    Some(ExtraListenerSettings {
        name,
        address: address?,
        socket_mode,
        environment,
        tls,
        networks,
        secret_file,
        rules,
    })
}

/// Checks that a listener can use TLS, as its table wants.
fn check_tls(table: &mut TableReader<'_, '_>, address: Option<&Address>) {
    if matches!(address, Some(Address::Unix(_))) {
        let error = ValueError::new("is for TCP: a Unix socket never uses TLS")
            .with_hint("remove the key, or listen on a TCP address");
        table.report("tls", error);
    } else if !table.reader.has_table(&keys::TLS) {
        let error = ValueError::new("needs the files of [listener.tls]").with_hint(format!(
            "add [listener.tls] with certificate and key (`{}` makes them)",
            table.reader.certs_command
        ));
        table.report("tls", error);
    }
}

/// Checks that a listener's only environment exists: else every response would be a fault. AWS
/// may still know it where the gateway asks.
fn check_environment(table: &mut TableReader<'_, '_>, only: &EnvName, config: &Config) {
    let environments = config.environments.iter();
    let locals: Vec<_> = environments
        .map(|entry| entry.environment.local.as_str())
        .collect();
    let is_broken = table.reader.is_broken(&format!("environments.{only}"));
    if config.discovers() || locals.contains(&only.as_str()) || is_broken {
        return;
    }

    let hint = match suggest::find_nearest(only.as_str(), locals.iter().copied()) {
        Some(near) => format!("did you mean \"{near}\"?"),
        None => format!("the environments are {}", locals.join(", ")),
    };
    let error = ValueError::new("is not an environment of this file")
        .with_hint(hint)
        .with_value(&table.path_of("environment"), only.as_str());
    table.report("environment", error);
}
