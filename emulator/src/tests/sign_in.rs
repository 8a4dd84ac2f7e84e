//! From CreateWebLoginToken to a session: roles, the login routes, the SSO page.

use std::time::Duration;

use super::super::identity::{Credential, Role};
use super::super::{ControlFault, LoginForm, Seed, Settings, TokenKind, WebFault};
use super::browser::{FORM, ask, post_token, sign_in, web_token};
use super::client::{Signing, call, cli_token, start};

#[tokio::test]
async fn a_web_login_token_answers_for_the_caller_s_role() {
    let emulator = start(Settings::default()).await;
    for role in Role::ALL {
        let signing = Signing {
            role,
            ..Signing::default()
        };
        let answer = call(&emulator, "POST", "/webtoken/demo", signing).await;
        let body = answer.json();
        assert_eq!(body["IamIdentity"], format!("assumed-role/{role}/emulator"));
        assert_eq!(body["AirflowIdentity"], format!("assumed-role/{role}"));
        assert_eq!(body.as_object().unwrap().len(), 4);
    }
    assert_eq!(emulator.journal().mints(TokenKind::Web), 5);
    let script = emulator.script();
    script.web_login_identity.next(1, "user/eve".to_owned());
    script.web_login_fault.next(1, ControlFault::Throttling);
    cli_token(&emulator, "demo").await;
    let web = async || call(&emulator, "POST", "/webtoken/demo", Signing::default()).await;
    assert_eq!(web().await.status, 400);
    assert_eq!(web().await.json()["AirflowIdentity"], "user/eve");
    assert_eq!(web().await.json()["AirflowIdentity"], "assumed-role/Admin");
}

#[tokio::test]
async fn a_caller_without_a_role_gets_no_web_token_but_a_cli_token() {
    let credential = Credential {
        access_key_id: "AKIANOBODY".to_owned(),
        secret_access_key: "secret".to_owned(),
        role: None,
        ..Credential::default()
    };
    let emulator = start(Settings {
        credentials: vec![credential],
        ..Settings::default()
    })
    .await;
    let answer = call(&emulator, "POST", "/webtoken/demo", Signing::default()).await;
    assert_eq!(answer.status, 403);
    assert_eq!(
        answer.header("x-amzn-errortype"),
        Some("AccessDeniedException")
    );
    assert_eq!(answer.json()["Message"], "No Airflow role granted in IAM.");
    cli_token(&emulator, "demo").await;
}

#[tokio::test]
async fn each_major_has_its_login_route_and_its_cookies() {
    let emulator = start(Settings {
        environments: vec![
            Seed::new("two", "2.10.3"),
            Seed::new("old3", "3.0.6"),
            Seed::new("new3", "3.3.2"),
        ],
        ..Settings::default()
    })
    .await;
    let two = sign_in(&emulator, "two", Role::Admin).await;
    let line = two.cookie_line("session").unwrap();
    for attribute in [
        "; Expires=",
        "; Secure",
        "; HttpOnly",
        "; Path=/",
        "; SameSite=Lax",
    ] {
        assert!(line.contains(attribute), "{line}");
    }
    assert!(two.cookie("_token").is_none());
    let old = sign_in(&emulator, "old3", Role::Admin).await;
    let new = sign_in(&emulator, "new3", Role::Admin).await;
    assert!(!old.cookie_line("_token").unwrap().contains("HttpOnly"));
    assert!(new.cookie_line("_token").unwrap().contains("; HttpOnly"));
    for answer in [&old, &new] {
        assert!(answer.cookie("session").is_some());
        let header = jsonwebtoken::decode_header(answer.cookie("_token").unwrap()).unwrap();
        assert_eq!(header.alg, jsonwebtoken::Algorithm::HS512);
    }
    for (environment, path) in [
        ("two", "/pluginsv2/aws_mwaa/login"),
        ("old3", "/aws_mwaa/login"),
        ("new3", "/aws_mwaa/login"),
    ] {
        let token = web_token(&emulator, environment, Role::Admin).await;
        let line = format!("POST {path}");
        let body = format!("token={token}");
        let answer = ask(&emulator, environment, &line, &[FORM], &body).await;
        assert_eq!(answer.status, 404, "{environment}");
    }
    let get = ask(&emulator, "two", "GET /aws_mwaa/login", &[], "").await;
    assert_eq!(get.status, 405);
}

