//! What was written: walks a TOML document along the table of keys and puts its values into the
//! draft. Anything left over is a problem.

use super::draft::Draft;
use super::keys::{self, ENVIRONMENT_TABLE, KEYS, Key, Kind, TABLES};
use super::problems::{Complaint, Place, Problem, Problems, shown, shown_key, sounds_secret};
use super::search::{Found, Lines};
use super::{suggest, values};
use crate::names::EnvName;
use std::ops::Range;
use std::path::Path;
use toml::Spanned;
use toml::de::{DeString, DeTable, DeValue};

type Entry<'t, 'i> = (&'t Spanned<DeString<'i>>, &'t Spanned<DeValue<'i>>);

/// Reads the file into the draft. An error of syntax comes back alone, without the line that
/// the parser would quote: it could hold a secret.
pub(super) fn read(found: &Found, draft: &mut Draft) -> Result<(), Problems> {
    let source = Source {
        file: &found.path,
        lines: Lines::new(&found.text),
    };
    let document = DeTable::parse(&found.text).map_err(|error| {
        let span = error.span().unwrap_or_default();
        let duplicate = error.message() == "duplicate key";
        let key = found.text.get(span.clone()).filter(|_| duplicate);
        let mut problems = Problems::default();
        problems.push(Problem {
            place: source.at(&span),
            key: key.map(shown_key).unwrap_or_default(),
            what: error.message().to_owned(),
            hint: duplicate.then(|| "keep one of the two".to_owned()),
        });
        problems
    })?;
    let folder = std::path::absolute(&found.path)
        .ok()
        .and_then(|path| path.parent().map(Path::to_owned));
    draft.folder = folder.unwrap_or_default();
    for (name, value) in in_order(document.get_ref()) {
        let place = source.at(&name.span());
        match name.get_ref().as_ref() {
            "environments" => read_environments(draft, &source, value),
            table if TABLES.iter().any(|(known, _)| *known == table) => {
                if let Some(entries) = as_table(draft, &source, table, value) {
                    read_table(draft, &source, table, table, &entries);
                }
            }
            other => {
                let hint = suggest::for_table(other);
                draft.refuse(&shown_key(other), place, "unknown key", Some(hint));
            }
        }
    }
    draft.folder.clear();
    Ok(())
}

/// The file that is being read.
struct Source<'a> {
    file: &'a Path,
    lines: Lines<'a>,
}

impl Source<'_> {
    fn at(&self, span: &Range<usize>) -> Place {
        let (line, column) = self.lines.position(span.start);
        Place::At {
            file: self.file.to_owned(),
            line,
            column,
        }
    }
}

/// The entries in the order of the file; the parser keeps them in the order of the alphabet.
fn in_order<'t, 'i>(table: &'t DeTable<'i>) -> Vec<Entry<'t, 'i>> {
    let mut entries: Vec<_> = table.iter().collect();
    entries.sort_by_key(|(name, _)| name.span().start);
    entries
}

fn as_table<'t, 'i>(
    draft: &mut Draft,
    source: &Source<'_>,
    path: &str,
    value: &'t Spanned<DeValue<'i>>,
) -> Option<Vec<Entry<'t, 'i>>> {
    if let DeValue::Table(table) = value.get_ref() {
        return Some(in_order(table));
    }
    let what = format!("expected a table, found {}", kind_of(value.get_ref()));
    let hint = format!("begin the table with a line [{path}]");
    draft.refuse(path, source.at(&value.span()), what, Some(hint));
    None
}

