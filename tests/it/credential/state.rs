//! AWS refuses a token because of the environment's state: the fault names that state as AWS does.

use crate::support::{Harness, all};
use mwaa_emulator::{ControlFault, Seed, Settings};

const VERSION: &str = r#"environments.demo.airflow_version = "2.10.3""#;

fn in_state(status: &str) -> Settings {
    Settings {
        environments: vec![Seed {
            status: status.to_owned(),
            ..Seed::default()
        }],
        ..Settings::default()
    }
}

#[tokio::test]
async fn the_fault_names_the_status_that_is_queried_once() {
    for (status, fault, means) in [
        (
            "CREATE_FAILED",
            ControlFault::NotFound,
            "it could not be created",
        ),
        ("DELETING", ControlFault::NotFound, "it is being deleted"),
        ("DELETED", ControlFault::NotFound, "it has been deleted"),
        (
            "UPDATE_FAILED",
            ControlFault::NotFound,
            "its last update failed; see the reason in the MWAA console",
        ),
        ("UPDATING", ControlFault::Validation, "it is being updated"),
        ("CREATING", ControlFault::Validation, "it is being created"),
        (
            "UNAVAILABLE",
            ControlFault::Validation,
            "MWAA cannot run it",
        ),
        (
            "PENDING",
            ControlFault::Validation,
            "MWAA is waiting for VPC endpoints",
        ),
        (
            "MAINTENANCE",
            ControlFault::Validation,
            "MWAA is doing maintenance",
        ),
        (
            "ROLLING_BACK",
            ControlFault::Validation,
            "MWAA is restoring the snapshot",
        ),
    ] {
        let harness = Harness::scripted(in_state(status), VERSION, |script| {
            script.mint_fault.always(fault);
        })
        .await;
        for reply in all(harness.at_once((0..8).map(|_| harness.request("version")))).await {
            assert_eq!(reply.fault(), Some("aws.not_ready"), "{status}: {reply}");
            assert_eq!(reply.status, 503, "{status}: {reply}");
            let complaint = reply.complaint();
            let told = format!("the environment's status is {status}");
            assert!(
                complaint.contains(&told) && complaint.contains(means),
                "{complaint}"
            );
            for wrong in ["there is no environment", "check the network"] {
                assert!(!complaint.contains(wrong), "{complaint}");
            }
            assert!(reply.header("retry-after").is_some(), "{reply}");
        }
        let calls = |operation| harness.journal().calls(operation);
        assert_eq!(
            (calls("CreateCliToken"), calls("GetEnvironment")),
            (1, 1),
            "{status}"
        );
    }
}

#[tokio::test]
async fn a_failed_login_names_the_status_too() {
    let harness = Harness::scripted(in_state("DELETING"), VERSION, |script| {
        script.web_login_fault.always(ControlFault::NotFound);
    })
    .await;
    let reply = harness.get("/home").await;
    assert_eq!(reply.fault(), Some("aws.not_ready"), "{reply}");
    assert!(reply.complaint().contains("DELETING"), "{reply}");
}

#[tokio::test]
async fn an_unknown_environment_is_reported_as_missing() {
    let harness = Harness::scripted(Settings::default(), VERSION, |script| {
        script.mint_fault.always(ControlFault::NotFound);
        script.describe_fault.always(ControlFault::NotFound);
    })
    .await;
    let reply = harness.command("version").await;
    assert_eq!(reply.fault(), Some("aws.not_found"), "{reply}");
    let told = "there is no environment \"demo\" in eu-west-1";
    assert!(reply.complaint().contains(told), "{reply}");
}

#[tokio::test]
async fn a_denied_status_query_names_the_missing_permission() {
    let harness = Harness::scripted(in_state("UPDATING"), VERSION, |script| {
        script.mint_fault.always(ControlFault::Validation);
        script.describe_fault.always(ControlFault::AccessDenied);
    })
    .await;
    let reply = harness.command("version").await;
    assert_eq!(reply.fault(), Some("aws.not_ready"), "{reply}");
    let complaint = reply.complaint();
    assert!(
        complaint.contains("usually it is not AVAILABLE"),
        "{complaint}"
    );
    assert!(
        complaint.contains("allow airflow:GetEnvironment"),
        "{complaint}"
    );
}

/// AWS can refuse a token with 404 although the environment exists.
#[tokio::test]
async fn a_denied_status_query_does_not_claim_a_missing_environment() {
    let harness = Harness::scripted(in_state("CREATING"), VERSION, |script| {
        script.mint_fault.always(ControlFault::NotFound);
        script.describe_fault.always(ControlFault::AccessDenied);
    })
    .await;
    let reply = harness.command("version").await;
    assert_eq!(reply.fault(), Some("aws.not_found"), "{reply}");
    let complaint = reply.complaint();
    for told in [
        "it does not exist for these credentials, or is not AVAILABLE",
        "`aws mwaa list-environments --region eu-west-1`",
        "allow airflow:GetEnvironment",
    ] {
        assert!(complaint.contains(told), "{told}: {complaint}");
    }
    for wrong in ["there is no environment", "mwaa-gateway environments"] {
        assert!(!complaint.contains(wrong), "{complaint}");
    }
}

