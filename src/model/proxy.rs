//! Proxies: their addresses, and the user and password that they may ask for.

use super::{HostPort, Secret, strip_brackets};
use http::Uri;
use percent_encoding::percent_decode_str;
use std::fmt;
use std::path::Path;
use std::sync::Arc;

/// The protocol of a proxy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ProxyScheme {
    /// HTTP `CONNECT` (RFC 9110 section 9.3.6).
    Http,
    /// HTTP `CONNECT` within TLS.
    Https,
    /// SOCKS 5 (RFC 1928); names are resolved here.
    Socks5,
    /// SOCKS 5; the proxy resolves names.
    Socks5h,
}

impl ProxyScheme {
    /// Returns the scheme as it is written in URLs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
            Self::Socks5 => "socks5",
            Self::Socks5h => "socks5h",
        }
    }

    /// Returns the port of a URL without one. It is the same as curl's.
    const fn default_port(self) -> u16 {
        match self {
            Self::Https => 443,
            Self::Http | Self::Socks5 | Self::Socks5h => 1080,
        }
    }

    fn parse(text: &str) -> Result<Self, &'static str> {
        match text.to_ascii_lowercase().as_str() {
            "http" => Ok(Self::Http),
            "https" => Ok(Self::Https),
            "socks5" => Ok(Self::Socks5),
            "socks5h" => Ok(Self::Socks5h),
            "socks" | "socks4" | "socks4a" => Err("uses a SOCKS version before 5"),
            _ => Err("has a scheme other than http, https, socks5 and socks5h"),
        }
    }
}

/// The address of a proxy: `scheme://host:port`. It never holds a password, so `Display` writes all
/// of it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ProxyUrl {
    /// The protocol.
    pub scheme: ProxyScheme,
    /// Its name or address; IPv6 without brackets.
    pub host: Arc<str>,
    /// Its port.
    pub port: u16,
}

impl ProxyUrl {
    /// Reads the URL of a proxy as curl does: the default scheme is `http`, user and password may
    /// be in it, percent-encoded, and a path is ignored. The error says what is wrong with the
    /// URL, and does not contain it.
    pub fn parse(text: &str) -> Result<(Self, Option<ProxyUser>), &'static str> {
        // curl takes a proxy without a scheme for an HTTP proxy
        let (scheme, rest) = text.split_once("://").unwrap_or(("http", text));
        let scheme = ProxyScheme::parse(scheme)?;

        let (authority, path) = rest
            .find(['/', '?', '#'])
            .and_then(|end| rest.split_at_checked(end))
            .unwrap_or((rest, ""));
        // the authority has ended within a password, and the rest of it would be logged as a host
        if path.contains('@') {
            return Err("has a /, ? or # in its user or password: write it as %2F, %3F or %23");
        }

        // an @ of the password may not be encoded: the last one ends it
        let (user, address) = match authority.rsplit_once('@') {
            Some((user, address)) => (Some(ProxyUser::from_url(user)?), address),
            None => (None, authority),
        };
        let (host, port) = parse_address(address)?;
        let url = Self {
            scheme,
            host: host.into(),
            port: port.unwrap_or_else(|| scheme.default_port()),
        };
        Ok((url, user))
    }
}

/// Reads `host[:port]` with the same parser as every other URL.
fn parse_address(address: &str) -> Result<(String, Option<u16>), &'static str> {
    let uri: Uri = format!("http://{address}/")
        .parse()
        .map_err(|_bad| "has no usable host and port")?;
    let host = strip_brackets(uri.host().unwrap_or_default());
    if host.is_empty() {
        return Err("has no host");
    }

    // the parser takes a port that is empty or too large for none
    let has_port = !address.ends_with(']') && address.contains(':');
    match uri.port_u16() {
        Some(0) => Err("has no usable port"),
        None if has_port => Err("has no usable port"),
        port => Ok((host.to_owned(), port)),
    }
}

impl fmt::Display for ProxyUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let address = HostPort {
            host: &self.host,
            port: self.port,
        };
        write!(f, "{}://{address}", self.scheme.as_str())
    }
}

