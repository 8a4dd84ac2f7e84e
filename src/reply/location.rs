//! `Location` and its like: the web server's own origin becomes ours, and nothing else does.

use http::header::{CONTENT_LOCATION, LOCATION};
use http::{HeaderMap, HeaderName, HeaderValue};

/// Rewrites the fields that lead somewhere (RFC 9110 sections 8.7 and 10.2.2). The web server
/// is `host`, we are `origin`.
pub(super) fn rewrite(headers: &mut HeaderMap, host: &str, origin: &str) {
    for name in [LOCATION, CONTENT_LOCATION] {
        rewrite_one(headers, &name, host, origin);
    }
}

fn rewrite_one(headers: &mut HeaderMap, name: &HeaderName, host: &str, origin: &str) {
    let Some(value) = headers.get(name) else {
        return;
    };
    let Ok(text) = value.to_str() else {
        headers.remove(name);
        return;
    };
    let rewritten = match Address::read(text) {
        None => return,
        Some(address) if address.is_of(host) => format!("{origin}{}", address.rest_or_root()),
        Some(address) => address.bare(),
    };
    if let Ok(value) = HeaderValue::try_from(rewritten) {
        headers.insert(name, value);
    } else {
        headers.remove(name);
    }
}

/// Whether the reply leads to a page where a person would sign in: Airflow's own login page on
/// `host`, or that of AWS (MWAA sends browsers without a session there).
pub fn leads_to_sign_in(headers: &HeaderMap, host: &str) -> bool {
    let location = headers.get(LOCATION).and_then(|value| value.to_str().ok());
    let Some(location) = location else {
        return false;
    };
    let path = match Address::read(location) {
        None => location,
        Some(address) if address.is_of(host) => address.rest,
        Some(address) => return address.is_aws_sign_in(),
    };
    let path = path.split(['?', '#']).next().unwrap_or_default();
    LOGIN_PAGES.contains(&path.strip_suffix('/').unwrap_or(path))
}

/// An absolute or protocol-relative reference.
struct Address<'a> {
    /// `https:`, or nothing.
    scheme: &'a str,
    host: &'a str,
    port: Option<&'a str>,
    /// Path, query and fragment.
    rest: &'a str,
}

impl<'a> Address<'a> {
    /// `None` for a reference within the same host. User info is dropped.
    fn read(text: &'a str) -> Option<Self> {
        let (scheme, after) = match text.split_once("//") {
            // the first two slashes may also stand in a path or a query
            Some((scheme, after)) if scheme.is_empty() || is_scheme(scheme) => (scheme, after),
            _ => return None,
        };
        // browsers take a backslash for a slash (URL standard, "authority state")
        let end = after.find(['/', '\\', '?', '#']).unwrap_or(after.len());
        let (authority, rest) = after.split_at(end);
        let authority = authority
            .rsplit_once('@')
            .map_or(authority, |(_, host)| host);
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) if !port.contains(']') => (host, Some(port)),
            _ => (authority, None),
        };
        Some(Self {
            scheme,
            host,
            port,
            rest,
        })
    }

    fn is_of(&self, host: &str) -> bool {
        let scheme = ["", "https:", "http:"]
            .iter()
            .any(|scheme| self.scheme.eq_ignore_ascii_case(scheme));
        // load balancers answer on 80 too, and lead from there to 443
        let port = matches!(self.port, None | Some("" | "443" | "80"));
        scheme && port && self.host.eq_ignore_ascii_case(host)
    }

    /// Whether MWAA sends browsers without a session there. A plugin's own link to AWS's pages is
    /// none: its request may have acted.
    fn is_aws_sign_in(&self) -> bool {
        if !AWS_DOMAINS.iter().any(|domain| self.is_within(domain)) {
            return false;
        }
        let path = self.rest.split(['?', '#']).next().unwrap_or_default();
        let page = |page: &str| path == page || path.starts_with(&format!("{page}/"));
        let label = |label: &str| self.host.split('.').any(|one| one == label);
        label("signin") || (label("console") && page("/mwaa")) || page("/start")
    }

    fn is_within(&self, domain: &str) -> bool {
        let host = self.host.to_ascii_lowercase();
        host.strip_suffix(domain)
            .is_some_and(|front| front.is_empty() || front.ends_with('.'))
    }

    fn rest_or_root(&self) -> String {
        if self.rest.starts_with('/') {
            self.rest.to_owned()
        } else {
            format!("/{}", self.rest)
        }
    }

    /// The same without user info, and without a fragment that could be a token.
    fn bare(&self) -> String {
        let rest = match self.rest.split_once('#') {
            Some((rest, fragment)) if fragment.len() > LONGEST_ANCHOR => rest,
            _ => self.rest,
        };
        let port = self
            .port
            .map_or_else(String::new, |port| format!(":{port}"));
        format!("{}//{}{port}{rest}", self.scheme, self.host)
    }
}

