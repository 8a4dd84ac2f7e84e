//! Which form of a command's result the client asked for (RFC 9110 section 12.5.1).

use http::HeaderMap;
use http::header::ACCEPT;

/// The forms of a command's result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CliForm {
    /// Events as they happen, one JSON object a line, the decoded result last.
    Events,
    /// Decoded, as `{"stdout","stderr","succeeded"}`.
    Json,
    /// MWAA's own JSON, byte for byte.
    Raw,
    /// Decoded stdout; stderr when the command failed.
    Text,
}

impl CliForm {
    /// Takes the form with the highest weight; `*/*` and anything unknown mean MWAA's own.
    pub fn of(headers: &HeaderMap) -> Self {
        let ranges = headers
            .get_all(ACCEPT)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','));
        let mut best = (Self::Raw, 0.0);
        for range in ranges {
            let mut parts = range.split(';').map(str::trim);
            let form = match parts
                .next()
                .unwrap_or_default()
                .to_ascii_lowercase()
                .as_str()
            {
                "text/plain" | "text/*" => Self::Text,
                "application/vnd.mwaa-gateway.cli+json" => Self::Json,
                super::events::MEDIA => Self::Events,
                "application/json" | "application/*" | "*/*" => Self::Raw,
                _ => continue,
            };
            let weight = parts
                .find_map(|parameter| parameter.strip_prefix("q=")?.parse::<f32>().ok())
                .unwrap_or(1.0);
            if weight > best.1 {
                best = (form, weight);
            }
        }
        best.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_highest_weight_wins() {
        for (accept, form) in [
            ("*/*", CliForm::Raw),
            ("", CliForm::Raw),
            ("text/plain", CliForm::Text),
            ("Text/Plain, */*;q=0.1", CliForm::Text),
            ("text/plain;q=0.5, application/json", CliForm::Raw),
            ("application/vnd.mwaa-gateway.cli+json", CliForm::Json),
            (
                "application/vnd.mwaa-gateway.cli-events+ndjson, application/json;q=0.5",
                CliForm::Events,
            ),
            ("image/png", CliForm::Raw),
            ("text/plain;q=0", CliForm::Raw),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(ACCEPT, accept.parse().unwrap());
            assert_eq!(CliForm::of(&headers), form, "{accept:?}");
        }
        assert_eq!(CliForm::of(&HeaderMap::new()), CliForm::Raw);
    }
}
