//! The table of all keys: name, kind, default and meaning. Reading, suggestions, `config.toml`,
//! the documents' table and the JSON Schema are all made from it.

use super::reader::TableReader;
use DefaultValue::{Absent, Inherited, Required, Value};
use Kind::{Address, Choice, Count, Duration, Flag, List, Path, Program, Size, Text};
use std::ops::RangeInclusive;
use std::time;
use toml::de::DeValue;

/// A table of the configuration.
pub(super) struct Table {
    /// Its name: `listener`, or `environments.*`, where `*` is any name.
    pub(super) name: &'static str,
    /// Its meaning in one sentence or two.
    pub(super) doc: &'static str,
    /// Its keys, in the order of the file.
    pub(super) keys: &'static [Key],
}

/// A key of a table.
pub(super) struct Key {
    /// Its name within the table.
    pub(super) name: &'static str,
    /// Its meaning in one sentence or two.
    pub(super) doc: &'static str,
    /// The values that it takes.
    pub(super) kind: Kind,
    /// The value without the key.
    pub(super) default: DefaultValue,
}

/// The kind of values that a key takes.
#[derive(Debug)]
pub(super) enum Kind {
    /// Text with a parser of its own.
    Text,
    /// An address to listen on; a relative socket path is like [`Kind::Path`].
    Address,
    /// One of these words.
    Choice(&'static [&'static str]),
    /// The name of a file. A relative one starts at the configuration file's folder, and `~/` at
    /// the user's home folder.
    Path,
    /// True or false.
    Flag,
    /// A whole number.
    Count(RangeInclusive<usize>),
    /// A length of time, as text with a unit.
    Duration(RangeInclusive<time::Duration>),
    /// A number of bytes, as text with a unit or a plain integer.
    Size(RangeInclusive<usize>),
    /// A list of texts, which replaces the default.
    List,
    /// A program and its arguments, as a list. The arguments may hold anything, so they are not
    /// shown.
    Program,
}

/// The value of a key that is not written. All but the texts for people are TOML.
#[derive(Debug, Clone, Copy)]
pub(super) enum DefaultValue {
    /// This value.
    Value(&'static str),
    /// The value of another key, such as `aws.region`; with an example.
    Inherited(&'static str, &'static str),
    /// No value, with this effect; with an example.
    Absent(&'static str, &'static str),
    /// The table is wrong without the key; with an example.
    Required(&'static str),
}

impl Table {
    /// Returns the table of that name.
    pub(super) fn find(name: &str) -> Option<&'static Self> {
        TABLES.into_iter().find(|table| table.name == name)
    }

    /// Returns the key of that name.
    pub(super) fn key(&self, name: &str) -> Option<&'static Key> {
        self.keys.iter().find(|key| key.name == name)
    }

    /// Returns the table's name in a file, without a name of the user's own.
    pub(super) fn group(&self) -> &'static str {
        self.name.trim_end_matches(".*")
    }

    /// Returns the table's heading: `[environments.NAME]`.
    pub(super) fn heading(&self) -> String {
        format!("[{}]", self.name.replace('*', "NAME"))
    }
}

impl Key {
    /// Returns the default, or a value that the key could have.
    pub(super) fn example(&self) -> DeValue<'static> {
        let text = match self.default {
            Value(text) | Inherited(_, text) | Absent(_, text) | Required(text) => text,
        };
        DeValue::parse(text).expect("TOML").into_inner()
    }

    /// Returns what holds without the key, in words. `None` means that there is a default.
    pub(super) const fn effect(&self) -> Option<&'static str> {
        match self.default {
            Value(_) => None,
            Inherited(text, _) | Absent(text, _) => Some(text),
            Required(_) => Some("required in this table"),
        }
    }
}

impl Kind {
    /// Returns a description of the type, as in "expected true or false".
    pub(super) const fn expected(&self) -> &'static str {
        match self {
            Text | Address | Choice(_) => "text",
            Path => "the name of a file",
            Flag => "true or false",
            Count(_) => "a whole number",
            Duration(_) => "text with a unit such as \"10s\"",
            Size(_) => "text with a unit such as \"64KiB\"",
            List | Program => "a list of strings",
        }
    }
}

/// Returns all keys with their tables, in the order of the file.
pub(super) fn all() -> impl Iterator<Item = (&'static Table, &'static Key)> {
    let of = |table: &'static Table| table.keys.iter().map(move |key| (table, key));
    TABLES.into_iter().flat_map(of)
}

