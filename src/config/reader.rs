//! Reads values by the table of keys: the default, then the file, then flags and variables; the
//! last good one counts. Keeps the origin of every value and collects the diagnostics.

use super::address::Address;
use super::diagnostics::{Diagnostic, Diagnostics, Origin, ValueError, format_key};
use super::effective::{EffectiveConfig, EffectiveValue};
use super::keys::{self, DefaultValue, Key, Kind, TABLES, Table};
use super::raw_value::{RawValue, ReadError, ValueSource, kind_name};
use super::search::{Document, Entry, entries};
use super::{Overrides, suggest};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::path::PathBuf;
use std::time::Duration;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// Reads a configuration, table by table.
pub(super) struct Reader<'a> {
    document: Option<&'a Document<'a>>,
    pub(super) overrides: &'a Overrides,
    /// The command that makes the certificates, for hints.
    pub(super) certs_command: String,
    /// The tables that were read, with their paths.
    tables: Vec<(&'static Table, String)>,
    /// The values that were read, as TOML, by the paths of their keys.
    values: BTreeMap<String, (Option<String>, Origin)>,
    /// Keys with a value that was rejected, so that checks on it would mislead.
    broken: BTreeSet<String>,
    /// Diagnostics of rejected values, which always count.
    rejected: Vec<Diagnostic>,
    /// Diagnostics of checks, which count if their table is used.
    checked: Vec<Diagnostic>,
}

/// The beginning of a table.
pub(super) struct TableEntry<'a> {
    /// Its own name, such as that of an environment; else empty.
    pub(super) name: &'a str,
    /// Its path: `environments.prod`.
    pub(super) path: String,
    /// The origin of its name.
    pub(super) origin: Origin,
    entries: Vec<Entry<'a>>,
}

impl<'a> Reader<'a> {
    /// Creates a reader, and reports tables that do not exist.
    pub(super) fn new(document: Option<&'a Document<'a>>, overrides: &'a Overrides) -> Self {
        let mut reader = Self {
            document,
            overrides,
            certs_command: String::new(),
            tables: Vec::new(),
            values: BTreeMap::new(),
            broken: BTreeSet::new(),
            rejected: Vec::new(),
            checked: Vec::new(),
        };

        // keys of tables are checked when their table is opened
        let top = document.map_or_else(Vec::new, |document| entries(&document.root));
        for (name, _) in top {
            let text = name.get_ref().as_ref();
            if !TABLES.iter().any(|table| text == table.group()) {
                let error = ValueError::new("unknown key").with_hint(suggest::for_table(text));
                reader.reject(&format_key(text), reader.position(&name.span()), error);
            }
        }
        reader
    }

    /// Opens a table without a name of its own, whether it is written or not.
    pub(super) fn table(&mut self, table: &'static Table) -> TableReader<'_, 'a> {
        let path = table.name.to_owned();
        let mut entry = TableEntry::unwritten(path, Origin::Default);
        if let Some((name, value)) = self.find(table.name) {
            entry.origin = self.position(&name.span());
            entry.entries = self.entries(&entry.path, value).unwrap_or_default();
        }
        self.open(table, entry)
    }

    /// Returns the tables with names of their own, `[environments.NAME]`; `homes` are the tables
    /// where a key without such a name may belong.
    pub(super) fn named_tables(
        &mut self,
        table: &Table,
        what: &str,
        homes: &str,
    ) -> Vec<TableEntry<'a>> {
        let group = table.group();
        let Some((_, value)) = self.find(group) else {
            return Vec::new();
        };
        let DeValue::Table(named) = value.get_ref() else {
            let found = kind_name(value.get_ref());
            let error =
                ValueError::new(format!("expected a table for each name, found {found}"))
                    .with_hint(format!("begin each {what} with a line {}", table.heading()));
            self.reject(group, self.position(&value.span()), error);
            return Vec::new();
        };

