//! A token goes to MWAA's own web servers only, whatever AWS's reply says.

use super::several;
use crate::support::{Harness, all};
use mwaa_emulator::{ControlFault, HostForm, Seed, Settings};

#[tokio::test]
async fn an_untrusted_host_gets_no_connection() {
    let foreign = [
        "evil.example",
        "x.c1.eu-west-1.airflow.amazonaws.com.evil.example",
        "x.c1.us-east-1.airflow.amazonaws.com",
        "127.0.0.1",
        "[::1]",
        "x.c1.eu-west-1.airflow.amazonaws.com:8443",
        "x.c1.eu-west-1.airflow.amazonaws.com.",
        "X.C1.EU-WEST-1.AIRFLOW.AMAZONAWS.COM",
        "xn--bcher-kva.c1.eu-west-1.airflow.amazonaws.com",
        "evil.example/x.c1.eu-west-1.airflow.amazonaws.com",
        "evil@x.c1.eu-west-1.airflow.amazonaws.com",
        "https://x.c1.eu-west-1.airflow.amazonaws.com",
        "x.c1.eu-west-1.airflow.amazonaws.com\r\nX-Injected: yes",
        "",
    ];
    let names: Vec<_> = (0..foreign.len())
        .map(|number| format!("e{number}"))
        .collect();
    let harness = Harness::with(several(names.iter().map(String::as_str)), "").await;
    for (name, host) in names.iter().zip(foreign) {
        let fault = ControlFault::ForeignHost(host.to_owned());
        harness.script().mint_fault.always(fault);
        let replies = all(harness.at_once([harness.request_for(name, "version")])).await;
        let reply = &replies[0];
        assert_eq!(
            reply.fault(),
            Some("aws.untrusted_host"),
            "{host:?}: {reply}"
        );
        assert!(reply.header("x-injected").is_none());
        assert!(reply.complaint().contains("custom_domain"), "{reply}");
    }
    assert_eq!(harness.journal().web_connections(), 0);
}

#[tokio::test]
async fn a_custom_domain_is_trusted_if_configured() {
    let seed = Seed {
        custom_domain: Some("airflow.corp.example".to_owned()),
        ..Seed::default()
    };
    let settings = Settings {
        environments: vec![seed],
        ..Settings::default()
    };
    let harness = Harness::with(settings, "").await;
    let fault = ControlFault::ForeignHost("airflow.corp.example".to_owned());
    harness.script().mint_fault.always(fault);
    let reply = harness.command("version").await;
    assert_eq!(reply.status, 200, "{reply}");
    let domain = Some("airflow.corp.example".to_owned());
    assert_eq!(harness.journal().server_names(), [domain]);
}

#[tokio::test]
async fn every_form_of_mwaa_host_is_trusted() {
    for (host_form, access_mode) in [
        (HostForm::AmazonAws, "PRIVATE_ONLY"),
        (HostForm::OnAws, "PUBLIC_ONLY"),
        (HostForm::OnAws, "PRIVATE_ONLY"),
    ] {
        let seed = Seed {
            access_mode: access_mode.to_owned(),
            host_form,
            ..Seed::default()
        };
        let settings = Settings {
            environments: vec![seed],
            ..Settings::default()
        };
        let harness = Harness::with(settings, "").await;
        let reply = harness.command("version").await;
        assert_eq!(reply.status, 200, "{host_form:?} {access_mode}: {reply}");
    }
}