/// Returns the key of a path such as `aws.region`.
pub(super) fn find(path: &str) -> Option<&'static Key> {
    let (table, name) = path.rsplit_once('.')?;
    Table::find(table)?.key(name)
}

/// Returns true if this is a key of a table that takes a number, a time or a size.
pub(super) fn takes_number(path: &str) -> bool {
    find(path).is_some_and(|key| matches!(key.kind, Count(_) | Duration(_) | Size(_)))
}

/// All tables, in the order of the file.
pub(super) static TABLES: [&Table; 11] = [
    &LISTENER,
    &TLS,
    &LISTENERS,
    &MANAGEMENT,
    &AUDIT,
    &TELEMETRY,
    &AWS,
    &PROXY,
    &FLEET,
    &LIMITS,
    &ENVIRONMENTS,
];

/// Defines a table: doc comments are the docs of the table and its keys, and after a key's name
/// come its kind and its default.
macro_rules! table {
    (
        $(#[doc = $about:literal])* $table:ident = $name:literal;
        $($(#[doc = $doc:literal])* $key:ident: $kind:expr, $default:expr;)*
    ) => {
        pub(super) static $table: Table = Table {
            name: $name,
            // rustc keeps the space after each `///`, which joins the lines
            doc: concat!($($about),*).trim_ascii_start(),
            keys: &[$(Key {
                name: stringify!($key),
                doc: concat!($($doc),*).trim_ascii_start(),
                kind: $kind,
                default: $default,
            }),*],
        };
    };
}

/// Defines the table of limits, and the settings with a field for each of its keys.
macro_rules! limits {
    (
        $(#[doc = $about:literal])* $table:ident = $name:literal;
        $($(#[doc = $doc:literal])* $key:ident: $kind:ident($range:expr), $default:expr;)*
    ) => {
        table! {
            $(#[doc = $about])* $table = $name;
            $($(#[doc = $doc])* $key: $kind($range), $default;)*
        }

        $(#[doc = $about])*
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub struct LimitSettings {
            $($(#[doc = $doc])* pub $key: limits!(type $kind)),*
        }

        impl LimitSettings {
            /// Reads the table of limits.
            pub(super) fn read(table: &mut TableReader<'_, '_>) -> Self {
                Self { $($key: limits!(read $kind, table, stringify!($key))),* }
            }
        }
    };
    (type Duration) => { time::Duration };
    (type $kind:ident) => { usize };
    (read Duration, $table:ident, $key:expr) => { $table.duration($key) };
    (read $kind:ident, $table:ident, $key:expr) => { $table.number($key) };
}

table! {
    /// The address that clients connect to, and the clients that are allowed.
    LISTENER = "listener";

    /// The address to listen on: "IP:port" or "unix:/path".
    address: Address, Value("'127.0.0.1:8080'");
    /// The permissions of a Unix socket, in octal.
    socket_mode: Text, Value("'0600'");
    /// More host names for the gateway, as clients use them in URLs, such as
    /// "airflow.corp.example:8080".
    hosts: List, Value("[]");
    /// The networks that clients may connect from.
    networks: List, Value("['127.0.0.0/8', '::1/128']");
    /// Browser origins that may use the CLI route, such as "https://tool.example".
    trusted_origins: List, Value("[]");
    // such a request comes from someone else than the peer
    /// Serve requests with Forwarded or X-Forwarded-* headers. They come through a proxy, which
    /// gives its clients the gateway's AWS rights. The headers are ignored.
    allow_forwarded: Flag, Value("false");
    /// A file that only you can read, or root's, which your group may read. Clients must send its
    /// content in the header Mwaa-Gateway-Secret.
    secret_file: Path, Absent("no secret is required", "'/run/secrets/mwaa-gateway'");
    /// Required to listen on an address other than loopback without TLS and a secret or client
    /// certificates: anyone who can reach the address acts with your AWS rights.
    dangerous_non_loopback: Flag, Value("false");
    /// The policy of this listener. A request must pass this policy and the environment's; "all"
    /// adds no limit. It also applies to environments.NAME.listen.
    policy: Choice(&POLICIES), Value("'all'");
    /// CLI commands and options that this listener allows in addition to its policy, but never more
    /// than the environment allows.
    allow: List, Value("[]");
    /// CLI commands that this listener forbids.
    deny: List, Value("[]");
}

table! {
    /// With this table, all TCP listeners use TLS, unless a listener sets tls. Unix sockets never
    /// use TLS. `mwaa-gateway certs` makes the files.
    TLS = "listener.tls";

    /// A PEM file with the server's certificate, followed by the intermediate certificates.
    certificate: Path, Required("'certs/gateway.pem'");
    /// A PEM file with the certificate's private key, not encrypted. No other user may be able to
    /// read it.
    key: Path, Required("'certs/gateway.key'");
    /// A PEM file with the certificate authorities that sign client certificates. With it,
    /// clients must present a certificate (mutual TLS).
    client_ca: Path, Absent("clients present no certificate", "'certs/clients.pem'");
    /// Accept plain HTTP too, on the same port. Only for loopback addresses, and not with client_ca.
    optional: Flag, Value("false");
}

table! {
    /// One table for each additional listener: another address with its own rules, for example
    /// a read-only one.
    LISTENERS = "listeners.*";

    /// The address to listen on: "IP:port" or "unix:/path".
    address: Address, Required("'unix:/run/mwaa-gateway/agents.sock'");
    /// The permissions of its Unix socket, in octal.
    socket_mode: Text, Inherited("listener.socket_mode", "'0660'");
    // for tools that can't choose a Host, as environments.*.listen is
    /// The local name of the environment that it serves, for every Host. Without it, it serves all.
    environment: Text, Absent("it serves all environments", "'prod'");
    /// Use TLS, with the files of [listener.tls]. If a listener sets true, the TCP listeners that
    /// do not set it are plain.
    tls: Flag, Absent("TLS if [listener.tls] is set and no listener sets tls = true", "false");
    /// The networks that its clients may connect from.
    networks: List, Inherited("listener.networks", "['127.0.0.0/8']");
    /// A file with the listener's own secret. Its clients must send the content in the header
    /// Mwaa-Gateway-Secret.
    secret_file: Path, Inherited("listener.secret_file", "'/run/secrets/agents'");
    /// The policy of this listener. A request must pass this policy and the environment's: "all"
    /// adds no limit, "read-only" allows only reads, and no secrets.
    policy: Choice(&POLICIES), Value("'all'");
    /// CLI commands and options that this listener allows in addition to its policy, but never more
    /// than the environment allows.
    allow: List, Value("[]");
    /// CLI commands that this listener forbids.
    deny: List, Value("[]");
}

table! {
    /// Health and metrics, on a separate address.
    MANAGEMENT = "management";

    /// The loopback address of /livez, /readyz, /metrics, /status and /log.
    address: Address, Value("'127.0.0.1:9180'");
    /// A second address, for kubelet and Prometheus. It may be reachable from the network: it
    /// serves only /livez, /readyz, /startupz and /metrics. Anyone who can reach it sees the
    /// local names of the environments and how much they are used.
    probes: Address, Absent("no second address", "'0.0.0.0:9181'");
}

table! {
    /// The audit log: a line of JSON for each requested command, with client, time,
    /// environment, command and outcome.
    AUDIT = "audit";

    /// The file to append to, created with mode 0600; or "/dev/stdout" or "/dev/stderr". After
    /// a log rotation it is created again without a signal.
    file: Path, Absent("there is no audit log", "'audit.log'");
    /// Log the arguments of commands too. They can contain secrets, such as passwords of
    /// connections and values of variables.
    arguments: Flag, Value("false");
    /// Run a command only after it was written to the log. Otherwise commands also run while
    /// the log cannot be written, and the missing lines are counted.
    required: Flag, Value("false");
}

table! {
    /// The log on stderr, and traces.
    TELEMETRY = "telemetry";

    /// Log one line for each request, at level info.
    access_log: Flag, Value("true");
    /// The URL of an OpenTelemetry collector, to which traces are sent by OTLP: gRPC, or HTTP if the
    /// port is 4318. The variables OTEL_* take precedence. A change needs a restart.
    otlp_endpoint: Text, Absent("no traces are sent", "'http://127.0.0.1:4317'");
}

table! {
    /// Identity and endpoint of the AWS calls. Credentials come from the AWS credential chain;
    /// do not write them into this file.
    AWS = "aws";

    /// The AWS region.
    region: Text, Absent("the region of the AWS credential chain", "'eu-west-1'");
    /// The AWS profile.
    profile: Text, Absent("the profile of the AWS credential chain", "'analytics'");
    /// A role to assume for all AWS calls.
    role_arn: Text, Absent("no role is assumed", "'arn:aws:iam::123456789012:role/mwaa-gateway'");
    /// Another endpoint of the MWAA API: https, or http on loopback. It is used unchanged,
    /// without the prefixes env. and api.
    endpoint_url: Text, Absent("AWS's own endpoint", "'http://127.0.0.1:4566'");
    /// Serve all environments of the account and region, in addition to those that are configured.
    discover: Flag, Absent("true if no environment is configured, or if discover_in is set", "true");
    /// The regions to search for environments: "REGION" or "PROFILE@REGION". If empty, the
    /// region and profile above.
    discover_in: List, Value("[]");
}

table! {
    /// The proxy for web servers and AWS. Without a url, HTTPS_PROXY or ALL_PROXY apply, as in
    /// curl.
    PROXY = "proxy";

    /// The proxy's URL: socks5h:// (the proxy resolves names), socks5://, http:// or https://;
    /// "" means no proxy, even if the variables are set. Loopback and the hosts in NO_PROXY are
    /// reached without it.
    url: Text, Absent("HTTPS_PROXY, else ALL_PROXY", "'socks5h://127.0.0.1:1080'");
    /// A file that only you can read, with user:password for the proxy.
    user_file: Path, Absent("no user", "'/run/secrets/proxy-user'");
}

table! {
    /// Several gateways that serve the same environments share their command slots through a store.
    FLEET = "fleet";

    /// The store. Redis or Valkey: "rediss://USER@HOST:PORT/DATABASE" over TLS, "redis://…" without, or
    /// "unix:///PATH"; "rediss://USER@HOST?iam=CACHE" for ElastiCache with the AWS identity. DynamoDB:
    /// "dynamodb://TABLE?region=REGION".
    store: Text, Absent("this gateway is alone", "'rediss://fleet@cache.corp.example:6379'");
    /// A file that only you can read, with the store's password.
    password_file: Path, Absent("no password", "'/run/secrets/fleet-password'");
    /// A file that only you can read. Its key encrypts what is stored: 32 bytes in base64, or exactly 32
    /// bytes. A second line may hold the previous key.
    key_file: Path, Absent("required with a store", "'/run/secrets/fleet-key'");
    /// Commands while the store cannot be used: "share" means that each gateway runs
    /// max(1, cli_concurrency / gateways last seen) at once, "refuse" that none are run.
    on_loss: Choice(&["share", "refuse"]), Value("'share'");
}

limits! {
    /// All timeouts, sizes and counts. Durations and sizes are strings with a unit.
    LIMITS = "limits";

    // slow heads are the cheapest attack: one byte now and then holds a connection
    /// Longest time from the first byte of a request to the end of its head.
    head_timeout: Duration(millis(100)..=mins(5)), Value("'10s'");
    /// An idle client connection is closed after this time. A client that reads a response at
    /// less than 16 KiB a second is disconnected after it too.
    keep_alive: Duration(secs(1)..=hours(1)), Value("'60s'");
    // hyper alone takes fields of 64 KiB and more
    /// Largest head of a request: request line and header fields.
    head_size: Size(8 << 10..=1 << 20), Value("'32KiB'");
    /// Maximum number of header fields of a request.
    header_count: Count(8..=1_000), Value("64");
    // as nginx and Apache
    /// Longest path and query of a request.
    target_size: Size(256..=64 << 10), Value("'8KiB'");
    /// Longest pause within a request's body.
    body_idle: Duration(millis(100)..=mins(10)), Value("'15s'");
    /// Minimum speed of a request's body, in bytes a second: the average over the time that the
    /// gateway waits for it, beyond body_idle.
    body_rate: Size(1..=1 << 20), Value("'1KiB'");
    // commands are short, and this body is held in memory for a second try
    /// Largest body of a CLI request.
    cli_body: Size(1 << 10..=1 << 20), Value("'64KiB'");
    /// Largest body of a request to the REST API or the UI; it is streamed.
    request_body: Size(64 << 10..=1 << 30), Value("'16MiB'");
    // with as many connections to web servers it stays below the usual 1,024 open files
    /// Maximum number of client connections. Half of them are shared, and each listener has an
    /// equal part of the other half for itself. If none is free, the longest idle connection is
    /// closed for a new client; if all are busy, it waits.
    connections: Count(1..=65_536), Value("512");
    // only a load balancer needs it
    /// When the gateway stops, it accepts connections for this time, while readyz fails: until the
    /// load balancers in front of it send no more clients.
    shutdown_delay: Duration(millis(0)..=mins(10)), Value("'0s'");
    // below the 30 s of Kubernetes
    /// When the gateway stops, requests in flight have this time to finish, after shutdown_delay.
    /// Kubernetes kills a pod after 30 s.
    drain: Duration(millis(0)..=mins(10)), Value("'25s'");
    /// Longest DNS lookup of the web server's name.
    upstream_dns: Duration(millis(100)..=mins(1)), Value("'3s'");
    /// Longest TCP connect to the web server, for all its addresses together. Every 250 ms the
    /// next address is tried, until one connects.
    upstream_connect: Duration(millis(100)..=mins(2)), Value("'5s'");
    /// Longest time until a tunnel's program opens its port. If it is started for a login,
    /// mint_total applies too.
    tunnel_start: Duration(millis(100)..=mins(5)), Value("'10s'");
    /// An older tunnel is replaced at its next use. Session Manager ends its tunnels after
    /// about an hour.
    tunnel_age: Duration(secs(1)..=hours(24 * 7)), Value("'50m'");
    /// Longest TLS handshake with the web server.
    upstream_tls: Duration(millis(100)..=mins(2)), Value("'5s'");
    /// Longest wait for the first byte of a response of the REST API or the UI, from the last
    /// byte of the request.
    upstream_first_byte: Duration(secs(1)..=hours(1)), Value("'60s'");
    /// Longest wait for the first byte of a CLI command's response. The web server's own limit
    /// is 120 s by default.
    cli_first_byte: Duration(secs(1)..=hours(1)), Value("'300s'");
    /// Longest pause while a web server's response arrives.
    upstream_body_idle: Duration(secs(1)..=hours(1)), Value("'60s'");
    // a request on a connection that the other side is about to close is lost
    /// An idle connection to the web server is closed after this time. AWS's load balancers
    /// close it after 60 s.
    pool_idle: Duration(secs(1)..=mins(10)), Value("'45s'");
    /// A connection to the web server is not reused after this time.
    pool_age: Duration(secs(1)..=hours(1)), Value("'5m'");
    /// Longest single attempt to get a token.
    mint_try: Duration(millis(100)..=mins(1)), Value("'5s'");
    // two tries and the pause between them
    /// Longest time for all attempts to get a token.
    mint_total: Duration(millis(100)..=mins(2)), Value("'12s'");
    // more than all tries, so that the client gets their error instead of this one
    /// Longest time that a request waits for a token.
    mint_wait: Duration(millis(100)..=mins(5)), Value("'15s'");
    // 10 s are left for clocks that differ and for the way to the web server
    /// A token is reused for this time. Tokens expire after 60 s, so the maximum is 50 s.
    token_use: Duration(millis(100)..=secs(50)), Value("'50s'");
    /// An Airflow session is reused for this time, or until it expires if that is sooner.
    /// MWAA's sessions expire after 12 hours.
    session_use: Duration(secs(1)..=hours(12)), Value("'12h'");
    /// Longest call of the fleet's store.
    fleet_call: Duration(millis(50)..=secs(10)), Value("'500ms'");
    /// Maximum number of commands that wait in an environment's queue. Each client may have one
    /// waiting command even if the queue is full.
    queue_size: Count(0..=10_000), Value("32");
    // as long as the web server lets one command run
    /// Longest time that a command waits in the queue.
    queue_wait: Duration(millis(100)..=hours(1)), Value("'120s'");
    /// Largest decoded output of a command. Larger output is an error; it is never cut.
    cli_output: Size(64 << 10..=1 << 30), Value("'8MiB'");
    /// Threads that serve requests; 0 means one per core. A change needs a restart.
    threads: Count(0..=1_024), Value("0");
}

table! {
    /// One table for each environment. Its key is the local name, which is part of its URL:
    /// http://prod.localhost:8080
    ENVIRONMENTS = "environments.*";

    /// The environment's name in MWAA.
    name: Text, Absent("the local name", "'analytics-prod'");
    /// Its region.
    region: Text, Inherited("aws.region", "'eu-west-1'");
    /// The AWS profile for it.
    profile: Text, Inherited("aws.profile", "'analytics'");
    /// The role to assume for it.
    role_arn: Text, Inherited("aws.role_arn", "'arn:aws:iam::123456789012:role/mwaa-gateway'");
    /// The endpoint of the MWAA API for it.
    endpoint_url: Text, Inherited("aws.endpoint_url", "'http://127.0.0.1:4566'");
    /// Its Airflow version. If set, the gateway does not need GetEnvironment for it.
    airflow_version: Text, Absent("from GetEnvironment", "'2.10.3'");
    /// A separate listener, for tools that cannot set the Host.
    listen: Address, Absent("only the shared listener", "'127.0.0.1:8081'");
    /// Connect to this host:port instead (a tunnel, a bastion); the TLS name and the Host stay
    /// the environment's.
    connect_to: Text, Absent("the environment's own host", "'127.0.0.1:8443'");
    /// The proxy for its web server and its AWS calls, regardless of NO_PROXY; "" means no
    /// proxy.
    proxy: Text, Absent("proxy.url", "'http://proxy.corp.example:3128'");
    /// A file that only you can read, with user:password for its proxy.
    proxy_user_file: Path, Absent("no user", "'/run/secrets/proxy-user'");
    // words, not a command line: a shell would be one more thing to quote for
    /// A program that forwards {local_port} on loopback to {host}:443. It starts at the first
    /// request and is shared. Without {local_port}, its stdin and stdout are the connection. No
    /// shell is used.
    tunnel: Program, Absent("no tunnel", "['ssh', '-N', '-L', '{local_port}:{host}:443', 'bastion']");
    /// A PEM file with additional trust roots for its web server.
    ca_file: Path, Absent("the system's trust roots", "'certs/ca.pem'");
    /// The web server's custom domain.
    custom_domain: Text, Absent("MWAA's host name", "'airflow.corp.example'");
    /// The UI for browsers: "proxy" shows it through the gateway, "redirect" redirects them to
    /// the real host.
    browser: Choice(&["proxy", "redirect"]), Value("'proxy'");
    /// The route of requests to the REST API: "direct" is to the web server, "invoke" is by AWS's
    /// InvokeRestApi, "auto" is direct, or by InvokeRestApi while the web server cannot be reached.
    rest_via: Choice(&["direct", "auto", "invoke"]), Value("'direct'");
    /// The tokens that CreateCliToken and CreateWebLoginToken return on the listener: "local" tokens
    /// work at this gateway only, "real" ones are AWS's own. Clients get real ones only if the
    /// policies of the environment and of the listener are "all", without deny.
    aws_tokens: Choice(&["local", "real"]), Value("'local'");
    /// The policy: "supported" (the commands that MWAA supports), "read-only" (no changes and
    /// no secrets, in the REST API and the UI too), "operator" (commands that read, start, pause or
    /// clear work) or "all".
    policy: Choice(&POLICIES), Value("'supported'");
    /// CLI commands allowed in addition to the policy, such as "pools set", and options, such as
    /// "dags list --subdir".
    allow: List, Value("[]");
    /// CLI commands that are forbidden, such as "dags delete".
    deny: List, Value("[]");
    // AWS asks clients to wait until the previous command is done
    /// Maximum number of commands that run at once; further commands wait in the queue. MWAA runs
    /// about 4 at once.
    cli_concurrency: Count(1..=64), Value("1");
    /// Serve requests that name no environment.
    default: Flag, Value("false");
}

const POLICIES: [&str; 4] = ["supported", "read-only", "operator", "all"];

const fn millis(count: u64) -> time::Duration {
    time::Duration::from_millis(count)
}

const fn secs(count: u64) -> time::Duration {
    time::Duration::from_secs(count)
}

const fn mins(count: u64) -> time::Duration {
    time::Duration::from_mins(count)
}

const fn hours(count: u64) -> time::Duration {
    time::Duration::from_hours(count)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_unique_documented_and_have_a_default_that_exists() {
        let mut seen = std::collections::BTreeSet::new();
        for (table, key) in all() {
            assert!(seen.insert((table.name, key.name)), "{} twice", key.name);
            assert!(key.doc.ends_with('.') && key.doc.len() > 10, "{}", key.name);
            assert!(!key.example().is_table(), "{}", key.name);
            if let Inherited(other, _) = key.default {
                assert!(find(other).is_some(), "{other}");
            }
        }
        assert!(seen.len() > 50);
    }
}
