//! One value into the draft: its type, its range, its setter, and what to say when it is refused.

use super::draft::Draft;
use super::keys::{Choice, KEYS, Key, Kind};
use super::problems::{Complaint, Place, shown, sounds_secret};
use super::{home, suggest, values};
use std::ops::Range;
use std::path::PathBuf;
use std::time::Duration;
use toml::Spanned;
use toml::de::{DeInteger, DeValue};

/// Gives a key its default, written as TOML, the way a file would.
pub(super) fn assign_default(draft: &mut Draft, key: &Key, text: &str) {
    let path = format!("{}.{}", key.table, key.name);
    match DeValue::parse(text) {
        Ok(value) => assign(draft, key, &path, &value, &|_| Place::Default),
        Err(error) => draft.refuse(&path, Place::Default, error.message(), None),
    }
}

/// Gives a key text that came from a flag or a variable.
pub(super) fn assign_given(draft: &mut Draft, path: &str, text: &str, place: &Place) {
    let key = KEYS
        .iter()
        .find(|key| path == format!("{}.{}", key.table, key.name));
    let value = Spanned::new(0..0, DeValue::String(text.into()));
    if let Some(key) = key {
        assign(draft, key, path, &value, &|_| place.clone());
    }
}

/// Puts a value into the draft and remembers where it was written; or notes why it can't be.
pub(super) fn assign(
    draft: &mut Draft,
    key: &Key,
    path: &str,
    value: &Spanned<DeValue<'_>>,
    at: &dyn Fn(&Range<usize>) -> Place,
) {
    let place = at(&value.span());
    draft.placed(path, place.clone());
    if let (Kind::List { clear, push }, DeValue::Array(items)) = (&key.kind, value.get_ref()) {
        clear(draft);
        for item in items {
            let outcome = match item.get_ref() {
                DeValue::String(text) => push(draft, text).map_err(Refusal::Value),
                _ => Err(Refusal::Type),
            };
            if let Err(refusal) = outcome {
                let item_kind = Kind::Text(|_, _| Ok(()));
                refuse(
                    draft,
                    path,
                    at(&item.span()),
                    &item_kind,
                    item.get_ref(),
                    refusal,
                );
            }
        }
    } else if let Err(refusal) = set(draft, &key.kind, value.get_ref()) {
        refuse(draft, path, place, &key.kind, value.get_ref(), refusal);
    }
}

/// Why a value is refused.
enum Refusal {
    /// Its type is not the key's.
    Type,
    /// Its type fits, the value does not.
    Value(Complaint),
}

impl From<Complaint> for Refusal {
    fn from(why: Complaint) -> Self {
        Self::Value(why)
    }
}

fn set(draft: &mut Draft, kind: &Kind, value: &DeValue<'_>) -> Result<(), Refusal> {
    match (kind, value) {
        (Kind::Text(set), DeValue::String(text)) => set(draft, text)?,
        (Kind::Choice(choices), DeValue::String(text)) => choose(choices, text)?(draft),
        (Kind::Path(slot), DeValue::String(text)) => {
            *slot(draft) = Some(file_name(draft, text)?);
        }
        (Kind::Flag(set), DeValue::Boolean(value)) => set(draft, *value),
        (Kind::Count { least, most, slot }, DeValue::Integer(number)) => {
            let show = |count: usize| count.to_string();
            *slot(draft) = within(unsigned(number), *least, *most, show)?;
        }
        (Kind::Size { least, most, slot }, DeValue::Integer(number)) => {
            *slot(draft) = within(unsigned(number), *least, *most, values::show_size)?;
        }
        (Kind::Size { least, most, slot }, DeValue::String(text)) => {
            let size = values::size(text)?;
            *slot(draft) = within(Some(size), *least, *most, values::show_size)?;
        }
        (Kind::Duration { least, most, slot }, DeValue::String(text)) => {
            let show = |time: Duration| humantime::format_duration(time).to_string();
            let time = values::duration(text)?;
            *slot(draft) = within(Some(time), *least, *most, show)?;
        }
        _ => return Err(Refusal::Type),
    }
    Ok(())
}

