//! `completions` and `man`: generated from the definition of the arguments.

use super::Exit;
use super::arguments::Arguments;
use super::inputs::path;
use super::terminal::Terminal;
use clap::{Arg, Args, CommandFactory as _};
use clap_complete::Shell;
use std::path::PathBuf;

pub(super) fn completions(shell: Shell, terminal: &Terminal) -> Exit {
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut shown(), "mwaa-gateway", &mut text);
    terminal.data(asking(shell, &String::from_utf8_lossy(&text)));
    Exit::Done
}

/// The program without the commands that are for scripts only, which would be offered too.
fn shown() -> clap::Command {
    let all = Arguments::command();
    let commands = all
        .get_subcommands()
        .filter(|command| !command.is_hide_set());
    clap::Command::new("mwaa-gateway")
        .version(env!("CARGO_PKG_VERSION"))
        .about(all.get_about().cloned().unwrap_or_default())
        .after_help(all.get_after_help().cloned().unwrap_or_default())
        .args(all.get_arguments().cloned().map(whole))
        .subcommands(commands.cloned())
}

/// The argument with its description, which the manual leaves out where the short help does.
fn whole(argument: Arg) -> Arg {
    argument.hide_short_help(false)
}

/// The script, which asks the program first where only the program knows: `complete`.
fn asking(shell: Shell, script: &str) -> String {
    // the generated function keeps its place under another name
    let renamed = |name: &str| script.replacen(name, "_mwaa_gateway_static() {", 1);
    match shell {
        // clap_complete 4.6 takes the program's name apart in some places and not in others, so
        // its script would know no command's options
        Shell::Bash => {
            let script = renamed(BASH_NAME).replace("mwaa__subcmd__gateway", "mwaa__gateway");
            format!("{BASH}\n{script}")
        }
        Shell::Zsh => renamed(ZSH_NAME).replacen(ZSH_END, &format!("{ZSH}\n{ZSH_END}"), 1),
        Shell::Fish => format!("{script}{FISH}"),
        _ => script.to_owned(),
    }
}

/// The options of `man`.
#[derive(Debug, Args)]
pub(super) struct Options {
    /// Write a page for the program and one for each command into this folder
    #[arg(long, value_name = "DIR", value_parser = path())]
    dir: Option<PathBuf>,
}

pub(super) fn page(options: &Options, terminal: &Terminal) -> Exit {
    let Some(folder) = &options.dir else {
        let mut text = Vec::new();
        return match clap_mangen::Man::new(shown()).render(&mut text) {
            Ok(()) => {
                terminal.data(String::from_utf8_lossy(&text));
                Exit::Done
            }
            Err(error) => terminal.fail(Exit::Failed, &error, None),
        };
    };
    let written = std::fs::create_dir_all(folder)
        .and_then(|()| clap_mangen::generate_to(shown(), folder));
    match written {
        Ok(()) => Exit::Done,
        Err(error) => {
            let hint = format!("is {} a folder that you may write to?", folder.display());
            terminal.fail(Exit::Failed, &error, Some(&hint))
        }
    }
}

/// Words are read line by line and never evaluated. The second function is for an alias:
/// `complete -F _mwaa_gateway_airflow airflow`.
const BASH: &str = r#"_mwaa_gateway_ask() {
    local found known
    COMPREPLY=()
    # an answer without a word is one too, but not a failure
    known=$("$@" 2>/dev/null) || return 1
    while IFS= read -r found; do
        [[ -n $found ]] && COMPREPLY+=("$found")
    done <<<"$known"
    return 0
}

_mwaa__gateway() {
    _mwaa_gateway_ask "$1" complete -- "${COMP_WORDS[@]:0:COMP_CWORD+1}" ||
        _mwaa_gateway_static "$@"
}

_mwaa_gateway_airflow() {
    _mwaa_gateway_ask mwaa-gateway complete -- \
        mwaa-gateway airflow -- "${COMP_WORDS[@]:1:COMP_CWORD}"
}
"#;

const ZSH: &str = r#"_mwaa-gateway() {
    local known
    if known=$("$words[1]" complete -- "${(@)words[1,CURRENT]}" 2>/dev/null); then
        compadd -- ${(f)known}
    else
        _mwaa_gateway_static "$@"
    fi
}
"#;

/// How the generated functions begin.
const BASH_NAME: &str = "_mwaa__gateway() {";
const ZSH_NAME: &str = "_mwaa-gateway() {";
/// How the generated script for zsh begins its last part.
const ZSH_END: &str = r#"if [ "$funcstack[1]" = "_mwaa-gateway" ]; then"#;

const FISH: &str = r#"
function __fish_mwaa_gateway_ask
    set -l line (commandline -opc)
    $line[1] complete -- $line (commandline -ct) 2>/dev/null
end
complete -c mwaa-gateway -n "__fish_seen_subcommand_from airflow serve open check environments explain commands" -l environment -x -a "(__fish_mwaa_gateway_ask)"
complete -c mwaa-gateway -n "__fish_seen_subcommand_from airflow explain commands" -s e -x -a "(__fish_mwaa_gateway_ask)"
complete -c mwaa-gateway -n "__fish_seen_subcommand_from airflow open" -f -a "(__fish_mwaa_gateway_ask)"
"#;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_generated_scripts_have_the_form_that_is_built_upon() {
        for (shell, name, asked) in [(Shell::Bash, BASH_NAME, 2), (Shell::Zsh, ZSH_NAME, 1)] {
            let mut text = Vec::new();
            clap_complete::generate(shell, &mut shown(), "mwaa-gateway", &mut text);
            let script = asking(shell, &String::from_utf8(text).unwrap());
            assert_eq!(script.matches(name).count(), 1, "{shell}");
            assert_eq!(
                script.matches("_mwaa_gateway_static() {").count(),
                1,
                "{shell}"
            );
            assert_eq!(script.matches(" complete -- ").count(), asked, "{shell}");
        }
    }
}
