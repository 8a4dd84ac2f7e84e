//! The command table as people and programs are shown it.

use super::advice;
use super::entry::{Class, Entry, Span, Standing};
use super::option_advice::instead;
use super::release::{Release, release_for};
use super::table::table;
use crate::names::AirflowVersion;

/// Whether MWAA runs a command at a version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// It does.
    Supported,
    /// It does, but may fail for a known reason.
    Conditional,
    /// It does not.
    Unsupported,
}

/// One command of a release.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Row {
    /// The command's words.
    pub command: &'static str,
    /// Whether MWAA runs it.
    pub verdict: Verdict,
    /// What it does, which the built-in policies go by.
    pub class: Class,
    /// Why it passes or not, with its other spelling if it has one.
    pub reason: String,
    /// The first release of this major that runs (or, if MWAA never runs it, has) the command.
    pub first: String,
    /// The last such release of this major known.
    pub last: String,
    /// What is worth knowing about it; may be empty.
    pub note: &'static str,
}

/// Every command of the version's major, in the order of names.
pub fn listing(version: AirflowVersion) -> Vec<Row> {
    let (release, _) = release_for(version);
    let major = release.version().major;
    let rows = table()
        .entries()
        .filter_map(|entry| Some((entry, entry.span(major)?)));
    rows.map(|(entry, span)| row(entry, span, release))
        .collect()
}

fn row(entry: &'static Entry, span: Span, release: &Release) -> Row {
    let (verdict, reason) = match entry.standing(release) {
        Standing::Runs => (Verdict::Supported, "on MWAA's list".to_owned()),
        Standing::RunsUnlessPlugins => (
            Verdict::Conditional,
            "fails if a DAG needs a plugin or package that the web server lacks".to_owned(),
        ),
        Standing::OtherReleases => {
            let reason = if release.version() < span.first {
                format!("on MWAA's list from {} on", span.first)
            } else {
                format!("on MWAA's list up to {}", span.last)
            };
            (Verdict::Unsupported, reason)
        }
        Standing::Never => {
            let renamed = advice::other_spelling(entry.command, release);
            let current = renamed.and_then(|new| table().entry(new)).unwrap_or(entry);
            let elsewhere = instead(current.command).filter(|_| current.why == "file-io");
            let reason = elsewhere.unwrap_or_else(|| advice::reason(current.why));
            let renamed =
                renamed.map_or_else(String::new, |new| format!("; it is `{new}` now"));
            (Verdict::Unsupported, format!("{reason}{renamed}"))
        }
    };
    Row {
        command: entry.command,
        verdict,
        class: entry.class,
        reason,
        first: span.first.to_string(),
        last: span.last.to_string(),
        note: entry.note,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_what_passes_and_why_the_rest_does_not() {
        let rows = listing(AirflowVersion::new(2, 2, 2));
        let find = |command| rows.iter().find(|row| row.command == command);
        let show = |command| {
            let row = find(command).expect("a row");
            (
                row.verdict,
                row.reason.as_str(),
                row.first.as_str(),
                row.last.as_str(),
            )
        };
        let list = "on MWAA's list";
        assert_eq!(
            show("dags trigger"),
            (Verdict::Supported, list, "2.0.2", "2.11.2")
        );
        let later = "on MWAA's list from 2.4.3 on";
        assert_eq!(
            show("db clean"),
            (Verdict::Unsupported, later, "2.4.3", "2.11.2")
        );
        let identity = "MWAA takes users and roles from IAM";
        assert_eq!(
            show("users list"),
            (Verdict::Unsupported, identity, "2.0.2", "2.11.2")
        );
        let import = show("variables import").1;
        assert!(
            import.contains("`mwaa-gateway airflow -- variables import FILE`"),
            "{import}"
        );
        assert!(find("trigger_dag").is_none() && find("backfill create").is_none());
        assert!(rows.is_sorted_by(|a, b| a.command < b.command));

        let rows = listing(AirflowVersion::new(2, 0, 2));
        let dags_list = rows
            .iter()
            .find(|row| row.command == "dags list")
            .expect("a row");
        assert_eq!(dags_list.verdict, Verdict::Conditional);
    }
}
