//! Connections as URIs, in both directions.

use std::fmt::Write as _;

use serde_json::{Map, Value};

use super::connections::Connection;

/// Reads `type://login:password@host:port/schema?extra=...`.
pub(super) fn parse(text: &str) -> Option<Connection> {
    let (kind, rest) = text.split_once("://")?;
    let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (authority, schema) = rest.split_once('/').unwrap_or((rest, ""));
    if kind.is_empty() || (authority.is_empty() && schema.is_empty() && query.is_empty()) {
        return None;
    }
    let (user, address) = authority.rsplit_once('@').unwrap_or(("", authority));
    let (login, password) = user.split_once(':').unwrap_or((user, ""));
    let (host, port) = match address.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, port),
        _ => (address, ""),
    };
    let port = if port.is_empty() {
        None
    } else {
        Some(port.parse().ok()?)
    };
    let part = |text: &str| (!text.is_empty()).then(|| unquote(text));
    let mut extra = Map::new();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        extra.insert(unquote(key), Value::from(unquote(value)));
    }
    Some(Connection {
        // the database calls postgresql by its short name, and a dash an underscore
        conn_type: if kind == "postgresql" {
            "postgres".into()
        } else {
            kind.replace('-', "_")
        },
        host: part(host),
        schema: part(schema),
        login: part(login),
        password: part(password),
        port,
        extra,
        ..Connection::default()
    })
}

/// Writes a connection as `get_uri` does.
pub(super) fn format(connection: &Connection) -> String {
    let mut out = format!(
        "{}://",
        connection.conn_type.to_lowercase().replace('_', "-")
    );
    let quoted = |part: &Option<String>| part.as_deref().map(quote).unwrap_or_default();
    if connection.login.is_some() || connection.password.is_some() {
        out.push_str(&quoted(&connection.login));
        if connection.password.is_some() {
            out.push(':');
            out.push_str(&quoted(&connection.password));
        }
        out.push('@');
    }
    out.push_str(&quoted(&connection.host));
    if let Some(port) = connection.port {
        let _ = write!(out, ":{port}");
    }
    if connection.schema.is_some() {
        out.push('/');
        out.push_str(&quoted(&connection.schema));
    }
    if !connection.extra.is_empty() {
        let pairs: Vec<String> = connection
            .extra
            .iter()
            .map(|(key, value)| format!("{}={}", quote(key), quote(&super::python::str(value))))
            .collect();
        let slash = if connection.schema.is_none() { "/" } else { "" };
        let _ = write!(out, "{slash}?{}", pairs.join("&"));
    }
    out
}

fn quote(text: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"_.-~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

fn unquote(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        let code = tail
            .get(..2)
            .and_then(|code| std::str::from_utf8(code).ok());
        match code.and_then(|code| u8::from_str_radix(code, 16).ok()) {
            Some(byte) if *first == b'%' => {
                bytes.push(byte);
                rest = tail.get(2..).unwrap_or_default();
            }
            _ => {
                bytes.push(*first);
                rest = tail;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::{format, parse};

    #[test]
    fn uris_survive_both_ways() {
        for text in [
            "postgres://u:p%40ss@h:5432/db",
            "http://h",
            "aws:///?region_name=eu-west-1",
            "my-type://u@h/a?x=1&y=2",
        ] {
            assert_eq!(format(&parse(text).expect(text)), text);
        }
    }

    #[test]
    fn what_is_no_uri_is_refused() {
        for text in ["", "h", "://h", "http://", "http://h:x"] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
