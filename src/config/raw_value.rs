//! A value as it is written, before a key reads it: its source, its type, and the errors that
//! show it only as far as it holds no secret.

use super::Override;
use super::address::Address;
use super::diagnostics::{Origin, ValueError, format_value, is_secret_key};
use super::effective::{format_string, to_toml};
use super::keys::Kind;
use super::search::Document;
use super::{suggest, values};
use std::ops::{Range, RangeInclusive};
use std::path::{Path, PathBuf};
use std::time::Duration;
use toml::Spanned;
use toml::de::{DeInteger, DeValue};

/// A value before it is read, with its source.
pub(super) struct RawValue<'a> {
    pub(super) value: DeValue<'a>,
    pub(super) span: Range<usize>,
    pub(super) source: ValueSource<'a>,
}

/// The source of a value; a later one beats an earlier one.
pub(super) enum ValueSource<'a> {
    Default,
    File(&'a Document<'a>),
    Override(&'a Override),
}

/// An item of a list, or why it is rejected.
pub(super) type Item<T> = Result<T, (Origin, ValueError)>;

impl RawValue<'_> {
    /// Returns the origin of the value.
    pub(super) fn origin(&self) -> Origin {
        self.origin_of(&self.span)
    }

    /// Returns the origin of a part of the value.
    fn origin_of(&self, span: &Range<usize>) -> Origin {
        match self.source {
            ValueSource::Default => Origin::Default,
            ValueSource::File(document) => document.origin(span),
            ValueSource::Override(given) => given.origin(),
        }
    }

    /// Returns the folder where relative paths start.
    fn folder(&self) -> &Path {
        match self.source {
            ValueSource::File(document) => &document.folder,
            ValueSource::Default | ValueSource::Override(_) => Path::new(""),
        }
    }

    /// Returns the text.
    pub(super) fn text(&self) -> Result<&str, ReadError> {
        self.value.as_str().ok_or(ReadError::Type)
    }

    /// Returns the flag.
    pub(super) fn flag(&self) -> Result<bool, ReadError> {
        self.value.as_bool().ok_or(ReadError::Type)
    }

    /// Returns the word, if it is one of the kind's.
    pub(super) fn word(&self, kind: &Kind) -> Result<&'static str, ReadError> {
        match kind {
            Kind::Choice(words) => parse_choice(words, self.text()?),
            _ => Err(ReadError::Type),
        }
    }

    /// Returns the count or number of bytes, if it is in the kind's range.
    pub(super) fn number(&self, kind: &Kind) -> Result<usize, ReadError> {
        match (kind, &self.value) {
            (Kind::Count(range), DeValue::Integer(number)) => {
                check_range(parse_unsigned(number), range, |count| count.to_string())
            }
            (Kind::Size(range), DeValue::Integer(number)) => {
                check_range(parse_unsigned(number), range, values::format_size)
            }
            (Kind::Size(range), DeValue::String(text)) => {
                check_range(Some(values::parse_size(text)?), range, values::format_size)
            }
            _ => Err(ReadError::Type),
        }
    }

    /// Returns the length of time, if it is in the kind's range.
    pub(super) fn duration(&self, kind: &Kind) -> Result<Duration, ReadError> {
        let Kind::Duration(range) = kind else {
            return Err(ReadError::Type);
        };
        let time = values::parse_duration(self.text()?)?;
        check_range(Some(time), range, values::format_duration)
    }

    /// Returns the address; a relative socket path starts at the file's folder.
    pub(super) fn address(&self) -> Result<Address, ReadError> {
        let address: Address = self.text()?.parse().map_err(ValueError::from)?;
        Ok(address.below(self.folder()))
    }

    /// Returns the path; a relative one starts at the file's folder.
    pub(super) fn path(&self) -> Result<PathBuf, ReadError> {
        let text = self.text()?;
        // no path can hold a NUL
        if text.is_empty() || text.contains('\0') {
            let error = ValueError::new("names no file");
            return Err(error.with_hint("remove the key if there is no file").into());
        }
        Ok(self.folder().join(values::expand_home(text)?))
    }

    /// Returns the items of the list, each as `parse` reads it or with its own error.
    pub(super) fn list<T>(
        &self,
        path: &str,
        parse: &impl Fn(&str) -> Result<T, ValueError>,
    ) -> Result<Vec<Item<T>>, ReadError> {
        let items = self.value.as_array().ok_or(ReadError::Type)?;
        let read = |item: &Spanned<DeValue<'_>>| {
            let text = item.get_ref().as_str().ok_or(ReadError::Type);
            let value = text.and_then(|text| Ok(parse(text)?));
            value.map_err(|error| {
                let error = error.with_value(path, &Kind::Text, item.get_ref());
                (self.origin_of(&item.span()), error)
            })
        };
        Ok(items.iter().map(read).collect())
    }

    /// Returns the value as TOML that means the same in any folder.
    pub(super) fn to_toml(&self, kind: &Kind) -> String {
        let resolved = match kind {
            Kind::Address => self.address().ok().map(|address| address.to_string()),
            Kind::Path => self.path().ok().map(|path| path.display().to_string()),
            // the arguments may hold a secret
            Kind::Program => {
                let program = self.value.as_array().and_then(|words| words.first());
                let program = program.map_or_else(String::new, |word| to_toml(word.get_ref()));
                return format!("[{program}, \"…\"]");
            }
            _ => None,
        };
        resolved.map_or_else(|| to_toml(&self.value), |text| format_string(&text))
    }
}

