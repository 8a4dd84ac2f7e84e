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
            Required(_) => Some("the table needs one"),
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
            List | Program => "a list of texts",
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
pub(super) static TABLES: [&Table; 9] = [
    &LISTENER,
    &TLS,
    &LISTENERS,
    &MANAGEMENT,
    &AUDIT,
    &AWS,
    &PROXY,
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
    /// The address that clients connect to, and the clients that may.
    LISTENER = "listener";

    /// The address to listen on: "IP:port" or "unix:/path".
    address: Address, Value("'127.0.0.1:8080'");
    /// The permissions of a unix socket, in octal.
    socket_mode: Text, Value("'0600'");
    /// More names that clients may call the gateway by, such as "airflow.corp.example:8080".
    hosts: List, Value("[]");
    /// The networks that clients may connect from.
    networks: List, Value("['127.0.0.0/8', '::1/128']");
    /// Browser origins that may use the CLI route, such as "https://tool.example".
    trusted_origins: List, Value("[]");
    // such a request comes from someone else than the peer
    /// Serve requests that carry Forwarded or X-Forwarded-*: a proxy in front of the gateway
    /// gives others what it may do. The fields are dropped, never believed.
    allow_forwarded: Flag, Value("false");
    /// A file that only you can read; clients must send its content in Mwaa-Gateway-Secret.
    secret_file: Path, Absent("no secret is asked for", "'/run/secrets/mwaa-gateway'");
    /// Needed to listen wider than loopback without TLS and a secret or client certificates:
    /// anyone who can reach the address acts with your AWS rights.
    dangerous_non_loopback: Flag, Value("false");
    /// The policy of this listener; a request must pass it and the rules of its environment, so
    /// "all" takes nothing away. It holds for environments.NAME.listen too.
    policy: Choice(&POLICIES), Value("'all'");
    /// CLI commands and options added to this listener's policy; never more than the
    /// environment allows.
    allow: List, Value("[]");
    /// CLI commands taken from this listener's policy.
    deny: List, Value("[]");
}

table! {
    /// With this table every TCP listener speaks TLS, and nothing else; a unix socket stays
    /// plain.
    TLS = "listener.tls";

    /// A PEM file with the server's certificate and, after it, those that signed it.
    certificate: Path, Required("'certs/gateway.pem'");
    /// A PEM file with the certificate's private key, not encrypted, that only you can read.
    key: Path, Required("'certs/gateway.key'");
    /// A PEM file with the authorities whose certificates clients must show (mutual TLS).
    client_ca: Path, Absent("clients show no certificate", "'certs/clients.pem'");
}

table! {
    /// One table for each listener besides the one above: another address with rules of its
    /// own, such as one that only reads.
    LISTENERS = "listeners.*";

    /// The address to listen on: "IP:port" or "unix:/path".
    address: Address, Required("'unix:/run/mwaa-gateway/agents.sock'");
    /// The permissions of its unix socket, in octal.
    socket_mode: Text, Inherited("listener.socket_mode", "'0660'");
    // for tools that can't choose a Host, as environments.*.listen is
    /// The local name of the only environment that it serves, whatever the Host.
    environment: Text, Absent("it serves all of them", "'prod'");
    /// The networks that its clients may connect from.
    networks: List, Inherited("listener.networks", "['127.0.0.0/8']");
    /// A file with a secret of its own, which its clients must send in Mwaa-Gateway-Secret.
    secret_file: Path, Inherited("listener.secret_file", "'/run/secrets/agents'");
    /// The policy of this listener; a request must pass it and the rules of its environment:
    /// "all" takes nothing away, "read-only" leaves only reads that show no secrets.
    policy: Choice(&POLICIES), Value("'all'");
    /// CLI commands and options added to this listener's policy; never more than the
    /// environment allows.
    allow: List, Value("[]");
    /// CLI commands taken from this listener's policy.
    deny: List, Value("[]");
}

table! {
    /// Health and metrics, on a socket of their own.
    MANAGEMENT = "management";

    /// The loopback address of /livez, /readyz, /metrics and /status.
    address: Address, Value("'127.0.0.1:9180'");
    /// A second address, for kubelet and Prometheus. It may be reachable from the network: it
    /// serves only /livez, /readyz, /startupz and /metrics. Anyone who can reach it sees the
    /// local names of the environments and how much they are used.
    probes: Address, Absent("there is no such address", "'0.0.0.0:9181'");
}

