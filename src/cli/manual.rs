//! `completions` and `man`: generated from the definition of the arguments.

use super::Exit;
use super::arguments::Arguments;
use super::terminal::Terminal;
use clap::CommandFactory as _;
use clap_complete::Shell;

pub(super) fn completions(shell: Shell, terminal: &Terminal) -> Exit {
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut Arguments::command(), "mwaa-gateway", &mut text);
    terminal.data(String::from_utf8_lossy(&text));
    Exit::Done
}

pub(super) fn page(terminal: &Terminal) -> Exit {
    let mut text = Vec::new();
    match clap_mangen::Man::new(Arguments::command()).render(&mut text) {
        Ok(()) => {
            terminal.data(String::from_utf8_lossy(&text));
            Exit::Done
        }
        Err(error) => terminal.fail(Exit::Failed, &error, None),
    }
}
