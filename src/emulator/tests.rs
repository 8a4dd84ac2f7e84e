//! Both sides over real sockets.

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

use super::*;

/// How a test signs; the default is right.
struct Signing<'a> {
    secret: Option<&'a str>,
    region: &'a str,
    service: &'a str,
    age: Duration,
    session_token: Option<&'a str>,
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
        }
    }
}

struct Answer {
    status: u16,
    head: String,
    body: String,
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (candidate, value) = line.split_once(": ")?;
            candidate.eq_ignore_ascii_case(name).then_some(value)
        })
    }

    /// Decoded stdout and stderr.
    fn streams(&self) -> (String, String) {
        let body = self.json();
        let decoded = |name: &str| {
            String::from_utf8(STANDARD.decode(body[name].as_str().unwrap()).unwrap()).unwrap()
        };
        (decoded("stdout"), decoded("stderr"))
    }
}

async fn dial(address: SocketAddr) -> TcpStream {
    TcpSocket::new_v4().unwrap().connect(address).await.unwrap()
}

/// Sends bytes, reads one answer with a `Content-Length`, leaves the connection open.
async fn exchange(
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
        status: head[9..12].parse().unwrap(),
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
async fn call(emulator: &Emulator, method: &str, path: &str, signing: Signing<'_>) -> Answer {
    let host = emulator.aws_addr().to_string();
    let identity = aws_credential_types::Credentials::new(
        emulator.access_key_id(),
        signing.secret.unwrap_or(emulator.secret_access_key()),
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
        text += &format!("{name}: {value}\r\n");
    }
    exchange(&mut dial(emulator.aws_addr()).await, &(text + "\r\n"))
        .await
        .unwrap()
}

async fn cli_token(emulator: &Emulator, environment: &str) -> String {
    let path = format!("/clitoken/{environment}");
    let answer = call(emulator, "POST", &path, Signing::default()).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    answer.json()["CliToken"].as_str().unwrap().to_owned()
}

async fn tls(emulator: &Emulator, server_name: &str) -> std::io::Result<TlsStream<TcpStream>> {
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

fn cli_request(host: &str, token: Option<&str>, command: &str) -> String {
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
async fn run(
    emulator: &Emulator,
    environment: &str,
    token: Option<&str>,
    command: &str,
) -> std::io::Result<Answer> {
    let host = emulator.host(environment).unwrap();
    let mut stream = tls(emulator, &host).await?;
    exchange(&mut stream, &cli_request(&host, token, command)).await
}

async fn start(settings: Settings) -> Emulator {
    Emulator::start(settings).await.unwrap()
}

#[tokio::test]
async fn a_signed_call_gets_a_token_that_runs_a_command() {
    let emulator = start(Settings::default()).await;
    let token = cli_token(&emulator, "demo").await;
    let answer = run(&emulator, "demo", Some(&token), "version")
        .await
        .unwrap();
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert_eq!(answer.header("content-type"), Some("application/json"));
    assert_eq!(answer.streams().0.trim(), "2.10.3");
    let journal = emulator.journal();
    assert_eq!(journal.mints(TokenKind::Cli), 1);
    assert_eq!(journal.commands(), ["version"]);
    assert_eq!(journal.web_connections(), 1);
    assert_eq!(journal.server_names(), [emulator.host("demo")]);
    let request = &journal.web_requests()[0];
    assert_eq!(
        (request.method.as_str(), request.target.as_str()),
        ("POST", "/aws_mwaa/cli")
    );
    assert_eq!(
        request.header("authorization"),
        Some(format!("Bearer {token}").as_str())
    );
    assert_eq!(request.status, Some(200));
    assert!(request.token.is_some());
}

#[tokio::test]
async fn signatures_are_verified() {
    let emulator = start(Settings::default()).await;
    let refusals = [
        (
            Signing {
                secret: Some("wrong"),
                ..Signing::default()
            },
            "InvalidSignatureException",
        ),
        (
            Signing {
                service: "mwaa",
                ..Signing::default()
            },
            "SignatureDoesNotMatch",
        ),
        (
            Signing {
                region: "us-east-1",
                ..Signing::default()
            },
            "SignatureDoesNotMatch",
        ),
        (
            Signing {
                age: Duration::from_mins(16),
                ..Signing::default()
            },
            "RequestExpired",
        ),
        (
            Signing {
                session_token: Some("x"),
                ..Signing::default()
            },
            "UnrecognizedClientException",
        ),
    ];
    for (signing, code) in refusals {
        let answer = call(&emulator, "POST", "/clitoken/demo", signing).await;
        assert_eq!(
            (answer.status, answer.header("x-amzn-errortype")),
            (403, Some(code))
        );
        assert!(answer.json()["message"].is_string());
    }
    let unsigned = "POST /clitoken/demo HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n";
    let answer = exchange(&mut dial(emulator.aws_addr()).await, unsigned)
        .await
        .unwrap();
    assert_eq!(
        answer.header("x-amzn-errortype"),
        Some("MissingAuthenticationTokenException")
    );
    assert_eq!(emulator.journal().mints(TokenKind::Cli), 0);
    let young = Signing {
        age: Duration::from_mins(14),
        ..Signing::default()
    };
    assert_eq!(
        call(&emulator, "POST", "/clitoken/demo", young)
            .await
            .status,
        200
    );
}

#[tokio::test]
async fn a_session_token_must_be_the_known_one() {
    let credential = Credential {
        access_key_id: "ASIAEXAMPLE".to_owned(),
        secret_access_key: "secret".to_owned(),
        session_token: Some("session".to_owned()),
    };
    let emulator = start(Settings {
        credentials: vec![credential],
        ..Settings::default()
    })
    .await;
    let with = Signing {
        session_token: Some("session"),
        ..Signing::default()
    };
    assert_eq!(
        call(&emulator, "POST", "/clitoken/demo", with).await.status,
        200
    );
    assert_eq!(
        call(&emulator, "POST", "/clitoken/demo", Signing::default())
            .await
            .status,
        403
    );
}

#[tokio::test]
async fn the_modelled_operations_and_errors_answer() {
    let seeds = (0..30)
        .map(|index| Seed::new(&format!("env-{index:02}"), "3.0.6"))
        .collect();
    let emulator = start(Settings {
        environments: seeds,
        ..Settings::default()
    })
    .await;
    let get = async |path: &str| call(&emulator, "GET", path, Signing::default()).await;
    let described = get("/environments/env-07").await.json();
    assert_eq!(described["Environment"]["AirflowVersion"], "3.0.6");
    assert_eq!(
        described["Environment"]["WebserverUrl"].as_str(),
        emulator.host("env-07").as_deref()
    );
    assert!(emulator.set_status("env-07", "UPDATING"));
    assert_eq!(
        get("/environments/env-07").await.json()["Environment"]["Status"],
        "UPDATING"
    );

    let first = get("/environments").await.json();
    assert_eq!(first["Environments"].as_array().unwrap().len(), 25);
    let next = first["NextToken"].as_str().unwrap();
    let rest = get(&format!("/environments?MaxResults=5&NextToken={next}"))
        .await
        .json();
    assert_eq!(rest["Environments"][0], "env-25");
    assert_eq!(rest["Environments"].as_array().unwrap().len(), 5);
    assert!(rest.get("NextToken").is_none());

    let web = call(&emulator, "POST", "/webtoken/env-00", Signing::default())
        .await
        .json();
    let members: Vec<&str> = web
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect();
    assert_eq!(
        members,
        [
            "AirflowIdentity",
            "IamIdentity",
            "WebServerHostname",
            "WebToken"
        ]
    );

    for (method, path, status, code) in [
        (
            "GET",
            "/environments?MaxResults=26",
            400,
            "ValidationException",
        ),
        (
            "GET",
            "/environments/nobody",
            404,
            "ResourceNotFoundException",
        ),
        ("POST", "/clitoken/nobody", 404, "ResourceNotFoundException"),
        ("POST", "/clitoken/1nvalid", 400, "ValidationException"),
        ("POST", "/clitoken/a%2Fb", 400, "ValidationException"),
        (
            "DELETE",
            "/environments/env-07",
            404,
            "UnknownOperationException",
        ),
    ] {
        let answer = call(&emulator, method, path, Signing::default()).await;
        assert_eq!(
            (answer.status, answer.header("x-amzn-errortype")),
            (status, Some(code)),
            "{path}"
        );
        assert!(answer.header("x-amzn-requestid").is_some());
    }
    emulator.script().web_login_denied.always(());
    let denied = call(&emulator, "POST", "/webtoken/env-00", Signing::default()).await;
    assert_eq!(denied.json()["Message"], "No Airflow role granted in IAM.");
}

#[tokio::test]
async fn scripted_control_faults_come_as_written_and_as_often() {
    let emulator = start(Settings::default()).await;
    let fault = &emulator.script().mint_fault;
    let mint = async || call(&emulator, "POST", "/clitoken/demo", Signing::default()).await;
    for (spoilt, status, code) in [
        (ControlFault::Throttling, 400, Some("ThrottlingException")),
        (
            ControlFault::TooManyRequests,
            429,
            Some("TooManyRequestsException"),
        ),
        (ControlFault::BareTooManyRequests, 429, None),
        (
            ControlFault::ExpiredToken,
            403,
            Some("ExpiredTokenException"),
        ),
        (
            ControlFault::InternalServer,
            500,
            Some("InternalServerException"),
        ),
        (ControlFault::HtmlServiceUnavailable, 503, None),
        (
            ControlFault::NotFound,
            404,
            Some("ResourceNotFoundException"),
        ),
    ] {
        fault.next(1, spoilt);
        let answer = mint().await;
        assert_eq!(
            (answer.status, answer.header("x-amzn-errortype")),
            (status, code)
        );
    }
    fault.next(1, ControlFault::AccessDenied);
    assert_eq!(
        mint().await.json()["message"],
        "User: arn:aws:sts::123456789012:assumed-role/emulator/session is not authorized to \
         perform: airflow:CreateCliToken on resource: \
         arn:aws:airflow:eu-west-1:123456789012:environment/demo"
    );
    fault.next(1, ControlFault::HostileToken);
    assert!(mint().await.body.contains(r"\r\n"));
    fault.next(1, ControlFault::ForeignHost("evil.example".to_owned()));
    assert_eq!(mint().await.json()["WebServerHostname"], "evil.example");
    assert_eq!(
        mint().await.json()["WebServerHostname"].as_str(),
        emulator.host("demo").as_deref()
    );
    fault.next(1, ControlFault::HugeError(100_000));
    assert!(mint().await.body.len() > 100_000);
}

#[tokio::test]
async fn a_token_counts_only_where_it_should() {
    let environments = vec![Seed::default(), Seed::new("other", "2.10.3")];
    let emulator = start(Settings {
        environments,
        ..Settings::default()
    })
    .await;
    let token = cli_token(&emulator, "demo").await;
    let web = call(&emulator, "POST", "/webtoken/demo", Signing::default())
        .await
        .json();
    let status = async |environment: &str, token: Option<&str>| {
        run(&emulator, environment, token, "version")
            .await
            .unwrap()
            .status
    };
    assert_eq!(status("demo", Some(&token)).await, 200);
    assert_eq!(status("demo", Some(&token)).await, 200);
    assert_eq!(status("demo", None).await, 403);
    assert_eq!(status("demo", Some("nonsense")).await, 403);
    assert_eq!(status("demo", web["WebToken"].as_str()).await, 403);
    assert_eq!(status("other", Some(&token)).await, 403);
    emulator.script().advance_clock(Duration::from_mins(1));
    assert_eq!(status("demo", Some(&token)).await, 403);
    emulator.script().refuse_with_401.next(1, ());
    assert_eq!(status("demo", Some(&token)).await, 401);
    let token = cli_token(&emulator, "demo").await;
    emulator.script().revoke_tokens();
    assert_eq!(status("demo", Some(&token)).await, 403);
    assert_eq!(emulator.journal().commands().len(), 2);
}

#[tokio::test]
async fn failures_take_the_form_that_was_asked_for() {
    for (failure_form, status) in [(FailureForm::BadRequest, 400), (FailureForm::Ok, 200)] {
        let emulator = start(Settings {
            failure_form,
            ..Settings::default()
        })
        .await;
        let token = cli_token(&emulator, "demo").await;
        let failed = run(&emulator, "demo", Some(&token), "variables get missing")
            .await
            .unwrap();
        assert_eq!(failed.status, status);
        assert_ne!(failed.streams().1, "");
        for broken in ["pools import x", "dags trigger 'x", "trigger_dag x", ""] {
            let answer = run(&emulator, "demo", Some(&token), broken).await.unwrap();
            assert_eq!(answer.status, 500, "{broken}");
        }
    }
}

#[tokio::test]
async fn the_fifth_command_at_once_gets_503() {
    let emulator = start(Settings::default()).await;
    let token = cli_token(&emulator, "demo").await;
    emulator
        .script()
        .command_delay
        .next(4, Duration::from_hours(1));
    let mut held = JoinSet::new();
    for _ in 0..4 {
        let host = emulator.host("demo").unwrap();
        let mut stream = tls(&emulator, &host).await.unwrap();
        let request = cli_request(&host, Some(&token), "version");
        held.spawn(async move { exchange(&mut stream, &request).await.is_ok() });
    }
    emulator
        .journal()
        .wait_for(|journal| journal.running_commands() == 4)
        .await;
    assert_eq!(
        run(&emulator, "demo", Some(&token), "version")
            .await
            .unwrap()
            .status,
        503
    );
    assert_eq!(emulator.journal().peak_commands(), 4);
}

#[tokio::test]
async fn a_slow_command_gets_504_and_still_ends() {
    let command_timeout = Duration::from_millis(20);
    let emulator = start(Settings {
        command_timeout,
        ..Settings::default()
    })
    .await;
    let token = cli_token(&emulator, "demo").await;
    emulator
        .script()
        .command_delay
        .next(1, Duration::from_millis(200));
    let answer = run(&emulator, "demo", Some(&token), "version")
        .await
        .unwrap();
    assert_eq!(answer.status, 504);
    assert!(serde_json::from_str::<Value>(&answer.body).is_err());
    assert_eq!(emulator.journal().running_commands(), 1);
    emulator
        .journal()
        .wait_for(|journal| journal.running_commands() == 0)
        .await;
    assert_eq!(emulator.journal().commands(), ["version"]);
}

#[tokio::test]
async fn scripted_web_faults_spoil_the_answer() {
    let emulator = start(Settings::default()).await;
    let token = cli_token(&emulator, "demo").await;
    let host = emulator.host("demo").unwrap();
    let fault = &emulator.script().web_fault;
    for (spoilt, executed) in [
        (WebFault::Drop, 0),
        (WebFault::Reset, 0),
        (WebFault::CutBody, 1),
        (WebFault::ResetAfterExecution, 2),
    ] {
        fault.next(1, spoilt.clone());
        let answer = run(&emulator, "demo", Some(&token), "version").await;
        assert!(answer.is_err(), "{spoilt:?}");
        assert_eq!(emulator.journal().commands().len(), executed, "{spoilt:?}");
    }
    fault.next(1, WebFault::garbage_head());
    let mut stream = tls(&emulator, &host).await.unwrap();
    stream
        .write_all(cli_request(&host, Some(&token), "version").as_bytes())
        .await
        .unwrap();
    let mut bytes = Vec::new();
    // the end comes without close_notify, which rustls reports
    assert!(stream.read_to_end(&mut bytes).await.is_err());
    assert_eq!(bytes, b"SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n");
    fault.next(1, WebFault::html(502));
    assert_eq!(
        run(&emulator, "demo", Some(&token), "version")
            .await
            .unwrap()
            .status,
        502
    );
    fault.next(1, WebFault::BadBase64);
    let answer = run(&emulator, "demo", Some(&token), "version")
        .await
        .unwrap();
    assert!(
        STANDARD
            .decode(answer.json()["stdout"].as_str().unwrap())
            .is_err()
    );
}

#[tokio::test]
async fn a_connection_is_kept_unless_the_script_closes_it() {
    let emulator = start(Settings::default()).await;
    let token = cli_token(&emulator, "demo").await;
    let host = emulator.host("demo").unwrap();
    let request = cli_request(&host, Some(&token), "version");
    let mut stream = tls(&emulator, &host).await.unwrap();
    exchange(&mut stream, &request).await.unwrap();
    emulator.script().close_idle.next(1, ());
    let last = exchange(&mut stream, &request).await.unwrap();
    assert_eq!((last.status, last.header("connection")), (200, None));
    assert_eq!(stream.read(&mut [0; 1]).await.unwrap(), 0);
    assert_eq!(emulator.journal().web_connections(), 1);
}

#[tokio::test]
async fn noise_goes_where_it_is_sent() {
    let emulator = start(Settings::default()).await;
    let token = cli_token(&emulator, "demo").await;
    let noise = &emulator.script().noise;
    let version = async || {
        run(&emulator, "demo", Some(&token), "version")
            .await
            .unwrap()
            .streams()
    };
    let (clean, _) = version().await;
    noise.next(1, Noise::Warnings);
    let (stdout, _) = version().await;
    assert!(stdout.ends_with(&clean) && stdout.contains("RemovedInAirflow3Warning"));
    noise.next(1, Noise::Stderr);
    assert!(version().await.1.contains("graphviz"));
    noise.next(1, Noise::Huge(1 << 20));
    assert!(version().await.0.len() > 1 << 20);
    noise.next(1, Noise::Empty);
    assert_eq!(version().await, (String::new(), String::new()));
    noise.next(1, Noise::Ansi);
    assert!(version().await.0.contains("\u{1b}[34m"));
}

#[tokio::test]
async fn only_a_valid_certificate_is_accepted() {
    for certificate in [
        CertificateForm::Expired,
        CertificateForm::NotYetValid,
        CertificateForm::SelfSigned,
        CertificateForm::UnknownCa,
        CertificateForm::WrongName,
    ] {
        let emulator = start(Settings {
            certificate,
            ..Settings::default()
        })
        .await;
        let refused = tls(&emulator, &emulator.host("demo").unwrap()).await;
        assert!(refused.is_err(), "{certificate:?}");
    }
    let seed = Seed {
        custom_domain: Some("airflow.corp.example".to_owned()),
        ..Seed::default()
    };
    let emulator = start(Settings {
        environments: vec![seed],
        ..Settings::default()
    })
    .await;
    assert!(tls(&emulator, "airflow.corp.example").await.is_ok());
}

#[tokio::test]
async fn a_real_program_runs_with_the_split_words() {
    let airflow_bin = Some("/bin/echo".into());
    let emulator = start(Settings {
        airflow_bin,
        ..Settings::default()
    })
    .await;
    let token = cli_token(&emulator, "demo").await;
    let command = r#"variables set k '{"a":  "b c"}' $HOME"#;
    let answer = run(&emulator, "demo", Some(&token), command).await.unwrap();
    let printed = "variables set k {\"a\":  \"b c\"} $HOME\n".to_owned();
    assert_eq!(answer.streams(), (printed, String::new()));
}

#[tokio::test]
async fn dropping_the_emulator_frees_its_addresses() {
    let emulator = start(Settings::default()).await;
    let (aws, web) = (emulator.aws_addr(), emulator.web_addr());
    let mut stream = tls(&emulator, &emulator.host("demo").unwrap())
        .await
        .unwrap();
    drop(emulator);
    assert!(stream.read(&mut [0; 1]).await.is_err());
    let again = start(Settings {
        aws,
        web,
        ..Settings::default()
    })
    .await;
    assert_eq!((again.aws_addr(), again.web_addr()), (aws, web));
}

#[tokio::test]
async fn bad_settings_are_refused_in_words() {
    let twice = vec![Seed::default(), Seed::default()];
    let error = Emulator::start(Settings {
        environments: twice,
        ..Settings::default()
    })
    .await
    .unwrap_err();
    assert_eq!(
        error.to_string(),
        "environment name \"demo\" is not valid or stands there twice"
    );
    let taken = start(Settings::default()).await;
    let error = Emulator::start(Settings {
        aws: taken.aws_addr(),
        ..Settings::default()
    })
    .await
    .unwrap_err();
    assert!(
        error
            .to_string()
            .contains("AWS side can't listen on 127.0.0.1:"),
        "{error}"
    );
}

#[tokio::test]
async fn the_config_snippet_is_toml_with_every_environment() {
    let environments = vec![Seed::default(), Seed::new("other", "2.10.3")];
    let emulator = start(Settings {
        environments,
        ..Settings::default()
    })
    .await;
    let text = emulator.config_toml(Path::new("/tmp/a \"b\".pem"));
    let config: toml::Table = text.parse().unwrap();
    assert_eq!(
        config["aws"]["endpoint_url"].as_str(),
        Some(emulator.endpoint_url().as_str())
    );
    assert_eq!(
        config["environments"]["other"]["ca_file"].as_str(),
        Some("/tmp/a \"b\".pem")
    );
    assert_eq!(
        config["environments"]["demo"]["connect_to"].as_str(),
        Some(emulator.web_addr().to_string().as_str())
    );
}
