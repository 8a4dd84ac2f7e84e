//! The page of both dialects, the forms of Airflow 2, and the roles that may see and send them.

use super::super::identity::Role;
use super::super::{Emulator, Seed, Settings};
use super::browser::{FORM, ask, sign_in};
use super::client::{Answer, start};

async fn emulator(version: &str) -> Emulator {
    start(Settings {
        environments: vec![Seed {
            past_days: 3,
            ..Seed::new("demo", version)
        }],
        ..Settings::default()
    })
    .await
}

/// Somebody with the pages of Airflow 2 before them.
struct Person<'a> {
    emulator: &'a Emulator,
    cookie: String,
    host: String,
}

impl<'a> Person<'a> {
    async fn new(emulator: &'a Emulator, role: Role) -> Self {
        let answer = sign_in(emulator, "demo", role).await;
        Self {
            emulator,
            cookie: format!("session={}", answer.cookie("session").unwrap()),
            host: emulator.host("demo").unwrap(),
        }
    }

    async fn get(&self, path: &str) -> Answer {
        let line = format!("GET {path}");
        ask(
            self.emulator,
            "demo",
            &line,
            &[("Cookie", &self.cookie)],
            "",
        )
        .await
    }

    /// Posts a form; `more` are headers beside the cookie and the content type.
    async fn post(&self, path: &str, more: &[(&str, &str)], body: &str) -> Answer {
        let mut headers = vec![("Cookie", self.cookie.as_str()), FORM];
        headers.extend(more);
        ask(
            self.emulator,
            "demo",
            &format!("POST {path}"),
            &headers,
            body,
        )
        .await
    }

    fn referer(&self) -> String {
        format!("https://{}/home", self.host)
    }

    async fn csrf(&self) -> String {
        let page = self.get("/home").await;
        let (_, rest) = page
            .body
            .split_once("name=\"csrf-token\" content=\"")
            .unwrap();
        rest.split_once('"').unwrap().0.to_owned()
    }
}

#[tokio::test]
async fn a_form_of_airflow_2_needs_its_token_and_its_referrer() {
    let emulator = emulator("2.10.3").await;
    let admin = Person::new(&emulator, Role::Admin).await;
    let other = Person::new(&emulator, Role::Admin).await;
    let (csrf, foreign, referer) = (admin.csrf().await, other.csrf().await, admin.referer());
    let path = "/paused?is_paused=true&dag_id=lab_hello";
    let own = [("Referer", referer.as_str())];
    let elsewhere = format!("{referer}.evil.example/");
    let elsewhere = elsewhere.replace("/home", "");
    for (headers, said) in [
        (vec![own[0]], "token is missing"),
        (vec![own[0], ("X-CSRFToken", "nonsense")], "do not match"),
        (vec![own[0], ("X-CSRFToken", &foreign)], "do not match"),
        (
            vec![("X-CSRFToken", csrf.as_str())],
            "referrer header is missing",
        ),
        (
            vec![("X-CSRFToken", csrf.as_str()), ("Referer", &elsewhere)],
            "referrer does not match",
        ),
    ] {
        let refused = admin.post(path, &headers, "").await;
        assert_eq!(refused.status, 400, "{said}");
        assert!(refused.body.contains(said), "{}", refused.body);
    }
    let good = [own[0], ("X-CSRFToken", csrf.as_str())];
    assert_eq!(admin.post(path, &good, "").await.status, 200);
    let dag = admin.get("/api/v1/dags/lab_hello").await.json();
    assert_eq!(dag["is_paused"], true);
    // in the body it counts as well
    let body = format!("csrf_token={csrf}");
    let resumed = admin.post("/paused?dag_id=lab_hello", &own, &body).await;
    assert_eq!(resumed.status, 200);
    let dag = admin.get("/api/v1/dags/lab_hello").await.json();
    assert_eq!(dag["is_paused"], false);
    let missing = admin.post("/nowhere", &[], "").await;
    assert_eq!(missing.status, 404);
}

