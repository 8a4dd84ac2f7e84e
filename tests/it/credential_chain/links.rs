//! Each link of the chain alone: it works, its keys sign, and its service saw what it should.

use super::{FAR, LONG_AGO, OLD_SSO_CACHE, OLD_SSO_CONFIG, SSO_CACHE, SSO_CONFIG, World};
use crate::support::identity::{
    CONTAINER_TOKEN, METADATA_TOKEN, ROLE, SOURCE, SSO_REFRESH, SSO_TOKEN, WEB_TOKEN,
};
use mwaa_emulator::Credential;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

#[tokio::test]
async fn environment_variables() {
    let world = World::new().await;
    let token = world.keys.session_token.as_deref().unwrap();
    let variables = [
        ("AWS_ACCESS_KEY_ID", &*world.keys.access_key_id),
        ("AWS_SECRET_ACCESS_KEY", &world.keys.secret_access_key),
        ("AWS_SESSION_TOKEN", token),
    ];
    world.works("", &variables, &[]).await;
}

#[tokio::test]
async fn a_profile_with_long_term_keys() {
    let world = World::taking(Credential {
        access_key_id: "AKIALONGTERM00000000".to_owned(),
        secret_access_key: "the-long-term-secret".to_owned(),
        session_token: None,
        ..Credential::default()
    })
    .await;
    let lines = format!("[default]\n{}", world.key_lines());
    world.write(".aws/credentials", lines);
    world.works("", &[], &[]).await;
}

#[tokio::test]
async fn a_named_profile_of_the_configuration_or_of_aws_profile() {
    for (extra, variables) in [
        ("profile = \"team\"\n", &[][..]),
        ("", &[("AWS_PROFILE", "team")][..]),
    ] {
        let world = World::new().await;
        let wrong = "aws_access_key_id = AKIAWRONG\naws_secret_access_key = wrong\n";
        let lines = format!("[default]\n{wrong}[team]\n{}", world.key_lines());
        world.write(".aws/credentials", lines);
        world.works(extra, variables, &[]).await;
    }
}

#[tokio::test]
async fn a_profile_of_the_configuration_beats_keys_in_the_environment() {
    let world = World::new().await;
    let lines = format!("[team]\n{}", world.key_lines());
    world.write(".aws/credentials", lines);
    let wrong = [
        ("AWS_ACCESS_KEY_ID", "AKIAWRONG"),
        ("AWS_SECRET_ACCESS_KEY", "wrong"),
    ];
    world.works("profile = \"team\"\n", &wrong, &[]).await;
}

#[tokio::test]
async fn keys_in_the_environment_beat_aws_profile() {
    let world = World::new().await;
    let wrong = "[team]\naws_access_key_id = AKIAWRONG\naws_secret_access_key = wrong\n";
    world.write(".aws/credentials", wrong);
    let token = world.keys.session_token.as_deref().unwrap();
    let variables = [
        ("AWS_PROFILE", "team"),
        ("AWS_ACCESS_KEY_ID", &*world.keys.access_key_id),
        ("AWS_SECRET_ACCESS_KEY", &world.keys.secret_access_key),
        ("AWS_SESSION_TOKEN", token),
    ];
    world.works("", &variables, &[]).await;
}

#[tokio::test]
async fn sso_with_a_session() {
    let world = World::new().await;
    world.write(".aws/config", SSO_CONFIG);
    world.cache_sso(SSO_CACHE, SSO_TOKEN, FAR);
    world
        .works(
            "profile = \"corp\"\n",
            &[],
            &["GET /federation/credentials"],
        )
        .await;
    let calls = world.identity.calls();
    assert_eq!(calls[0].header("x-amz-sso_bearer_token"), Some(SSO_TOKEN));
    assert_eq!(calls[0].field("role_name").as_deref(), Some("Ops"));
    assert_eq!(
        calls[0].field("account_id").as_deref(),
        Some("123456789012")
    );
}

#[tokio::test]
async fn sso_in_the_old_form() {
    let world = World::new().await;
    world.write(".aws/config", OLD_SSO_CONFIG);
    world.cache_sso(OLD_SSO_CACHE, SSO_TOKEN, FAR);
    let variables = [("AWS_PROFILE", "corp")];
    world
        .works("", &variables, &["GET /federation/credentials"])
        .await;
}

#[tokio::test]
async fn an_expired_sso_token_is_refreshed() {
    let world = World::new().await;
    world.write(".aws/config", SSO_CONFIG);
    let cached = serde_json::json!({
        "accessToken": "the last one",
        "expiresAt": LONG_AGO,
        "refreshToken": SSO_REFRESH,
        "clientId": "client",
        "clientSecret": "client-secret",
        "registrationExpiresAt": FAR,
        "region": "eu-central-1",
        "startUrl": "https://corp.awsapps.com/start",
    });
    let cache = format!(".aws/sso/cache/{SSO_CACHE}.json");
    let cache = world.write(&cache, cached.to_string());
    let asked = ["POST /token", "GET /federation/credentials"];
    world.works("profile = \"corp\"\n", &[], &asked).await;
    // the AWS CLI finds the new one as well
    assert!(std::fs::read_to_string(cache).unwrap().contains(SSO_TOKEN));
}

