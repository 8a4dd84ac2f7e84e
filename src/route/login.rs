//! Where clients log in with a user name and password. No password may reach a web server, so
//! every path that could be such a login ends here.

use super::RouteError;
use http::Method;

/// Whether the request asks for a token, which the gateway answers itself. What could be another
/// login is an error: its body must not be forwarded, even where no Airflow serves the path.
/// `meant` is the path as a web server reads it.
pub(super) fn asks_for_token(meant: &str, method: &Method) -> Result<bool, RouteError> {
    match meant {
        "/auth/token" if matches!(*method, Method::GET | Method::POST) => Ok(true),
        "/auth/token" => Err(RouteError::Method { allow: "GET, POST" }),
        "/auth/token/cli" if *method == Method::POST => Ok(true),
        "/auth/token/cli" => Err(RouteError::Method { allow: "POST" }),
        _ if LOGINS.iter().any(|login| begins_with(meant, login)) => Err(RouteError::NoLogin {
            path: meant.to_owned(),
        }),
        _ => Ok(false),
    }
}

/// Whether it is Airflow's login page, which people post a password to.
pub(super) fn is_page(meant: &str) -> bool {
    PAGES.iter().any(|page| meant.eq_ignore_ascii_case(page))
}

/// Without regard to case.
fn begins_with(path: &str, prefix: &str) -> bool {
    let start = path.as_bytes().get(..prefix.len());
    start.is_some_and(|start| start.eq_ignore_ascii_case(prefix.as_bytes()))
}

/// How the paths of logins begin: the token routes of Airflow 3 (`fab` provider,
/// `routes/login.py`; the simple auth manager adds `/auth/token/login`), the same below the base
/// path of the REST API, where a client with that base URL would look, and the login of
/// Flask-AppBuilder's own API (`security/api.py`), which Airflow 3 mounts below `/auth`.
const LOGINS: &[&str] = &[
    "/auth/token",
    "/api/auth/token",
    "/api/v1/auth/token",
    "/api/v2/auth/token",
    "/api/v1/security/login",
    "/auth/api/v1/security/login",
];

/// Airflow 2, the `fab` provider of Airflow 3, and the way to it from Airflow's own UI.
const PAGES: &[&str] = &["/login", "/auth/login", "/api/v2/auth/login"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_given_by_the_methods_that_airflow_has_for_it() {
        for (path, method, allow) in [
            ("/auth/token", Method::GET, None),
            ("/auth/token", Method::POST, None),
            ("/auth/token", Method::HEAD, Some("GET, POST")),
            ("/auth/token", Method::PUT, Some("GET, POST")),
            ("/auth/token/cli", Method::POST, None),
            ("/auth/token/cli", Method::GET, Some("POST")),
        ] {
            let right = allow.map_or(Ok(true), |allow| Err(RouteError::Method { allow }));
            assert_eq!(asks_for_token(path, &method), right, "{method} {path}");
        }
    }

    #[test]
    fn whatever_looks_like_a_login_is_none_of_airflows() {
        for path in [
            "/auth/token/login",
            "/auth/token/cli/x",
            "/auth/tokens",
            "/auth/token ",
            "/AUTH/token",
            "/api/v2/auth/token",
            "/api/v1/auth/token/cli",
            "/api/v1/security/login",
            "/auth/api/v1/Security/login",
        ] {
            let path_of = |error| match error {
                Err(RouteError::NoLogin { path }) => Some(path),
                Ok(_) | Err(_) => None,
            };
            let refused = path_of(asks_for_token(path, &Method::POST));
            assert_eq!(refused.as_deref(), Some(path));
        }
        for path in [
            "/",
            "/auth",
            "/auth/users/list",
            "/api/v2/variables/auth/token",
            "/api/v2/dags",
            "/ui/auth/menus",
            "/auth/toké",
        ] {
            assert_eq!(asks_for_token(path, &Method::POST), Ok(false), "{path}");
        }
    }
}