/// The user and password for a proxy.
#[derive(Debug, Clone)]
pub struct ProxyUser {
    /// The user's name.
    pub name: Arc<Secret<String>>,
    /// The password; may be empty.
    pub password: Arc<Secret<String>>,
}

impl PartialEq for ProxyUser {
    fn eq(&self, other: &Self) -> bool {
        // both are in the gateway's own files: no one can measure how long this takes
        self.name.reveal() == other.name.reveal()
            && self.password.reveal() == other.password.reveal()
    }
}

impl Eq for ProxyUser {}

impl ProxyUser {
    /// Reads `user:password` as it is written in a URL.
    fn from_url(text: &str) -> Result<Self, &'static str> {
        let decode = |part: &str| {
            let decoded = percent_decode_str(part).decode_utf8();
            decoded
                .map(|text| Secret::new(text.into_owned()))
                .map_err(|_not_utf8| "has a user or password that is not UTF-8")
        };
        // a user without a password is common
        let (name, password) = text.split_once(':').unwrap_or((text, ""));
        Ok(Self {
            name: Arc::new(decode(name)?),
            password: Arc::new(decode(password)?),
        })
    }

    /// Reads the content of a file: `user:password` without any encoding, and a line end.
    /// Returns `None` if there is no user.
    pub fn from_file(content: &str) -> Option<Self> {
        // some editors put a byte order mark first
        let content = content.strip_prefix('\u{feff}').unwrap_or(content);
        let line = content.strip_suffix('\n').unwrap_or(content);
        let line = line.strip_suffix('\r').unwrap_or(line);
        let (name, password) = line.split_once(':').unwrap_or((line, ""));

        // a second line shows that the file is something else
        if name.is_empty() || line.contains(char::is_control) {
            return None;
        }
        Some(Self {
            name: Arc::new(Secret::new(name.to_owned())),
            password: Arc::new(Secret::new(password.to_owned())),
        })
    }
}

/// A proxy, as the configuration names it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ProxyConfig {
    /// Its address.
    pub url: ProxyUrl,
    /// The file with `user:password`.
    pub user_file: Option<Arc<Path>>,
}

/// The choice between no proxy and one.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum ProxyChoice {
    /// No proxy, even if environment variables name one.
    Off,
    /// This one.
    Through(ProxyConfig),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_read_as_curl_reads_them() {
        for (text, shown) in [
            ("http://proxy.example:3128", "http://proxy.example:3128"),
            ("proxy.example:3128", "http://proxy.example:3128"),
            ("proxy.example", "http://proxy.example:1080"),
            ("HTTPS://proxy.example/x", "https://proxy.example:443"),
            ("socks5h://127.0.0.1", "socks5h://127.0.0.1:1080"),
            ("socks5://[::1]:99/", "socks5://[::1]:99"),
            ("http://u:p%40ss@proxy.example:1", "http://proxy.example:1"),
        ] {
            let (url, _user) = ProxyUrl::parse(text).unwrap();
            assert_eq!(url.to_string(), shown, "{text}");
        }
        for bad in [
            "",
            "http://",
            "socks4://a:1",
            "ftp://a:1",
            "http://a:99999",
            "http://a:0",
            "a b:1",
            "http://a:x",
            "http://u:1/2@a:1",
            "http://u@",
            "http://[::1",
            "http://%ff@a:1",
        ] {
            assert!(ProxyUrl::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn users_are_decoded_in_urls_and_plain_in_files() {
        let (_, user) = ProxyUrl::parse("http://do%3Amain:p%40:ss@a:1").unwrap();
        let user = user.unwrap();
        assert_eq!(user.name.reveal(), "do:main");
        assert_eq!(user.password.reveal(), "p@:ss");
        let user = ProxyUser::from_file("me:p%40ss:word\r\n").unwrap();
        assert_eq!(user.password.reveal(), "p%40ss:word");
        assert!(!format!("{user:?}").contains("p%40ss"));
        for bad in ["", "\n", ":x", "a:b\nc:d\n"] {
            assert!(ProxyUser::from_file(bad).is_none(), "{bad:?}");
        }
    }
}
