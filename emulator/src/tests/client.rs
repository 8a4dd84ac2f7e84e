//! The clients of these tests: a signing one for the AWS side, a TLS one for the web servers.

use std::fmt::Write as _;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

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

use super::super::identity::Role;
use super::super::session::Dialect;
use super::super::{Emulator, Seed, Settings};

pub(super) const FORM: (&str, &str) = ("Content-Type", "application/x-www-form-urlencoded");

pub(super) async fn start(settings: Settings) -> Emulator {
    Emulator::start(settings).await.unwrap()
}

pub(super) fn with_environments(environments: Vec<Seed>) -> Settings {
    Settings {
        environments,
        ..Settings::default()
    }
}

/// An emulator with one environment of this version, called `demo`.
pub(super) async fn version(version: &str) -> Emulator {
    start(with_environments(vec![Seed::new("demo", version)])).await
}

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
        Self {
            secret: None,
            region: "eu-west-1",
            service: "airflow",
            age: Duration::ZERO,
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
    /// Reads an answer; `None` if more of it must come.
    fn parse(bytes: &[u8], ended: bool) -> Option<Self> {
        let end = bytes.windows(4).position(|window| window == b"\r\n\r\n")? + 4;
        let (head, mut rest) = bytes.split_at(end);
        let head = String::from_utf8_lossy(head).into_owned();
        let mut answer = Self {
            status: head.get(9..12)?.parse().ok()?,
            head,
            body: String::new(),
        };
        let length = answer
            .header("content-length")
            .map(|length| length.parse().unwrap());
        let body = if answer.header("transfer-encoding") == Some("chunked") {
            let mut body = Vec::new();
            loop {
                let line = rest.windows(2).position(|pair| pair == b"\r\n")?;
                let size = std::str::from_utf8(rest.get(..line)?).ok()?;
                let size = usize::from_str_radix(size, 16).ok()?;
                body.extend_from_slice(rest.get(line + 2..)?.get(..size)?);
                rest = rest.get(line + 2 + size + 2..)?;
                if size == 0 {
                    break body;
                }
            }
        } else {
            let whole = length.map_or(ended, |length: usize| rest.len() >= length);
            whole.then(|| rest.to_vec())?
        };
        answer.body = String::from_utf8_lossy(&body).into_owned();
        Some(answer)
    }

    pub(super) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }

    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (candidate, value) = line.split_once(": ")?;
            candidate.eq_ignore_ascii_case(name).then_some(value)
        })
    }

    /// The `Set-Cookie` of a name.
    pub(super) fn cookie_line(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let value = line.strip_prefix("set-cookie: ")?;
            (value.split('=').next() == Some(name)).then_some(value)
        })
    }

    /// The value of a cookie that the answer sets.
    pub(super) fn cookie(&self, name: &str) -> Option<&str> {
        self.cookie_line(name)?.split(['=', ';']).nth(1)
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

pub(super) async fn tls(emulator: &Emulator, name: &str) -> io::Result<TlsStream<TcpStream>> {
    let mut roots = rustls::RootCertStore::empty();
    let ca = CertificateDer::from_pem_slice(emulator.ca_pem().as_bytes());
    roots.add(ca.unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from(name.to_owned()).unwrap();
    let stream = dial(emulator.web_addr()).await;
    TlsConnector::from(Arc::new(config))
        .connect(name, stream)
        .await
}

/// Sends bytes and reads one answer. Fails if the connection ends first.
pub(super) async fn exchange(
    stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
    request: &str,
) -> io::Result<Answer> {
    stream.write_all(request.as_bytes()).await?;
    stream.flush().await?;
    let mut bytes = Vec::new();
    loop {
        let ended = stream.read_buf(&mut bytes).await? == 0;
        if let Some(answer) = Answer::parse(&bytes, ended) {
            return Ok(answer);
        }
        if ended {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
}

/// The text of a request; `line` is its method and target.
pub(super) fn request(line: &str, host: &str, headers: &[(&str, &str)], body: &str) -> String {
    let mut text = format!("{line} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n");
    for (name, value) in headers {
        write!(text, "{name}: {value}\r\n").unwrap();
    }
    format!("{text}Content-Length: {}\r\n\r\n{body}", body.len())
}

/// One request to a web server on a connection of its own.
pub(super) async fn ask(
    emulator: &Emulator,
    environment: &str,
    line: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> Answer {
    let host = emulator.host(environment).unwrap();
    let mut stream = tls(emulator, &host).await.unwrap();
    let answer = exchange(&mut stream, &request(line, &host, headers, body)).await;
    answer.unwrap()
}

/// One signed call to the AWS side, in boto3's form.
pub(super) async fn call(emulator: &Emulator, line: &str, signing: Signing<'_>) -> Answer {
    let (method, path) = line.split_once(' ').unwrap();
    let host = emulator.aws_addr().to_string();
    let mut callers = emulator.credentials().iter();
    let caller = callers.find(|caller| caller.role == Some(signing.role));
    let caller = caller.unwrap_or_else(|| &emulator.credentials()[0]);
    let secret = signing.secret.unwrap_or(&caller.secret_access_key);
    let token = signing.session_token.map(str::to_owned);
    let key = &caller.access_key_id;
    let identity = aws_credential_types::Credentials::new(key, secret, token, None, "test");
    let identity = identity.into();
    let params = v4::SigningParams::builder()
        .identity(&identity)
        .region(signing.region)
        .name(signing.service)
        .time(emulator.script().clock.now() - signing.age)
        .settings(SigningSettings::default())
        .build()
        .unwrap()
        .into();
    let url = format!("http://{host}{path}");
    let headers = [("host", host.as_str())].into_iter();
    let body = SignableBody::Bytes(b"");
    let signable = SignableRequest::new(method, url, headers, body).unwrap();
    let (instructions, _) = sign(signable, &params).unwrap().into_parts();
    let headers: Vec<_> = instructions.headers().collect();
    let mut stream = dial(emulator.aws_addr()).await;
    let answer = exchange(&mut stream, &request(line, &host, &headers, "")).await;
    answer.unwrap()
}

/// One call to the AWS side by an Admin.
pub(super) async fn aws(emulator: &Emulator, line: &str) -> Answer {
    call(emulator, line, Signing::default()).await
}

pub(super) async fn cli_token(emulator: &Emulator, environment: &str) -> String {
    let answer = aws(emulator, &format!("POST /clitoken/{environment}")).await;
    answer.json()["CliToken"].as_str().unwrap().to_owned()
}

/// Sends one command on a connection of its own.
pub(super) async fn run(
    emulator: &Emulator,
    environment: &str,
    token: Option<&str>,
    command: &str,
) -> io::Result<Answer> {
    let host = emulator.host(environment).unwrap();
    let bearer = token.map(|token| format!("Bearer {token}"));
    let headers: Vec<_> = bearer
        .iter()
        .map(|bearer| ("Authorization", &**bearer))
        .collect();
    let request = request("POST /aws_mwaa/cli", &host, &headers, command);
    exchange(&mut tls(emulator, &host).await?, &request).await
}

/// A web token for the caller with this role.
pub(super) async fn web_token(emulator: &Emulator, environment: &str, role: Role) -> String {
    let signing = Signing {
        role,
        ..Signing::default()
    };
    let answer = call(emulator, &format!("POST /webtoken/{environment}"), signing).await;
    answer.json()["WebToken"].as_str().unwrap().to_owned()
}

/// The answer of the login route to a token.
pub(super) async fn post_token(emulator: &Emulator, environment: &str, token: &str) -> Answer {
    let line = match emulator.environment(environment).unwrap().dialect {
        Dialect::Two => "POST /aws_mwaa/login",
        Dialect::ThreeZero | Dialect::Three => "POST /pluginsv2/aws_mwaa/login",
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