        let mut found = Vec::new();
        for (name, value) in entries(named) {
            // a name of the user's own may hold anything
            let text = name.get_ref().as_ref();
            let origin = self.position(&name.span());
            let path = format!("{group}.{}", format_key(text));

            // an address in `[listeners]` belongs in `[listener]` or `[listeners.NAME]`
            if !value.get_ref().is_table() && table.key(text).is_some() {
                let error = ValueError::new("unknown key")
                    .with_hint(format!("`{text}` belongs in {homes}"));
                self.reject(&path, origin, error);
            } else if let Some(entries) = self.entries(&path, value) {
                found.push(TableEntry {
                    name: text,
                    path,
                    origin,
                    entries,
                });
            }
        }
        found
    }

    /// Opens a table, and reports keys that do not exist.
    pub(super) fn open(
        &mut self,
        table: &'static Table,
        entry: TableEntry<'a>,
    ) -> TableReader<'_, 'a> {
        for (name, _) in &entry.entries {
            let text = name.get_ref().as_ref();
            // inner tables are opened by themselves
            let is_table = Table::find(&format!("{}.{text}", entry.path)).is_some();
            if table.key(text).is_none() && !is_table {
                let key = format!("{}.{}", entry.path, format_key(text));
                let hint = suggest::for_key(table, text);
                let error = ValueError::new("unknown key").with_hint(hint);
                self.reject(&key, self.position(&name.span()), error);
            }
        }

        // an inner table that is not written means nothing
        if entry.origin != Origin::Default || !table.name.contains('.') {
            self.tables.push((table, entry.path.clone()));
        }
        TableReader {
            reader: self,
            entry,
            table,
        }
    }

    /// Returns the entries of a table; anything else is rejected.
    fn entries(
        &mut self,
        path: &str,
        value: &'a Spanned<DeValue<'a>>,
    ) -> Option<Vec<Entry<'a>>> {
        if let DeValue::Table(table) = value.get_ref() {
            return Some(entries(table));
        }
        let found = kind_name(value.get_ref());
        let error = ValueError::new(format!("expected a table, found {found}"))
            .with_hint(format!("begin the table with a line [{path}]"));
        self.reject(path, self.position(&value.span()), error);
        None
    }

    /// Returns what the file has at a path without names of environments or listeners.
    fn find(&self, path: &str) -> Option<Entry<'a>> {
        let find = |table: &'a DeTable<'a>, name| {
            let mut entries = table.iter();
            entries.find(|(key, _)| key.get_ref() == name)
        };
        let (outer, name) = path.rsplit_once('.').unwrap_or(("", path));
        let table = match outer {
            "" => &self.document?.root,
            outer => self.find(outer)?.1.get_ref().as_table()?,
        };
        find(table, name)
    }

    /// Returns the values that a key has: its default, the file's, a flag's or variable's.
    fn raw_values(
        &self,
        key: &Key,
        path: &str,
        written: Option<&'a Spanned<DeValue<'a>>>,
    ) -> Vec<RawValue<'a>> {
        let mut found = Vec::new();
        if let DefaultValue::Value(_) = key.default {
            found.push(RawValue {
                value: key.example(),
                span: 0..0,
                source: ValueSource::Default,
            });
        }

        if let (Some(document), Some(value)) = (self.document, written) {
            found.push(RawValue {
                value: value.get_ref().clone(),
                span: value.span(),
                source: ValueSource::File(document),
            });
        }

        // the text of a flag is read by the key's own parser
        if let Some(given) = self.overrides.find(path) {
            found.push(RawValue {
                value: DeValue::String(given.value.as_str().into()),
                span: 0..0,
                source: ValueSource::Override(given),
            });
        }
        found
    }

    fn position(&self, span: &Range<usize>) -> Origin {
        let document = self.document;
        document.map_or(Origin::Default, |document| document.origin(span))
    }

    /// Returns the origin of a key's value.
    pub(super) fn origin(&self, path: &str) -> Origin {
        let value = self.values.get(path);
        value.map_or(Origin::Default, |(_, origin)| origin.clone())
    }

    /// Returns true if the file, a flag or a variable has a value for the key, good or not.
    pub(super) fn is_written(&self, path: &str) -> bool {
        matches!(
            self.origin(path),
            Origin::Position { .. } | Origin::Override(_)
        )
    }

    /// Returns true if the value of the key was rejected, so that checks on it would mislead.
    pub(super) fn is_broken(&self, path: &str) -> bool {
        self.broken.contains(path)
    }

    /// Returns true if the file has the table.
    pub(super) fn has_table(&self, table: &Table) -> bool {
        self.find(table.name).is_some()
    }

    /// Adds a diagnostic of a key that can't be used.
    pub(super) fn reject(&mut self, key: &str, origin: Origin, error: ValueError) {
        self.broken.insert(key.to_owned());
        self.rejected.push(error.into_diagnostic(key, origin));
    }

    /// Adds a diagnostic of a check, unless the key's value was rejected.
    pub(super) fn report(&mut self, key: &str, error: ValueError) {
        if !self.is_broken(key) {
            let origin = self.origin(key);
            self.checked.push(error.into_diagnostic(key, origin));
        }
    }

    /// Records the value of a key and its origin.
    pub(super) fn record(&mut self, path: &str, value: Option<String>, origin: Origin) {
        self.values.insert(path.to_owned(), (value, origin));
    }

    /// Removes a table that is not used, with the diagnostics of its checks. What is wrong with
    /// its values still counts.
    pub(super) fn remove_table(&mut self, path: &str) {
        let prefix = format!("{path}.");
        self.tables.retain(|(_, of)| of != path);
        self.checked.retain(|check| !check.key.starts_with(&prefix));
    }

    /// Returns all values in the order of the tables, or all diagnostics.
    pub(super) fn finish(mut self) -> Result<EffectiveConfig, Diagnostics> {
        self.rejected.append(&mut self.checked);
        if !self.rejected.is_empty() {
            return Err(Diagnostics::new(self.rejected));
        }

        // environments are read before listeners, which name them
        let order = |table: &Table| TABLES.iter().position(|other| other.name == table.name);
        self.tables.sort_by_key(|(table, _)| order(table));

        let mut values = Vec::new();
        for (table, path) in &self.tables {
            for key in table.keys {
                let path = format!("{path}.{}", key.name);
                let recorded = self.values.remove(&path);
                values.extend(recorded.map(|(value, origin)| EffectiveValue {
                    key: path,
                    value,
                    origin,
                    effect: effect(key),
                }));
            }
        }
        Ok(EffectiveConfig(values))
    }
}

