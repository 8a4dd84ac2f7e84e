//! What kind of request it is, by its path and method; a hand-over is for people only.

use super::RouteError;
use super::login;
use super::own::is_for_people;
use crate::guard::{Admitted, Reserved, is_opaque};
use http::Method;

/// The kinds of request that lead to an environment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A command for `/aws_mwaa/cli`.
    Cli,
    /// `/aws_mwaa/aws-console-sso`: a browser that wants to be handed over.
    Handover,
    /// Airflow's login page. Nobody has to sign in here, so it only leads back.
    Login,
    /// Airflow's way of signing out.
    Logout,
    /// The REST API: `/api/v1/…`, `/api/v2/…`.
    Rest,
    /// `/auth/token`, `/auth/token/cli`: a client of Airflow 3 that logs in.
    Token,
    /// Anything else: Airflow's UI.
    Ui,
}

impl Kind {
    /// The word used in metrics and logs.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Cli => "cli",
            Self::Handover => "handover",
            Self::Login => "login",
            Self::Logout => "logout",
            Self::Rest => "rest",
            Self::Token => "token",
            Self::Ui => "ui",
        }
    }
}

pub(super) fn kind(admitted: &Admitted) -> Result<Kind, RouteError> {
    let (path, method) = (admitted.target().path(), admitted.method());
    match admitted.target().reserved() {
        Some(Reserved::Cli) if *method == Method::POST => Ok(Kind::Cli),
        Some(Reserved::Cli) => Err(RouteError::Method { allow: "POST" }),
        Some(Reserved::Sso) if !matches!(*method, Method::GET | Method::POST) => {
            Err(RouteError::Method { allow: "GET, POST" })
        }
        // each costs a token of AWS's
        Some(Reserved::Sso) if !is_for_people(admitted.agent().fetch) => {
            Err(RouteError::NotForScripts)
        }
        Some(Reserved::Sso) => Ok(Kind::Handover),
        // the login route takes web tokens, which nobody but the gateway has; what there is of
        // our own has gone its way already
        Some(Reserved::Mwaa | Reserved::Own) => Err(RouteError::UnknownPath {
            path: path.to_owned(),
        }),
        None if admitted.target().signs_out() => Ok(Kind::Logout),
        None if admitted.target().readings().any(login::is_page) => Ok(Kind::Login),
        None if login::asks_for_token(admitted.target().readings(), method)? => Ok(Kind::Token),
        None => Ok(of_airflow(path)),
    }
}

/// The REST API, or else the UI.
fn of_airflow(path: &str) -> Kind {
    if path.starts_with("/api/") && is_opaque(path) {
        Kind::Rest
    } else {
        Kind::Ui
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_of_both_majors() {
        for (path, kind) in [
            ("/", Kind::Ui),
            ("/home", Kind::Ui),
            ("/api/v1/dags", Kind::Rest),
            ("/api/v2/dags/", Kind::Rest),
            ("/api/v2//dags", Kind::Rest),
            ("/api/v3/dags", Kind::Rest),
            ("/api/vx/dags", Kind::Ui),
            ("/ui/dags", Kind::Ui),
            ("/auth/users/list/", Kind::Ui),
            ("/loginx", Kind::Ui),
        ] {
            assert_eq!(of_airflow(path), kind, "{path}");
        }
    }
}
