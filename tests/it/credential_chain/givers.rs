//! Failures of the services that issue keys: the fault's code, the cause, and the step that failed.

use super::{FAR, SSO_CACHE, SSO_CONFIG, World};
use crate::support::eventually;
use crate::support::identity::{Failure, PORTAL, ROLE, SOURCE, SSO_TOKEN, STS, WEB_TOKEN};

const KEYS: [(&str, &str); 2] = [
    ("AWS_ACCESS_KEY_ID", SOURCE),
    ("AWS_SECRET_ACCESS_KEY", "source"),
];

/// A failure, the fault's code, and a part of its text.
type Row = (Failure, &'static str, &'static str);

/// Where the source keys of the role come from.
#[derive(Clone, Copy)]
enum Keys {
    Environment,
    Profile,
    Sso,
}

/// Each failure of STS, for a role that is assumed with these keys.
async fn a_role(keys: Keys, rows: Vec<Row>) {
    for (failure, code, told) in rows {
        let world = World::new().await;
        world.identity.fail(STS, failure.clone());
        let (profile, variables) = match keys {
            Keys::Environment => ("", &KEYS[..]),
            Keys::Profile => ("profile = \"team\"\n", &[][..]),
            Keys::Sso => ("profile = \"corp\"\n", &[][..]),
        };
        world.write(".aws/config", SSO_CONFIG);
        world.cache_sso(SSO_CACHE, SSO_TOKEN, FAR);
        let lines =
            "aws_access_key_id = AKIASOURCE0000000000\naws_secret_access_key = source\n";
        world.write(".aws/credentials", format!("[team]\n{lines}"));
        let extra = format!("role_arn = \"{ROLE}\"\n{profile}");
        let serving = world.serve(&extra, variables).await;
        let said = serving.fails(code).await;
        assert!(said.contains(told), "{failure:?} {told}\n{said}");
        assert!(said.contains("AWS STS (AssumeRole) returned "), "{said}");
        for wrong in ["required and not set", "sso_account_id", "replace it"] {
            assert!(!said.contains(wrong), "{failure:?}: {said}");
        }
    }
}

/// Failures that have nothing to do with the credentials.
fn passing() -> Vec<Row> {
    vec![
        (
            Failure::sts(400, "Throttling", "Rate exceeded"),
            "aws.throttled",
            "AWS STS throttled the call",
        ),
        (
            Failure::sts(500, "InternalFailure", "oh"),
            "aws.unavailable",
            "InternalFailure (HTTP 500, request r-1): oh",
        ),
        (
            Failure::sts(503, "ServiceUnavailable", "oh"),
            "aws.unavailable",
            "AWS STS, which issues the credentials, has a problem",
        ),
        (
            Failure::html(502),
            "aws.unavailable",
            "an invalid response (HTTP 502)",
        ),
        (
            Failure::html(403),
            "aws.unavailable",
            "something on the way to AWS STS",
        ),
    ]
}

#[tokio::test]
async fn an_sts_outage_is_not_blamed_on_the_keys() {
    a_role(Keys::Environment, passing()).await;
    for keys in [Keys::Profile, Keys::Sso] {
        a_role(keys, passing().split_off(3)).await;
    }
}

#[tokio::test]
async fn keys_that_sts_refuses_are_the_source_keys_of_the_role() {
    let expired = || Failure::sts(403, "ExpiredToken", "The security token is expired");
    let unknown = || Failure::sts(403, "InvalidClientTokenId", "The security token is invalid");
    let late = || Failure {
        date: Some("Tue, 01 Jan 2030 00:00:00 GMT"),
        ..Failure::sts(
            403,
            "SignatureDoesNotMatch",
            "Signature expired: now is later",
        )
    };
    let clock = "this machine's clock is ";
    a_role(
        Keys::Environment,
        vec![
            (
                expired(),
                "aws.credentials",
                "the access key in the environment variables has expired: set new values",
            ),
            (
                unknown(),
                "aws.credentials",
                "AWS does not know the access key in AWS_ACCESS_KEY_ID",
            ),
            (late(), "aws.credentials", clock),
        ],
    )
    .await;
    let login = "run `aws sso login --profile corp`";
    let rows = vec![
        (expired(), "aws.login_needed", login),
        (late(), "aws.credentials", clock),
    ];
    a_role(Keys::Sso, rows).await;
}

