//! Diagnostics: everything that is wrong with a configuration, each with its origin, key and
//! hint, and without secrets.

use super::keys;
use std::fmt;
use std::path::PathBuf;

/// The origin of a value. The order is that in which diagnostics are listed.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Origin {
    /// A position in a file; line and column count from 1, the column in characters.
    Position {
        /// The file, spelled as it was found.
        file: PathBuf,
        /// The line.
        line: usize,
        /// The column.
        column: usize,
    },
    /// A file as a whole: it is missing or cannot be read.
    File(PathBuf),
    /// A flag or a variable, by its spelling: `--listen`, `MWAA_GATEWAY_LISTEN`.
    Override(String),
    /// Another key, whose value holds for this one too: `aws.region`.
    Key(&'static str),
    /// The built-in default.
    Default,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Position { file, line, column } => {
                write!(f, "{}:{line}:{column}", file.display())
            }
            Self::File(file) => write!(f, "{}", file.display()),
            Self::Override(spelling) => f.write_str(spelling),
            Self::Key(key) => f.write_str(key),
            Self::Default => f.write_str("default"),
        }
    }
}

/// One thing that is wrong. `Display` prints one line, and a second one for the hint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// The origin of the wrong value.
    pub origin: Origin,
    /// The key with its table, `listener.address`; empty if no key is wrong.
    pub key: String,
    /// The error in one line, without any secret.
    pub message: String,
    /// The way to correct it.
    pub hint: Option<String>,
}

impl Diagnostic {
    /// Returns the first line: origin, key and message, without the hint.
    pub fn headline(&self) -> String {
        let separator = if self.key.is_empty() { "" } else { ": " };
        format!("{}: {}{separator}{}", self.origin, self.key, self.message)
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.headline())?;
        match &self.hint {
            Some(hint) => write!(f, "\n  hint: {hint}"),
            None => Ok(()),
        }
    }
}

/// Everything that is wrong with a configuration, in the order of the file; flags and variables
/// come last. Never empty when it is returned as an error.
#[derive(Debug, Clone, PartialEq, Eq, Default, thiserror::Error)]
#[error("{}", lines(.0))]
pub struct Diagnostics(Vec<Diagnostic>);

impl Diagnostics {
    /// Puts the diagnostics into the order of their origins.
    pub(super) fn new(mut all: Vec<Diagnostic>) -> Self {
        // stable: what is wrong with one value keeps its order
        all.sort_by(|a, b| a.origin.cmp(&b.origin));
        Self(all)
    }

    /// Returns the diagnostics one by one.
    pub fn iter(&self) -> std::slice::Iter<'_, Diagnostic> {
        self.0.iter()
    }

    /// Returns their number.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Returns true if nothing is wrong.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl From<Diagnostic> for Diagnostics {
    fn from(only: Diagnostic) -> Self {
        Self(vec![only])
    }
}

impl<'a> IntoIterator for &'a Diagnostics {
    type Item = &'a Diagnostic;
    type IntoIter = std::slice::Iter<'a, Diagnostic>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

fn lines(all: &[Diagnostic]) -> String {
    let lines: Vec<_> = all.iter().map(Diagnostic::to_string).collect();
    lines.join("\n")
}

/// A value that a parser or a check rejects: the message continues the value, as in
/// `"10" is not a duration`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ValueError {
    pub(super) message: String,
    pub(super) hint: Option<String>,
}

impl ValueError {
    pub(super) fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            hint: None,
        }
    }

    pub(super) fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Puts the value before the message, as far as it may be shown.
    pub(super) fn with_value(mut self, key: &str, value: &str) -> Self {
        self.message = format!("{} {}", format_value(key, value), self.message);
        self
    }

    pub(super) fn into_diagnostic(self, key: &str, origin: Origin) -> Diagnostic {
        Diagnostic {
            origin,
            key: key.to_owned(),
            message: self.message,
            hint: self.hint,
        }
    }
}

