//! Request targets. Strict reading: an unclear path is refused, never normalised, so the path that
//! is checked is byte for byte the path that is sent.
//!
//! Names below `/api/vN/` and `/ui/` are opaque: keys of variables, URIs of assets and ids of runs
//! may hold slashes, percent signs and backslashes. There a path is refused only if it could name
//! another route once it is decoded. Code that decides by the path of such a request looks at every
//! [reading](Target::readings) of it.

use http::Uri;
use http::uri::PathAndQuery;
use percent_encoding::percent_decode_str;
use std::borrow::Cow;
use std::fmt;

/// A request target whose path has one reading only, except for opaque names.
#[derive(Clone, PartialEq, Eq)]
pub struct Target {
    sent: PathAndQuery,
    reserved: Option<ReservedPath>,
    /// The readings of a path with escapes or empty segments. Empty for any other path, which is
    /// its own reading.
    readings: Vec<String>,
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let size = self.sent.as_str().len();
        write!(f, "Target({size} bytes)")
    }
}

impl Target {
    /// Checks the target of a request line. Fails if path and query are longer than `limit`, or
    /// if the path could be read in two ways.
    pub fn parse(uri: &Uri, limit: usize) -> Result<Self, TargetError> {
        let path = uri.path();
        // before any other work on it
        if path.len() + uri.query().map_or(0, str::len) > limit {
            return Err(TargetError::TooLong);
        }
        let decodings = check_path(path)?;
        Ok(Self {
            reserved: find_reserved(path)?,
            readings: make_readings(decodings),
            // a reference count, not a copy
            sent: uri.path_and_query().cloned().ok_or(PathError::Relative)?,
        })
    }

    /// Returns the path, exactly as sent.
    pub fn path(&self) -> &str {
        self.sent.path()
    }

    /// Returns the query, exactly as sent. No decision depends on it.
    pub fn query(&self) -> Option<&str> {
        self.sent.query()
    }

    /// Returns path and query, exactly as sent.
    pub fn path_and_query(&self) -> &PathAndQuery {
        &self.sent
    }

    /// Returns the path as Airflow's web servers read it: decoded once, without a slash at the
    /// end.
    pub fn decoded_path(&self) -> &str {
        match self.readings.first() {
            Some(once) => once,
            None => trim_end(self.path()),
        }
    }

    /// Returns the path as web servers may read it, for decisions by name: [decoded
    /// once](Self::decoded_path); and if the path is not clear, also decoded to the end, and with
    /// backslashes as slashes and without empty segments.
    pub fn readings(&self) -> impl Iterator<Item = &str> {
        let others = self.readings.iter().skip(1).map(String::as_str);
        std::iter::once(self.decoded_path()).chain(others)
    }

    /// Returns true if a web server could take the path for one of these, by any of its readings.
    pub fn matches_any(&self, paths: &[&str]) -> bool {
        self.readings().any(|reading| paths.contains(&reading))
    }

    /// Returns true if Airflow ends the session at this path, which it does for a GET too: the
    /// paths of the FAB provider, Airflow 2 and Airflow 3.
    pub fn is_logout(&self) -> bool {
        self.matches_any(&["/logout", "/auth/logout", "/api/v2/auth/logout"])
    }

    /// Returns the gateway's own meaning of the path, if it has one.
    pub fn reserved(&self) -> Option<ReservedPath> {
        self.reserved
    }
}

/// A path that the gateway itself handles.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReservedPath {
    /// `/aws_mwaa/cli`.
    Cli,
    /// `/aws_mwaa/aws-console-sso`, also below `/pluginsv2` (Airflow 3).
    Handover,
    /// Anything else below `/aws_mwaa/` or `/pluginsv2/aws_mwaa/`.
    Mwaa,
    /// `/-/…`: our own pages, never forwarded.
    Own,
}

/// The reason why a request target is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TargetError {
    /// It is longer than the limit.
    #[error("the request target is too long")]
    TooLong,
    /// Its path could be read in two ways.
    #[error(transparent)]
    Path(#[from] PathError),
}

