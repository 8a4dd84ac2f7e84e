//! What a role may do.
//!
//! Source: measured on Airflow 2.10.5, 3.0.6 and 3.3.2, with the same outcome.

use super::super::identity::Role;
use super::super::session::Session;
use super::super::web::Reply;
use super::{Guest, door};

/// Something not everybody may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Right {
    /// See DAGs, runs, tasks and logs, and the pages that show them.
    Look,
    /// Pause DAGs and trigger runs.
    Run,
    /// See connections and variables.
    Configure,
    /// See users.
    Administer,
}

impl Right {
    pub(super) fn is_given_to(self, role: Role) -> bool {
        let lowest = match self {
            Self::Look => Role::Viewer,
            Self::Run => Role::User,
            Self::Configure => Role::Op,
            Self::Administer => Role::Admin,
        };
        role <= lowest // the most powerful comes first
    }
}

/// The session of somebody who may do this, or the answer that refuses it.
pub(super) fn demand(guest: Guest<'_>, right: Right) -> Result<&Session, Reply> {
    let session = door::signed_in(guest)?;
    if right.is_given_to(session.holder.role) {
        Ok(session)
    } else {
        Err(door::forbidden(guest))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_the_measured_one() {
        let rights = [Right::Look, Right::Run, Right::Configure, Right::Administer];
        let table = Role::ALL.map(|role| rights.map(|right| right.is_given_to(role)));
        assert_eq!(
            table,
            [
                [true, true, true, true],
                [true, true, true, false],
                [true, true, false, false],
                [true, false, false, false],
                [false, false, false, false],
            ]
        );
    }
}
