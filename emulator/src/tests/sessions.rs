//! How long a session counts, how its end shows, and what renews it.

use std::time::Duration;

use super::super::identity::Role;
use super::super::{DeadForm, Emulator, Seed, Settings};
use super::browser::{FORM, ask, sign_in};
use super::client::{Answer, start};

const DAGS_2: &str = "GET /api/v1/dags";
const DAGS_3: &str = "GET /api/v2/dags";

async fn three(version: &str) -> Emulator {
    start(Settings {
        environments: vec![Seed::new("demo", version)],
        ..Settings::default()
    })
    .await
}

async fn with_cookie(emulator: &Emulator, line: &str, cookie: &str) -> Answer {
    ask(emulator, "demo", line, &[("Cookie", cookie)], "").await
}

async fn with_bearer(emulator: &Emulator, line: &str, token: &str) -> Answer {
    let bearer = format!("Bearer {token}");
    ask(emulator, "demo", line, &[("Authorization", &bearer)], "").await
}

#[tokio::test]
async fn airflow_2_takes_its_cookie_for_half_a_day() {
    let emulator = start(Settings::default()).await;
    let host = emulator.host("demo").unwrap();
    let answer = sign_in(&emulator, "demo", Role::Admin).await;
    let cookie = format!("other=1; session={}", answer.cookie("session").unwrap());
    let rest = with_cookie(&emulator, DAGS_2, &cookie).await;
    assert_eq!((rest.status, rest.cookie("session")), (200, None));
    let page = with_cookie(&emulator, "GET /", &cookie).await;
    assert_eq!(page.cookie("session"), answer.cookie("session"));
    let bearer = with_bearer(&emulator, DAGS_2, answer.cookie("session").unwrap()).await;
    assert_eq!(bearer.status, 401);
    emulator.script().advance_clock(Duration::from_hours(12));
    let dead = with_cookie(&emulator, DAGS_2, &cookie).await;
    assert_eq!(dead.status, 401);
    assert_eq!(
        dead.header("content-type"),
        Some("application/problem+json")
    );
    assert_eq!(dead.json()["title"], "Unauthorized");
    let page = with_cookie(&emulator, "GET /home?a=b", &cookie).await;
    assert_eq!(page.status, 302);
    let next = format!(
        "https%3A%2F%2F{}%2Fhome%3Fa%3Db",
        host.replace('.', "%2E").replace('-', "%2D")
    );
    assert_eq!(
        page.header("location"),
        Some(format!("https://{host}/login/?next={next}").as_str())
    );
    // Airflow 2 gives everybody a session, which is no login
    let anonymous = page.cookie("session").unwrap();
    assert_ne!(Some(anonymous), answer.cookie("session"));
    let cookie = format!("session={anonymous}");
    assert_eq!(with_cookie(&emulator, DAGS_2, &cookie).await.status, 401);
    let login = with_cookie(&emulator, "GET /login/", &cookie).await;
    assert!(
        login
            .header("location")
            .unwrap()
            .contains("console.aws.amazon.com")
    );
    let moved = with_cookie(&emulator, "GET /login", &cookie).await;
    assert_eq!(moved.status, 308);
}

#[tokio::test]
async fn airflow_3_0_takes_only_the_bearer_and_3_3_the_cookie_too() {
    for (version, by_cookie) in [("3.0.6", 401), ("3.1.8", 200), ("3.3.2", 200)] {
        let emulator = three(version).await;
        let answer = sign_in(&emulator, "demo", Role::Admin).await;
        let token = answer.cookie("_token").unwrap();
        let cookie = format!("_token={token}");
        assert_eq!(with_bearer(&emulator, DAGS_3, token).await.status, 200);
        let seen = with_cookie(&emulator, DAGS_3, &cookie).await;
        assert_eq!(seen.status, by_cookie, "{version}");
        let none = ask(&emulator, "demo", DAGS_3, &[], "").await;
        assert_eq!(
            (none.status, none.json()["detail"].as_str()),
            (401, Some("Not authenticated"))
        );
        let garbled = with_bearer(&emulator, DAGS_3, "x.y.z").await;
        assert_eq!(
            (garbled.status, garbled.json()["detail"].as_str()),
            (403, Some("Invalid JWT token"))
        );
        emulator.script().advance_clock(Duration::from_hours(12));
        let dead = with_bearer(&emulator, DAGS_3, token).await;
        assert_eq!(
            (dead.status, dead.json()["detail"].as_str()),
            (401, Some("Token Expired"))
        );
        let dead = with_cookie(&emulator, DAGS_3, &cookie).await;
        let cleared = dead
            .cookie_line("_token")
            .is_some_and(|line| line.contains("Max-Age=0"));
        assert_eq!(cleared, by_cookie == 200);
    }
}

#[tokio::test]
async fn a_killed_session_and_one_that_is_refused_look_the_same() {
    let emulator = three("3.0.6").await;
    let script = emulator.script();
    let answer = sign_in(&emulator, "demo", Role::Admin).await;
    let token = answer.cookie("_token").unwrap();
    let status = async || with_bearer(&emulator, DAGS_3, token).await.status;
    script.refuse_sessions.next(1, ());
    assert_eq!([status().await, status().await], [403, 200]);
    script.kill_sessions();
    assert_eq!(status().await, 403);
    let again = sign_in(&emulator, "demo", Role::Admin).await;
    let token = again.cookie("_token").unwrap();
    assert_eq!(with_bearer(&emulator, DAGS_3, token).await.status, 200);
}

