//! Static files: validators, compression, any number of zeros.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::super::{Emulator, Seed, Settings};
use super::browser::ask;
use super::client::{Answer, start, tls};

async fn emulator(version: &str) -> Emulator {
    start(Settings {
        environments: vec![Seed::new("demo", version)],
        ..Settings::default()
    })
    .await
}

async fn get(emulator: &Emulator, path: &str, headers: &[(&str, &str)]) -> Answer {
    ask(emulator, "demo", &format!("GET {path}"), headers, "").await
}

const STYLE: &str = "/static/emulator/style.css";

#[tokio::test]
async fn a_file_that_is_known_is_not_sent_again() {
    for version in ["2.10.3", "3.3.2"] {
        let emulator = emulator(version).await;
        let first = get(&emulator, STYLE, &[]).await;
        assert_eq!(
            first.header("content-type"),
            Some("text/css; charset=utf-8")
        );
        let length: usize = first.header("content-length").unwrap().parse().unwrap();
        assert_eq!(length, first.body.len());
        let tag = first.header("etag").unwrap();
        let date = first.header("last-modified").unwrap();
        let weak = format!("\"other\", W/{tag}");
        for (name, value, status) in [
            ("If-None-Match", tag, 304),
            ("If-None-Match", &weak, 304),
            ("If-None-Match", "*", 304),
            ("If-None-Match", "\"other\"", 200),
            ("If-Modified-Since", date, 304),
            ("If-Modified-Since", "Thu, 01 Jan 1970 00:00:00 GMT", 200),
        ] {
            let again = get(&emulator, STYLE, &[(name, value)]).await;
            assert_eq!(again.status, status, "{name}: {value}");
            assert_eq!(again.header("etag"), Some(tag));
            assert_eq!(again.body.is_empty(), status == 304);
        }
        // Airflow 2 hands a session to everybody with files that caches may keep
        let two = version == "2.10.3";
        assert_eq!(first.header("cache-control").is_some(), two);
        assert_eq!(first.cookie("session").is_some(), two);
    }
}

#[tokio::test]
async fn who_asks_for_gzip_gets_the_same_file_smaller() {
    let emulator = emulator("3.3.2").await;
    let plain = get(&emulator, STYLE, &[]).await;
    for (accept, compressed) in [
        ("gzip, br", true),
        ("br;q=1, GZIP;q=0.5", true),
        ("gzip;q=0", false),
        ("identity", false),
    ] {
        let answer = get(&emulator, STYLE, &[("Accept-Encoding", accept)]).await;
        assert_eq!(
            answer.header("content-encoding").is_some(),
            compressed,
            "{accept}"
        );
        assert_eq!(answer.header("vary"), Some("Accept-Encoding"));
        assert_eq!(answer.header("etag"), plain.header("etag"));
        if compressed {
            assert_eq!(answer.header("content-length"), None);
            assert_eq!(answer.unzipped(), plain.body);
        } else {
            assert_eq!(answer.body, plain.body);
        }
    }
}

#[tokio::test]
async fn zeros_come_in_the_number_asked_for() {
    let emulator = emulator("2.10.3").await;
    let host = emulator.host("demo").unwrap();
    for (query, length) in [
        ("bytes=5000000", "content-length: 5000000\r\n"),
        (
            "bytes=5000000&chunked=true",
            "transfer-encoding: chunked\r\n",
        ),
    ] {
        let mut stream = tls(&emulator, &host).await.unwrap();
        let request = format!(
            "GET /static/emulator/zeros?{query} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        let (mut piece, mut head, mut zeros) = (vec![0; 1 << 16], Vec::new(), 0);
        loop {
            let count = stream.read(&mut piece).await.unwrap();
            if count == 0 {
                break;
            }
            let text = head.len();
            head.extend(piece[..count].iter().filter(|byte| **byte != 0));
            zeros += count - (head.len() - text);
        }
        assert_eq!(zeros, 5_000_000);
        assert!(String::from_utf8(head).unwrap().contains(length));
    }
    for query in ["", "?bytes=x", "?bytes=9999999999"] {
        let path = format!("/static/emulator/zeros{query}");
        assert_eq!(get(&emulator, &path, &[]).await.status, 400, "{query}");
    }
}
