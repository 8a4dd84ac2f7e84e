//! The effective configuration: every key with the value that counts and where it came from.

use super::diagnostics::Origin;
use std::collections::{HashMap, HashSet};
use std::fmt;
use toml::de::DeValue;

/// The value of a key that counts, and its origin. `Display` prints one line of TOML.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EffectiveValue {
    /// The key with its table: `environments.prod.region`.
    pub key: String,
    /// The value as TOML, with paths that are absolute and without what may be secret. `None`
    /// means that there is none.
    pub value: Option<String>,
    /// The origin of the value.
    pub origin: Origin,
    /// The effect of having no value, as in "no role is assumed"; else empty.
    pub effect: &'static str,
}

impl fmt::Display for EffectiveValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.value {
            Some(value) => write!(f, "{} = {value}  # {}", self.key, self.origin),
            None => write!(f, "# {}: {}", self.key, self.effect),
        }
    }
}

/// The effective configuration, in the order of the annotated file. `Display` prints a line for
/// each key: a configuration file with the same meaning, but for hidden arguments of tunnels.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EffectiveConfig(pub(super) Vec<EffectiveValue>);

impl EffectiveConfig {
    /// Returns the values one by one.
    pub fn iter(&self) -> std::slice::Iter<'_, EffectiveValue> {
        self.0.iter()
    }

    /// Returns the keys that have another value in `other`. A table that only one of them has counts
    /// as one.
    pub fn changed_keys(&self, other: &Self) -> Vec<String> {
        let table = |key: &str| key.rsplit_once('.').map(|(table, _)| table.to_owned());
        let tables = |config: &Self| -> HashSet<_> {
            config
                .iter()
                .filter_map(|value| table(&value.key))
                .collect()
        };
        let (own, others) = (tables(self), tables(other));
        let values: HashMap<_, _> = self.iter().map(|one| (&one.key, &one.value)).collect();
        let other_values: HashMap<_, _> =
            other.iter().map(|one| (&one.key, &one.value)).collect();

        let mut changed = Vec::new();
        for key in self.iter().chain(other).map(|value| &value.key) {
            if values.get(key) == other_values.get(key) {
                continue;
            }
            let alone =
                table(key).filter(|table| own.contains(table) != others.contains(table));
            let name = alone.unwrap_or_else(|| key.clone());
            if !changed.contains(&name) {
                changed.push(name);
            }
        }
        changed
    }
}

impl<'a> IntoIterator for &'a EffectiveConfig {
    type Item = &'a EffectiveValue;
    type IntoIter = std::slice::Iter<'a, EffectiveValue>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl fmt::Display for EffectiveConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.iter().try_for_each(|value| writeln!(f, "{value}"))
    }
}

/// Returns a value as TOML, in one line.
pub(super) fn to_toml(value: &DeValue<'_>) -> String {
    match value {
        DeValue::String(text) => format_string(text),
        DeValue::Integer(number) => number.to_string(),
        DeValue::Float(number) => number.to_string(),
        DeValue::Boolean(flag) => flag.to_string(),
        DeValue::Datetime(time) => time.to_string(),
        DeValue::Array(items) => {
            let items: Vec<_> = items.iter().map(|item| to_toml(item.get_ref())).collect();
            format!("[{}]", items.join(", "))
        }
        // no key takes a table
        DeValue::Table(_) => "{}".to_owned(),
    }
}

/// Returns a basic string of TOML, with everything escaped that could move a terminal's cursor.
pub(super) fn format_string(text: &str) -> String {
    let escape = |c: char| match c {
        '"' | '\\' => format!("\\{c}"),
        // a character that Rust would escape is not printable
        _ if c != '\'' && c.escape_debug().count() > 1 => format!("\\U{:08X}", u32::from(c)),
        _ => c.to_string(),
    };
    format!("\"{}\"", text.chars().map(escape).collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_that_only_one_has_is_one_change() {
        let config = |values: &[(&str, &str)]| {
            let values = values.iter().map(|(key, value)| EffectiveValue {
                key: (*key).to_owned(),
                value: Some((*value).to_owned()),
                origin: Origin::Default,
                effect: "",
            });
            EffectiveConfig(values.collect())
        };
        let one = config(&[("a.x", "1"), ("a.y", "1"), ("b.c.x", "1"), ("b.c.y", "1")]);
        let other = config(&[("a.x", "2"), ("a.y", "1"), ("b.d.x", "1")]);
        assert_eq!(one.changed_keys(&other), ["a.x", "b.c", "b.d"]);
        assert_eq!(one.changed_keys(&one), Vec::<String>::new());
    }

    #[test]
    fn strings_are_escaped_for_toml() {
        for text in [
            "plain",
            "it's \"quoted\"",
            "a\\b",
            "\u{1b}[31m\n\t",
            "\u{202e}é…",
        ] {
            let quoted = format_string(text);
            let read = DeValue::parse(&quoted).expect(&quoted);
            assert_eq!(read.get_ref().as_str(), Some(text), "{quoted}");
            assert!(!quoted.contains(char::is_control), "{quoted:?}");
        }
    }
}
