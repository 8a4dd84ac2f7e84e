//! The `Authorization` header of a signed request, and the date beside it.

use std::time::SystemTime;

use aws_smithy_types::DateTime;
use aws_smithy_types::date_time::Format;

/// The parts of an `Authorization` header.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Authorization<'a> {
    pub(super) access_key_id: &'a str,
    pub(super) date: &'a str,
    pub(super) region: &'a str,
    pub(super) service: &'a str,
    pub(super) terminator: &'a str,
    pub(super) signed_headers: Vec<&'a str>,
    pub(super) signature: &'a str,
}

/// Reads the header's value, with or without spaces behind the commas.
pub(super) fn parse(value: &str) -> Option<Authorization<'_>> {
    let fields = value.strip_prefix("AWS4-HMAC-SHA256")?;
    let (mut credential, mut signed_headers, mut signature) = (None, None, None);
    for field in fields.split(',') {
        let (name, value) = field.trim().split_once('=')?;
        match name {
            "Credential" => credential = Some(value),
            "SignedHeaders" => signed_headers = Some(value),
            "Signature" => signature = Some(value),
            _ => return None,
        }
    }
    let mut scope = credential?.split('/');
    let authorization = Authorization {
        access_key_id: scope.next()?,
        date: scope.next()?,
        region: scope.next()?,
        service: scope.next()?,
        terminator: scope.next()?,
        signed_headers: signed_headers?.split(';').collect(),
        signature: signature?,
    };
    scope.next().is_none().then_some(authorization)
}

/// Reads the basic ISO 8601 form, `20261122T093000Z`.
pub(super) fn instant(timestamp: &str) -> Option<SystemTime> {
    let part = |range: std::ops::Range<usize>| timestamp.get(range);
    if timestamp.len() != 16 {
        return None;
    }
    let extended = format!(
        "{}-{}-{}T{}:{}:{}Z",
        part(0..4)?,
        part(4..6)?,
        part(6..8)?,
        part(9..11)?,
        part(11..13)?,
        part(13..15)?
    );
    SystemTime::try_from(DateTime::from_str(&extended, Format::DateTime).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_authorization_header_is_read_in_each_client_s_spacing() {
        let spaced = "AWS4-HMAC-SHA256 Credential=AK/20261122/eu-west-1/airflow/aws4_request, \
                      SignedHeaders=host;x-amz-date, Signature=00ff";
        let tight = spaced.replace(", ", ",");
        assert_eq!(parse(spaced), parse(&tight));
        assert_eq!(
            parse(spaced).unwrap().signed_headers,
            ["host", "x-amz-date"]
        );
        assert_eq!(
            parse("AWS4-HMAC-SHA256 Credential=AK/20261122/eu-west-1"),
            None
        );
        assert_eq!(parse("Bearer x"), None);
    }

    #[test]
    fn the_date_is_read_or_refused() {
        let epoch = instant("19700102T000001Z").unwrap();
        assert_eq!(epoch, SystemTime::UNIX_EPOCH + Duration::from_secs(86_401));
        for bad in ["", "2026-11-22T09:30:00Z", "20261322T093000Z", "ααααααααα"] {
            assert_eq!(instant(bad), None, "{bad}");
        }
    }
}
