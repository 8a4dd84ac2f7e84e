//! What `certs` says: what is new, and how programs trust the CA. Each line was tried with its program.

use super::{CA, CA_KEY, CERTIFICATE, KEY, Made, Names, NewCa, SERVER_LIFETIME, is_same_file};
use mwaa_config::{Address, Config, quote};
use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::Path;
use std::time::{Duration, UNIX_EPOCH};

/// Returns what was made, for people.
pub(super) fn describe(made: &Made, names: &Names, now: Duration) -> String {
    let end = now.saturating_sub(Duration::from_hours(24)) + SERVER_LIFETIME;
    let end = humantime::format_rfc3339_seconds(UNIX_EPOCH + end).to_string();
    let date = end.split('T').next().unwrap_or_default();
    let names: Vec<_> = names.texts().collect();
    let ca = match &made.new_ca {
        None => "the same: programs that trust it need no change".to_owned(),
        Some(NewCa::First) => "new: programs must trust it".to_owned(),
        Some(NewCa::Instead(misfit)) => format!(
            "new, because the previous one cannot be used: {misfit}. Programs must trust the new \
             one; remove the previous one where it was trusted"
        ),
    };

    let mut text = format!(
        "the certificate is valid until {date} for {}\nthe CA is {ca}",
        names.join(", ")
    );
    if !made.committable.is_empty() {
        text.push_str(
            "\nwarning: the folder's .gitignore does not name the keys. Unless Git ignores the whole \
             folder, add:",
        );
        for file in &made.committable {
            let _infallible = write!(text, "\n  /{file}");
        }
    }
    text
}

/// Returns a warning of keys that other users could read or change; `None` if there are none.
pub(super) fn warn_of_exposed(made: &Made) -> Option<String> {
    let keys = made.exposed.iter().map(|key| key.display().to_string());
    let keys = keys.reduce(|all, key| format!("{all} and {key}"))?;
    // with a new key alone, the old one and its certificate would still be accepted
    Some(format!(
        "warning: other users could read or change {keys} until now. If one may have done so, remove \
         the CA where it is trusted, because its certificates would still be accepted; delete {CA}, \
         {CA_KEY}, {CERTIFICATE} and {KEY}; and run this command again"
    ))
}

/// Returns the lines that the configuration still needs, and the ways to trust the CA.
pub(super) fn advise(made: &Made, config: &Config) -> String {
    let mut text = String::new();
    let is_configured = config.listener.tls.as_ref().is_some_and(|tls| {
        is_same_file(&tls.certificate, &made.certificate) && is_same_file(&tls.key, &made.key)
    });
    if !is_configured {
        let toml = |path: &Path| toml_string(&path.display().to_string());
        let _infallible = write!(
            text,
            "\nConfigure the gateway ({CERTIFICATE} and {KEY} are read again when they change):\n\n  \
             [listener.tls]\n  certificate = {}\n  key = {}\n  optional = true  # plain HTTP too\n",
            toml(&made.certificate),
            toml(&made.key)
        );
    }

    let ca = quote(&made.ca.display().to_string());
    let host = find_host(config);
    text.push_str("\nTrust the CA, only where you need it:\n\n");
    for (program, line) in WAYS {
        let line = line.replace("HOST", &host).replace("CA_FILE", &ca);
        let _infallible = writeln!(text, "  {program:18}{line}");
    }
    text.push_str(
        "\nThe variables of boto3, requests and Go replace the list of public CAs. If the program calls \
         other\nservers too, name a file that holds both: `cat /etc/ssl/certs/ca-certificates.crt ",
    );
    text.push_str(&ca);
    text.push_str(" > bundle.pem`");
    text
}

/// Returns host and port of a listener that uses TLS, or will.
fn find_host(config: &Config) -> String {
    let mut further = config.listeners.iter();
    let named = further.find(|listener| listener.tls == Some(true));
    match named.map_or(&config.listener.address, |listener| &listener.address) {
        Address::Tcp(address) if is_localhost(address.ip()) => {
            format!("localhost:{}", address.port())
        }
        Address::Tcp(address) => address.to_string(),
        // it will be another address
        Address::Unix(_) => "localhost:8080".to_owned(),
    }
}

/// Returns true if `localhost` connects to this address.
fn is_localhost(address: IpAddr) -> bool {
    address.is_unspecified() || address == Ipv4Addr::LOCALHOST || address == Ipv6Addr::LOCALHOST
}

pub(super) fn toml_string(text: &str) -> String {
    // a literal string has no escapes
    if text.contains(['\'', '\n']) || text.chars().any(char::is_control) {
        format!("{text:?}")
    } else {
        format!("'{text}'")
    }
}

/// Programs, and how each trusts the CA.
const WAYS: [(&str, &str); 8] = [
    ("curl", "curl --cacert CA_FILE https://HOST/-/"),
    ("boto3, AWS CLI", "export AWS_CA_BUNDLE=CA_FILE"),
    ("requests", "export REQUESTS_CA_BUNDLE=CA_FILE"),
    ("Node.js", "export NODE_EXTRA_CA_CERTS=CA_FILE"),
    (
        "Java",
        "keytool -importcert -cacerts -noprompt -storepass changeit -alias mwaa-gateway -file CA_FILE",
    ),
    ("Go", "export SSL_CERT_FILE=CA_FILE"),
    (
        "Chromium (Linux)",
        "certutil -d sql:$HOME/.pki/nssdb -A -t C,, -n mwaa-gateway -i CA_FILE",
    ),
    (
        "Debian, container",
        "cp CA_FILE /usr/local/share/ca-certificates/mwaa-gateway.crt && update-ca-certificates",
    ),
];
