//! What a browser says about a request: Fetch Metadata (W3C), `Sec-Purpose` (Fetch standard),
//! `Origin` and `Referer`. Read once, into values; no other code reads these fields.

use http::Method;
use http::header::{HOST, HeaderMap, HeaderName, HeaderValue, ORIGIN, REFERER};

/// What a browser says about a request. A program says nothing, or only a mode: Node's `fetch`
/// sends `Sec-Fetch-Mode: cors` with every request and nothing else of a browser's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct FetchMetadata {
    /// `Sec-Fetch-Site`.
    pub site: Option<Site>,
    /// `Sec-Fetch-Mode`.
    pub mode: Option<Mode>,
    /// `Sec-Fetch-Dest`.
    pub dest: Option<Dest>,
    /// Whether a field is there that only browsers send: `Origin`, `Referer`, or one of fetch
    /// metadata other than the mode.
    pub is_browser: bool,
    /// Whether the browser fetches this before anybody clicked: prefetch, prerender, preview.
    pub is_ahead: bool,
    /// Whether a page asks for a service worker's script.
    pub is_service_worker: bool,
    /// Whether `Origin` is there: a page's script asks, or a form is posted.
    pub has_origin: bool,
    /// Whose page sent the request, by `Origin`, or by `Referer` where there is no origin.
    pub sender: Sender,
}

/// How the page that sent a request is related to the page it asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Site {
    /// The same scheme, host and port.
    SameOrigin,
    /// The person typed the address or opened a bookmark.
    NoSite,
    /// Another site, or another port or name of the same one, or a value that is not known.
    Other,
}

/// How a request is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// A window or a frame goes there.
    Navigate,
    /// Anything else: a script, an image, a style sheet.
    Other,
}

/// What the reply is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dest {
    /// A window.
    Document,
    /// A frame within a page.
    Frame,
    /// A style sheet.
    Style,
    /// A script.
    Script,
    /// An image.
    Image,
    /// Anything else.
    Other,
}

/// Whose page sent a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Sender {
    /// The fields do not say.
    #[default]
    Unsaid,
    /// An opaque origin (`Origin: null`): a sandboxed frame, or a page that hides its address.
    Opaque,
    /// A page of the host that was called, by host and port; the scheme may differ where TLS
    /// ends in front of us.
    SameHost,
    /// The same, and the scheme is ours too.
    Own,
    /// Another page.
    Foreign,
}

/// Where a request comes from, by everything that the browser says. No field is believed alone:
/// one that contradicts another makes it [`Elsewhere`](Self::Elsewhere).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Provenance {
    /// No browser.
    Program,
    /// A page of the origin that is called.
    OwnPage,
    /// A person who typed the address or opened a bookmark.
    Typed,
    /// Another page, or a browser that does not say.
    Elsewhere,
}

impl FetchMetadata {
    /// Reads the fields. `secure` is whether the connection is TLS. A field that is sent twice
    /// has no known value.
    pub fn read(headers: &HeaderMap, secure: bool) -> Self {
        let mut metadata = Self::default();
        let (mut origin, mut referer) = (None, None);
        for (name, value) in headers {
            match name.as_str() {
                "sec-fetch-site" => once(&mut metadata.site, site(value), Site::Other),
                "sec-fetch-mode" => once(&mut metadata.mode, mode(value), Mode::Other),
                "sec-fetch-dest" => {
                    metadata.is_service_worker |= value == "serviceworker";
                    once(&mut metadata.dest, dest(value), Dest::Other);
                }
                "sec-fetch-user" | "sec-fetch-storage-access" => {}
                "sec-purpose" | "purpose" | "x-purpose" | "x-moz" => {
                    metadata.is_ahead |= is_ahead(value);
                    continue;
                }
                "service-worker" => {
                    metadata.is_service_worker = true;
                    continue;
                }
                _ if *name == ORIGIN => once(&mut origin, Some(value), None),
                _ if *name == REFERER => once(&mut referer, Some(value), None),
                _ => continue,
            }
            metadata.is_browser |= name != SEC_FETCH_MODE;
        }
        metadata.has_origin = origin.is_some();
        let host = headers.get(HOST);
        let of = |url: Option<&HeaderValue>| sender(url, host, secure);
        metadata.sender = match (origin, referer) {
            (None, None) => Sender::Unsaid,
            (Some(origin), None) => of(origin),
            (None, Some(referer)) => of(referer),
            // the origin decides, unless the referrer says that it lies
            (Some(origin), Some(referer)) => match (of(origin), of(referer)) {
                (_, Sender::Foreign) => Sender::Foreign,
                (origin, _) => origin,
            },
        };
        metadata
    }

