//! Hints for keys that do not exist.

use super::diagnostics::is_secret_key;
use super::keys::{self, TABLES, Table};
pub(super) use mwaa_model::find_nearest;
use mwaa_model::normalize;

/// Returns the hint for an unknown key of a table.
pub(super) fn for_key(table: &Table, name: &str) -> String {
    let wanted = normalize(name);
    let own = || table.keys.iter().map(|key| key.name);
    if let Some(own) = own().find(|own| normalize(own) == wanted) {
        return format!("did you mean `{own}`?");
    }
    // names that other servers have for it
    if ["bind", "listen", "port"].contains(&wanted.as_str()) && table.key("address").is_some() {
        return "did you mean `address`?".to_owned();
    }

    // the same name elsewhere is a better guess than a similar one here
    if let Some(hint) = find_same_elsewhere(&wanted) {
        return hint;
    }
    if let Some(own) = find_nearest(name, own()) {
        return format!("did you mean `{own}`?");
    }
    if let Some(hint) = find_similar_elsewhere(name) {
        return hint;
    }

    // the name says that someone looked for a place for a secret
    if is_secret_key(name) {
        return "do not write secrets into this file: AWS credentials come from the AWS \
                credential chain, and listener.secret_file names a file"
            .to_owned();
    }
    let names: Vec<_> = own().map(|name| format!("`{name}`")).collect();
    format!("{} takes {}", table.heading(), names.join(", "))
}

/// Returns the hint for an unknown key outside of the tables.
pub(super) fn for_table(name: &str) -> String {
    let tables = TABLES.iter().map(|table| table.group());
    if let Some(table) = find_nearest(name, tables) {
        return format!("did you mean `[{table}]`?");
    }
    let elsewhere =
        find_same_elsewhere(&normalize(name)).or_else(|| find_similar_elsewhere(name));
    elsewhere.unwrap_or_else(|| {
        let headings: Vec<_> = TABLES.iter().map(|table| table.heading()).collect();
        format!("the tables are {}", headings.join(", "))
    })
}

fn find_same_elsewhere(wanted: &str) -> Option<String> {
    let homes: Vec<_> = keys::all()
        .filter(|(_, key)| normalize(key.name) == wanted)
        .map(|(table, _)| table.heading())
        .collect();
    (!homes.is_empty()).then(|| format!("`{wanted}` belongs in {}", homes.join(" or ")))
}

fn find_similar_elsewhere(name: &str) -> Option<String> {
    let (table, key) = keys::all().find(|(_, key)| find_nearest(name, [key.name]).is_some())?;
    let heading = table.heading();
    Some(format!(
        "did you mean `{}`, which belongs in {heading}?",
        key.name
    ))
}

#[cfg(test)]
mod tests {
    use super::super::keys::{AWS, ENVIRONMENTS, LISTENER, LISTENERS, MANAGEMENT};
    use super::*;

    #[test]
    fn suggests_what_was_meant() {
        for (table, name, hint) in [
            (&ENVIRONMENTS, "polcy", "did you mean `policy`?"),
            (&ENVIRONMENTS, "CA-file", "did you mean `ca_file`?"),
            (
                &LISTENER,
                "region",
                "`region` belongs in [aws] or [environments.NAME]",
            ),
            (&LISTENER, "listen", "did you mean `address`?"),
            (&MANAGEMENT, "Port", "did you mean `address`?"),
            (&ENVIRONMENTS, "hosts", "`hosts` belongs in [listener]"),
            (&LISTENERS, "polcy", "did you mean `policy`?"),
            (&LISTENERS, "listen", "did you mean `address`?"),
            (&LISTENERS, "hosts", "`hosts` belongs in [listener]"),
            (
                &AWS,
                "head_timeouts",
                "did you mean `head_timeout`, which belongs in [limits]?",
            ),
            (
                &MANAGEMENT,
                "colour",
                "[management] takes `address`, `probes`",
            ),
        ] {
            assert_eq!(for_key(table, name), hint);
        }
        assert!(for_key(&AWS, "secret_access_key").starts_with("do not write secrets"));
        assert_eq!(for_table("listner"), "did you mean `[listener]`?");
        assert_eq!(for_table("listenrs"), "did you mean `[listeners]`?");
        assert_eq!(for_table("environment"), "did you mean `[environments]`?");
        assert_eq!(for_table("discover"), "`discover` belongs in [aws]");
        assert!(for_table("xyzzy").starts_with("the tables are [listener], "));
    }
}
