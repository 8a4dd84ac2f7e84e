//! The configuration file: where it is looked for, and its text as a TOML document with positions.

use super::diagnostics::{Diagnostic, Diagnostics, Origin, ValueError, format_key};
use super::env;
use std::io::{ErrorKind, Read};
use std::ops::Range;
use std::path::{Path, PathBuf};
use toml::Spanned;
use toml::de::{DeString, DeTable, DeValue};

/// The folders that are searched for a configuration file if none is named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SearchPath {
    /// The working folder; empty for the current one, which keeps messages short.
    pub folder: PathBuf,
    /// The user's configuration folders, such as `~/.config`.
    pub user: Vec<PathBuf>,
    /// The folder of the machine's own file.
    pub system: PathBuf,
}

impl SearchPath {
    /// Returns the working folder, the user's configuration folders, and `/etc/mwaa-gateway`.
    pub fn from_environment() -> Self {
        Self {
            folder: PathBuf::new(),
            user: env::config_homes(),
            system: "/etc/mwaa-gateway".into(),
        }
    }

    /// Returns the files to look for; the first that exists is read, alone.
    pub fn candidates(&self) -> Vec<PathBuf> {
        // the nearest first: a project's file, the user's, the machine's
        let user = self.user.iter();
        std::iter::once(self.folder.join("mwaa-gateway.toml"))
            .chain(user.map(|folder| folder.join("mwaa-gateway").join("config.toml")))
            .chain([self.system.join("config.toml")])
            .collect()
    }
}

/// A configuration file and its content.
#[derive(Debug)]
pub(super) struct ConfigFile {
    pub(super) path: PathBuf,
    text: String,
}

impl ConfigFile {
    /// Reads the named file, or the first of the candidates that exists. `None` means that there
    /// is none; a named one must exist.
    pub(super) fn find(
        explicit: Option<&Path>,
        search: &SearchPath,
    ) -> Result<Option<Self>, Diagnostics> {
        if let Some(path) = explicit {
            return Self::read(path, true);
        }
        for path in search.candidates() {
            if let Some(file) = Self::read(&path, false)? {
                return Ok(Some(file));
            }
        }
        Ok(None)
    }

    /// Fails if this is something else than a regular file. That it is missing is for [`Self::find`].
    pub(super) fn check_regular(path: &Path) -> Result<(), Diagnostics> {
        if std::fs::metadata(path).is_ok_and(|metadata| !metadata.is_file()) {
            let error =
                ValueError::new("is not a regular file, so it is read at the start only");
            let origin = Origin::File(path.to_owned());
            return Err(error.into_diagnostic("", origin).into());
        }
        Ok(())
    }

    fn read(path: &Path, must_exist: bool) -> Result<Option<Self>, Diagnostics> {
        let fail = |error: ValueError| {
            let origin = Origin::File(path.to_owned());
            Err(error.into_diagnostic("", origin).into())
        };
        let mut bytes = Vec::new();
        let result = std::fs::File::open(path)
            .and_then(|file| file.take(LARGEST_FILE + 1).read_to_end(&mut bytes));

        // a folder opens like a file and fails on reading
        if let Err(error) = result {
            return match error.kind() {
                ErrorKind::NotFound | ErrorKind::NotADirectory if !must_exist => Ok(None),
                kind => fail(read_error(kind)),
            };
        }
        if bytes.len() as u64 > LARGEST_FILE {
            let error = ValueError::new("is larger than 1 MiB");
            return fail(error.with_hint("this does not look like a configuration file"));
        }

        let text = String::from_utf8(bytes).map_err(|error| encoding_error(path, &error))?;
        Ok(Some(Self {
            path: path.to_owned(),
            text,
        }))
    }
}

fn read_error(kind: ErrorKind) -> ValueError {
    match kind {
        ErrorKind::NotFound | ErrorKind::NotADirectory => {
            ValueError::new("no such file").with_hint("check --config and MWAA_GATEWAY_CONFIG")
        }
        ErrorKind::IsADirectory => {
            ValueError::new("is a folder, not a file").with_hint("name the file in it")
        }
        other => ValueError::new(format!("cannot be read: {other}"))
            .with_hint("make the file readable for the user that runs this"),
    }
}

fn encoding_error(path: &Path, error: &std::string::FromUtf8Error) -> Diagnostics {
    let good = error.utf8_error().valid_up_to();
    let text = String::from_utf8_lossy(error.as_bytes().get(..good).unwrap_or_default());
    let (line, column) = LineIndex::new(&text).position(good);
    let origin = Origin::Position {
        file: path.to_owned(),
        line,
        column,
    };
    let error = ValueError::new("is not UTF-8").with_hint("save the file as UTF-8 text");
    error.into_diagnostic("", origin).into()
}