/// Returns the effect of a key that has no value, in words.
fn effect(key: &Key) -> &'static str {
    let other = match key.default {
        DefaultValue::Inherited(other, _) => keys::find(other),
        _ => None,
    };
    other.unwrap_or(key).effect().unwrap_or_default()
}

impl TableEntry<'_> {
    /// Returns a table that is not written.
    pub(super) fn unwritten(path: String, origin: Origin) -> Self {
        Self {
            name: "",
            path,
            origin,
            entries: Vec::new(),
        }
    }
}

/// Reads the values of one table.
pub(super) struct TableReader<'r, 'a> {
    pub(super) reader: &'r mut Reader<'a>,
    pub(super) entry: TableEntry<'a>,
    table: &'static Table,
}

impl TableReader<'_, '_> {
    /// Returns the text as `parse` reads it, of a key with a default.
    pub(super) fn text<T>(
        &mut self,
        name: &str,
        parse: impl Fn(&str) -> Result<T, ValueError>,
    ) -> T {
        let text = self.get(name, |_, raw| Ok(parse(raw.text()?)?));
        text.expect(HAS_DEFAULT)
    }

    /// Returns the text as `parse` reads it, in the type of its field. `None` means that there is
    /// no value.
    pub(super) fn optional_text<T, U: From<T>>(
        &mut self,
        name: &str,
        parse: impl Fn(&str) -> Result<T, ValueError>,
    ) -> Option<U> {
        let text = self.get(name, |_, raw| Ok(parse(raw.text()?)?));
        text.map(U::from)
    }

    /// Returns an address to listen on.
    pub(super) fn address(&mut self, name: &str) -> Option<Address> {
        self.get(name, |_, raw| raw.address())
    }

    /// Returns the name of a file.
    pub(super) fn file(&mut self, name: &str) -> Option<PathBuf> {
        self.get(name, |_, raw| raw.path())
    }