/// These are the role's, also with keys that are no good for it.
#[tokio::test]
async fn a_failed_assume_role_has_its_own_hints() {
    let rows = || {
        vec![
            (
                Failure::sts(
                    403,
                    "RegionDisabledException",
                    "STS is not activated in this region",
                ),
                "aws.credentials",
                "activate STS in eu-west-1 in the role's account",
            ),
            (
                Failure::sts(
                    400,
                    "ValidationError",
                    "The requested DurationSeconds exceeds the MaxSessionDuration",
                ),
                "aws.credentials",
                "raise MaxSessionDuration of arn:aws:iam::123456789012:role/airflow-caller",
            ),
            (
                Failure::sts(
                    403,
                    "AccessDenied",
                    "Roles may not be assumed by root accounts.",
                ),
                "aws.credentials",
                "name that identity in the role's trust policy",
            ),
            (
                Failure::sts(
                    400,
                    "ValidationError",
                    "1 validation error detected: roleArn",
                ),
                "aws.credentials",
                "correct role_arn as its message says",
            ),
        ]
    };
    for keys in [Keys::Environment, Keys::Profile, Keys::Sso] {
        a_role(keys, rows()).await;
    }
}

#[tokio::test]
async fn an_outage_of_the_sso_portal_is_not_missing_access() {
    for (failure, code, told) in [
        (
            Failure::json(429, "TooManyRequestsException"),
            "aws.throttled",
            "IAM Identity Center throttled the call",
        ),
        (
            Failure::json(500, "InternalServerException"),
            "aws.unavailable",
            "IAM Identity Center, which issues the credentials, has a problem",
        ),
        (
            Failure::html(403),
            "aws.unavailable",
            "something on the way to IAM Identity Center",
        ),
    ] {
        let world = World::new().await;
        world.identity.fail(PORTAL, failure.clone());
        world.write(".aws/config", SSO_CONFIG);
        world.cache_sso(SSO_CACHE, SSO_TOKEN, FAR);
        let serving = world.serve("profile = \"corp\"\n", &[]).await;
        let said = serving.fails(code).await;
        assert!(said.contains(told), "{failure:?}: {said}");
        assert!(said.contains("(GetRoleCredentials) returned"), "{said}");
        assert!(!said.contains("sso_account_id"), "{said}");
    }
}

#[tokio::test]
async fn a_bad_web_identity_differs_from_an_sts_outage() {
    for (failure, code, told) in [
        (
            Failure::sts(500, "InternalFailure", "oh"),
            "aws.unavailable",
            "AWS STS, which issues the credentials, has a problem",
        ),
        (
            Failure::sts(400, "IDPCommunicationError", "the issuer is slow"),
            "aws.unavailable",
            "the issuer is slow",
        ),
        (
            Failure::sts(400, "InvalidIdentityToken", "No provider found"),
            "aws.credentials",
            "exists and has not expired, and that the role trusts its issuer",
        ),
    ] {
        let world = World::new().await;
        world.identity.fail(STS, failure);
        let file = world.write("token", WEB_TOKEN);
        let variables = [
            ("AWS_WEB_IDENTITY_TOKEN_FILE", &*file),
            ("AWS_ROLE_ARN", ROLE),
        ];
        let serving = world.serve("", &variables).await;
        let said = serving.fails(code).await;
        assert!(said.contains(told), "{said}");
        let step = "AWS STS (AssumeRoleWithWebIdentity) returned ";
        assert!(said.contains(step), "{said}");
    }
}

/// The portal has issued keys, but STS cannot be reached.
#[tokio::test]
async fn an_unreachable_service_is_named() {
    let world = World::new().await;
    world.write(".aws/config", SSO_CONFIG);
    world.cache_sso(SSO_CACHE, SSO_TOKEN, FAR);
    let extra = format!("role_arn = \"{ROLE}\"\nprofile = \"corp\"\n");
    let down = [("AWS_ENDPOINT_URL_STS", "http://127.0.0.1:1")];
    let serving = world.serve(&extra, &down).await;
    let said = serving.fails("aws.unavailable").await;
    assert!(
        said.contains("AWS STS, which issues the credentials, cannot be reached"),
        "{said}"
    );
}

/// Keys that come too late are no matter of the network.
#[tokio::test]
async fn a_hanging_credential_process_is_named_and_not_retried() {
    let world = World::new().await;
    let runs = world.home.path().join("runs");
    // it ends when the test does: its input is ours
    let pipe = world.home.path().join("pipe");
    crate::support::make_pipe(&pipe);
    let _held = std::fs::OpenOptions::new()
        .read(true)
        .write(true)
        .open(&pipe)
        .unwrap();
    let lines = format!(
        "[profile slow]\ncredential_process = echo run >> {}; read line < {}\n",
        runs.display(),
        pipe.display()
    );
    world.write(".aws/config", lines);
    let extra = "profile = \"slow\"\n[limits]\nmint_try = \"300ms\"\n";
    let serving = world.serve(extra, &[]).await;
    let said = serving.fails("aws.credentials").await;
    for told in [
        "no credentials within 300ms",
        "the credential_process of profile \"slow\" returned no credentials in that time",
    ] {
        assert!(said.contains(told), "{said}");
    }
    assert!(!said.contains("network"), "{said}");
    // had it been tried again, that would have been before the answer
    eventually("the process", async || runs.exists().then_some(())).await;
    assert_eq!(std::fs::read_to_string(runs).unwrap(), "run\n");
}
