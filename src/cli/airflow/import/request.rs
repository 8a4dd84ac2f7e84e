//! The arguments and the file of an `… import` command.

use super::json::Json;
use indexmap::IndexMap;
use std::io::Read as _;
use std::path::PathBuf;

/// The kind of the entries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ImportKind {
    Connections,
    Pools,
    Variables,
}

impl ImportKind {
    /// Returns the word for several of them.
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Connections => "connections",
            Self::Pools => "pools",
            Self::Variables => "variables",
        }
    }
}

/// The action for entries that exist already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ExistingAction {
    Fail,
    Overwrite,
    Skip,
}

impl ExistingAction {
    /// Returns it as Airflow's option has it.
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Fail => "fail",
            Self::Overwrite => "overwrite",
            Self::Skip => "skip",
        }
    }
}

/// The arguments of an import.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::airflow) struct ImportRequest {
    pub(super) kind: ImportKind,
    pub(super) existing: ExistingAction,
    file: PathBuf,
}

/// An import is not possible.
#[derive(Debug, thiserror::Error)]
pub(in crate::airflow) enum ImportError {
    #[error("{0}")]
    Arguments(String),
    #[error("{} cannot be read", .0.display())]
    Unreadable(PathBuf, #[source] std::io::Error),
    #[error("{0}")]
    Content(String),
}

impl ImportRequest {
    /// Parses the words as Airflow's own command does. `None` means that they are another command,
    /// or ask for help.
    pub(in crate::airflow) fn parse(words: &[String]) -> Option<Result<Self, ImportError>> {
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let words = words.strip_prefix(&["airflow"]).unwrap_or(&words);
        let (kind, rest) = match words {
            ["connections", "import", rest @ ..] => (ImportKind::Connections, rest),
            ["pools", "import", rest @ ..] => (ImportKind::Pools, rest),
            ["variables", "import", rest @ ..] => (ImportKind::Variables, rest),
            _ => return None,
        };
        if rest.iter().any(|word| matches!(*word, "-h" | "--help")) {
            return None;
        }
        Some(Self::parse_options(kind, rest).map_err(ImportError::Arguments))
    }

    fn parse_options(kind: ImportKind, words: &[&str]) -> Result<Self, String> {
        let mut existing = match kind {
            // as Airflow does without the option
            ImportKind::Connections => ExistingAction::Skip,
            ImportKind::Pools | ImportKind::Variables => ExistingAction::Overwrite,
        };
        let mut file = None;
        let mut words = words.iter();
        while let Some(word) = words.next() {
            match (kind, *word) {
                (_, "-v" | "--verbose") => {}
                (ImportKind::Connections, "--overwrite") => {
                    existing = ExistingAction::Overwrite;
                }
                (ImportKind::Variables, option)
                    if option == "-a" || option.starts_with("--action-on-existing-key") =>
                {
                    let action = match option.split_once('=') {
                        Some((_, action)) => Some(action),
                        None => words.next().copied(),
                    };
                    existing = match action {
                        Some("overwrite") => ExistingAction::Overwrite,
                        Some("fail") => ExistingAction::Fail,
                        Some("skip") => ExistingAction::Skip,
                        _ => {
                            return Err(
                                "--action-on-existing-key takes overwrite, fail or skip"
                                    .to_owned(),
                            );
                        }
                    };
                }
                (_, option) if option.starts_with('-') && option != "-" => {
                    return Err(format!("`{} import` has no option {option}", kind.word()));
                }
                (_, name) => {
                    if file.replace(PathBuf::from(name)).is_some() {
                        return Err(format!("`{} import` takes one file", kind.word()));
                    }
                }
            }
        }

        let file =
            file.ok_or_else(|| format!("`{} import` needs a file, or `-`", kind.word()))?;
        Ok(Self {
            kind,
            existing,
            file,
        })
    }

    /// Reads the file, or with `-` stdin.
    pub(in crate::airflow) fn read_text(&self) -> Result<String, ImportError> {
        let bytes = if self.file.as_os_str() == "-" {
            read_limited(std::io::stdin())
        } else {
            std::fs::File::open(&self.file).and_then(read_limited)
        };
        let bytes = bytes.map_err(|error| ImportError::Unreadable(self.file.clone(), error))?;
        decode(bytes).map_err(ImportError::Content)
    }

    /// Returns the names and values of the file's text, in their order.
    pub(super) fn parse_entries(
        &self,
        text: &str,
    ) -> Result<IndexMap<String, Json>, ImportError> {
        let extension = self.file.extension().unwrap_or_default();
        let extension = extension.to_string_lossy().to_ascii_lowercase();

        // Airflow's own import goes by the extension too
        let entries = match extension.as_str() {
            "yaml" | "yml" => Err("YAML is not supported: convert the file to JSON".to_owned()),
            "env" if self.kind != ImportKind::Pools => parse_env_file(text),
            _ => match serde_json::from_str(text) {
                Ok(Json::Object(entries)) => Ok(entries),
                Ok(_) => Err(format!(
                    "the file must be a JSON object with the {} by name",
                    self.kind.word()
                )),
                Err(error) => Err(format!("the file is not JSON: {error}")),
            },
        };
        entries.map_err(ImportError::Content)
    }
}

/// Reads a file to its end. Fails if it is larger than any import can be.
fn read_limited(source: impl std::io::Read) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let read = source.take(MAX_FILE + 1).read_to_end(&mut bytes)?;
    if u64::try_from(read).is_ok_and(|read| read <= MAX_FILE) {
        Ok(bytes)
    } else {
        Err(std::io::ErrorKind::FileTooLarge.into())
    }
}

