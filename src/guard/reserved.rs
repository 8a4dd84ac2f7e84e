//! Paths that mean something to the gateway itself.

use super::PathFault;
use super::decoding::decode;

/// Paths that mean something to the gateway itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reserved {
    /// `/aws_mwaa/cli`.
    Cli,
    /// `/aws_mwaa/aws-console-sso`, also below `/pluginsv2` (Airflow 3).
    Sso,
    /// Anything else below `/aws_mwaa/` or `/pluginsv2/aws_mwaa/`.
    Mwaa,
    /// `/-/…`: our own pages, never forwarded.
    Own,
}

/// Reserved prefixes compare without regard to case or escapes, and then must be spelled
/// plainly: the web server would decode what we had let pass.
pub(super) fn reserved(path: &str) -> Result<Option<Reserved>, PathFault> {
    if path == "/aws_mwaa/cli" {
        return Ok(Some(Reserved::Cli));
    }
    let mut segments = path.split('/').skip(1);
    let mut next = || decode(segments.next().unwrap_or_default(), false);
    let first = next()?.to_ascii_lowercase();
    let family = match first.as_slice() {
        b"-" => return Ok(Some(Reserved::Own)),
        b"aws_mwaa" => "/aws_mwaa",
        // other plugins of Airflow 3 live beside MWAA's own
        b"pluginsv2" if next()?.eq_ignore_ascii_case(b"aws_mwaa") => "/pluginsv2/aws_mwaa",
        _ => return Ok(None),
    };
    let rest = path.strip_prefix(family).filter(|_| !path.contains('%'));
    let rest = rest.ok_or(PathFault::Reserved)?;
    Ok(Some(if rest == "/aws-console-sso" {
        Reserved::Sso
    } else {
        Reserved::Mwaa
    }))
}
