//! What an `… import` command asks for: its kind, its options, its file.

use super::value::Json;
use std::collections::HashSet;
use std::fmt;
use std::io::Read as _;
use std::path::PathBuf;

/// What is imported.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Connections,
    Pools,
    Variables,
}

impl Kind {
    /// What several of them are called.
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Connections => "connections",
            Self::Pools => "pools",
            Self::Variables => "variables",
        }
    }
}

/// What becomes of names that are there already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Existing {
    Fail,
    Overwrite,
    Skip,
}

impl Existing {
    /// As Airflow's option writes it.
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Fail => "fail",
            Self::Overwrite => "overwrite",
            Self::Skip => "skip",
        }
    }
}

/// An import, as it was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::cli::airflow) struct Request {
    pub(super) kind: Kind,
    pub(super) existing: Existing,
    file: PathBuf,
}

/// Why an import can't be done.
#[derive(Debug)]
pub(in crate::cli::airflow) enum Unfit {
    Arguments(String),
    Unreadable(PathBuf, std::io::Error),
    Content(String),
}

impl fmt::Display for Unfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Arguments(what) | Self::Content(what) => f.write_str(what),
            Self::Unreadable(file, error) => {
                write!(f, "{} can't be read: {error}", file.display())
            }
        }
    }
}

impl std::error::Error for Unfit {}

impl Request {
    /// Reads the words as Airflow's own command takes them; `None` if they are another command,
    /// or ask for help.
    pub(in crate::cli::airflow) fn read(words: &[String]) -> Option<Result<Self, Unfit>> {
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let words = words.strip_prefix(&["airflow"]).unwrap_or(&words);
        let (kind, rest) = match words {
            ["connections", "import", rest @ ..] => (Kind::Connections, rest),
            ["pools", "import", rest @ ..] => (Kind::Pools, rest),
            ["variables", "import", rest @ ..] => (Kind::Variables, rest),
            _ => return None,
        };
        if rest.iter().any(|word| matches!(*word, "-h" | "--help")) {
            return None;
        }
        Some(Self::options(kind, rest))
    }

    fn options(kind: Kind, words: &[&str]) -> Result<Self, Unfit> {
        let usage = |what: String| Err(Unfit::Arguments(what));
        let mut existing = match kind {
            // as Airflow does without the option
            Kind::Connections => Existing::Skip,
            Kind::Pools | Kind::Variables => Existing::Overwrite,
        };
        let mut file = None;
        let mut words = words.iter();
        while let Some(word) = words.next() {
            match (kind, *word) {
                (_, "-v" | "--verbose") => {}
                (Kind::Connections, "--overwrite") => existing = Existing::Overwrite,
                (Kind::Variables, option)
                    if option == "-a" || option.starts_with("--action-on-existing-key") =>
                {
                    let action = match option.split_once('=') {
                        Some((_, action)) => Some(action),
                        None => words.next().copied(),
                    };
                    existing = match action {
                        Some("overwrite") => Existing::Overwrite,
                        Some("fail") => Existing::Fail,
                        Some("skip") => Existing::Skip,
                        _ => {
                            return usage(
                                "--action-on-existing-key takes overwrite, fail or skip"
                                    .to_owned(),
                            );
                        }
                    };
                }
                (_, option) if option.starts_with('-') && option != "-" => {
                    let kind = kind.word();
                    return usage(format!("`{kind} import` has no option {option}"));
                }
                (_, name) => {
                    if file.replace(PathBuf::from(name)).is_some() {
                        return usage(format!("`{} import` takes one file", kind.word()));
                    }
                }
            }
        }
        match file {
            Some(file) => Ok(Self {
                kind,
                existing,
                file,
            }),
            None => usage(format!("`{} import` needs a file, or `-`", kind.word())),
        }
    }

    /// The file's text.
    pub(in crate::cli::airflow) fn text(&self) -> Result<String, Unfit> {
        let read = if self.file.as_os_str() == "-" {
            bounded(std::io::stdin())
        } else {
            std::fs::File::open(&self.file).and_then(bounded)
        };
        let bytes = read.map_err(|error| Unfit::Unreadable(self.file.clone(), error))?;
        decoded(bytes).map_err(Unfit::Content)
    }

