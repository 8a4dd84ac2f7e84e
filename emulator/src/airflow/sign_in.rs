//! Login pages and logout, the page that logs in with a web token, and the CSRF check.

use http::{HeaderValue, header};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use super::super::session::Dialect;
use super::super::web::{Reply, Visit};
use super::Guest;

/// Answers `GET /aws_mwaa/aws-console-sso`, in Airflow 3 also below `/pluginsv2`: the page that
/// takes a web token from the fragment of its own address and logs in with it.
pub(crate) fn sso_page(visit: Visit<'_>) -> Option<Reply> {
    let three = visit.dialect() != Dialect::Two;
    let ours = match visit.path() {
        "/aws_mwaa/aws-console-sso" => true,
        "/pluginsv2/aws_mwaa/aws-console-sso" => three,
        _ => false,
    };
    if !ours || visit.method() != "GET" {
        return None;
    }
    if visit.query("login").as_deref() != Some("true") {
        return Some(to_aws(visit)); // there is no token yet
    }
    Some(Reply::html(200, include_str!("sso.html")))
}

/// Answers the pages that log in and out, if the request is for one.
pub(super) fn answer(guest: Guest<'_>) -> Option<Reply> {
    let visit = guest.visit;
    match visit.dialect() {
        Dialect::Two => two(guest),
        Dialect::ThreeZero | Dialect::Three => three(guest),
    }
    .or_else(|| {
        visit
            .path()
            .starts_with("/aws_mwaa/")
            .then(|| Reply::page(404, "not found"))
    })
}

fn two(guest: Guest<'_>) -> Option<Reply> {
    let visit = guest.visit;
    Some(match (visit.method(), visit.path()) {
        ("GET", "/") => Reply::redirect(302, &visit.absolute("/home")),
        ("GET", "/login") => Reply::redirect(308, &visit.absolute("/login/")),
        ("GET", "/login/") if guest.session.is_ok() => {
            let own = |next: &String| next.starts_with(&visit.absolute("/"));
            let next = visit.query("next").filter(own);
            Reply::redirect(302, &next.unwrap_or_else(|| visit.absolute("/home")))
        }
        ("GET", "/login/") => to_aws(visit),
        ("POST", "/logout/") => {
            if let Err(refusal) = check_csrf(guest) {
                return Some(refusal);
            }
            if let Ok(session) = guest.session {
                visit.environment.sessions.end(session);
            }
            Reply::redirect(302, &visit.absolute("/login/"))
                .with(header::SET_COOKIE, HeaderValue::from_static(NO_SESSION))
        }
        (_, "/logout/") => not_allowed("POST"),
        _ => return None,
    })
}

fn three(guest: Guest<'_>) -> Option<Reply> {
    let visit = guest.visit;
    let get = visit.method() == "GET";
    Some(match visit.path() {
        "/api/v2/auth/login" | "/api/v2/auth/logout" if !get => not_allowed("GET"),
        "/api/v2/auth/login" => match visit.query("next") {
            Some(next) if !is_ours(visit, &next) => Reply::bare(400, ""),
            Some(next) => {
                let next = utf8_percent_encode(&next, NON_ALPHANUMERIC);
                let path = format!("/auth/login/?next={next}");
                Reply::redirect(307, &visit.absolute(&path))
            }
            None => Reply::redirect(307, &visit.absolute("/auth/login/")),
        },
        "/api/v2/auth/logout" => {
            // 3.0 removes only the cookie: the token itself stays valid
            if let (Dialect::Three, Ok(session)) = (visit.dialect(), guest.session) {
                visit.environment.sessions.end(session);
            }
            Reply::redirect(307, &visit.absolute("/auth/logout/"))
                .with(header::SET_COOKIE, HeaderValue::from_static(NO_TOKEN))
        }
        "/auth/login" if get => Reply::redirect(308, &visit.absolute("/auth/login/")),
        "/auth/login/" if get => match guest.session {
            Ok(session) => {
                let (sessions, script) = (&visit.environment.sessions, &visit.shared.script);
                let token = sessions.token_for(session, visit.dialect(), script);
                Reply::redirect(302, &visit.absolute("/")).with(header::SET_COOKIE, token)
            }
            Err(_) => to_aws(visit),
        },
        "/auth/logout" | "/auth/logout/" if get => {
            if let Ok(session) = guest.session {
                visit.environment.sessions.end(session);
            }
            Reply::redirect(302, &visit.absolute("/auth/login/"))
                .with(header::SET_COOKIE, HeaderValue::from_static(NO_SESSION))
        }
        _ => return None,
    })
}

