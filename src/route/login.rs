//! Where clients log in with a user name and password. No password may reach a web server, so
//! every path that could be such a login ends here.

use super::RouteError;
use http::Method;

/// Whether the request asks for a token, which the gateway answers itself. What could be another
/// login is an error: its body must not be forwarded, even where no Airflow serves the path.
/// `readings` are the path as web servers may read it, first the one that Airflow has.
pub(super) fn asks_for_token<'a>(
    mut readings: impl Iterator<Item = &'a str>,
    method: &Method,
) -> Result<bool, RouteError> {
    let meant = readings.next().unwrap_or_default();
    match meant {
        "/auth/token" if matches!(*method, Method::GET | Method::POST) => Ok(true),
        "/auth/token" => Err(RouteError::Method { allow: "GET, POST" }),
        "/auth/token/cli" if *method == Method::POST => Ok(true),
        "/auth/token/cli" => Err(RouteError::Method { allow: "POST" }),
        _ if is_login(meant) || readings.any(is_login) => Err(RouteError::NoLogin {
            path: meant.to_owned(),
        }),
        _ => Ok(false),
    }
}

/// Whether it is Airflow's login page, which people post a password to.
pub(super) fn is_page(reading: &str) -> bool {
    PAGES.iter().any(|page| reading.eq_ignore_ascii_case(page))
}

/// Without regard to case or to what follows.
fn is_login(reading: &str) -> bool {
    LOGINS.iter().any(|login| {
        let start = reading.as_bytes().get(..login.len());
        start.is_some_and(|start| start.eq_ignore_ascii_case(login.as_bytes()))
    })
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
            let asks = asks_for_token([path].into_iter(), &method);
            assert_eq!(asks, right, "{method} {path}");
        }
    }

    #[test]
    fn paths_like_a_login_are_refused() {
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
            for readings in [vec![path], vec!["/x", path]] {
                let refused = Err(RouteError::NoLogin {
                    path: readings[0].to_owned(),
                });
                let asks = asks_for_token(readings.into_iter(), &Method::POST);
                assert_eq!(asks, refused, "{path}");
            }
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
            let asks = asks_for_token([path].into_iter(), &Method::POST);
            assert_eq!(asks, Ok(false), "{path}");
        }
    }
}