impl fmt::Display for ValueError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.hint {
            Some(hint) => write!(f, "{} ({hint})", self.message),
            None => f.write_str(&self.message),
        }
    }
}

/// Returns the value in quotes, or just `the value` if it could hold a secret: because of its
/// key's name or because of its content (userinfo, query, fragment, tokens, long lines).
pub(super) fn format_value(key: &str, text: &str) -> String {
    // a JWT, and the two kinds of AWS access keys
    let tokenish = ["eyJ", "AKIA", "ASIA"]
        .iter()
        .any(|head| text.starts_with(head));
    // `limits.token_use = "2m"` is a time; "hunter2" there is a mistake that may be a secret
    let is_number = text.starts_with(|c: char| c.is_ascii_digit());
    let secret = has_secret_name(key) && !(keys::takes_number(key) && is_number);

    // a long text is more often a token or a key than a value with a typing error
    if secret || tokenish || text.len() > 80 || text.contains(['@', '?', '#', '\n']) {
        "the value".to_owned()
    } else {
        format!("\"{}\"", text.escape_debug())
    }
}

/// Returns true if a key is named like one that holds a secret. One that takes a number holds
/// none, whatever its name (`limits.token_use`).
pub(super) fn is_secret_key(key: &str) -> bool {
    has_secret_name(key) && !keys::takes_number(key)
}

fn has_secret_name(key: &str) -> bool {
    let name = key.rsplit('.').next().unwrap_or(key).to_ascii_lowercase();
    let name = name.replace('-', "_");
    SECRET_WORDS.iter().any(|word| name.contains(word))
}

/// Returns a key as it may be shown: control characters escaped, cut after 60 characters.
pub(super) fn format_key(key: &str) -> String {
    let mut text: String = key.chars().take(60).flat_map(char::escape_debug).collect();
    if key.chars().count() > 60 {
        text.push('…');
    }
    text
}

/// Parts of the names of keys that hold secrets.
const SECRET_WORDS: [&str; 7] = [
    "secret",
    "token",
    "passw",
    "credential",
    "api_key",
    "access_key",
    "private",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn renders_a_block_for_each_diagnostic() {
        let at = |line, column| Origin::Position {
            file: "mwaa-gateway.toml".into(),
            line,
            column,
        };
        let diagnostics = Diagnostics::new(vec![
            Diagnostic {
                origin: Origin::Override("--listen".to_owned()),
                key: "listener.address".to_owned(),
                message: "\"x\" is not an address".to_owned(),
                hint: None,
            },
            Diagnostic {
                origin: at(12, 1),
                key: "environments.prod.polcy".to_owned(),
                message: "unknown key".to_owned(),
                hint: Some("did you mean `policy`?".to_owned()),
            },
            Diagnostic {
                origin: at(2, 9),
                key: String::new(),
                message: "duplicate key".to_owned(),
                hint: None,
            },
        ]);
        assert_eq!(
            diagnostics.to_string(),
            "mwaa-gateway.toml:2:9: duplicate key\n\
             mwaa-gateway.toml:12:1: environments.prod.polcy: unknown key\n  \
             hint: did you mean `policy`?\n\
             --listen: listener.address: \"x\" is not an address"
        );
    }

    #[test]
    fn hides_what_may_be_secret() {
        assert_eq!(
            format_value("aws.region", "x\u{1b}[31m"),
            "\"x\\u{1b}[31m\""
        );
        assert_eq!(format_value("aws.region", "\u{202e}x"), "\"\\u{202e}x\"");
        assert_eq!(format_value("limits.token_use", "2m"), "\"2m\"");
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
            assert_eq!(format_value(key, text), "the value", "{key} {text}");
        }
        assert_eq!(format_key("a\nb"), "a\\nb");
        assert_eq!(format_key(&"k".repeat(99)).chars().count(), 61);
    }
}
