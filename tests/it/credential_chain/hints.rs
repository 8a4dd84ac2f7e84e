//! Hints that name the cause: the profile that holds the sign-in, a mistyped profile, expired
//! keys. Each of them fails in its own way.

use super::{FAR, SSO_CACHE, SSO_CONFIG, World};
use crate::program::end;
use crate::support::identity::{Failure, ROLE, SOURCE, SSO_STRANGER, SSO_TOKEN, STS};
use mwaa_emulator::ControlFault;

/// Runs a command that fails with this code, and checks that the hint is there and the text short.
async fn told(world: &World, extra: &str, variables: &[(&str, &str)], code: &str, hint: &str) {
    let serving = world.serve(extra, variables).await;
    let said = serving.fails(code).await;
    assert!(said.contains(hint), "{hint}\n{said}");
    assert!(said.len() < 700, "{said}");
}

/// The sign-in belongs to the source profile: the role's own profile cannot sign in.
#[tokio::test]
async fn the_profile_that_holds_the_sso_session_is_named() {
    let world = World::new().await;
    let chain = format!(
        "{SSO_CONFIG}[profile middle]\nrole_arn = {ROLE}\nsource_profile = corp\n\
         [profile last]\nrole_arn = {ROLE}\nsource_profile = middle\n"
    );
    world.write(".aws/config", &chain);
    // the hint is a command: it is the same if the file is elsewhere
    let elsewhere = world.write("elsewhere/config", &chain);
    for (extra, variables) in [
        ("", &[("AWS_PROFILE", "middle")][..]),
        ("profile = \"last\"\n", &[]),
        ("profile = \"last\"\n", &[("AWS_CONFIG_FILE", &*elsewhere)]),
    ] {
        let serving = world.serve(extra, variables).await;
        let said = serving.fails("aws.login_needed").await;
        assert!(
            said.contains("run `aws sso login --profile corp`"),
            "{said}"
        );
        assert!(
            !said.contains("--profile last") && !said.contains("--profile middle"),
            "{said}"
        );
    }
    let serving = world.serve("profile = \"middle\"\n", &[]).await;
    serving.fails("aws.login_needed").await;
    world.cache_sso(SSO_CACHE, SSO_TOKEN, FAR);
    serving.heals("aws.login_needed").await;
}

#[tokio::test]
async fn the_hint_names_the_default_profile_only_if_needed() {
    let world = World::new().await;
    let default = SSO_CONFIG.replace("profile corp", "default");
    world.write(
        ".aws/config",
        format!("{default}\n[profile role]\nrole_arn = {ROLE}\nsource_profile = default\n"),
    );
    told(&world, "", &[], "aws.login_needed", "run `aws sso login`").await;
    // the AWS CLI would take the role's profile
    let set = [("AWS_PROFILE", "role")];
    let named = "run `aws sso login --profile default`";
    told(&world, "", &set, "aws.login_needed", named).await;
}

#[tokio::test]
async fn a_login_without_access_suggests_no_new_login() {
    let world = World::new().await;
    world.write(".aws/config", SSO_CONFIG);
    world.cache_sso(SSO_CACHE, SSO_STRANGER, FAR);
    let hint = "correct sso_account_id and sso_role_name of profile \"corp\"";
    told(&world, "profile = \"corp\"\n", &[], "aws.credentials", hint).await;
}

#[tokio::test]
async fn a_mistyped_profile_gets_the_nearest_name_as_a_hint() {
    let world = World::new().await;
    world.write(".aws/config", "[profile prod]\nregion = eu-west-1\n");
    let lines = format!("[staging]\n{}", world.key_lines());
    world.write(".aws/credentials", &lines);
    let elsewhere = world.write(
        "elsewhere/credentials",
        lines.replace("staging", "training"),
    );
    let prod = "there is no profile \"prd\"; did you mean \"prod\"?";
    let staging = "there is no profile \"stagin\"; did you mean \"staging\"?";
    let training = "there is no profile \"trainin\"; did you mean \"training\"?";
    let code = "aws.credentials";
    told(&world, "profile = \"prd\"\n", &[], code, prod).await;
    told(&world, "", &[("AWS_PROFILE", "stagin")], code, staging).await;
    let other = [("AWS_SHARED_CREDENTIALS_FILE", &*elsewhere)];
    told(&world, "profile = \"trainin\"\n", &other, code, training).await;
    let none = "there is no profile \"xyzzy\"; `aws configure list-profiles`";
    told(&world, "profile = \"xyzzy\"\n", &[], code, none).await;
}

