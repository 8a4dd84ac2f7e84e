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
    /// The same with all that is known: `detail=full`.
    Full,
    /// Decoded stdout without warnings and colour codes: `detail=output`.
    Output,
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
            let media = parts.next().unwrap_or_default().to_ascii_lowercase();
            let (mut weight, mut detail) = (1.0, String::new());
            for (name, value) in parts.filter_map(|parameter| parameter.split_once('=')) {
                match name.to_ascii_lowercase().as_str() {
                    "q" => weight = value.parse::<f32>().unwrap_or(1.0),
                    "detail" => detail = value.trim_matches('"').to_ascii_lowercase(),
                    _ => {}
                }
            }
            let form = match (media.as_str(), detail.as_str()) {
                ("text/plain", "output") => Self::Output,
                ("text/plain" | "text/*", _) => Self::Text,
                (super::events::MEDIA, _) => Self::Events,
                (CLI_JSON, "full") => Self::Full,
                (CLI_JSON, _) => Self::Json,
                ("application/json" | "application/*" | "*/*", _) => Self::Raw,
                _ => continue,
            };
            if weight > best.1 {
                best = (form, weight);
            }
        }
        best.0
    }
}

/// The decoded forms in JSON.
const CLI_JSON: &str = "application/vnd.mwaa-gateway.cli+json";

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
            (
                "application/vnd.mwaa-gateway.cli+json; detail=full",
                CliForm::Full,
            ),
            (
                "application/vnd.mwaa-gateway.cli+json;q=0.9;Detail=\"Full\", text/plain;q=0.1",
                CliForm::Full,
            ),
            (
                "application/vnd.mwaa-gateway.cli+json; detail=more",
                CliForm::Json,
            ),
            ("text/plain;detail=output", CliForm::Output),
            ("text/plain;detail=output;q=0", CliForm::Raw),
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
