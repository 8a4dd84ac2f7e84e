//! ListEnvironments: pages of names.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::super::Shared;
use super::reply::{Reply, percent_decoded};

/// ListEnvironments: names in order, 25 a page unless `MaxResults` asks for fewer.
pub(super) fn list(query: &str, shared: &Shared) -> Reply {
    let invalid = |what: &str| Reply::error(400, "ValidationException", what);
    let (mut size, mut start) = (PAGE, 0);
    for (name, value) in query.split('&').filter_map(|pair| pair.split_once('=')) {
        let value = percent_decoded(value);
        match name {
            "MaxResults" => match value.parse() {
                Ok(asked @ 1..=PAGE) => size = asked,
                _ => return invalid("MaxResults must be between 1 and 25"),
            },
            "NextToken" => match page_start(&value) {
                Some(index) => start = index,
                None => return invalid("NextToken is not valid"),
            },
            _ => {}
        }
    }
    let mut names: Vec<&str> = shared
        .environments
        .iter()
        .map(|environment| environment.seed.name.as_str())
        .collect();
    names.sort_unstable();
    let page: Vec<&str> = names.iter().skip(start).take(size).copied().collect();
    let mut body = json!({ "Environments": page });
    if start + size < names.len()
        && let Some(body) = body.as_object_mut()
    {
        let token = URL_SAFE_NO_PAD.encode(format!("page:{}", start + size));
        body.insert("NextToken".to_owned(), Value::String(token));
    }
    Reply::ok(body)
}

fn page_start(token: &str) -> Option<usize> {
    let text = String::from_utf8(URL_SAFE_NO_PAD.decode(token).ok()?).ok()?;
    text.strip_prefix("page:")?.parse().ok()
}

/// The largest page of ListEnvironments, and the default.
const PAGE: usize = 25;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_our_own_page_tokens_are_read() {
        assert_eq!(page_start(&URL_SAFE_NO_PAD.encode("page:25")), Some(25));
        assert_eq!(page_start("page:25"), None);
        assert_eq!(page_start(&URL_SAFE_NO_PAD.encode("25")), None);
    }
}
