//! The AWS side, called as SDKs call it.

use std::time::Duration;

use super::super::{ControlFault, Credential, Seed, Settings, TokenKind};
use super::client::{Signing, call, dial, exchange, start};

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
        ..Credential::default()
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
    for (status, outcome) in [
        ("AVAILABLE", "SUCCESS"),
        ("MAINTENANCE", "PENDING"),
        ("UPDATE_FAILED", "FAILED"),
    ] {
        emulator.set_status("env-07", status);
        let update = &get("/environments/env-07").await.json()["Environment"]["LastUpdate"];
        assert_eq!(update["Status"], outcome);
        assert_eq!(update.get("Error").is_some(), outcome == "FAILED");
    }

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
