//! The Airflow releases that MWAA has offered, and the choice of one for a version.

use crate::names::AirflowVersion;

/// One MWAA release: the key of every table here.
#[derive(Debug, PartialEq, Eq)]
pub struct Release {
    version: AirflowVersion,
}

const fn release(major: u16, minor: u16, patch: u16) -> Release {
    Release {
        version: AirflowVersion::new(major, minor, patch),
    }
}

/// All releases, oldest first (MWAA User Guide, "Apache Airflow versions").
static RELEASES: [Release; 16] = [
    release(1, 10, 12),
    release(2, 0, 2),
    release(2, 2, 2),
    release(2, 4, 3),
    release(2, 5, 1),
    release(2, 6, 3),
    release(2, 7, 2),
    release(2, 8, 1),
    release(2, 9, 2),
    release(2, 10, 1),
    release(2, 10, 3),
    release(2, 11, 0),
    release(2, 11, 2),
    release(3, 0, 6),
    release(3, 2, 1),
    release(3, 3, 1),
];

impl Release {
    /// The Airflow version of this release.
    pub const fn version(&self) -> AirflowVersion {
        self.version
    }

    /// Every release, oldest first.
    pub fn all() -> &'static [Self] {
        &RELEASES
    }
}

/// How well a release fits the version that was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Match {
    /// The tables know this very version.
    Exact,
    /// The version is unknown or newer: the nearest older release of its line stands in.
    NearestOlder,
    /// The version is older than all that MWAA offered of its major: the oldest stands in.
    Oldest,
}

/// Chooses the release whose tables apply to a version.
///
/// Never crosses a major downwards (2.0.0 is judged as 2.0.2, not as 1.10.12), because the
/// spelling of the commands changed there; majors that MWAA has not offered yet get the
/// newest release.
pub fn release_for(version: AirflowVersion) -> (&'static Release, Match) {
    let older = RELEASES.iter().rfind(|release| release.version <= version);
    let oldest_of_major = RELEASES
        .iter()
        .find(|release| release.version.major == version.major);
    match (older, oldest_of_major) {
        (Some(release), _) if release.version == version => (release, Match::Exact),
        (Some(release), Some(_)) if release.version.major == version.major => {
            (release, Match::NearestOlder)
        }
        (_, Some(oldest)) => (oldest, Match::Oldest),
        (Some(release), None) => (release, Match::NearestOlder),
        (None, None) => {
            let [first, ..] = &RELEASES;
            (first, Match::Oldest)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn falls_back_to_the_nearest_older_release_of_the_major() {
        let cases = [
            ("2.10.3", "2.10.3", Match::Exact),
            ("2.10.5", "2.10.3", Match::NearestOlder),
            ("2.99.0", "2.11.2", Match::NearestOlder),
            ("3.1.0", "3.0.6", Match::NearestOlder),
            ("9.0.0", "3.3.1", Match::NearestOlder),
            ("2.0.0", "2.0.2", Match::Oldest),
            ("3.0.0", "3.0.6", Match::Oldest),
            ("1.10.15", "1.10.12", Match::NearestOlder),
            ("1.8.0", "1.10.12", Match::Oldest),
            ("0.1.0", "1.10.12", Match::Oldest),
        ];
        for (asked, got, how) in cases {
            let (release, matched) = release_for(asked.parse().expect("a version"));
            assert_eq!(
                (release.version().to_string().as_str(), matched),
                (got, how),
                "{asked}"
            );
        }
    }

    #[test]
    fn releases_are_in_order() {
        assert!(RELEASES.is_sorted_by(|a, b| a.version < b.version));
    }
}
