//! `serve`: runs the gateway.

use super::Exit;
use super::inputs::{self, Inputs};
use super::signals::Signals;
use super::terminal::Terminal;
use crate::app::{self, Built, StartError};
use clap::Args;
use std::io;

/// The options of `serve`.
#[derive(Debug, Args)]
pub(super) struct Options {
    #[command(flatten)]
    inputs: Inputs,
}

pub(super) fn run(options: &Options, terminal: &Terminal) -> Exit {
    let prepared = options
        .inputs
        .load(terminal)
        .and_then(|config| inputs::extras(terminal).map(|extras| (config, extras)));
    let (config, extras) = match prepared {
        Ok(prepared) => prepared,
        Err(exit) => return exit,
    };
    app::harden();
    app::raise_descriptor_limit();
    control(terminal, async {
        let signals = Signals::listen().map_err(StartError::Thread)?;
        let warnings = config.warnings();
        let built = app::build(config, &extras).await?;
        announce(&built, terminal);
        built.ask_for_names();
        for warning in warnings {
            terminal.say(format_args!("warning: {warning}"));
        }
        signals.run(built).await
    })
}

/// Runs on the control runtime: one thread for mints, questions and management.
pub(super) fn control(
    terminal: &Terminal,
    work: impl Future<Output = Result<Exit, StartError>>,
) -> Exit {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let outcome = runtime.map_err(StartError::Thread).and_then(|runtime| {
        let outcome = runtime.block_on(work);
        // a look-up of a name may hang in the C library; the exit does not wait for it
        runtime.shutdown_background();
        outcome
    });
    outcome.unwrap_or_else(|error| {
        let (exit, hint) = advice(&error);
        terminal.fail(exit, &error, Some(hint))
    })
}

/// Says where to find the gateway.
pub(super) fn announce(built: &Built, terminal: &Terminal) {
    for listener in built.listeners() {
        terminal.say(format_args!("listening on {listener}"));
    }
    if let Some(url) = built.management_url() {
        terminal.say(format_args!("management on {url}"));
    }
    if let Some(url) = built.probes_url() {
        terminal.say(format_args!("probes on {url}"));
    }
}

fn advice(error: &StartError) -> (Exit, &'static str) {
    match error {
        StartError::Bind(error) => (Exit::Failed, bind_advice(error.kind())),
        StartError::Management(..) => (
            Exit::Failed,
            "another program may listen there; choose another address with --management",
        ),
        StartError::Probes(..) => (
            Exit::Failed,
            "another program may listen there; choose another address for management.probes",
        ),
        StartError::NoEnvironment => (
            Exit::Configuration,
            "name one with --environment NAME or as [environments.NAME], or let aws.discover find them",
        ),
        StartError::Thread(_) => (
            Exit::Failed,
            "the system refuses threads or signals; check its limits",
        ),
        StartError::Tls(_) | StartError::Trust(_) | StartError::Unreadable(..) => (
            Exit::Configuration,
            "`mwaa-gateway check` reports everything about the configuration",
        ),
    }
}

fn bind_advice(kind: io::ErrorKind) -> &'static str {
    match kind {
        io::ErrorKind::AddrNotAvailable => {
            "this machine has no such address; choose another with --listen"
        }
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => {
            "a socket file needs a folder that exists: make it, or choose another path with --listen"
        }
        io::ErrorKind::PermissionDenied => {
            "this user may not listen there; choose a port from 1024 up, or another folder, with --listen"
        }
        io::ErrorKind::InvalidFilename => {
            "choose a shorter path for the socket file, with --listen"
        }
        io::ErrorKind::AlreadyExists => {
            "choose a path for the socket file where nothing is yet, with --listen"
        }
        _ => "another program may listen there; choose another address with --listen",
    }
}
