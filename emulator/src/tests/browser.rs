//! The client of the tests of UI and REST: any request, cookies, chunked answers, signing in.

use std::fmt::Write as _;
use std::io::Read as _;

use flate2::read::GzDecoder;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::super::Emulator;
use super::super::identity::Role;
use super::super::session::Dialect;
use super::client::{Answer, Signing, call, tls};

/// One request to a web server on a connection of its own, read to its end.
pub(super) async fn ask(
    emulator: &Emulator,
    environment: &str,
    line: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> Answer {
    let host = emulator.host(environment).unwrap();
    let mut text = format!("{line} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n");
    for (name, value) in headers {
        let _ = write!(text, "{name}: {value}\r\n");
    }
    if !body.is_empty() {
        let _ = write!(text, "Content-Length: {}\r\n", body.len());
    }
    let mut stream = tls(emulator, &host).await.unwrap();
    let request = format!("{text}\r\n{body}");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).await.unwrap();
    Answer::read(&bytes)
}

impl Answer {
    /// An answer that ended with its connection, its chunks put together.
    fn read(bytes: &[u8]) -> Self {
        let end = bytes
            .windows(4)
            .position(|window| window == b"\r\n\r\n")
            .unwrap();
        let (head, mut rest) = bytes.split_at(end + 4);
        let head = String::from_utf8_lossy(head).into_owned();
        let mut answer = Self {
            status: head.get(9..12).unwrap().parse().unwrap(),
            head,
            body: String::new(),
        };
        let mut body = Vec::new();
        if answer.header("transfer-encoding") == Some("chunked") {
            loop {
                let line = rest.windows(2).position(|pair| pair == b"\r\n").unwrap();
                let size = std::str::from_utf8(&rest[..line]).unwrap();
                let size = usize::from_str_radix(size, 16).unwrap();
                body.extend_from_slice(&rest[line + 2..][..size]);
                rest = &rest[line + 2 + size + 2..];
                if size == 0 {
                    break;
                }
            }
        } else {
            body.extend_from_slice(rest);
        }
        // compressed bodies are looked at as Latin-1 would show them: only their size counts
        answer.body = String::from_utf8(body)
            .unwrap_or_else(|error| error.as_bytes().iter().map(|b| char::from(*b)).collect());
        answer
    }

    /// The text of a body that is compressed with gzip.
    pub(super) fn unzipped(&self) -> String {
        let bytes: Vec<u8> = self
            .body
            .chars()
            .map(|c| u8::try_from(c).unwrap())
            .collect();
        let mut text = String::new();
        GzDecoder::new(bytes.as_slice())
            .read_to_string(&mut text)
            .unwrap();
        text
    }

    /// The value of a cookie that the answer sets.
    pub(super) fn cookie(&self, name: &str) -> Option<&str> {
        self.cookie_line(name)?.split(['=', ';']).nth(1)
    }

    /// All that the answer says about a cookie.
    pub(super) fn cookie_line(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (header, value) = line.split_once(": ")?;
            let ours = header.eq_ignore_ascii_case("set-cookie")
                && value.split('=').next() == Some(name);
            ours.then_some(value)
        })
    }
}

/// A web token for the caller with this role.
pub(super) async fn web_token(emulator: &Emulator, environment: &str, role: Role) -> String {
    let path = format!("/webtoken/{environment}");
    let signing = Signing {
        role,
        ..Signing::default()
    };
    let answer = call(emulator, "POST", &path, signing).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    answer.json()["WebToken"].as_str().unwrap().to_owned()
}

/// The answer of the login route to a token.
pub(super) async fn post_token(emulator: &Emulator, environment: &str, token: &str) -> Answer {
    let three = emulator.environment(environment).unwrap().dialect != Dialect::Two;
    let line = if three {
        "POST /pluginsv2/aws_mwaa/login"
    } else {
        "POST /aws_mwaa/login"
    };
    let body = format!("token={token}");
    ask(emulator, environment, line, &[FORM], &body).await
}

/// Signs in with a role and returns the login's answer, which has the cookies.
pub(super) async fn sign_in(emulator: &Emulator, environment: &str, role: Role) -> Answer {
    let token = web_token(emulator, environment, role).await;
    let answer = post_token(emulator, environment, &token).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    answer
}

pub(super) const FORM: (&str, &str) = ("Content-Type", "application/x-www-form-urlencoded");
