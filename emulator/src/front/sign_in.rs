//! A login at the real Airflow: who a web token says somebody is becomes a genuine session.

use bytes::Bytes;
use http::{HeaderValue, Request, Response, header};
use http_body_util::Empty;
use hyper::body::Incoming;

use super::super::identity::Holder;
use super::super::login::{admit, welcome};
use super::super::session::Dialect;
use super::super::web::{Reply, Visit};
use super::forward::send;
use super::headers::claim;
use super::url::RealAirflow;

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
async fn begin(
    visit: Visit<'_>,
    airflow: &RealAirflow,
    holder: &Holder,
) -> Result<Vec<HeaderValue>, &'static str> {
    let dialect = visit.dialect();
    // no cookies: a request that is already signed in keeps its old user
    let mut request = get(visit, page(dialect));
    let roles = holder.role.name();
    claim(
        &mut request,
        &holder.identity,
        Some(roles),
        airflow.secret.as_deref(),
    );
    let response = ask(visit, airflow, request).await?;
    if !response.status().is_redirection() {
        return Err(
            "Airflow does not take the emulator's word: is the secret the same on both sides?",
        );
    }
    let mut cookies = Cookies::of(&response);
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

/// The cookies that Airflow has set, each with its attributes; a later value takes the place of
/// an earlier one.
struct Cookies(Vec<(String, String, String)>);

impl Cookies {
    fn of<B>(response: &Response<B>) -> Self {
        let mut cookies = Self(Vec::new());
        cookies.add(response);
        cookies
    }

    fn add<B>(&mut self, response: &Response<B>) {
        for header in response.headers().get_all(header::SET_COOKIE) {
            let text = header.to_str().unwrap_or_default();
            let (pair, attributes) = text.split_once(';').unwrap_or((text, ""));
            if let Some((name, value)) = pair.split_once('=') {
                self.0.retain(|(known, ..)| known != name);
                let cookie = (
                    name.to_owned(),
                    value.to_owned(),
                    attributes.trim().to_owned(),
                );
                self.0.push(cookie);
            }
        }
    }

    /// A cookie's value, unless it is there to take the cookie away.
    fn get(&self, name: &str) -> Option<&str> {
        let (_, value, _) = self.0.iter().find(|(known, ..)| known == name)?;
        (!value.is_empty() && value != "\"\"").then_some(value)
    }

    /// As `Set-Cookie` values. Airflow leaves `Secure` out when it does not see TLS itself; a
    /// script may read the `_token` of 3.0, whose pages depend on it, and no other.
    fn headers(&self, dialect: Dialect) -> Vec<HeaderValue> {
        let written = self.0.iter().filter_map(|(name, value, attributes)| {
            let mut attributes: Vec<&str> = attributes
                .split(';')
                .map(str::trim)
                .filter(|attribute| {
                    let own = ["Secure", "HttpOnly"];
                    !attribute.is_empty()
                        && !own.iter().any(|own| own.eq_ignore_ascii_case(attribute))
                })
                .collect();
            attributes.push("Secure");
            if name != "_token" || dialect == Dialect::Three {
                attributes.push("HttpOnly");
            }
            let attributes = attributes.join("; ");
            HeaderValue::from_str(&format!("{name}={value}; {attributes}")).ok()
        });
        written.collect()
    }
}

const NO_SESSION: &str = "Airflow has made no session";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_token_is_script_readable_in_3_0_alone() {
        let response = |cookies: &[&str]| {
            let mut response = Response::new(());
            for cookie in cookies {
                let value = HeaderValue::from_str(cookie).unwrap();
                response.headers_mut().append(header::SET_COOKIE, value);
            }
            response
        };
        let mut cookies =
            Cookies::of(&response(&["session=a; HttpOnly; Path=/; SameSite=Lax"]));
        cookies.add(&response(&[
            "_token=t; Path=/",
            "session=b; HttpOnly; Path=/",
        ]));
        assert_eq!(cookies.get("session"), Some("b"));
        let text = |dialect| {
            cookies
                .headers(dialect)
                .into_iter()
                .map(|value| value.to_str().unwrap().to_owned())
        };
        let three_zero: Vec<_> = text(Dialect::ThreeZero).collect();
        assert_eq!(
            three_zero,
            [
                "_token=t; Path=/; Secure",
                "session=b; Path=/; Secure; HttpOnly"
            ]
        );
        let three: Vec<_> = text(Dialect::Three).collect();
        assert_eq!(three[0], "_token=t; Path=/; Secure; HttpOnly");
        let gone = Cookies::of(&response(&["_token=\"\"; Max-Age=0"]));
        assert_eq!(gone.get("_token"), None);
    }
}
