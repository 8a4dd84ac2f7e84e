//! The address of a fleet's store, as the configuration has it.

use crate::Region;
use std::fmt;

/// The store of a fleet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StoreAddress {
    /// Redis or Valkey.
    Redis(RedisAddress),
    /// DynamoDB.
    DynamoDb(TableAddress),
}

/// A server of Redis or Valkey.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RedisAddress {
    /// The place to connect to.
    pub place: StorePlace,
    /// The user (Redis ACL).
    pub user: Option<String>,
    /// The number of the database.
    pub database: u16,
    /// The cache of ElastiCache that this is, if the gateway logs in with its AWS identity.
    pub iam: Option<CacheName>,
}

/// A cache of ElastiCache.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CacheName {
    /// The id of its replication group.
    pub name: String,
    /// Its region; `None` asks the AWS chain.
    pub region: Option<Region>,
}

/// A table of DynamoDB.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableAddress {
    /// Its name.
    pub name: String,
    /// Its region; `None` asks the AWS chain.
    pub region: Option<Region>,
}

/// A place to connect to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StorePlace {
    /// A host and a port.
    Tcp {
        /// A name, or an address without brackets.
        host: String,
        /// The port.
        port: u16,
        /// True for TLS.
        tls: bool,
    },
    /// A Unix socket.
    Unix(String),
}

/// The reason why a text is no address of a store, and a hint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct StoreAddressError {
    /// The reason, as the rest of a sentence.
    pub reason: &'static str,
    /// The hint.
    pub hint: &'static str,
}

impl StoreAddress {
    /// Reads `rediss://USER@HOST:PORT/DATABASE`, the same with `redis://`, `unix:///PATH`, or
    /// `dynamodb://TABLE?region=REGION`.
    pub fn parse(text: &str) -> Result<Self, StoreAddressError> {
        let (scheme, rest) = text.split_once("://").unwrap_or(("", text));
        match scheme {
            "redis" => RedisAddress::parse(rest, false).map(Self::Redis),
            "rediss" => RedisAddress::parse(rest, true).map(Self::Redis),
            "unix" => RedisAddress::parse_socket(rest).map(Self::Redis),
            "dynamodb" => TableAddress::parse(rest).map(Self::DynamoDb),
            _ => Err(wrong(
                "is no address of a store",
                "write rediss://HOST:6379 for Redis or Valkey over TLS (redis:// and unix:// are \
                 without TLS), or dynamodb://TABLE",
            )),
        }
    }
}

impl RedisAddress {
    /// Reads what follows `redis://`.
    fn parse(text: &str, tls: bool) -> Result<Self, StoreAddressError> {
        let (text, query) = text.split_once('?').unwrap_or((text, ""));
        let (authority, database) = text.split_once('/').unwrap_or((text, ""));
        let (user, authority) = authority.rsplit_once('@').unwrap_or(("", authority));
        if user.contains(':') {
            return Err(wrong(
                "holds a password",
                "write the password into the file that fleet.password_file names; here only the \
                 user: rediss://USER@HOST",
            ));
        }
        let (host, port) = super::split_port(authority);
        let host = super::strip_brackets(host);
        let fits = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_' | b':');
        if host.is_empty() || !host.bytes().all(fits) {
            return Err(wrong("names no host", "write rediss://HOST:6379"));
        }
        let port = match port {
            None => 6379,
            Some(port) => port
                .parse()
                .map_err(|_error| wrong("has no valid port", "write rediss://HOST:6379"))?,
        };
        let database = match database {
            "" => 0,
            number => number.parse().map_err(|_error| {
                wrong(
                    "has no valid number of a database",
                    "write rediss://HOST:6379/0",
                )
            })?,
        };

        let iam = CacheName::parse(query)?;
        if iam.is_some() && (!tls || user.is_empty()) {
            let hint = "ElastiCache takes IAM tokens over TLS and from a user only: \
                        rediss://USER@HOST?iam=CACHE";
            return Err(wrong("has iam without TLS or without a user", hint));
        }
        Ok(Self {
            place: StorePlace::Tcp {
                host: host.to_owned(),
                port,
                tls,
            },
            user: (!user.is_empty()).then(|| user.to_owned()),
            database,
            iam,
        })
    }

    /// Reads what follows `unix://`.
    fn parse_socket(text: &str) -> Result<Self, StoreAddressError> {
        let user = text.split_once('@').filter(|_| !text.starts_with('/'));
        let (user, path) = user.unwrap_or(("", text));
        if !path.starts_with('/') {
            return Err(wrong("is no path", "write unix:///run/redis/redis.sock"));
        }

        Ok(Self {
            place: StorePlace::Unix(path.to_owned()),
            user: (!user.is_empty()).then(|| user.to_owned()),
            database: 0,
            iam: None,
        })
    }
}

impl CacheName {
    /// Reads `iam=CACHE&region=REGION`, or nothing.
    fn parse(query: &str) -> Result<Option<Self>, StoreAddressError> {
        let hint =
            "write rediss://USER@HOST?iam=CACHE&region=REGION, with the name of the cache";
        let ([name, region], rest) = read_query(query, ["iam", "region"]);
        let fits = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        if rest || name.is_none() != query.is_empty() {
            return Err(wrong("has a query with more than iam and region", hint));
        }
        let Some(name) = name else {
            return Ok(None);
        };
        if name.is_empty() || !name.bytes().all(fits) {
            return Err(wrong("names no cache", hint));
        }
        Ok(Some(Self {
            name: name.to_owned(),
            region: read_region(region)?,
        }))
    }
}

