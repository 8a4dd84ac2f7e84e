//! The fault when a link of the chain fails, and the recovery without a restart.

use super::{FAR, LONG_AGO, OLD_SSO_CACHE, OLD_SSO_CONFIG, SSO_CACHE, SSO_CONFIG, World};
use crate::support::identity::{MFA_ROLE, SOURCE, SSO_TOKEN};

#[tokio::test]
async fn missing_credentials_are_picked_up_when_they_appear() {
    let world = World::new().await;
    let serving = world.serve("", &[]).await;
    let said = serving.fails("aws.credentials").await;
    assert!(
        said.contains("set aws.profile, or AWS_ACCESS_KEY_ID"),
        "{said}"
    );
    assert_eq!(world.signers(), [""; 0]);
    let lines = format!("[default]\n{}", world.key_lines());
    world.write(".aws/credentials", lines);
    serving.heals("aws.credentials").await;
    assert_eq!(world.signers(), [world.keys.access_key_id.as_str()]);
}

#[tokio::test]
async fn a_missing_profile_does_not_fall_back_to_other_keys() {
    let world = World::new().await;
    let token = world.keys.session_token.as_deref().unwrap();
    let variables = [
        ("AWS_ACCESS_KEY_ID", &*world.keys.access_key_id),
        ("AWS_SECRET_ACCESS_KEY", &world.keys.secret_access_key),
        ("AWS_SESSION_TOKEN", token),
    ];
    world.write(".aws/config", "[profile team]\n");
    let serving = world.serve("profile = \"taem\"\n", &variables).await;
    let said = serving.fails("aws.credentials").await;
    assert!(said.contains("profile \"taem\""), "{said}");
    assert_eq!(world.signers(), [""; 0]);
}

#[tokio::test]
async fn refused_keys_are_read_again_from_their_file() {
    let world = World::new().await;
    let old = "[team]\naws_access_key_id = AKIAOLD\naws_secret_access_key = old\n";
    world.write(".aws/credentials", old);
    let serving = world.serve("profile = \"team\"\n", &[]).await;
    let said = serving.fails("aws.credentials").await;
    assert!(
        said.contains("the access key of profile \"team\" is not known to AWS: replace it"),
        "{said}"
    );
    let lines = format!("[team]\n{}", world.key_lines());
    world.write(".aws/credentials", lines);
    serving.heals("aws.credentials").await;
}

#[tokio::test]
async fn an_expired_sso_session_needs_a_login_and_recovers() {
    let world = World::new().await;
    world.write(".aws/config", SSO_CONFIG);
    world.cache_sso(SSO_CACHE, SSO_TOKEN, LONG_AGO);
    let serving = world.serve("profile = \"corp\"\n", &[]).await;
    let said = serving.fails("aws.login_needed").await;
    assert!(
        said.contains("run `aws sso login --profile corp`"),
        "{said}"
    );
    assert_eq!(world.identity.asked(), [""; 0]);
    world.cache_sso(SSO_CACHE, SSO_TOKEN, FAR);
    serving.heals("aws.login_needed").await;
    assert_eq!(world.identity.asked(), ["GET /federation/credentials"]);
}

#[tokio::test]
async fn the_login_hint_names_the_profile_of_aws_profile() {
    let world = World::new().await;
    world.write(".aws/config", SSO_CONFIG);
    let serving = world.serve("", &[("AWS_PROFILE", "corp")]).await;
    // there was no login yet
    let said = serving.fails("aws.login_needed").await;
    assert!(
        said.contains("run `aws sso login --profile corp`"),
        "{said}"
    );
    world.cache_sso(SSO_CACHE, SSO_TOKEN, FAR);
    serving.heals("aws.login_needed").await;
}

#[tokio::test]
async fn an_sso_token_that_the_portal_refuses_needs_a_login() {
    for (config, cache, expires) in [
        // signed out elsewhere
        (SSO_CONFIG, SSO_CACHE, FAR),
        // the SDK does not look at the old form's end itself
        (OLD_SSO_CONFIG, OLD_SSO_CACHE, LONG_AGO),
    ] {
        let world = World::new().await;
        world.write(".aws/config", config);
        world.cache_sso(cache, "a token that is over", expires);
        let serving = world.serve("profile = \"corp\"\n", &[]).await;
        let said = serving.fails("aws.login_needed").await;
        assert!(
            said.contains("run `aws sso login --profile corp`"),
            "{said}"
        );
        world.cache_sso(cache, SSO_TOKEN, FAR);
        serving.heals("aws.login_needed").await;
    }
}

#[tokio::test]
async fn a_failed_credential_process_is_a_credentials_fault() {
    let world = World::new().await;
    let lines = "[default]\ncredential_process = echo the processor is lost >&2; exit 3\n";
    world.write(".aws/config", lines);
    let serving = world.serve("", &[]).await;
    let said = serving.fails("aws.credentials").await;
    assert!(said.contains("the processor is lost"), "{said}");
}

#[tokio::test]
async fn a_role_that_may_not_be_assumed_is_named() {
    let world = World::new().await;
    let variables = [
        ("AWS_ACCESS_KEY_ID", SOURCE),
        ("AWS_SECRET_ACCESS_KEY", "source"),
    ];
    let role = "arn:aws:iam::123456789012:role/not-ours";
    let extra = format!("role_arn = \"{role}\"\n");
    let serving = world.serve(&extra, &variables).await;
    let said = serving.fails("aws.credentials").await;
    assert!(
        said.contains("AccessDenied") && said.contains(role),
        "{said}"
    );
    assert!(said.contains("sts:AssumeRole"), "{said}");
}

/// The SDK supports no second factor.
#[tokio::test]
async fn mfa_serial_is_not_sent_to_sts() {
    let world = World::new().await;
    world.write(
        ".aws/config",
        format!(
            "[profile caller]\nrole_arn = {MFA_ROLE}\nsource_profile = base\n\
             mfa_serial = arn:aws:iam::123456789012:mfa/somebody\n[profile base]\n\
             aws_access_key_id = {SOURCE}\naws_secret_access_key = source\n"
        ),
    );
    let serving = world.serve("profile = \"caller\"\n", &[]).await;
    let said = serving.fails("aws.credentials").await;
    assert!(said.contains("AccessDenied"), "{said}");
    assert_eq!(world.identity.calls()[0].field("SerialNumber"), None);
}