/// A configuration file that was parsed.
#[derive(Debug)]
pub(super) struct Document<'a> {
    path: &'a Path,
    /// Relative paths start here.
    pub(super) folder: PathBuf,
    lines: LineIndex<'a>,
    pub(super) root: DeTable<'a>,
}

/// A key as it is written, and its value.
pub(super) type Entry<'a> = (&'a Spanned<DeString<'a>>, &'a Spanned<DeValue<'a>>);

impl<'a> Document<'a> {
    /// Parses the file. An error of syntax comes back alone, without the line that the parser
    /// would quote: it could hold a secret.
    pub(super) fn parse(file: &'a ConfigFile) -> Result<Self, Diagnostics> {
        // not canonical: a link to the file keeps the folder that it is in
        let folder = std::path::absolute(&file.path).ok();
        let folder = folder.as_deref().and_then(Path::parent);
        let mut document = Self {
            path: &file.path,
            folder: folder.map(Path::to_owned).unwrap_or_default(),
            lines: LineIndex::new(&file.text),
            root: DeTable::new(),
        };

        let root = DeTable::parse(&file.text).map_err(|error| {
            let span = error.span().unwrap_or_default();
            // the name of a key is no secret; other text may be one after a typing error
            let duplicate = error.message() == "duplicate key";
            let key = file.text.get(span.clone()).filter(|_| duplicate);
            Diagnostics::from(Diagnostic {
                origin: document.origin(&span),
                key: key.map(format_key).unwrap_or_default(),
                message: error.message().to_owned(),
                hint: duplicate.then(|| "keep only one of them".to_owned()),
            })
        })?;
        document.root = root.into_inner();
        Ok(document)
    }

    /// Returns the position of a piece of the text.
    pub(super) fn origin(&self, span: &Range<usize>) -> Origin {
        let (line, column) = self.lines.position(span.start);
        Origin::Position {
            file: self.path.to_owned(),
            line,
            column,
        }
    }
}

/// Returns the entries in the order of the file; the parser keeps them in alphabetical order.
pub(super) fn entries<'a>(table: &'a DeTable<'a>) -> Vec<Entry<'a>> {
    let mut entries: Vec<_> = table.iter().collect();
    entries.sort_by_key(|(name, _)| name.span().start);
    entries
}

/// Turns byte offsets into lines and columns.
#[derive(Debug)]
struct LineIndex<'a> {
    text: &'a str,
    starts: Vec<usize>,
}

impl<'a> LineIndex<'a> {
    fn new(text: &'a str) -> Self {
        let starts = std::iter::once(0)
            .chain(text.match_indices('\n').map(|(at, _)| at + 1))
            .collect();
        Self { text, starts }
    }

    /// Returns line and column of the byte, both from 1; the column counts characters.
    fn position(&self, offset: usize) -> (usize, usize) {
        // an offset behind the end is in the last line
        let line = self.starts.partition_point(|start| *start <= offset).max(1);
        let start = self.starts.get(line - 1).copied().unwrap_or_default();
        let end = offset.min(self.text.len());
        let before = self.text.get(start..end).unwrap_or_default();
        (line, before.chars().count() + 1)
    }
}

/// A larger file is a mistake (a log, a device), not a configuration.
const LARGEST_FILE: u64 = 1 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_lines_and_characters() {
        let lines = LineIndex::new("a = 1\né = 2\r\n\nx");
        let at = |needle: &str| lines.position(lines.text.find(needle).expect(needle));
        assert_eq!(at("a"), (1, 1));
        assert_eq!(at("1"), (1, 5));
        assert_eq!(at("2"), (2, 5));
        assert_eq!(at("x"), (4, 1));
        assert_eq!(lines.position(999), (4, 2));
        assert_eq!(LineIndex::new("").position(0), (1, 1));
    }

    #[test]
    fn takes_the_first_file_that_exists() {
        let folder = tempfile::tempdir().expect("folder");
        let search = SearchPath {
            folder: folder.path().join("work"),
            user: vec![folder.path().join("user"), folder.path().join("other")],
            system: folder.path().join("etc"),
        };
        let found = || {
            ConfigFile::find(None, &search)
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
    fn an_unusable_file_is_rejected_with_a_reason() {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("config.toml");
        let said = || {
            ConfigFile::read(&path, true)
                .expect_err("an error")
                .to_string()
        };
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
