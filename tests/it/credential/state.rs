//! A token that AWS does not give because of the environment's state: AWS's own word for it is told.

use crate::support::{Harness, all};
use mwaa_gateway::emulator::{ControlFault, Seed, Settings};

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
async fn the_state_is_told_and_asked_once_for_many() {
    for (status, fault, means) in [
        (
            "CREATE_FAILED",
            ControlFault::NotFound,
            "it could not be created",
        ),
        ("DELETING", ControlFault::NotFound, "it is being deleted"),
        ("DELETED", ControlFault::NotFound, "it has been deleted"),
        ("UPDATING", ControlFault::Validation, "it is being updated"),
        ("CREATING", ControlFault::Validation, "it is being created"),
        ("UNAVAILABLE", ControlFault::Validation, "MWAA can't run it"),
        (
            "PENDING",
            ControlFault::Validation,
            "MWAA waits for VPC endpoints",
        ),
        (
            "MAINTENANCE",
            ControlFault::Validation,
            "MWAA is doing maintenance",
        ),
        (
            "ROLLING_BACK",
            ControlFault::Validation,
            "MWAA restores what was before",
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
            let told = format!("AWS says that the environment is {status}");
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
async fn a_session_is_no_different() {
    let harness = Harness::scripted(in_state("DELETING"), VERSION, |script| {
        script.web_login_fault.always(ControlFault::NotFound);
    })
    .await;
    let reply = harness.get("/home").await;
    assert_eq!(reply.fault(), Some("aws.not_ready"), "{reply}");
    assert!(reply.complaint().contains("DELETING"), "{reply}");
}

#[tokio::test]
async fn what_aws_does_not_know_either_is_not_there() {
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
async fn a_state_that_can_t_be_asked_names_the_permission() {
    let harness = Harness::scripted(in_state("UPDATING"), VERSION, |script| {
        script.mint_fault.always(ControlFault::Validation);
        script.describe_fault.always(ControlFault::AccessDenied);
    })
    .await;
    let reply = harness.command("version").await;
    assert_eq!(reply.fault(), Some("aws.not_ready"), "{reply}");
    let complaint = reply.complaint();
    assert!(
        complaint.contains("mostly it is not AVAILABLE"),
        "{complaint}"
    );
    assert!(
        complaint.contains("allow airflow:GetEnvironment"),
        "{complaint}"
    );
}

#[tokio::test]
async fn a_refusal_in_a_good_state_is_told_with_that_state() {
    let harness = Harness::scripted(Settings::default(), VERSION, |script| {
        script.mint_fault.always(ControlFault::NotFound);
    })
    .await;
    let reply = harness.command("version").await;
    assert_eq!(reply.fault(), Some("aws.not_found"), "{reply}");
    let complaint = reply.complaint();
    assert!(
        complaint.contains("AWS says that the environment is AVAILABLE"),
        "{complaint}"
    );
    assert!(
        !complaint.contains("there is no environment"),
        "{complaint}"
    );
}

/// What AWS names is named, and where an allow would not help, whom to ask.
#[tokio::test]
async fn a_denial_names_what_aws_names_and_is_short() {
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
            "ask whoever manages your AWS organization to leave airflow:CreateWebLoginToken on",
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

/// An environment that is being made may have no version yet.
#[tokio::test]
async fn a_version_that_is_not_there_yet_is_the_state_s_matter() {
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
