//! Whether a command worked. MWAA has no exit code on the wire, and in some versions answers 200
//! for commands that failed: then only the texts tell.

use super::Succeeded;
use http::StatusCode;

/// The judgement, and why.
pub(super) fn judge(
    status: StatusCode,
    stdout: &str,
    stderr: &str,
) -> (Succeeded, Option<String>) {
    if !status.is_success() {
        return (Succeeded::No, Some(format!("status {}", status.as_u16())));
    }
    let failed = stdout.trim().is_empty().then(|| {
        stderr.lines().find(|line| {
            line.starts_with("Traceback (most recent call last)")
                || line.starts_with("usage: airflow")
                || line.starts_with("airflow command error:")
                || (line.starts_with("airflow ") && line.contains(" error: "))
                || line.ends_with(" does not exist")
                || is_raised(line)
        })
    });
    match failed.flatten() {
        Some(line) => (Succeeded::No, Some(format!("stderr: {line}"))),
        None => (Succeeded::Yes, None),
    }
}

/// `some.module.SomeError: text`, as Python ends a traceback and Airflow prints on exit.
fn is_raised(line: &str) -> bool {
    let name = line.split(':').next().unwrap_or_default();
    let class = name.rsplit('.').next().unwrap_or_default();
    let identifier = !name.is_empty()
        && name
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'.');
    identifier
        && class.starts_with(|c: char| c.is_ascii_uppercase())
        && ["Error", "Exception", "Exists", "NotFound", "SystemExit"]
            .iter()
            .any(|end| class.ends_with(end))
}
