//! Logins with a web token, and how long the session counts, how its end shows, what renews it.

use std::time::Duration;

use super::super::identity::Role;
use super::super::{Emulator, LoginForm, Seed, Settings};
use super::client::{
    Answer, FORM, ask, cli_token, post_token, sign_in, start, version, web_token,
    with_environments,
};

const DAGS_2: &str = "GET /api/v1/dags";
const DAGS_3: &str = "GET /api/v2/dags";

async fn with_cookie(emulator: &Emulator, line: &str, cookie: &str) -> Answer {
    ask(emulator, "demo", line, &[("Cookie", cookie)], "").await
}

async fn with_bearer(emulator: &Emulator, line: &str, token: &str) -> Answer {
    let bearer = format!("Bearer {token}");
    ask(emulator, "demo", line, &[("Authorization", &bearer)], "").await
}

#[tokio::test]
async fn each_major_has_its_login_route_and_its_cookies() {
    for (number, other_route, cookie, attributes) in [
        (
            "2.10.3",
            "POST /pluginsv2/aws_mwaa/login",
            "session",
            &[
                "; Expires=",
                "; Secure",
                "; HttpOnly",
                "; Path=/",
                "; SameSite=Lax",
            ][..],
        ),
        ("3.0.6", "POST /aws_mwaa/login", "_token", &["; Secure"]),
        (
            "3.3.2",
            "POST /aws_mwaa/login",
            "_token",
            &["; Secure", "; HttpOnly"],
        ),
    ] {
        let emulator = version(number).await;
        let login = sign_in(&emulator, "demo", Role::Admin).await;
        let line = login.cookie_line(cookie).unwrap();
        for attribute in attributes {
            assert!(line.contains(attribute), "{line}");
        }
        assert_eq!(line.contains("HttpOnly"), number != "3.0.6");
        assert!(login.cookie("session").is_some());
        let body = format!("token={}", web_token(&emulator, "demo", Role::Admin).await);
        let other = ask(&emulator, "demo", other_route, &[FORM], &body).await;
        assert_eq!(other.status, 404, "{number}");
    }
}

#[tokio::test]
async fn a_token_that_is_not_good_here_logs_no_user_in() {
    let seeds = vec![Seed::default(), Seed::new("other", "2.10.3")];
    let emulator = start(Settings {
        single_use_web_tokens: true,
        ..with_environments(seeds)
    })
    .await;
    let refused = async |environment: &str, token: &str, text: &str| {
        let answer = post_token(&emulator, environment, token).await;
        assert_eq!(answer.status, 403);
        assert!(answer.cookie("session").is_none());
        assert!(answer.body.contains(text), "{text}: {}", answer.body);
    };
    let cli = cli_token(&emulator, "demo").await;
    let web = web_token(&emulator, "demo", Role::Admin).await;
    refused("demo", &cli, "token is not for this endpoint").await;
    refused("demo", "nonsense", "invalid token").await;
    refused("other", &web, "token is not for this environment").await;
    assert_eq!(post_token(&emulator, "demo", &web).await.status, 200);
    refused("demo", &web, "token already used").await;
    assert_eq!(emulator.journal().logins(), 1);
    let web = web_token(&emulator, "demo", Role::Admin).await;
    emulator.script().login_form.next(1, LoginForm::Redirect);
    assert_eq!(post_token(&emulator, "demo", &web).await.status, 302);
    emulator.script().advance_clock(Duration::from_mins(1));
    refused("demo", &web, "token expired").await;
}

#[tokio::test]
async fn airflow_2_takes_its_cookie_for_half_a_day() {
    let emulator = start(Settings::default()).await;
    let login = sign_in(&emulator, "demo", Role::Admin).await;
    let cookie = format!("other=1; session={}", login.cookie("session").unwrap());
    let rest = with_cookie(&emulator, DAGS_2, &cookie).await;
    assert_eq!((rest.status, rest.cookie("session")), (200, None));
    let bearer = with_bearer(&emulator, DAGS_2, login.cookie("session").unwrap()).await;
    assert_eq!(bearer.status, 401);

    emulator.script().advance_clock(Duration::from_hours(12));
    let dead = with_cookie(&emulator, DAGS_2, &cookie).await;
    assert_eq!(
        (dead.status, dead.json()["title"].as_str()),
        (401, Some("Unauthorized"))
    );
    assert_eq!(
        dead.header("content-type"),
        Some("application/problem+json")
    );
    let page = with_cookie(&emulator, "GET /home?a=b", &cookie).await;
    let host = emulator.host("demo").unwrap();
    let encoded = host.replace('.', "%2E").replace('-', "%2D");
    let next = format!("https%3A%2F%2F{encoded}%2Fhome%3Fa%3Db");
    let location = format!("https://{host}/login/?next={next}");
    assert_eq!(
        (page.status, page.header("location")),
        (302, Some(&*location))
    );

    // Airflow 2 gives every visitor a session, which is no login
    let anonymous = format!("session={}", page.cookie("session").unwrap());
    assert_eq!(with_cookie(&emulator, DAGS_2, &anonymous).await.status, 401);
    let login = with_cookie(&emulator, "GET /login/", &anonymous).await;
    assert!(
        login
            .header("location")
            .unwrap()
            .contains("console.aws.amazon.com")
    );
}

