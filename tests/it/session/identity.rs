//! The identity of a session.

use crate::support::Harness;

/// A session is used only for the identity that opened it. A hand-over asks AWS for the current
/// identity, and so detects that it has changed.
#[tokio::test]
async fn a_session_ends_when_a_handover_has_another_identity() {
    let harness = Harness::configured("environments.demo.browser = \"redirect\"").await;
    let owner = "/environments/0/session/iam_identity";
    assert_eq!(harness.get("/home").await.status, 200);
    harness
        .status_says(owner, "assumed-role/Admin/emulator")
        .await;
    let handover = "/aws_mwaa/aws-console-sso?handover=1";
    assert_eq!(harness.get(handover).await.status, 303);
    assert_eq!(harness.get("/home").await.status, 200);
    assert_eq!(
        harness.logins().len(),
        1,
        "the same owner, the same session"
    );
    let other = "assumed-role/Admin/somebody-else";
    harness.script().web_login_identity.always(other.to_owned());
    assert_eq!(harness.get(handover).await.status, 303);
    assert_eq!(harness.get("/home").await.status, 200);
    assert_eq!(
        harness.logins().len(),
        2,
        "a session of its own for the new one"
    );
    harness.status_says(owner, other).await;
}