/// Returns the text, without the byte order mark that some editors write before it.
fn decode(mut bytes: Vec<u8>) -> Result<String, String> {
    if let Some(encoding) = find_wide_encoding(&bytes) {
        return Err(format!(
            "the file is {encoding}: save it as UTF-8, or run \
             `iconv -f {encoding} -t UTF-8 FILE > NEW`"
        ));
    }
    if bytes.starts_with(b"\xef\xbb\xbf") {
        bytes.drain(..3);
    }
    String::from_utf8(bytes)
        .map_err(|_bytes| "the file is not UTF-8: save it as UTF-8".to_owned())
}

/// Returns iconv's name of an encoding that uses more than a byte for each character: by the byte
/// order mark, else by the place of the zeros, because these files begin in ASCII.
fn find_wide_encoding(bytes: &[u8]) -> Option<&'static str> {
    match *bytes {
        [0xff, 0xfe, 0, 0, ..] | [0, 0, 0xfe, 0xff, ..] => Some("UTF-32"),
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => Some("UTF-16"),
        [0, 0, 0, _, ..] => Some("UTF-32BE"),
        [_, 0, 0, 0, ..] => Some("UTF-32LE"),
        [0, _, ..] => Some("UTF-16BE"),
        [_, 0, ..] => Some("UTF-16LE"),
        _ => None,
    }
}

/// Parses `NAME=VALUE`, one a line, as Airflow's local secrets backend does.
fn parse_env_file(text: &str) -> Result<IndexMap<String, Json>, String> {
    let mut entries = IndexMap::new();
    for (index, line) in text.lines().enumerate() {
        if line.is_empty() || line.trim_start().starts_with('#') {
            continue;
        }

        // as editors count lines
        let number = index + 1;

        let (name, value) = line
            .split_once('=')
            .filter(|(name, value)| !name.is_empty() && !value.is_empty())
            .ok_or_else(|| format!("line {number} of the file is not NAME=VALUE"))?;
        let value = Json::Text(value.to_owned());
        if entries.insert(name.to_owned(), value).is_some() {
            return Err(format!("line {number} of the file repeats a name"));
        }
    }
    Ok(entries)
}

/// Far more than can be set one name after the other, in bytes.
const MAX_FILE: u64 = 64 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Option<Result<ImportRequest, ImportError>> {
        let words: Vec<_> = line.split(' ').map(str::to_owned).collect();
        ImportRequest::parse(&words)
    }

    #[test]
    fn import_options_are_parsed_as_by_airflow() {
        for (line, kind, existing) in [
            (
                "variables import f.json",
                ImportKind::Variables,
                ExistingAction::Overwrite,
            ),
            (
                "airflow variables import -a skip -",
                ImportKind::Variables,
                ExistingAction::Skip,
            ),
            (
                "variables import --action-on-existing-key=fail f",
                ImportKind::Variables,
                ExistingAction::Fail,
            ),
            (
                "connections import f.env",
                ImportKind::Connections,
                ExistingAction::Skip,
            ),
            (
                "connections import f --overwrite",
                ImportKind::Connections,
                ExistingAction::Overwrite,
            ),
            (
                "pools import -v f",
                ImportKind::Pools,
                ExistingAction::Overwrite,
            ),
        ] {
            let request = parse(line).unwrap().unwrap();
            assert_eq!((request.kind, request.existing), (kind, existing), "{line}");
        }
        for line in [
            "variables import",
            "variables import a b",
            "variables import -a never f",
            "variables import f -a",
            "variables import --overwrite f",
            "pools import --overwrite f",
        ] {
            assert!(
                matches!(parse(line), Some(Err(ImportError::Arguments(_)))),
                "{line}"
            );
        }
        for line in ["variables list", "variables import --help", "import f"] {
            assert!(parse(line).is_none(), "{line}");
        }
    }

    #[test]
    fn a_file_without_end_is_refused() {
        let bytes = read_limited(&b"{}"[..]).unwrap();
        assert_eq!(bytes, b"{}");
        let error = read_limited(std::io::repeat(b' ')).unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::FileTooLarge);
    }

    #[test]
    fn a_byte_order_mark_is_removed_and_other_encodings_are_refused() {
        let read = |bytes: &[u8]| decode(bytes.to_vec());
        assert_eq!(read(b"\xef\xbb\xbf{}").as_deref(), Ok("{}"));
        assert_eq!(read(b"{}").as_deref(), Ok("{}"));
        for (wide, encoding) in [
            (&b"\xff\xfe{\0}\0"[..], "UTF-16"),
            (b"\xfe\xff\0{\0}", "UTF-16"),
            (b"{\0}\0", "UTF-16LE"),
            (b"\0{\0}", "UTF-16BE"),
            (b"\xff\xfe\0\0{\0\0\0", "UTF-32"),
            (b"\0\0\xfe\xff\0\0\0{", "UTF-32"),
            (b"{\0\0\0}\0\0\0", "UTF-32LE"),
            (b"\0\0\0{\0\0\0}", "UTF-32BE"),
        ] {
            let error = read(wide).unwrap_err();
            assert!(error.contains(&format!("iconv -f {encoding} ")), "{error}");
        }
        assert!(read(b"{\xff}").unwrap_err().contains("not UTF-8"));
    }

    #[test]
    fn env_files_are_read_as_by_airflow() {
        let entries = parse_env_file("# note\n\nA=1=2\nB= x \n").unwrap();
        assert!(entries.keys().eq(["A", "B"]));
        assert_eq!(entries["A"], Json::Text("1=2".to_owned()));
        assert_eq!(entries["B"], Json::Text(" x ".to_owned()));
        for text in ["A", "=1", "A=", "A=1\nA=2"] {
            assert!(parse_env_file(text).is_err(), "{text}");
        }
    }
}