    /// Whether a window goes there, as by a link, an address or a form.
    pub fn is_visit(&self) -> bool {
        self.mode == Some(Mode::Navigate) && self.dest == Some(Dest::Document)
    }

    /// Whether another page may cause this request: it is a link that somebody follows. A
    /// client that sends only a Referer is taken for a script, or for a browser older than fetch
    /// metadata.
    pub fn is_link(&self, method: &Method) -> bool {
        let unsaid = self.site.is_none() && self.dest.is_none() && !self.has_origin;
        match *method {
            Method::GET => self.is_visit() || unsaid,
            Method::HEAD | Method::OPTIONS => unsaid,
            _ => false,
        }
    }

    /// Where the request comes from.
    pub fn provenance(&self) -> Provenance {
        match (self.site, self.sender) {
            (None, Sender::Unsaid) if self.is_browser => Provenance::Elsewhere,
            (None, Sender::Unsaid) => Provenance::Program,
            (None, Sender::Own) | (Some(Site::SameOrigin), Sender::Own | Sender::SameHost) => {
                Provenance::OwnPage
            }
            // a page that hides its address says no more
            (Some(Site::SameOrigin), Sender::Unsaid | Sender::Opaque) => Provenance::OwnPage,
            // Chromium says "none" for what a page's speculation rules name, with a referrer
            (Some(Site::NoSite), Sender::Unsaid) => Provenance::Typed,
            (None | Some(_), _) => Provenance::Elsewhere,
        }
    }
}

fn once<T>(slot: &mut Option<T>, value: T, twice: T) {
    *slot = Some(if slot.is_none() { value } else { twice });
}

fn site(value: &HeaderValue) -> Site {
    match value.as_bytes() {
        b"same-origin" => Site::SameOrigin,
        b"none" => Site::NoSite,
        _ => Site::Other,
    }
}

fn mode(value: &HeaderValue) -> Mode {
    match value.as_bytes() {
        b"navigate" => Mode::Navigate,
        _ => Mode::Other,
    }
}

fn dest(value: &HeaderValue) -> Dest {
    match value.as_bytes() {
        b"document" => Dest::Document,
        b"frame" | b"iframe" => Dest::Frame,
        b"image" => Dest::Image,
        b"script" => Dest::Script,
        b"style" => Dest::Style,
        _ => Dest::Other,
    }
}

/// `Sec-Purpose: prefetch`, `prefetch;prerender`; before that field was agreed on, browsers said
/// `Purpose: prefetch`, `X-Purpose: preview` and `X-moz: prefetch`.
fn is_ahead(value: &HeaderValue) -> bool {
    let value = value.as_bytes().to_ascii_lowercase();
    [b"prefetch".as_slice(), b"prerender", b"preview"]
        .iter()
        .any(|word| memchr::memmem::find(&value, word).is_some())
}

/// Whose page an `Origin` or `Referer` names; `url` is `None` where the field is sent twice.
fn sender(url: Option<&HeaderValue>, host: Option<&HeaderValue>, secure: bool) -> Sender {
    let (Some(Ok(url)), Some(Ok(host))) =
        (url.map(HeaderValue::to_str), host.map(HeaderValue::to_str))
    else {
        return Sender::Foreign;
    };
    if url == "null" {
        return Sender::Opaque;
    }
    let Some((scheme, rest)) = url.split_once("://") else {
        return Sender::Foreign;
    };
    let end = rest.find(['/', '?', '#', '\\']).unwrap_or(rest.len());
    let (authority, _) = rest.split_at(end);
    if !authority.eq_ignore_ascii_case(host) {
        return Sender::Foreign;
    }
    let ours = if secure { "https" } else { "http" };
    if scheme.eq_ignore_ascii_case(ours) {
        Sender::Own
    } else {
        Sender::SameHost
    }
}

