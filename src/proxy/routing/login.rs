//! The paths where clients log in. No password may reach a web server, so a request to any path that
//! could be a login with one ends here. MWAA's own login takes a web token, and clients of the
//! gateway have only local ones.

use super::RoutingError;
use http::Method;
use mwaa_model::{ReservedPath, Target};

/// Returns true for MWAA's login with a web token (User Guide, "Using the Apache Airflow REST API").
pub(super) fn is_mwaa_login(target: &Target) -> bool {
    target.reserved() == Some(ReservedPath::Mwaa)
        && matches!(
            target.path(),
            "/aws_mwaa/login" | "/pluginsv2/aws_mwaa/login"
        )
}

/// Returns true if the request is a login for a token, which the gateway answers itself. Fails for
/// any other login: its body must not be forwarded, even if no Airflow serves the path.
///
/// `readings` are the readings of the path by web servers, Airflow's first.
pub(super) fn is_token_login<'a>(
    mut readings: impl Iterator<Item = &'a str>,
    method: &Method,
) -> Result<bool, RoutingError> {
    // Airflow's reading decides what is served, every other what is refused
    let airflows = readings.next().unwrap_or_default();
    match airflows {
        "/auth/token" if matches!(*method, Method::GET | Method::POST) => Ok(true),
        "/auth/token" => Err(RoutingError::Method { allow: "GET, POST" }),
        "/auth/token/cli" if *method == Method::POST => Ok(true),
        "/auth/token/cli" => Err(RoutingError::Method { allow: "POST" }),
        _ if is_login(airflows) || readings.any(is_login) => Err(RoutingError::NoLogin {
            path: airflows.to_owned(),
        }),
        _ => Ok(false),
    }
}

/// Returns true for Airflow's login page, which receives passwords.
pub(super) fn is_login_page(reading: &str) -> bool {
    PAGES.iter().any(|page| reading.eq_ignore_ascii_case(page))
}

/// Returns true for a path that begins like a login's, in any case.
fn is_login(reading: &str) -> bool {
    LOGINS.iter().any(|login| {
        let start = reading.as_bytes().get(..login.len());
        start.is_some_and(|start| start.eq_ignore_ascii_case(login.as_bytes()))
    })
}

/// The first parts of the paths of logins: the token routes of Airflow 3 (`fab` provider,
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

/// Of Airflow 2, of the `fab` provider of Airflow 3, and the path from Airflow's own UI to it.
const PAGES: &[&str] = &["/login", "/auth/login", "/api/v2/auth/login"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn token_routes_accept_the_methods_that_airflow_accepts() {
        for (path, method, allow) in [
            ("/auth/token", Method::GET, None),
            ("/auth/token", Method::POST, None),
            ("/auth/token", Method::HEAD, Some("GET, POST")),
            ("/auth/token", Method::PUT, Some("GET, POST")),
            ("/auth/token/cli", Method::POST, None),
            ("/auth/token/cli", Method::GET, Some("POST")),
        ] {
            let right = allow.map_or(Ok(true), |allow| Err(RoutingError::Method { allow }));
            let asks = is_token_login([path].into_iter(), &method);
            assert_eq!(asks, right, "{method} {path}");
        }
    }

    #[test]
    fn paths_that_resemble_a_login_are_refused() {
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
                let refused = Err(RoutingError::NoLogin {
                    path: readings[0].to_owned(),
                });
                let asks = is_token_login(readings.into_iter(), &Method::POST);
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
            let asks = is_token_login([path].into_iter(), &Method::POST);
            assert_eq!(asks, Ok(false), "{path}");
        }
    }
}