/// `scheme ":"` (RFC 3986 section 3.1).
fn is_scheme(text: &str) -> bool {
    let mut bytes = text.strip_suffix(':').unwrap_or_default().bytes();
    bytes
        .next()
        .is_some_and(|first| first.is_ascii_alphabetic())
        && bytes.all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.'))
}

/// Where Airflow 2 and 3 send whoever has no session.
const LOGIN_PAGES: &[&str] = &["/login", "/auth/login", "/api/v2/auth/login"];
/// The domains of AWS's sign-in pages and consoles.
const AWS_DOMAINS: &[&str] = &[
    "aws.amazon.com",
    "amazonaws.cn",
    "amazonaws-us-gov.com",
    "awsapps.com",
];
/// Anchors within a page are short, tokens are not.
const LONGEST_ANCHOR: usize = 80;

#[cfg(test)]
mod tests {
    use super::*;

    const HOST: &str = "x.c1.eu-west-1.airflow.amazonaws.com";

    fn rewritten(location: &str) -> String {
        let mut headers = HeaderMap::new();
        headers.insert(LOCATION, location.parse().unwrap());
        rewrite(&mut headers, HOST, "http://localhost:8080");
        headers[LOCATION].to_str().unwrap().to_owned()
    }

    #[test]
    fn the_web_servers_own_origin_becomes_ours() {
        for (from, to) in [
            (
                format!("https://{HOST}/x?y#z"),
                "http://localhost:8080/x?y#z",
            ),
            (format!("http://{HOST}:443/x"), "http://localhost:8080/x"),
            (format!("//{HOST}/x"), "http://localhost:8080/x"),
            (
                format!("https://{}", HOST.to_uppercase()),
                "http://localhost:8080/",
            ),
            (format!("https://a:b@{HOST}/x"), "http://localhost:8080/x"),
            (
                format!("https://{HOST}\\@evil.example/"),
                "http://localhost:8080/\\@evil.example/",
            ),
        ] {
            assert_eq!(rewritten(&from), to);
        }
        for same in [
            "/x",
            "x?next=https://evil.example/",
            "https://evil.example/x#here",
            "https://x.c1.eu-west-1.airflow.amazonaws.com.evil.example/",
        ] {
            assert_eq!(rewritten(same), same);
        }
        assert_eq!(
            rewritten("https://a:b@evil.example/x"),
            "https://evil.example/x"
        );
        let token = format!("https://evil.example/x#{}", "t".repeat(200));
        assert_eq!(rewritten(&token), "https://evil.example/x");
    }

    #[test]
    fn sign_in_pages_are_known() {
        let verdict = |location: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(LOCATION, location.parse().unwrap());
            leads_to_sign_in(&headers, HOST)
        };
        for login in [
            "/login/?next=%2Fhome",
            // as Airflow 3.3 writes it: the address in the query is not escaped
            &format!("/auth/login/?next=https://{HOST}/auth/users/list/"),
            "/auth/login/",
            &format!("https://{HOST}/login/?next=x"),
            "https://eu-west-1.console.aws.amazon.com/mwaa/home#environments",
            "https://signin.aws.amazon.com/oauth",
            "https://eu-west-1.signin.aws.amazon.com/x",
            "https://d-1234567890.awsapps.com/start#/",
        ] {
            assert!(verdict(login), "{login}");
        }
        for other in [
            "/home",
            "/login_log/",
            "https://evil.example/login/",
            "https://eu-west-1.console.aws.amazon.com/cloudwatch/home?region=eu-west-1",
            "https://docs.aws.amazon.com/mwaa.html",
            "https://evil.example/mwaa/home",
        ] {
            assert!(!verdict(other), "{other}");
        }
    }
}