impl TableAddress {
    /// Reads what follows `dynamodb://`. A name has 3 to 255 characters (DynamoDB Developer Guide,
    /// "Naming rules").
    fn parse(text: &str) -> Result<Self, StoreAddressError> {
        let hint = "write dynamodb://TABLE?region=REGION";
        let (name, query) = text.split_once('?').unwrap_or((text, ""));
        let fits = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.');
        if !(3..=255).contains(&name.len()) || !name.bytes().all(fits) {
            return Err(wrong("has no valid name of a table", hint));
        }
        let ([region], rest) = read_query(query, ["region"]);
        if rest {
            return Err(wrong("has a query with more than region", hint));
        }
        Ok(Self {
            name: name.to_owned(),
            region: read_region(region)?,
        })
    }
}

/// Returns the values of these keys, and true if there is anything else in the query.
fn read_query<'a, const N: usize>(
    query: &'a str,
    keys: [&str; N],
) -> ([Option<&'a str>; N], bool) {
    let mut values = [None; N];
    let mut rest = false;
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        let known = keys.iter().zip(&mut values).find(|(one, _)| **one == key);
        match known {
            Some((_, slot)) => *slot = Some(value),
            None => rest = true,
        }
    }
    (values, rest)
}

fn read_region(text: Option<&str>) -> Result<Option<Region>, StoreAddressError> {
    let hint = "write a region such as region=eu-west-1, or leave it to aws.region";
    let region =
        text.map(|text| Region::new(text).ok_or_else(|| wrong("has no valid region", hint)));
    region.transpose()
}

fn wrong(reason: &'static str, hint: &'static str) -> StoreAddressError {
    StoreAddressError { reason, hint }
}

impl fmt::Display for StoreAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Redis(redis) => redis.fmt(f),
            Self::DynamoDb(table) => table.fmt(f),
        }
    }
}

impl fmt::Display for RedisAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.place {
            StorePlace::Tcp { host, port, tls } => {
                let scheme = if *tls { "rediss" } else { "redis" };
                write!(f, "{scheme}://{host}:{port}")
            }
            StorePlace::Unix(path) => write!(f, "unix://{path}"),
        }
    }
}

impl fmt::Display for TableAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "dynamodb://{}", self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_stores_are_read() {
        let redis = |text: &str| match StoreAddress::parse(text).unwrap() {
            StoreAddress::Redis(redis) => redis,
            StoreAddress::DynamoDb(table) => panic!("{table}"),
        };
        let all = redis("rediss://gate@cache.example:6380/2");
        assert_eq!(all.user.as_deref(), Some("gate"));
        assert_eq!(all.database, 2);
        assert_eq!(all.to_string(), "rediss://cache.example:6380");
        let short = redis("redis://[::1]");
        let place = StorePlace::Tcp {
            host: "::1".to_owned(),
            port: 6379,
            tls: false,
        };
        assert_eq!(short.place, place);
        let socket = redis("unix:///run/redis.sock");
        assert_eq!(socket.to_string(), "unix:///run/redis.sock");

        let iam = redis("rediss://gate@cache.example?iam=fleet&region=eu-west-1").iam;
        let cache = CacheName {
            name: "fleet".to_owned(),
            region: Region::new("eu-west-1"),
        };
        assert_eq!(iam, Some(cache));
        let table = |region| {
            let name = "mwaa-gateway".to_owned();
            Ok(StoreAddress::DynamoDb(TableAddress { name, region }))
        };
        let text = "dynamodb://mwaa-gateway?region=eu-west-1";
        assert_eq!(StoreAddress::parse(text), table(Region::new("eu-west-1")));
        assert_eq!(StoreAddress::parse("dynamodb://mwaa-gateway"), table(None));
    }

    #[test]
    fn other_texts_are_refused_with_a_hint() {
        for (text, reason) in [
            ("cache.example", "is no address of a store"),
            ("http://cache.example", "is no address of a store"),
            ("redis://user:secret@cache.example", "holds a password"),
            ("redis://", "names no host"),
            ("redis://host:x", "has no valid port"),
            ("redis://host/x", "has no valid number of a database"),
            ("unix://run/redis.sock", "is no path"),
            (
                "redis://a@host?iam=b",
                "has iam without TLS or without a user",
            ),
            (
                "rediss://host?iam=b",
                "has iam without TLS or without a user",
            ),
            ("rediss://a@host?iam=B", "names no cache"),
            (
                "rediss://a@host?region=eu-west-1",
                "has a query with more than iam and region",
            ),
            ("dynamodb://", "has no valid name of a table"),
            ("dynamodb://tab/le", "has no valid name of a table"),
            ("dynamodb://table?region=x", "has no valid region"),
            (
                "dynamodb://table?endpoint=x",
                "has a query with more than region",
            ),
        ] {
            let error = StoreAddress::parse(text).unwrap_err();
            assert_eq!(error.reason, reason, "{text}");
            assert!(!error.hint.contains("secret@"), "{text}");
        }
    }
}
