//! Checks whether a command may be repeated: sent a second time when the outcome of the first is
//! unknown. Only `dags trigger` with a run id of the client's own may be, and only where Airflow
//! then refuses a second run for sure.

use super::Command;
use super::check::AllowedCommand;
use crate::error::PolicyError;
use http::{HeaderMap, HeaderName, HeaderValue};
use mwaa_model::AirflowVersion;

/// The header with which a client asks for it: a boolean (RFC 9651 section 3.3.6).
const REPEATABLE: HeaderName = HeaderName::from_static("mwaa-gateway-repeatable");

/// Returns true if the client asks for a repeatable command, false if it does not.
///
/// Fails if it asks and the command is not repeatable. A client that asked and got no error would
/// rely on it.
pub(super) fn is_repeatable(
    headers: &HeaderMap,
    command: &Command,
    allowed: &AllowedCommand,
    version: AirflowVersion,
) -> Result<bool, PolicyError> {
    let mut values = headers.get_all(REPEATABLE).iter();
    let value = values.next().map(HeaderValue::as_bytes);
    // Any other value is an error and not a no: the client means something by it.
    let asked = match (value, values.next()) {
        (None | Some(b"?0"), None) => false,
        (Some(b"?1"), None) => true,
        _ => {
            return Err(not_repeatable(
                "the header is ?1 or ?0, once",
                "send ?1, or no such header",
            ));
        }
    };

    if asked {
        check_run_id(command.words(), allowed)?;
        check_run_date(allowed, version)?;
    }
    Ok(asked)
}

/// Fails if the command is not a trigger with a run id of its own.
fn check_run_id(words: &[String], allowed: &AllowedCommand) -> Result<(), PolicyError> {
    // The option has had two spellings, each the longest of its release.
    let run_id = match allowed.name() {
        "dags trigger" => "--run-id",
        "trigger_dag" => "--run_id",
        _ => {
            return Err(not_repeatable(
                "only `dags trigger` can be repeated safely",
                "leave the header out: this command is written once",
            ));
        }
    };
    if !allowed.options().contains(&run_id) {
        return Err(not_repeatable(
            "the command gives its run no id, so Airflow would make a second run",
            "add --run-id with an id that no other run has",
        ));
    }

    // Airflow replaces an empty run id by one that it generates.
    let is_empty =
        |word: &String| word.is_empty() || (word.starts_with('-') && word.ends_with('='));
    if words.iter().any(is_empty) {
        return Err(not_repeatable(
            "an empty argument may be the run id",
            "leave empty arguments out",
        ));
    }
    Ok(())
}

/// Fails if Airflow could take the run of another trigger for this one because of its date.
///
/// Airflow 2.2 to 2.11 find an existing run by its id or its date (`DagRun.find_duplicate`), and
/// drop the fraction of a second of the date. All others find it by its id.
fn check_run_date(
    allowed: &AllowedCommand,
    version: AirflowVersion,
) -> Result<(), PolicyError> {
    // From 2.1 on, to be safe: MWAA has no release between 2.0.2 and 2.2.2.
    let finds_by_date =
        (AirflowVersion::new(2, 1, 0)..AirflowVersion::new(3, 0, 0)).contains(&version);
    if !finds_by_date {
        return Ok(());
    }

    if allowed.options().contains(&"--exec-date") {
        return Err(not_repeatable(
            "this Airflow also takes another run of the same date for the same run",
            "leave --exec-date out",
        ));
    }
    if !allowed.options().contains(&"--no-replace-microseconds") {
        return Err(not_repeatable(
            "this Airflow also takes another run of the same second for the same run",
            "add --no-replace-microseconds, which Airflow has from 2.6 on",
        ));
    }
    Ok(())
}

fn not_repeatable(detail: &'static str, hint: &'static str) -> PolicyError {
    PolicyError::NotRepeatable { detail, hint }
}

#[cfg(test)]
mod tests {
    use super::super::rules::Rules;
    use super::*;
    use mwaa_model::Fault as _;

    fn asked(header: &[&str], line: &str, version: &str) -> Result<bool, PolicyError> {
        let mut headers = HeaderMap::new();
        for value in header {
            headers.append(REPEATABLE, value.parse().unwrap());
        }
        let version = version.parse().unwrap();
        let command = Command::read(line.as_bytes()).unwrap();
        let allowed = Rules::default().check(&command, version).unwrap();
        is_repeatable(&headers, &command, &allowed, version)
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
            let error = asked(&["?1"], line, version).unwrap_err();
            assert_eq!(error.code().text, "policy.not_repeatable", "{line}");
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
            let error = asked(header, "dags trigger x -r r", "3.0.6").unwrap_err();
            assert_eq!(error.code().text, "policy.not_repeatable", "{header:?}");
        }
    }
}