#[tokio::test]
async fn the_hint_names_the_mistake_in_the_profile() {
    let role = format!("role_arn = {ROLE}\n");
    let sso = "sso_account_id = 1\nsso_role_name = x\n";
    for (lines, hint) in [
        (
            format!("{role}source_profile = b\n[profile b]\n{role}source_profile = a\n"),
            "the source_profile of \"a\" refers back to itself",
        ),
        (
            format!("{role}source_profile = bb\n[profile bbb]\n"),
            "there is no profile \"bb\", which profile \"a\" has as source_profile; did you mean \"bbb\"?",
        ),
        (
            role.clone(),
            "has a role_arn but no credentials: add source_profile",
        ),
        (
            format!("sso_session = s\n{sso}"),
            "add [sso-session s] with sso_region and sso_start_url",
        ),
        (
            format!("sso_session = s\n{sso}[sso-session s]\nsso_start_url = https://x\n"),
            "add sso_region to [sso-session s]",
        ),
        (
            format!("sso_start_url = https://x\n{sso}"),
            "add sso_region to profile \"a\"",
        ),
        (
            "region = eu-west-1\n".to_owned(),
            "profile \"a\" has no credentials: run `aws configure sso",
        ),
        (
            "aws_access_key_id = AKIA\n".to_owned(),
            "add aws_secret_access_key to profile \"a\"",
        ),
        (
            "aws_access_key_id = ASIAX\naws_secret_access_key = x\n".to_owned(),
            "add aws_session_token to profile \"a\"",
        ),
        (
            "credential_process = echo the vault is shut >&2; exit 3\n".to_owned(),
            "the credential_process of profile \"a\" returned no credentials: run it yourself",
        ),
        (
            format!("{role}web_identity_token_file = /nonexistent/token\n"),
            "check that /nonexistent/token exists and has not expired",
        ),
        (
            format!("{role}credential_source = Environment\n"),
            "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY are required and not set",
        ),
        (
            format!("{role}credential_source = Ec2InstanceMetadata\n"),
            "unset AWS_EC2_METADATA_DISABLED",
        ),
    ] {
        let world = World::new().await;
        world.write(".aws/config", format!("[profile a]\n{lines}"));
        told(&world, "profile = \"a\"\n", &[], "aws.credentials", hint).await;
    }
}

#[tokio::test]
async fn wrong_keys_in_variables_need_a_restart_to_be_replaced() {
    let world = World::new().await;
    let old = [
        ("AWS_ACCESS_KEY_ID", "AKIAOLD"),
        ("AWS_SECRET_ACCESS_KEY", "old"),
    ];
    let hint = "AWS does not know the access key in AWS_ACCESS_KEY_ID: set new values (then \
                restart a running gateway)";
    told(&world, "", &old, "aws.credentials", hint).await;
    let bare = [
        ("AWS_ACCESS_KEY_ID", "ASIAOLD"),
        ("AWS_SECRET_ACCESS_KEY", "old"),
    ];
    told(
        &world,
        "",
        &bare,
        "aws.credentials",
        "set AWS_SESSION_TOKEN too",
    )
    .await;
    let token = world.keys.session_token.as_deref().unwrap();
    let wrong = [
        ("AWS_ACCESS_KEY_ID", &*world.keys.access_key_id),
        ("AWS_SECRET_ACCESS_KEY", "wrong"),
        ("AWS_SESSION_TOKEN", token),
    ];
    let hint = "AWS_SECRET_ACCESS_KEY does not match AWS_ACCESS_KEY_ID";
    told(&world, "", &wrong, "aws.credentials", hint).await;
}

#[tokio::test]
async fn a_local_source_without_keys_is_named() {
    let world = World::new().await;
    let nobody = "http://127.0.0.1:1";
    let code = "aws.credentials";
    let container = [("AWS_CONTAINER_CREDENTIALS_FULL_URI", nobody)];
    told(
        &world,
        "",
        &container,
        code,
        "the container's credentials endpoint returned no credentials",
    )
    .await;
    let instance = [
        ("AWS_EC2_METADATA_SERVICE_ENDPOINT", nobody),
        ("AWS_EC2_METADATA_DISABLED", "false"),
    ];
    told(&world, "", &instance, code, "to sign in, run `aws login`").await;
    let file = world.write("token", "another token");
    let web = [
        ("AWS_WEB_IDENTITY_TOKEN_FILE", &*file),
        ("AWS_ROLE_ARN", ROLE),
    ];
    let hint = "name this identity, with sts:AssumeRoleWithWebIdentity, in the trust policy of";
    told(&world, "", &web, code, hint).await;
}

