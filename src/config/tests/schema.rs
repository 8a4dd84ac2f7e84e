//! The JSON Schema, read by a validator of the few words that it uses.

use super::*;
use serde_json::{Value, json};

/// Returns the paths of what the schema does not allow.
fn errors(schema: &Value, value: &toml::Value, path: &str) -> Vec<String> {
    let types = match &schema["type"] {
        Value::Array(types) => types.clone(),
        one => vec![one.clone()],
    };
    let (kind, number) = match value {
        toml::Value::String(_) => ("string", None),
        toml::Value::Integer(number) => ("integer", Some(*number)),
        toml::Value::Boolean(_) => ("boolean", None),
        toml::Value::Array(_) => ("array", None),
        toml::Value::Table(_) => ("object", None),
        toml::Value::Float(_) | toml::Value::Datetime(_) => ("other", None),
    };
    let mut found = Vec::new();
    if !types.contains(&json!(kind)) {
        return vec![format!("{path}: {kind}")];
    }
    let words = schema["enum"].as_array();
    if words.is_some_and(|words| !words.contains(&json!(value.as_str()))) {
        found.push(format!("{path}: enum"));
    }
    let (least, most) = (schema["minimum"].as_i64(), schema["maximum"].as_i64());
    if number.is_some_and(|number| {
        least.is_some_and(|least| number < least) || most.is_some_and(|most| number > most)
    }) {
        found.push(format!("{path}: range"));
    }
    if let toml::Value::Array(items) = value {
        let items = items.iter();
        found.extend(items.flat_map(|item| errors(&schema["items"], item, path)));
    }
    let toml::Value::Table(table) = value else {
        return found;
    };
    for name in schema["required"].as_array().into_iter().flatten() {
        if !table.contains_key(name.as_str().expect("a name")) {
            found.push(format!(
                "{path}.{}: required",
                name.as_str().expect("a name")
            ));
        }
    }
    for (name, value) in table {
        let path = format!("{path}.{name}");
        let path = path.trim_start_matches('.');
        let own = &schema["properties"][name];
        match (own, &schema["additionalProperties"]) {
            (Value::Object(_), _) => found.extend(errors(own, value, path)),
            (_, any @ Value::Object(_)) => found.extend(errors(any, value, path)),
            _ => found.push(format!("{path}: unknown")),
        }
    }
    found
}

fn errors_of(text: &str) -> Vec<String> {
    let table: toml::Table = text.parse().expect(text);
    let mut found = errors(&schema(), &toml::Value::Table(table), "");
    found.sort();
    found
}

#[test]
fn valid_files_match_the_schema() {
    assert_eq!(errors_of(&annotated_file()), [""; 0]);
    assert_eq!(errors_of(&bytes::uncommented()), [""; 0]);
    let files = fixtures::fixtures("valid");
    assert!(!files.is_empty());
    for file in files {
        let text = fs::read_to_string(&file).expect("file");
        assert_eq!(errors_of(&text), [""; 0], "{}", file.display());
    }
}

#[test]
fn invalid_files_do_not_match_the_schema() {
    let text = "regoin = 1\n[listener]\nadress = \"x\"\nhosts = \"a\"\nnetworks = [1]\npolicy = \"none\"\n\
                dangerous_non_loopback = \"yes\"\n[listener.tls]\nkey = \"k\"\n[listeners.a]\n\
                [limits]\ndrain = 10\nhead_size = 1\nbody_rate = 1.5\nheader_count = \"64\"\nthreads = -1\n\
                [environments]\nplain = \"x\"\n[environments.a]\nairflow_version = 2.10\npolcy = \"all\"\n";
    assert_eq!(
        errors_of(text),
        [
            "environments.a.airflow_version: other",
            "environments.a.polcy: unknown",
            "environments.plain: string",
            "limits.body_rate: other",
            "limits.drain: integer",
            "limits.head_size: range",
            "limits.header_count: string",
            "limits.threads: range",
            "listener.adress: unknown",
            "listener.dangerous_non_loopback: string",
            "listener.hosts: string",
            "listener.networks: integer",
            "listener.policy: enum",
            "listener.tls.certificate: required",
            "listeners.a.address: required",
            "regoin: unknown",
        ]
    );
    for name in ["unknown", "environment-lists", "plain-and-table"] {
        let path = repository().join(format!("tests/fixtures/config/invalid/{name}.toml"));
        let text = fs::read_to_string(path).expect("fixture");
        assert_ne!(errors_of(&text), [""; 0], "{name}");
    }
}

/// Whatever the schema does not allow is a problem for the gateway too.
#[test]
fn the_schema_is_not_stricter_than_the_gateway() {
    for file in fixtures::fixtures("invalid") {
        let text = fs::read_to_string(&file).expect("fixture");
        // what this parser does not read no editor shows
        let Ok(table) = text.parse::<toml::Table>() else {
            continue;
        };
        let diagnostics = load(Some(&file), &Overrides::default(), &nowhere());
        let diagnostics = diagnostics.expect_err("a bad file").to_string();
        for error in errors(&schema(), &toml::Value::Table(table), "") {
            let (path, _) = error.split_once(": ").expect("a path");
            let path = path.escape_debug().to_string();
            assert!(diagnostics.contains(&path), "{}: {error}", file.display());
        }
    }
}

#[test]
fn the_schema_describes_every_key() {
    let schema = schema();
    let threads = &schema["properties"]["limits"]["properties"]["threads"];
    assert_eq!(threads["default"], 0);
    assert_eq!(
        threads["description"],
        "Threads that serve requests; 0 means one per core. A change needs a restart. From 0 to 1024."
    );
    let networks = &schema["properties"]["listener"]["properties"]["networks"];
    assert_eq!(networks["default"], json!(["127.0.0.0/8", "::1/128"]));
    let environment = &schema["properties"]["environments"]["additionalProperties"];
    assert_eq!(
        environment["properties"]["region"]["examples"],
        json!(["eu-west-1"])
    );
    assert!(!schema.to_string().contains("null"), "{schema}");
}
