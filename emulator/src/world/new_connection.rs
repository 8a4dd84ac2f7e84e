//! `connections add`: from a URI, from JSON, or from single options.

use clap::ArgMatches;
use serde_json::Value;

use super::arguments::Parsed;
use super::connections::Connection;
use super::reply::{CommandResult, Reply};
use super::state::State;
use super::{json, uri};

pub(super) fn add(state: &mut State, conn_id: &str, given: &ArgMatches) -> Reply {
    let exit = |message: String| Err(CommandResult::system_exit(message));
    let allowed = |letter: char| letter.is_alphanumeric() || "_-.".contains(letter);
    if !conn_id.chars().all(allowed) {
        return exit(format!(
            "Could not create connection. The key '{conn_id}' has to be made of alphanumeric \
             characters, dashes, dots and underscores exclusively"
        ));
    }
    let owned = |name: &str| {
        given
            .text(name)
            .filter(|text| !text.is_empty())
            .map(str::to_owned)
    };
    let (from_uri, from_json) = (owned("conn-uri"), owned("conn-json"));
    let kind = owned("conn-type");
    let form = match (&from_uri, &from_json) {
        (Some(_), Some(_)) => {
            return exit("Cannot supply both conn-uri and conn-json".to_owned());
        }
        (None, None) if kind.is_none() => {
            return exit(
                "Must supply either conn-uri or conn-json if not supplying conn-type"
                    .to_owned(),
            );
        }
        (Some(_), None) => Some("uri"),
        (None, Some(_)) => Some("json"),
        (None, None) => None,
    };
    if let Some(form) = form {
        let parts = ["host", "login", "password", "schema", "port", "type"];
        let named = |part: &&&str| {
            given
                .try_contains_id(&format!("conn-{part}"))
                .unwrap_or(false)
        };
        let clash: Vec<String> = parts
            .iter()
            .filter(named)
            .map(|part| format!("'conn_{part}'"))
            .collect();
        if !clash.is_empty() {
            return exit(format!(
                "The following args are not compatible with the --conn-{form} flag: [{}]",
                clash.join(", ")
            ));
        }
    }
    let mut new = match (&from_uri, &from_json) {
        (Some(text), _) => uri::parse(text).ok_or_else(|| {
            let message = format!("The URI provided to --conn-uri is invalid: {text}");
            CommandResult::system_exit(message)
        })?,
        (_, Some(text)) => of_json(text)?,
        (None, None) => Connection {
            conn_type: kind.unwrap_or_default(),
            host: owned("conn-host"),
            login: owned("conn-login"),
            password: owned("conn-password"),
            schema: owned("conn-schema"),
            port: given.number::<u16>("conn-port"),
            ..Connection::default()
        },
    };
    if new.conn_type.is_empty() {
        return exit("conn-json is invalid; must supply conn-type".to_owned());
    }
    if let Some(extra) = given.text("conn-extra") {
        match json::parse(extra) {
            Ok(Value::Object(extra)) => new.extra = extra,
            _ => {
                return exit("Encountered non-JSON in `extra` field for connection".to_owned());
            }
        }
    }
    if state
        .connections
        .iter()
        .any(|known| known.conn_id == conn_id)
    {
        return exit(format!(
            "A connection with `conn_id`={conn_id} already exists."
        ));
    }
    conn_id.clone_into(&mut new.conn_id);
    new.description = owned("conn-description").or(new.description);
    new.id = state
        .connections
        .iter()
        .map(|known| known.id)
        .max()
        .unwrap_or(0)
        + 1;
    let shown = from_uri.unwrap_or_else(|| new.masked_uri());
    state.connections.push(new);
    Ok(CommandResult::line(format_args!(
        "Successfully added `conn_id`={conn_id} : {shown}"
    )))
}

/// Reads `--conn-json`.
fn of_json(text: &str) -> Result<Connection, CommandResult> {
    let parsed = json::parse(text)
        .map_err(|message| CommandResult::traceback("json.decoder.JSONDecodeError", message))?;
    let field = |name: &str| parsed.get(name).and_then(Value::as_str).map(str::to_owned);
    let port = parsed.get("port").and_then(|port| match port {
        Value::String(text) => text.parse().ok(),
        other => other.as_u64().and_then(|port| u16::try_from(port).ok()),
    });
    Ok(Connection {
        conn_type: field("conn_type").unwrap_or_default(),
        description: field("description"),
        host: field("host"),
        schema: field("schema"),
        login: field("login"),
        password: field("password"),
        port,
        extra: parsed
            .get("extra")
            .and_then(Value::as_object)
            .cloned()
            .unwrap_or_default(),
        ..Connection::default()
    })
}

impl Connection {
    /// The connection in one line without its password, as `connections add` shows it.
    fn masked_uri(&self) -> String {
        let text = |part: &Option<String>| part.clone().unwrap_or_default();
        let password = if self.password.is_some() {
            "******"
        } else {
            ""
        };
        let port = self.port.map(|port| port.to_string()).unwrap_or_default();
        let schema = match &self.schema {
            Some(schema) => format!("/{schema}"),
            None => String::new(),
        };
        format!(
            "{}://{}:{password}@{}:{port}{schema}",
            self.conn_type,
            text(&self.login),
            text(&self.host)
        )
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{fails, ok, world};

    #[test]
    fn a_password_given_apart_is_masked() {
        let world = world("2.10.3");
        let words = [
            "connections",
            "add",
            "c1",
            "--conn-type",
            "http",
            "--conn-host",
            "h",
            "--conn-password",
            "x",
        ];
        assert_eq!(
            ok(&world, &words),
            "Successfully added `conn_id`=c1 : http://:******@h:\n"
        );
    }

    #[test]
    fn contradictions_are_refused() {
        let world = world("3.0.6");
        let wanted = "Must supply either conn-uri or conn-json if not supplying conn-type\n";
        fails(&world, &["connections", "add", "c"], 1, wanted);
        let wanted =
            "The following args are not compatible with the --conn-uri flag: ['conn_host']\n";
        let words = [
            "connections",
            "add",
            "c",
            "--conn-uri",
            "http://h",
            "--conn-host",
            "x",
        ];
        fails(&world, &words, 1, wanted);
        let words = ["connections", "add", "c", "--conn-uri", "nonsense"];
        fails(
            &world,
            &words,
            1,
            "The URI provided to --conn-uri is invalid: nonsense\n",
        );
    }
}
