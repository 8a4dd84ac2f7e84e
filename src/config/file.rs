//! What was written: walks a TOML document along the table of keys and puts its values into the
//! draft. Anything left over is a problem.

use super::assign::{assign, kind_of};
use super::draft::Draft;
use super::keys::{self, ENVIRONMENT_TABLE, LISTENERS_TABLE, TABLES, TLS_TABLE};
use super::problems::{Complaint, Place, Problem, Problems, shown, shown_key};
use super::search::{Found, Lines};
use super::suggest;
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
            "listeners" => read_listeners(draft, &source, value),
            table
                if !keys::is_optional(table)
                    && TABLES.iter().any(|(known, _)| *known == table) =>
            {
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
        if !named
            && usable
            && let Err(why) = keys::mwaa_name(text)
        {
            draft.complain(&path, source.at(&name.span()), text, why);
        }
        if usable {
            draft.placed(&path, source.at(&name.span()));
            let entry = draft.environment.clone();
            draft.environments.push(entry);
        }
    }
}

fn read_listeners(draft: &mut Draft, source: &Source<'_>, value: &Spanned<DeValue<'_>>) {
    let DeValue::Table(table) = value.get_ref() else {
        let what = format!("expected tables, found {}", kind_of(value.get_ref()));
        let hint = "begin each further listener with a line [listeners.NAME]".to_owned();
        return draft.refuse("listeners", source.at(&value.span()), what, Some(hint));
    };
    for (name, value) in in_order(table) {
        let text = name.get_ref().as_ref();
        let path = format!("listeners.{}", shown_key(text));
        let at = source.at(&name.span());
        if !matches!(value.get_ref(), DeValue::Table(_))
            && keys::of(LISTENERS_TABLE).any(|key| key.name == text)
        {
            let hint = format!("`{text}` belongs in [listener] or [listeners.NAME]");
            draft.refuse(&path, at, "unknown key", Some(hint));
            continue;
        }
        let Some(entries) = as_table(draft, source, &path, value) else {
            continue;
        };
        let Some(name) = EnvName::new(text) else {
            let why = Complaint::new("can't be the name of a listener")
                .hint("use 1 to 63 of a-z, 0-9 and -, not at either end");
            draft.complain(&path, at, text, why);
            continue;
        };
        draft.begin_listener(name);
        read_table(draft, source, LISTENERS_TABLE, &path, &entries);
        draft.placed(&path, at);
        let own = draft.own_listener.clone();
        draft.own_listeners.push(own);
    }
}

/// Takes the local name of an environment.
pub(super) fn local_name(text: &str) -> Result<EnvName, Complaint> {
    if EnvName::new(text).is_some_and(|name| name.is_reserved()) {
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
        if let Some(key) = keys::of(table).find(|key| key.name == text) {
            assign(draft, key, &path, value, &|span| source.at(span));
        } else if path == TLS_TABLE {
            draft.placed(TLS_TABLE, source.at(&name.span()));
            if let Some(entries) = as_table(draft, source, TLS_TABLE, value) {
                read_table(draft, source, TLS_TABLE, TLS_TABLE, &entries);
            }
        } else {
            let hint = suggest::for_key(table, text);
            draft.refuse(&path, source.at(&name.span()), "unknown key", Some(hint));
        }
    }
}
