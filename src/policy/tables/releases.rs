//! The Airflow releases that MWAA has offered, and the choice of one for any version.

use mwaa_model::AirflowVersion;

/// One Airflow release on MWAA. Every table has its rows for these releases only.
#[derive(Debug, PartialEq, Eq)]
pub struct Release {
    version: AirflowVersion,
}

impl Release {
    const fn new(major: u16, minor: u16, patch: u16) -> Self {
        Self {
            version: AirflowVersion::new(major, minor, patch),
        }
    }

    /// Returns the Airflow version of this release.
    pub const fn version(&self) -> AirflowVersion {
        self.version
    }

    /// Returns every release, oldest first.
    pub fn all() -> &'static [Self] {
        &RELEASES
    }
}

/// Returns the release whose tables apply to a version: the release itself, otherwise the nearest
/// older one.
///
/// An older version never gets the release of an earlier major (2.0.0 gets 2.0.2, not 1.10.12),
/// because the commands got other names between them. A major that MWAA has not offered yet gets
/// the newest release.
pub fn find_release(version: AirflowVersion) -> &'static Release {
    let [first, ..] = &RELEASES;
    let older = RELEASES.iter().rfind(|release| release.version <= version);
    let oldest_of_major = RELEASES
        .iter()
        .find(|release| release.version.major == version.major);

    // The newer of the two: `older` is of an earlier major if the version is before its major's
    // oldest release.
    let found = older.into_iter().chain(oldest_of_major);
    found.max_by_key(|release| release.version).unwrap_or(first)
}

/// All releases, oldest first (MWAA User Guide, "Apache Airflow versions").
static RELEASES: [Release; 16] = [
    Release::new(1, 10, 12),
    Release::new(2, 0, 2),
    Release::new(2, 2, 2),
    Release::new(2, 4, 3),
    Release::new(2, 5, 1),
    Release::new(2, 6, 3),
    Release::new(2, 7, 2),
    Release::new(2, 8, 1),
    Release::new(2, 9, 2),
    Release::new(2, 10, 1),
    Release::new(2, 10, 3),
    Release::new(2, 11, 0),
    Release::new(2, 11, 2),
    Release::new(3, 0, 6),
    Release::new(3, 2, 1),
    Release::new(3, 3, 1),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn falls_back_to_the_nearest_older_release_of_the_major() {
        let cases = [
            ("2.10.3", "2.10.3"),
            ("2.10.5", "2.10.3"),
            ("2.99.0", "2.11.2"),
            ("3.1.0", "3.0.6"),
            ("9.0.0", "3.3.1"),
            ("2.0.0", "2.0.2"),
            ("3.0.0", "3.0.6"),
            ("1.10.15", "1.10.12"),
            ("1.8.0", "1.10.12"),
            ("0.1.0", "1.10.12"),
        ];
        for (asked, expected) in cases {
            let release = find_release(asked.parse().expect("a version"));
            assert_eq!(release.version().to_string(), expected, "{asked}");
        }
    }

    #[test]
    fn releases_are_in_order() {
        assert!(RELEASES.is_sorted_by(|a, b| a.version < b.version));
    }
}