#[tokio::test]
async fn the_hint_for_a_denied_role_names_the_permission() {
    let world = World::new().await;
    let variables = [
        ("AWS_ACCESS_KEY_ID", SOURCE),
        ("AWS_SECRET_ACCESS_KEY", "source"),
    ];
    let role = "arn:aws:iam::123456789012:role/not-ours";
    let hint = format!("allow sts:AssumeRole on {role} for the identity that assumes it");
    let extra = format!("role_arn = \"{role}\"\n");
    told(&world, &extra, &variables, "aws.credentials", &hint).await;
}

/// The second factor is not why the organization says no.
#[tokio::test]
async fn a_deny_of_the_organization_does_not_suggest_mfa() {
    let world = World::new().await;
    world.write(
        ".aws/config",
        format!(
            "[profile caller]\nrole_arn = {ROLE}\nsource_profile = base\nmfa_serial = arn:aws:iam::1:mfa/x\n\
             [profile base]\naws_access_key_id = {SOURCE}\naws_secret_access_key = source\n"
        ),
    );
    for (why, hint) in [
        (
            "with an explicit deny in a service control policy",
            "ask the administrator of your AWS organization",
        ),
        (
            "with an explicit deny in an identity-based policy",
            "requires MFA (mfa_serial)",
        ),
    ] {
        let message = format!(
            "User: x is not authorized to perform: sts:AssumeRole on resource: {ROLE} {why}"
        );
        let denied = Failure::sts(403, "AccessDenied", &message);
        world.identity.fail(STS, denied);
        let extra = "profile = \"caller\"\n";
        told(&world, extra, &[], "aws.credentials", hint).await;
    }
}

/// The sign-in is still valid, but AWS has revoked the keys that it issued.
#[tokio::test]
async fn keys_of_a_login_that_aws_ended_need_a_login() {
    let world = World::new().await;
    world.write(".aws/config", SSO_CONFIG);
    world.cache_sso(SSO_CACHE, SSO_TOKEN, FAR);
    let ended = ControlFault::ExpiredToken;
    world.emulator.script().mint_fault.always(ended);
    let hint = "run `aws sso login --profile corp`";
    told(
        &world,
        "profile = \"corp\"\n",
        &[],
        "aws.login_needed",
        hint,
    )
    .await;
}

#[tokio::test]
async fn incomplete_or_broken_settings_are_named() {
    let world = World::new().await;
    let code = "aws.credentials";
    let file = [("AWS_WEB_IDENTITY_TOKEN_FILE", "/nonexistent/token")];
    told(&world, "", &file, code, "set AWS_ROLE_ARN too").await;
    let path = world.write(".aws/config", "[default]\nnonsense\n");
    let hint = format!("{path} on line 2");
    told(&world, "", &[], code, &hint).await;
}

/// What a proxy answers in STS's place is no denial, and no reason not to ask on.
#[tokio::test]
async fn check_continues_if_a_proxy_answers_for_sts() {
    let world = World::new().await;
    world.identity.fail(STS, Failure::html(403));
    world.write(
        ".aws/credentials",
        format!("[default]\n{}", world.key_lines()),
    );
    // with an endpoint of the configuration STS is not asked
    let config = std::fs::read_to_string(world.config("")).unwrap();
    let config = config.replace("endpoint_url", "# endpoint_url");
    let config = world.write("mwaa-gateway.toml", config);
    let mut command = world.command(&["check", "--config", &config]);
    command.env("AWS_ENDPOINT_URL_MWAA", world.emulator.endpoint_url());
    let ended = end(command).await;
    let line = |words: &str| ended.stdout.lines().any(|line| line.contains(words));
    assert!(
        line("identity: aws.unavailable") && line("something on the way to AWS responded"),
        "{ended:?}"
    );
    assert!(line("a CLI token for ") && !line("allow "), "{ended:?}");
}

/// If the service that issues the keys is unreachable, the hint neither suggests a login nor
/// blames the MWAA endpoint.
#[tokio::test]
async fn a_network_failure_does_not_suggest_a_login() {
    let world = World::new().await;
    world.write(".aws/config", SSO_CONFIG);
    world.cache_sso(SSO_CACHE, SSO_TOKEN, FAR);
    let down = [("AWS_ENDPOINT_URL_SSO", "http://127.0.0.1:1")];
    let serving = world.serve("profile = \"corp\"\n", &down).await;
    let said = serving.fails("aws.unavailable").await;
    assert!(
        said.contains("IAM Identity Center, which issues the credentials, cannot be reached"),
        "{said}"
    );
    assert!(
        !said.contains("aws sso login") && !said.contains("serves the MWAA API"),
        "{said}"
    );
}
