//! The header fields in which a browser describes a request: Fetch Metadata (W3C), `Sec-Purpose`
//! (Fetch standard), `Origin` and `Referer`. No other code reads these fields.

use http::Method;
use mwaa_http1::name::{
    HOST, ORIGIN, PURPOSE, REFERER, SEC_FETCH_DEST, SEC_FETCH_MODE, SEC_FETCH_SITE,
    SEC_FETCH_STORAGE_ACCESS, SEC_FETCH_USER, SEC_PURPOSE, SERVICE_WORKER, X_MOZ, X_PURPOSE,
};
use mwaa_http1::{Headers, NameSet, to_str};

/// A browser's description of a request.
///
/// Programs send none of the fields, or only a mode: Node's `fetch` sends `Sec-Fetch-Mode: cors`
/// with every request and no other field of a browser.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct FetchMetadata {
    /// `Sec-Fetch-Site`.
    pub site: Option<Site>,
    /// `Sec-Fetch-Mode`.
    pub mode: Option<Mode>,
    /// `Sec-Fetch-Dest`.
    pub dest: Option<Dest>,
    /// True if there is a field that only browsers send: `Origin`, `Referer`, or fetch metadata
    /// other than the mode.
    pub is_browser: bool,
    /// True if the browser fetches this before a click: prefetch, prerender, preview.
    pub is_prefetch: bool,
    /// True if a page requests the script of a service worker.
    pub is_service_worker: bool,
    /// True if there is an `Origin`: the request is from a page's script or a posted form.
    pub has_origin: bool,
    /// The page that sent the request, by `Origin`, or by `Referer` if there is no origin.
    pub sender: Sender,
}

/// The relation of the page that sent a request to the requested one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Site {
    /// The same scheme, host and port.
    SameOrigin,
    /// The person typed the address or opened a bookmark.
    NoSite,
    /// Another site, or another port or name of the same one, or an unknown value.
    Other,
}

/// The mode of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// A window or a frame navigates.
    Navigate,
    /// Anything else: a script, an image, a style sheet.
    Other,
}

/// The destination of a response.
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

/// The page that sent a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Sender {
    /// Neither field is there.
    #[default]
    Unknown,
    /// An opaque origin (`Origin: null`): a sandboxed frame, or a page that hides its address.
    Opaque,
    /// A page of the requested host and port. The scheme may differ if TLS ends in front of us.
    SameHost,
    /// The same, and the scheme is ours too.
    Own,
    /// Another page.
    Foreign,
}

/// The source of a request, by all fields. No field is believed alone: one that contradicts
/// another makes it [`Elsewhere`](Self::Elsewhere).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RequestSource {
    /// A program, not a browser.
    Program,
    /// A page of the requested origin.
    OwnPage,
    /// A person who typed the address or opened a bookmark.
    Typed,
    /// Another page, or a browser that does not say.
    Elsewhere,
}

impl FetchMetadata {
    /// Reads the fields. `secure` is true if the connection is TLS. A field that is sent twice
    /// has no known value.
    pub fn from_headers(headers: &Headers, secure: bool) -> Self {
        let mut metadata = Self::default();
        // nearly every program sends none of them
        if !headers.present().intersects(OF_BROWSERS) {
            return metadata;
        }
        let mut origin = None;
        let mut referer = None;

        for header in headers.iter() {
            let value = header.value;
            let Some(name) = header.known else { continue };
            match name {
                SEC_FETCH_SITE => {
                    set_once(&mut metadata.site, parse_site(value), Site::Other);
                }
                SEC_FETCH_MODE => {
                    set_once(&mut metadata.mode, parse_mode(value), Mode::Other);
                }
                SEC_FETCH_DEST => {
                    metadata.is_service_worker |= value == b"serviceworker";
                    set_once(&mut metadata.dest, parse_dest(value), Dest::Other);
                }
                // they say no more than the other fields, but only browsers send them
                SEC_FETCH_USER | SEC_FETCH_STORAGE_ACCESS => {}
                SEC_PURPOSE | PURPOSE | X_PURPOSE | X_MOZ => {
                    metadata.is_prefetch |= is_prefetch(value);
                    continue;
                }
                SERVICE_WORKER => {
                    metadata.is_service_worker = true;
                    continue;
                }
                ORIGIN => set_once(&mut origin, Some(value), None),
                REFERER => set_once(&mut referer, Some(value), None),
                _ => continue,
            }
            // the only one that programs send too
            metadata.is_browser |= name != SEC_FETCH_MODE;
        }

        metadata.has_origin = origin.is_some();
        let host = headers.get(HOST);
        let sender_of = |url: Option<&[u8]>| parse_sender(url, host, secure);
        metadata.sender = match (origin, referer) {
            (None, None) => Sender::Unknown,
            (Some(origin), None) => sender_of(origin),
            (None, Some(referer)) => sender_of(referer),
            // the origin decides, unless the referrer contradicts it
            (Some(origin), Some(referer)) => match (sender_of(origin), sender_of(referer)) {
                (_, Sender::Foreign) => Sender::Foreign,
                (origin, _) => origin,
            },
        };
        metadata
    }

    /// Returns true if a window navigates, as by a link, an address or a form.
    pub fn is_visit(&self) -> bool {
        self.mode == Some(Mode::Navigate) && self.dest == Some(Dest::Document)
    }

