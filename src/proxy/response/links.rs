//! Links to the web server's own origin, which would lead the browser past the gateway. Those in
//! `Location` and in pages become links to the gateway; Airflow writes its base URL into some pages.
//! Only HTML that is not compressed is rewritten, as it comes.

use crate::upstream::UpstreamBody;
use bytes::{Bytes, BytesMut};
use http_body::{Body, Frame};
use memchr::memmem::Finder;
use mwaa_http1::name::{CONTENT_ENCODING, CONTENT_LOCATION, CONTENT_TYPE, LOCATION};
use mwaa_http1::{Headers, Name};
use mwaa_model::{debug_fields, split_port};
use mwaa_server::BoxError;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

/// Rewrites `Location` (RFC 9110 section 10.2.2) and `Content-Location` (section 8.7). The web
/// server is `host`; `origin` returns the
/// gateway's. Links to other hosts lose user info and tokens.
pub(super) fn rewrite_locations(
    headers: &mut Headers,
    host: &str,
    origin: impl Fn() -> String,
) {
    for name in [LOCATION, CONTENT_LOCATION] {
        if headers.contains(name) {
            rewrite_location(headers, name, host, &origin());
        }
    }
}

fn rewrite_location(headers: &mut Headers, name: Name, host: &str, origin: &str) {
    let Some(text) = headers.get_str(name) else {
        // it cannot be checked
        headers.remove(name);
        return;
    };

    let rewritten = match UrlReference::parse(text) {
        None => return,
        Some(url) if url.is_to(host) => format!("{origin}{}", url.to_path()),
        Some(url) => url.to_safe_url(),
    };
    headers.set(name, rewritten);
}

/// Returns true if the response redirects to a login page: that of Airflow on `host`, or that of
/// AWS, to which MWAA redirects browsers without a session.
pub fn is_login_redirect(headers: &Headers, host: &str) -> bool {
    let Some(location) = headers.get_str(LOCATION) else {
        return false;
    };

    let path = match UrlReference::parse(location) {
        None => location,
        Some(url) if url.is_to(host) => url.rest,
        // another host: only AWS's own login pages count
        Some(url) => return url.is_aws_sign_in(),
    };
    let path = path.split(['?', '#']).next().unwrap_or_default();
    LOGIN_PAGES.contains(&path.strip_suffix('/').unwrap_or(path))
}

/// Returns true if the response is a page whose links can be rewritten.
pub(super) fn may_have_links(headers: &Headers) -> bool {
    let media_type = headers.get(CONTENT_TYPE);
    let is_html = media_type.is_some_and(|media_type| {
        let (start, rest) = media_type.split_at_checked(HTML.len()).unwrap_or_default();
        let end = rest.trim_ascii_start().first();
        start.eq_ignore_ascii_case(HTML) && matches!(end, None | Some(b';'))
    });
    // pages are requested without a coding, but the web server may ignore that
    let is_plain = headers
        .get(CONTENT_ENCODING)
        .is_none_or(|coding| coding == b"identity");
    is_html && is_plain
}

/// The body of a page, whose links to the web server's origin become links to the gateway.
pub struct LinkRewriter {
    body: Box<UpstreamBody>,
    replacer: TextReplacer,
}

debug_fields!(LinkRewriter: body);

impl LinkRewriter {
    /// Creates a body in which `https://HOST` becomes `origin`.
    pub(super) fn new(body: Box<UpstreamBody>, host: &str, origin: &str) -> Self {
        Self {
            body,
            replacer: TextReplacer::new(&format!("https://{host}"), origin),
        }
    }
}

impl Body for LinkRewriter {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let this = &mut *self;
        loop {
            let Some(frame) = ready!(Pin::new(&mut this.body).poll_frame(cx)) else {
                let rest = this.replacer.finish();
                return Poll::Ready((!rest.is_empty()).then(|| Ok(Frame::data(rest))));
            };

            // trailers are dropped: they were not checked
            let data = match frame.map(Frame::into_data) {
                Ok(Ok(data)) => data,
                Ok(Err(_trailers)) => continue,
                Err(error) => return Poll::Ready(Some(Err(error))),
            };

            // a frame may be held back whole, and an empty one would be taken for the end
            let data = this.replacer.push(&data);
            if !data.is_empty() {
                return Poll::Ready(Some(Ok(Frame::data(data))));
            }
        }
    }
}

/// Replaces one text by another in a stream of chunks.
struct TextReplacer {
    finder: Finder<'static>,
    replacement: Bytes,
    /// Bytes that may be the beginning of the text, or the text before the byte after it is known.
    held: BytesMut,
}

