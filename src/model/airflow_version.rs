//! Apache Airflow release numbers, as `GetEnvironment` reports them.

use std::fmt;
use std::str::FromStr;

/// An Airflow release such as `2.10.3`: three numbers, compared in that order.
///
/// The MWAA API allows `[0-9a-z.]+`; a suffix such as `rc1` is dropped, a missing part is 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AirflowVersion {
    /// 1, 2 or 3 so far. It decides which CLI and API Airflow has.
    pub major: u16,
    /// The feature release.
    pub minor: u16,
    /// The bug-fix release.
    pub patch: u16,
}

impl AirflowVersion {
    /// Creates a version from its three numbers.
    pub const fn new(major: u16, minor: u16, patch: u16) -> Self {
        Self {
            major,
            minor,
            patch,
        }
    }
}

impl fmt::Display for AirflowVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.patch)
    }
}

/// The text is not an Airflow version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an Airflow version such as 2.10.3")]
pub struct ParseVersionError;

impl FromStr for AirflowVersion {
    type Err = ParseVersionError;

    fn from_str(text: &str) -> Result<Self, ParseVersionError> {
        let mut parts = text.trim().splitn(3, '.');
        let mut next = || parts.next().map(parse_number);

        Ok(Self {
            major: next().ok_or(ParseVersionError)??,
            minor: next().ok_or(ParseVersionError)??,
            // tables and configurations also name a release by two numbers
            patch: next().unwrap_or(Ok(0))?,
        })
    }
}

/// Reads the digits at the beginning; only letters, digits and dots may follow, as in `0rc1`.
fn parse_number(part: &str) -> Result<u16, ParseVersionError> {
    let is_digit = |c: char| c.is_ascii_digit();
    let suffix = part.trim_start_matches(is_digit);
    let is_suffix = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'.';

    let digits = part.strip_suffix(suffix).unwrap_or_default();
    let number = digits
        .parse()
        .ok()
        .filter(|_| suffix.bytes().all(is_suffix));
    number.ok_or(ParseVersionError)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_mwaa_reports() {
        assert_eq!("2.10.3".parse(), Ok(AirflowVersion::new(2, 10, 3)));
        assert_eq!("3.0".parse(), Ok(AirflowVersion::new(3, 0, 0)));
        assert_eq!("2.11.0rc1".parse(), Ok(AirflowVersion::new(2, 11, 0)));
        for bad in ["", "2", "two", "2.x", "-1.2", "2.99999999.1", "2.10.3 "] {
            let parsed = bad.parse::<AirflowVersion>();
            assert_eq!(parsed.is_ok(), bad == "2.10.3 ", "{bad:?}");
        }
    }

    #[test]
    fn orders_by_number_not_by_text() {
        assert!(AirflowVersion::new(2, 9, 2) < AirflowVersion::new(2, 10, 1));
    }
}
