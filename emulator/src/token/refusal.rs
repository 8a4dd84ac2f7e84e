//! Why a token does not count.

/// Why a token does not count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    Audience,
    Environment,
    Expired,
    Missing,
    Revoked,
    Signature,
    Used,
}

impl Refusal {
    pub(crate) fn text(self) -> &'static str {
        match self {
            Self::Audience => "token is not for this endpoint",
            Self::Environment => "token is not for this environment",
            Self::Expired => "token expired",
            Self::Missing => "no token",
            Self::Revoked => "token revoked",
            Self::Signature => "invalid token",
            Self::Used => "token already used",
        }
    }
}
