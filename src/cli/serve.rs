//! `serve`: runs the gateway.

use super::inputs::{self, Flag, Inputs, Purpose};
use super::signals::Signals;
use super::terminal::Terminal;
use super::{Exit, management};
use crate::app::{self, Built, StartError};
use clap::Args;
use std::borrow::Cow;
use std::io;
use std::net::SocketAddr;

/// The options of `serve`.
#[derive(Debug, Args)]
pub(super) struct Options {
    #[command(flatten)]
    inputs: Inputs<ToServe>,
}

#[derive(Debug)]
struct ToServe;

impl Purpose for ToServe {
    const FLAGS: &'static [(Flag, &'static str)] = &[
        (
            Flag::Environments,
            "Serve only this environment (may be given several times): a name of the file, or MWAA's",
        ),
        (
            Flag::Region,
            "The AWS region, where the file names none for an environment",
        ),
        (
            Flag::Profile,
            "The AWS profile, where the file names none for an environment",
        ),
        (
            Flag::Listen,
            "The address to listen on: IP:port or unix:/path",
        ),
        (
            Flag::Management,
            "The address of health, metrics and status",
        ),
    ];
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
        let warnings = config
            .warnings()
            .into_iter()
            .chain(options.inputs.idle_variable());
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
        terminal.fail(exit, &error, Some(&hint))
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

fn advice(error: &StartError) -> (Exit, Cow<'static, str>) {
    match error {
        StartError::Bind(error) => {
            let other = match error.table.as_str() {
                "listener" => Cow::Borrowed("choose another one with --listen"),
                table => format!("choose another one in [{table}]").into(),
            };
            let advice = bind_advice(error.kind(), error.tcp(), &other);
            (Exit::Failed, advice.into())
        }
        StartError::Management(address, error) => {
            let other = "choose another one with --management";
            let advice = bind_advice(error.kind(), Some(*address), other);
            (Exit::Failed, advice.into())
        }
        StartError::Probes(address, error) => {
            let other = "choose another one for management.probes";
            let advice = bind_advice(error.kind(), Some(*address), other);
            (Exit::Failed, advice.into())
        }
        StartError::NoEnvironment => (
            Exit::Configuration,
            "name one with --environment NAME or as [environments.NAME], or let aws.discover find them"
                .into(),
        ),
        StartError::Proxy(..) => (
            Exit::Configuration,
            "write it as http://HOST:PORT, https://…, socks5://… or socks5h://…; or unset it; proxy.url = \"\" goes without".into(),
        ),
        StartError::Thread(_) => (
            Exit::Failed,
            "the system refuses threads or signals; check its limits".into(),
        ),
        StartError::Tls(_) | StartError::Trust(_) | StartError::Unreadable(..) => (
            Exit::Configuration,
            "`mwaa-gateway check` reports everything about the configuration".into(),
        ),
    }
}

fn bind_advice(kind: io::ErrorKind, address: Option<SocketAddr>, other: &str) -> String {
    match kind {
        io::ErrorKind::AddrInUse if address.is_some_and(management::is_gateway) => format!(
            "a gateway runs there already: use it (`mwaa-gateway status` shows what it serves), \
             stop it, or {other}"
        ),
        io::ErrorKind::AddrInUse => format!("another program listens there: {other}"),
        io::ErrorKind::AddrNotAvailable => format!("this machine has no such address: {other}"),
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => {
            format!("a socket file needs a folder that exists: make it, or {other}")
        }
        io::ErrorKind::PermissionDenied => format!(
            "this user may not listen there; take a port from 1024 up, or another folder: {other}"
        ),
        io::ErrorKind::InvalidFilename => {
            format!("the socket file needs a shorter path: {other}")
        }
        io::ErrorKind::AlreadyExists => {
            format!("something else stands at the path of the socket file: {other}")
        }
        _ => format!("another program may listen there: {other}"),
    }
}