impl TextReplacer {
    fn new(text: &str, replacement: &str) -> Self {
        Self {
            finder: Finder::new(text.as_bytes()).into_owned(),
            replacement: Bytes::copy_from_slice(replacement.as_bytes()),
            held: BytesMut::new(),
        }
    }

    /// Adds a chunk, and returns the bytes that are complete.
    fn push(&mut self, chunk: &[u8]) -> Bytes {
        self.held.extend_from_slice(chunk);
        let mut out = BytesMut::with_capacity(self.held.len());
        while let Some(at) = self.finder.find(&self.held) {
            let end = at + self.finder.needle().len();
            let Some(&after) = self.held.get(end) else {
                // the next byte decides if the host ends here
                out.extend_from_slice(&self.held.split_to(at));
                return out.freeze();
            };
            self.replace(at, end, after, &mut out);
        }

        // the text may begin at the end of this chunk and continue in the next
        let complete = self.held.len() - self.count_pending();
        out.extend_from_slice(&self.held.split_to(complete));
        out.freeze()
    }

    /// Returns the rest at the end of the stream.
    fn finish(&mut self) -> Bytes {
        let mut out = BytesMut::new();
        if let Some(at) = self.finder.find(&self.held) {
            let end = at + self.finder.needle().len();
            // nothing follows, so the host ends here
            self.replace(at, end, b'/', &mut out);
        }
        out.extend_from_slice(&self.held.split());
        out.freeze()
    }

    /// Moves the bytes before `end` out; the text is replaced only if the host ends with it.
    fn replace(&mut self, at: usize, end: usize, after: u8, out: &mut BytesMut) {
        let is_longer_host =
            after.is_ascii_alphanumeric() || matches!(after, b'.' | b'-' | b'_' | b'@');
        if is_longer_host {
            out.extend_from_slice(&self.held.split_to(end));
        } else {
            out.extend_from_slice(&self.held.split_to(at));
            drop(self.held.split_to(end - at));
            out.extend_from_slice(&self.replacement);
        }
    }

    /// Returns the number of bytes at the end that could be the beginning of the text.
    fn count_pending(&self) -> usize {
        let needle = self.finder.needle();
        let max = needle.len().saturating_sub(1).min(self.held.len());
        (1..=max)
            .rev()
            .find(|&length| {
                let tail = self.held.get(self.held.len() - length..);
                tail == needle.get(..length)
            })
            .unwrap_or(0)
    }
}

/// An absolute or protocol-relative reference.
struct UrlReference<'a> {
    /// `https:`, or nothing.
    scheme: &'a str,
    host: &'a str,
    port: Option<&'a str>,
    /// Path, query and fragment.
    rest: &'a str,
}

impl<'a> UrlReference<'a> {
    /// Parses a reference, without its user info; `None` for one within the same host.
    fn parse(text: &'a str) -> Option<Self> {
        let (scheme, after) = match text.split_once("//") {
            // the first two slashes may also be in a path or a query
            Some((scheme, after)) if scheme.is_empty() || is_scheme(scheme) => (scheme, after),
            _ => return None,
        };

        // browsers take a backslash for a slash (URL standard, "authority state")
        let end = after.find(['/', '\\', '?', '#']).unwrap_or(after.len());
        let (authority, rest) = after.split_at(end);
        let authority = authority
            .rsplit_once('@')
            .map_or(authority, |(_, host)| host);
        // the colon of a port, not those of an IPv6 address
        let (host, port) = split_port(authority);
        Some(Self {
            scheme,
            host,
            port,
            rest,
        })
    }

    /// Returns true for a reference to the web server.
    fn is_to(&self, host: &str) -> bool {
        let is_http = ["", "https:", "http:"]
            .iter()
            .any(|scheme| self.scheme.eq_ignore_ascii_case(scheme));
        // load balancers answer on 80 too, and redirect from there to 443
        let is_web_port = matches!(self.port, None | Some("" | "443" | "80"));
        is_http && is_web_port && self.host.eq_ignore_ascii_case(host)
    }

    /// Returns true for a page to which MWAA redirects browsers without a session. A plugin's own
    /// link to AWS's pages is none: its request may have acted.
    fn is_aws_sign_in(&self) -> bool {
        if !AWS_DOMAINS.iter().any(|domain| self.is_within(domain)) {
            return false;
        }

        let path = self.rest.split(['?', '#']).next().unwrap_or_default();
        let is_page = |page: &str| path == page || path.starts_with(&format!("{page}/"));
        let has_label = |label: &str| self.host.split('.').any(|one| one == label);
        has_label("signin") || (has_label("console") && is_page("/mwaa")) || is_page("/start")
    }

    fn is_within(&self, domain: &str) -> bool {
        let host = self.host.to_ascii_lowercase();
        host.strip_suffix(domain)
            .is_some_and(|front| front.is_empty() || front.ends_with('.'))
    }

