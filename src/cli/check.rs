//! `check`: one line a finding, `ok`, `warn` or `fail`.

use super::Exit;
use super::inputs::{Inputs, extras};
use super::serve::control;
use super::terminal::Terminal;
use crate::app::{self, Finding, Level};
use clap::Args;

/// The options of `check`.
#[derive(Debug, Args)]
pub(super) struct Options {
    #[command(flatten)]
    inputs: Inputs,
    /// Look at the configuration only; ask nobody
    #[arg(long)]
    offline: bool,
}

pub(super) fn run(options: &Options, terminal: &Terminal) -> Exit {
    let config = match options.inputs.load(terminal) {
        Ok(config) => config,
        Err(exit) => return exit,
    };
    let source = config.source.as_ref().map_or_else(
        || "no file: defaults and options".to_owned(),
        |file| file.display().to_string(),
    );
    print(&Finding::new(Level::Ok, "configuration", source), terminal);
    for warning in config.warnings() {
        print(
            &Finding::new(Level::Warn, "configuration", warning),
            terminal,
        );
    }
    if config.environments.is_empty() && !config.discovers() {
        let text = "no environment is named; use --environment NAME or [environments.NAME]";
        print(
            &Finding::new(Level::Fail, "configuration", text.to_owned()),
            terminal,
        );
        return Exit::Configuration;
    }
    let extras = match extras(terminal) {
        Ok(extras) => extras,
        Err(exit) => return exit,
    };
    let findings = app::check_files(&config).unwrap_or_else(|error| {
        let text = error.to_string();
        vec![Finding::new(Level::Fail, "configuration", text)]
    });
    for finding in &findings {
        print(finding, terminal);
    }
    if findings.iter().any(|finding| finding.level == Level::Fail) {
        return Exit::Configuration;
    }
    if options.offline {
        return Exit::Done;
    }
    control(terminal, async {
        let mut worst = Level::Ok;
        app::probe(&config, &extras, |finding| {
            worst = worst.max(finding.level);
            print(&finding, terminal);
        })
        .await?;
        Ok(if worst == Level::Fail {
            Exit::Unavailable
        } else {
            Exit::Done
        })
    })
}

fn print(finding: &Finding, terminal: &Terminal) {
    let level = match finding.level {
        Level::Ok => "ok",
        Level::Warn => "warn",
        Level::Fail => "fail",
    };
    terminal.data(format_args!(
        "{level:4}  {}: {}\n",
        finding.subject, finding.text
    ));
}
