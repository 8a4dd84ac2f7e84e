//! An Apache Airflow release number, as `GetEnvironment` reports it and as tables are keyed by.

use std::fmt;
use std::str::FromStr;

/// An Airflow release such as `2.10.3`: three numbers, compared in that order.
///
/// MWAA's model allows `[0-9a-z.]+`; a suffix such as `rc1` is dropped, a missing part is 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AirflowVersion {
    /// 1, 2 or 3 so far: decides the dialect.
    pub major: u16,
    /// The feature release.
    pub minor: u16,
    /// The bug-fix release.
    pub patch: u16,
}

impl AirflowVersion {
    /// Makes a version from its three numbers.
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
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct BadVersion;

impl fmt::Display for BadVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not an Airflow version such as 2.10.3")
    }
}

impl std::error::Error for BadVersion {}

impl FromStr for AirflowVersion {
    type Err = BadVersion;

    fn from_str(text: &str) -> Result<Self, BadVersion> {
        let mut parts = text.trim().splitn(3, '.');
        let mut number = |required: bool| -> Result<u16, BadVersion> {
            match parts.next() {
                None if !required => Ok(0),
                None => Err(BadVersion),
                Some(part) => {
                    let digits = part.bytes().take_while(u8::is_ascii_digit).count();
                    let tail_is_suffix = part
                        .bytes()
                        .skip(digits)
                        .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'.');
                    match part.get(..digits).map(str::parse) {
                        Some(Ok(number)) if tail_is_suffix => Ok(number),
                        _ => Err(BadVersion),
                    }
                }
            }
        };
        Ok(Self {
            major: number(true)?,
            minor: number(true)?,
            patch: number(false)?,
        })
    }
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
