//! How a command that lists something prints it.

use clap::{Args, ValueEnum};

/// The option, the same everywhere.
#[derive(Debug, Args)]
pub(super) struct OutputOption {
    /// How to print
    #[arg(short, long, value_enum, default_value_t)]
    pub(super) output: Output,
}

/// How to print.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum Output {
    /// Lines for people
    #[default]
    Table,
    /// JSON, for programs
    Json,
}