/// The reason why a path is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    /// It begins with two slashes.
    #[error("the path begins with two slashes: the base URL ends in /")]
    BaseUrl,
    /// A byte that is not allowed in a path, or that servers read differently.
    #[error("the path contains a byte that servers interpret differently")]
    Byte,
    /// A segment that is a dot or two dots, also after decoding.
    #[error("the path contains a dot segment")]
    Dots,
    /// An empty segment.
    #[error("the path contains an empty segment")]
    Empty,
    /// An escape that is invalid or could hide something.
    #[error("the path contains an ambiguous percent-escape")]
    Escape,
    /// It is not an absolute path.
    #[error("the target is not an absolute path")]
    Relative,
    /// A path that the gateway handles, in an unusual spelling.
    #[error("a path of the gateway is not in its plain spelling")]
    Reserved,
}

impl PathError {
    /// Returns what the client can do about it.
    pub const fn hint(self) -> &'static str {
        match self {
            Self::BaseUrl => {
                "remove the slash at the end of the base URL: http://localhost:8080"
            }
            Self::Byte => {
                "send a semicolon as %3B; a backslash only as %5C, in names below /api/vN/ and /ui/"
            }
            Self::Dots => "send the resolved path, without . and .. segments",
            Self::Empty => {
                "remove one of the two slashes; empty segments are only allowed below /api/vN/ \
                 and /ui/"
            }
            Self::Escape => {
                "escapes must be complete, valid UTF-8 and not control characters; %2F, %5C \
                 and %25 are only allowed below /api/vN/ and /ui/; no escape may be part of \
                 aws_mwaa"
            }
            Self::Relative => "send a path that begins with a slash",
            Self::Reserved => "write it in lower case and without escapes: /aws_mwaa/cli",
        }
    }
}

/// Returns true if the names in the path are opaque: below `/api/vN/` and `/ui/`.
pub fn is_opaque(path: &str) -> bool {
    if path.starts_with("/ui/") {
        return true;
    }
    let Some(rest) = path.strip_prefix("/api/v") else {
        return false;
    };
    // any version, so that a new one is not read by the rules for the UI
    let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
    digits > 0 && rest.as_bytes().get(digits) == Some(&b'/')
}

/// Checks a path and returns its decodings: decoded once, twice, and so on to the end; none if
/// the path has only one reading.
fn check_path(path: &str) -> Result<Vec<String>, PathError> {
    // nearly every path, so it is recognised first
    if is_plain(path) {
        return Ok(Vec::new());
    }
    check_unusual(path)
}

/// Checks a path of any form, like [`check_path`].
fn check_unusual(path: &str) -> Result<Vec<String>, PathError> {
    if !path.starts_with('/') {
        return Err(PathError::Relative);
    }
    if path.starts_with("//") {
        return Err(PathError::BaseUrl);
    }

    let opaque = is_opaque(path);
    // Browsers take a backslash for a slash, a # begins a fragment, and a semicolon begins
    // parameters (RFC 3986 section 3.3), which some servers drop.
    let is_foul = |b: u8| {
        !(0x21..=0x7e).contains(&b) || matches!(b, b'\\' | b'#') || (b == b';' && !opaque)
    };
    if path.bytes().any(is_foul) {
        return Err(PathError::Byte);
    }

    if opaque {
        decode(path, true)?;
    } else {
        check_segments(path)?;
    }
    let decodings = decode_all(path)?;
    if opaque {
        check_opaque(path, &decodings)?;
    }
    Ok(decodings)
}

/// Returns true if a path has no escape, no byte that has a meaning of its own, no empty segment and
/// no segment that begins with a dot.
fn is_plain(path: &str) -> bool {
    let mut last = 0;
    let is_usual = |byte: u8| {
        let begins_segment = std::mem::replace(&mut last, byte) == b'/';
        match byte {
            b'/' | b'.' => !begins_segment,
            b'-' | b'_' | b'~' => true,
            _ => byte.is_ascii_alphanumeric(),
        }
    };
    path.starts_with('/') && path.bytes().all(is_usual)
}

/// Fails if a segment is empty or a dot, or if an escape hides a separator.
fn check_segments(path: &str) -> Result<(), PathError> {
    let mut segments = path.split('/').skip(1).peekable();
    while let Some(segment) = segments.next() {
        let decoded = decode(segment, false)?;
        if matches!(decoded.as_ref(), b"." | b"..") {
            return Err(PathError::Dots);
        }
        // a slash at the end is common, and means the same everywhere
        if segment.is_empty() && segments.peek().is_some() {
            return Err(PathError::Empty);
        }
    }
    Ok(())
}