    /// Returns true if another page may cause this request, because it follows a link. A client
    /// that sends only a Referer counts as a script, or as a browser older than fetch metadata.
    pub fn is_link(&self, method: &Method) -> bool {
        // a browser that is older than fetch metadata sends none of these for a link
        let unsaid = self.site.is_none() && self.dest.is_none() && !self.has_origin;
        match *method {
            Method::GET => self.is_visit() || unsaid,
            // a link never makes a browser send these
            Method::HEAD | Method::OPTIONS => unsaid,
            _ => false,
        }
    }

    /// Returns the source of the request.
    pub fn request_source(&self) -> RequestSource {
        match (self.site, self.sender) {
            (None, Sender::Unknown) if self.is_browser => RequestSource::Elsewhere,
            (None, Sender::Unknown) => RequestSource::Program,
            // a page that hides its address sends an opaque origin, or none
            (None, Sender::Own)
            | (
                Some(Site::SameOrigin),
                Sender::Own | Sender::SameHost | Sender::Unknown | Sender::Opaque,
            ) => RequestSource::OwnPage,
            // Chromium says "none" for what a page's speculation rules name, with a referrer
            (Some(Site::NoSite), Sender::Unknown) => RequestSource::Typed,
            (None | Some(_), _) => RequestSource::Elsewhere,
        }
    }
}

/// Sets the value, or `twice` if there was one already.
fn set_once<T>(slot: &mut Option<T>, value: T, twice: T) {
    *slot = Some(if slot.is_none() { value } else { twice });
}

fn parse_site(value: &[u8]) -> Site {
    match value {
        b"same-origin" => Site::SameOrigin,
        b"none" => Site::NoSite,
        _ => Site::Other,
    }
}

fn parse_mode(value: &[u8]) -> Mode {
    match value {
        b"navigate" => Mode::Navigate,
        _ => Mode::Other,
    }
}

fn parse_dest(value: &[u8]) -> Dest {
    match value {
        b"document" => Dest::Document,
        b"frame" | b"iframe" => Dest::Frame,
        b"image" => Dest::Image,
        b"script" => Dest::Script,
        b"style" => Dest::Style,
        _ => Dest::Other,
    }
}

/// Returns true for `Sec-Purpose: prefetch` and `prefetch;prerender`. Older browsers send
/// `Purpose: prefetch`, `X-Purpose: preview` and `X-moz: prefetch`.
fn is_prefetch(value: &[u8]) -> bool {
    let value = value.to_ascii_lowercase();
    [b"prefetch".as_slice(), b"prerender", b"preview"]
        .iter()
        .any(|word| memchr::memmem::find(&value, word).is_some())
}

/// Returns the sender that an `Origin` or `Referer` names. `url` is `None` if the field is sent
/// twice.
fn parse_sender(url: Option<&[u8]>, host: Option<&[u8]>, secure: bool) -> Sender {
    let (Some(url), Some(host)) = (url.and_then(to_str), host.and_then(to_str)) else {
        return Sender::Foreign;
    };
    // RFC 6454 section 7.3
    if url == "null" {
        return Sender::Opaque;
    }

    let Some((scheme, rest)) = url.split_once("://") else {
        return Sender::Foreign;
    };
    // browsers take a backslash for a slash (URL standard, "authority state")
    let end = rest.find(['/', '?', '#', '\\']).unwrap_or(rest.len());
    let (authority, _) = rest.split_at(end);
    if !authority.eq_ignore_ascii_case(host) {
        return Sender::Foreign;
    }

    // a load balancer in front of us may end TLS
    let ours = if secure { "https" } else { "http" };
    if scheme.eq_ignore_ascii_case(ours) {
        Sender::Own
    } else {
        Sender::SameHost
    }
}

/// The fields that are read here.
const OF_BROWSERS: NameSet = NameSet::new(&[
    ORIGIN,
    PURPOSE,
    REFERER,
    SEC_FETCH_DEST,
    SEC_FETCH_MODE,
    SEC_FETCH_SITE,
    SEC_FETCH_STORAGE_ACCESS,
    SEC_FETCH_USER,
    SEC_PURPOSE,
    SERVICE_WORKER,
    X_MOZ,
    X_PURPOSE,
]);

#[cfg(test)]
mod tests {
    use super::*;

    fn read(fields: &[(&'static str, &'static str)]) -> FetchMetadata {
        let host = ("host", "localhost:8080");
        let headers = [host].into_iter().chain(fields.iter().copied()).collect();
        FetchMetadata::from_headers(&headers, false)
    }

    #[test]
    fn the_request_source_needs_all_fields_to_agree() {
        use RequestSource::{Elsewhere, OwnPage, Program, Typed};
        const SITE: &str = "sec-fetch-site";
        for (fields, request_source) in [
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
            assert_eq!(read(fields).request_source(), request_source, "{fields:?}");
        }
    }

    #[test]
    fn a_prefetch_is_recognised_by_the_field_of_each_browser() {
        for field in [
            ("sec-purpose", "prefetch"),
            ("sec-purpose", "prefetch;prerender"),
            ("sec-purpose", "prefetch;anonymous-client-ip"),
            ("purpose", "Prefetch"),
            ("x-moz", "prefetch"),
            ("x-purpose", "preview"),
        ] {
            assert!(read(&[field]).is_prefetch, "{field:?}");
        }
        assert!(!read(&[("purpose", "read")]).is_prefetch);
    }
}
