//! The commands by which a person logs in to AWS.

use std::fmt;

/// A command that logs a person in, with the profile that holds the login; `None` is the default
/// profile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LoginCommand {
    /// AWS's own login: the profile has `login_session`.
    Login(Option<String>),
    /// IAM Identity Center: the profile has `sso_session` or `sso_start_url`.
    Sso(Option<String>),
}

impl LoginCommand {
    /// Returns the program and its arguments.
    pub fn command(&self) -> Vec<&str> {
        let (mut words, profile) = match self {
            Self::Login(profile) => (vec!["aws", "login"], profile),
            Self::Sso(profile) => (vec!["aws", "sso", "login"], profile),
        };
        // without a name the AWS CLI takes the default profile
        if let Some(profile) = profile {
            words.extend(["--profile", profile]);
        }
        words
    }
}

/// The command as a shell reads it.
impl fmt::Display for LoginCommand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&format_command(&self.command()))
    }
}

/// Returns a command as a person types it into a shell.
pub(super) fn format_command(words: &[&str]) -> String {
    let typed = words.iter().map(|word| {
        if word.chars().all(is_plain) && !word.is_empty() {
            (*word).to_owned()
        } else {
            // within single quotes a shell has no escape for one
            format!("'{}'", word.replace('\'', r"'\''"))
        }
    });
    typed.collect::<Vec<_>>().join(" ")
}

/// Returns true if a shell does not interpret the character.
fn is_plain(c: char) -> bool {
    c.is_ascii_alphanumeric() || "-_./:@%+=,".contains(c)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_login_command_is_quoted_for_a_shell() {
        for (login, command) in [
            (LoginCommand::Sso(None), "aws sso login"),
            (
                LoginCommand::Sso(Some("dev".to_owned())),
                "aws sso login --profile dev",
            ),
            (
                LoginCommand::Login(Some("o'hara; rm x".to_owned())),
                r"aws login --profile 'o'\''hara; rm x'",
            ),
        ] {
            assert_eq!(login.to_string(), command);
        }
    }
}