/// Fails if a decoding of a path with opaque names has dot segments, or is one of MWAA's own
/// routes. Parameters after a semicolon do not hide that.
fn check_opaque(path: &str, decodings: &[String]) -> Result<(), PathError> {
    let count_mwaa = |text| {
        split_segments(text)
            .filter(|segment| segment.eq_ignore_ascii_case("aws_mwaa"))
            .count()
    };

    if has_dots(path) {
        return Err(PathError::Dots);
    }
    for text in decodings.iter().map(String::as_str) {
        if has_dots(text) {
            return Err(PathError::Dots);
        }
        // a DAG may have that name; an escape that spells it means something else
        if count_mwaa(text) > count_mwaa(path) {
            return Err(PathError::Escape);
        }
    }
    Ok(())
}

/// Returns true if a segment is a dot or two dots, with parameters or without.
fn has_dots(text: &str) -> bool {
    // most paths have no dot at all
    text.bytes().any(|byte| byte == b'.')
        && split_segments(text)
            .any(|segment| matches!(segment.split(';').next(), Some("." | "..")))
}

/// Splits a path as a server does that takes backslashes for slashes.
fn split_segments(text: &str) -> impl Iterator<Item = &str> {
    text.split(['/', '\\'])
}

/// Returns what a path means to the gateway.
///
/// Reserved prefixes compare without regard to case or escapes, and then must be spelled plainly:
/// the web server would decode any other spelling.
fn find_reserved(path: &str) -> Result<Option<ReservedPath>, PathError> {
    if path == "/aws_mwaa/cli" {
        return Ok(Some(ReservedPath::Cli));
    }

    let mut rest = path.strip_prefix('/').unwrap_or_default();
    let mut next = || {
        let end = rest.bytes().position(|byte| byte == b'/');
        let (segment, after) = rest.split_at(end.unwrap_or(rest.len()));
        rest = after.strip_prefix('/').unwrap_or_default();
        decode(segment, false)
    };
    let is_mwaa = |segment: &[u8]| segment.eq_ignore_ascii_case(b"aws_mwaa");
    let first = next()?;
    let family = match first.as_ref() {
        b"-" => return Ok(Some(ReservedPath::Own)),
        // other plugins of Airflow 3 are beside MWAA's own
        family if family.eq_ignore_ascii_case(b"pluginsv2") => {
            if !is_mwaa(&next()?) {
                return Ok(None);
            }
            "/pluginsv2/aws_mwaa"
        }
        family if is_mwaa(family) => "/aws_mwaa",
        _ => return Ok(None),
    };

    let rest = path.strip_prefix(family).filter(|_| !path.contains('%'));
    let rest = rest.ok_or(PathError::Reserved)?;
    Ok(Some(if rest == "/aws-console-sso" {
        ReservedPath::Handover
    } else {
        ReservedPath::Mwaa
    }))
}

/// Undoes percent-encoding (RFC 3986 section 2.1) once. Fails if an escape is not valid or hides a
/// special character; in an opaque text slashes, backslashes and percent signs may be escaped.
fn decode(text: &str, opaque: bool) -> Result<Cow<'_, [u8]>, PathError> {
    if !text.bytes().any(|b| b == b'%') {
        return Ok(Cow::Borrowed(text.as_bytes()));
    }

    let mut bytes = text.bytes();
    let mut decoded = Vec::with_capacity(text.len());
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            decoded.push(byte);
            continue;
        }
        let mut digit = || bytes.next().and_then(|b| char::from(b).to_digit(16));
        let (Some(high), Some(low)) = (digit(), digit()) else {
            return Err(PathError::Escape);
        };
        let value = u8::try_from(high * 16 + low).unwrap_or(0);
        // a server that decodes before it routes would see other segments
        let hides = matches!(value, b'\\' | b'%' | b'/') && !opaque;
        if value < 0x20 || value == 0x7f || hides {
            return Err(PathError::Escape);
        }
        decoded.push(value);
    }

    // servers replace, drop or keep invalid UTF-8
    if std::str::from_utf8(&decoded).is_err() {
        return Err(PathError::Escape);
    }
    Ok(Cow::Owned(decoded))
}

