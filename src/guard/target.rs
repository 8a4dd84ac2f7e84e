//! Strict path reading: what is unclear is refused, never normalised, so the path that is
//! judged is byte for byte the path that is sent.

use super::GuardError;
use super::reserved::{Reserved, reserved};
use http::Uri;
use http::uri::PathAndQuery;
use percent_encoding::percent_decode_str;
use std::borrow::Cow;
use std::fmt;

/// A request target whose path has one reading only.
#[derive(Clone, PartialEq, Eq)]
pub struct Target {
    sent: PathAndQuery,
    reserved: Option<Reserved>,
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let size = self.sent.as_str().len();
        write!(f, "Target({size} bytes)")
    }
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

    /// Whether Airflow takes it as signing out, which it does by GET too: the FAB provider's
    /// way, and those of Airflow 2 and 3.
    pub fn signs_out(&self) -> bool {
        matches!(
            self.meant().as_ref(),
            "/logout" | "/auth/logout" | "/api/v2/auth/logout"
        )
    }

    /// The path as the web server reads it, for what is decided by name: escapes undone, and no
    /// slash at its end.
    pub fn meant(&self) -> Cow<'_, str> {
        match percent_decode_str(self.path()).decode_utf8_lossy() {
            Cow::Borrowed(path) => Cow::Borrowed(path.strip_suffix('/').unwrap_or(path)),
            Cow::Owned(path) => Cow::Owned(path.trim_end_matches('/').to_owned()),
        }
    }

    /// Path and query, exactly as sent.
    pub fn sent(&self) -> &PathAndQuery {
        &self.sent
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
    // keys of variables, URIs of assets: in Airflow's APIs a value may hold a slash
    let slashes = ["/api/v1/", "/api/v2/", "/ui/"]
        .iter()
        .any(|prefix| path.starts_with(prefix));
    let mut segments = path.split('/').skip(1).peekable();
    while let Some(segment) = segments.next() {
        let decoded = decode(segment, slashes)?;
        if decoded
            .split(|&b| b == b'/')
            .any(|part| matches!(part, b"." | b".."))
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
pub(super) fn decode(segment: &str, slashes: bool) -> Result<Cow<'_, [u8]>, GuardError> {
    const BAD: GuardError = GuardError::Malformed(
        "the path contains an escape that is not allowed (%2F is, below /api/v1/, /api/v2/ and /ui/)",
    );
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
        if value < 0x20 || matches!(value, b'\\' | b'%' | 0x7f) || (value == b'/' && !slashes) {
            return Err(BAD);
        }
        decoded.push(value);
    }
    if std::str::from_utf8(&decoded).is_err() {
        return Err(BAD);
    }
    Ok(Cow::Owned(decoded))
}

