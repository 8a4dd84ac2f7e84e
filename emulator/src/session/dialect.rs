//! How the majors and minors of Airflow recognise a signed-in browser.

/// Airflow's way with sessions.
///
/// Source: the Airflow sources named in the variants, and measurements of 2.10.5, 3.0.6, 3.3.2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dialect {
    /// Airflow 1 and 2: a Flask cookie for pages and REST.
    Two,
    /// Airflow 3.0: a script-readable `_token`, which REST takes as a Bearer only.
    ThreeZero,
    /// Airflow 3.1 and later: an HttpOnly `_token`, which REST takes as cookie or Bearer.
    Three,
}

impl Dialect {
    /// The dialect of a version such as `2.10.3`.
    pub(crate) fn of(version: &str) -> Self {
        let mut parts = version.split('.').map(|part| part.parse().unwrap_or(0));
        let major: u32 = parts.next().unwrap_or(0);
        let minor: u32 = parts.next().unwrap_or(0);
        match (major, minor) {
            (0..=2, _) => Self::Two,
            (3, 0) => Self::ThreeZero,
            _ => Self::Three,
        }
    }

    /// Where a web token is posted to; the other major's path does not exist.
    pub(crate) fn login_path(self) -> &'static str {
        match self {
            Self::Two => "/aws_mwaa/login",
            Self::ThreeZero | Self::Three => "/pluginsv2/aws_mwaa/login",
        }
    }

    /// The page a browser is sent to after it has signed in.
    pub(crate) fn home(self) -> &'static str {
        match self {
            Self::Two => "/home",
            Self::ThreeZero | Self::Three => "/",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Dialect;

    #[test]
    fn the_cut_is_at_3_0_and_3_1() {
        for (version, expected) in [
            ("1.10.12", Dialect::Two),
            ("2.11.0", Dialect::Two),
            ("3.0.6", Dialect::ThreeZero),
            ("3.1.0", Dialect::Three),
            ("3.3.2", Dialect::Three),
            ("4.0.0", Dialect::Three),
        ] {
            assert_eq!(Dialect::of(version), expected, "{version}");
        }
    }
}