fn refuse(
    draft: &mut Draft,
    path: &str,
    place: Place,
    kind: &Kind,
    value: &DeValue<'_>,
    refusal: Refusal,
) {
    match (refusal, value) {
        (Refusal::Value(why), DeValue::String(text)) => draft.complain(path, place, text, why),
        (Refusal::Value(why), other) => {
            let what = format!("{} {}", found(path, other), why.what);
            draft.refuse(path, place, what, why.hint);
        }
        (Refusal::Type, other) => {
            let what = format!("expected {}, found {}", kind.expected(), found(path, other));
            draft.refuse(path, place, what, retyped(path, kind, other));
        }
    }
}

/// The value, if there is one (it did not overflow) and it lies in the range.
fn within<T: PartialOrd + Copy>(
    value: Option<T>,
    least: T,
    most: T,
    show: impl Fn(T) -> String,
) -> Result<T, Complaint> {
    value
        .filter(|value| (least..=most).contains(value))
        .ok_or_else(|| {
            Complaint::new(format!("is not between {} and {}", show(least), show(most)))
        })
}

fn choose(choices: &[Choice], text: &str) -> Result<fn(&mut Draft), Complaint> {
    if let Some((_, set)) = choices.iter().find(|(word, _)| *word == text) {
        return Ok(*set);
    }
    let words = || choices.iter().map(|(word, _)| *word);
    let list: Vec<_> = words().map(|word| format!("\"{word}\"")).collect();
    let complaint = Complaint::new(format!("is not one of {}", list.join(", ")));
    Err(match suggest::nearest(text, words()) {
        Some(word) => complaint.hint(format!("did you mean \"{word}\"?")),
        None => complaint,
    })
}

/// A file's name, with a relative one taken from the configuration file's folder, and `~/` from
/// the user's home folder.
fn file_name(draft: &Draft, text: &str) -> Result<PathBuf, Complaint> {
    if text.is_empty() || text.contains('\0') {
        return Err(Complaint::new("names no file").hint("leave the key out if there is none"));
    }
    Ok(draft.folder.join(home::expanded(text)?))
}

fn unsigned(number: &DeInteger<'_>) -> Option<usize> {
    usize::from_str_radix(number.as_str(), number.radix()).ok()
}

/// What a value is, in words.
pub(super) fn kind_of(value: &DeValue<'_>) -> &'static str {
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

/// A value of the wrong type as it may be shown: `integer 10`, `text "yes"`.
fn found(path: &str, value: &DeValue<'_>) -> String {
    let kind = kind_of(value);
    if sounds_secret(path) {
        return kind.to_owned();
    }
    let number = |text: String| {
        let cut: String = text.chars().take(40).collect();
        format!("{kind} {cut}")
    };
    match value {
        DeValue::String(text) => match shown(path, text).as_str() {
            "the value" => kind.to_owned(),
            quoted => format!("{kind} {quoted}"),
        },
        DeValue::Integer(integer) => number(integer.to_string()),
        DeValue::Float(float) => number(float.to_string()),
        DeValue::Boolean(value) => format!("{value}"),
        _ => kind.to_owned(),
    }
}

/// The same value in the type that was expected, where that is plain to see.
fn retyped(path: &str, kind: &Kind, value: &DeValue<'_>) -> Option<String> {
    if sounds_secret(path) {
        return None;
    }
    match (kind, value) {
        (Kind::List { .. }, DeValue::String(text)) if path.ends_with(".tunnel") => {
            let words: Vec<_> = text.split_whitespace().collect();
            let shown = shown(path, text).starts_with('"');
            Some(format!(
                "write {}",
                if shown {
                    format!("{words:?}")
                } else {
                    "each word as a text of its own".to_owned()
                }
            ))
        }
        (Kind::List { .. }, DeValue::String(text)) => {
            let quoted = shown(path, text);
            let known = quoted.starts_with('"');
            Some(format!("write [{}]", if known { &quoted } else { "\"…\"" }))
        }
        (Kind::Duration { .. }, DeValue::Integer(number)) if unsigned(number).is_some() => {
            Some(format!("write \"{number}s\" for seconds"))
        }
        (Kind::Flag(_), DeValue::String(text)) => match text.as_ref() {
            "true" | "yes" | "on" => Some("write true".to_owned()),
            "false" | "no" | "off" => Some("write false".to_owned()),
            _ => None,
        },
        (Kind::Count { .. }, DeValue::String(text)) if text.parse::<usize>().is_ok() => {
            Some(format!("write {text}"))
        }
        (Kind::Text(_), DeValue::Float(_) | DeValue::Integer(_)) => {
            Some("put it in quotes".to_owned())
        }
        _ => None,
    }
}
