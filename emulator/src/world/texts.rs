//! Texts of real Airflows: the help of the commands, and how commands fail.
//!
//! `tests/real/outcomes/record.py` writes `help-*.txt`. The failures are those of the recordings
//! in `tests/fixtures/outcomes`, with `<<name>>` for what varies; of a long traceback they have
//! the first three and the last six lines.

/// A release of Airflow, as far as its command line differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Release {
    /// 2.x, like 2.10.5.
    Two,
    /// 3.0 and 3.1, like 3.0.6.
    Three,
    /// 3.2 and later, like 3.3.2.
    ThreeTwo,
}

impl Release {
    /// The release of a version such as `2.10.5`; none for 1.10, whose commands are others.
    pub(super) fn parse(version: &str) -> Option<Self> {
        let mut parts = version.split('.').map(|part| part.parse().unwrap_or(0));
        match (parts.next().unwrap_or(0), parts.next().unwrap_or(0)) {
            (0 | 1, _) => None,
            (2, _) => Some(Self::Two),
            (3, 0 | 1) => Some(Self::Three),
            _ => Some(Self::ThreeTwo),
        }
    }

    /// The help of a command or group, such as `dags list`; of all for an empty name. None if it
    /// is not simulated.
    pub(super) fn help(self, command: &str) -> Option<&'static str> {
        let texts = match self {
            Self::Two => include_str!("texts/help-2.10.5.txt"),
            Self::Three => include_str!("texts/help-3.0.6.txt"),
            Self::ThreeTwo => include_str!("texts/help-3.3.2.txt"),
        };
        section(texts, command)
    }

    /// One of the texts with which commands fail, its blanks filled in. Empty if there is none
    /// of this name.
    pub(super) fn failure(self, name: &str, values: &[(&str, &str)]) -> String {
        let texts = match self {
            Self::Two => include_str!("texts/errors-2.10.5.txt"),
            Self::Three => include_str!("texts/errors-3.0.6.txt"),
            Self::ThreeTwo => include_str!("texts/errors-3.3.2.txt"),
        };
        let mut text = section(texts, name).unwrap_or_default().to_owned();
        for (name, value) in values {
            text = text.replace(&format!("<<{name}>>"), value);
        }
        text
    }
}

/// The lines below `===== NAME`, up to the next of its kind.
fn section(texts: &'static str, name: &str) -> Option<&'static str> {
    texts.split("===== ").find_map(|section| {
        let (title, text) = section.split_once('\n')?;
        (title == name && !section.is_empty()).then_some(text)
    })
}
