//! The address of a fleet's store, as the configuration has it.

use std::fmt;

/// The store of a fleet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreAddress {
    /// The place to connect to.
    pub place: StorePlace,
    /// The user (Redis ACL).
    pub user: Option<String>,
    /// The number of the database.
    pub database: u16,
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
    /// Reads `redis://`, `rediss://` or `unix://` and a place: `rediss://USER@HOST:PORT/DATABASE`,
    /// `unix:///PATH`.
    pub fn parse(text: &str) -> Result<Self, StoreAddressError> {
        let wrong = |reason, hint| StoreAddressError { reason, hint };
        let (scheme, rest) = text.split_once("://").unwrap_or(("", text));
        let tls = match scheme {
            "redis" => false,
            "rediss" => true,
            "unix" => return Self::parse_socket(rest),
            _ => {
                return Err(wrong(
                    "is no address of a store",
                    "write rediss://HOST:6379 for Redis or Valkey over TLS; redis:// and unix:// \
                     are without TLS",
                ));
            }
        };

        let (authority, database) = rest.split_once('/').unwrap_or((rest, ""));
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
        Ok(Self {
            place: StorePlace::Tcp {
                host: host.to_owned(),
                port,
                tls,
            },
            user: (!user.is_empty()).then(|| user.to_owned()),
            database,
        })
    }

    /// Reads what follows `unix://`.
    fn parse_socket(text: &str) -> Result<Self, StoreAddressError> {
        let user = text.split_once('@').filter(|_| !text.starts_with('/'));
        let (user, path) = user.unwrap_or(("", text));
        if !path.starts_with('/') {
            return Err(StoreAddressError {
                reason: "is no path",
                hint: "write unix:///run/redis/redis.sock",
            });
        }

        Ok(Self {
            place: StorePlace::Unix(path.to_owned()),
            user: (!user.is_empty()).then(|| user.to_owned()),
            database: 0,
        })
    }
}

impl fmt::Display for StoreAddress {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_stores_are_read() {
        let all = StoreAddress::parse("rediss://gate@cache.example:6380/2").unwrap();
        assert_eq!(all.user.as_deref(), Some("gate"));
        assert_eq!(all.database, 2);
        assert_eq!(all.to_string(), "rediss://cache.example:6380");
        let short = StoreAddress::parse("redis://[::1]").unwrap();
        let place = StorePlace::Tcp {
            host: "::1".to_owned(),
            port: 6379,
            tls: false,
        };
        assert_eq!(short.place, place);
        let socket = StoreAddress::parse("unix:///run/redis.sock").unwrap();
        assert_eq!(socket.to_string(), "unix:///run/redis.sock");
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
        ] {
            let error = StoreAddress::parse(text).unwrap_err();
            assert_eq!(error.reason, reason, "{text}");
            assert!(!error.hint.contains("secret@"), "{text}");
        }
    }
}