table! {
    /// A line of JSON for each command that was asked for: who, when, where, what, and what
    /// became of it.
    AUDIT = "audit";

    /// The file that the lines are added to, created with mode 0600; or "/dev/stdout",
    /// "/dev/stderr". After a rotation it is created again; no signal is needed.
    file: Path, Absent("there is no audit log", "'audit.log'");
    /// Write the arguments of commands too. They hold what people put in, passwords of
    /// connections and values of variables among it.
    arguments: Flag, Value("false");
    /// Run a command only if the log holds it already. Without this, commands also run while
    /// the log can't be written, and are counted.
    required: Flag, Value("false");
}

table! {
    /// Identity and endpoint of the AWS calls. Credentials come from the AWS chain and never
    /// belong in this file.
    AWS = "aws";

    /// The AWS region.
    region: Text, Absent("the AWS chain's region", "'eu-west-1'");
    /// The AWS profile.
    profile: Text, Absent("the AWS chain's choice", "'analytics'");
    /// A role that is assumed before anything else.
    role_arn: Text, Absent("no role is assumed", "'arn:aws:iam::123456789012:role/mwaa-gateway'");
    /// Another place for the MWAA API: https, or http on loopback. It is used as it is, without
    /// the env. and api. prefixes.
    endpoint_url: Text, Absent("AWS's own endpoint", "'http://127.0.0.1:4566'");
    /// Serve every environment of the account and region, besides those that are named.
    discover: Flag, Absent("true when no environment is named, or discover_in says where", "true");
    /// The regions to search for environments: "REGION" or "PROFILE@REGION". An empty list is
    /// the region and profile above.
    discover_in: List, Value("[]");
}

table! {
    /// The proxy to the web servers and to AWS. Without a url it is the one that HTTPS_PROXY or
    /// ALL_PROXY names, as curl reads them.
    PROXY = "proxy";

    /// The proxy: socks5h:// (it resolves names), socks5://, http:// or https://; "" is none,
    /// whatever the variables say. Hosts that NO_PROXY lists and loopback are reached without
    /// it.
    url: Text, Absent("HTTPS_PROXY, else ALL_PROXY", "'socks5h://127.0.0.1:1080'");
    /// A file that only you can read, with user:password for the proxy.
    user_file: Path, Absent("no user", "'/run/secrets/proxy-user'");
}

limits! {
    /// Every timeout, size and count. Durations and sizes are text with a unit.
    LIMITS = "limits";

    // slow heads are the cheapest attack: one byte now and then holds a connection
    /// A request's head must be complete this long after its first byte.
    head_timeout: Duration(millis(100)..=mins(5)), Value("'10s'");
    /// An idle client connection is closed after this. A client may also keep a response
    /// waiting for this long, and longer only while it takes 16 KiB a second.
    keep_alive: Duration(secs(1)..=hours(1)), Value("'60s'");
    // hyper alone takes fields of 64 KiB and more
    /// Largest head of a request: request line and header fields.
    head_size: Size(8 << 10..=1 << 20), Value("'32KiB'");
    /// Most header fields of a request.
    header_count: Count(8..=1_000), Value("64");
    // as nginx and Apache
    /// Longest path and query of a request.
    target_size: Size(256..=64 << 10), Value("'8KiB'");
    /// Longest pause while a request's body arrives.
    body_idle: Duration(millis(100)..=mins(10)), Value("'15s'");
    /// Least speed of a request's body, in bytes a second: the average over the time that it is
    /// waited for, beyond body_idle.
    body_rate: Size(1..=1 << 20), Value("'1KiB'");
    // commands are short, and this body is held in memory for a second try
    /// Largest body of a CLI request.
    cli_body: Size(1 << 10..=1 << 20), Value("'64KiB'");
    /// Largest body of a request to the REST API or the UI; it is passed on as it comes.
    request_body: Size(64 << 10..=1 << 30), Value("'16MiB'");
    // with as many connections to web servers it stays below the usual 1,024 open files
    /// Most client connections at once; more wait to be accepted.
    connections: Count(1..=65_536), Value("512");
    // below the 30 s of Kubernetes
    /// Requests in flight get this long when the gateway stops. Kubernetes kills after 30 s.
    drain: Duration(millis(0)..=mins(10)), Value("'25s'");
    /// Longest look-up of the web server's name.
    upstream_dns: Duration(millis(100)..=mins(1)), Value("'3s'");
    /// Longest TCP connect to the web server, over all its addresses: one is tried every 250 ms
    /// until one answers.
    upstream_connect: Duration(millis(100)..=mins(2)), Value("'5s'");
    /// Longest time until a tunnel's program has opened its port. A login that it is started
    /// for has only mint_total.
    tunnel_start: Duration(millis(100)..=mins(5)), Value("'10s'");
    /// A tunnel that is older is replaced by a new one when it is next used. Session Manager
    /// ends its tunnels after about an hour.
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
    /// An idle connection to the web server is closed after this. Load balancers close after 60
    /// s.
    pool_idle: Duration(secs(1)..=mins(10)), Value("'45s'");
    /// Any connection to the web server takes no new request after this.
    pool_age: Duration(secs(1)..=hours(1)), Value("'5m'");
    /// Longest single try to get a token.
    mint_try: Duration(millis(100)..=mins(1)), Value("'5s'");
    // two tries and the pause between them
    /// Longest time for all tries to get a token.
    mint_total: Duration(millis(100)..=mins(2)), Value("'12s'");
    // more than all tries, so that the client gets their error instead of this one
    /// Longest time that a request waits for a token.
    mint_wait: Duration(millis(100)..=mins(5)), Value("'15s'");
    // 10 s are left for clocks that differ and for the way to the web server
    /// A token is used while younger than this. Tokens expire after 60 s, so 50 s is also the
    /// most.
    token_use: Duration(millis(100)..=secs(50)), Value("'50s'");
    /// An Airflow session is used while younger than this, or for less if it says itself that
    /// it ends earlier. Sessions of MWAA end after 12 hours.
    session_use: Duration(secs(1)..=hours(12)), Value("'12h'");
    /// Most commands that wait for their turn, for each environment; a client that has none
    /// waiting may come on top.
    queue_size: Count(0..=10_000), Value("32");
    // as long as the web server lets one command run
    /// Longest time that a command waits for its turn.
    queue_wait: Duration(millis(100)..=hours(1)), Value("'120s'");
    /// Largest decoded output of a command; more is an error, never a cut.
    cli_output: Size(64 << 10..=1 << 30), Value("'8MiB'");
    /// Threads that serve requests; 0 is one for each core.
    threads: Count(0..=1_024), Value("0");
}