/// The endpoint's region is wrong, not the secret key.
#[tokio::test]
async fn a_signature_for_another_region_points_at_the_endpoint() {
    let harness = Harness::scripted(Settings::default(), VERSION, |script| {
        let message = "Credential should be scoped to a valid region.".to_owned();
        let fault = ControlFault::Error(403, "InvalidSignatureException", message);
        script.mint_fault.always(fault);
    })
    .await;
    let reply = harness.command("version").await;
    assert_eq!(reply.fault(), Some("aws.credentials"), "{reply}");
    let told = "the endpoint is not in the region eu-west-1";
    assert!(reply.complaint().contains(told), "{reply}");
}

/// The detail contains the whole denial, and the hint names its policy.
#[tokio::test]
async fn a_denial_is_not_truncated_before_its_reason() {
    let policy = "arn:aws:organizations::123456789012:policy/o-x/service_control_policy/p-x";
    let message = format!(
        "User: arn:aws:sts::123456789012:assumed-role/AWSReservedSSO_Data_0123456789abcdef/somebody@corp.example is \
         not authorized to perform: airflow:CreateCliToken on resource: arn:aws:airflow:eu-west-1:123456789012:\
         environment/demo with an explicit deny in a service control policy: {policy}"
    );
    let harness = Harness::scripted(Settings::default(), VERSION, |script| {
        let fault = ControlFault::Error(403, "AccessDeniedException", message);
        script.mint_fault.always(fault);
    })
    .await;
    let reply = harness.command("version").await;
    assert_eq!(reply.fault(), Some("aws.denied"), "{reply}");
    let complaint = reply.complaint();
    for told in [
        "environment/demo with an explicit deny in a service",
        &format!("a service control policy ({policy}) denies it"),
    ] {
        assert!(complaint.contains(told), "{told}: {complaint}");
    }
}

#[tokio::test]
async fn a_refusal_of_an_available_environment_names_its_status() {
    let harness = Harness::scripted(Settings::default(), VERSION, |script| {
        script.mint_fault.always(ControlFault::NotFound);
    })
    .await;
    let reply = harness.command("version").await;
    assert_eq!(reply.fault(), Some("aws.not_found"), "{reply}");
    let complaint = reply.complaint();
    assert!(
        complaint.contains("the environment's status is AVAILABLE"),
        "{complaint}"
    );
    assert!(
        !complaint.contains("there is no environment"),
        "{complaint}"
    );
}

/// The fault names the resource of the denial. Where an allow would not help, it names the
/// administrator to ask.
#[tokio::test]
async fn a_denial_names_the_resource_and_is_short() {
    let role = "arn:aws:airflow:eu-west-1:123456789012:role/demo/Op";
    let denial = |why: &str| {
        let message = format!(
            "User: arn:aws:sts::123456789012:assumed-role/AWSReservedSSO_Data_0123456789abcdef/somebody@corp.example \
             is not authorized to perform: airflow:CreateWebLoginToken on resource: {role} {why} Encoded \
             authorization failure message: {}",
            "x".repeat(700)
        );
        ControlFault::Error(403, "AccessDeniedException", message)
    };
    for (why, told) in [
        (
            "because no identity-based policy allows the airflow:CreateWebLoginToken action.",
            "allow airflow:CreateWebLoginToken on arn:aws:airflow:eu-west-1:123456789012:role/demo/Op",
        ),
        (
            "with an explicit deny in a service control policy.",
            "ask the administrator of your AWS organization to stop denying airflow:CreateWebLoginToken on",
        ),
    ] {
        let harness = Harness::scripted(Settings::default(), VERSION, |script| {
            script.web_login_fault.always(denial(why));
        })
        .await;
        let reply = harness.get("/home").await;
        assert_eq!(reply.fault(), Some("aws.denied"), "{reply}");
        let complaint = reply.complaint();
        assert!(complaint.contains(told), "{complaint}");
        assert!(
            complaint.contains(role) && !complaint.contains("xxx"),
            "{complaint}"
        );
        assert!(complaint.len() < 700, "{}: {complaint}", complaint.len());
    }
}

/// An environment that is being created may not have a version yet.
#[tokio::test]
async fn a_missing_version_of_a_new_environment_names_the_status() {
    let settings = Settings {
        environments: vec![Seed {
            status: "CREATING".to_owned(),
            ..Seed::new("demo", "soon")
        }],
        ..Settings::default()
    };
    let harness = Harness::with(settings, "").await;
    let reply = harness.command("version").await;
    assert_eq!(reply.fault(), Some("aws.not_ready"), "{reply}");
    let complaint = reply.complaint();
    assert!(complaint.contains("it is being created"), "{complaint}");
    assert!(!complaint.contains("set airflow_version"), "{complaint}");
}