    /// The names and values in the file's text, in their order.
    pub(super) fn entries(&self, text: &str) -> Result<Vec<(String, Json)>, Unfit> {
        let extension = self
            .file
            .extension()
            .and_then(|extension| extension.to_str());
        match extension.unwrap_or_default().to_ascii_lowercase().as_str() {
            "yaml" | "yml" => Err(Unfit::Content(
                "YAML is not read here: convert the file to JSON".to_owned(),
            )),
            "env" if self.kind != Kind::Pools => env_file(text),
            _ => match serde_json::from_str(text) {
                Ok(Json::Object(entries)) => Ok(entries),
                Ok(_) => Err(Unfit::Content(format!(
                    "the file must be one JSON object of {} by name",
                    self.kind.word()
                ))),
                Err(error) => Err(Unfit::Content(format!("the file is no JSON: {error}"))),
            },
        }
    }
}

/// Reads it whole, if it has an end.
fn bounded(source: impl std::io::Read) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let read = source.take(LARGEST + 1).read_to_end(&mut bytes)?;
    if u64::try_from(read).is_ok_and(|read| read <= LARGEST) {
        Ok(bytes)
    } else {
        Err(std::io::ErrorKind::FileTooLarge.into())
    }
}

/// The text, without the byte order mark that some editors write before it.
fn decoded(mut bytes: Vec<u8>) -> Result<String, String> {
    if let Some(encoding) = wide(&bytes) {
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

/// The encoding of more than a byte a character, as iconv calls it: by the byte order mark, else
/// by where the zeros are, because all that is read here begins in ASCII.
fn wide(bytes: &[u8]) -> Option<&'static str> {
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

/// Far more than can be set one name after the other, in bytes.
const LARGEST: u64 = 64 << 20;

/// `NAME=VALUE`, one a line, as Airflow's local secrets backend reads it.
fn env_file(text: &str) -> Result<Vec<(String, Json)>, Unfit> {
    let mut entries: Vec<(String, Json)> = Vec::new();
    let mut known = HashSet::new();
    for (number, line) in text.lines().enumerate() {
        if line.is_empty() || line.trim_start().starts_with('#') {
            continue;
        }
        let at = number + 1;
        let (name, value) = match line.split_once('=') {
            Some((name, value)) if !name.is_empty() && !value.is_empty() => (name, value),
            _ => {
                return Err(Unfit::Content(format!(
                    "line {at} of the file is not NAME=VALUE"
                )));
            }
        };
        if !known.insert(name) {
            return Err(Unfit::Content(format!(
                "line {at} of the file names something a second time"
            )));
        }
        entries.push((name.to_owned(), Json::Text(value.to_owned())));
    }
    Ok(entries)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Option<Result<Request, Unfit>> {
        let words: Vec<_> = line.split(' ').map(str::to_owned).collect();
        Request::read(&words)
    }

    #[test]
    fn the_options_are_airflow_s() {
        for (line, kind, existing) in [
            (
                "variables import f.json",
                Kind::Variables,
                Existing::Overwrite,
            ),
            (
                "airflow variables import -a skip -",
                Kind::Variables,
                Existing::Skip,
            ),
            (
                "variables import --action-on-existing-key=fail f",
                Kind::Variables,
                Existing::Fail,
            ),
            (
                "connections import f.env",
                Kind::Connections,
                Existing::Skip,
            ),
            (
                "connections import f --overwrite",
                Kind::Connections,
                Existing::Overwrite,
            ),
            ("pools import -v f", Kind::Pools, Existing::Overwrite),
        ] {
            let request = read(line).unwrap().unwrap();
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
                matches!(read(line), Some(Err(Unfit::Arguments(_)))),
                "{line}"
            );
        }
        for line in ["variables list", "variables import --help", "import f"] {
            assert!(read(line).is_none(), "{line}");
        }
    }

    #[test]
    fn a_file_without_end_is_refused() {
        let bytes = bounded(&b"{}"[..]).unwrap();
        assert_eq!(bytes, b"{}");
        let error = bounded(std::io::repeat(b' ')).unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::FileTooLarge);
    }

    #[test]
    fn a_byte_order_mark_is_no_part_of_the_text() {
        let read = |bytes: &[u8]| decoded(bytes.to_vec());
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
            let said = read(wide).unwrap_err();
            assert!(said.contains(&format!("iconv -f {encoding} ")), "{said}");
        }
        assert!(read(b"{\xff}").unwrap_err().contains("not UTF-8"));
    }

    #[test]
    fn env_files_are_read_as_airflow_does() {
        let entries = env_file("# note\n\nA=1=2\nB= x \n").unwrap();
        assert_eq!(entries[0], ("A".to_owned(), Json::Text("1=2".to_owned())));
        assert_eq!(entries[1], ("B".to_owned(), Json::Text(" x ".to_owned())));
        for text in ["A", "=1", "A=", "A=1\nA=2"] {
            assert!(env_file(text).is_err(), "{text}");
        }
    }
}
