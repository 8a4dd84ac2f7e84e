//! Strict path reading: what is unclear is refused, never normalised, so the path that is
//! judged is byte for byte the path that is sent.
//!
//! Names below `/api/vN/` and `/ui/` are opaque: keys of variables, URIs of assets and ids of
//! runs may hold slashes, percent signs and backslashes. There only that is refused which could
//! lead to another place once it is decoded. Code that decides by the path of such a request looks
//! at every [reading](Target::readings) of it.

use super::decoding::{decode, decodings, readings, trimmed};
use super::reserved::{Reserved, reserved};
use super::{GuardError, PathFault};
use http::Uri;
use http::uri::PathAndQuery;
use std::fmt;

/// A request target whose path has one reading only, but for opaque names.
#[derive(Clone, PartialEq, Eq)]
pub struct Target {
    sent: PathAndQuery,
    reserved: Option<Reserved>,
    /// The readings of a path with escapes or empty segments; else the path is its own.
    decoded: Vec<String>,
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
        let decoded = check(path).map_err(GuardError::Path)?;
        Ok(Self {
            reserved: reserved(path).map_err(GuardError::Path)?,
            decoded: readings(decoded),
            // a reference count, not a copy
            sent: uri
                .path_and_query()
                .cloned()
                .ok_or(GuardError::Path(PathFault::Relative))?,
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
        self.may_be(&["/logout", "/auth/logout", "/api/v2/auth/logout"])
    }

    /// Whether a web server could take the path for one of these, by any of its readings.
    pub fn may_be(&self, paths: &[&str]) -> bool {
        self.readings().any(|reading| paths.contains(&reading))
    }

    /// The path as Airflow's web servers read it: decoded once, no slash at its end.
    pub fn meant(&self) -> &str {
        match self.decoded.first() {
            Some(once) => once,
            None => trimmed(self.path()),
        }
    }

    /// The path as web servers may read it, for what is decided by name: [decoded
    /// once](Self::meant); and where the path leaves room for doubt, also decoded to the end,
    /// and with backslashes taken for slashes and empty segments dropped.
    pub fn readings(&self) -> impl Iterator<Item = &str> {
        std::iter::once(self.meant()).chain(self.decoded.iter().skip(1).map(String::as_str))
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

/// Whether the names in the path are opaque: below `/api/vN/` and `/ui/`.
pub fn is_opaque(path: &str) -> bool {
    if path.starts_with("/ui/") {
        return true;
    }
    let Some(rest) = path.strip_prefix("/api/v") else {
        return false;
    };
    let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
    digits > 0 && rest.as_bytes().get(digits) == Some(&b'/')
}

/// Checks a path, and returns its decodings: decoded once, twice, and so on to the end; none
/// where nothing in it can be read in two ways.
fn check(path: &str) -> Result<Vec<String>, PathFault> {
    if !path.starts_with('/') {
        return Err(PathFault::Relative);
    }
    if path.starts_with("//") {
        return Err(PathFault::BaseUrl);
    }
    let opaque = is_opaque(path);
    let foul = |b: u8| {
        !(0x21..=0x7e).contains(&b) || matches!(b, b'\\' | b'#') || (b == b';' && !opaque)
    };
    if path.bytes().any(foul) {
        return Err(PathFault::Byte);
    }
    if opaque {
        decode(path, true)?;
    } else {
        check_segments(path)?;
    }
    let decodings = decodings(path)?;
    if opaque {
        check_opaque(path, &decodings)?;
    }
    Ok(decodings)
}

/// Outside opaque names no segment is empty or a dot, and no escape hides a separator.
fn check_segments(path: &str) -> Result<(), PathFault> {
    let mut segments = path.split('/').skip(1).peekable();
    while let Some(segment) = segments.next() {
        let decoded = decode(segment, false)?;
        if matches!(decoded.as_ref(), b"." | b"..") {
            return Err(PathFault::Dots);
        }
        if segment.is_empty() && segments.peek().is_some() {
            return Err(PathFault::Empty);
        }
    }
    Ok(())
}

/// A path with opaque names: no decoding of it may have dot segments, or lead to MWAA's own
/// routes. Parameters after a semicolon do not hide that.
fn check_opaque(path: &str, decodings: &[String]) -> Result<(), PathFault> {
    let segments = |text| str::split(text, ['/', '\\']);
    let mwaa = |text| {
        segments(text)
            .filter(|segment| segment.eq_ignore_ascii_case("aws_mwaa"))
            .count()
    };
    let dots = |segment: &str| matches!(segment.split(';').next(), Some("." | ".."));
    for text in decodings.iter().map(String::as_str).chain([path]) {
        if segments(text).any(dots) {
            return Err(PathFault::Dots);
        }
        // a DAG may have that name; an escape that makes it means something else
        if mwaa(text) > mwaa(path) {
            return Err(PathFault::Escape);
        }
    }
    Ok(())
}

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
    fn each_fault_of_a_path_has_its_own_words() {
        for (path, fault) in [
            ("//api/v1/dags", PathFault::BaseUrl),
            ("//", PathFault::BaseUrl),
            ("/dags//grid", PathFault::Empty),
            ("/dags/../x", PathFault::Dots),
            ("/dags/a%2Fb", PathFault::Escape),
            ("/dags/x;y", PathFault::Byte),
            ("/AWS_MWAA/cli", PathFault::Reserved),
        ] {
            assert_eq!(read(path), Err(GuardError::Path(fault)), "{path}");
        }
    }

    #[test]
    fn a_path_in_doubt_has_several_readings() {
        let readings = |path: &str| {
            let target = Target::read(&path.parse().unwrap(), 8192).unwrap();
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
    fn a_name_in_disguise_is_known() {
        for path in [
            "/logout/",
            "/logou%74/",
            "/api/v2/auth%2Flogout%2f",
            "/api/v2//auth/logout",
            "/api/v2/auth%252Flogout",
            "/api/v2/auth%5Clogout",
        ] {
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
            assert!(matches!(read(path), Err(GuardError::Path(_))), "{path}");
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
