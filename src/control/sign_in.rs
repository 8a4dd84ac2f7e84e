//! The commands by which a person signs in to AWS.

use std::fmt;

/// A sign-in that a person runs, with the profile that holds it; `None` is the default profile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SignIn {
    /// AWS's own sign-in: the profile has `login_session`.
    Login(Option<String>),
    /// IAM Identity Center: the profile has `sso_session` or `sso_start_url`.
    Sso(Option<String>),
}

impl SignIn {
    /// The program and its arguments.
    pub fn command(&self) -> Vec<&str> {
        let (mut words, profile) = match self {
            Self::Login(profile) => (vec!["aws", "login"], profile),
            Self::Sso(profile) => (vec!["aws", "sso", "login"], profile),
        };
        if let Some(profile) = profile {
            words.extend(["--profile", profile]);
        }
        words
    }
}

/// The command as a shell reads it.
impl fmt::Display for SignIn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&as_typed(&self.command()))
    }
}

/// A command as a person types it into a shell.
pub(super) fn as_typed(words: &[&str]) -> String {
    let typed = words.iter().map(|word| {
        if word.chars().all(is_plain) && !word.is_empty() {
            (*word).to_owned()
        } else {
            format!("'{}'", word.replace('\'', r"'\''"))
        }
    });
    typed.collect::<Vec<_>>().join(" ")
}

/// Whether a shell leaves the character alone.
fn is_plain(c: char) -> bool {
    c.is_ascii_alphanumeric() || "-_./:@%+=,".contains(c)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_can_be_pasted() {
        for (sign_in, command) in [
            (SignIn::Sso(None), "aws sso login"),
            (
                SignIn::Sso(Some("dev".to_owned())),
                "aws sso login --profile dev",
            ),
            (
                SignIn::Login(Some("o'hara; rm x".to_owned())),
                r"aws login --profile 'o'\''hara; rm x'",
            ),
        ] {
            assert_eq!(sign_in.to_string(), command);
        }
    }
}