table! {
    /// One table for each environment; the key is its local name, which makes its URL:
    /// http://prod.localhost:8080
    ENVIRONMENTS = "environments.*";

    /// The environment's name in MWAA.
    name: Text, Absent("the local name", "'analytics-prod'");
    /// Its region.
    region: Text, Inherited("aws.region", "'eu-west-1'");
    /// The AWS profile for it.
    profile: Text, Inherited("aws.profile", "'analytics'");
    /// The role assumed for it.
    role_arn: Text, Inherited("aws.role_arn", "'arn:aws:iam::123456789012:role/mwaa-gateway'");
    /// The place of the MWAA API for it.
    endpoint_url: Text, Inherited("aws.endpoint_url", "'http://127.0.0.1:4566'");
    /// Its Airflow version; with it the gateway needs one call and one permission less.
    airflow_version: Text, Absent("asked of GetEnvironment", "'2.10.3'");
    /// A listener of its own, for tools that can't choose a Host.
    listen: Address, Absent("only the shared listener", "'127.0.0.1:8081'");
    /// Dial this host:port instead (a tunnel, a bastion); TLS name and Host stay the
    /// environment's.
    connect_to: Text, Absent("the environment's own host", "'127.0.0.1:8443'");
    /// The proxy to its web server and to AWS for it, whatever NO_PROXY lists; "" is none.
    proxy: Text, Absent("proxy.url", "'http://proxy.corp.example:3128'");
    /// A file that only you can read, with user:password for its proxy.
    proxy_user_file: Path, Absent("no user", "'/run/secrets/proxy-user'");
    // words, not a command line: a shell would be one more thing to quote for
    /// A program that opens {local_port} on loopback as a way to {host}:443, started on first
    /// need, shared and kept; without {local_port}, one whose stdin and stdout are the
    /// connection. No shell reads it.
    tunnel: Program, Absent("no tunnel", "['ssh', '-N', '-L', '{local_port}:{host}:443', 'bastion']");
    /// A PEM file with more trust roots for its web server.
    ca_file: Path, Absent("the system's trust roots", "'certs/ca.pem'");
    /// A web server name that is not MWAA's.
    custom_domain: Text, Absent("MWAA's name", "'airflow.corp.example'");
    /// The UI for browsers: "proxy" shows it through the gateway, "redirect" sends them to the
    /// real host.
    browser: Choice(&["proxy", "redirect"]), Value("'proxy'");
    /// The policy: "supported" (the commands that MWAA runs), "read-only" (no changes and no
    /// secrets, on the REST API and in the UI too), "operator" (commands that read, run and
    /// pause) or "all".
    policy: Choice(&POLICIES), Value("'supported'");
    /// CLI commands added to the policy, such as "pools set", and options, such as "dags list
    /// --subdir".
    allow: List, Value("[]");
    /// CLI commands taken from the policy, such as "dags delete".
    deny: List, Value("[]");
    // AWS asks clients to wait until the previous command is done
    /// Commands running at once; the rest queue. MWAA itself takes about 4.
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
