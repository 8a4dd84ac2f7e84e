//! Starts the browser: `$BROWSER` if it is set, else the desktop's own. And finds out if this
//! machine's resolver knows the names of our URLs, which some browsers depend on.

use mwaa_config::{Address, Config, env};
use mwaa_runtime::resolver;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::process::{Command, Stdio};
use std::sync::mpsc::Receiver;
use std::time::Duration;

/// Opens a URL in the browser, without waiting for its end.
pub(crate) fn open(url: &str) -> io::Result<()> {
    match env::browser() {
        None => open::that_detached(url),
        Some(commands) => open_with(&commands.to_string_lossy(), url),
    }
}

/// Opens a URL by `BROWSER`: a list of commands separated by colons, of which the first that
/// starts is used (as in xdg-open and Python's webbrowser).
fn open_with(commands: &str, url: &str) -> io::Result<()> {
    let mut failure = io::Error::new(io::ErrorKind::NotFound, "BROWSER contains no program");
    for text in commands.split(':') {
        // an empty part, as in `firefox:`
        let Some(mut command) = build_command(text, url) else {
            continue;
        };
        command
            // its messages would mix with ours, and it may outlive us
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        match command.spawn() {
            Ok(_child) => return Ok(()),
            Err(error) => failure = error,
        }
    }
    Err(failure)
}

/// Builds one command; its `%s` becomes the URL, which is the last argument without one.
fn build_command(text: &str, url: &str) -> Option<Command> {
    let mut words = text.split_whitespace();
    let mut command = Command::new(words.next()?);
    let has_place = words.clone().any(|word| word.contains("%s"));
    command.args(words.map(|word| word.replace("%s", url)));
    if !has_place {
        command.arg(url);
    }
    Some(command)
}

/// The look-ups of names, in the background.
#[derive(Debug)]
pub(crate) struct NameLookup(Vec<(String, Receiver<bool>)>);

impl NameLookup {
    /// Starts the look-ups of names, each below `localhost`.
    pub(crate) fn start<'a>(locals: impl IntoIterator<Item = &'a str>) -> Self {
        let names = locals.into_iter().map(|local| {
            let name = format!("{local}.localhost");
            (name.clone(), resolver::start_lookup(name))
        });
        Self(names.collect())
    }

    /// Starts the look-up of the name in a URL, if it is below `localhost`.
    pub(crate) fn start_for_url(url: &str) -> Self {
        // a URL that is none has no name to ask for
        let uri = url.parse::<http::Uri>().unwrap_or_default();
        Self::start(uri.host().and_then(|host| host.strip_suffix(".localhost")))
    }

    /// Returns the advice for names that the resolver does not know. `None` means that it knows
    /// all of them, or did not answer in time. `is_configured` says that the environments have
    /// tables in a configuration, which may give them listeners.
    pub(crate) fn wait_for_advice(
        self,
        config: &Config,
        timeout: Duration,
        is_configured: bool,
    ) -> Option<String> {
        let lookups = self.0.into_iter();
        let unknown: Vec<_> = lookups
            .filter(|(_, answer)| answer.recv_timeout(timeout) == Ok(false))
            .map(|(name, _)| name)
            .collect();

        let first = unknown.first()?;
        // one line of /etc/hosts can have several names
        let line = format!("{} {}", loopback_address(config), unknown.join(" "));
        let local = first.strip_suffix(".localhost").unwrap_or(first);
        let or = if is_configured {
            format!(", or give it its own listener, environments.{local}.listen")
        } else {
            String::new()
        };
        Some(format!(
            "note: this machine does not resolve {first}. Chrome, Firefox and curl resolve it \
             themselves; for Safari and other programs add this line to /etc/hosts{or}:\n  \
             {line}"
        ))
    }
}

/// Returns the loopback address of the shared listener.
fn loopback_address(config: &Config) -> IpAddr {
    match &config.listener.address {
        Address::Tcp(address) if address.ip() == Ipv6Addr::LOCALHOST => address.ip(),
        Address::Tcp(_) | Address::Unix(_) => Ipv4Addr::LOCALHOST.into(),
    }
}

/// The time that a command gives the resolver. One that asks the network in vain gives no advice.
pub(crate) const LOOKUP_TIMEOUT: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;
    use mwaa_config::{Overrides, SearchPath, load};
    use std::sync::mpsc::channel;

    #[test]
    fn the_url_replaces_the_placeholder_or_is_the_last_argument() {
        let url = "http://localhost:8080/a?b=c%sd";
        for (program, arguments) in [
            ("firefox", &[url][..]),
            ("browse --new-tab", &["--new-tab", url]),
            ("sh -c x=%s", &["-c", &format!("x={url}")]),
        ] {
            let command = build_command(program, url).unwrap();
            assert_eq!(
                command.get_args().collect::<Vec<_>>(),
                arguments,
                "{program}"
            );
        }
        assert!(build_command(" ", url).is_none());
    }

    fn lookup(answers: &[(&str, Option<bool>)]) -> NameLookup {
        let lookups = answers.iter().map(|(name, answer)| {
            let (sender, receiver) = channel();
            answer.map(|answer| sender.send(answer).unwrap());
            ((*name).to_owned(), receiver)
        });
        NameLookup(lookups.collect())
    }

    #[test]
    fn only_unresolvable_names_get_advice() {
        let nowhere = SearchPath {
            folder: "/nonexistent".into(),
            user: Vec::new(),
            system: "/nonexistent".into(),
        };
        let mut config = load(None, &Overrides::default(), &nowhere).unwrap();
        let silent = [("a.localhost", Some(true)), ("b.localhost", None)];
        assert_eq!(
            lookup(&silent).wait_for_advice(&config, LOOKUP_TIMEOUT, true),
            None
        );

        let two = [("a.localhost", Some(false)), ("b.localhost", Some(false))];
        let advice = lookup(&two)
            .wait_for_advice(&config, LOOKUP_TIMEOUT, false)
            .unwrap();
        assert!(
            advice.ends_with(":\n  127.0.0.1 a.localhost b.localhost"),
            "{advice}"
        );
        assert!(!advice.contains("listen"), "{advice}");

        config.listener.address = "[::1]:8080".parse().unwrap();
        let advice = lookup(&two[..1])
            .wait_for_advice(&config, LOOKUP_TIMEOUT, true)
            .unwrap();
        assert!(
            advice.contains("environments.a.listen:\n  ::1 a.localhost"),
            "{advice}"
        );
    }

    #[test]
    fn addresses_and_bare_localhost_are_not_looked_up() {
        for url in [
            "http://localhost:8080/-/",
            "http://127.0.0.1:8081/",
            "unix:/run/g",
        ] {
            assert!(NameLookup::start_for_url(url).0.is_empty(), "{url}");
        }
        assert_eq!(
            NameLookup::start_for_url("http://prod.localhost:8080/home").0[0].0,
            "prod.localhost"
        );
    }
}
