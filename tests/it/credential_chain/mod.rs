//! The AWS credential chain, link by link: the real program with one source of credentials, and
//! an AWS side that takes only what this source hands out.

mod failures;
mod givers;
mod hints;
mod links;
mod login;
mod sign_in;

use crate::program::{self, Running};
use crate::support::identity::IdentityServices;
use crate::support::{Client, Response, eventually};
use mwaa_emulator::{Credential, Emulator, Settings};
use std::net::SocketAddr;
use tempfile::TempDir;
use tokio::process::Command;

/// A home folder, the services that hand out keys, and an emulator that takes them.
struct World {
    keys: Credential,
    emulator: Emulator,
    identity: IdentityServices,
    home: TempDir,
}

/// A gateway that runs.
struct Serving {
    address: SocketAddr,
    _running: Running,
}

impl World {
    /// With keys that need their session token.
    async fn new() -> Self {
        Self::taking(Credential {
            access_key_id: "ASIAHANDEDOUT0000000".to_owned(),
            secret_access_key: "the-secret-of-the-session".to_owned(),
            session_token: Some("the-session-token".to_owned()),
            ..Credential::default()
        })
        .await
    }

    async fn taking(keys: Credential) -> Self {
        let settings = Settings {
            credentials: vec![keys.clone()],
            ..Settings::default()
        };
        Self {
            emulator: Emulator::start(settings).await.unwrap(),
            identity: IdentityServices::start(keys.clone()).await,
            home: tempfile::tempdir().unwrap(),
            keys,
        }
    }

    /// Writes a file below the home folder and returns its path.
    fn write(&self, path: &str, content: impl AsRef<[u8]>) -> String {
        let path = self.home.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, content).unwrap();
        path.to_str().unwrap().to_owned()
    }

    /// Leaves a token where `aws sso login` does. `name` is the SHA-1 of the session's name, or
    /// of the start URL in the old form.
    fn cache_sso(&self, name: &str, token: &str, expires: &str) {
        let content = serde_json::json!({"accessToken": token, "expiresAt": expires});
        self.write(&format!(".aws/sso/cache/{name}.json"), content.to_string());
    }

    /// The handed out keys as a profile's lines.
    fn key_lines(&self) -> String {
        let Credential {
            access_key_id: id,
            secret_access_key: secret,
            session_token,
            ..
        } = &self.keys;
        let token = session_token.as_ref().map_or_else(String::new, |token| {
            format!("aws_session_token = {token}\n")
        });
        format!("aws_access_key_id = {id}\naws_secret_access_key = {secret}\n{token}")
    }

    /// Starts a gateway: `extra` goes to the environment's table, and these are all the
    /// variables that the credential chain sees besides the addresses of the services.
    async fn serve(&self, extra: &str, variables: &[(&str, &str)]) -> Serving {
        let config = self.config(extra);
        let mut command = self.command(&["serve", "--config", &config]);
        command.envs(variables.iter().copied());
        let mut running = Running::start(command);
        let url = running.told("listening on http://").await;
        Serving {
            address: url.parse().unwrap(),
            _running: running,
        }
    }

    /// Writes the gateway's configuration, with this in the environment's table.
    fn config(&self, extra: &str) -> String {
        let ca = self.home.path().join("ca.pem");
        std::fs::write(&ca, self.emulator.ca_pem()).unwrap();
        let config = format!(
            "listener.address = \"127.0.0.1:0\"\nmanagement.address = \"127.0.0.1:0\"\n{}\
             airflow_version = \"2.10.3\"\n{extra}",
            self.emulator.config_toml(&ca)
        );
        self.write("mwaa-gateway.toml", config)
    }

    /// The program at this home, which asks these services.
    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = program::command(arguments);
        command
            .env("HOME", self.home.path())
            .env("AWS_MAX_ATTEMPTS", "1")
            .env("AWS_ENDPOINT_URL_STS", self.identity.url())
            .env("AWS_ENDPOINT_URL_SSO", self.identity.url())
            .env("AWS_ENDPOINT_URL_SSO_OIDC", self.identity.url())
            .env("AWS_ENDPOINT_URL_SIGNIN", self.identity.url());
        command
    }

    /// The access keys that signed what reached AWS.
    fn signers(&self) -> Vec<String> {
        let calls = self.emulator.journal().control_calls();
        calls
            .into_iter()
            .filter_map(|call| call.access_key_id)
            .collect()
    }

    /// Runs two commands: they work, with the handed out keys, after these identity calls.
    async fn works(&self, extra: &str, variables: &[(&str, &str)], asked: &[&str]) {
        let serving = self.serve(extra, variables).await;
        for _ in 0..2 {
            let reply = serving.command().await;
            assert_eq!(reply.status, 200, "{reply}");
        }
        assert_eq!(self.signers(), [self.keys.access_key_id.as_str()]);
        assert_eq!(self.identity.asked(), asked);
    }
}

impl Serving {
    /// Runs a command through the gateway.
    async fn command(&self) -> Response {
        let request = format!(
            "POST /aws_mwaa/cli HTTP/1.1\r\nHost: {}\r\nContent-Type: text/plain\r\n\
             Content-Length: 7\r\n\r\nversion",
            self.address
        );
        Client::tcp(self.address).await.exchange(request).await
    }

    /// Runs a command that must fail with this code, and returns the detail and the hint.
    async fn fails(&self, code: &str) -> String {
        let reply = self.command().await;
        assert_eq!(reply.fault(), Some(code), "{reply}");
        reply.complaint()
    }

    /// Waits until commands work; until then they fail so.
    async fn heals(&self, code: &str) {
        eventually("commands that work again", async || {
            let reply = self.command().await;
            if reply.status == 200 {
                return Some(());
            }
            assert_eq!(reply.fault(), Some(code), "{reply}");
            None
        })
        .await;
    }
}

/// A profile that gets its keys from SSO, as `aws configure sso` writes it.
const SSO_CONFIG: &str = "[profile corp]\nsso_session = corp-session\nsso_account_id = 123456789012\n\
    sso_role_name = Ops\n[sso-session corp-session]\nsso_region = eu-central-1\n\
    sso_start_url = https://corp.awsapps.com/start\nsso_registration_scopes = sso:account:access\n";
/// The SHA-1 of `corp-session`.
const SSO_CACHE: &str = "a402094d10ce4876c271cd1a9ff953c1e4201d1e";
/// The same in the form before there were sessions.
const OLD_SSO_CONFIG: &str = "[profile corp]\nsso_start_url = https://old.awsapps.com/start\n\
    sso_region = eu-central-1\nsso_account_id = 123456789012\nsso_role_name = Ops\n";
/// The SHA-1 of `https://old.awsapps.com/start`.
const OLD_SSO_CACHE: &str = "33d5ca4bf3b1a62edb96b47f7c203034a43ac435";
const FAR: &str = "2099-01-01T00:00:00Z";
const LONG_AGO: &str = "2020-01-01T00:00:00Z";
