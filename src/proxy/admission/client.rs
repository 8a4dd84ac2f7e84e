//! The client: its address, the secret that it may have to send, and what its head says about the
//! program that it is.

use super::AdmissionError;
use http::Method;
use ipnet::IpNet;
use mwaa_http1::name::{ACCEPT, MWAA_GATEWAY_SECRET};
use mwaa_http1::{Headers, RequestHead};
use mwaa_model::{FetchMetadata, MediaRange, Mode, PeerAddress, Secret};
use subtle::ConstantTimeEq;

/// The clients that a listener serves.
#[derive(Debug)]
pub struct AccessRules {
    /// Their addresses.
    pub networks: NetworkFilter,
    /// The secret that they must send in `Mwaa-Gateway-Secret`, if any.
    pub secret: Option<SharedSecret>,
}

/// The networks that clients may come from. They are checked on every request even if the listener
/// is on loopback: packets for 127.0.0.1 have reached such sockets from outside (CVE-2020-8558).
#[derive(Debug, Clone)]
pub struct NetworkFilter(Vec<IpNet>);

impl NetworkFilter {
    /// Creates a filter that accepts these networks.
    pub fn new(networks: Vec<IpNet>) -> Self {
        Self(networks)
    }

    /// Fails if the address is in none of the networks. Clients of a Unix socket pass: its file
    /// permissions have decided about them.
    pub(super) fn check(&self, peer: PeerAddress) -> Result<(), AdmissionError> {
        match peer.ip() {
            Some(ip) if !self.0.iter().any(|network| network.contains(&ip)) => {
                Err(AdmissionError::Peer)
            }
            Some(_) | None => Ok(()),
        }
    }
}

/// The secret of `listener.secret_file`.
#[derive(Debug)]
pub struct SharedSecret(Secret<String>);

impl SharedSecret {
    /// Creates a secret from the file's content, without the white space around it. `None` means
    /// that the file is empty.
    pub fn new(content: &str) -> Option<Self> {
        let secret = content.trim();
        (!secret.is_empty()).then(|| Self(Secret::concat(&[secret])))
    }

    /// Compares in constant time. Fails if the header is missing or wrong, and if there are two,
    /// which is ambiguous.
    pub(super) fn check(&self, headers: &Headers) -> Result<(), AdmissionError> {
        let mut values = headers.get_all(MWAA_GATEWAY_SECRET);
        let sent = values.next().ok_or(AdmissionError::Secret)?;
        if values.next().is_some() {
            return Err(AdmissionError::Malformed(
                "the Mwaa-Gateway-Secret header is sent twice",
            ));
        }

        // the length of the secret is not secret
        let is_equal = sent.ct_eq(self.0.reveal().as_bytes());
        if bool::from(is_equal) {
            Ok(())
        } else {
            Err(AdmissionError::Secret)
        }
    }
}

/// The program that sent a request (RFC 9110 section 3.5). It is read once, before any decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UserAgent {
    /// The fields that browsers add to the request.
    pub fetch: FetchMetadata,
    /// True if a person will read the response: a browser navigates, or, without fetch metadata,
    /// the client accepts HTML by name and prefers nothing in JSON to it (RFC 9110 section 12.5.1).
    pub wants_page: bool,
}

impl UserAgent {
    /// Reads a request's head. `secure` is true if the connection is TLS.
    pub fn from_head(head: &RequestHead, secure: bool) -> Self {
        let fetch = FetchMetadata::from_headers(&head.headers, secure);
        let wants_page = match fetch.mode {
            Some(mode) => mode == Mode::Navigate,
            // some programs accept HTML by default; those that change something get JSON
            None => {
                matches!(head.method, Method::GET | Method::HEAD)
                    && is_html_preferred(&head.headers)
            }
        };
        Self { fetch, wants_page }
    }
}

/// Returns true if the client accepts HTML by name, at least as much as JSON.
fn is_html_preferred(headers: &Headers) -> bool {
    // nearly every program sends one of these
    if let Some(b"*/*" | b"application/json") = headers.get_only(ACCEPT) {
        return false;
    }

    let mut html = 0.0_f32;
    let mut json = 0.0_f32;
    for range in MediaRange::from_headers(headers) {
        if range.is("text/html") {
            html = html.max(range.weight());
        } else if range.is_json() {
            json = json.max(range.weight());
        }
    }
    html > 0.0 && html >= json
}

#[cfg(test)]
mod tests {
    use super::super::read_head;
    use super::*;

    #[test]
    fn only_listed_networks() {
        let loopback = NetworkFilter::new(vec![
            "127.0.0.0/8".parse().unwrap(),
            "::1/128".parse().unwrap(),
        ]);
        let check = |address: &str| loopback.check(PeerAddress::Tcp(address.parse().unwrap()));
        assert_eq!(check("127.9.9.9:40000"), Ok(()));
        assert_eq!(check("[::ffff:127.0.0.1]:40000"), Ok(()));
        assert_eq!(loopback.check(PeerAddress::Unix), Ok(()));
        assert_eq!(check("10.0.0.1:40000"), Err(AdmissionError::Peer));
    }

    #[test]
    fn exactly_one_correct_secret_is_accepted() {
        let secret = SharedSecret::new(" s3cret\n").unwrap();
        let mut headers = Headers::new();
        assert_eq!(secret.check(&headers), Err(AdmissionError::Secret));
        headers.append(MWAA_GATEWAY_SECRET, "wrong");
        assert_eq!(secret.check(&headers), Err(AdmissionError::Secret));
        headers.set(MWAA_GATEWAY_SECRET, "s3cret");
        assert_eq!(secret.check(&headers), Ok(()));
        headers.append(MWAA_GATEWAY_SECRET, "s3cret");
        assert!(matches!(
            secret.check(&headers),
            Err(AdmissionError::Malformed(_))
        ));
        assert!(SharedSecret::new(" \n").is_none());
    }

    fn wants_page(method: &Method, fields: &[(&str, &str)]) -> bool {
        let head = read_head(method.as_str(), "/", fields);
        UserAgent::from_head(&head, false).wants_page
    }

    #[test]
    fn fetch_metadata_takes_precedence_over_accept() {
        let html = ("accept", "text/html");
        for method in [Method::GET, Method::POST] {
            assert!(wants_page(&method, &[("sec-fetch-mode", "navigate")]));
            assert!(!wants_page(&method, &[("sec-fetch-mode", "cors"), html]));
        }
    }

    #[test]
    fn without_fetch_metadata_accept_must_name_html() {
        for (accept, page) in [
            ("text/html", true),
            ("text/html,application/xhtml+xml,*/*;q=0.8", true),
            ("Text/HTML;q=0.5, application/json;q=0.5", true),
            ("text/html;q=0.5, application/json", false),
            ("text/html;q=0.5, application/problem+json", false),
            ("text/html;q=0", false),
            ("text/html;q=x", true),
            ("text/html;q=NaN", false),
            ("*/*", false),
            ("text/*", false),
            ("application/json", false),
            ("", false),
        ] {
            assert_eq!(
                wants_page(&Method::GET, &[("accept", accept)]),
                page,
                "{accept}"
            );
        }
        assert!(!wants_page(&Method::GET, &[]));
        assert!(!wants_page(&Method::POST, &[("accept", "text/html")]));
    }
}
