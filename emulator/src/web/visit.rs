//! What is asked of a web server: the request, read to its end, and the environment it is for.

use std::sync::Arc;

use bytes::Bytes;
use http::header;
use http::request::Parts;

use super::super::Shared;
use super::super::environment::Environment;
use super::super::session::Dialect;

/// One request to the web server of an environment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Visit<'a> {
    pub(crate) head: &'a Parts,
    pub(crate) body: &'a Bytes,
    pub(crate) environment: &'a Environment,
    pub(crate) shared: &'a Arc<Shared>,
}

impl<'a> Visit<'a> {
    pub(crate) fn path(self) -> &'a str {
        self.head.uri.path()
    }

    /// How this environment's Airflow treats a browser.
    pub(crate) fn dialect(self) -> Dialect {
        self.environment.dialect
    }

    /// The method, HEAD counting as GET.
    pub(crate) fn method(self) -> &'a str {
        match self.head.method.as_str() {
            "HEAD" => "GET",
            method => method,
        }
    }

    /// The first value of a header, if it is text.
    pub(crate) fn header(self, name: header::HeaderName) -> Option<&'a str> {
        self.head.headers.get(name)?.to_str().ok()
    }

    /// The first value of a query parameter.
    pub(crate) fn query(self, name: &str) -> Option<String> {
        first(self.head.uri.query()?.as_bytes(), name)
    }

    /// The first value of a field of the form in the body.
    pub(crate) fn field(self, name: &str) -> Option<String> {
        field(self.head, self.body, name)
    }

    /// Every value of a cookie (RFC 6265), in the order of the header.
    pub(crate) fn cookies(self, name: &str) -> impl Iterator<Item = &'a str> {
        cookies(self.head, name)
    }

    /// The token of an `Authorization: Bearer` header (RFC 6750).
    pub(crate) fn bearer(self) -> Option<&'a str> {
        bearer(self.head)
    }

    /// An absolute address on the environment's own host, as Airflow makes them from
    /// `base_url`; `path` begins with a slash.
    pub(crate) fn absolute(self, path: &str) -> String {
        format!("{}{path}", self.environment.base_url())
    }
}

/// Every value of a cookie (RFC 6265), in the order of the header.
pub(crate) fn cookies<'a>(head: &'a Parts, name: &str) -> impl Iterator<Item = &'a str> {
    let headers = head.headers.get_all(header::COOKIE).into_iter();
    let pairs = headers
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'));
    pairs.filter_map(move |pair| {
        let (candidate, value) = pair.trim().split_once('=')?;
        (candidate == name).then_some(value)
    })
}

/// The token of an `Authorization: Bearer` header (RFC 6750).
pub(crate) fn bearer(head: &Parts) -> Option<&str> {
    let value = head.headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// The first value of a field of a form.
pub(crate) fn field(head: &Parts, body: &Bytes, name: &str) -> Option<String> {
    let content_type = head.headers.get(header::CONTENT_TYPE)?.to_str().ok()?;
    let form = content_type.starts_with("application/x-www-form-urlencoded");
    form.then(|| first(body, name)).flatten()
}

fn first(encoded: &[u8], name: &str) -> Option<String> {
    form_urlencoded::parse(encoded)
        .find(|(candidate, _)| candidate == name)
        .map(|(_, value)| value.into_owned())
}