#[tokio::test]
async fn the_end_of_a_session_takes_any_form() {
    for (version, rest, login) in [
        ("2.10.3", DAGS_2, "/login/?"),
        ("3.3.2", DAGS_3, "/auth/login/?"),
    ] {
        let emulator = three(version).await;
        let form = &emulator.script().dead_form;
        for (dead, status, location) in [
            (DeadForm::Unauthorized, 401, None),
            (DeadForm::Forbidden, 403, None),
            (DeadForm::LoginPage, 302, Some(login)),
            (DeadForm::AwsSignIn, 302, Some("console.aws.amazon.com/")),
        ] {
            form.next(1, dead);
            let answer = ask(&emulator, "demo", rest, &[], "").await;
            assert_eq!(answer.status, status, "{dead:?}");
            let given = answer.header("location").unwrap_or_default();
            assert!(given.contains(location.unwrap_or_default()), "{given}");
        }
    }
}

#[tokio::test]
async fn a_new_token_ends_the_old_one() {
    let emulator = three("3.3.2").await;
    let answer = sign_in(&emulator, "demo", Role::Admin).await;
    let old = answer.cookie("_token").unwrap();
    emulator.script().reissue_token.next(1, ());
    let turned = with_bearer(&emulator, DAGS_3, old).await;
    assert_eq!(turned.status, 200);
    let new = turned.cookie("_token").unwrap();
    assert_eq!(with_bearer(&emulator, DAGS_3, old).await.status, 403);
    let after = with_bearer(&emulator, DAGS_3, new).await;
    assert_eq!((after.status, after.cookie("_token")), (200, None));
}

#[tokio::test]
async fn signing_out_needs_a_form_in_airflow_2_and_a_link_in_airflow_3() {
    let emulator = start(Settings::default()).await;
    let host = emulator.host("demo").unwrap();
    let answer = sign_in(&emulator, "demo", Role::Admin).await;
    let cookie = format!("session={}", answer.cookie("session").unwrap());
    assert_eq!(
        with_cookie(&emulator, "GET /logout/", &cookie).await.status,
        405
    );
    let home = with_cookie(&emulator, "GET /home", &cookie).await;
    let csrf = home
        .body
        .split("name=\"csrf_token\" value=\"")
        .nth(1)
        .unwrap();
    let csrf = csrf.split('"').next().unwrap();
    let referer = format!("https://{host}/home");
    let post = async |token: &str, referer: &str| {
        let headers = [("Cookie", cookie.as_str()), FORM, ("Referer", referer)];
        let body = format!("csrf_token={token}");
        ask(&emulator, "demo", "POST /logout/", &headers, &body).await
    };
    assert_eq!(post("wrong", &referer).await.status, 400);
    assert_eq!(post(csrf, "https://elsewhere.example/").await.status, 400);
    let out = post(csrf, &referer).await;
    assert_eq!(
        out.header("location"),
        Some(format!("https://{host}/login/").as_str())
    );
    assert_eq!(with_cookie(&emulator, DAGS_2, &cookie).await.status, 401);

    for (version, after) in [("3.0.6", 200), ("3.3.2", 403)] {
        let emulator = three(version).await;
        let answer = sign_in(&emulator, "demo", Role::Admin).await;
        let token = answer.cookie("_token").unwrap();
        let out = with_bearer(&emulator, "GET /api/v2/auth/logout", token).await;
        assert_eq!(out.status, 307);
        assert!(out.cookie_line("_token").unwrap().contains("Max-Age=0"));
        assert_eq!(with_bearer(&emulator, DAGS_3, token).await.status, after);
    }
}

#[tokio::test]
async fn who_has_lost_the_token_gets_another_for_the_other_cookie() {
    let emulator = three("3.0.6").await;
    let host = emulator.host("demo").unwrap();
    let answer = sign_in(&emulator, "demo", Role::Viewer).await;
    let cookie = format!("session={}", answer.cookie("session").unwrap());
    let login = with_cookie(&emulator, "GET /auth/login/", &cookie).await;
    assert_eq!(
        login.header("location"),
        Some(format!("https://{host}/").as_str())
    );
    for token in [login.cookie("_token"), answer.cookie("_token")] {
        let dags = with_bearer(&emulator, DAGS_3, token.unwrap()).await;
        assert_eq!(dags.status, 200);
    }
    let none = ask(&emulator, "demo", "GET /auth/login/", &[], "").await;
    let away = none.header("location").unwrap();
    assert!(away.contains("console.aws.amazon.com"), "{away}");
}

#[tokio::test]
async fn airflow_3_sends_back_only_to_its_own_host() {
    let emulator = three("3.0.6").await;
    let host = emulator.host("demo").unwrap();
    for (next, status) in [
        (format!("https://{host}/dags"), 307),
        ("/dags".to_owned(), 307),
        ("http://localhost:8080/dags".to_owned(), 400),
        ("//evil.example/".to_owned(), 400),
    ] {
        let line = format!("GET /api/v2/auth/login?next={next}");
        assert_eq!(
            ask(&emulator, "demo", &line, &[], "").await.status,
            status,
            "{next}"
        );
    }
}
