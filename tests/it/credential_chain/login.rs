//! `mwaa-gateway login`: runs the sign-in command of the hint. A script replaces the AWS CLI.

use super::{FAR, SSO_CACHE, SSO_CONFIG, World};
use crate::program::{Ended, end};
use crate::support::OnTerminal;
use crate::support::identity::{ROLE, SSO_TOKEN};
use std::os::unix::fs::PermissionsExt;

impl World {
    /// Writes an `aws` script into its own folder: it records its arguments, then runs `does`.
    fn aws(&self, does: &str) -> String {
        let home = self.home.path().display();
        let script = format!(
            "#!/bin/sh\nfor word; do echo \"<$word>\"; done > {home}/arguments\n{does}\n"
        );
        let path = self.write("bin/aws", script);
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o700)).unwrap();
        format!("{home}/bin:/bin:/usr/bin")
    }

    /// The arguments of the last call of `aws`.
    fn arguments(&self) -> Option<String> {
        std::fs::read_to_string(self.home.path().join("arguments")).ok()
    }

    async fn login(&self, path: &str, extra: &str, more: &[&str]) -> Ended {
        let config = self.config(extra);
        let mut command = self.command(&["login", "--config", &config]);
        command.args(more).env("PATH", path);
        end(command).await
    }
}

/// The command names the profile that holds the session, not the configured one. A running gateway
/// recovers after the login.
#[tokio::test]
async fn login_runs_the_command_of_the_hint_and_the_gateway_recovers() {
    let world = World::new().await;
    world.write(
        ".aws/config",
        format!("{SSO_CONFIG}[profile role]\nrole_arn = {ROLE}\nsource_profile = corp\n"),
    );
    let extra = "profile = \"role\"\n";
    let serving = world.serve(extra, &[]).await;
    let said = serving.fails("aws.login_needed").await;
    let command = "aws sso login --profile corp";
    assert!(said.contains(command), "{said}");
    // `--print` only prints the command
    let token = format!(r#"{{"accessToken": "{SSO_TOKEN}", "expiresAt": "{FAR}"}}"#);
    let cache = world.home.path().join(".aws/sso/cache");
    let path = world.aws(&format!(
        "echo the browser is open\nmkdir -p {0}\necho '{token}' > {0}/{SSO_CACHE}.json",
        cache.display()
    ));
    let printed = world.login(&path, extra, &["--print", "-e", "demo"]).await;
    assert_eq!((printed.code, printed.stdout.trim()), (Some(0), command));
    assert_eq!(world.arguments(), None);
    // without it the command runs
    let done = world.login(&path, extra, &[]).await;
    assert_eq!(done.code, Some(0), "{done:?}");
    assert_eq!(done.stdout, "the browser is open\n");
    assert!(done.stderr.contains(command), "{done:?}");
    let arguments = world.arguments().unwrap();
    assert_eq!(arguments, "<sso>\n<login>\n<--profile>\n<corp>\n");
    serving.heals("aws.login_needed").await;
}

#[tokio::test]
async fn a_failed_or_missing_aws_cli_is_reported() {
    let world = World::new().await;
    world.write(
        ".aws/config",
        "[default]\nlogin_session = arn:aws:iam::1:user/x\n",
    );
    let path = world.aws("echo no browser >&2; exit 255");
    let failed = world.login(&path, "", &[]).await;
    assert_eq!(failed.code, Some(1), "{failed:?}");
    for told in [
        "no browser",
        "`aws login` failed (exit status: 255)",
        "2.32",
    ] {
        assert!(failed.stderr.contains(told), "{failed:?}");
    }
    assert_eq!(world.arguments().unwrap(), "<login>\n");
    let missing = world.login("/nonexistent", "", &[]).await;
    assert_eq!(missing.code, Some(69), "{missing:?}");
    assert!(
        missing.stderr.contains("the AWS CLI is not installed"),
        "{missing:?}"
    );
    assert!(
        missing.stderr.contains("getting-started-install"),
        "{missing:?}"
    );
}

/// A long text is wrapped between words on a terminal; elsewhere it is one line, for programs.
#[tokio::test]
async fn long_texts_are_wrapped_only_on_a_terminal() {
    let world = World::new().await;
    world.write(".aws/config", SSO_CONFIG);
    let config = world.config("profile = \"corp\"\n");
    let command = || {
        let mut command = world.command(&["login", "--config", &config]);
        command.env("PATH", "/nonexistent");
        command
    };
    let (code, _, shown) = OnTerminal::start(command(), false).end().await;
    assert_eq!(code, Some(69), "{shown}");
    let (_, hint) = shown.split_once("hint").unwrap();
    assert!(hint.lines().count() > 1, "{shown}");
    for line in hint.lines() {
        assert!(line.chars().count() <= 100, "{shown}");
    }
    let piped = end(command()).await.stderr;
    let (_, hint) = piped.split_once("hint: ").unwrap();
    assert_eq!(hint.lines().count(), 1, "{piped}");
    let squeezed = shown.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(squeezed.contains(hint.trim()), "{shown}");
}

#[tokio::test]
async fn without_a_login_profile_the_used_keys_are_named() {
    let world = World::new().await;
    world.write(".aws/credentials", format!("[team]\n{}", world.key_lines()));
    let path = world.aws("exit 0");
    let keys = world.login(&path, "profile = \"team\"\n", &[]).await;
    assert_eq!((keys.code, keys.stdout.as_str()), (Some(0), ""), "{keys:?}");
    assert!(
        keys.stderr
            .contains("the gateway uses the access key in profile \"team\""),
        "{keys:?}"
    );
    let typo = world
        .login(&path, "profile = \"taem\"\n", &["--print"])
        .await;
    assert_eq!(
        (typo.code, typo.stdout.as_str()),
        (Some(69), ""),
        "{typo:?}"
    );
    assert!(typo.stderr.contains("did you mean \"team\"?"), "{typo:?}");
    assert_eq!(world.arguments(), None);
}