/// The one field of fetch metadata that programs send.
const SEC_FETCH_MODE: HeaderName = HeaderName::from_static("sec-fetch-mode");

#[cfg(test)]
mod tests {
    use super::*;

    fn read(fields: &[(&'static str, &'static str)]) -> FetchMetadata {
        let mut headers = HeaderMap::new();
        headers.insert("host", HeaderValue::from_static("localhost:8080"));
        for (name, value) in fields {
            headers.append(*name, HeaderValue::from_static(value));
        }
        FetchMetadata::read(&headers, false)
    }

    #[test]
    fn a_request_comes_from_where_all_fields_agree() {
        use Provenance::{Elsewhere, OwnPage, Program, Typed};
        const SITE: &str = "sec-fetch-site";
        for (fields, provenance) in [
            (&[][..], Program),
            (&[("sec-fetch-mode", "cors")], Program),
            (&[("accept", "text/html")], Program),
            (&[("origin", "http://localhost:8080")], OwnPage),
            (&[("referer", "http://LOCALHOST:8080/home?x#y")], OwnPage),
            (&[(SITE, "same-origin")], OwnPage),
            (&[(SITE, "same-origin"), ("origin", "null")], OwnPage),
            (
                &[(SITE, "same-origin"), ("origin", "https://localhost:8080")],
                OwnPage,
            ),
            (&[(SITE, "none")], Typed),
            (&[(SITE, "none"), ("sec-fetch-user", "?1")], Typed),
            (
                &[(SITE, "none"), ("referer", "http://evil.example/")],
                Elsewhere,
            ),
            (
                &[(SITE, "none"), ("referer", "http://localhost:8080/")],
                Elsewhere,
            ),
            (&[(SITE, "none"), ("origin", "null")], Elsewhere),
            (&[(SITE, "none"), (SITE, "none")], Elsewhere),
            (&[(SITE, "same-origin"), (SITE, "same-origin")], Elsewhere),
            (
                &[(SITE, "same-origin"), ("referer", "http://localhost:9/")],
                Elsewhere,
            ),
            (
                &[(SITE, "same-origin"), ("origin", "http://evil.example")],
                Elsewhere,
            ),
            (&[(SITE, "same-site")], Elsewhere),
            (&[(SITE, "cross-site")], Elsewhere),
            (&[(SITE, "Same-Origin")], Elsewhere),
            (&[("sec-fetch-dest", "document")], Elsewhere),
            (&[("sec-fetch-user", "?1")], Elsewhere),
            (&[("origin", "null")], Elsewhere),
            (&[("origin", "https://localhost:8080")], Elsewhere),
            (&[("origin", "http://localhost:80801")], Elsewhere),
            (
                &[("referer", "http://localhost:8080@evil.example/")],
                Elsewhere,
            ),
            (
                &[("referer", "http://localhost:8080.evil.example/")],
                Elsewhere,
            ),
            (&[("referer", "x")], Elsewhere),
            (
                &[
                    ("origin", "http://localhost:8080"),
                    ("referer", "http://evil.example/"),
                ],
                Elsewhere,
            ),
            (
                &[
                    ("origin", "http://localhost:8080"),
                    ("origin", "http://localhost:8080"),
                ],
                Elsewhere,
            ),
        ] {
            assert_eq!(read(fields).provenance(), provenance, "{fields:?}");
        }
    }

    #[test]
    fn what_is_fetched_ahead_of_a_click_is_known_by_every_browsers_word() {
        for field in [
            ("sec-purpose", "prefetch"),
            ("sec-purpose", "prefetch;prerender"),
            ("sec-purpose", "prefetch;anonymous-client-ip"),
            ("purpose", "Prefetch"),
            ("x-moz", "prefetch"),
            ("x-purpose", "preview"),
        ] {
            assert!(read(&[field]).is_ahead, "{field:?}");
        }
        assert!(!read(&[("purpose", "read")]).is_ahead);
    }
}
