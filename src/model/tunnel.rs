//! The command that opens a tunnel to a web server, with placeholders for host and port.

use std::fmt;
use std::sync::Arc;

/// A program and its arguments.
///
/// `{host}` is replaced by the web server's name, `{local_port}` by the port on loopback that the
/// program is to open. Without `{local_port}` the program's stdin and stdout are the connection, as
/// with `ssh -W`.
#[derive(Clone, PartialEq, Eq)]
pub struct TunnelCommand(Arc<[String]>);

// the arguments are the user's own: they may hold anything
impl fmt::Debug for TunnelCommand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TunnelCommand({:?})", self.program())
    }
}

impl TunnelCommand {
    /// Creates a command from its words. The error says what is wrong, and what would be right.
    pub fn new(words: &[String]) -> Result<Self, (String, &'static str)> {
        check_program(words)?;

        for word in words {
            // it would end the argument (execve(2))
            if word.contains('\0') {
                return Err(("an argument contains a NUL".to_owned(), FORM));
            }
            if let Some(unknown) = find_unknown(word) {
                return Err((format!("{{{unknown}}} is not a placeholder"), PLACEHOLDERS));
            }
        }

        // a command with neither cannot know where to connect
        let has = |placeholder: &str| words.iter().any(|word| word.contains(placeholder));
        if !has(HOST) && !has(LOCAL_PORT) {
            return Err((
                "has neither {host} nor {local_port}".to_owned(),
                PLACEHOLDERS,
            ));
        }
        Ok(Self(words.into()))
    }

    /// Returns the program, as it is written.
    pub fn program(&self) -> &str {
        self.0.first().map_or("", String::as_str)
    }

    /// Returns true if the program's stdin and stdout are the connection.
    pub fn is_stdio(&self) -> bool {
        !self.0.iter().any(|word| word.contains(LOCAL_PORT))
    }

    /// Returns the words with host and port in place of the placeholders.
    pub fn expand(&self, host: &str, local_port: u16) -> Vec<String> {
        let port = local_port.to_string();
        self.0
            .iter()
            .map(|word| word.replace(HOST, host).replace(LOCAL_PORT, &port))
            .collect()
    }
}

fn check_program(words: &[String]) -> Result<(), (String, &'static str)> {
    match words.first() {
        None => Err(("the list is empty".to_owned(), FORM)),
        Some(program) if words.len() == 1 && program.contains(' ') => Err((
            "is one word with spaces; no shell splits it".to_owned(),
            "write each argument as a separate string",
        )),
        Some(program) if program.is_empty() || program.contains(['{', '}']) => {
            Err(("its first word is not a program".to_owned(), FORM))
        }
        Some(_) => Ok(()),
    }
}

/// Returns the first `{name}` that is not one of our placeholders.
fn find_unknown(word: &str) -> Option<&str> {
    // each piece after the first begins inside a brace
    word.split('{').skip(1).find_map(|after| {
        let (name, _) = after.split_once('}')?;
        // braces that are part of JSON, as the AWS CLI takes it, hold quotes
        let in_name = |b: u8| b.is_ascii_alphanumeric() || b"_-. ".contains(&b);
        let is_name = !name.is_empty() && name.bytes().all(in_name);
        (is_name && !["host", "local_port"].contains(&name)).then_some(name)
    })
}

const HOST: &str = "{host}";
const LOCAL_PORT: &str = "{local_port}";

const FORM: &str = "write the program and its arguments: [\"ssh\", \"-N\", \"-L\", \
                    \"{local_port}:{host}:443\", \"bastion\"]";
const PLACEHOLDERS: &str = "{host} is the web server's name, {local_port} the port to open";

#[cfg(test)]
mod tests {
    use super::*;

    fn words(words: &[&str]) -> Vec<String> {
        words.iter().map(|&word| word.to_owned()).collect()
    }

    #[test]
    fn placeholders_are_replaced() {
        let ssh = words(&["ssh", "-L", "{local_port}:{host}:443", "bastion"]);
        let tunnel = TunnelCommand::new(&ssh).unwrap();
        assert!(!tunnel.is_stdio());
        assert_eq!(
            tunnel.expand("x.example", 7),
            ["ssh", "-L", "7:x.example:443", "bastion"]
        );
        let stdio =
            TunnelCommand::new(&words(&["ssh", "-W", "{host}:443", "bastion"])).unwrap();
        assert!(stdio.is_stdio());
        let json = r#"{"host":["{host}"],"localPortNumber":["{local_port}"]}"#;
        let json = TunnelCommand::new(&words(&["aws", "--parameters", json])).unwrap();
        assert!(
            json.expand("h", 1)
                .contains(&r#"{"host":["h"],"localPortNumber":["1"]}"#.to_owned())
        );
    }

    #[test]
    fn an_unusable_tunnel_command_is_refused() {
        for bad in [
            &[][..],
            &[""],
            &["{host}"],
            &["ssh -W {host}:443 bastion"],
            &["ssh", "bastion"],
            &["ssh", "{port}", "{host}"],
            &["ssh", "{local-port}", "{host}"],
            &["ssh", "{LOCAL_PORT}", "{host}"],
            &["ssh", "{host}\0"],
        ] {
            assert!(TunnelCommand::new(&words(bad)).is_err(), "{bad:?}");
        }
    }
}
