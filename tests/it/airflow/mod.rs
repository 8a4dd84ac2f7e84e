//! `airflow`: the real program, through gateways that run and without one.

mod alone;
mod completion;
mod exit_codes;
mod import;
mod interrupted;
mod stranger;
mod terminal;
mod through;

use crate::program::{Ended, command, end};
use crate::support::Harness;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use mwaa_emulator::{Emulator, Seed, Settings, WebFault};
use std::path::{Path, PathBuf};
use tempfile::TempDir;
use tokio::process::Command;

/// The program's `airflow`, with these variables for the gateway that runs.
fn airflow(listen: &str, management: &str, arguments: &[&str]) -> Command {
    let mut command = command(&["airflow"]);
    command
        .args(arguments)
        .env("MWAA_GATEWAY_LISTEN", listen)
        .env("MWAA_GATEWAY_MANAGEMENT", management);
    command
}

/// The same through this gateway.
fn through(harness: &Harness, arguments: &[&str]) -> Command {
    let (listen, management) = (harness.address(), harness.management());
    airflow(&listen.to_string(), &management.to_string(), arguments)
}

/// An emulator, a configuration for it in a file, and no gateway.
struct Stand {
    emulator: Emulator,
    folder: TempDir,
}

impl Stand {
    /// `extra` is appended to the emulator's own snippet.
    async fn new(settings: Settings, extra: &str) -> Self {
        let emulator = Emulator::start(settings).await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        let ca_file = folder.path().join("ca.pem");
        std::fs::write(&ca_file, emulator.ca_pem()).unwrap();
        let config = format!("{}\n{extra}", emulator.config_toml(&ca_file));
        std::fs::write(folder.path().join("mwaa-gateway.toml"), config).unwrap();
        std::fs::create_dir(folder.path().join("tmp")).unwrap();
        Self { emulator, folder }
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Where the program puts what it needs for a moment.
    fn temporary(&self) -> PathBuf {
        self.path().join("tmp")
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.program(&["airflow"]);
        command.args(arguments);
        command
    }

    fn program(&self, arguments: &[&str]) -> Command {
        let mut command = command(arguments);
        command
            .current_dir(self.path())
            .env("TMPDIR", self.temporary())
            .env("AWS_ACCESS_KEY_ID", self.emulator.access_key_id())
            .env("AWS_SECRET_ACCESS_KEY", self.emulator.secret_access_key());
        command
    }

    async fn run(&self, arguments: &[&str]) -> Ended {
        end(self.command(arguments)).await
    }
}

/// An emulator of two environments, `demo` and one of Airflow 3.
fn two(second: &str) -> Settings {
    Settings {
        environments: vec![Seed::new("demo", "2.10.3"), Seed::new(second, "3.0.6")],
        ..Settings::default()
    }
}

/// A file with a secret, as the configuration wants it.
fn secret(folder: &Path) -> PathBuf {
    use std::os::unix::fs::PermissionsExt as _;
    let file = folder.join("secret");
    std::fs::write(&file, "hunter2\n").unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
    file
}

/// The reply of a web server whose command printed this.
fn printed(stdout: &str, stderr: &str) -> WebFault {
    let (stdout, stderr) = (STANDARD.encode(stdout), STANDARD.encode(stderr));
    WebFault::Status {
        status: 200,
        content_type: "application/json".to_owned(),
        body: format!("{{\"stderr\": \"{stderr}\", \"stdout\": \"{stdout}\"}}"),
    }
}

/// A listener section with an address on which no gateway listens.
fn nobody() -> String {
    listener("127.0.0.1:2")
}

fn listener(address: &str) -> String {
    format!("[listener]\naddress = \"{address}\"\n[management]\naddress = \"127.0.0.1:1\"\n")
}
