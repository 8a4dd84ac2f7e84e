//! `Accept` (RFC 9110 section 12.5.1). No other code reads this field.

use mwaa_http1::Headers;
use mwaa_http1::name::ACCEPT;

/// A media range, such as `text/html;q=0.8`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MediaRange<'a> {
    /// `text/html`, as the client wrote it.
    media_type: &'a str,
    /// `q=0.8`, and more parameters separated by semicolons.
    parameters: &'a str,
}

impl<'a> MediaRange<'a> {
    /// Returns the ranges that the client accepts, in their order. A field with bytes outside ASCII
    /// has none.
    pub fn from_headers(headers: &'a Headers) -> impl Iterator<Item = Self> {
        headers
            .get_all(ACCEPT)
            .filter_map(mwaa_http1::to_str)
            .flat_map(|value| value.split(','))
            .map(Self::parse)
    }

    fn parse(text: &'a str) -> Self {
        let (media_type, parameters) = text.split_once(';').unwrap_or((text, ""));
        Self {
            media_type: media_type.trim(),
            parameters,
        }
    }

    /// The media type, which may end in `*`, as the client wrote it.
    pub fn media_type(&self) -> &'a str {
        self.media_type
    }

    /// Returns true if the client wrote this media type; `*` matches no other type.
    pub fn is(&self, media_type: &str) -> bool {
        self.media_type.eq_ignore_ascii_case(media_type)
    }

    /// Returns true for `application/json` and types that are based on it (RFC 6839 section 3.1).
    pub fn is_json(&self) -> bool {
        let Some((top, subtype)) = self.media_type.split_once('/') else {
            return false;
        };
        let base = subtype.rsplit_once('+').map_or(subtype, |(_, base)| base);
        top.eq_ignore_ascii_case("application") && base.eq_ignore_ascii_case("json")
    }

    /// Returns a parameter's value, without the quotes around it.
    pub fn parameter(&self, name: &str) -> Option<&'a str> {
        self.parameters
            .split(';')
            .filter_map(|parameter| parameter.trim().split_once('='))
            .find(|(other, _)| other.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.trim_matches('"'))
    }

    /// Returns the weight: 1 if there is none, or if it is no number.
    pub fn weight(&self) -> f32 {
        let weight = self.parameter("q").and_then(|weight| weight.parse().ok());
        weight.unwrap_or(1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ranges_of_all_fields_are_read() {
        let mut headers = Headers::new();
        for accept in ["Text/HTML;Q=0.5;detail=\"Full\" , */*", "image/png;q=x"] {
            headers.append(ACCEPT, accept);
        }
        let ranges: Vec<_> = MediaRange::from_headers(&headers).collect();
        let [html, any, image] = ranges[..] else {
            panic!("{ranges:?}");
        };
        assert!(html.is("text/html") && !any.is("text/html"));
        assert_eq!(html.parameter("detail"), Some("Full"));
        let weights = [html, any, image].map(|range| range.weight().to_string());
        assert_eq!(weights, ["0.5", "1", "1"]);
        assert_eq!(image.media_type(), "image/png");
    }

    #[test]
    fn media_types_with_a_json_suffix_are_json() {
        for (media_type, is_json) in [
            ("application/json", true),
            ("Application/Problem+JSON", true),
            ("application/jsonp", false),
            ("text/json", false),
            ("json", false),
            ("*/*", false),
        ] {
            let range = MediaRange::parse(media_type);
            assert_eq!(range.is_json(), is_json, "{media_type}");
        }
    }
}
