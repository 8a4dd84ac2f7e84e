//! Whether a command may be written a second time when nobody knows what became of the first:
//! only `dags trigger` with a run id of the caller's own, and only where a run that exists
//! already can be no other.

use super::Refusal;
use crate::names::AirflowVersion;
use http::{HeaderMap, HeaderName};

/// What a client sends to ask for it: a boolean (RFC 9651 section 3.3.6).
const REPEATABLE: HeaderName = HeaderName::from_static("mwaa-gateway-repeatable");

/// Whether the request asks for it. A command that does not lend itself to it is refused: a
/// client that asked would take its silence for consent.
pub(super) fn repeatable(
    headers: &HeaderMap,
    name: &str,
    words: &[String],
    options: &[&str],
    version: AirflowVersion,
) -> Result<bool, Refusal> {
    let mut said = headers.get_all(REPEATABLE).iter();
    let asked = match (said.next().map(http::HeaderValue::as_bytes), said.next()) {
        (None | Some(b"?0"), None) => false,
        (Some(b"?1"), None) => true,
        _ => {
            return Err(refused(
                "the header is ?1 or ?0, once",
                "send ?1, or no such header",
            ));
        }
    };
    if asked {
        check(name, words, options, version)?;
    }
    Ok(asked)
}

fn check(
    name: &str,
    words: &[String],
    options: &[&str],
    version: AirflowVersion,
) -> Result<(), Refusal> {
    let given = |option: &str| options.contains(&option);
    let run_id = match name {
        "dags trigger" => "--run-id",
        "trigger_dag" => "--run_id",
        _ => {
            return Err(refused(
                "only `dags trigger` can be repeated safely",
                "leave the header out: this command is written once",
            ));
        }
    };
    if !given(run_id) {
        return Err(refused(
            "the command gives its run no id, so Airflow would make a second run",
            "add --run-id with an id that no other run has",
        ));
    }
    // Airflow makes up an id of its own in place of an empty one
    let is_empty =
        |word: &String| word.is_empty() || (word.starts_with('-') && word.ends_with('='));
    if words.iter().any(is_empty) {
        return Err(refused(
            "an empty argument may be the run id",
            "leave empty arguments out",
        ));
    }
    if takes_dates_for_runs(version) {
        if given("--exec-date") {
            return Err(refused(
                "this Airflow also takes another run of the same date for the same run",
                "leave --exec-date out",
            ));
        }
        if !given("--no-replace-microseconds") {
            return Err(refused(
                "this Airflow also takes another run of the same second for the same run",
                "add --no-replace-microseconds, which Airflow has from 2.6 on",
            ));
        }
    }
    Ok(())
}

/// Airflow 2.2 to 2.11 find a run by its id or its date (`DagRun.find_duplicate`), and cut the
/// date to the second; all others find it by its id.
fn takes_dates_for_runs(version: AirflowVersion) -> bool {
    (AirflowVersion::new(2, 1, 0)..AirflowVersion::new(3, 0, 0)).contains(&version)
}

fn refused(detail: &'static str, hint: &'static str) -> Refusal {
    Refusal::NotRepeatable { detail, hint }
}

#[cfg(test)]
mod tests {
    use super::super::{Command, Rules, judge};
    use super::*;
    use crate::names::Fault as _;

    fn asked(header: &[&str], line: &str, version: &str) -> Result<bool, Refusal> {
        let mut headers = HeaderMap::new();
        for value in header {
            headers.append(REPEATABLE, value.parse().unwrap());
        }
        let version = version.parse().unwrap();
        let command = Command::read(line.as_bytes()).unwrap();
        let permit = judge(&command, version, &Rules::default()).unwrap();
        repeatable(
            &headers,
            permit.name(),
            command.words(),
            permit.options(),
            version,
        )
    }

    #[test]
    fn every_form_of_a_run_id_counts() {
        for line in [
            "dags trigger x --run-id r",
            "dags trigger x --run-id=r",
            "dags trigger x --run r",
            "dags trigger x --ru=r",
            "dags trigger x -r r",
            "dags trigger x -rr",
            "dags trigger x -r=r",
            "dags trigger -r r -- x",
            "airflow dags trigger --run-id r x --conf '{\"a\": \"=\"}'",
        ] {
            assert_eq!(asked(&["?1"], line, "3.0.6"), Ok(true), "{line}");
            assert_eq!(asked(&[], line, "3.0.6"), Ok(false), "{line}");
            assert_eq!(asked(&["?0"], line, "3.0.6"), Ok(false), "{line}");
        }
        assert_eq!(asked(&["?1"], "trigger_dag x -r r", "1.10.12"), Ok(true));
        assert_eq!(asked(&["?1"], "dags trigger x -r r", "2.0.2"), Ok(true));
    }

    #[test]
    fn what_could_make_a_second_run_is_refused() {
        for (line, version) in [
            ("version", "3.0.6"),
            ("dags list", "3.0.6"),
            ("dags trigger x", "3.0.6"),
            ("dags trigger x -- --run-id r", "3.0.6"),
            ("dags trigger x --run-id ''", "3.0.6"),
            ("dags trigger x --run-id=", "3.0.6"),
            ("dags trigger x --run-id= --run-id r", "3.0.6"),
            ("dags trigger x -r=", "3.0.6"),
            ("dags trigger x -r ''", "3.0.6"),
            ("dags trigger x -r r --conf ''", "3.0.6"),
            ("trigger_dag x", "1.10.12"),
            ("dags trigger x -r r", "2.10.3"),
            (
                "dags trigger x -r r --no-replace-microseconds -e 2024-01-01",
                "2.10.3",
            ),
        ] {
            let refusal = asked(&["?1"], line, version).unwrap_err();
            assert_eq!(refusal.code().text, "policy.not_repeatable", "{line}");
        }
        let sure = "dags trigger x -r r --no-replace-microseconds";
        assert_eq!(asked(&["?1"], sure, "2.10.3"), Ok(true));
    }

    #[test]
    fn the_header_is_a_boolean() {
        for header in [
            &["1"][..],
            &["true"],
            &["?1", "?1"],
            &["?1, ?1"],
            &[""],
            &["?1;a"],
        ] {
            let refusal = asked(header, "dags trigger x -r r", "3.0.6").unwrap_err();
            assert_eq!(refusal.code().text, "policy.not_repeatable", "{header:?}");
        }
    }
}