fn read_environments(draft: &mut Draft, source: &Source<'_>, value: &Spanned<DeValue<'_>>) {
    let DeValue::Table(table) = value.get_ref() else {
        let what = format!("expected tables, found {}", kind_of(value.get_ref()));
        let hint = "begin each environment with a line [environments.NAME]".to_owned();
        return draft.refuse("environments", source.at(&value.span()), what, Some(hint));
    };
    for (name, value) in in_order(table) {
        let text = name.get_ref().as_ref();
        let path = format!("environments.{}", shown_key(text));
        if !matches!(value.get_ref(), DeValue::Table(_))
            && keys::of(ENVIRONMENT_TABLE).any(|key| key.name == text)
        {
            let hint = format!("`{text}` belongs in [environments.NAME]");
            draft.refuse(&path, source.at(&name.span()), "unknown key", Some(hint));
            continue;
        }
        let local = local_name(text).map_err(|why| {
            draft.complain(&path, source.at(&name.span()), text, why);
        });
        let Some(entries) = as_table(draft, source, &path, value) else {
            continue;
        };
        let usable = local.is_ok();
        let Some(local) = local.ok().or_else(|| EnvName::new("unnamed")) else {
            continue;
        };
        draft.begin(local, text);
        read_table(draft, source, ENVIRONMENT_TABLE, &path, &entries);
        let named = entries.iter().any(|(name, _)| name.get_ref() == "name");
        if !named && usable {
            if let Err(why) = keys::mwaa_name(text) {
                draft.complain(&path, source.at(&name.span()), text, why);
            }
        }
        if usable {
            draft.placed(&path, source.at(&name.span()));
            let entry = draft.environment.clone();
            draft.environments.push(entry);
        }
    }
}

/// Names that would stand where the gateway answers as AWS, or as itself.
const RESERVED: &[&str] = &["api", "env", "localhost"];

/// Takes the local name of an environment.
pub(super) fn local_name(text: &str) -> Result<EnvName, Complaint> {
    if RESERVED.contains(&text) {
        return Err(
            Complaint::new("is a name that the gateway itself answers to")
                .hint("choose another key and give MWAA's name with `name`"),
        );
    }
    EnvName::new(text).ok_or_else(|| {
        let better = text.to_ascii_lowercase().replace('_', "-");
        let complaint = Complaint::new("can't be the label of a host name");
        match EnvName::new(&better) {
            Some(better) => complaint.hint(format!(
                "write [environments.{better}] and in it name = {}",
                shown("", text)
            )),
            None => complaint.hint("use 1 to 63 of a-z, 0-9 and -, not at either end"),
        }
    })
}

fn read_table(
    draft: &mut Draft,
    source: &Source<'_>,
    table: &str,
    path: &str,
    entries: &[Entry<'_, '_>],
) {
    for (name, value) in entries {
        let text = name.get_ref().as_ref();
        let path = format!("{path}.{}", shown_key(text));
        if let Some(key) = KEYS
            .iter()
            .find(|key| key.table == table && key.name == text)
        {
            assign(draft, key, &path, value, &|span| source.at(span));
        } else {
            let place = source.at(&name.span());
            let (what, hint) = if path == "listener.tls" {
                (
                    "not in this version yet: arrives with TLS listener support",
                    "leave [listener.tls] out, and listen on loopback or a unix socket"
                        .to_owned(),
                )
            } else {
                ("unknown key", suggest::for_key(table, text))
            };
            draft.refuse(&path, place, what, Some(hint));
        }
    }
}

