//! Starts the browser: `$BROWSER` if it is set, else what the desktop prefers.

use crate::config::env;
use std::io;
use std::process::{Command, Stdio};

/// Shows a URL and does not wait for the browser's end.
pub(super) fn open(url: &str) -> io::Result<()> {
    match env::browser() {
        None => open::that_detached(url),
        Some(programs) => with(&programs.to_string_lossy(), url),
    }
}

/// `BROWSER` is a list of commands separated by colons, the first that starts is used; `%s` in
/// one stands for the URL, which else comes last (as in xdg-open and Python's webbrowser).
fn with(programs: &str, url: &str) -> io::Result<()> {
    let mut failure = io::Error::new(io::ErrorKind::NotFound, "BROWSER names no program");
    for program in programs.split(':') {
        let Some(mut command) = command(program, url) else {
            continue;
        };
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        match command.spawn() {
            Ok(_goes_on) => return Ok(()),
            Err(error) => failure = error,
        }
    }
    Err(failure)
}

fn command(program: &str, url: &str) -> Option<Command> {
    let mut words = program.split_whitespace();
    let mut command = Command::new(words.next()?);
    let mut placed = false;
    for word in words {
        placed |= word.contains("%s");
        command.arg(word.replace("%s", url));
    }
    if !placed {
        command.arg(url);
    }
    Some(command)
}

#[cfg(test)]
mod tests {
    use super::command;

    #[test]
    fn the_url_stands_where_it_is_wanted() {
        let url = "http://localhost:8080/a?b=c%sd";
        for (program, arguments) in [
            ("firefox", &[url][..]),
            ("browse --new-tab", &["--new-tab", url]),
            ("sh -c x=%s", &["-c", &format!("x={url}")]),
        ] {
            let command = command(program, url).unwrap();
            assert_eq!(
                command.get_args().collect::<Vec<_>>(),
                arguments,
                "{program}"
            );
        }
        assert!(command(" ", url).is_none());
    }
}