#[tokio::test]
async fn a_role_of_the_configuration() {
    let world = World::new().await;
    let variables = [
        ("AWS_ACCESS_KEY_ID", SOURCE),
        ("AWS_SECRET_ACCESS_KEY", "source"),
    ];
    let extra = format!("role_arn = \"{ROLE}\"\n");
    world.works(&extra, &variables, &["POST /"]).await;
    let call = &world.identity.calls()[0];
    assert_eq!(call.field("Action").as_deref(), Some("AssumeRole"));
    assert_eq!(call.field("RoleArn").as_deref(), Some(ROLE));
    assert_eq!(
        call.field("RoleSessionName").as_deref(),
        Some("mwaa-gateway")
    );
}

#[tokio::test]
async fn a_role_of_the_profile_with_its_source_profile() {
    let world = World::new().await;
    world.write(
        ".aws/config",
        format!(
            "[profile caller]\nrole_arn = {ROLE}\nsource_profile = base\n\
             role_session_name = somebody\nexternal_id = their-id\n"
        ),
    );
    world.write(
        ".aws/credentials",
        format!("[base]\naws_access_key_id = {SOURCE}\naws_secret_access_key = source\n"),
    );
    world
        .works("profile = \"caller\"\n", &[], &["POST /"])
        .await;
    let call = &world.identity.calls()[0];
    assert_eq!(call.field("RoleArn").as_deref(), Some(ROLE));
    assert_eq!(call.field("RoleSessionName").as_deref(), Some("somebody"));
    assert_eq!(call.field("ExternalId").as_deref(), Some("their-id"));
}

#[tokio::test]
async fn a_role_of_the_profile_with_keys_from_the_environment() {
    let world = World::new().await;
    let lines =
        format!("[profile caller]\nrole_arn = {ROLE}\ncredential_source = Environment\n");
    world.write(".aws/config", lines);
    let variables = [
        ("AWS_ACCESS_KEY_ID", SOURCE),
        ("AWS_SECRET_ACCESS_KEY", "source"),
    ];
    let extra = "profile = \"caller\"\n";
    world.works(extra, &variables, &["POST /"]).await;
}

#[tokio::test]
async fn web_identity() {
    let world = World::new().await;
    let file = world.write("token", WEB_TOKEN);
    let variables = [
        ("AWS_WEB_IDENTITY_TOKEN_FILE", &*file),
        ("AWS_ROLE_ARN", ROLE),
        ("AWS_ROLE_SESSION_NAME", "the-pod"),
    ];
    world.works("", &variables, &["POST /"]).await;
    let call = &world.identity.calls()[0];
    assert_eq!(
        call.field("Action").as_deref(),
        Some("AssumeRoleWithWebIdentity")
    );
    assert_eq!(call.field("RoleArn").as_deref(), Some(ROLE));
    assert_eq!(call.field("RoleSessionName").as_deref(), Some("the-pod"));
}

#[tokio::test]
async fn a_container() {
    let world = World::new().await;
    let url = format!("{}/container", world.identity.url());
    let file = world.write("token", CONTAINER_TOKEN);
    let variables = [
        ("AWS_CONTAINER_CREDENTIALS_FULL_URI", &*url),
        ("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", &file),
    ];
    world.works("", &variables, &["GET /container"]).await;
    let call = &world.identity.calls()[0];
    assert_eq!(call.header("authorization"), Some(CONTAINER_TOKEN));
}

#[tokio::test]
async fn an_instance_by_imds_version_2() {
    let world = World::new().await;
    let url = world.identity.url();
    let variables = [
        ("AWS_EC2_METADATA_SERVICE_ENDPOINT", &*url),
        ("AWS_EC2_METADATA_DISABLED", "false"),
    ];
    let role = "GET /latest/meta-data/iam/security-credentials/";
    let keys = "GET /latest/meta-data/iam/security-credentials/instance-role";
    let asked = ["PUT /latest/api/token", role, keys];
    world.works("", &variables, &asked).await;
    for call in &world.identity.calls()[1..] {
        assert_eq!(
            call.header("x-aws-ec2-metadata-token"),
            Some(METADATA_TOKEN)
        );
    }
}

#[tokio::test]
async fn a_process() {
    let world = World::new().await;
    let runs = world.key_process(FAR);
    world.works("", &[], &[]).await;
    assert_eq!(std::fs::read_to_string(runs).unwrap(), "--for two words\n");
}

#[tokio::test]
async fn expired_keys_are_fetched_again() {
    let world = World::new().await;
    let runs = world.key_process(LONG_AGO);
    let serving = world.serve("", &[]).await;
    for tokens in 1..=3 {
        let reply = serving.command().await;
        assert_eq!(reply.status, 200, "{reply}");
        assert_eq!(world.signers().len(), tokens);
        world.emulator.script().revoke_tokens();
    }
    let runs = std::fs::read_to_string(runs).unwrap();
    assert!(runs.lines().count() >= 3, "{runs}");
}

impl World {
    /// Makes a program that prints the keys, with this expiration, the default profile's process.
    /// Returns the file in which it records its arguments.
    fn key_process(&self, end: &str) -> PathBuf {
        let keys = serde_json::json!({
            "Version": 1,
            "AccessKeyId": self.keys.access_key_id,
            "SecretAccessKey": self.keys.secret_access_key,
            "SessionToken": self.keys.session_token,
            "Expiration": end,
        });
        let runs = self.home.path().join("runs");
        let script = format!(
            "#!/bin/sh\necho \"$@\" >> {}\ncat <<END\n{keys}\nEND\n",
            runs.display()
        );
        let script = self.write("give-keys", script);
        std::fs::set_permissions(&script, PermissionsExt::from_mode(0o700)).unwrap();
        let lines = format!("[default]\ncredential_process = {script} --for 'two words'\n");
        self.write(".aws/config", lines);
        runs
    }
}
