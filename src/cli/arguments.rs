//! What may be typed. Every command's help ends with an example.

use super::logging::Logging;
use super::terminal::Terminal;
use super::{
    Exit, airflow, check, commands, complete, demo, emulator, environments, explain, login,
    manual, open, serve, status, tunnel_guard, wait,
};
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{CommandFactory as _, Parser, Subcommand};
use clap_complete::Shell;

/// Reach Amazon MWAA (managed Apache Airflow) through localhost, without tokens
#[derive(Parser)]
#[command(
    name = "mwaa-gateway",
    version,
    max_term_width = 100,
    after_help = "\
Try it without AWS:   mwaa-gateway demo
Your environment:     mwaa-gateway serve --environment NAME --region REGION"
)]
pub(super) struct Arguments {
    /// Say nothing on stderr but errors
    #[arg(short, long, global = true, display_order = 900)]
    pub(super) quiet: bool,
    #[command(flatten)]
    pub(super) logging: Logging,
    #[command(subcommand)]
    pub(super) command: Command,
}

#[derive(Subcommand)]
pub(super) enum Command {
    /// Run the gateway
    #[command(
        after_help = "Example: mwaa-gateway serve --environment analytics-prod --region eu-west-1"
    )]
    Serve(serve::Options),
    /// Run gateway and emulator together: no AWS, nothing to install
    #[command(after_help = "Example: mwaa-gateway demo --airflow-version 3.0.6")]
    Demo(demo::Options),
    /// Run the emulator alone: an MWAA in a box
    #[command(
        after_help = "Example: mwaa-gateway emulator --aws 127.0.0.1:4566 --web 127.0.0.1:8443"
    )]
    Emulator(emulator::Options),
    /// Report every problem of the configuration, and whether AWS and web servers answer
    #[command(after_help = "Example: mwaa-gateway check --config mwaa-gateway.toml --offline")]
    Check(check::Options),
    /// List the environments, how they are, and their local URLs
    #[command(after_help = "Example: mwaa-gateway environments --region eu-west-1")]
    Environments(environments::Options),
    /// Run an Airflow command, through the running gateway or without one
    #[command(after_help = "Example: mwaa-gateway airflow -e prod -- dags list -o json")]
    Airflow(airflow::Options),
    /// Sign in to AWS as an environment's profile does: `aws login` or `aws sso login`
    #[command(after_help = "Example: mwaa-gateway login -e prod")]
    Login(login::Options),
    /// Open an environment's UI in the browser, signed in
    #[command(after_help = "Example: mwaa-gateway open analytics-prod /home")]
    Open(open::Options),
    /// List which Airflow commands pass, which do not, and why
    #[command(
        after_help = "Example: mwaa-gateway commands --airflow-version 2.10.3 --output json"
    )]
    Commands(commands::Options),
    /// Say how a command line is read, and whether it passes; nothing is sent
    #[command(after_help = "Example: mwaa-gateway explain -e prod 'dags trigger my_dag'")]
    Explain(explain::Options),
    /// Show what a running gateway says of itself
    #[command(after_help = "Example: mwaa-gateway status --output json")]
    Status(status::Options),
    /// Return when a running gateway is ready
    #[command(after_help = "Example: mwaa-gateway wait --timeout 30s && curl …")]
    Wait(wait::Options),
    /// Print a shell's completions
    #[command(
        after_help = "Example: mwaa-gateway completions bash > /etc/bash_completion.d/mwaa-gateway"
    )]
    Completions {
        /// The shell
        shell: Shell,
    },
    /// Tell a shell what may stand at the cursor
    #[command(
        hide = true,
        after_help = "Example: mwaa-gateway complete -- mwaa-gateway airflow -e ''"
    )]
    Complete(complete::Options),
    /// Start a tunnel's program, and end it when the gateway is gone
    #[command(
        hide = true,
        after_help = "Example: mwaa-gateway tunnel-guard -- ssh -N bastion"
    )]
    TunnelGuard(tunnel_guard::Options),
    /// Print the manual page, or write one for each command
    #[command(after_help = "Example: mwaa-gateway man | man -l -")]
    Man(manual::Options),
}

impl Command {
    /// What is logged where nobody says: a service tells what it does, a single command only
    /// prints what it was asked for.
    pub(super) const fn usual_log(&self) -> &'static str {
        match self {
            Self::Airflow(_) => "error",
            Self::Complete(_) | Self::TunnelGuard(_) => "off",
            Self::Serve(_)
            | Self::Demo(_)
            | Self::Emulator(_)
            | Self::Check(_)
            | Self::Environments(_)
            | Self::Login(_)
            | Self::Open(_)
            | Self::Commands(_)
            | Self::Explain(_)
            | Self::Status(_)
            | Self::Wait(_)
            | Self::Completions { .. }
            | Self::Man(_) => "info",
        }
    }
}

/// Help and version are data; a mistake is talk and exit code 2.
pub(super) fn explain(mut error: clap::Error, terminal: &Terminal) -> Exit {
    match error.kind() {
        ErrorKind::MissingSubcommand => {
            // clap lists hidden ones too
            let command = Arguments::command();
            let shown = command.get_subcommands().filter(|sub| !sub.is_hide_set());
            let names = shown.map(|sub| sub.get_name().to_owned()).collect();
            error.insert(ContextKind::ValidSubcommand, ContextValue::Strings(names));
        }
        ErrorKind::UnknownArgument if is_of(&error, "explain") => {
            let tip = "quote the line: mwaa-gateway explain 'dags list --verbose'";
            let tips = ContextValue::StyledStrs(vec![tip.into()]);
            error.insert(ContextKind::Suggested, tips);
        }
        _ => {}
    }
    let text = error.render();
    if error.use_stderr() {
        terminal.tell(text.ansi().to_string().trim_end());
        Exit::Usage
    } else {
        terminal.data(text.ansi());
        Exit::Done
    }
}

/// Whether the arguments are those of this command.
fn is_of(error: &clap::Error, command: &str) -> bool {
    let usage = error.get(ContextKind::Usage);
    usage.is_some_and(|usage| {
        usage
            .to_string()
            .contains(&format!("mwaa-gateway {command} "))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_definition_is_sound_and_every_command_has_an_example() {
        let command = Arguments::command();
        command.clone().debug_assert();
        for sub in command.get_subcommands() {
            let help = sub
                .get_after_help()
                .map(ToString::to_string)
                .unwrap_or_default();
            assert!(
                help.starts_with("Example: mwaa-gateway "),
                "{}",
                sub.get_name()
            );
        }
    }
}
