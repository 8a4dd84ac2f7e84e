//! The commands that `allow` and `deny` name: a rule with a slip of the pen would let pass, or keep
//! back, nothing.

use super::{Config, suggest};
use crate::policy::command_names;

/// Rules that name no command or group of any Airflow, one line each. A plugin may have it.
pub(super) fn strangers(config: &Config) -> Vec<String> {
    let mut lists = Vec::new();
    for entry in &config.environments {
        let environment = &entry.environment;
        let table = format!("environments.{}", environment.local);
        lists.push((table, &environment.allow, &environment.deny));
    }
    let further = config.listeners.iter().map(|own| &own.rules);
    for own in further.chain([&config.listener.rules]) {
        lists.push((own.table.clone(), &own.allow, &own.deny));
    }
    let mut strange = Vec::new();
    for (table, allow, deny) in lists {
        for (key, rules) in [("allow", allow), ("deny", deny)] {
            for rule in rules.iter().filter(|rule| !is_known(rule)) {
                let text = rule.join(" ");
                let hint = suggest::nearest(&text, command_names())
                    .map_or_else(String::new, |near| format!(" (did you mean \"{near}\"?)"));
                strange.push(format!(
                    "{table}.{key}: no command of Airflow's is \"{text}\"{hint}; a plugin may have it"
                ));
            }
        }
    }
    strange
}

/// Whether the rule begins with a command's name, or is a group's. What is a group somewhere is
/// known by two words.
fn is_known(rule: &[String]) -> bool {
    let words = rule.iter().map(String::as_str);
    let words: Vec<_> = words.take_while(|word| !word.starts_with('-')).collect();
    match words.as_slice() {
        [] => false,
        [only] => command_names().any(|name| name.split(' ').next() == Some(only)),
        [first, second, ..] => {
            let pair = format!("{first} {second}");
            let in_group = |name: &str| name.split_once(' ').is_some_and(|(g, _)| g == *first);
            command_names().any(|name| name == pair)
                || !command_names().any(in_group) && command_names().any(|name| name == *first)
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::config::Overrides;
    use crate::config::tests::read;

    #[test]
    fn a_rule_that_names_nothing_is_told_of() {
        let text = "[environments.prod]\n\
                    allow = [\"pools set\", \"dags list --subdir\", \"plugin act\"]\n\
                    deny = [\"dags\", \"dags delete x\", \"dags delte\", \"list_dags x\"]\n\
                    [listeners.one]\naddress = \"127.0.0.1:8082\"\npolicy = \"operator\"\n\
                    allow = [\"variables sett\", \"dags show --save\", \"dag\"]\n";
        let config = read(text.as_bytes(), &Overrides::default()).expect(text);
        let warnings = config.warnings();
        let told = |key: &str, rule: &str, near: &str| {
            format!("{key}: no command of Airflow's is \"{rule}\"{near}; a plugin may have it")
        };
        let expected = [
            told("environments.prod.allow", "plugin act", ""),
            told(
                "environments.prod.deny",
                "dags delte",
                " (did you mean \"dags delete\"?)",
            ),
            told(
                "listeners.one.allow",
                "variables sett",
                " (did you mean \"variables set\"?)",
            ),
            told("listeners.one.allow", "dag", ""),
        ];
        assert_eq!(warnings, expected);
    }
}