    /// Returns one of the words.
    pub(super) fn choice(&mut self, name: &str) -> &'static str {
        self.get(name, |kind, raw| raw.word(kind))
            .expect(HAS_DEFAULT)
    }

    /// Returns a flag.
    pub(super) fn flag(&mut self, name: &str) -> bool {
        self.optional_flag(name).expect(HAS_DEFAULT)
    }

    /// Returns a flag. `None` means that it is not set.
    pub(super) fn optional_flag(&mut self, name: &str) -> Option<bool> {
        self.get(name, |_, raw| raw.flag())
    }

    /// Returns a count, or a number of bytes.
    pub(super) fn number(&mut self, name: &str) -> usize {
        self.get(name, |kind, raw| raw.number(kind))
            .expect(HAS_DEFAULT)
    }

    /// Returns a length of time.
    pub(super) fn duration(&mut self, name: &str) -> Duration {
        self.get(name, |kind, raw| raw.duration(kind))
            .expect(HAS_DEFAULT)
    }

    /// Returns the list of texts as `parse` reads them, without those that it rejects.
    pub(super) fn list<T>(
        &mut self,
        name: &str,
        parse: impl Fn(&str) -> Result<T, ValueError>,
    ) -> Vec<T> {
        let path = self.path_of(name);
        let items = self.get(name, |_, raw| raw.list(&path, &parse));
        let is_own = self.is_written(name);

        let mut good = Vec::new();
        for item in items.unwrap_or_default() {
            match item {
                Ok(item) => good.push(item),
                Err((origin, error)) if is_own => self.reader.reject(&path, origin, error),
                // an inherited list is reported with the key that has it
                Err(_) => {}
            }
        }
        good
    }

    /// Returns true if the file, a flag or a variable has a value for the key, good or not.
    pub(super) fn is_written(&self, name: &str) -> bool {
        self.reader.is_written(&self.path_of(name))
    }

    /// Adds a diagnostic of the table's name.
    pub(super) fn reject(&mut self, error: ValueError) {
        let origin = self.entry.origin.clone();
        self.reader.reject(&self.entry.path, origin, error);
    }

    /// Adds a diagnostic of a check, unless the key's value was rejected.
    pub(super) fn report(&mut self, name: &str, error: ValueError) {
        self.reader.report(&self.path_of(name), error);
    }

    /// Adds a diagnostic of a key that the table needs, unless it is written.
    pub(super) fn report_missing(&mut self, name: &str, hint: &str) {
        if !self.is_written(name) {
            let error = ValueError::new("is missing").with_hint(hint);
            let diagnostic =
                error.into_diagnostic(&self.path_of(name), self.entry.origin.clone());
            self.reader.checked.push(diagnostic);
        }
    }

    /// Returns a key with its table.
    pub(super) fn path_of(&self, name: &str) -> String {
        format!("{}.{name}", self.entry.path)
    }

    /// Returns the value of a key that counts, and records its origin. Values that are rejected
    /// are reported, even if a later one counts.
    fn get<T>(
        &mut self,
        name: &str,
        parse: impl Fn(&Kind, &RawValue<'_>) -> Result<T, ReadError>,
    ) -> Option<T> {
        // a wrong name fails in every test that loads a configuration
        let key = self.table.key(name).expect("a key of the table");
        let path = self.path_of(name);
        let mut origin = Origin::Default;
        let mut good = None;

        // what is wrong with another key's value is reported with that key
        if let DefaultValue::Inherited(other, _) = key.default {
            for raw in self.inherited_values(other) {
                if let Ok(value) = parse(&key.kind, &raw) {
                    good = Some((value, raw.to_toml(&key.kind)));
                    origin = Origin::Key(other);
                }
            }
        }

        let entry = self
            .entry
            .entries
            .iter()
            .find(|(key, _)| key.get_ref() == name);
        let written = entry.map(|(_, value)| *value);
        for raw in self.reader.raw_values(key, &path, written) {
            origin = raw.origin();
            match parse(&key.kind, &raw) {
                Ok(value) => good = Some((value, raw.to_toml(&key.kind))),
                Err(error) => {
                    let error = error.with_value(&path, &key.kind, &raw.value);
                    self.reader.reject(&path, origin.clone(), error);
                }
            }
        }

        // the origin of a rejected value is recorded too: it is what diagnostics name
        let (value, text) = good.unzip();
        self.reader.record(&path, text, origin);
        value
    }

    fn inherited_values(&self, path: &str) -> Vec<RawValue<'_>> {
        let key = keys::find(path).expect("a key of another table");
        let written = self.reader.find(path).map(|(_, value)| value);
        self.reader.raw_values(key, path, written)
    }
}

/// A test reads every default.
const HAS_DEFAULT: &str = "a key whose default is a value of its kind";
