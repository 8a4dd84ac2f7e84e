//! Why a body is no command line that can be read in one way only, and at which byte.

use super::Refusal;
use std::fmt;

/// What is wrong with a command line, and where.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Unreadable {
    /// The byte at which it is wrong, from 0, in the body as it was sent.
    pub(super) at: usize,
    pub(super) why: Why,
}

/// What is wrong with a command line. The characters are ones that nobody can see, so they give
/// nothing away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Why {
    Assignment,
    Control(char),
    Empty,
    Invisible(char),
    JoinedLines,
    LastBackslash,
    NotUtf8,
    OpenQuote,
    OptionFirst,
    QuotedName,
    SecondLine,
    Space(char),
}

impl Why {
    /// The same with the place.
    pub(super) const fn at(self, at: usize) -> Unreadable {
        Unreadable { at, why: self }
    }

    const fn hint(self) -> &'static str {
        match self {
            Self::Assignment => "start with the command's name: no shell reads this line",
            Self::Control(_) => {
                "send printable text; inside quotes also tabs and line ends (LF or CR LF)"
            }
            Self::Empty => {
                "give an Airflow command such as `dags list`; over HTTP it is the body"
            }
            Self::Invisible('\u{feff}') => {
                "save or send the text as UTF-8 without a byte order mark"
            }
            Self::Invisible(_) => {
                "take the character out; if it belongs to a value, put the value in quotes"
            }
            Self::JoinedLines => {
                "write the command on one line; in a value, double the backslash before the line end"
            }
            Self::LastBackslash => "double the backslash, or put the word in single quotes",
            Self::NotUtf8 => "send the command in UTF-8",
            Self::OpenQuote => "close the quote; inside double quotes write \\\" for a quote",
            Self::OptionFirst => {
                "name the command first, then its options: `dags list --verbose`"
            }
            Self::QuotedName => {
                "write the command's name bare: `dags list`; quotes and backslashes are for values"
            }
            Self::SecondLine => {
                "send one command, on one line; a line end may stand inside quotes only"
            }
            Self::Space(_) => {
                "separate words with plain spaces; if it belongs to a value, put the value in quotes"
            }
        }
    }
}

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "at byte {}, ", self.at)?;
        let code = |c: char| u32::from(c);
        match self.why {
            Why::Assignment => f.write_str("a variable assignment stands before the command"),
            Why::Control(c) => write!(f, "there is a control character (U+{:04X})", code(c)),
            Why::Empty => f.write_str("the text ends, and no command was named"),
            Why::Invisible('\u{feff}') => {
                f.write_str("there is a byte order mark (U+FEFF) outside quotes")
            }
            Why::Invisible(c) => {
                write!(f, "there is an invisible character (U+{:04X}) outside quotes", code(c))
            }
            Why::JoinedLines => f.write_str(
                "a backslash stands before a line end: a shell joins the lines, Python does not",
            ),
            Why::LastBackslash => f.write_str("the text ends with a lone backslash"),
            Why::NotUtf8 => f.write_str("the text is not UTF-8"),
            Why::OpenQuote => f.write_str("a quote opens that is not closed"),
            Why::OptionFirst => f.write_str("an option stands before the command's name"),
            Why::QuotedName => {
                f.write_str("the command's name is written with quotes or backslashes")
            }
            Why::SecondLine => f.write_str("the line ends, and another follows"),
            Why::Space(c) => write!(
                f,
                "there is white space (U+{:04X}) that not every reader takes for it",
                code(c)
            ),
        }
    }
}

impl From<Unreadable> for Refusal {
    fn from(unreadable: Unreadable) -> Self {
        Self::Unreadable {
            detail: unreadable.to_string(),
            hint: unreadable.why.hint(),
        }
    }
}
