//! `connections add|delete`.

use percent_encoding::percent_decode_str;
use serde_json::{Map, Value, json};

use super::super::answers::Answer;
use super::arguments::Arguments;
use super::output::{Format, Rows};
use super::state::State;
use super::texts::Release;
use super::{Outcome, python};

/// A connection, as the metadata database keeps it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Connection {
    pub(crate) conn_id: String,
    pub(crate) conn_type: String,
    pub(crate) description: Option<String>,
    pub(crate) host: Option<String>,
    pub(crate) schema: Option<String>,
    pub(crate) login: Option<String>,
    pub(crate) password: Option<String>,
    pub(crate) port: Option<u16>,
    pub(crate) extra: Map<String, Value>,
}

pub(super) fn delete(state: &mut State, conn_id: &str) -> Outcome {
    let before = state.connections.len();
    state.connections.retain(|known| known.conn_id != conn_id);
    if state.connections.len() == before {
        let text = format!("Did not find a connection with `conn_id`={conn_id}\n");
        return Err(Answer::failed(text));
    }
    let text = format!("Successfully deleted connection with `conn_id`={conn_id}\n");
    Ok(Answer::stdout(text))
}

pub(super) fn add(state: &mut State, given: &Arguments) -> Outcome {
    let conn_id = given.text("conn_id");
    let exit = |text: String| Answer::failed(text + "\n");
    check(given).map_err(exit)?;

    let log = conn_type_log(state, given);
    let logged = |answer: Answer| Answer {
        stdout: log.clone() + &answer.stdout,
        ..answer
    };
    check_clash(given).map_err(|text| logged(exit(text)))?;
    let mut stderr = String::new();
    let mut new = match (given.get("conn-uri"), given.get("conn-json")) {
        (Some(uri), _) => Connection::of_uri(uri),
        (_, Some(text)) => Connection::of_json(state, text)?,
        _ => Connection {
            conn_type: given.text("conn-type").to_owned(),
            ..Connection::of_parts(|name| given.get(&format!("conn-{name}")).map(str::to_owned))
        },
    };
    if new.conn_type.is_empty() {
        return Err(exit(
            "conn-json is invalid; must supply conn-type".to_owned(),
        ));
    }
    if let Some(extra) = given.get("conn-extra") {
        if let Ok(Value::Object(extra)) = python::json_loads(extra) {
            new.extra = extra;
        } else {
            stderr = state.failure("extra not JSON", &[("conn_id", conn_id)]);
            if state.release != Some(Release::Two) {
                return Err(logged(Answer::failed(stderr)));
            }
        }
    }
    if state
        .connections
        .iter()
        .any(|known| known.conn_id == conn_id)
    {
        let text = format!("A connection with `conn_id`={conn_id} already exists.");
        return Err(logged(exit(text)));
    }

    conn_id.clone_into(&mut new.conn_id);
    let stdout = log + &new.password_log(state) + &new.added(state, given.get("conn-uri"));
    state.connections.push(new);
    Ok(Answer {
        stdout,
        stderr,
        exit_code: 0,
    })
}

/// Says what is wrong with the arguments, before any of them is used.
fn check(given: &Arguments) -> Result<(), String> {
    let conn_id = given.text("conn_id");
    let allowed = |letter: char| letter.is_alphanumeric() || "_-.".contains(letter);
    if !conn_id.chars().all(allowed) {
        return Err(format!(
            "Could not create connection. The key '{conn_id}' has to be made of alphanumeric \
             characters, dashes, dots and underscores exclusively"
        ));
    }
    let (uri, json) = (given.has("conn-uri"), given.has("conn-json"));
    if !uri && !json && !given.has("conn-type") {
        let text = "Must supply either conn-uri or conn-json if not supplying conn-type";
        return Err(text.to_owned());
    }
    if uri && json {
        return Err("Cannot supply both conn-uri and conn-json".to_owned());
    }
    Ok(())
}

/// Says which arguments do not go with `--conn-uri` or `--conn-json`.
fn check_clash(given: &Arguments) -> Result<(), String> {
    let form = match (given.get("conn-uri"), given.has("conn-json")) {
        (Some(uri), _) if !uri.contains(':') => {
            return Err(format!("The URI provided to --conn-uri is invalid: {uri}"));
        }
        (Some(_), _) => "uri",
        (None, true) => "json",
        (None, false) => return Ok(()),
    };
    let parts = ["host", "login", "password", "schema", "port", "type"];
    let clash: Vec<String> = parts
        .iter()
        .filter(|part| given.has(&format!("conn-{part}")))
        .map(|part| format!("conn_{part}"))
        .chain((form == "json" && given.has("conn-extra")).then(|| "--conn-extra".to_owned()))
        .collect();
    if clash.is_empty() {
        return Ok(());
    }
    let clash = python::repr(&json!(clash));
    Err(format!(
        "The following args are not compatible with the --conn-{form} flag: {clash}"
    ))
}

