//! What somebody may have meant who wrote a key that does not exist.

use super::keys::{self, KEYS, TABLES};
use super::problems::sounds_secret;
pub(super) use crate::names::nearest;
use crate::names::plain;

/// The hint for an unknown key of a table.
pub(super) fn for_key(table: &str, name: &str) -> String {
    let wanted = plain(name);
    let own = || keys::of(table).map(|key| key.name);
    if let Some(own) = own().find(|own| plain(own) == wanted) {
        return format!("did you mean `{own}`?");
    }
    if ["bind", "listen", "port"].contains(&wanted.as_str())
        && own().any(|own| own == "address")
    {
        return "did you mean `address`?".to_owned();
    }
    let homes: Vec<_> = KEYS
        .iter()
        .filter(|key| plain(key.name) == wanted)
        .map(|key| heading(key.table))
        .collect();
    if !homes.is_empty() {
        return format!("`{wanted}` belongs in {}", homes.join(" or "));
    }
    if let Some(own) = nearest(name, own()) {
        return format!("did you mean `{own}`?");
    }
    if let Some(key) = KEYS.iter().find(|key| nearest(name, [key.name]).is_some()) {
        return format!(
            "did you mean `{}`, which belongs in {}?",
            key.name,
            heading(key.table)
        );
    }
    if sounds_secret(name) {
        return "no secret belongs in this file: AWS credentials come from the AWS chain, \
                and listener.secret_file names a file"
            .to_owned();
    }
    let names: Vec<_> = own().map(|name| format!("`{name}`")).collect();
    format!("{} takes {}", heading(table), names.join(", "))
}

/// The hint for an unknown key outside of the tables.
pub(super) fn for_table(name: &str) -> String {
    let wanted = plain(name);
    let tables = || TABLES.iter().map(|(table, _)| table.trim_end_matches(".*"));
    if let Some(table) = nearest(name, tables()) {
        return format!("did you mean `[{table}]`?");
    }
    let homes: Vec<_> = KEYS
        .iter()
        .filter(|key| plain(key.name) == wanted)
        .map(|key| heading(key.table))
        .collect();
    if !homes.is_empty() {
        return format!("`{wanted}` belongs in {}", homes.join(" or "));
    }
    if let Some(key) = KEYS.iter().find(|key| nearest(name, [key.name]).is_some()) {
        return format!(
            "did you mean `{}`, which belongs in {}?",
            key.name,
            heading(key.table)
        );
    }
    let headings: Vec<_> = TABLES.iter().map(|(table, _)| heading(table)).collect();
    format!("the tables are {}", headings.join(", "))
}

/// The table as it is written: `[environments.NAME]`.
pub(super) fn heading(table: &str) -> String {
    format!("[{}]", table.replace('*', "NAME"))
}

#[cfg(test)]
mod tests {
    use super::super::keys::{ENVIRONMENT_TABLE, LISTENERS_TABLE};
    use super::*;

    #[test]
    fn suggests_what_was_meant() {
        for (table, name, hint) in [
            (ENVIRONMENT_TABLE, "polcy", "did you mean `policy`?"),
            (ENVIRONMENT_TABLE, "CA-file", "did you mean `ca_file`?"),
            (
                "listener",
                "region",
                "`region` belongs in [aws] or [environments.NAME]",
            ),
            ("listener", "listen", "did you mean `address`?"),
            ("management", "Port", "did you mean `address`?"),
            (ENVIRONMENT_TABLE, "hosts", "`hosts` belongs in [listener]"),
            (LISTENERS_TABLE, "polcy", "did you mean `policy`?"),
            (LISTENERS_TABLE, "listen", "did you mean `address`?"),
            (LISTENERS_TABLE, "hosts", "`hosts` belongs in [listener]"),
            (
                "aws",
                "head_timeouts",
                "did you mean `head_timeout`, which belongs in [limits]?",
            ),
            (
                "management",
                "colour",
                "[management] takes `address`, `probes`",
            ),
        ] {
            assert_eq!(for_key(table, name), hint);
        }
        assert!(for_key("aws", "secret_access_key").starts_with("no secret belongs"));
        assert_eq!(for_table("listner"), "did you mean `[listener]`?");
        assert_eq!(for_table("listenrs"), "did you mean `[listeners]`?");
        assert_eq!(for_table("environment"), "did you mean `[environments]`?");
        assert_eq!(for_table("discover"), "`discover` belongs in [aws]");
        assert!(for_table("xyzzy").starts_with("the tables are [listener], "));
    }
}