#[tokio::test]
async fn airflow_3_0_takes_only_the_bearer_and_3_1_the_cookie_too() {
    for (number, by_cookie) in [("3.0.6", 401), ("3.1.8", 200), ("3.3.2", 200)] {
        let emulator = version(number).await;
        let login = sign_in(&emulator, "demo", Role::Admin).await;
        let token = login.cookie("_token").unwrap();
        let cookie = format!("_token={token}");
        assert_eq!(with_bearer(&emulator, DAGS_3, token).await.status, 200);
        assert_eq!(
            with_cookie(&emulator, DAGS_3, &cookie).await.status,
            by_cookie
        );
        emulator.script().refuse_sessions.next(1, ());
        assert_eq!(with_bearer(&emulator, DAGS_3, token).await.status, 403);

        emulator.script().advance_clock(Duration::from_hours(12));
        for (answer, status, detail) in [
            (
                with_cookie(&emulator, DAGS_3, "a=b").await,
                401,
                "Not authenticated",
            ),
            (
                with_bearer(&emulator, DAGS_3, "x.y.z").await,
                403,
                "Invalid JWT token",
            ),
            (
                with_bearer(&emulator, DAGS_3, token).await,
                401,
                "Token Expired",
            ),
        ] {
            assert_eq!(
                (answer.status, answer.json()["detail"].as_str()),
                (status, Some(detail))
            );
        }
        let dead = with_cookie(&emulator, DAGS_3, &cookie).await;
        let cleared = dead
            .cookie_line("_token")
            .is_some_and(|line| line.contains("Max-Age=0"));
        assert_eq!(cleared, by_cookie == 200);
    }
}

#[tokio::test]
async fn a_logout_of_airflow_2_needs_a_token_and_a_referrer() {
    let emulator = start(Settings::default()).await;
    let host = emulator.host("demo").unwrap();
    let login = sign_in(&emulator, "demo", Role::Admin).await;
    let cookie = format!("session={}", login.cookie("session").unwrap());
    let home = with_cookie(&emulator, "GET /home", &cookie).await;
    let (_, csrf) = home
        .body
        .split_once("name=\"csrf_token\" value=\"")
        .unwrap();
    let csrf = csrf.split('"').next().unwrap();
    let (own, foreign) = (
        format!("https://{host}/home"),
        format!("https://{host}.evil/"),
    );
    for (token, referer, status) in [
        (None, &own, 400),
        (Some("wrong"), &own, 400),
        (Some(csrf), &foreign, 400),
        (Some(csrf), &own, 302),
    ] {
        assert_eq!(with_cookie(&emulator, DAGS_2, &cookie).await.status, 200);
        let headers = [("Cookie", &*cookie), FORM, ("Referer", referer)];
        let body = token
            .map(|token| format!("csrf_token={token}"))
            .unwrap_or_default();
        let out = ask(&emulator, "demo", "POST /logout/", &headers, &body).await;
        assert_eq!(out.status, status, "{token:?} {referer}");
    }
    assert_eq!(with_cookie(&emulator, DAGS_2, &cookie).await.status, 401);
}

#[tokio::test]
async fn airflow_3_redirects_only_to_its_own_host() {
    let emulator = version("3.0.6").await;
    let host = emulator.host("demo").unwrap();
    for (next, status) in [
        (&*format!("https://{host}/dags"), 307),
        ("/dags", 307),
        ("http://localhost:8080/dags", 400),
        ("//evil.example/", 400),
    ] {
        let line = format!("GET /api/v2/auth/login?next={next}");
        assert_eq!(
            ask(&emulator, "demo", &line, &[], "").await.status,
            status,
            "{next}"
        );
    }
}

#[tokio::test]
async fn a_token_in_a_url_is_noticed() {
    let emulator = start(Settings::default()).await;
    let token = web_token(&emulator, "demo", Role::Admin).await;
    let referer = format!("https://x/?a={token}");
    for (line, headers, expected) in [
        (
            "GET /aws_mwaa/aws-console-sso?login=true".to_owned(),
            vec![],
            false,
        ),
        (format!("GET /health?token={token}"), vec![], true),
        ("GET /health".to_owned(), vec![("Referer", &*referer)], true),
    ] {
        assert_eq!(
            ask(&emulator, "demo", &line, &headers, "").await.status,
            200
        );
        let seen = emulator.journal().web_requests();
        assert_eq!(seen.last().unwrap().token_in_url, expected, "{line}");
    }
}