/// Undoes percent-encoding again and again, and returns the result of each round. Fails if there
/// are too many: no client means such a path, and it would cost time.
fn decode_all(path: &str) -> Result<Vec<String>, PathError> {
    let mut decodings: Vec<String> = Vec::new();
    if !path.contains('%') {
        // empty segments alone may be read in two ways
        if path.as_bytes().windows(2).any(|pair| pair == b"//") {
            decodings.push(path.to_owned());
        }
        return Ok(decodings);
    }

    loop {
        let text = decodings.last().map_or(path, String::as_str);
        // later rounds may make invalid UTF-8, which no reserved name has
        let decoded = percent_decode_str(text).decode_utf8_lossy();
        if decoded == text {
            return Ok(decodings);
        }
        if decodings.len() == MAX_DECODINGS {
            return Err(PathError::Escape);
        }
        let decoded = decoded.into_owned();
        decodings.push(decoded);
    }
}

/// Returns the readings of a path that has these decodings: decoded once, decoded to the end, and
/// that without empty segments and backslashes. Empty if there are no decodings.
fn make_readings(decodings: Vec<String>) -> Vec<String> {
    let (Some(once), Some(whole)) = (decodings.first(), decodings.last()) else {
        return decodings;
    };
    // some servers merge slashes, or take backslashes for slashes
    let plain: String = whole
        .split(['/', '\\'])
        .filter(|segment| !segment.is_empty())
        .flat_map(|segment| ["/", segment])
        .collect();

    let mut readings: Vec<String> = Vec::with_capacity(3);
    for text in [once, whole, &plain] {
        let text = trim_end(text);
        if !readings.iter().any(|reading| reading == text) {
            readings.push(text.to_owned());
        }
    }
    readings
}

/// Returns the path without slashes at its end. The root is empty.
fn trim_end(path: &str) -> &str {
    path.trim_end_matches('/')
}

