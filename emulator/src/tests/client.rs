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
        .unwrap_or_else(|| &emulator.credentials()[0]);
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