/// What 3.2 and later log when they look at `--conn-type`.
fn conn_type_log(state: &State, given: &Arguments) -> String {
    if state.release != Some(Release::ThreeTwo) || !given.has("conn-type") {
        return String::new();
    }
    format!(
        "{} [warning  ] ProvidersManager.hooks is deprecated. Use ProvidersManagerTaskRuntime.hooks \
         from task-sdk instead. [py.warnings] category=DeprecatedImportWarning \
         filename=/usr/local/airflow/.local/lib/python3.11/site-packages/airflow/cli/commands/\
         connection_command.py lineno=240\n",
        state.now.rfc3339()
    )
}

impl Connection {
    /// Reads `type://login:password@host:port/schema?extra=...`.
    fn of_uri(text: &str) -> Self {
        let (kind, rest) = text.split_once(':').unwrap_or((text, ""));
        let rest = rest.trim_start_matches("//");
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (authority, schema) = rest.split_once('/').unwrap_or((rest, ""));
        let (user, address) = authority.rsplit_once('@').unwrap_or(("", authority));
        let (login, password) = user.split_once(':').unwrap_or((user, ""));
        let (host, port) = match address.rsplit_once(':') {
            Some((host, port)) if !port.contains(']') => (host, port),
            _ => (address, ""),
        };
        let decoded = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
        let part = |text: &str| (!text.is_empty()).then(|| decoded(text));
        let extra = form_urlencoded::parse(query.as_bytes());
        Self {
            // the database calls postgresql by its short name, and a dash an underscore
            conn_type: if kind == "postgresql" {
                "postgres".into()
            } else {
                kind.replace('-', "_")
            },
            host: part(host),
            schema: part(schema),
            login: part(login),
            password: part(password),
            port: port.parse().ok(),
            extra: extra
                .map(|(key, value)| (key.into(), value.into()))
                .collect(),
            ..Self::default()
        }
    }

    /// Reads `--conn-json`. Fails if it is not JSON.
    fn of_json(state: &State, text: &str) -> Result<Self, Answer> {
        let failed = |message: String| {
            Answer::failed(state.failure("connection not JSON", &[("message", &message)]))
        };
        let parsed = python::json_loads(text).map_err(failed)?;
        let part = |name: &str| match parsed.get(name)? {
            Value::String(text) => Some(text.clone()),
            Value::Number(number) => Some(number.to_string()),
            _ => None,
        };
        let extra = parsed.get("extra").and_then(Value::as_object).cloned();
        Ok(Self {
            conn_type: part("conn_type").unwrap_or_default(),
            extra: extra.unwrap_or_default(),
            ..Self::of_parts(part)
        })
    }

    /// Takes the parts by their names in JSON.
    fn of_parts(part: impl Fn(&str) -> Option<String>) -> Self {
        Self {
            description: part("description"),
            host: part("host"),
            schema: part("schema"),
            login: part("login"),
            password: part("password"),
            port: part("port").and_then(|port| port.parse().ok()),
            ..Self::default()
        }
    }

    /// What Airflow 3 logs of a password that is too short to be masked.
    fn password_log(&self, state: &State) -> String {
        if self
            .password
            .as_ref()
            .is_none_or(|password| password.len() >= 5)
        {
            return String::new();
        }
        let text = "Skipping masking for a secret as it's too short (<5 chars)";
        match state.release {
            Some(Release::Three) => {
                let time = state.now.log();
                format!("[{time}] {{secrets_masker.py:497}} WARNING - {text}\n")
            }
            Some(Release::ThreeTwo) => {
                let time = state.now.rfc3339();
                format!(
                    "{time} [warning  ] {text} [airflow._shared.secrets_masker.secrets_masker] \
                     loc=secrets_masker.py:611\n"
                )
            }
            _ => String::new(),
        }
    }

    fn added(&self, state: &State, uri: Option<&str>) -> String {
        let text = format!("Successfully added `conn_id`={}", self.conn_id);
        if state.release == Some(Release::ThreeTwo) {
            let mut rows = Rows::new("conn_id,conn_type,host,login,port,extra");
            rows.push(vec![
                json!(self.conn_id),
                json!(self.conn_type),
                json!(self.host),
                json!(self.login),
                json!(self.port),
                json!(self.extra),
            ]);
            return format!("{text}\n{}", rows.render(Format::Table));
        }
        let uri = uri.map_or_else(|| self.masked_uri(), str::to_owned);
        format!("{text} : {uri}\n")
    }

    fn masked_uri(&self) -> String {
        let text = |part: &Option<String>| part.clone().unwrap_or_default();
        let (kind, login, host) = (&self.conn_type, text(&self.login), text(&self.host));
        let password = self.password.as_ref().map_or("", |_| "******");
        let port = self.port.map(|port| port.to_string()).unwrap_or_default();
        let schema = self.schema.as_ref().map(|schema| format!("/{schema}"));
        let schema = schema.unwrap_or_default();
        format!("{kind}://{login}:{password}@{host}:{port}{schema}")
    }
}
