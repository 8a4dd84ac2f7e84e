//! mwaa-gateway: reach Amazon MWAA through localhost, without tokens.
//!
#![doc = include_str!("ARCHITECTURE.md")]

pub mod app;
pub mod cli;
pub mod config;
pub mod control;
pub mod credential;
pub mod egress;
pub mod emulator;
pub mod gateway;
pub mod guard;
pub mod listener;
pub mod management;
pub mod names;
pub mod pages;
pub mod policy;
pub mod queue;
pub mod reply;
pub mod route;
pub mod runtime;
pub mod telemetry;
pub mod upstream;
