//! Both sides over real sockets, and the life of an emulator.
//!
//! What the gateway's own tests see through the gateway (spoilt answers, cut connections, bad
//! certificates, recreated environments) is not repeated here.

mod airflow;
mod aws;
mod client;
mod commands;
mod control;
mod sessions;

use std::path::Path;

use tokio::io::AsyncReadExt as _;

use super::{Emulator, Seed, Settings};
use client::{start, tls, with_environments};

#[tokio::test]
async fn dropping_the_emulator_frees_its_addresses() {
    let emulator = start(Settings::default()).await;
    let (aws, web) = (emulator.aws_addr(), emulator.web_addr());
    let mut stream = tls(&emulator, &emulator.host("demo").unwrap())
        .await
        .unwrap();
    drop(emulator);
    assert!(stream.read(&mut [0; 1]).await.is_err());
    let settings = Settings {
        aws,
        web,
        ..Settings::default()
    };
    assert_eq!(start(settings).await.web_addr(), web);
}

#[tokio::test]
async fn bad_settings_are_refused() {
    let busy = start(Settings::default()).await;
    for (settings, expected) in [
        (
            with_environments(vec![Seed::default(), Seed::default()]),
            "environment name \"demo\" is not valid or is used twice",
        ),
        (
            Settings {
                aws: busy.aws_addr(),
                ..Settings::default()
            },
            "the emulator's AWS side cannot listen on 127.0.0.1:",
        ),
        (
            Settings {
                control: Some(([0, 0, 0, 0], 0).into()),
                ..Settings::default()
            },
            "the control address 0.0.0.0:0 is not on loopback",
        ),
    ] {
        let error = Emulator::start(settings).await.unwrap_err().to_string();
        assert!(error.starts_with(expected), "{error}");
    }
}

#[tokio::test]
async fn the_config_snippet_is_toml_with_every_environment() {
    let seeds = vec![Seed::default(), Seed::new("other", "2.10.3")];
    let emulator = start(with_environments(seeds)).await;
    let text = emulator.config_toml(Path::new("/tmp/a \"b\".pem"));
    let config: toml::Table = text.parse().unwrap();
    let (aws, environments) = (&config["aws"], &config["environments"]);
    let ca_file = environments["other"]["ca_file"].as_str();
    assert_eq!(
        aws["endpoint_url"].as_str(),
        Some(&*emulator.endpoint_url())
    );
    assert_eq!(ca_file, Some("/tmp/a \"b\".pem"));
    let web = emulator.web_addr().to_string();
    assert_eq!(environments["demo"]["connect_to"].as_str(), Some(&*web));
}