    /// Returns path, query and fragment, which begin with a slash.
    fn to_path(&self) -> String {
        if self.rest.starts_with('/') {
            self.rest.to_owned()
        } else {
            format!("/{}", self.rest)
        }
    }

    /// Returns the reference without a fragment that could be a token.
    fn to_safe_url(&self) -> String {
        let rest = match self.rest.split_once('#') {
            Some((rest, fragment)) if fragment.len() > MAX_ANCHOR => rest,
            _ => self.rest,
        };
        let port = self
            .port
            .map_or_else(String::new, |port| format!(":{port}"));
        format!("{}//{}{port}{rest}", self.scheme, self.host)
    }
}

/// Returns true for `scheme ":"` (RFC 3986 section 3.1).
fn is_scheme(text: &str) -> bool {
    let mut bytes = text.strip_suffix(':').unwrap_or_default().bytes();
    bytes
        .next()
        .is_some_and(|first| first.is_ascii_alphabetic())
        && bytes.all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.'))
}

/// The pages to which Airflow 2 and 3 redirect browsers without a session.
const LOGIN_PAGES: &[&str] = &["/login", "/auth/login", "/api/v2/auth/login"];
/// The domains of AWS's sign-in pages and consoles.
const AWS_DOMAINS: &[&str] = &[
    "aws.amazon.com",
    "amazonaws.cn",
    "amazonaws-us-gov.com",
    "awsapps.com",
];
/// Anchors within a page are short, tokens are not.
const MAX_ANCHOR: usize = 80;

/// The media type of pages.
const HTML: &[u8] = b"text/html";

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const HOST: &str = "x.c1.eu-west-1.airflow.amazonaws.com";

    const ORIGIN: &str = "https://x.c1.on.aws";

    fn rewritten(location: &str) -> String {
        let mut headers = Headers::new();
        headers.set(LOCATION, location);
        rewrite_locations(&mut headers, HOST, || "http://localhost:8080".to_owned());
        headers.get_str(LOCATION).unwrap().to_owned()
    }

    fn replace(pieces: &[&[u8]]) -> Vec<u8> {
        let mut replacer = TextReplacer::new(ORIGIN, "http://localhost:8080");
        let mut out = Vec::new();
        for piece in pieces {
            out.extend_from_slice(&replacer.push(piece));
        }
        out.extend_from_slice(&replacer.finish());
        out
    }

    #[test]
    fn the_web_server_s_origin_is_replaced_by_ours() {
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
    fn redirects_to_login_pages_are_recognised() {
        let is_login = |location: &str| {
            let mut headers = Headers::new();
            headers.set(LOCATION, location);
            is_login_redirect(&headers, HOST)
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
            assert!(is_login(login), "{login}");
        }
        for other in [
            "/home",
            "/login_log/",
            "https://evil.example/login/",
            "https://eu-west-1.console.aws.amazon.com/cloudwatch/home?region=eu-west-1",
            "https://docs.aws.amazon.com/mwaa.html",
            "https://evil.example/mwaa/home",
        ] {
            assert!(!is_login(other), "{other}");
        }
    }

    #[test]
    fn only_the_whole_origin_is_replaced() {
        for (from, to) in [
            (
                "<base href=\"https://x.c1.on.aws/\">",
                "<base href=\"http://localhost:8080/\">",
            ),
            ("https://x.c1.on.aws", "http://localhost:8080"),
            ("https://x.c1.on.aws:443/", "http://localhost:8080:443/"),
            (
                "https://x.c1.on.aws.evil.example/",
                "https://x.c1.on.aws.evil.example/",
            ),
            (
                "https://https://x.c1.on.aws?",
                "https://http://localhost:8080?",
            ),
        ] {
            assert_eq!(replace(&[from.as_bytes()]), to.as_bytes(), "{from}");
        }
    }

    proptest! {
        #[test]
        fn a_link_is_replaced_however_the_body_is_split(
            parts in proptest::collection::vec("https://x\\.c1\\.on\\.aws|https://|x|/|[.]c1|\"", 0..12),
            cuts in proptest::collection::vec(0usize..60, 0..6),
        ) {
            let text = parts.concat();
            let bytes = text.as_bytes();
            let mut cuts: Vec<_> = cuts.into_iter().filter(|cut| *cut <= bytes.len()).collect();
            cuts.extend([0, bytes.len()]);
            cuts.sort_unstable();
            let pieces: Vec<_> = cuts.windows(2).map(|cut| &bytes[cut[0]..cut[1]]).collect();
            prop_assert_eq!(replace(&pieces), replace(&[bytes]));
        }
    }
}
