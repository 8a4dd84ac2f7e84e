//! Strict path reading: what is unclear is refused, never normalised, so the path that is
//! judged is byte for byte the path that is sent.

use super::GuardError;
use http::Uri;
use http::uri::PathAndQuery;
use std::borrow::Cow;

/// A request target whose path has one reading only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    sent: PathAndQuery,
    reserved: Option<Reserved>,
}

/// Paths that mean something to the gateway itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reserved {
    /// `/aws_mwaa/cli`.
    Cli,
    /// Anything else below `/aws_mwaa/` or `/pluginsv2/aws_mwaa/`.
    Mwaa,
    /// `/-/…`: our own pages, never forwarded.
    Own,
}

impl Target {
    /// Reads the target of a request line.
    pub(super) fn read(uri: &Uri, limit: usize) -> Result<Self, GuardError> {
        let path = uri.path();
        if path.len() + uri.query().map_or(0, str::len) > limit {
            return Err(GuardError::TargetTooLong);
        }
        check_path(path)?;
        Ok(Self {
            reserved: reserved(path)?,
            // a reference count, not a copy
            sent: uri.path_and_query().cloned().ok_or(NO_PATH)?,
        })
    }

    /// The path, exactly as sent.
    pub fn path(&self) -> &str {
        self.sent.path()
    }

    /// The query, exactly as sent; it plays no part in any decision.
    pub fn query(&self) -> Option<&str> {
        self.sent.query()
    }

    /// What the path means to us.
    pub fn reserved(&self) -> Option<Reserved> {
        self.reserved
    }
}

fn check_path(path: &str) -> Result<(), GuardError> {
    if !path.starts_with('/') {
        return Err(NO_PATH);
    }
    if path
        .bytes()
        .any(|b| !(0x21..=0x7e).contains(&b) || matches!(b, b'\\' | b';' | b'#'))
    {
        return Err(GuardError::Malformed(
            "the path contains a byte that servers read differently",
        ));
    }
    let mut segments = path.split('/').skip(1).peekable();
    while let Some(segment) = segments.next() {
        let decoded = decode(segment)?;
        if matches!(&*decoded, b"." | b"..")
            || (segment.is_empty() && segments.peek().is_some())
        {
            return Err(GuardError::Malformed(
                "the path contains a dot or empty segment",
            ));
        }
    }
    Ok(())
}

/// Undoes percent-encoding (RFC 3986 section 2.1), refusing what must not be hidden in it.
fn decode(segment: &str) -> Result<Cow<'_, [u8]>, GuardError> {
    const BAD: GuardError =
        GuardError::Malformed("the path contains an escape that is not allowed");
    if !segment.bytes().any(|b| b == b'%') {
        return Ok(Cow::Borrowed(segment.as_bytes()));
    }
    let mut bytes = segment.bytes();
    let mut decoded = Vec::with_capacity(segment.len());
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            decoded.push(byte);
            continue;
        }
        let mut digit = || bytes.next().and_then(|b| char::from(b).to_digit(16));
        let (Some(high), Some(low)) = (digit(), digit()) else {
            return Err(BAD);
        };
        let value = u8::try_from(high * 16 + low).unwrap_or(0);
        if value < 0x20 || matches!(value, b'/' | b'\\' | b'%' | 0x7f) {
            return Err(BAD);
        }
        decoded.push(value);
    }
    if std::str::from_utf8(&decoded).is_err() {
        return Err(BAD);
    }
    Ok(Cow::Owned(decoded))
}

/// Reserved prefixes compare without regard to case or escapes, and then must be spelled
/// plainly: the web server would decode what we had let pass.
fn reserved(path: &str) -> Result<Option<Reserved>, GuardError> {
    if path == "/aws_mwaa/cli" {
        return Ok(Some(Reserved::Cli));
    }
    let first = decode(path.trim_start_matches('/').split('/').next().unwrap_or(""))?;
    let kind = match first.to_ascii_lowercase().as_slice() {
        b"aws_mwaa" | b"pluginsv2" => Reserved::Mwaa,
        b"-" => return Ok(Some(Reserved::Own)),
        _ => return Ok(None),
    };
    let spelled = path.starts_with("/aws_mwaa") || path.starts_with("/pluginsv2");
    if !spelled || path.contains('%') {
        return Err(GuardError::Malformed(
            "a reserved path is spelled in an unusual way",
        ));
    }
    Ok(Some(kind))
}

const NO_PATH: GuardError = GuardError::Malformed("the target is not an absolute path");

#[cfg(test)]
mod tests {
    use super::*;

    fn read(path: &str) -> Result<Option<Reserved>, GuardError> {
        Target::read(&path.parse().unwrap(), 8192).map(|target| target.reserved())
    }

    #[test]
    fn plain_paths_pass() {
        assert_eq!(read("/aws_mwaa/cli"), Ok(Some(Reserved::Cli)));
        assert_eq!(read("/aws_mwaa/cli?x=/home"), Ok(Some(Reserved::Cli)));
        assert_eq!(read("/aws_mwaa/cli/"), Ok(Some(Reserved::Mwaa)));
        assert_eq!(read("/pluginsv2/aws_mwaa/login"), Ok(Some(Reserved::Mwaa)));
        assert_eq!(read("/-/"), Ok(Some(Reserved::Own)));
        for path in [
            "/",
            "/home",
            "/dags/a%20b/grid",
            "/api/v1/dags?limit=1",
            "/home?next=/aws_mwaa/cli",
        ] {
            assert_eq!(read(path), Ok(None), "{path}");
        }
    }

    #[test]
    fn tricks_do_not() {
        for path in [
            "//aws_mwaa/cli",
            "/aws_mwaa%2fcli",
            "/aws_mwaa%2Fcli",
            "/aws_mwaa%5ccli",
            "/aws_mwaa/./cli",
            "/static/../aws_mwaa/cli",
            "/static/%2e%2e/aws_mwaa/cli",
            "/static/..;/aws_mwaa/cli",
            "/%61ws_mwaa/cli",
            "/AWS_MWAA/CLI",
            "/aws_mwaa/cli%00",
            "/aws_mwaa/cli%0d%0aX:y",
            "/x%252f",
            "/x%zz",
            "/x%4",
            "/x%c0%af",
            "/aws_mwaa/c%6ci",
            "/PluginsV2/aws_mwaa/cli",
        ] {
            assert!(
                matches!(read(path), Err(GuardError::Malformed(_))),
                "{path}"
            );
        }
        let long = format!("/{}", "x".repeat(9000));
        assert_eq!(read(&long), Err(GuardError::TargetTooLong));
    }
}