/// The reason why a value is rejected.
pub(super) enum ReadError {
    /// Its type is not the key's.
    Type,
    /// Its type fits, the value does not.
    Value(ValueError),
}

impl From<ValueError> for ReadError {
    fn from(error: ValueError) -> Self {
        Self::Value(error)
    }
}

impl ReadError {
    /// Returns the error with the value, as far as it may be shown.
    pub(super) fn with_value(self, path: &str, kind: &Kind, value: &DeValue<'_>) -> ValueError {
        match (self, value) {
            (Self::Value(error), DeValue::String(text)) => error.with_value(path, text),
            (Self::Value(error), other) => ValueError {
                message: format!("{} {}", describe(path, other), error.message),
                hint: error.hint,
            },
            (Self::Type, other) => ValueError {
                message: format!(
                    "expected {}, found {}",
                    kind.expected(),
                    describe(path, other)
                ),
                hint: find_conversion_hint(path, kind, other),
            },
        }
    }
}

/// Returns the value if there is one (it did not overflow) and it lies in the range.
fn check_range<T: PartialOrd + Copy>(
    value: Option<T>,
    range: &RangeInclusive<T>,
    format: impl Fn(T) -> String,
) -> Result<T, ReadError> {
    // the range is for people: `is not between 8KiB and 1MiB`
    let limits = || format!("{} and {}", format(*range.start()), format(*range.end()));
    value
        .filter(|value| range.contains(value))
        .ok_or_else(|| ValueError::new(format!("is not between {}", limits())).into())
}

fn parse_choice(words: &[&'static str], text: &str) -> Result<&'static str, ReadError> {
    if let Some(word) = words.iter().find(|word| **word == text) {
        return Ok(word);
    }

    let list: Vec<_> = words.iter().map(|word| format!("\"{word}\"")).collect();
    let error = ValueError::new(format!("is not one of {}", list.join(", ")));
    let near = suggest::find_nearest(text, words.iter().copied());
    Err(ReadError::Value(match near {
        Some(word) => error.with_hint(format!("did you mean \"{word}\"?")),
        None => error,
    }))
}

fn parse_unsigned(number: &DeInteger<'_>) -> Option<usize> {
    // the parser removes `_` and the prefix, and keeps the sign
    usize::from_str_radix(number.as_str(), number.radix()).ok()
}

/// Returns the type of a value in words.
pub(super) fn kind_name(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "text",
        DeValue::Integer(_) => "integer",
        DeValue::Float(_) => "float",
        DeValue::Boolean(_) => "boolean",
        DeValue::Datetime(_) => "a date or time",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}

/// Returns a value of the wrong type as it may be shown: `integer 10`, `text "yes"`.
fn describe(path: &str, value: &DeValue<'_>) -> String {
    let kind = kind_name(value);
    if is_secret_key(path) {
        return kind.to_owned();
    }

    // a number has no limit of its length in TOML
    let number = |text: String| {
        let cut: String = text.chars().take(40).collect();
        format!("{kind} {cut}")
    };

    match value {
        DeValue::String(text) => match format_value(path, text).as_str() {
            "the value" => kind.to_owned(),
            quoted => format!("{kind} {quoted}"),
        },
        DeValue::Integer(integer) => number(integer.to_string()),
        DeValue::Float(float) => number(float.to_string()),
        DeValue::Boolean(value) => format!("{value}"),
        DeValue::Datetime(_) | DeValue::Array(_) | DeValue::Table(_) => kind.to_owned(),
    }
}

/// Returns how to write the same value in the type that was expected, if that is plain to see.
fn find_conversion_hint(path: &str, kind: &Kind, value: &DeValue<'_>) -> Option<String> {
    if is_secret_key(path) {
        return None;
    }

    // the hint repeats the value, so it follows the same rules
    let is_shown = |text: &str| format_value(path, text).starts_with('"');

    match (kind, value) {
        (Kind::Program, DeValue::String(text)) if is_shown(text) => {
            let words: Vec<_> = text.split_whitespace().collect();
            Some(format!("write {words:?}"))
        }
        (Kind::Program, DeValue::String(_)) => {
            Some("write each word as a separate string".to_owned())
        }
        (Kind::List, DeValue::String(text)) if is_shown(text) => {
            Some(format!("write [{}]", format_value(path, text)))
        }
        (Kind::List, DeValue::String(_)) => Some("write [\"…\"]".to_owned()),
        // most programs count timeouts in seconds
        (Kind::Duration(_), DeValue::Integer(number)) if parse_unsigned(number).is_some() => {
            Some(format!("write \"{number}s\" for seconds"))
        }
        // YAML's words
        (Kind::Flag, DeValue::String(text)) => match text.as_ref() {
            "true" | "yes" | "on" => Some("write true".to_owned()),
            "false" | "no" | "off" => Some("write false".to_owned()),
            _ => None,
        },
        (Kind::Count(_), DeValue::String(text)) if text.parse::<usize>().is_ok() => {
            Some(format!("write {text}"))
        }
        // versions, modes and ports look like numbers
        (Kind::Text | Kind::Address, DeValue::Float(_) | DeValue::Integer(_)) => {
            Some("put it in quotes".to_owned())
        }
        _ => None,
    }
}
