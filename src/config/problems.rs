//! What is wrong with a configuration: all of it at once, each with place, key and hint.

use super::keys::{KEYS, Key};
use std::fmt;
use std::path::PathBuf;

/// Where a value was written.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// At this position of a file; line and column count from 1, the column in characters.
    At {
        /// The file, spelled as it was found.
        file: PathBuf,
        /// The line.
        line: usize,
        /// The column.
        column: usize,
    },
    /// The file as a whole: it is missing or can't be read.
    File(PathBuf),
    /// A flag or a variable, by its spelling: `--listen`, `MWAA_GATEWAY_LISTEN`.
    Given(String),
    /// Nowhere: the built-in default.
    Default,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::At { file, line, column } => {
                write!(f, "{}:{line}:{column}", file.display())
            }
            Self::File(file) => write!(f, "{}", file.display()),
            Self::Given(origin) => f.write_str(origin),
            Self::Default => f.write_str("default"),
        }
    }
}

/// One thing that is wrong. `Display` gives one line, and a second one for the hint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Where it was written.
    pub place: Place,
    /// The key with its table, `listener.address`; empty when no key is to blame.
    pub key: String,
    /// What is wrong, one line, without any secret.
    pub what: String,
    /// What to do about it.
    pub hint: Option<String>,
}

impl Problem {
    /// The first line: place, key and what is wrong, without the hint.
    pub fn headline(&self) -> String {
        let key = match self.key.as_str() {
            "" => String::new(),
            key => format!("{key}: "),
        };
        format!("{}: {key}{}", self.place, self.what)
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.headline())?;
        if let Some(hint) = &self.hint {
            write!(f, "\n  hint: {hint}")?;
        }
        Ok(())
    }
}

/// Everything that is wrong with a configuration, in the order of the file; what flags and
/// variables did comes last. Never empty when it is returned as an error.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Problems(Vec<Problem>);

impl Problems {
    /// The problems, one by one.
    pub fn iter(&self) -> std::slice::Iter<'_, Problem> {
        self.0.iter()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether nothing is wrong.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn push(&mut self, problem: Problem) {
        self.0.push(problem);
    }

    /// Puts the problems into the order of the file.
    pub(super) fn sort(&mut self) {
        self.0.sort_by(|a, b| a.place.cmp(&b.place));
    }
}

impl<'a> IntoIterator for &'a Problems {
    type Item = &'a Problem;
    type IntoIter = std::slice::Iter<'a, Problem>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{problem}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}

/// What a setter or a check has against a value: `what` continues the value, as in
/// `"10" is not a duration`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Complaint {
    pub(super) what: String,
    pub(super) hint: Option<String>,
}

impl Complaint {
    pub(super) fn new(what: impl Into<String>) -> Self {
        Self {
            what: what.into(),
            hint: None,
        }
    }

    pub(super) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

/// The value as it may be shown: quoted, or just `the value` where it could hold a secret,
/// because of its key's name or because of what stands in it (userinfo, query, fragment,
/// tokens, long lines).
pub(super) fn shown(key: &str, text: &str) -> String {
    let tokenish = ["eyJ", "AKIA", "ASIA"]
        .iter()
        .any(|head| text.starts_with(head));
    let is_number = text.starts_with(|c: char| c.is_ascii_digit());
    let secret = named_like_a_secret(key) && !(takes_number(key) && is_number);
    if secret || tokenish || text.len() > 80 || text.contains(['@', '?', '#', '\n']) {
        "the value".to_owned()
    } else {
        format!("\"{}\"", text.escape_debug())
    }
}

/// Whether a key is named like one that holds a secret. One that takes a number holds none,
/// whatever its name (`limits.token_use`).
pub(super) fn sounds_secret(key: &str) -> bool {
    named_like_a_secret(key) && !takes_number(key)
}

/// Whether this is a key of the table that takes a number, a time or a size.
fn takes_number(key: &str) -> bool {
    let named = |known: &Key| {
        key.strip_prefix(known.table)
            .and_then(|rest| rest.strip_prefix('.'))
            .is_some_and(|name| name == known.name)
    };
    let mut numbers = KEYS.iter().filter(|known| known.kind.is_number());
    numbers.any(named)
}

fn named_like_a_secret(key: &str) -> bool {
    let name = key.rsplit('.').next().unwrap_or(key).to_ascii_lowercase();
    [
        "secret",
        "token",
        "passw",
        "credential",
        "api_key",
        "access_key",
        "private",
    ]
    .iter()
    .any(|word| name.replace('-', "_").contains(word))
}

/// A key as it may be shown: control characters escaped, cut after 60 characters.
pub(super) fn shown_key(key: &str) -> String {
    let mut text: String = key.chars().take(60).flat_map(char::escape_debug).collect();
    if key.chars().count() > 60 {
        text.push('…');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn renders_a_block_for_each_problem() {
        let at = |line, column| Place::At {
            file: "mwaa-gateway.toml".into(),
            line,
            column,
        };
        let mut problems = Problems::default();
        problems.push(Problem {
            place: Place::Given("--listen".to_owned()),
            key: "listener.address".to_owned(),
            what: "\"x\" is not an address".to_owned(),
            hint: None,
        });
        problems.push(Problem {
            place: at(12, 1),
            key: "environments.prod.polcy".to_owned(),
            what: "unknown key".to_owned(),
            hint: Some("did you mean `policy`?".to_owned()),
        });
        problems.push(Problem {
            place: at(2, 9),
            key: String::new(),
            what: "duplicate key".to_owned(),
            hint: None,
        });
        problems.sort();
        assert_eq!(
            problems.to_string(),
            "mwaa-gateway.toml:2:9: duplicate key\n\
             mwaa-gateway.toml:12:1: environments.prod.polcy: unknown key\n  \
             hint: did you mean `policy`?\n\
             --listen: listener.address: \"x\" is not an address"
        );
    }

    #[test]
    fn hides_what_may_be_secret() {
        assert_eq!(shown("aws.region", "x\u{1b}[31m"), "\"x\\u{1b}[31m\"");
        assert_eq!(shown("aws.region", "\u{202e}x"), "\"\\u{202e}x\"");
        assert_eq!(shown("limits.token_use", "2m"), "\"2m\"");
        for (key, text) in [
            ("listener.secret_file", "hunter2"),
            ("limits.token", "hunter2"),
            ("limits.token_use", "hunter2"),
            ("limits.token", "2m"),
            ("aws.Password", "hunter2"),
            ("aws.endpoint_url", "https://me:hunter2@aws"),
            ("aws.endpoint_url", "https://aws/?token=hunter2"),
            ("aws.profile", "eyJhunter2"),
        ] {
            assert_eq!(shown(key, text), "the value", "{key} {text}");
        }
        assert_eq!(shown_key("a\nb"), "a\\nb");
        assert_eq!(shown_key(&"k".repeat(99)).chars().count(), 61);
    }
}
