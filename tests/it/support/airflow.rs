//! Asking an environment's Airflow through the gateway, and what its web server saw of it.

use super::{Harness, Response};
use mwaa_emulator::{Seed, Settings, TokenKind, WebRequest};
use std::net::SocketAddr;

/// The three ways of Airflow to recognise a session.
pub(crate) const VERSIONS: [&str; 3] = ["2.10.3", "3.0.6", "3.3.1"];

impl Harness {
    /// One environment of this version, which the gateway need not ask AWS for.
    pub(crate) async fn airflow(version: &str) -> Self {
        Self::airflow_with(Settings::default(), version, "").await
    }

    /// The same with other settings and `extra` TOML.
    pub(crate) async fn airflow_with(settings: Settings, version: &str, extra: &str) -> Self {
        let settings = Settings {
            environments: vec![Seed::new("demo", version)],
            ..settings
        };
        let extra = format!(
            "environments.demo.airflow_version = \"{version}\"\nlimits.threads = 1\n{extra}"
        );
        Self::with(settings, &extra).await
    }

    /// The bytes of a request without a body; each header field with its line's end.
    pub(crate) fn asking(&self, method: &str, target: &str, headers: &str) -> String {
        format!(
            "{method} {target} HTTP/1.1\r\nHost: {}\r\n{headers}\r\n",
            self.address()
        )
    }

    /// The bytes of a request with a body of known length.
    pub(crate) fn sending(
        &self,
        method: &str,
        target: &str,
        headers: &str,
        body: &str,
    ) -> String {
        let length = format!("{headers}Content-Length: {}\r\n", body.len());
        self.asking(method, target, &length) + body
    }

    /// Asks on a connection of its own.
    pub(crate) async fn get(&self, target: &str) -> Response {
        self.get_with(target, "").await
    }

    /// The same with more header fields.
    pub(crate) async fn get_with(&self, target: &str, headers: &str) -> Response {
        let request = self.asking("GET", target, headers);
        self.connect().await.exchange(request).await
    }

    /// Pauses or resumes a DAG by the REST API: a write that can be seen to have happened.
    pub(crate) async fn pause(&self, api: &str, paused: bool) -> Response {
        let body = format!("{{\"is_paused\": {paused}}}");
        let target = format!("{api}/dags/{DAG}");
        let request = self.sending("PATCH", &target, JSON, &body);
        self.connect().await.exchange(request).await
    }

    /// The login posts that reached the web servers.
    pub(crate) fn logins(&self) -> Vec<WebRequest> {
        let mut seen = self.journal().web_requests();
        seen.retain(is_login);
        seen
    }

    /// What else reached them.
    pub(crate) fn reached(&self) -> Vec<WebRequest> {
        let mut seen = self.journal().web_requests();
        seen.retain(|request| !is_login(request));
        seen
    }

    /// How many web tokens were issued.
    pub(crate) fn web_mints(&self) -> usize {
        self.journal().mints(TokenKind::Web)
    }

    /// The listener of a single environment: `door` counts from one.
    pub(crate) fn door(&self, door: usize) -> SocketAddr {
        let (_, address) = self.urls()[door].split_once("://").unwrap();
        address.parse().unwrap()
    }
}

/// The base of the version's REST API.
pub(crate) fn api(version: &str) -> &'static str {
    if version.starts_with('2') {
        "/api/v1"
    } else {
        "/api/v2"
    }
}

fn is_login(request: &WebRequest) -> bool {
    request.target.ends_with("/aws_mwaa/login")
}

/// A DAG that every emulator has.
pub(crate) const DAG: &str = "example_etl";
/// A JSON body.
pub(crate) const JSON: &str = "Content-Type: application/json\r\n";
/// A person's click on a link of another site.
pub(crate) const FROM_ELSEWHERE: &str = "Sec-Fetch-Site: cross-site\r\nSec-Fetch-Mode: navigate\r\nSec-Fetch-Dest: document\r\nAccept: text/html\r\n";
/// A person who typed the address.
pub(crate) const TYPED: &str = "Sec-Fetch-Site: none\r\nSec-Fetch-Mode: navigate\r\nSec-Fetch-Dest: document\r\n\
    Sec-Fetch-User: ?1\r\nAccept: text/html\r\n";
/// Our own page's link.
pub(crate) const OWN: &str = "Sec-Fetch-Site: same-origin\r\nSec-Fetch-Mode: navigate\r\nSec-Fetch-Dest: document\r\nAccept: text/html\r\n";
