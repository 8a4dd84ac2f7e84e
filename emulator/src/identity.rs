//! Who calls: AWS keys, the IAM identity behind them, and the Airflow role it maps to.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A pair of AWS keys the emulator knows, perhaps with a session token.
#[derive(Clone, Debug)]
pub struct Credential {
    /// The access key id.
    pub access_key_id: String,
    /// The secret key that signatures are checked with.
    pub secret_access_key: String,
    /// What `X-Amz-Security-Token` must say; `None` for long-term keys, which send none.
    pub session_token: Option<String>,
    /// The principal as AWS writes it: `assumed-role/ROLE/SESSION` or `user/NAME`.
    pub iam_identity: String,
    /// The Airflow role that IAM grants; `None` is refused by CreateWebLoginToken.
    pub role: Option<Role>,
}

impl Default for Credential {
    /// An Admin without keys.
    fn default() -> Self {
        Self {
            access_key_id: String::new(),
            secret_access_key: String::new(),
            session_token: None,
            iam_identity: "assumed-role/Admin/emulator".to_owned(),
            role: Some(Role::Admin),
        }
    }
}

impl Credential {
    /// The identity and role that a web token for these keys signs in; `None` without a role.
    pub(crate) fn holder(&self) -> Option<Holder> {
        Some(Holder {
            identity: self.airflow_identity(),
            role: self.role?,
        })
    }

    /// The name Airflow knows the caller by: without the session, at most 64 characters.
    pub(crate) fn airflow_identity(&self) -> String {
        let parts: Vec<&str> = self.iam_identity.splitn(3, '/').collect();
        let name = match *parts {
            ["assumed-role", role, _] => format!("assumed-role/{role}"),
            _ => self.iam_identity.clone(),
        };
        name.chars().take(AIRFLOW_IDENTITY).collect()
    }
}

/// The five roles that MWAA maps IAM principals to, the most powerful first.
///
/// Source: MWAA user guide, "Accessing an Amazon MWAA environment".
#[derive(Clone, Copy, Debug, Deserialize, Serialize, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// May do everything.
    Admin,
    /// May change DAGs, connections and variables.
    Op,
    /// May run DAGs.
    User,
    /// May look.
    Viewer,
    /// May nothing.
    Public,
}

impl Role {
    /// All roles, the most powerful first.
    pub const ALL: [Self; 5] = [
        Self::Admin,
        Self::Op,
        Self::User,
        Self::Viewer,
        Self::Public,
    ];

    /// The role as IAM and Airflow write it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Admin => "Admin",
            Self::Op => "Op",
            Self::User => "User",
            Self::Viewer => "Viewer",
            Self::Public => "Public",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Role {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|role| role.name() == text);
        found.ok_or_else(|| "the roles are Admin, Op, User, Viewer and Public".to_owned())
    }
}

/// The identity that a web token signs in, and its role.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Holder {
    pub(crate) identity: String,
    pub(crate) role: Role,
}

/// The longest `AirflowIdentity` of the service model.
const AIRFLOW_IDENTITY: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn airflow_s_name_for_a_principal_has_no_session() {
        let long = format!("user/{}", "x".repeat(80));
        for (iam_identity, expected) in [
            ("assumed-role/Admin/emulator", "assumed-role/Admin"),
            ("assumed-role/A/b/c", "assumed-role/A"),
            ("user/ann", "user/ann"),
            (&long, long.split_at(64).0),
        ] {
            let credential = Credential {
                iam_identity: iam_identity.to_owned(),
                ..Credential::default()
            };
            assert_eq!(credential.airflow_identity(), expected);
        }
    }
}
