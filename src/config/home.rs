//! `~/` at the beginning of a path, as shells read it.

use super::env;
use super::problems::Complaint;
use std::ffi::OsString;
use std::fmt;
use std::path::PathBuf;

/// Reads a path from a flag or a variable, where no shell has replaced `~/`.
pub fn path(text: OsString) -> Result<PathBuf, BadPath> {
    match text.to_str() {
        Some(plain) => expand(plain, env::home).map_err(BadPath),
        None => Ok(text.into()),
    }
}

/// The same for the configuration.
pub(super) fn expanded(text: &str) -> Result<PathBuf, Complaint> {
    expand(text, env::home)
}

fn expand(text: &str, home: impl FnOnce() -> Option<PathBuf>) -> Result<PathBuf, Complaint> {
    let Some(rest) = text.strip_prefix('~') else {
        return Ok(text.into());
    };
    let inside = rest
        .strip_prefix('/')
        .or_else(|| rest.is_empty().then_some(""));
    let Some(inside) = inside else {
        return Err(Complaint::new("begins with the home folder of a user by name")
            .hint("write the whole path; only ~/ is read, and a name that begins with ~ as ./~name"));
    };
    match home() {
        Some(home) => Ok(home.join(inside.trim_start_matches('/'))),
        None => Err(Complaint::new("begins with ~, and there is no home folder")
            .hint("set HOME, or write the whole path")),
    }
}

/// A path that can't be read; says why, and what to write instead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadPath(Complaint);

impl fmt::Display for BadPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the path {}", self.0.what)?;
        match &self.0.hint {
            Some(hint) => write!(f, " ({hint})"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for BadPath {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_own_home_folder_is_put_in() {
        let read = |text: &str| expand(text, || Some("/home/me".into()));
        for (text, path) in [
            ("~/a/b", "/home/me/a/b"),
            ("~", "/home/me/"),
            ("~//etc/a", "/home/me/etc/a"),
            ("/a/~/b", "/a/~/b"),
            ("./~a", "./~a"),
            ("a~", "a~"),
        ] {
            assert_eq!(read(text), Ok(path.into()), "{text}");
        }
        for text in ["~you/a", "~you", "~a.pem"] {
            let why = read(text).unwrap_err();
            assert!(why.what.contains("by name"), "{text}: {why:?}");
        }
        let why = expand("~/a", || None).unwrap_err();
        assert!(why.what.contains("no home folder"), "{why:?}");
    }
}
