//! The integration tests, one program. The list of modules is its table of contents.
#![expect(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that meets the unexpected should stop there, in what it calls as well"
)]

mod airflow;
mod asking;
mod audit;
mod aws_api;
mod command_line;
mod commands;
mod config_command;
mod credential;
mod credential_chain;
mod crowd;
mod debug;
mod discovery;
mod docs;
mod environments;
mod events;
mod exec;
mod fleet;
mod floors;
mod guard;
mod journey;
mod layering;
mod layout;
mod live;
mod logins;
mod management;
mod open;
mod pages;
mod policy;
mod probes;
mod profiles;
mod program;
mod properties;
mod queue;
mod real_tokens;
mod reload;
mod repeatable;
mod reply;
mod rest_via;
mod secrets;
mod session;
mod shutdown;
mod status;
mod supervisor;
mod support;
mod surroundings;
mod telemetry;
mod tls;
mod tree;
mod upstream;
mod ways;
mod web;