#[tokio::test]
async fn pages_are_for_those_with_a_role_and_users_for_admins() {
    let emulator = emulator("2.10.3").await;
    for (role, home, users) in [
        (Role::Admin, 200, 200),
        (Role::Op, 200, 403),
        (Role::Viewer, 200, 403),
        (Role::Public, 403, 403),
    ] {
        let person = Person::new(&emulator, role).await;
        assert_eq!(person.get("/home").await.status, home, "{role}");
        assert_eq!(person.get("/users/list/").await.status, users, "{role}");
    }
    let viewer = Person::new(&emulator, Role::Viewer).await;
    let (csrf, referer) = (viewer.csrf().await, viewer.referer());
    let headers = [("X-CSRFToken", csrf.as_str()), ("Referer", &referer)];
    let refused = viewer.post("/paused?dag_id=lab_hello", &headers, "").await;
    assert_eq!(refused.status, 403);
}

#[tokio::test]
async fn airflow_3_has_one_page_for_nearly_any_path() {
    for (version, token) in [("3.0.6", "script"), ("3.3.2", "cookie")] {
        let emulator = emulator(version).await;
        let host = emulator.host("demo").unwrap();
        for path in [
            "/",
            "/dags/x/runs/y",
            "/login",
            "/robots.txt",
            "/favicon.ico",
        ] {
            let page = ask(&emulator, "demo", &format!("GET {path}"), &[], "").await;
            assert_eq!(page.status, 200, "{path}");
            let home = format!("href=\"https://{host}/\"");
            assert!(page.body.contains(&home), "{}", page.body);
            assert!(page.body.contains(&format!("data-token=\"{token}\"")));
        }
        assert_eq!(ask(&emulator, "demo", "POST /", &[], "").await.status, 405);
        let missing = ask(&emulator, "demo", "GET /static/nowhere.js", &[], "").await;
        assert_eq!(missing.status, 404);
    }
}

#[tokio::test]
async fn one_page_and_its_files_serve_both_dialects() {
    for (version, path, api) in [("2.10.3", "/home", "/api/v1"), ("3.3.2", "/", "/api/v2")] {
        let emulator = emulator(version).await;
        let login = sign_in(&emulator, "demo", Role::User).await;
        let cookies = ["session", "_token"]
            .map(|name| format!("{name}={}", login.cookie(name).unwrap_or_default()))
            .join("; ");
        let get = async |path: &str| {
            let line = format!("GET {path}");
            ask(&emulator, "demo", &line, &[("Cookie", &cookies)], "").await
        };
        let page = get(path).await;
        assert_eq!(
            page.header("content-type"),
            Some("text/html; charset=utf-8")
        );
        for part in [version, "assumed-role/User", &format!("data-api=\"{api}\"")] {
            assert!(page.body.contains(part), "{part}");
        }
        // every file that the page names is there
        let files: Vec<&str> = page
            .body
            .split('"')
            .filter(|part| part.starts_with("/static/"))
            .collect();
        assert_eq!(files.len(), 3, "{files:?}");
        for file in files {
            assert_eq!(get(file).await.status, 200, "{file}");
        }
    }
}

#[tokio::test]
async fn the_users_page_of_airflow_3_takes_the_other_cookie_only() {
    let emulator = emulator("3.0.6").await;
    let answer = sign_in(&emulator, "demo", Role::Admin).await;
    let bearer = format!("Bearer {}", answer.cookie("_token").unwrap());
    let flask = format!("session={}", answer.cookie("session").unwrap());
    let ui = async |path: &str, header: (&str, &str)| {
        ask(&emulator, "demo", &format!("GET {path}"), &[header], "").await
    };
    let by_token = ("Authorization", bearer.as_str());
    let by_cookie = ("Cookie", flask.as_str());
    assert_eq!(ui("/ui/config", by_cookie).await.status, 401);
    let users = ui("/auth/users/list/", by_cookie).await;
    assert_eq!(users.status, 200);
    assert!(users.body.contains("assumed-role/Viewer/emulator"));
    assert_eq!(ui("/auth/users/list/", by_token).await.status, 302);
    // a user without any rights still gets the configuration of the page
    let public = sign_in(&emulator, "demo", Role::Public).await;
    let bearer = format!("Bearer {}", public.cookie("_token").unwrap());
    let by_token = ("Authorization", bearer.as_str());
    assert_eq!(ui("/ui/config", by_token).await.status, 200);
}