const NO_PATH: GuardError = GuardError::Malformed("the target is not an absolute path");

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(path: &str) -> Result<Option<Reserved>, GuardError> {
        Target::read(&path.parse().unwrap(), 8192).map(|target| target.reserved())
    }

    #[test]
    fn plain_paths_pass() {
        assert_eq!(read("/aws_mwaa/cli"), Ok(Some(Reserved::Cli)));
        assert_eq!(read("/aws_mwaa/cli?x=/home"), Ok(Some(Reserved::Cli)));
        assert_eq!(read("/aws_mwaa/cli/"), Ok(Some(Reserved::Mwaa)));
        assert_eq!(read("/pluginsv2/aws_mwaa/login"), Ok(Some(Reserved::Mwaa)));
        for sso in [
            "/aws_mwaa/aws-console-sso",
            "/pluginsv2/aws_mwaa/aws-console-sso",
        ] {
            assert_eq!(read(&format!("{sso}?login=true")), Ok(Some(Reserved::Sso)));
        }
        assert_eq!(read("/-/"), Ok(Some(Reserved::Own)));
        for path in [
            "/",
            "/home",
            "/dags/a%20b/grid",
            "/api/v1/dags?limit=1",
            "/home?next=/aws_mwaa/cli",
            "/pluginsv2/other/page",
            "/api/v2/variables/a%2Fb",
        ] {
            assert_eq!(read(path), Ok(None), "{path}");
        }
    }

    #[test]
    fn a_name_in_disguise_is_known() {
        for path in ["/logout/", "/logou%74/", "/api/v2/auth%2Flogout%2f"] {
            let target = Target::read(&path.parse().unwrap(), 8192).unwrap();
            assert!(target.signs_out(), "{path}");
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
            "/api/v2/variables/..%2f..%2faws_mwaa",
            "/pluginsv2/%61ws_mwaa/cli",
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

    /// Pieces that servers are known to disagree about, and ordinary ones.
    const PIECES: &str = "[a-zA-Z0-9._~-]{1,3}|/|//|\\.|\\.\\.|%[0-9a-fA-F]{2}|%[0-9a-zA-Z]{0,2}\
        |%2[eEfF]|%5[cC]|%25|;|\\\\|aws_mwaa|AWS_MWAA|pluginsv2|cli|%61ws_mwaa|[?]|#|[!$&'()*+,=:@]";

    /// How a lenient server may read a path: decoded to the end, separators of both kinds,
    /// dots resolved, parameters dropped, without regard to case.
    fn lenient(path: &str) -> Vec<String> {
        let mut bytes = path.as_bytes().to_vec();
        loop {
            let mut decoded = Vec::new();
            let mut rest = bytes.as_slice();
            while let Some((&byte, after)) = rest.split_first() {
                let escape = after.get(..2).and_then(|two| std::str::from_utf8(two).ok());
                let value = escape.and_then(|two| u8::from_str_radix(two, 16).ok());
                if let (b'%', Some(value)) = (byte, value) {
                    decoded.push(value);
                    rest = &after[2..];
                } else {
                    decoded.push(byte);
                    rest = after;
                }
            }
            if decoded == bytes {
                break;
            }
            bytes = decoded;
        }
        let text = String::from_utf8_lossy(&bytes).to_lowercase();
        let mut segments = Vec::new();
        for segment in text.split(['/', '\\']) {
            match segment.split(';').next().unwrap_or_default() {
                "" | "." => {}
                ".." => drop(segments.pop()),
                name => segments.push(name.to_owned()),
            }
        }
        segments
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1024))]

        /// Never panics; and what passes as none of the reserved paths is none of them to the
        /// most lenient server either.
        #[test]
        fn what_passes_has_one_reading(pieces in proptest::collection::vec(PIECES, 0..8)) {
            let text = format!("/{}", pieces.concat());
            let Ok(uri) = text.parse::<Uri>() else { return Ok(()) };
            let Ok(target) = Target::read(&uri, 8192) else { return Ok(()) };
            prop_assert_eq!(target.path(), uri.path());
            prop_assert_eq!(target.query(), uri.query());
            let segments = lenient(target.path());
            let cli = segments == ["aws_mwaa", "cli"];
            let first = segments.first().map(String::as_str);
            match target.reserved() {
                Some(Reserved::Cli) => prop_assert_eq!(target.path(), "/aws_mwaa/cli"),
                Some(Reserved::Mwaa) => {
                    prop_assert!(matches!(first, Some("aws_mwaa" | "pluginsv2")), "{}", text);
                }
                Some(Reserved::Sso) => {
                    prop_assert_eq!(segments.last().map(String::as_str), Some("aws-console-sso"));
                }
                Some(Reserved::Own) => prop_assert_eq!(first, Some("-")),
                None => {
                    prop_assert!(!cli && first != Some("aws_mwaa"), "{} is {:?}", text, segments);
                    let plugin = first == Some("pluginsv2");
                    let second = segments.get(1).map(String::as_str);
                    prop_assert!(!plugin || second != Some("aws_mwaa"), "{} is {:?}", text, segments);
                }
            }
        }

        /// Any text at all.
        #[test]
        fn no_text_makes_it_panic(text in "\\PC{0,40}") {
            if let Ok(uri) = text.parse::<Uri>() {
                drop(Target::read(&uri, 8192));
            }
        }
    }
}
