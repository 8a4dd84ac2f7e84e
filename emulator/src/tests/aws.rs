//! The AWS side, called as SDKs call it.

use std::time::Duration;

use super::super::identity::{Credential, Role};
use super::super::{Seed, Settings, TokenKind};
use super::client::{
    Answer, Signing, aws, call, dial, exchange, request, start, with_environments,
};

/// The status and the error type of an answer.
fn outcome(answer: &Answer) -> (u16, Option<&str>) {
    (answer.status, answer.header("x-amzn-errortype"))
}

#[tokio::test]
async fn signatures_are_verified() {
    let emulator = start(Settings::default()).await;
    type Spoil = fn(&mut Signing<'_>);
    let spoils: [(Spoil, &str); 5] = [
        (
            |signing| signing.secret = Some("wrong"),
            "InvalidSignatureException",
        ),
        (|signing| signing.service = "mwaa", "SignatureDoesNotMatch"),
        (
            |signing| signing.region = "us-east-1",
            "SignatureDoesNotMatch",
        ),
        (
            |signing| signing.age = Duration::from_mins(16),
            "RequestExpired",
        ),
        (
            |signing| signing.session_token = Some("x"),
            "UnrecognizedClientException",
        ),
    ];
    for (spoil, code) in spoils {
        let mut signing = Signing::default();
        spoil(&mut signing);
        let answer = call(&emulator, "POST /clitoken/demo", signing).await;
        assert_eq!(outcome(&answer), (403, Some(code)));
        assert!(answer.json()["message"].is_string());
    }
    let unsigned = request("POST /clitoken/demo", "x", &[], "");
    let answer = exchange(&mut dial(emulator.aws_addr()).await, &unsigned)
        .await
        .unwrap();
    assert_eq!(
        outcome(&answer),
        (403, Some("MissingAuthenticationTokenException"))
    );
    assert_eq!(emulator.journal().mints(TokenKind::Cli), 0);
    let young = Signing {
        age: Duration::from_mins(14),
        ..Signing::default()
    };
    assert_eq!(
        call(&emulator, "POST /clitoken/demo", young).await.status,
        200
    );
}

#[tokio::test]
async fn the_operations_and_their_errors_follow_the_model() {
    let seeds = (0..30).map(|index| Seed::new(&format!("env-{index:02}"), "3.0.6"));
    let emulator = start(with_environments(seeds.collect())).await;
    let get = async |path: &str| aws(&emulator, &format!("GET {path}")).await.json();
    for (status, outcome) in [
        ("AVAILABLE", "SUCCESS"),
        ("MAINTENANCE", "PENDING"),
        ("UPDATE_FAILED", "FAILED"),
    ] {
        assert!(emulator.set_status("env-07", status));
        let described = &get("/environments/env-07").await["Environment"];
        assert_eq!(described["Status"], status);
        assert_eq!(described["LastUpdate"]["Status"], outcome);
        assert_eq!(described["AirflowVersion"], "3.0.6");
        assert_eq!(
            described["WebserverUrl"].as_str(),
            emulator.host("env-07").as_deref()
        );
    }

    let first = get("/environments").await;
    assert_eq!(first["Environments"].as_array().unwrap().len(), 25);
    let next = first["NextToken"].as_str().unwrap();
    let rest = get(&format!("/environments?MaxResults=5&NextToken={next}")).await;
    assert_eq!(rest["Environments"][0], "env-25");
    assert!(rest.get("NextToken").is_none());
    // page:18446744073709551615
    let last = get("/environments?NextToken=cGFnZToxODQ0Njc0NDA3MzcwOTU1MTYxNQ").await;
    assert_eq!(last, serde_json::json!({ "Environments": [] }));

    for (line, status, code) in [
        (
            "GET /environments?MaxResults=26",
            400,
            "ValidationException",
        ),
        ("GET /environments?NextToken=x", 400, "ValidationException"),
        ("GET /environments/nosuch", 404, "ResourceNotFoundException"),
        ("POST /clitoken/nosuch", 404, "ResourceNotFoundException"),
        ("POST /clitoken/1nvalid", 400, "ValidationException"),
        ("POST /clitoken/a%2Fb", 400, "ValidationException"),
        (
            "DELETE /environments/env-07",
            404,
            "UnknownOperationException",
        ),
    ] {
        let answer = aws(&emulator, line).await;
        assert_eq!(outcome(&answer), (status, Some(code)), "{line}");
        assert!(answer.header("x-amzn-requestid").is_some());
    }
}

#[tokio::test]
async fn a_web_login_token_is_for_the_role_of_the_caller() {
    let mut seen = Vec::new();
    for role in Role::ALL.map(Some).into_iter().chain([None]) {
        let credential = Credential {
            access_key_id: "ASIAEXAMPLE".to_owned(),
            secret_access_key: "secret".to_owned(),
            session_token: Some("session".to_owned()),
            iam_identity: "assumed-role/some/one".to_owned(),
            role,
        };
        let emulator = start(Settings {
            credentials: vec![credential],
            ..Settings::default()
        })
        .await;
        let signing = || Signing {
            session_token: Some("session"),
            ..Signing::default()
        };
        let web = call(&emulator, "POST /webtoken/demo", signing()).await;
        seen.push((web.status, web.json()));
        let cli = call(&emulator, "POST /clitoken/demo", signing()).await;
        assert_eq!(cli.status, 200, "{role:?}");
        assert_eq!(aws(&emulator, "POST /clitoken/demo").await.status, 403);
    }
    let (status, denied) = seen.pop().unwrap();
    assert_eq!(
        (status, &denied["Message"]),
        (403, &"No Airflow role granted in IAM.".into())
    );
    for (status, body) in seen {
        assert_eq!((status, body.as_object().unwrap().len()), (200, 4));
        assert_eq!(body["IamIdentity"], "assumed-role/some/one");
        assert_eq!(body["AirflowIdentity"], "assumed-role/some");
    }
}