/// Whether an address lies on the host that the request names, or on no host.
fn is_ours(visit: Visit<'_>, next: &str) -> bool {
    let Some((_, rest)) = next.split_once("://") else {
        return !next.starts_with("//") && !next.starts_with('\\');
    };
    let authority = rest.split(['/', '?', '#']).next();
    authority == visit.header(header::HOST)
}

/// To Airflow's login page, with the address that was wanted.
pub(super) fn to_login_page(visit: Visit<'_>) -> Reply {
    let page = match visit.dialect() {
        Dialect::Two => "/login/",
        Dialect::ThreeZero | Dialect::Three => "/auth/login/",
    };
    let wanted = visit.head.uri.path_and_query();
    let wanted = visit.absolute(wanted.map_or("/", |wanted| wanted.as_str()));
    let wanted = utf8_percent_encode(&wanted, NON_ALPHANUMERIC);
    Reply::redirect(302, &visit.absolute(&format!("{page}?next={wanted}")))
}

/// To the AWS console, which asks for an identity and comes back with a web token.
pub(crate) fn to_aws(visit: Visit<'_>) -> Reply {
    let region = &visit.shared.settings.region;
    let name = &visit.environment.seed.name;
    Reply::redirect(
        302,
        &format!(
            "https://{region}.console.aws.amazon.com/mwaa/home?region={region}\
             #/environments/{name}/sso"
        ),
    )
}

fn not_allowed(allowed: &'static str) -> Reply {
    Reply::page(405, "method not allowed")
        .with(header::ALLOW, HeaderValue::from_static(allowed))
}

/// Checks a form as Flask-WTF does over HTTPS: first the token, then the `Referer`. Returns the
/// refusal if one of them is missing or wrong.
///
/// Source: flask-wtf 1.2 `csrf.py`; `WTF_CSRF_SSL_STRICT` is on by default.
pub(super) fn check_csrf(guest: Guest<'_>) -> Result<(), Reply> {
    let visit = guest.visit;
    let refuse = |why: &str| Err(Reply::page(400, why));
    let header = visit.head.headers.get("x-csrftoken");
    let header = header.and_then(|value| value.to_str().ok());
    let Some(given) = visit
        .field("csrf_token")
        .or_else(|| header.map(str::to_owned))
    else {
        return refuse("The CSRF token is missing.");
    };
    let Ok(session) = guest.session else {
        return refuse("The CSRF session token is missing.");
    };
    if given != session.csrf {
        return refuse("The CSRF tokens do not match.");
    }

    let Some(referer) = visit.header(header::REFERER) else {
        return refuse("The referrer header is missing.");
    };
    let own = format!("https://{}", visit.header(header::HOST).unwrap_or_default());
    let rest = referer.strip_prefix(&own);
    if !rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['/', '?'])) {
        return refuse("The referrer does not match the host.");
    }
    Ok(())
}

/// Takes the `_token` cookie away.
pub(super) const NO_TOKEN: &str = "_token=\"\"; Max-Age=0; Path=/; SameSite=lax";
/// Takes the `session` cookie away.
const NO_SESSION: &str = "session=; Expires=Thu, 01 Jan 1970 00:00:00 GMT; Max-Age=0; HttpOnly; Path=/; SameSite=Lax";