#[tokio::test]
async fn a_token_that_is_not_good_here_signs_nobody_in() {
    let emulator = start(Settings {
        environments: vec![Seed::default(), Seed::new("other", "2.10.3")],
        ..Settings::default()
    })
    .await;
    let said = async |environment: &str, token: &str| {
        let answer = post_token(&emulator, environment, token).await;
        assert_eq!(answer.status, 403);
        assert!(answer.cookie("session").is_none());
        let text = answer.body.split("<p>").nth(1).unwrap();
        text.split("</p>").next().unwrap().to_owned()
    };
    let cli = cli_token(&emulator, "demo").await;
    assert_eq!(said("demo", &cli).await, "token is not for this endpoint");
    assert_eq!(said("demo", "nonsense").await, "invalid token");
    let web = web_token(&emulator, "demo", Role::Admin).await;
    assert_eq!(
        said("other", &web).await,
        "token is not for this environment"
    );
    let none = ask(&emulator, "demo", "POST /aws_mwaa/login", &[FORM], "x=y").await;
    assert_eq!(none.status, 403);
    assert!(none.body.contains("no token"));
    assert_eq!(post_token(&emulator, "demo", &web).await.status, 200);
    assert_eq!(post_token(&emulator, "demo", &web).await.status, 200);
    emulator.script().advance_clock(Duration::from_mins(1));
    assert_eq!(said("demo", &web).await, "token expired");
}

#[tokio::test]
async fn a_strict_emulator_takes_a_web_token_once() {
    let emulator = start(Settings {
        single_use_web_tokens: true,
        ..Settings::default()
    })
    .await;
    let token = web_token(&emulator, "demo", Role::Admin).await;
    assert_eq!(post_token(&emulator, "demo", &token).await.status, 200);
    assert_eq!(emulator.journal().logins(), 1);
    let again = post_token(&emulator, "demo", &token).await;
    assert_eq!(again.status, 403);
    assert!(again.body.contains("token already used"));
    assert_eq!(emulator.journal().logins(), 1);
}

#[tokio::test]
async fn a_login_redirects_or_fails_as_it_is_told() {
    let emulator = start(Settings {
        login_form: LoginForm::Redirect,
        ..Settings::default()
    })
    .await;
    let host = emulator.host("demo").unwrap();
    let token = web_token(&emulator, "demo", Role::Admin).await;
    let answer = post_token(&emulator, "demo", &token).await;
    assert_eq!(answer.status, 302);
    assert_eq!(
        answer.header("location"),
        Some(format!("https://{host}/home").as_str())
    );
    assert!(answer.cookie("session").is_some());
    let script = emulator.script();
    script.login_fault.next(1, WebFault::html(502));
    assert_eq!(post_token(&emulator, "demo", &token).await.status, 502);
    script.login_form.next(1, LoginForm::Direct);
    script.login_without_cookie.next(1, ());
    let answer = post_token(&emulator, "demo", &token).await;
    assert_eq!((answer.status, answer.cookie("session")), (200, None));
    // a fault of the login is no other request's
    script.login_fault.next(1, WebFault::html(502));
    let health = ask(&emulator, "demo", "GET /health", &[], "").await;
    assert_eq!(health.status, 200);
}

#[tokio::test]
async fn the_sso_page_posts_the_fragment_and_a_token_in_a_url_is_noticed() {
    let emulator = start(Settings {
        environments: vec![Seed::default(), Seed::new("three", "3.0.6")],
        ..Settings::default()
    })
    .await;
    for (environment, path) in [
        ("demo", "/aws_mwaa/aws-console-sso"),
        ("three", "/aws_mwaa/aws-console-sso"),
        ("three", "/pluginsv2/aws_mwaa/aws-console-sso"),
    ] {
        let line = format!("GET {path}?login=true");
        let page = ask(&emulator, environment, &line, &[], "").await;
        assert_eq!(page.status, 200);
        let routes = "[\"/aws_mwaa/login\", \"/pluginsv2/aws_mwaa/login\"]";
        for part in ["location.hash", "history.replaceState", routes] {
            assert!(page.body.contains(part), "{part}");
        }
        let line = format!("GET {path}");
        let without = ask(&emulator, environment, &line, &[], "").await;
        assert_eq!(without.status, 302);
        assert!(
            without
                .header("location")
                .unwrap()
                .contains(".console.aws.amazon.com/")
        );
    }
    let journal = emulator.journal();
    assert!(
        journal
            .web_requests()
            .iter()
            .all(|request| !request.token_in_url)
    );
    let token = web_token(&emulator, "demo", Role::Admin).await;
    let line = format!("GET /aws_mwaa/aws-console-sso?login=true&token={token}");
    ask(&emulator, "demo", &line, &[], "").await;
    let referer = [("Referer", format!("https://x/?a={token}"))];
    let referer = referer
        .each_ref()
        .map(|(name, value)| (*name, value.as_str()));
    ask(&emulator, "demo", "GET /health", &referer, "").await;
    let seen = journal.web_requests();
    assert_eq!(
        seen.iter().filter(|request| request.token_in_url).count(),
        2
    );
}
