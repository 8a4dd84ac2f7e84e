//! Addresses in replies: those of the web server become ours, and nothing else changes.

use super::answered;
use crate::support::Harness;
use crate::support::airflow::{OWN, VERSIONS};

/// E-13.
#[tokio::test]
async fn a_location_on_the_web_server_is_rewritten_to_ours() {
    let harness = Harness::airflow("2.10.3").await;
    let ours = format!("http://{}", harness.address());
    let long = "t".repeat(300);
    for (from, to) in [
        ("https://HOST/x?y=1#z", format!("{ours}/x?y=1#z")),
        ("http://HOST:443/x", format!("{ours}/x")),
        ("//HOST/x", format!("{ours}/x")),
        ("HTTPS://HOST", format!("{ours}/")),
        ("https://user:pass@HOST/x", format!("{ours}/x")),
        (
            "https://evil.example/x",
            "https://evil.example/x".to_owned(),
        ),
        (
            "https://user:pass@evil.example/x",
            "https://evil.example/x".to_owned(),
        ),
        (
            "https://HOST.evil.example/x",
            "https://HOST.evil.example/x".to_owned(),
        ),
        ("/x?next=https://HOST/", "/x?next=https://HOST/".to_owned()),
        ("x", "x".to_owned()),
        (
            &format!("https://evil.example/x#{long}"),
            "https://evil.example/x".to_owned(),
        ),
    ] {
        for field in ["Location", "Content-Location"] {
            let raw =
                format!("HTTP/1.1 302 Found\r\n{field}: {from}\r\nContent-Length: 0\r\n\r\n");
            let reply = answered(&harness, "/home", "", &raw).await;
            assert_eq!(reply.status, 302, "{reply}");
            let to = to.replace("HOST", &harness.emulator().host("demo").unwrap());
            let name = field.to_ascii_lowercase();
            assert_eq!(reply.header(&name), Some(to.as_str()), "{from}");
        }
    }
    assert_eq!(harness.logins().len(), 1);
}

/// The address is the one that the client called us by.
#[tokio::test]
async fn a_location_is_rewritten_to_the_requested_host() {
    let harness = Harness::airflow("2.10.3").await;
    let port = harness.address().port();
    for host in [
        format!("localhost:{port}"),
        format!("demo.localhost:{port}"),
    ] {
        let request = format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n");
        let reply = harness.connect().await.exchange(request).await;
        assert_eq!(
            reply.header("location"),
            Some(format!("http://{host}/home").as_str())
        );
    }
}

#[tokio::test]
async fn links_in_pages_are_rewritten_to_the_gateway() {
    for (version, page) in VERSIONS.into_iter().zip(["/home", "/", "/"]) {
        let harness = Harness::airflow(version).await;
        let reply = harness
            .get_with(page, &format!("{OWN}Accept-Encoding: gzip\r\n"))
            .await;
        assert_eq!(reply.status, 200, "{reply}");
        let (text, host) = (reply.text(), harness.emulator().host("demo").unwrap());
        assert!(!text.contains(&host), "{version}: {text}");
        assert!(
            text.contains(&format!("href=\"http://{}/", harness.address())),
            "{text}"
        );
        // readable on its way: asked for without compression
        let seen = harness.reached().pop().unwrap();
        assert_eq!(seen.header("accept-encoding"), Some("identity"));
        assert_eq!(reply.header("content-encoding"), None);
    }
}

#[tokio::test]
async fn a_link_is_rewritten_however_the_body_is_split() {
    let harness = Harness::airflow("2.10.3").await;
    let host = harness.emulator().host("demo").unwrap();
    let text =
        format!("<a href=\"https://{host}/home\">x</a><p>https://{host}.evil.example/</p>");
    let ours = format!("http://{}", harness.address());
    let expected = format!("<a href=\"{ours}/home\">x</a><p>https://{host}.evil.example/</p>");
    let mut cuts: Vec<usize> = (1..40).collect();
    cuts.extend([text.len() - 30, text.len() - 15, text.len() - 1]);
    for cut in cuts {
        let (one, two) = text.split_at(cut);
        let raw = format!(
            "HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=utf-8\r\nETag: \"x\"\r\n\
             Transfer-Encoding: chunked\r\n\r\n{:x}\r\n{one}\r\n{:x}\r\n{two}\r\n0\r\n\r\n",
            one.len(),
            two.len()
        );
        let reply = answered(&harness, "/home", OWN, &raw).await;
        assert_eq!(reply.text(), expected, "cut at {cut}");
        // it is another page than the one that had this tag
        assert_eq!(reply.header("etag"), None);
    }
}

/// A page that is known by its length is longer or shorter afterwards.
#[tokio::test]
async fn a_rewritten_page_has_no_content_length() {
    let harness = Harness::airflow("2.10.3").await;
    let host = harness.emulator().host("demo").unwrap();
    let text = format!("https://{host}/");
    let raw = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: {}\r\n\r\n{text}",
        text.len()
    );
    let reply = answered(&harness, "/home", OWN, &raw).await;
    assert_eq!(reply.text(), format!("http://{}/", harness.address()));
    assert_eq!(reply.header("content-length"), None, "{reply}");
}

/// Only pages are changed: data must stay as it is, and a compressed body cannot be read.
#[tokio::test]
async fn bodies_that_are_not_plain_html_are_unchanged() {
    let harness = Harness::airflow("3.3.1").await;
    let host = harness.emulator().host("demo").unwrap();
    let text = format!("https://{host}/x");
    let length = text.len();
    for head in [
        "200 OK\r\nContent-Type: application/json",
        "200 OK\r\nContent-Type: text/plain",
        "200 OK\r\nContent-Type: text/htmlx",
        "200 OK\r\nX-None: 1",
        "200 OK\r\nContent-Type: text/html\r\nContent-Encoding: gzip",
        "206 Partial Content\r\nContent-Type: text/html\r\nContent-Range: bytes 0-9/100",
    ] {
        let raw =
            format!("HTTP/1.1 {head}\r\nETag: \"x\"\r\nContent-Length: {length}\r\n\r\n{text}");
        let reply = answered(&harness, "/ui/x", "", &raw).await;
        assert_eq!(reply.text(), text, "{head}");
        assert_eq!(
            reply.header("content-length"),
            Some(length.to_string().as_str())
        );
        assert_eq!(reply.header("etag"), Some("\"x\""), "{head}");
    }
}
