//! Where a real Airflow listens, and what it knows the emulator by.

use std::fmt;
use std::net::SocketAddr;
use std::str::FromStr;

/// An environment's real Airflow.
#[derive(Clone, PartialEq, Eq)]
pub struct RealAirflow {
    /// Where its web server listens.
    pub url: AirflowUrl,
    /// What it asks for before it believes who somebody is; visible ASCII.
    pub secret: Option<String>,
}

impl fmt::Debug for RealAirflow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RealAirflow({})", self.url)
    }
}

/// The address of an Airflow web server: plain HTTP, on a loopback address, without a path.
///
/// Plain, since what is said there includes the secret, which must not leave the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AirflowUrl(SocketAddr);

impl AirflowUrl {
    pub(super) fn address(self) -> SocketAddr {
        self.0
    }
}

impl fmt::Display for AirflowUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "http://{}", self.0)
    }
}

impl FromStr for AirflowUrl {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let form = "write it as http://127.0.0.1:PORT";
        let rest = text.strip_prefix("http://").ok_or(form)?;
        let authority = rest.strip_suffix('/').unwrap_or(rest);
        let authority = match authority.strip_prefix("localhost:") {
            Some(port) => format!("127.0.0.1:{port}"),
            None => authority.to_owned(),
        };
        let address: SocketAddr = authority.parse().map_err(|_unclear| form)?;
        if !address.ip().is_loopback() {
            return Err(format!("{} is not on this machine; {form}", address.ip()));
        }
        Ok(Self(address))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_loopback_is_taken() {
        for (text, expected) in [
            ("http://127.0.0.1:8080", "http://127.0.0.1:8080"),
            ("http://localhost:8080/", "http://127.0.0.1:8080"),
            ("http://[::1]:8080", "http://[::1]:8080"),
        ] {
            assert_eq!(text.parse::<AirflowUrl>().unwrap().to_string(), expected);
        }
        for text in [
            "https://127.0.0.1:8080",
            "http://127.0.0.1",
            "http://127.0.0.1:8080/path",
            "http://10.0.0.1:8080",
            "http://airflow.example:8080",
            "127.0.0.1:8080",
        ] {
            assert!(text.parse::<AirflowUrl>().is_err(), "{text}");
        }
    }
}
