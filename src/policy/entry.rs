//! One row of `commands.csv`: a command, the releases at which MWAA runs it, and its class.

use super::release::Release;
use crate::names::AirflowVersion;

/// What a command does to the environment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Class {
    /// Changes roles, users, services or the database itself.
    Admin,
    /// Only reads.
    Read,
    /// Runs, pauses or clears work.
    Run,
    /// Reads values that may be secrets: variables, connections, configuration, rendered
    /// templates.
    Secret,
    /// Changes or removes variables, connections, pools or DAG records.
    Write,
}

/// The releases of one major at which a row holds, both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) first: AirflowVersion,
    pub(super) last: AirflowVersion,
}

/// Whether MWAA runs a command at a release.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    /// It does.
    Runs,
    /// It does, unless a DAG needs what the web server of that release lacks (condition P).
    RunsUnlessPlugins,
    /// Not at this release, but at others.
    OtherReleases,
    /// At no release.
    Never,
}

/// One row of `commands.csv`.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) command: &'static str,
    /// On MWAA's list (the spans are MWAA's) or not (the spans are Airflow's).
    pub(super) listed: bool,
    pub(super) class: Class,
    /// For unlisted commands: the kind of command that MWAA keeps to itself.
    pub(super) why: &'static str,
    pub(super) spans: Vec<Span>,
    pub(super) condition: &'static str,
    pub(super) note: &'static str,
}

impl Entry {
    /// The span within a major.
    pub(super) fn span(&self, major: u16) -> Option<Span> {
        self.spans
            .iter()
            .copied()
            .find(|span| span.first.major == major)
    }

    /// Whether the release lies in one of the spans.
    pub(super) fn covers(&self, release: &Release) -> bool {
        let version = release.version();
        self.spans
            .iter()
            .any(|span| span.first <= version && version <= span.last)
    }

    /// Whether MWAA runs the command at the release.
    pub(super) fn standing(&self, release: &Release) -> Standing {
        let plugins = self.condition.contains('P');
        let old = release.version() <= AirflowVersion::new(2, 0, 2);
        if !self.listed {
            Standing::Never
        } else if self.covers(release) {
            if plugins && old {
                Standing::RunsUnlessPlugins
            } else {
                Standing::Runs
            }
        } else if plugins && old && self.span(release.version().major).is_some() {
            Standing::RunsUnlessPlugins
        } else {
            Standing::OtherReleases
        }
    }

    /// Whether MWAA runs the command at the release, if only under a condition.
    pub(super) fn runs(&self, release: &Release) -> bool {
        match self.standing(release) {
            Standing::Runs | Standing::RunsUnlessPlugins => true,
            Standing::OtherReleases | Standing::Never => false,
        }
    }

    /// Whether the row repeats another one under a second spelling.
    #[cfg(test)]
    pub(super) fn is_alias(&self) -> bool {
        self.condition.contains('A')
    }
}

/// Reads one line of `commands.csv`; the note is the rest of the line.
pub(super) fn read_row(line: &'static str) -> Option<Entry> {
    let mut fields = line.splitn(12, ',');
    let command = fields.next()?;
    let listed = match fields.next()? {
        "supported" => true,
        "unsupported" => false,
        _ => return None,
    };
    let class = match fields.next()? {
        "read" => Class::Read,
        "run" => Class::Run,
        "secret" => Class::Secret,
        "write" => Class::Write,
        "admin" => Class::Admin,
        _ => return None,
    };
    let why = fields.next()?;
    let mut spans = Vec::new();
    for _major in 1..=3 {
        let (first, last) = (fields.next()?, fields.next()?);
        if first != "-" {
            spans.push(Span {
                first: first.parse().ok()?,
                last: last.parse().ok()?,
            });
        }
    }
    Some(Entry {
        command,
        listed,
        class,
        why,
        spans,
        condition: fields.next()?,
        note: fields.next()?,
    })
}
