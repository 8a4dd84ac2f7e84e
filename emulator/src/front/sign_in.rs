//! A login at the real Airflow: who a web token says somebody is becomes a genuine session.

use bytes::Bytes;
use cookie::Cookie;
use http::{HeaderValue, Request, Response, header};
use http_body_util::Empty;
use hyper::body::Incoming;

use super::super::identity::Holder;
use super::super::login::{admit, welcome};
use super::super::session::Dialect;
use super::super::web::{Reply, Visit};
use super::RealAirflow;
use super::forward::{claim, send};

/// Answers the login route.
pub(crate) async fn answer(visit: Visit<'_>, airflow: &RealAirflow) -> Reply {
    let holder = match admit(visit).await {
        Ok(holder) => holder,
        Err(refusal) => return refusal,
    };
    match begin(visit, airflow, &holder).await {
        Ok(cookies) => welcome(visit, cookies),
        Err(why) => Reply::page(502, why),
    }
}

/// The page that makes sessions; a user without one must not see it.
pub(super) fn page(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::Two => "/login/",
        Dialect::ThreeZero | Dialect::Three => "/auth/login/",
    }
}

/// The cookies of a new session, with the attributes that browsers get on MWAA.
pub(crate) async fn begin(
    visit: Visit<'_>,
    airflow: &RealAirflow,
    holder: &Holder,
) -> Result<Vec<HeaderValue>, &'static str> {
    let dialect = visit.dialect();
    // no cookies: a request that is already signed in keeps its old user
    let mut request = get(visit, page(dialect));
    let (roles, secret) = (holder.role.name(), airflow.secret.as_deref());
    claim(&mut request, &holder.identity, Some(roles), secret);
    let response = ask(visit, airflow, request).await?;
    if !response.status().is_redirection() {
        return Err(
            "Airflow does not take the emulator's word: is the secret the same on both sides?",
        );
    }
    let mut cookies = Cookies::default();
    cookies.add(&response);
    if dialect == Dialect::ThreeZero && cookies.get("_token").is_none() {
        // FAB 2.4 signs in first and gives the token with the page after it
        let session = cookies.get("session").ok_or(NO_SESSION)?;
        let cookie = HeaderValue::from_str(&format!("session={session}"));
        let mut request = get(visit, "/auth/");
        let cookie = cookie.map_err(|_unfit| NO_SESSION)?;
        request.headers_mut().insert(header::COOKIE, cookie);
        cookies.add(&ask(visit, airflow, request).await?);
    }
    let needed = match dialect {
        Dialect::Two => "session",
        Dialect::ThreeZero | Dialect::Three => "_token",
    };
    cookies.get(needed).ok_or(NO_SESSION)?;
    Ok(cookies.headers(dialect))
}

fn get(visit: Visit<'_>, path: &'static str) -> Request<Empty<Bytes>> {
    let mut request = Request::new(Empty::new());
    *request.uri_mut() = http::Uri::from_static(path);
    let headers = request.headers_mut();
    if let Ok(host) = HeaderValue::from_str(&visit.environment.host()) {
        headers.insert(header::HOST, host);
    }
    headers.insert("x-forwarded-proto", HeaderValue::from_static("https"));
    request
}

async fn ask(
    visit: Visit<'_>,
    airflow: &RealAirflow,
    request: Request<Empty<Bytes>>,
) -> Result<Response<Incoming>, &'static str> {
    let answer = send(airflow, request, visit.shared).await;
    answer.map_err(|_unreachable| "the Airflow web server does not answer")
}

/// The cookies that Airflow has set; a later value takes the place of an earlier one.
#[derive(Default)]
struct Cookies(Vec<Cookie<'static>>);

impl Cookies {
    fn add<B>(&mut self, response: &Response<B>) {
        let headers = response.headers().get_all(header::SET_COOKIE).into_iter();
        let texts = headers.filter_map(|value| value.to_str().ok());
        for cookie in texts.filter_map(|text| Cookie::parse(text.to_owned()).ok()) {
            self.0.retain(|known| known.name() != cookie.name());
            self.0.push(cookie);
        }
    }

    /// A cookie's value, unless it is there to take the cookie away.
    fn get(&self, name: &str) -> Option<&str> {
        let cookie = self.0.iter().find(|cookie| cookie.name() == name)?;
        Some(cookie.value_trimmed()).filter(|value| !value.is_empty())
    }

    /// As `Set-Cookie` values. Airflow leaves `Secure` out when it does not see TLS itself; a
    /// script may read the `_token` of 3.0, whose pages depend on it, and no other.
    fn headers(self, dialect: Dialect) -> Vec<HeaderValue> {
        let written = self.0.into_iter().filter_map(|mut cookie| {
            cookie.set_secure(true);
            cookie.set_http_only(cookie.name() != "_token" || dialect == Dialect::Three);
            HeaderValue::from_str(&cookie.to_string()).ok()
        });
        written.collect()
    }
}

const NO_SESSION: &str = "Airflow has made no session";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_can_read_the_token_of_3_0_only() {
        for (dialect, token) in [
            (Dialect::ThreeZero, "_token=t; Secure; Path=/"),
            (Dialect::Three, "_token=t; HttpOnly; Secure; Path=/"),
        ] {
            let mut cookies = Cookies::default();
            for text in [
                "session=a",
                "_token=t; Path=/",
                "session=b",
                "gone=\"\"; Max-Age=0",
            ] {
                let response = Response::builder().header(header::SET_COOKIE, text);
                cookies.add(&response.body(()).unwrap());
            }
            assert_eq!(
                (cookies.get("session"), cookies.get("gone")),
                (Some("b"), None)
            );
            let headers = cookies.headers(dialect);
            assert_eq!(headers[0], token);
            assert_eq!(headers[1], "session=b; HttpOnly; Secure");
        }
    }
}
