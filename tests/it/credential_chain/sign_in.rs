//! `aws login`: a profile with `login_session`, whose keys AWS Sign-In renews.

use super::{FAR, LONG_AGO, World};
use crate::support::identity::{LOGIN_NO_LEAVE, LOGIN_REFRESH};

#[tokio::test]
async fn keys_of_a_login_are_used_until_they_expire() {
    let world = World::new().await;
    world.write(".aws/config", format!("[profile new]\n{LINE}"));
    world.log_in(&world.keys.access_key_id, FAR, LOGIN_REFRESH);
    world.works("profile = \"new\"\n", &[], &[]).await;
}

#[tokio::test]
async fn expired_keys_are_renewed_and_stored_for_the_aws_cli() {
    let world = World::new().await;
    world.write(".aws/config", format!("[default]\n{LINE}"));
    let cache = world.log_in("ASIAENDED", LONG_AGO, LOGIN_REFRESH);
    world.works("", &[], &["POST /v1/token"]).await;
    let left = std::fs::read_to_string(cache).unwrap();
    assert!(left.contains(&world.keys.access_key_id), "{left}");
}

#[tokio::test]
async fn a_role_is_assumed_with_the_keys_of_a_login() {
    let world = World::new().await;
    let role = crate::support::identity::ROLE;
    world.write(
        ".aws/config",
        format!(
            "[profile role]\nrole_arn = {role}\nsource_profile = new\n[profile new]\n{LINE}"
        ),
    );
    world.log_in("ASIAENDED", LONG_AGO, LOGIN_REFRESH);
    let asked = ["POST /v1/token", "POST /"];
    world.works("profile = \"role\"\n", &[], &asked).await;
}

#[tokio::test]
async fn a_missing_or_expired_login_names_the_login_command() {
    for (profile, before, extra, told) in [
        (
            "[profile new]",
            None,
            "profile = \"new\"\n",
            "run `aws login --profile new`",
        ),
        ("[default]", None, "", "run `aws login`"),
        (
            "[profile new]",
            Some("a token that has ended"),
            "profile = \"new\"\n",
            "run `aws login --profile new`",
        ),
    ] {
        let world = World::new().await;
        world.write(".aws/config", format!("{profile}\n{LINE}"));
        if let Some(refresh) = before {
            world.log_in("ASIAENDED", LONG_AGO, refresh);
        }
        let serving = world.serve(extra, &[]).await;
        let said = serving.fails("aws.login_needed").await;
        assert!(said.contains(told), "{said}");
        assert_eq!(world.signers(), [""; 0]);
        world.log_in(&world.keys.access_key_id, FAR, LOGIN_REFRESH);
        serving.heals("aws.login_needed").await;
    }
}

#[tokio::test]
async fn a_denied_renewal_does_not_suggest_a_new_login() {
    let world = World::new().await;
    world.write(".aws/config", format!("[default]\n{LINE}"));
    world.log_in("ASIAENDED", LONG_AGO, LOGIN_NO_LEAVE);
    let serving = world.serve("", &[]).await;
    let said = serving.fails("aws.credentials").await;
    assert!(said.contains("allow signin:CreateOAuth2Token"), "{said}");
    assert!(!said.contains("run `aws login"), "{said}");
}

impl World {
    /// Writes the file that `aws login` writes, and returns its path.
    fn log_in(&self, access_key_id: &str, expires: &str, refresh: &str) -> String {
        let content = serde_json::json!({
            "accessToken": {
                "accessKeyId": access_key_id,
                "secretAccessKey": self.keys.secret_access_key,
                "sessionToken": self.keys.session_token,
                "accountId": "123456789012",
                "expiresAt": expires,
            },
            "tokenType": "aws_sigv4",
            "refreshToken": refresh,
            "idToken": "x.y.z",
            "clientId": "arn:aws:signin:::devtools/same-device",
            "dpopKey": format!("-----BEGIN EC {KIND}-----\n{KEY}\n-----END EC {KIND}-----\n"),
        });
        let path = format!(".aws/login/cache/{CACHE}.json");
        self.write(&path, content.to_string())
    }
}

const LINE: &str = "login_session = arn:aws:iam::123456789012:user/Admin\n";
/// The SHA-256 of that session.
const CACHE: &str = "10cabd19777b6651ac57333b55c7c10a1242b1c2337f40e674926d7324698347";
const KIND: &str = "PRIVATE KEY";
/// The key of the example in AWS's own documentation.
const KEY: &str = "MHcCAQEEIFDZHUzOG1Pzq+6F0mjMlOSp1syN9LRPBuHMoCFXTcXhoAoGCCqGSM49\n\
    AwEHoUQDQgAE9qhj+KtcdHj1kVgwxWWWw++tqoh7H7UHs7oXh8jBbgF47rrYGC+t\n\
    djiIaHK3dBvvdE7MGj5HsepzLm3Kj91bqA==";
