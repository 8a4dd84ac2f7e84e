//! The pages of both dialects, what they post and poll, and who may.

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
    // in the body it counts as well, and its bearer is sent back to the page the form names
    let body = format!("csrf_token={csrf}&origin=/home");
    let sent = admin.post("/dags/lab_hello/trigger", &own, &body).await;
    let home = format!("https://{}/home", admin.host);
    assert_eq!(
        (sent.status, sent.header("location")),
        (302, Some(home.as_str()))
    );
    let body = format!("csrf_token={csrf}&origin=//evil.example");
    let sent = admin.post("/dags/lab_hello/trigger", &own, &body).await;
    assert!(
        sent.header("location")
            .unwrap()
            .ends_with("/dags/lab_hello/grid")
    );
    let missing = admin.post("/nowhere", &[], "").await;
    assert_eq!(missing.status, 404);
}

#[tokio::test]
async fn airflow_2_shows_dags_a_grid_that_polls_and_logs() {
    let emulator = emulator("2.10.3").await;
    let user = Person::new(&emulator, Role::User).await;
    let home = user.get("/home").await;
    assert_eq!(
        home.header("content-type"),
        Some("text/html; charset=utf-8")
    );
    for part in [
        "example_etl",
        "assumed-role/User",
        "/static/emulator/two.js",
    ] {
        assert!(home.body.contains(part), "{part}");
    }
    assert_eq!(user.get("/dags/example_etl/grid").await.status, 200);
    let grid = user
        .get("/object/grid_data?dag_id=example_etl&num_runs=2")
        .await
        .json();
    let runs = grid["dag_runs"].as_array().unwrap();
    assert_eq!(runs.len(), 2);
    assert!(runs[0]["execution_date"].as_str() < runs[1]["execution_date"].as_str());
    assert_eq!(grid["groups"]["children"][2]["id"], "load");
    assert_eq!(
        grid["groups"]["children"][2]["instances"][1]["state"],
        "success"
    );
    let run = runs[1]["run_id"].as_str().unwrap().replace('+', "%2B");
    let query = format!("dag_id=example_etl&run_id={run}&task_id=load");
    assert!(
        user.get(&format!("/log?{query}"))
            .await
            .body
            .contains("loading")
    );
    let file = user
        .get(&format!("/get_logs_with_metadata?{query}&format=file"))
        .await;
    assert_eq!(file.header("transfer-encoding"), Some("chunked"));
    assert!(file.body.contains("loading"));
    let log = user
        .get(&format!("/get_logs_with_metadata?{query}"))
        .await
        .json();
    assert_eq!(log["metadata"]["end_of_log"], true);
    let (csrf, referer) = (user.csrf().await, user.referer());
    let headers = [("X-CSRFToken", csrf.as_str()), ("Referer", &referer)];
    let stats = user
        .post("/dag_stats", &headers, "dag_ids=example_etl")
        .await
        .json();
    let runs: u64 = stats["example_etl"]
        .as_array()
        .unwrap()
        .iter()
        .map(|stat| stat["count"].as_u64().unwrap())
        .sum();
    assert_eq!(runs, 4);
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
    let refused = viewer.post("/dags/lab_hello/trigger", &headers, "").await;
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
            let base = format!("<base href=\"https://{host}/\">");
            assert!(page.body.contains(&base), "{}", page.body);
            assert!(page.body.contains(&format!("data-token=\"{token}\"")));
        }
        assert_eq!(ask(&emulator, "demo", "POST /", &[], "").await.status, 405);
        let missing = ask(&emulator, "demo", "GET /static/nowhere.js", &[], "").await;
        assert_eq!(missing.status, 404);
    }
}

#[tokio::test]
async fn airflow_3_s_page_asks_with_its_token_and_its_frame_with_the_other_cookie() {
    let emulator = emulator("3.0.6").await;
    let answer = sign_in(&emulator, "demo", Role::Admin).await;
    let bearer = format!("Bearer {}", answer.cookie("_token").unwrap());
    let flask = format!("session={}", answer.cookie("session").unwrap());
    let ui = async |path: &str, header: (&str, &str)| {
        ask(&emulator, "demo", &format!("GET {path}"), &[header], "").await
    };
    let by_token = ("Authorization", bearer.as_str());
    let by_cookie = ("Cookie", flask.as_str());
    let me = ui("/ui/auth/me", by_token).await.json();
    assert_eq!(
        (me["username"].as_str(), me["role"].as_str()),
        (Some("assumed-role/Admin"), Some("Admin"))
    );
    let dags = ui("/ui/dags?dag_runs_limit=2", by_token).await.json();
    assert_eq!(
        dags["dags"][1]["latest_dag_runs"].as_array().unwrap().len(),
        2
    );
    let grid = ui("/ui/grid/example_etl?limit=3", by_token).await.json();
    assert_eq!(grid["runs"].as_array().unwrap().len(), 3);
    assert_eq!(grid["runs"][0]["task_instances"][0]["task_id"], "extract");
    assert_eq!(ui("/ui/dags", by_cookie).await.status, 401);
    let users = ui("/auth/users/list/", by_cookie).await;
    assert_eq!(users.status, 200);
    assert!(users.body.contains("assumed-role/Viewer/emulator"));
    assert_eq!(users.header("x-frame-options"), None);
    assert_eq!(ui("/auth/users/list/", by_token).await.status, 302);
    // who has no rights still learns how the page is set up
    let public = sign_in(&emulator, "demo", Role::Public).await;
    let bearer = format!("Bearer {}", public.cookie("_token").unwrap());
    let by_token = ("Authorization", bearer.as_str());
    assert_eq!(ui("/ui/config", by_token).await.status, 200);
    assert_eq!(ui("/ui/dags", by_token).await.status, 403);
}