/// Gives a key its default, written as TOML, the way a file would.
pub(super) fn assign_text(draft: &mut Draft, key: &Key, text: &str) {
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

/// Checks a value's type, puts it into the draft, and remembers where it was written.
fn assign(
    draft: &mut Draft,
    key: &Key,
    path: &str,
    value: &Spanned<DeValue<'_>>,
    at: &dyn Fn(&Range<usize>) -> Place,
) {
    let place = at(&value.span());
    let mut good = true;
    let mut complain = |draft: &mut Draft, place: Place, text: &str, why: Complaint| {
        good = false;
        draft.complain(path, place, text, why);
    };
    match (&key.kind, value.get_ref()) {
        (Kind::Text(set), DeValue::String(text)) => {
            if let Err(why) = set(draft, text) {
                complain(draft, place.clone(), text, why);
            }
        }
        (Kind::Choice(choices), DeValue::String(text)) => {
            match choices.iter().find(|(word, _)| *word == text) {
                Some((_, set)) => set(draft),
                None => complain(draft, place.clone(), text, not_a_choice(text, choices)),
            }
        }
        (Kind::Path(slot), DeValue::String(text)) => match file_name(draft, text) {
            Ok(file) => *slot(draft) = Some(file),
            Err(why) => complain(draft, place.clone(), text, why),
        },
        (Kind::Flag(set), DeValue::Boolean(value)) => set(draft, *value),
        (Kind::Count { least, most, slot }, DeValue::Integer(number)) => {
            let wanted = format!("is not between {least} and {most}");
            match unsigned(number).filter(|count| (least..=most).contains(&count)) {
                Some(count) => *slot(draft) = count,
                None => complain_number(draft, path, place.clone(), number, wanted, &mut good),
            }
        }
        (Kind::Size { least, most, slot }, DeValue::Integer(number)) => {
            match unsigned(number).filter(|size| (least..=most).contains(&size)) {
                Some(size) => *slot(draft) = size,
                None => {
                    let wanted = size_range(*least, *most);
                    complain_number(draft, path, place.clone(), number, wanted, &mut good);
                }
            }
        }
        (Kind::Size { least, most, slot }, DeValue::String(text)) => match values::size(text) {
            Ok(size) if (least..=most).contains(&&size) => *slot(draft) = size,
            Ok(_) => {
                let why = Complaint::new(size_range(*least, *most));
                complain(draft, place.clone(), text, why);
            }
            Err(why) => complain(draft, place.clone(), text, why),
        },
        (Kind::Duration { least, most, slot }, DeValue::String(text)) => {
            match values::duration(text) {
                Ok(time) if (least..=most).contains(&&time) => *slot(draft) = time,
                Ok(_) => {
                    let least = humantime::format_duration(*least);
                    let most = humantime::format_duration(*most);
                    let why = Complaint::new(format!("is not between {least} and {most}"));
                    complain(draft, place.clone(), text, why);
                }
                Err(why) => complain(draft, place.clone(), text, why),
            }
        }
        (Kind::List { clear, push }, DeValue::Array(items)) => {
            clear(draft);
            for item in items.iter() {
                let place = at(&item.span());
                match item.get_ref() {
                    DeValue::String(text) => {
                        if let Err(why) = push(draft, text) {
                            complain(draft, place, text, why);
                        }
                    }
                    other => {
                        let what = format!("expected text, found {}", found(path, other));
                        draft.refuse(path, place, what, None);
                    }
                }
            }
        }
        (kind, other) => {
            good = false;
            let what = format!("expected {}, found {}", kind.expected(), found(path, other));
            draft.refuse(path, place.clone(), what, retyped(path, kind, other));
        }
    }
    if good {
        draft.placed(path, place);
    }
}

fn complain_number(
    draft: &mut Draft,
    path: &str,
    place: Place,
    number: &toml::de::DeInteger<'_>,
    wanted: String,
    good: &mut bool,
) {
    *good = false;
    let value = DeValue::Integer(number.clone());
    let what = format!("{} {wanted}", found(path, &value));
    draft.refuse(path, place, what, None);
}

fn size_range(least: usize, most: usize) -> String {
    let (least, most) = (values::show_size(least), values::show_size(most));
    format!("is not between {least} and {most}")
}

fn not_a_choice(text: &str, choices: &[(&'static str, fn(&mut Draft))]) -> Complaint {
    let words = || choices.iter().map(|(word, _)| *word);
    let list: Vec<_> = words().map(|word| format!("\"{word}\"")).collect();
    let complaint = Complaint::new(format!("is not one of {}", list.join(", ")));
    match suggest::nearest(text, words()) {
        Some(word) => complaint.hint(format!("did you mean \"{word}\"?")),
        None => complaint,
    }
}

/// A file's name, with a relative one taken from the configuration file's folder.
fn file_name(draft: &Draft, text: &str) -> Result<std::path::PathBuf, Complaint> {
    if text.starts_with("~/") {
        return Err(Complaint::new("begins with ~, which only shells replace")
            .hint("write the whole path, or one relative to this file"));
    }
    if text.is_empty() || text.contains('\0') {
        return Err(Complaint::new("names no file").hint("leave the key out if there is none"));
    }
    Ok(draft.folder.join(text))
}

fn unsigned(number: &toml::de::DeInteger<'_>) -> Option<usize> {
    usize::from_str_radix(number.as_str(), number.radix()).ok()
}

fn kind_of(value: &DeValue<'_>) -> &'static str {
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