/// A name that is encoded more often than this is not a name.
const MAX_DECODINGS: usize = 4;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(path: &str) -> Result<Option<ReservedPath>, TargetError> {
        Target::parse(&path.parse().unwrap(), 8192).map(|target| target.reserved())
    }

    #[test]
    fn plain_paths_are_accepted() {
        assert_eq!(read("/aws_mwaa/cli"), Ok(Some(ReservedPath::Cli)));
        assert_eq!(read("/aws_mwaa/cli?x=/home"), Ok(Some(ReservedPath::Cli)));
        assert_eq!(read("/aws_mwaa/cli/"), Ok(Some(ReservedPath::Mwaa)));
        assert_eq!(
            read("/pluginsv2/aws_mwaa/login"),
            Ok(Some(ReservedPath::Mwaa))
        );
        for sso in [
            "/aws_mwaa/aws-console-sso",
            "/pluginsv2/aws_mwaa/aws-console-sso",
        ] {
            assert_eq!(
                read(&format!("{sso}?login=true")),
                Ok(Some(ReservedPath::Handover))
            );
        }
        assert_eq!(read("/-/"), Ok(Some(ReservedPath::Own)));
        for path in [
            "/",
            "/home",
            "/dags/a%20b/grid",
            "/api/v1/dags?limit=1",
            "/home?next=/aws_mwaa/cli",
            "/pluginsv2/other/page",
            "/api/v2/variables/a%2Fb",
            "/api/v2/variables//foo",
            "/api/v2/variables/s3://bucket/x",
            "/api/v2/variables/100%25",
            "/api/v2/variables/%252Fx",
            "/api/v2/variables/%252525x",
            "/api/v12/x%5Cy",
            "/ui/assets/a;b",
            "/api/v2/dags/aws_mwaa/details",
        ] {
            assert_eq!(read(path), Ok(None), "{path}");
        }
    }

    #[test]
    fn each_fault_of_a_path_has_its_own_error() {
        for (path, fault) in [
            ("//api/v1/dags", PathError::BaseUrl),
            ("//", PathError::BaseUrl),
            ("/dags//grid", PathError::Empty),
            ("/dags/../x", PathError::Dots),
            ("/dags/a%2Fb", PathError::Escape),
            ("/dags/x;y", PathError::Byte),
            ("/AWS_MWAA/cli", PathError::Reserved),
        ] {
            assert_eq!(read(path), Err(TargetError::Path(fault)), "{path}");
        }
    }

    #[test]
    fn a_path_in_doubt_has_several_readings() {
        let readings = |path: &str| {
            let target = Target::parse(&path.parse().unwrap(), 8192).unwrap();
            target.readings().map(str::to_owned).collect::<Vec<_>>()
        };
        assert_eq!(readings("/home/"), ["/home"]);
        assert_eq!(readings("/"), [""]);
        assert_eq!(readings("/dags/a%20b"), ["/dags/a b"]);
        assert_eq!(
            readings("/api/v2//x%252Fy%5Cz"),
            ["/api/v2//x%2Fy\\z", "/api/v2//x/y\\z", "/api/v2/x/y/z"]
        );
    }

    #[test]
    fn a_disguised_logout_path_is_recognised() {
        for path in [
            "/logout/",
            "/logou%74/",
            "/api/v2/auth%2Flogout%2f",
            "/api/v2//auth/logout",
            "/api/v2/auth%252Flogout",
            "/api/v2/auth%5Clogout",
        ] {
            let target = Target::parse(&path.parse().unwrap(), 8192).unwrap();
            assert!(target.is_logout(), "{path}");
        }
    }

    #[test]
    fn ambiguous_paths_are_refused() {
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
            "/api/v2/variables/%252e%252e/x",
            "/api/v2/variables/%25252e%25252e/x",
            "/api/v2/variables/x%5C..%5Cy",
            "/api/v2/variables/..;x/y",
            "/api/v2/variables/%2525252525x",
            "/api/v2/%2Faws_mwaa/cli",
            "/api/v2/x%252FAWS_mwaa",
            "/api/v2/variables/x%00",
            "/api/v2/variables/x%0a",
            "/api/v2/variables/x%c0%af",
            "/api/vx//y",
            "/apis/v2//y",
            "/pluginsv2/%61ws_mwaa/cli",
            "/x%zz",
            "/x%4",
            "/x%c0%af",
            "/aws_mwaa/c%6ci",
            "/PluginsV2/aws_mwaa/cli",
        ] {
            assert!(matches!(read(path), Err(TargetError::Path(_))), "{path}");
        }
        let long = format!("/{}", "x".repeat(9000));
        assert_eq!(read(&long), Err(TargetError::TooLong));
    }

    /// Pieces that servers are known to disagree about, and ordinary ones.
    const PIECES: &str = "[a-zA-Z0-9._~-]{1,3}|/|//|\\.|\\.\\.|%[0-9a-fA-F]{2}|%[0-9a-zA-Z]{0,2}\
        |%2[eEfF]|%5[cC]|%25|;|\\\\|aws_mwaa|AWS_MWAA|pluginsv2|cli|%61ws_mwaa|[?]|#|[!$&'()*+,=:@]";

    /// Returns a path as a lenient server may read it: decoded to the end, separators of both kinds,
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

        #[test]
        fn a_plain_path_passes_all_checks(pieces in proptest::collection::vec(PIECES, 0..8)) {
            let text = format!("/{}", pieces.concat());
            if is_plain(&text) {
                prop_assert_eq!(check_unusual(&text), Ok(Vec::new()));
            }
        }

        /// Never panics; and a path that is not reserved here is not reserved for the most lenient
        /// server either.
        #[test]
        fn an_accepted_path_has_one_reading(pieces in proptest::collection::vec(PIECES, 0..8)) {
            let text = format!("/{}", pieces.concat());
            let Ok(uri) = text.parse::<Uri>() else { return Ok(()) };
            let Ok(target) = Target::parse(&uri, 8192) else { return Ok(()) };
            prop_assert_eq!(target.path(), uri.path());
            prop_assert_eq!(target.query(), uri.query());
            let segments = lenient(target.path());
            let cli = segments == ["aws_mwaa", "cli"];
            let first = segments.first().map(String::as_str);
            match target.reserved() {
                Some(ReservedPath::Cli) => prop_assert_eq!(target.path(), "/aws_mwaa/cli"),
                Some(ReservedPath::Mwaa) => {
                    prop_assert!(matches!(first, Some("aws_mwaa" | "pluginsv2")), "{}", text);
                }
                Some(ReservedPath::Handover) => {
                    prop_assert_eq!(segments.last().map(String::as_str), Some("aws-console-sso"));
                }
                Some(ReservedPath::Own) => prop_assert_eq!(first, Some("-")),
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
        fn parsing_any_text_does_not_panic(text in "\\PC{0,40}") {
            if let Ok(uri) = text.parse::<Uri>() {
                drop(Target::parse(&uri, 8192));
            }
        }
    }
}
