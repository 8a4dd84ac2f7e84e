//! Where the configuration file may be, and what is in it.

use super::env;
use super::problems::{Place, Problem, Problems};
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};

/// The places that are searched for a configuration file when none is named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Search {
    /// The working folder; empty for "where we are", which keeps messages short.
    pub folder: PathBuf,
    /// The user's configuration folders, such as `~/.config`.
    pub user: Vec<PathBuf>,
    /// The folder of the machine's own file.
    pub system: PathBuf,
}

impl Search {
    /// The working folder, the user's configuration folders, and `/etc/mwaa-gateway`.
    pub fn from_environment() -> Self {
        Self {
            folder: PathBuf::new(),
            user: env::config_homes(),
            system: "/etc/mwaa-gateway".into(),
        }
    }

    /// The files to look for; the first that exists is read, alone.
    pub fn candidates(&self) -> Vec<PathBuf> {
        let user = self.user.iter();
        std::iter::once(self.folder.join("mwaa-gateway.toml"))
            .chain(user.map(|folder| folder.join("mwaa-gateway").join("config.toml")))
            .chain([self.system.join("config.toml")])
            .collect()
    }
}

/// A configuration file that was read.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) path: PathBuf,
    pub(super) text: String,
}

/// Reads the named file, or the first of the candidates that exists.
pub(super) fn find(
    explicit: Option<&Path>,
    search: &Search,
) -> Result<Option<Found>, Problems> {
    if let Some(path) = explicit {
        return read(path, true);
    }
    for path in search.candidates() {
        if let Some(found) = read(&path, false)? {
            return Ok(Some(found));
        }
    }
    Ok(None)
}

/// A larger file is a mistake (a log, a device), not a configuration.
const LARGEST_FILE: u64 = 1 << 20;

fn read(path: &Path, must_exist: bool) -> Result<Option<Found>, Problems> {
    let mut bytes = Vec::new();
    let outcome = std::fs::File::open(path)
        .and_then(|file| file.take(LARGEST_FILE + 1).read_to_end(&mut bytes));
    let missing = |error: &std::io::Error| {
        matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory)
    };
    let fail = |place, what: &str, hint: &str| {
        let mut problems = Problems::default();
        problems.push(Problem {
            place,
            key: String::new(),
            what: what.to_owned(),
            hint: Some(hint.to_owned()),
        });
        Err(problems)
    };
    let whole = || Place::File(path.to_owned());
    match outcome {
        Err(error) if missing(&error) && !must_exist => return Ok(None),
        Err(error) if missing(&error) => {
            return fail(
                whole(),
                "no such file",
                "check --config and MWAA_GATEWAY_CONFIG",
            );
        }
        Err(error) if error.kind() == ErrorKind::IsADirectory => {
            return fail(whole(), "is a folder, not a file", "name the file in it");
        }
        Err(error) => {
            let what = format!("can't be read: {}", error.kind());
            return fail(
                whole(),
                &what,
                "make the file readable for the user that runs this",
            );
        }
        Ok(_) if bytes.len() as u64 > LARGEST_FILE => {
            return fail(
                whole(),
                "is larger than 1 MiB",
                "this does not look like a configuration file",
            );
        }
        Ok(_) => {}
    }
    match String::from_utf8(bytes) {
        Ok(text) => Ok(Some(Found {
            path: path.to_owned(),
            text,
        })),
        Err(error) => {
            let good = error.utf8_error().valid_up_to();
            let text =
                String::from_utf8_lossy(error.as_bytes().get(..good).unwrap_or_default());
            let (line, column) = Lines::new(&text).position(good);
            let place = Place::At {
                file: path.to_owned(),
                line,
                column,
            };
            fail(place, "is not UTF-8", "save the file as UTF-8 text")
        }
    }
}

/// Turns byte offsets into lines and columns.
#[derive(Debug)]
pub(super) struct Lines<'a> {
    text: &'a str,
    starts: Vec<usize>,
}

impl<'a> Lines<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        let starts = std::iter::once(0)
            .chain(text.match_indices('\n').map(|(at, _)| at + 1))
            .collect();
        Self { text, starts }
    }

    /// Line and column of the byte, both from 1; the column counts characters.
    pub(super) fn position(&self, offset: usize) -> (usize, usize) {
        let line = self.starts.partition_point(|start| *start <= offset).max(1);
        let start = self.starts.get(line - 1).copied().unwrap_or_default();
        let end = offset.min(self.text.len());
        let column = self
            .text
            .get(start..end)
            .map_or(0, |text| text.chars().count());
        (line, column + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_lines_and_characters() {
        let lines = Lines::new("a = 1\né = 2\r\n\nx");
        let at = |needle: &str| lines.position(lines.text.find(needle).expect(needle));
        assert_eq!(at("a"), (1, 1));
        assert_eq!(at("1"), (1, 5));
        assert_eq!(at("2"), (2, 5));
        assert_eq!(at("x"), (4, 1));
        assert_eq!(lines.position(999), (4, 2));
        assert_eq!(Lines::new("").position(0), (1, 1));
    }

    #[test]
    fn takes_the_first_file_that_exists() {
        let folder = tempfile::tempdir().expect("folder");
        let search = Search {
            folder: folder.path().join("work"),
            user: vec![folder.path().join("user"), folder.path().join("other")],
            system: folder.path().join("etc"),
        };
        let found = || {
            find(None, &search)
                .expect("readable")
                .map(|found| found.text)
        };
        assert_eq!(found(), None);
        let mut wanted = search.candidates();
        assert_eq!(wanted.len(), 4);
        wanted.reverse();
        for path in wanted {
            std::fs::create_dir_all(path.parent().expect("parent")).expect("folder");
            let text = format!("# {}", path.display());
            std::fs::write(&path, &text).expect("file");
            assert_eq!(found(), Some(text));
        }
    }

    #[test]
    fn says_why_a_file_is_no_good() {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("config.toml");
        let said = || read(&path, true).expect_err("a problem").to_string();
        assert!(said().contains("config.toml: no such file"), "{}", said());
        std::fs::write(&path, b"# ok\n# \xff").expect("file");
        assert!(
            said().contains("config.toml:2:3: is not UTF-8"),
            "{}",
            said()
        );
        std::fs::write(&path, vec![b'\n'; 1_048_577]).expect("file");
        assert!(said().contains("larger than 1 MiB"), "{}", said());
        std::fs::remove_file(&path).expect("remove");
        std::fs::create_dir(&path).expect("folder");
        assert!(said().contains("is a folder"), "{}", said());
    }
}
