//! What kind of request it is, by its path and method; a hand-over is for people only.

use super::RouteError;
use super::login;
use super::own::is_for_people;
use crate::guard::{Admitted, Reserved};
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
        Some(Reserved::Sso) if !is_for_people(admitted.headers()) => {
            Err(RouteError::NotForScripts)
        }
        Some(Reserved::Sso) => Ok(Kind::Handover),
        // the login route takes web tokens, which nobody but the gateway has; what there is of
        // our own has gone its way already
        Some(Reserved::Mwaa | Reserved::Own) => Err(RouteError::UnknownPath {
            path: path.to_owned(),
        }),
        None if admitted.target().signs_out() => Ok(Kind::Logout),
        None => {
            let meant = admitted.target().meant();
            if login::asks_for_token(&meant, method)? {
                return Ok(Kind::Token);
            }
            Ok(of_airflow(path, &meant))
        }
    }
}

/// The paths of Airflow 2 (Flask-AppBuilder) and of 3 (its API server, and the FAB provider
/// below `/auth`). `meant` is the path as they read it.
fn of_airflow(path: &str, meant: &str) -> Kind {
    match meant {
        _ if login::is_page(meant) => Kind::Login,
        _ if path.starts_with("/api/v1/") || path.starts_with("/api/v2/") => Kind::Rest,
        _ => Kind::Ui,
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
            ("/login", Kind::Login),
            ("/Login/", Kind::Login),
            ("/auth/login/", Kind::Login),
            ("/api/v2/auth/login", Kind::Login),
            ("/api/v1/dags", Kind::Rest),
            ("/api/v2/dags/", Kind::Rest),
            ("/api/v3/dags", Kind::Ui),
            ("/auth/users/list/", Kind::Ui),
            ("/loginx", Kind::Ui),
        ] {
            let meant = path.strip_suffix('/').unwrap_or(path);
            assert_eq!(of_airflow(path, meant), kind, "{path}");
        }
    }
}
