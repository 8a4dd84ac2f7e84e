//! Which Airflow the world plays, and what that release spells differently.

/// An Airflow release, as far as the command line depends on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Release {
    pub(super) major: u16,
    pub(super) minor: u16,
}

impl Release {
    /// Reads `2.10.5` and the like; parts that are missing or no numbers count as 0.
    pub(super) fn parse(version: &str) -> Self {
        let mut parts = version
            .trim()
            .split('.')
            .map(|part| part.parse().unwrap_or(0));
        Self {
            major: parts.next().unwrap_or(0),
            minor: parts.next().unwrap_or(0),
        }
    }

    /// Whether this release is `major.minor` or newer.
    pub(super) const fn at_least(self, major: u16, minor: u16) -> bool {
        self.major > major || (self.major == major && self.minor >= minor)
    }

    /// Whether commands have the flat spellings of 1.10 (`trigger_dag`).
    pub(super) const fn is_flat(self) -> bool {
        self.major < 2
    }

    /// Whether this is Airflow 3 or newer.
    pub(super) const fn is_three(self) -> bool {
        self.at_least(3, 0)
    }

    /// What the moment a run stands for is called in columns: renamed in 3.0.
    pub(super) const fn logical_date(self) -> &'static str {
        if self.is_three() {
            "logical_date"
        } else {
            "execution_date"
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Release;

    #[test]
    fn versions_are_compared_by_number() {
        let two = Release::parse("2.10.5");
        assert_eq!(
            two,
            Release {
                major: 2,
                minor: 10
            }
        );
        assert!(two.at_least(2, 9) && !two.at_least(2, 11) && !two.at_least(3, 0));
        assert!(Release::parse("1.10.12").is_flat());
        assert_eq!(Release::parse("3.0.6").logical_date(), "logical_date");
        assert_eq!(Release::parse("2.11.2").logical_date(), "execution_date");
    }
}
