//! `roles list|create|delete|add-perms|del-perms`.

use std::fmt::Write as _;

use clap::{Arg, ArgAction, ArgMatches, Command};
use serde_json::json;

use super::arguments::{Parsed, command, group, option, output, positional, switch};
use super::output::Rows;
use super::reply::{CommandResult, Reply};
use super::state::State;

/// Resources the world knows, of those that Airflow's UI guards.
const RESOURCES: [&str; 9] = [
    "Connections",
    "DAG Runs",
    "DAGs",
    "Jobs",
    "Plugins",
    "Pools",
    "Task Instances",
    "Variables",
    "Website",
];

/// Actions on resources.
const ACTIONS: [&str; 6] = [
    "can_create",
    "can_delete",
    "can_edit",
    "can_read",
    "menu_access",
    "can_import",
];

pub(super) fn grammar() -> Command {
    let roles = || positional("role", "The name of a role").num_args(1..);
    let many = |arg: Arg| arg.num_args(1..).action(ArgAction::Append);
    let resource =
        || many(option(Some('r'), "resource", "The name of permissions")).required(true);
    let action = || many(option(Some('a'), "action", "The action of permissions"));
    group(
        "roles",
        "Manage roles",
        [
            command("add-perms", "Add roles permissions").args([
                roles(),
                resource(),
                action().required(true),
            ]),
            command("create", "Create role").args([roles()]),
            command("del-perms", "Delete roles permissions").args([
                roles(),
                resource(),
                action(),
            ]),
            command("delete", "Delete role").args([roles()]),
            command("list", "List roles").args([
                switch(Some('p'), "permission", "Show role permissions"),
                output(),
            ]),
        ],
    )
}

pub(super) fn run(state: &mut State, name: &str, given: &ArgMatches) -> Reply {
    let roles = given.texts("role");
    match name {
        "list" => Ok(list(state, given.has("permission")).print(given.format())),
        "create" => {
            for role in &roles {
                state.roles.entry(role.clone()).or_default();
            }
            Ok(CommandResult::line(format_args!(
                "Added {} role(s)",
                roles.len()
            )))
        }
        "delete" => {
            known("Role", &roles, |role| state.roles.contains_key(role))?;
            state.roles.retain(|role, _| !roles.contains(role));
            Ok(CommandResult::line(format_args!(
                "Deleted {} role(s)",
                roles.len()
            )))
        }
        _ => permissions(state, name == "add-perms", &roles, given),
    }
}

fn list(state: &State, with_permissions: bool) -> Rows {
    if !with_permissions {
        let mut rows = Rows::new(&["name"]);
        for role in state.roles.keys() {
            rows.push(vec![json!(role)]);
        }
        return rows;
    }
    let mut rows = Rows::new(&["name", "resource", "action"]);
    for (role, pairs) in &state.roles {
        for resource in RESOURCES {
            let of_resource = pairs.iter().filter(|(name, _)| name == resource);
            let actions: Vec<&str> = of_resource.map(|(_, action)| action.as_str()).collect();
            if !actions.is_empty() {
                rows.push(vec![json!(role), json!(resource), json!(actions.join(","))]);
            }
        }
    }
    rows
}

fn permissions(state: &mut State, add: bool, roles: &[String], given: &ArgMatches) -> Reply {
    let (resources, actions) = (given.texts("resource"), given.texts("action"));
    known("Role", roles, |role| state.roles.contains_key(role))?;
    known("Resource", &resources, |name| RESOURCES.contains(&name))?;
    known("Action", &actions, |name| ACTIONS.contains(&name))?;
    let (mut text, mut count) = (String::new(), 0);
    for role in roles {
        let Some(held) = state.roles.get_mut(role) else {
            continue;
        };
        for resource in &resources {
            let chosen: Vec<String> = if actions.is_empty() {
                held.iter()
                    .filter(|(name, _)| name == resource)
                    .map(|(_, action)| action.clone())
                    .collect()
            } else {
                actions.clone()
            };
            for action in chosen {
                let pair = (resource.clone(), action.clone());
                let changed = if add {
                    held.insert(pair)
                } else {
                    held.remove(&pair)
                };
                if changed {
                    let (done, way) = if add {
                        ("Added", "to")
                    } else {
                        ("Deleted", "from")
                    };
                    let readable = action.replace('_', " ");
                    let _ = writeln!(text, "{done} {readable} on {resource} {way} role {role}");
                    count += 1;
                }
            }
        }
    }
    let done = if add { "Added" } else { "Deleted" };
    Ok(CommandResult::printed(format!(
        "{text}{done} {count} permission(s)\n"
    )))
}

/// Ends the command (message on standard output, exit code 1) at the first name that is not known.
fn known(
    what: &str,
    names: &[String],
    is_known: impl Fn(&str) -> bool,
) -> Result<(), CommandResult> {
    match names.iter().find(|name| !is_known(name)) {
        None => Ok(()),
        Some(name) => Err(CommandResult {
            stdout: format!("{what} named '{name}' does not exist\n"),
            stderr: String::new(),
            exit_code: 1,
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{ok, run, world};

    #[test]
    fn roles_are_created_and_given_permissions() {
        let world = world("2.10.3");
        assert_eq!(
            ok(&world, &["roles", "create", "A", "B"]),
            "Added 2 role(s)\n"
        );
        assert!(
            ok(&world, &["roles", "list", "-o", "json"])
                .starts_with("[{\"name\": \"A\"}, {\"name\": \"Admin\"}")
        );
        assert_eq!(
            ok(
                &world,
                &["roles", "add-perms", "A", "-r", "DAGs", "-a", "can_read"]
            ),
            "Added can read on DAGs to role A\nAdded 1 permission(s)\n"
        );
        let listed = ok(&world, &["roles", "list", "-p", "-o", "plain"]);
        assert!(
            listed.contains("A       DAGs            can_read\n"),
            "{listed}"
        );
        assert_eq!(
            ok(&world, &["roles", "del-perms", "A", "-r", "DAGs"]),
            "Deleted can read on DAGs from role A\nDeleted 1 permission(s)\n"
        );
    }

    #[test]
    fn what_does_not_exist_fails_on_standard_output() {
        let world = world("2.10.3");
        let ended = run(
            &world,
            &["roles", "add-perms", "Nope", "-r", "DAGs", "-a", "can_read"],
        );
        assert_eq!(
            (ended.stdout.as_str(), ended.exit_code),
            ("Role named 'Nope' does not exist\n", 1)
        );
        assert_eq!(
            run(&world, &["roles", "add-perms", "Op", "-r", "DAGs"]).exit_code,
            2
        );
    }
}
