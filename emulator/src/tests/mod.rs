//! Both sides over real sockets, and the life of an emulator.

mod assets;
mod aws;
mod browser;
mod client;
mod control;
mod faults;
mod rest;
mod sessions;
mod sign_in;
mod ui;
mod web;
mod web_host;

use std::path::Path;

use tokio::io::AsyncReadExt as _;

use super::{Emulator, Seed, Settings};
use client::{start, tls};

#[tokio::test]
async fn dropping_the_emulator_frees_its_addresses() {
    let emulator = start(Settings::default()).await;
    let (aws, web) = (emulator.aws_addr(), emulator.web_addr());
    let mut stream = tls(&emulator, &emulator.host("demo").unwrap())
        .await
        .unwrap();
    drop(emulator);
    assert!(stream.read(&mut [0; 1]).await.is_err());
    let again = start(Settings {
        aws,
        web,
        ..Settings::default()
    })
    .await;
    assert_eq!((again.aws_addr(), again.web_addr()), (aws, web));
}

#[tokio::test]
async fn bad_settings_are_refused_in_words() {
    let twice = vec![Seed::default(), Seed::default()];
    let error = Emulator::start(Settings {
        environments: twice,
        ..Settings::default()
    })
    .await
    .unwrap_err();
    assert_eq!(
        error.to_string(),
        "environment name \"demo\" is not valid or is used twice"
    );
    let taken = start(Settings::default()).await;
    let error = Emulator::start(Settings {
        aws: taken.aws_addr(),
        ..Settings::default()
    })
    .await
    .unwrap_err();
    assert!(
        error
            .to_string()
            .contains("AWS side cannot listen on 127.0.0.1:"),
        "{error}"
    );
}

#[tokio::test]
async fn the_config_snippet_is_toml_with_every_environment() {
    let environments = vec![Seed::default(), Seed::new("other", "2.10.3")];
    let emulator = start(Settings {
        environments,
        ..Settings::default()
    })
    .await;
    let text = emulator.config_toml(Path::new("/tmp/a \"b\".pem"));
    let config: toml::Table = text.parse().unwrap();
    assert_eq!(
        config["aws"]["endpoint_url"].as_str(),
        Some(emulator.endpoint_url().as_str())
    );
    assert_eq!(
        config["environments"]["other"]["ca_file"].as_str(),
        Some("/tmp/a \"b\".pem")
    );
    assert_eq!(
        config["environments"]["demo"]["connect_to"].as_str(),
        Some(emulator.web_addr().to_string().as_str())
    );
}
