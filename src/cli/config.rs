//! `config`: writes a starter file, prints the configuration in effect, prints the JSON Schema of the
//! file.

use crate::config_args::{ConfigArgs, config_flags, path_parser};
use crate::terminal::Terminal;
use crate::{ExitStatus, RunResult};
use clap::{Args, Subcommand};
use mwaa_config::env;
use std::fs::File;
use std::io::{self, ErrorKind, Write as _};
use std::path::PathBuf;

/// The options of `config`.
#[derive(Debug, Args)]
pub(crate) struct ConfigCommandArgs {
    #[command(subcommand)]
    command: ConfigCommand,
}

#[derive(Debug, Subcommand)]
enum ConfigCommand {
    /// Write a starter file: every key, with its default and a comment
    #[command(after_help = "Example: mwaa-gateway config init --config mwaa-gateway.toml")]
    Init(InitArgs),
    /// Print the effective configuration, with the source of each value
    #[command(after_help = "Example: mwaa-gateway config show --config mwaa-gateway.toml")]
    Show(Box<ShowArgs>),
    /// Print the JSON Schema of the configuration file, for editors
    #[command(after_help = "Example: mwaa-gateway config schema > mwaa-gateway.schema.json")]
    Schema,
}

#[derive(Debug, Args)]
struct InitArgs {
    /// The file to write; an existing file is not changed
    #[arg(
        long = "config",
        value_name = "FILE",
        env = env::CONFIG,
        default_value = "mwaa-gateway.toml",
        value_parser = path_parser()
    )]
    file: PathBuf,
}

#[derive(Debug, Args)]
struct ShowArgs {
    #[command(flatten)]
    config: ConfigArgs<ShowFlags>,
}

config_flags! {
    struct ShowFlags;
    Environments: "Show only this environment (repeatable): a local name, or a name in MWAA",
    Region: "The AWS region of environments that have none in the file",
    Profile: "The AWS profile of environments that have none in the file",
    Listen: "The address to listen on: IP:port or unix:/path",
    Management: "The address of health, metrics and status",
}

pub(crate) fn run(args: &ConfigCommandArgs, terminal: &Terminal) -> RunResult {
    match &args.command {
        ConfigCommand::Init(args) => write_file(args, terminal)?,
        // a path may hold any characters
        ConfigCommand::Show(args) => {
            terminal.print_untrusted(args.config.load_effective(terminal)?);
        }
        ConfigCommand::Schema => terminal.print_json(&mwaa_config::schema())?,
    }
    Ok(ExitStatus::Success)
}

fn write_file(args: &InitArgs, terminal: &Terminal) -> Result<(), ExitStatus> {
    // never over a file that a person may have edited
    File::create_new(&args.file)
        .and_then(|mut file| file.write_all(mwaa_config::annotated_file().as_bytes()))
        .map_err(|error| {
            let file = args.file.clone();
            let (error, hint) = match error.kind() {
                ErrorKind::AlreadyExists => (
                    InitError::Exists { file },
                    "it was not changed; --config FILE writes another file",
                ),
                _ => (
                    InitError::Write { file, error },
                    "--config FILE writes another file",
                ),
            };
            terminal.fail(ExitStatus::Failure, &error, Some(hint))
        })?;

    let file = args.file.display();
    terminal.info(format_args!(
        "wrote {file}: it contains only defaults until you edit it"
    ));
    Ok(())
}

/// The starter file was not written.
#[derive(Debug, thiserror::Error)]
enum InitError {
    #[error("{} already exists", file.display())]
    Exists { file: PathBuf },
    #[error("cannot write {}", file.display())]
    Write {
        file: PathBuf,
        #[source]
        error: io::Error,
    },
}
