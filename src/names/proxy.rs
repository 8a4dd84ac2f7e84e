//! The address of a proxy, without the user and password that it may ask for.

use super::Secret;
use http::Uri;
use percent_encoding::percent_decode_str;
use std::fmt;
use std::path::Path;
use std::sync::Arc;

/// How a proxy is spoken to.
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
    /// The word for it in URLs.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
            Self::Socks5 => "socks5",
            Self::Socks5h => "socks5h",
        }
    }

    /// The port of a URL that names none: curl's.
    const fn port(self) -> u16 {
        match self {
            Self::Https => 443,
            Self::Http | Self::Socks5 | Self::Socks5h => 1080,
        }
    }
}

/// A proxy: `scheme://host:port`. Its `Display` shows all of it; it never holds a password.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ProxyUrl {
    /// How it is spoken to.
    pub scheme: ProxyScheme,
    /// Its name or address; IPv6 without brackets.
    pub host: Arc<str>,
    /// Its port.
    pub port: u16,
}

/// The user and password for a proxy.
#[derive(Debug, Clone)]
pub struct ProxyUser {
    /// The user's name.
    pub name: Arc<Secret<String>>,
    /// The password; may be empty.
    pub password: Arc<Secret<String>>,
}

/// A proxy and where its user and password stand.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Proxy {
    /// Its address.
    pub url: ProxyUrl,
    /// The file with `user:password`.
    pub user_file: Option<Arc<Path>>,
}

/// Whether a proxy is used, and which.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum ProxyChoice {
    /// None, whatever the surroundings say.
    Off,
    /// This one.
    Through(Proxy),
}

impl ProxyUrl {
    /// Reads the URL of a proxy as curl does: without a scheme it is `http`; user and password
    /// may stand in it, percent-encoded; a path is ignored. The error says what is wrong with
    /// it, without the URL.
    pub fn parse(text: &str) -> Result<(Self, Option<ProxyUser>), &'static str> {
        let (scheme, rest) = text.split_once("://").unwrap_or(("http", text));
        let scheme = match scheme.to_ascii_lowercase().as_str() {
            "http" => ProxyScheme::Http,
            "https" => ProxyScheme::Https,
            "socks5" => ProxyScheme::Socks5,
            "socks5h" => ProxyScheme::Socks5h,
            "socks" | "socks4" | "socks4a" => {
                return Err("speaks an older SOCKS than version 5");
            }
            _ => return Err("has a scheme other than http, https, socks5 and socks5h"),
        };
        let (rest, path) = rest
            .find(['/', '?', '#'])
            .and_then(|end| rest.split_at_checked(end))
            .unwrap_or((rest, ""));
        if path.contains('@') {
            return Err("has a /, ? or # in its user or password: write it as %2F, %3F or %23");
        }
        let (user, address) = match rest.rsplit_once('@') {
            Some((user, address)) => (Some(ProxyUser::from_url(user)?), address),
            None => (None, rest),
        };
        // what is left is read by the same parser as every other URL
        let uri: Uri = format!("http://{address}/")
            .parse()
            .map_err(|_bad| "has no usable host and port")?;
        let host = uri.host().unwrap_or_default();
        let host = host.trim_start_matches('[').trim_end_matches(']');
        if host.is_empty() {
            return Err("has no host");
        }
        let has_port = !address.ends_with(']') && address.contains(':');
        let port = match uri.port_u16() {
            Some(0) => return Err("has no usable port"),
            Some(port) => port,
            None if has_port => return Err("has no usable port"),
            None => scheme.port(),
        };
        let url = Self {
            scheme,
            host: host.into(),
            port,
        };
        Ok((url, user))
    }
}

impl fmt::Display for ProxyUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (scheme, port) = (self.scheme.word(), self.port);
        if self.host.contains(':') {
            write!(f, "{scheme}://[{}]:{port}", self.host)
        } else {
            write!(f, "{scheme}://{}:{port}", self.host)
        }
    }
}

impl ProxyUser {
    /// Reads `user:password` as it stands in a URL.
    fn from_url(text: &str) -> Result<Self, &'static str> {
        let decode = |part: &str| {
            let decoded = percent_decode_str(part).decode_utf8();
            decoded
                .map(|text| Secret::new(text.into_owned()))
                .map_err(|_not_utf8| "has a user or password that is not UTF-8")
        };
        let (name, password) = text.split_once(':').unwrap_or((text, ""));
        Ok(Self {
            name: Arc::new(decode(name)?),
            password: Arc::new(decode(password)?),
        })
    }

    /// Reads the content of a file: `user:password`, as it is, but for the end of the line.
    /// `None` if there is no user.
    pub fn from_file(content: &str) -> Option<Self> {
        // some editors put a byte order mark first
        let content = content.strip_prefix('\u{feff}').unwrap_or(content);
        let line = content.strip_suffix('\n').unwrap_or(content);
        let line = line.strip_suffix('\r').unwrap_or(line);
        let (name, password) = line.split_once(':').unwrap_or((line, ""));
        let control = |c: char| c.is_control();
        if name.is_empty() || line.contains(control) {
            return None;
        }
        Some(Self {
            name: Arc::new(Secret::new(name.to_owned())),
            password: Arc::new(Secret::new(password.to_owned())),
        })
    }
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
