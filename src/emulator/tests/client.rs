//! The clients of these tests: a signing one for the AWS side, a TLS one for the web side.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustls::pki_types::{CertificateDer, ServerName, pem::PemObject as _};
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::super::Emulator;
use super::super::identity::Role;
use super::super::session::Dialect;
use super::super::settings::Settings;

/// How a test signs; the default is right.
pub(super) struct Signing<'a> {
    pub(super) secret: Option<&'a str>,
    pub(super) region: &'a str,
    pub(super) service: &'a str,
    pub(super) age: Duration,
    pub(super) session_token: Option<&'a str>,
    pub(super) role: Role,
}

impl Default for Signing<'_> {
    fn default() -> Self {
        let age = Duration::ZERO;
        Self {
            secret: None,
            region: "eu-west-1",
            service: "airflow",
            age,
            session_token: None,
            role: Role::Admin,
        }
    }
}

pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) head: String,
    pub(super) body: String,
}

impl Answer {
    pub(super) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }

    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (candidate, value) = line.split_once(": ")?;
            candidate.eq_ignore_ascii_case(name).then_some(value)
        })
    }

    /// Decoded stdout and stderr.
    pub(super) fn streams(&self) -> (String, String) {
        let body = self.json();
        let decoded = |name: &str| {
            String::from_utf8(STANDARD.decode(body[name].as_str().unwrap()).unwrap()).unwrap()
        };
        (decoded("stdout"), decoded("stderr"))
    }
}

pub(super) async fn dial(address: SocketAddr) -> TcpStream {
    TcpSocket::new_v4().unwrap().connect(address).await.unwrap()
}

/// Sends bytes, reads one answer with a `Content-Length`, leaves the connection open.
pub(super) async fn exchange(
    stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
    request: &str,
) -> std::io::Result<Answer> {
    stream.write_all(request.as_bytes()).await?;
    stream.flush().await?;
    let mut bytes = Vec::new();
    let head_end = loop {
        if let Some(at) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            break at + 4;
        }
        if stream.read_buf(&mut bytes).await? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
    };
    let head = String::from_utf8_lossy(&bytes[..head_end]).into_owned();
    let mut answer = Answer {
        status: head.get(9..12).unwrap().parse().unwrap(),
        head,
        body: String::new(),
    };
    let length: usize = answer.header("content-length").unwrap().parse().unwrap();
    while bytes.len() < head_end + length {
        if stream.read_buf(&mut bytes).await? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
    }
    answer.body = String::from_utf8_lossy(&bytes[head_end..]).into_owned();
    Ok(answer)
}

/// One signed call to the AWS side, in boto3's form.
pub(super) async fn call(
    emulator: &Emulator,
    method: &str,
    path: &str,
    signing: Signing<'_>,
) -> Answer {
    let host = emulator.aws_addr().to_string();
    let caller = emulator
        .credentials()
        .iter()
        .find(|credential| credential.role == Some(signing.role))
        .unwrap_or(&emulator.credentials()[0]);
    let identity = aws_credential_types::Credentials::new(
        &caller.access_key_id,
        signing.secret.unwrap_or(&caller.secret_access_key),
        signing.session_token.map(str::to_owned),
        None,
        "test",
    )
    .into();
    let now: SystemTime = emulator.script().clock.now();
    let params = v4::SigningParams::builder()
        .identity(&identity)
        .region(signing.region)
        .name(signing.service)
        .time(now - signing.age)
        .settings(SigningSettings::default())
        .build()
        .unwrap()
        .into();
    let request = SignableRequest::new(
        method,
        format!("http://{host}{path}"),
        [("host", host.as_str())].into_iter(),
        SignableBody::Bytes(b""),
    )
    .unwrap();
    let (instructions, _) = sign(request, &params).unwrap().into_parts();
    let mut text = format!("{method} {path} HTTP/1.1\r\nHost: {host}\r\nContent-Length: 0\r\n");
    for (name, value) in instructions.headers() {
        let _ = write!(text, "{name}: {value}\r\n");
    }
    exchange(&mut dial(emulator.aws_addr()).await, &(text + "\r\n"))
        .await
        .unwrap()
}

pub(super) async fn cli_token(emulator: &Emulator, environment: &str) -> String {
    let path = format!("/clitoken/{environment}");
    let answer = call(emulator, "POST", &path, Signing::default()).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    answer.json()["CliToken"].as_str().unwrap().to_owned()
}

pub(super) async fn tls(
    emulator: &Emulator,
    server_name: &str,
) -> std::io::Result<TlsStream<TcpStream>> {
    let mut roots = rustls::RootCertStore::empty();
    roots
        .add(CertificateDer::from_pem_slice(emulator.ca_pem().as_bytes()).unwrap())
        .unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from(server_name.to_owned()).unwrap();
    TlsConnector::from(Arc::new(config))
        .connect(name, dial(emulator.web_addr()).await)
        .await
}

pub(super) fn cli_request(host: &str, token: Option<&str>, command: &str) -> String {
    let bearer = token
        .map(|t| format!("Authorization: Bearer {t}\r\n"))
        .unwrap_or_default();
    let length = command.len();
    format!(
        "POST /aws_mwaa/cli HTTP/1.1\r\nHost: {host}\r\n{bearer}Content-Type: text/plain\r\n\
         Content-Length: {length}\r\n\r\n{command}"
    )
}

/// One command on a connection of its own.
pub(super) async fn run(
    emulator: &Emulator,
    environment: &str,
    token: Option<&str>,
    command: &str,
) -> std::io::Result<Answer> {
    let host = emulator.host(environment).unwrap();
    let mut stream = tls(emulator, &host).await?;
    exchange(&mut stream, &cli_request(&host, token, command)).await
}

pub(super) async fn start(settings: Settings) -> Emulator {
    Emulator::start(settings).await.unwrap()
}

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
