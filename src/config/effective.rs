//! The effective configuration: every key with the value that counts and where it came from.

use super::diagnostics::Origin;
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
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EffectiveConfig(pub(super) Vec<EffectiveValue>);

impl EffectiveConfig {
    /// Returns the values one by one.
    pub fn iter(&self) -> std::slice::Iter<'_, EffectiveValue> {
        self.0.iter()
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
