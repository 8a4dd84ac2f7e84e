//! What `check` says of the files that the configuration names.

use super::probe::{Finding, Level};
use super::{StartError, settings};
use crate::config::{Address, Config};
use crate::listener::{Tls, Validity};
use crate::runtime::Moment;
use crate::upstream::Trust;

/// Reads the files that the configuration names. An error is one that the gateway would not
/// start with.
pub fn check_files(config: &Config) -> Result<Vec<Finding>, StartError> {
    for entry in &config.environments {
        Trust::new(entry.ca_file.as_deref()).map_err(StartError::Trust)?;
    }
    settings::proxy_users(config)
        .map_err(|error| StartError::Unreadable(error.file, error.why))?;
    settings::guard(config, Vec::new())
        .map_err(|error| StartError::Unreadable(error.file, error.why))?;
    let Some(files) = settings::tls(config) else {
        return Ok(Vec::new());
    };
    let tls = Tls::load(&files).map_err(StartError::Tls)?;
    let certificate = files.certificate.display();
    let mut findings = Vec::new();
    let mut tell = |level, text| findings.push(Finding::new(level, "listener.tls", text));
    match tls.validity(Moment::now().wall()) {
        Validity::Valid => {}
        Validity::Expired => tell(
            Level::Fail,
            format!("{certificate} has expired; clients will refuse it"),
        ),
        Validity::NotYet => tell(
            Level::Fail,
            format!("{certificate} is not valid yet; is this machine's clock right?"),
        ),
    }
    let (covered, others): (Vec<_>, Vec<_>) =
        names(config).into_iter().partition(|name| tls.covers(name));
    if !covered.is_empty() {
        tell(
            Level::Ok,
            format!("{certificate} is for {}", covered.join(", ")),
        );
    }
    if !others.is_empty() {
        tell(
            Level::Warn,
            format!(
                "{certificate} is not for {}; clients that use these names will refuse it",
                others.join(", ")
            ),
        );
    }
    Ok(findings)
}

/// The names that clients may call the TLS listeners by.
fn names(config: &Config) -> Vec<String> {
    let mut names = Vec::new();
    if matches!(config.listener.address, Address::Tcp(_)) {
        names.push("localhost".to_owned());
        let locals = config
            .environments
            .iter()
            .map(|entry| &entry.environment.local);
        names.extend(locals.map(|local| format!("{local}.localhost")));
        names.extend(config.listener.hosts.iter().map(|host| bare(host)));
    }
    let own = config
        .environments
        .iter()
        .filter_map(|entry| entry.listen.as_ref());
    for address in std::iter::once(&config.listener.address).chain(own) {
        if let Address::Tcp(address) = address
            && !address.ip().is_unspecified()
        {
            names.push(address.ip().to_string());
        }
    }
    let mut seen = std::collections::BTreeSet::new();
    names.retain(|name| seen.insert(name.clone()));
    names
}

/// A Host's name without port, brackets and final dot, as certificates write it.
fn bare(host: &str) -> String {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) => name,
        _ => host,
    };
    name.trim_matches(['[', ']'])
        .trim_end_matches('.')
        .to_owned()
}

#[cfg(test)]
mod tests {
    use super::bare;

    #[test]
    fn names_lose_what_no_certificate_has() {
        for (host, name) in [
            ("a.example:8080", "a.example"),
            ("a.example.", "a.example"),
            ("[::1]:8080", "::1"),
            ("[::1]", "::1"),
        ] {
            assert_eq!(bare(host), name);
        }
    }
}
