//! The table of all keys: name, form, default, meaning, and where the value goes. Reading,
//! suggestions, `config.toml` and the README's table are all made from it.

use super::draft::Draft;
use super::problems::Complaint;
use super::{Address, DiscoverIn, hosts, urls, values};
use crate::names::{Browser, Environment, Policy, Region};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// One key.
pub(super) struct Key {
    /// Its table: `listener`, or [`ENVIRONMENT_TABLE`].
    pub(super) table: &'static str,
    /// Its name within the table.
    pub(super) name: &'static str,
    /// What it means: a sentence or two, for `config.toml` and the README.
    pub(super) doc: &'static str,
    /// Its default, or what stands in for it.
    pub(super) shown: Shown,
    /// Which values it takes, and where they go.
    pub(super) kind: Kind,
}

/// The value that documentation shows; always a value that the key takes, as TOML.
#[derive(Debug, Clone, Copy)]
pub(super) enum Shown {
    /// The default.
    Default(&'static str),
    /// There is no default value: an example, and what happens without the key.
    Example {
        value: &'static str,
        absent: &'static str,
    },
}

type Outcome = Result<(), Complaint>;

/// A word and what it sets.
pub(super) type Choice = (&'static str, fn(&mut Draft));

/// Which values a key takes, and how they get into the draft.
pub(super) enum Kind {
    /// Text of some form.
    Text(fn(&mut Draft, &str) -> Outcome),
    /// One of some words.
    Choice(&'static [Choice]),
    /// The name of a file; a relative one starts at the configuration file's folder, and `~/` at
    /// the user's home folder.
    Path(fn(&mut Draft) -> &mut Option<PathBuf>),
    /// True or false.
    Flag(fn(&mut Draft, bool)),
    /// A whole number.
    Count {
        least: usize,
        most: usize,
        slot: fn(&mut Draft) -> &mut usize,
    },
    /// A length of time, as text with a unit.
    Duration {
        least: Duration,
        most: Duration,
        slot: fn(&mut Draft) -> &mut Duration,
    },
    /// A number of bytes, as text with a unit or a plain integer.
    Size {
        least: usize,
        most: usize,
        slot: fn(&mut Draft) -> &mut usize,
    },
    /// A list of texts, which replaces the default.
    List {
        clear: fn(&mut Draft),
        push: fn(&mut Draft, &str) -> Outcome,
    },
}

impl Kind {
    /// Whether it is a number, a time or a size.
    pub(super) const fn is_number(&self) -> bool {
        matches!(
            self,
            Self::Count { .. } | Self::Duration { .. } | Self::Size { .. }
        )
    }

    /// What the key takes, as in "expected true or false".
    pub(super) const fn expected(&self) -> &'static str {
        match self {
            Self::Text(_) | Self::Choice(_) => "text",
            Self::Path(_) => "the name of a file",
            Self::Flag(_) => "true or false",
            Self::Count { .. } => "a whole number",
            Self::Duration { .. } => "text with a unit such as \"10s\"",
            Self::Size { .. } => "text with a unit such as \"64KiB\"",
            Self::List { .. } => "a list of texts",
        }
    }
}

/// The tables with their headings and one line on each, in the order of the file.
pub(super) const TABLES: &[(&str, &str)] = &[
    ("listener", "Where clients connect, and who may."),
    (
        TLS_TABLE,
        "With this table every TCP listener speaks TLS, and nothing else; a unix socket stays plain.",
    ),
    (
        LISTENERS_TABLE,
        "One table for each listener besides the one above: another address with rules of its own, \
         such as one that only reads.",
    ),
    (
        "management",
        "Health and metrics, on a socket of their own.",
    ),
    (
        "audit",
        "A line of JSON for each command that was asked for: who, when, where, what, and what became of it.",
    ),
    (
        "aws",
        "How AWS is asked. Credentials come from the AWS chain and never stand in this file.",
    ),
    (
        "proxy",
        "The way out, to the web servers and to AWS alike. Without a url it is what HTTPS_PROXY or \
         ALL_PROXY names, as curl reads them.",
    ),
    (
        "limits",
        "Every timeout, size and count. Durations and sizes are text with a unit.",
    ),
    (
        ENVIRONMENT_TABLE,
        "One table for each environment; the key is its local name, which makes its URL: \
         http://prod.localhost:8080",
    ),
];

/// The table of the TLS listener's keys.
pub(super) const TLS_TABLE: &str = "listener.tls";

/// The table of the keys of a further listener: `*` is its name.
pub(super) const LISTENERS_TABLE: &str = "listeners.*";

/// Tables that mean something by being there, so the annotated file leaves them out.
pub(super) fn is_optional(table: &str) -> bool {
    [TLS_TABLE, LISTENERS_TABLE, ENVIRONMENT_TABLE].contains(&table)
}

/// The table of an environment's keys: `*` is its local name.
pub(super) const ENVIRONMENT_TABLE: &str = "environments.*";

/// The keys of a table, in the order of the file.
pub(super) fn of(table: &str) -> impl Iterator<Item = &'static Key> {
    KEYS.iter().filter(move |key| key.table == table)
}

/// All keys, in the order of the file.
pub(super) static KEYS: &[Key] = &[
    Key {
        table: "listener",
        name: "address",
        doc: "The address to listen on: \"IP:port\" or \"unix:/path\".",
        shown: Shown::Default("\"127.0.0.1:8080\""),
        kind: Kind::Text(|draft, text| {
            draft.listener.address = address(draft, text)?;
            Ok(())
        }),
    },
    Key {
        table: "listener",
        name: "socket_mode",
        doc: "The permissions of a unix socket, in octal.",
        shown: Shown::Default("\"0600\""),
        kind: Kind::Text(|draft, text| {
            draft.listener.socket_mode = values::mode(text)?;
            Ok(())
        }),
    },
    Key {
        table: "listener",
        name: "hosts",
        doc: "More names that clients may call the gateway by, such as \"airflow.corp.example:8080\".",
        shown: Shown::Default("[]"),
        kind: Kind::List {
            clear: |draft| draft.listener.hosts.clear(),
            push: |draft, text| {
                draft.listener.hosts.push(hosts::host_entry(text)?);
                Ok(())
            },
        },
    },
    Key {
        table: "listener",
        name: "networks",
        doc: "The networks that clients may connect from.",
        shown: Shown::Default("[\"127.0.0.0/8\", \"::1/128\"]"),
        kind: Kind::List {
            clear: |draft| draft.listener.networks.clear(),
            push: |draft, text| {
                draft.listener.networks.push(values::network(text)?);
                Ok(())
            },
        },
    },
    Key {
        table: "listener",
        name: "trusted_origins",
        doc: "Browser origins that may use the CLI route, such as \"https://tool.example\".",
        shown: Shown::Default("[]"),
        kind: Kind::List {
            clear: |draft| draft.listener.trusted_origins.clear(),
            push: |draft, text| {
                draft.listener.trusted_origins.push(urls::origin(text)?);
                Ok(())
            },
        },
    },
    Key {
        table: "listener",
        name: "allow_forwarded",
        doc: "Serve requests that carry Forwarded or X-Forwarded-*: a proxy in front of the gateway gives \
              others what it may do. The fields are dropped, never believed.",
        shown: Shown::Default("false"),
        kind: Kind::Flag(|draft, yes| draft.listener.allow_forwarded = yes),
    },
    Key {
        table: "listener",
        name: "secret_file",
        doc: "A file that only you can read; clients must send its content in Mwaa-Gateway-Secret.",
        shown: Shown::Example {
            value: "\"/run/secrets/mwaa-gateway\"",
            absent: "no secret is asked for",
        },
        kind: Kind::Path(|draft| &mut draft.listener.secret_file),
    },
    Key {
        table: "listener",
        name: "dangerous_non_loopback",
        doc: "Needed to listen wider than loopback without TLS and a secret or client certificates: whoever reaches the address acts with your AWS rights.",
        shown: Shown::Default("false"),
        kind: Kind::Flag(|draft, value| draft.listener.dangerous_non_loopback = value),
    },
    Key {
        table: "listener",
        name: "policy",
        doc: "What passes here of what the rules of the environment let pass; \"all\" takes nothing away. Holds for environments.NAME.listen too.",
        shown: Shown::Default("\"all\""),
        kind: Kind::Choice(&[
            ("supported", |draft| {
                draft.listener.rules.policy = Policy::Supported;
            }),
            ("read-only", |draft| {
                draft.listener.rules.policy = Policy::ReadOnly;
            }),
            ("operator", |draft| {
                draft.listener.rules.policy = Policy::Operator;
            }),
            ("all", |draft| draft.listener.rules.policy = Policy::All),
        ]),
    },
    Key {
        table: "listener",
        name: "allow",
        doc: "CLI commands and options added to this listener's policy; never more than the environment lets pass.",
        shown: Shown::Default("[]"),
        kind: Kind::List {
            clear: |draft| draft.listener.rules.allow.clear(),
            push: |draft, text| {
                let words = values::allowed(text)?;
                draft.listener.rules.allow.push(words);
                Ok(())
            },
        },
    },
    Key {
        table: "listener",
        name: "deny",
        doc: "CLI commands taken from this listener's policy.",
        shown: Shown::Default("[]"),
        kind: Kind::List {
            clear: |draft| draft.listener.rules.deny.clear(),
            push: |draft, text| {
                let words = values::command(text)?;
                draft.listener.rules.deny.push(words);
                Ok(())
            },
        },
    },
    Key {
        table: TLS_TABLE,
        name: "certificate",
        doc: "A PEM file with the server's certificate and, after it, those that signed it.",
        shown: Shown::Example {
            value: "\"certs/gateway.pem\"",
            absent: "the table needs one",
        },
        kind: Kind::Path(|draft| &mut draft.tls.certificate),
    },
    Key {
        table: TLS_TABLE,
        name: "key",
        doc: "A PEM file with the certificate's private key, not encrypted, that only you can read.",
        shown: Shown::Example {
            value: "\"certs/gateway.key\"",
            absent: "the table needs one",
        },
        kind: Kind::Path(|draft| &mut draft.tls.key),
    },
    Key {
        table: TLS_TABLE,
        name: "client_ca",
        doc: "A PEM file with the authorities whose certificates clients must show (mutual TLS).",
        shown: Shown::Example {
            value: "\"certs/clients.pem\"",
            absent: "clients show no certificate",
        },
        kind: Kind::Path(|draft| &mut draft.tls.client_ca),
    },
    Key {
        table: LISTENERS_TABLE,
        name: "address",
        doc: "The address to listen on: \"IP:port\" or \"unix:/path\".",
        shown: Shown::Example {
            value: "\"unix:/run/mwaa-gateway/agents.sock\"",
            absent: "the table needs one",
        },
        kind: Kind::Text(|draft, text| {
            draft.own_listener.address = Some(address(draft, text)?);
            Ok(())
        }),
    },
    Key {
        table: LISTENERS_TABLE,
        name: "socket_mode",
        doc: "The permissions of its unix socket, in octal.",
        shown: Shown::Example {
            value: "\"0660\"",
            absent: "listener.socket_mode",
        },
        kind: Kind::Text(|draft, text| {
            draft.own_listener.socket_mode = Some(values::mode(text)?);
            Ok(())
        }),
    },
    Key {
        table: LISTENERS_TABLE,
        name: "environment",
        doc: "The local name of the only environment that it serves, whatever the Host.",
        shown: Shown::Example {
            value: "\"prod\"",
            absent: "it serves all of them",
        },
        kind: Kind::Text(|draft, text| {
            draft.own_listener.environment = Some(super::file::local_name(text)?);
            Ok(())
        }),
    },
    Key {
        table: LISTENERS_TABLE,
        name: "networks",
        doc: "The networks that its clients may connect from.",
        shown: Shown::Example {
            value: "[\"127.0.0.0/8\"]",
            absent: "listener.networks",
        },
        kind: Kind::List {
            clear: |draft| draft.own_listener.networks = Some(Vec::new()),
            push: |draft, text| {
                let network = values::network(text)?;
                draft
                    .own_listener
                    .networks
                    .get_or_insert_default()
                    .push(network);
                Ok(())
            },
        },
    },
    Key {
        table: LISTENERS_TABLE,
        name: "secret_file",
        doc: "A file with a secret of its own, which its clients must send in Mwaa-Gateway-Secret.",
        shown: Shown::Example {
            value: "\"/run/secrets/agents\"",
            absent: "listener.secret_file",
        },
        kind: Kind::Path(|draft| &mut draft.own_listener.secret_file),
    },
    Key {
        table: LISTENERS_TABLE,
        name: "policy",
        doc: "What passes here of what the rules of the environment let pass: \"all\" takes nothing away, \"read-only\" leaves only reads that show no secrets.",
        shown: Shown::Default("\"all\""),
        kind: Kind::Choice(&[
            ("supported", |draft| {
                draft.own_listener.rules.policy = Policy::Supported;
            }),
            ("read-only", |draft| {
                draft.own_listener.rules.policy = Policy::ReadOnly;
            }),
            ("operator", |draft| {
                draft.own_listener.rules.policy = Policy::Operator;
            }),
            ("all", |draft| draft.own_listener.rules.policy = Policy::All),
        ]),
    },
    Key {
        table: LISTENERS_TABLE,
        name: "allow",
        doc: "CLI commands and options added to this listener's policy; never more than the environment lets pass.",
        shown: Shown::Default("[]"),
        kind: Kind::List {
            clear: |draft| draft.own_listener.rules.allow.clear(),
            push: |draft, text| {
                let words = values::allowed(text)?;
                draft.own_listener.rules.allow.push(words);
                Ok(())
            },
        },
    },
    Key {
        table: LISTENERS_TABLE,
        name: "deny",
        doc: "CLI commands taken from this listener's policy.",
        shown: Shown::Default("[]"),
        kind: Kind::List {
            clear: |draft| draft.own_listener.rules.deny.clear(),
            push: |draft, text| {
                let words = values::command(text)?;
                draft.own_listener.rules.deny.push(words);
                Ok(())
            },
        },
    },
    Key {
        table: "management",
        name: "address",
        doc: "The loopback address of /livez, /readyz, /metrics and /status.",
        shown: Shown::Default("\"127.0.0.1:9180\""),
        kind: Kind::Text(|draft, text| {
            match text.parse::<Address>() {
            Ok(Address::Tcp(tcp)) if Address::Tcp(tcp).is_local() => {
                draft.management.address = tcp;
                Ok(())
            }
            Ok(Address::Tcp(_)) => Err(Complaint::new("is not a loopback address").hint(
                "this one stays on this machine: use \"127.0.0.1:9180\"; management.probes is for kubelet and Prometheus",
            )),
            Ok(Address::Unix(_)) => Err(Complaint::new("is a unix socket")
                .hint("health and metrics need a TCP address: use \"127.0.0.1:9180\"")),
            Err(bad) => Err(bad.into_complaint()),
        }
        }),
    },
    Key {
        table: "management",
        name: "probes",
        doc: "A second address, for kubelet and Prometheus. It may be reachable from the network: it serves only /livez, /readyz, /startupz and /metrics. Anyone who can reach it sees the local names of the environments and how much they are used.",
        shown: Shown::Example {
            value: "\"0.0.0.0:9181\"",
            absent: "there is no such address",
        },
        kind: Kind::Text(|draft, text| match text.parse::<Address>() {
            Ok(Address::Tcp(tcp)) => {
                draft.management.probes = Some(tcp);
                Ok(())
            }
            Ok(Address::Unix(_)) => Err(Complaint::new("is a unix socket")
                .hint("probes need a TCP address: use \"0.0.0.0:9181\"")),
            Err(bad) => Err(bad.into_complaint()),
        }),
    },
    Key {
        table: "audit",
        name: "file",
        doc: "The file that the lines are added to, made with mode 0600; or \"/dev/stdout\", \"/dev/stderr\". After a rotation it is made anew; no signal is needed.",
        shown: Shown::Example {
            value: "\"audit.log\"",
            absent: "there is no audit log",
        },
        kind: Kind::Path(|draft| &mut draft.audit.file),
    },
    Key {
        table: "audit",
        name: "arguments",
        doc: "Write the arguments of commands too. They hold what people put in, passwords of connections and values of variables among it.",
        shown: Shown::Default("false"),
        kind: Kind::Flag(|draft, value| draft.audit.arguments = value),
    },
    Key {
        table: "audit",
        name: "required",
        doc: "Run a command only if the log holds it already. Without this, commands go on while the log can't be written, and are counted.",
        shown: Shown::Default("false"),
        kind: Kind::Flag(|draft, value| draft.audit.required = value),
    },
    Key {
        table: "aws",
        name: "region",
        doc: "The AWS region.",
        shown: Shown::Example {
            value: "\"eu-west-1\"",
            absent: "the AWS chain's region",
        },
        kind: Kind::Text(|draft, text| {
            draft.aws.region = Some(region(text)?);
            Ok(())
        }),
    },
    Key {
        table: "aws",
        name: "profile",
        doc: "The AWS profile.",
        shown: Shown::Example {
            value: "\"analytics\"",
            absent: "the AWS chain's choice",
        },
        kind: Kind::Text(|draft, text| {
            draft.aws.profile = Some(values::profile(text)?);
            Ok(())
        }),
    },
    Key {
        table: "aws",
        name: "role_arn",
        doc: "A role that is assumed before anything else.",
        shown: Shown::Example {
            value: "\"arn:aws:iam::123456789012:role/mwaa-gateway\"",
            absent: "no role is assumed",
        },
        kind: Kind::Text(|draft, text| {
            draft.aws.role_arn = Some(values::role_arn(text)?);
            Ok(())
        }),
    },
    Key {
        table: "aws",
        name: "endpoint_url",
        doc: "Another place for the MWAA API: https, or http on loopback. It is used as it is, without the env. and api. prefixes.",
        shown: Shown::Example {
            value: "\"http://127.0.0.1:4566\"",
            absent: "AWS's own endpoint",
        },
        kind: Kind::Text(|draft, text| {
            draft.aws.endpoint_url = Some(urls::endpoint_url(text)?);
            Ok(())
        }),
    },
    Key {
        table: "aws",
        name: "discover",
        doc: "Whether to serve every environment of the account and region, besides those that are named.",
        shown: Shown::Example {
            value: "true",
            absent: "true when no environment is named, or discover_in says where",
        },
        kind: Kind::Flag(|draft, value| draft.aws.discover = Some(value)),
    },
    Key {
        table: "aws",
        name: "discover_in",
        doc: "Where to look for environments: \"REGION\" or \"PROFILE@REGION\". An empty list is the region and profile above.",
        shown: Shown::Default("[]"),
        kind: Kind::List {
            clear: |draft| draft.aws.discover_in.clear(),
            push: |draft, text| {
                draft.aws.discover_in.push(discover_in(text)?);
                Ok(())
            },
        },
    },
    Key {
        table: "proxy",
        name: "url",
        doc: "The proxy: socks5h:// (it resolves names), socks5://, http:// or https://; \"\" is none, whatever the variables say. Hosts that NO_PROXY lists and loopback are reached without it.",
        shown: Shown::Example {
            value: "\"socks5h://127.0.0.1:1080\"",
            absent: "HTTPS_PROXY, else ALL_PROXY",
        },
        kind: Kind::Text(|draft, text| {
            draft.proxy.url = Some(urls::proxy(text)?);
            Ok(())
        }),
    },
    Key {
        table: "proxy",
        name: "user_file",
        doc: "A file that only you can read, with user:password for the proxy.",
        shown: Shown::Example {
            value: "\"/run/secrets/proxy-user\"",
            absent: "no user",
        },
        kind: Kind::Path(|draft| &mut draft.proxy.user_file),
    },
    Key {
        table: "limits",
        name: "head_timeout",
        doc: "A request's head must be complete this long after its first byte.",
        shown: Shown::Default("\"10s\""),
        kind: Kind::Duration {
            least: Duration::from_millis(100),
            most: Duration::from_mins(5),
            slot: |draft| &mut draft.limits.head_timeout,
        },
    },
    Key {
        table: "limits",
        name: "keep_alive",
        doc: "An idle client connection is closed after this. A client may also keep a reply waiting \
              for this long, and longer only while it takes 16 KiB a second.",
        shown: Shown::Default("\"60s\""),
        kind: Kind::Duration {
            least: Duration::from_secs(1),
            most: Duration::from_hours(1),
            slot: |draft| &mut draft.limits.keep_alive,
        },
    },
    Key {
        table: "limits",
        name: "head_size",
        doc: "Largest head of a request: request line and header fields.",
        shown: Shown::Default("\"32KiB\""),
        kind: Kind::Size {
            least: 8 << 10,
            most: 1 << 20,
            slot: |draft| &mut draft.limits.head_size,
        },
    },
    Key {
        table: "limits",
        name: "header_count",
        doc: "Most header fields of a request.",
        shown: Shown::Default("64"),
        kind: Kind::Count {
            least: 8,
            most: 1_000,
            slot: |draft| &mut draft.limits.header_count,
        },
    },
    Key {
        table: "limits",
        name: "target_size",
        doc: "Longest path and query of a request.",
        shown: Shown::Default("\"8KiB\""),
        kind: Kind::Size {
            least: 256,
            most: 64 << 10,
            slot: |draft| &mut draft.limits.target_size,
        },
    },
    Key {
        table: "limits",
        name: "body_idle",
        doc: "Longest pause while a request's body arrives.",
        shown: Shown::Default("\"15s\""),
        kind: Kind::Duration {
            least: Duration::from_millis(100),
            most: Duration::from_mins(10),
            slot: |draft| &mut draft.limits.body_idle,
        },
    },
    Key {
        table: "limits",
        name: "body_rate",
        doc: "Least speed of a request's body, in bytes a second: the average over the time that it is waited for, beyond body_idle.",
        shown: Shown::Default("\"1KiB\""),
        kind: Kind::Size {
            least: 1,
            most: 1 << 20,
            slot: |draft| &mut draft.limits.body_rate,
        },
    },
    Key {
        table: "limits",
        name: "cli_body",
        doc: "Largest body of a CLI request.",
        shown: Shown::Default("\"64KiB\""),
        kind: Kind::Size {
            least: 1 << 10,
            most: 1 << 20,
            slot: |draft| &mut draft.limits.cli_body,
        },
    },
    Key {
        table: "limits",
        name: "request_body",
        doc: "Largest body of a request to the REST API or the UI; it is passed on as it comes.",
        shown: Shown::Default("\"16MiB\""),
        kind: Kind::Size {
            least: 64 << 10,
            most: 1 << 30,
            slot: |draft| &mut draft.limits.request_body,
        },
    },
    Key {
        table: "limits",
        name: "connections",
        doc: "Most client connections at once; more wait to be accepted.",
        shown: Shown::Default("512"),
        kind: Kind::Count {
            least: 1,
            most: 65_536,
            slot: |draft| &mut draft.limits.connections,
        },
    },
    Key {
        table: "limits",
        name: "drain",
        doc: "Requests in flight get this long when the gateway stops. Kubernetes kills after 30 s.",
        shown: Shown::Default("\"25s\""),
        kind: Kind::Duration {
            least: Duration::ZERO,
            most: Duration::from_mins(10),
            slot: |draft| &mut draft.limits.drain,
        },
    },
    Key {
        table: "limits",
        name: "upstream_dns",
        doc: "Longest look-up of the web server's name.",
        shown: Shown::Default("\"3s\""),
        kind: Kind::Duration {
            least: Duration::from_millis(100),
            most: Duration::from_mins(1),
            slot: |draft| &mut draft.limits.upstream_dns,
        },
    },
    Key {
        table: "limits",
        name: "upstream_connect",
        doc: "Longest TCP connect to the web server, over all its addresses: one is tried every 250 ms until one answers.",
        shown: Shown::Default("\"5s\""),
        kind: Kind::Duration {
            least: Duration::from_millis(100),
            most: Duration::from_mins(2),
            slot: |draft| &mut draft.limits.upstream_connect,
        },
    },
    Key {
        table: "limits",
        name: "tunnel_start",
        doc: "Longest time until a tunnel's program has opened its port. A sign-in that it is started for has only mint_total.",
        shown: Shown::Default("\"10s\""),
        kind: Kind::Duration {
            least: Duration::from_millis(100),
            most: Duration::from_mins(5),
            slot: |draft| &mut draft.limits.tunnel_start,
        },
    },
    Key {
        table: "limits",
        name: "tunnel_age",
        doc: "A tunnel that is older is replaced by a new one when it is next used. Session Manager ends its tunnels after about an hour.",
        shown: Shown::Default("\"50m\""),
        kind: Kind::Duration {
            least: Duration::from_secs(1),
            most: Duration::from_hours(24 * 7),
            slot: |draft| &mut draft.limits.tunnel_age,
        },
    },
    Key {
        table: "limits",
        name: "upstream_tls",
        doc: "Longest TLS handshake with the web server.",
        shown: Shown::Default("\"5s\""),
        kind: Kind::Duration {
            least: Duration::from_millis(100),
            most: Duration::from_mins(2),
            slot: |draft| &mut draft.limits.upstream_tls,
        },
    },
    Key {
        table: "limits",
        name: "upstream_first_byte",
        doc: "Longest wait for the first byte of a reply of the REST API or the UI, from the last byte of the request.",
        shown: Shown::Default("\"60s\""),
        kind: Kind::Duration {
            least: Duration::from_secs(1),
            most: Duration::from_hours(1),
            slot: |draft| &mut draft.limits.upstream_first_byte,
        },
    },
    Key {
        table: "limits",
        name: "cli_first_byte",
        doc: "Longest wait for the first byte of a CLI command's reply. The web server's own limit is 120 s by default.",
        shown: Shown::Default("\"300s\""),
        kind: Kind::Duration {
            least: Duration::from_secs(1),
            most: Duration::from_hours(1),
            slot: |draft| &mut draft.limits.cli_first_byte,
        },
    },
    Key {
        table: "limits",
        name: "upstream_body_idle",
        doc: "Longest pause while a web server's reply arrives.",
        shown: Shown::Default("\"60s\""),
        kind: Kind::Duration {
            least: Duration::from_secs(1),
            most: Duration::from_hours(1),
            slot: |draft| &mut draft.limits.upstream_body_idle,
        },
    },
    Key {
        table: "limits",
        name: "pool_idle",
        doc: "An idle connection to the web server is closed after this. Load balancers close after 60 s.",
        shown: Shown::Default("\"45s\""),
        kind: Kind::Duration {
            least: Duration::from_secs(1),
            most: Duration::from_mins(10),
            slot: |draft| &mut draft.limits.pool_idle,
        },
    },
    Key {
        table: "limits",
        name: "pool_age",
        doc: "Any connection to the web server takes no new request after this.",
        shown: Shown::Default("\"5m\""),
        kind: Kind::Duration {
            least: Duration::from_secs(1),
            most: Duration::from_hours(1),
            slot: |draft| &mut draft.limits.pool_age,
        },
    },
    Key {
        table: "limits",
        name: "mint_try",
        doc: "Longest single try to get a token.",
        shown: Shown::Default("\"5s\""),
        kind: Kind::Duration {
            least: Duration::from_millis(100),
            most: Duration::from_mins(1),
            slot: |draft| &mut draft.limits.mint_try,
        },
    },
    Key {
        table: "limits",
        name: "mint_total",
        doc: "Longest time for all tries to get a token.",
        shown: Shown::Default("\"12s\""),
        kind: Kind::Duration {
            least: Duration::from_millis(100),
            most: Duration::from_mins(2),
            slot: |draft| &mut draft.limits.mint_total,
        },
    },
    Key {
        table: "limits",
        name: "mint_wait",
        doc: "Longest time that a request waits for a token.",
        shown: Shown::Default("\"15s\""),
        kind: Kind::Duration {
            least: Duration::from_millis(100),
            most: Duration::from_mins(5),
            slot: |draft| &mut draft.limits.mint_wait,
        },
    },
    Key {
        table: "limits",
        name: "token_use",
        doc: "A token is used while younger than this. Tokens die at 60 s, so 50 s is also the most.",
        shown: Shown::Default("\"50s\""),
        kind: Kind::Duration {
            least: Duration::from_millis(100),
            most: Duration::from_secs(50),
            slot: |draft| &mut draft.limits.token_use,
        },
    },
    Key {
        table: "limits",
        name: "session_use",
        doc: "An Airflow session is used while younger than this, or for less if it says itself that it ends earlier. Sessions of MWAA end after 12 hours.",
        shown: Shown::Default("\"12h\""),
        kind: Kind::Duration {
            least: Duration::from_secs(1),
            most: Duration::from_hours(12),
            slot: |draft| &mut draft.limits.session_use,
        },
    },
    Key {
        table: "limits",
        name: "queue_size",
        doc: "Most commands that wait for their turn, for each environment; a client that has none waiting may come on top.",
        shown: Shown::Default("32"),
        kind: Kind::Count {
            least: 0,
            most: 10_000,
            slot: |draft| &mut draft.limits.queue_size,
        },
    },
    Key {
        table: "limits",
        name: "queue_wait",
        doc: "Longest time that a command waits for its turn.",
        shown: Shown::Default("\"120s\""),
        kind: Kind::Duration {
            least: Duration::from_millis(100),
            most: Duration::from_hours(1),
            slot: |draft| &mut draft.limits.queue_wait,
        },
    },
    Key {
        table: "limits",
        name: "cli_output",
        doc: "Largest decoded output of a command; more is an error, never a cut.",
        shown: Shown::Default("\"8MiB\""),
        kind: Kind::Size {
            least: 64 << 10,
            most: 1 << 30,
            slot: |draft| &mut draft.limits.cli_output,
        },
    },
    Key {
        table: "limits",
        name: "threads",
        doc: "Threads that serve requests; 0 is one for each core.",
        shown: Shown::Default("0"),
        kind: Kind::Count {
            least: 0,
            most: 1_024,
            slot: |draft| &mut draft.limits.threads,
        },
    },
    Key {
        table: ENVIRONMENT_TABLE,
        name: "name",
        doc: "The environment's name in MWAA.",
        shown: Shown::Example {
            value: "\"analytics-prod\"",
            absent: "the local name",
        },
        kind: Kind::Text(|draft, text| {
            draft.environment.environment.name = mwaa_name(text)?;
            Ok(())
        }),
    },
    Key {
        table: ENVIRONMENT_TABLE,
        name: "region",
        doc: "Its region.",
        shown: Shown::Example {
            value: "\"eu-west-1\"",
            absent: "aws.region",
        },
        kind: Kind::Text(|draft, text| {
            draft.environment.environment.region = Some(region(text)?);
            Ok(())
        }),
    },
    Key {
        table: ENVIRONMENT_TABLE,
        name: "profile",
        doc: "The AWS profile for it.",
        shown: Shown::Example {
            value: "\"analytics\"",
            absent: "aws.profile",
        },
        kind: Kind::Text(|draft, text| {
            draft.environment.environment.profile = Some(values::profile(text)?.into());
            Ok(())
        }),
    },
    Key {
        table: ENVIRONMENT_TABLE,
        name: "role_arn",
        doc: "The role assumed for it.",
        shown: Shown::Example {
            value: "\"arn:aws:iam::123456789012:role/mwaa-gateway\"",
            absent: "aws.role_arn",
        },
        kind: Kind::Text(|draft, text| {
            draft.environment.environment.role_arn = Some(values::role_arn(text)?.into());
            Ok(())
        }),
    },
    Key {
        table: ENVIRONMENT_TABLE,
        name: "endpoint_url",
        doc: "The place of the MWAA API for it.",
        shown: Shown::Example {
            value: "\"http://127.0.0.1:4566\"",
            absent: "aws.endpoint_url",
        },
        kind: Kind::Text(|draft, text| {
            draft.environment.environment.endpoint_url = Some(urls::endpoint_url(text)?.into());
            Ok(())
        }),
    },
    Key {
        table: ENVIRONMENT_TABLE,
        name: "airflow_version",
        doc: "Its Airflow version; saying it spares the gateway a question and a permission.",
        shown: Shown::Example {
            value: "\"2.10.3\"",
            absent: "asked of GetEnvironment",
        },
        kind: Kind::Text(|draft, text| {
            let version = text.parse().map_err(|_bad| {
                Complaint::new("is not an Airflow version").hint("write it as \"2.10.3\"")
            })?;
            draft.environment.environment.airflow_version = Some(version);
            Ok(())
        }),
    },
    Key {
        table: ENVIRONMENT_TABLE,
        name: "listen",
        doc: "A listener of its own, for tools that can't choose a Host.",
        shown: Shown::Example {
            value: "\"127.0.0.1:8081\"",
            absent: "only the shared listener",
        },
        kind: Kind::Text(|draft, text| {
            draft.environment.listen = Some(address(draft, text)?);
            Ok(())
        }),
    },
    Key {
        table: ENVIRONMENT_TABLE,
        name: "connect_to",
        doc: "Dial this host:port instead (a tunnel, a bastion); TLS name and Host stay the environment's.",
        shown: Shown::Example {
            value: "\"127.0.0.1:8443\"",
            absent: "the environment's own host",
        },
        kind: Kind::Text(|draft, text| {
            draft.environment.environment.connect_to = Some(hosts::host_port(text)?.into());
            Ok(())
        }),
    },
    Key {
        table: ENVIRONMENT_TABLE,
        name: "proxy",
        doc: "The proxy to its web server and to AWS for it, whatever NO_PROXY lists; \"\" is none.",
        shown: Shown::Example {
            value: "\"http://proxy.corp.example:3128\"",
            absent: "proxy.url",
        },
        kind: Kind::Text(|draft, text| {
            draft.environment.environment.proxy = Some(urls::proxy(text)?);
            Ok(())
        }),
    },
    Key {
        table: ENVIRONMENT_TABLE,
        name: "proxy_user_file",
        doc: "A file that only you can read, with user:password for its proxy.",
        shown: Shown::Example {
            value: "\"/run/secrets/proxy-user\"",
            absent: "no user",
        },
        kind: Kind::Path(|draft| &mut draft.environment.proxy_user_file),
    },
    Key {
        table: ENVIRONMENT_TABLE,
        name: "tunnel",
        doc: "A program that opens {local_port} on loopback as a way to {host}:443, started on first need, shared and kept; without {local_port}, one whose stdin and stdout are the connection. No shell reads it.",
        shown: Shown::Example {
            value: "[\"ssh\", \"-N\", \"-L\", \"{local_port}:{host}:443\", \"bastion\"]",
            absent: "no tunnel",
        },
        kind: Kind::List {
            clear: |draft| draft.environment.tunnel_words.clear(),
            push: |draft, text| {
                draft.environment.tunnel_words.push(text.to_owned());
                Ok(())
            },
        },
    },
    Key {
        table: ENVIRONMENT_TABLE,
        name: "ca_file",
        doc: "A PEM file with more trust roots for its web server.",
        shown: Shown::Example {
            value: "\"certs/ca.pem\"",
            absent: "the system's trust roots",
        },
        kind: Kind::Path(|draft| &mut draft.environment.ca_file),
    },
    Key {
        table: ENVIRONMENT_TABLE,
        name: "custom_domain",
        doc: "A web server name that is not MWAA's.",
        shown: Shown::Example {
            value: "\"airflow.corp.example\"",
            absent: "MWAA's name",
        },
        kind: Kind::Text(|draft, text| {
            draft.environment.environment.custom_domain = Some(hosts::domain(text)?.into());
            Ok(())
        }),
    },
    Key {
        table: ENVIRONMENT_TABLE,
        name: "browser",
        doc: "What browsers get: \"proxy\" shows the UI through the gateway, \"redirect\" hands them over to the real host.",
        shown: Shown::Default("\"proxy\""),
        kind: Kind::Choice(&[
            ("proxy", |draft| {
                draft.environment.environment.browser = Browser::Proxy;
            }),
            ("redirect", |draft| {
                draft.environment.environment.browser = Browser::Redirect;
            }),
        ]),
    },
    Key {
        table: ENVIRONMENT_TABLE,
        name: "policy",
        doc: "What passes: \"supported\" (the commands that MWAA runs), \"read-only\" (no changes and no secrets, on the REST API and in the UI too), \"operator\" (commands that read, run and pause) or \"all\".",
        shown: Shown::Default("\"supported\""),
        kind: Kind::Choice(&[
            ("supported", |draft| {
                draft.environment.environment.policy = Policy::Supported;
            }),
            ("read-only", |draft| {
                draft.environment.environment.policy = Policy::ReadOnly;
            }),
            ("operator", |draft| {
                draft.environment.environment.policy = Policy::Operator;
            }),
            ("all", |draft| {
                draft.environment.environment.policy = Policy::All;
            }),
        ]),
    },
    Key {
        table: ENVIRONMENT_TABLE,
        name: "allow",
        doc: "CLI commands added to the policy, such as \"pools set\", and options, such as \"dags list --subdir\".",
        shown: Shown::Default("[]"),
        kind: Kind::List {
            clear: |draft| draft.environment.environment.allow.clear(),
            push: |draft, text| {
                let words = values::allowed(text)?;
                draft.environment.environment.allow.push(words);
                Ok(())
            },
        },
    },
    Key {
        table: ENVIRONMENT_TABLE,
        name: "deny",
        doc: "CLI commands taken from the policy, such as \"dags delete\".",
        shown: Shown::Default("[]"),
        kind: Kind::List {
            clear: |draft| draft.environment.environment.deny.clear(),
            push: |draft, text| {
                let words = values::command(text)?;
                draft.environment.environment.deny.push(words);
                Ok(())
            },
        },
    },
    Key {
        table: ENVIRONMENT_TABLE,
        name: "cli_concurrency",
        doc: "Commands running at once; the rest queue. MWAA itself takes about 4.",
        shown: Shown::Default("1"),
        kind: Kind::Count {
            least: 1,
            most: 64,
            slot: |draft| &mut draft.environment.environment.cli_concurrency,
        },
    },
    Key {
        table: ENVIRONMENT_TABLE,
        name: "default",
        doc: "Whether it serves requests that name no environment.",
        shown: Shown::Default("false"),
        kind: Kind::Flag(|draft, value| draft.environment.default = value),
    },
];

fn address(draft: &Draft, text: &str) -> Result<Address, Complaint> {
    match text.parse::<Address>() {
        Ok(address) => Ok(address.below(&draft.folder)),
        Err(bad) => Err(bad.into_complaint()),
    }
}

fn region(text: &str) -> Result<Region, Complaint> {
    Region::new(text)
        .ok_or_else(|| Complaint::new("is not an AWS region").hint("write it as \"eu-west-1\""))
}

fn discover_in(text: &str) -> Result<DiscoverIn, Complaint> {
    let (profile, name) = match text.rsplit_once('@') {
        Some((profile, region)) => (Some(values::profile(profile)?), region),
        None => (None, text),
    };
    let region = region(name)
        .map_err(|why| why.hint("write it as \"eu-west-1\" or \"profile@eu-west-1\""))?;
    Ok(DiscoverIn { region, profile })
}

/// Takes the name of an environment if MWAA would.
pub(super) fn mwaa_name(text: &str) -> Result<Arc<str>, Complaint> {
    if Environment::is_mwaa_name(text) {
        Ok(text.into())
    } else {
        Err(Complaint::new("is not the name of an MWAA environment")
            .hint("names are 1 to 80 letters, digits, - and _, and start with a letter"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::assign;

    #[test]
    fn keys_are_unique_documented_and_in_known_tables() {
        let mut seen = std::collections::BTreeSet::new();
        for key in KEYS {
            assert!(seen.insert((key.table, key.name)), "{} twice", key.name);
            assert!(key.doc.ends_with('.') && key.doc.len() > 10, "{}", key.name);
            assert!(TABLES.iter().any(|(table, _)| *table == key.table));
        }
        assert!(seen.len() > 50);
        let ordered = TABLES.iter().flat_map(|(table, _)| of(table));
        assert_eq!(
            ordered.count(),
            KEYS.len(),
            "the table is not in the order of TABLES"
        );
    }

    #[test]
    fn every_default_and_example_is_taken() {
        for key in KEYS {
            let mut draft = Draft::with_defaults();
            let (Shown::Default(text) | Shown::Example { value: text, .. }) = key.shown;
            assign::assign_default(&mut draft, key, text);
            assert_eq!(draft.problems.to_string(), "", "{}.{}", key.table, key.name);
        }
    }
}
