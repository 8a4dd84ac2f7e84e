//! The program that opens a way to a web server: its words, with places for host and port.

use std::fmt;
use std::sync::Arc;

/// A program and its arguments. `{host}` stands for the web server's name, `{local_port}` for the
/// port on loopback that the program is to open; without `{local_port}` the program's stdin and
/// stdout are the connection, as with `ssh -W`.
#[derive(Clone, PartialEq, Eq)]
pub struct Tunnel(Arc<[String]>);

// the arguments are the user's own: they may hold anything
impl fmt::Debug for Tunnel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tunnel({:?})", self.program())
    }
}

impl Tunnel {
    /// Takes the words; the error says which is wrong, and what would be right.
    pub fn new(words: &[String]) -> Result<Self, (String, &'static str)> {
        const FORM: &str = "write the program and its arguments, as in \
                            [\"ssh\", \"-N\", \"-L\", \"{local_port}:{host}:443\", \"bastion\"]";
        match words.first() {
            None => return Err(("the list is empty".to_owned(), FORM)),
            Some(program) if words.len() == 1 && program.contains(' ') => {
                return Err((
                    "is one word with spaces; no shell takes it apart".to_owned(),
                    "write each argument as a text of its own",
                ));
            }
            Some(program) if program.is_empty() || program.contains(['{', '}']) => {
                return Err(("its first word is not a program".to_owned(), FORM));
            }
            Some(_) => {}
        }
        for word in words {
            if word.contains('\0') {
                return Err(("a word holds a NUL".to_owned(), FORM));
            }
            if let Some(unknown) = unknown_place(word) {
                return Err((
                    format!("{{{unknown}}} stands for nothing"),
                    "{host} is the web server's name, {local_port} the port to open",
                ));
            }
        }
        let has = |place: &str| words.iter().any(|word| word.contains(place));
        if !has("{host}") && !has("{local_port}") {
            return Err((
                "has neither {host} nor {local_port}".to_owned(),
                "{host} is the web server's name, {local_port} the port to open",
            ));
        }
        Ok(Self(words.into()))
    }

    /// The program, as it is written.
    pub fn program(&self) -> &str {
        self.0.first().map_or("", String::as_str)
    }

    /// Whether the program's stdin and stdout are the connection.
    pub fn is_stdio(&self) -> bool {
        !self.0.iter().any(|word| word.contains("{local_port}"))
    }

    /// The words with host and port in their places.
    pub fn words(&self, host: &str, local_port: u16) -> Vec<String> {
        let port = local_port.to_string();
        let fill = |word: &String| word.replace("{host}", host).replace("{local_port}", &port);
        self.0.iter().map(fill).collect()
    }
}

/// The first `{name}` that is no place of ours. Braces that are part of JSON, as the AWS CLI
/// takes it, hold quotes.
fn unknown_place(word: &str) -> Option<&str> {
    // each piece after the first begins inside a brace
    word.split('{').skip(1).find_map(|after| {
        let (name, _) = after.split_once('}')?;
        let in_name = |b: u8| b.is_ascii_alphanumeric() || b"_-. ".contains(&b);
        let is_name = !name.is_empty() && name.bytes().all(in_name);
        (is_name && !["host", "local_port"].contains(&name)).then_some(name)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(words: &[&str]) -> Vec<String> {
        words.iter().map(|&word| word.to_owned()).collect()
    }

    #[test]
    fn places_are_filled() {
        let ssh = words(&["ssh", "-L", "{local_port}:{host}:443", "bastion"]);
        let tunnel = Tunnel::new(&ssh).unwrap();
        assert!(!tunnel.is_stdio());
        assert_eq!(
            tunnel.words("x.example", 7),
            ["ssh", "-L", "7:x.example:443", "bastion"]
        );
        let stdio = Tunnel::new(&words(&["ssh", "-W", "{host}:443", "bastion"])).unwrap();
        assert!(stdio.is_stdio());
        let json = r#"{"host":["{host}"],"localPortNumber":["{local_port}"]}"#;
        let json = Tunnel::new(&words(&["aws", "--parameters", json])).unwrap();
        assert!(
            json.words("h", 1)
                .contains(&r#"{"host":["h"],"localPortNumber":["1"]}"#.to_owned())
        );
    }

    #[test]
    fn what_can_not_work_is_refused() {
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
            assert!(Tunnel::new(&words(bad)).is_err(), "{bad:?}");
        }
    }
}
