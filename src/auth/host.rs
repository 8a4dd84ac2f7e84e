//! Checks web server hosts. A token may be sent to MWAA's own names in the region asked, and to the
//! one name that the configuration gives.

use crate::aws::{AwsError, AwsErrorKind};
use http::HeaderValue;
use mwaa_model::{Environment, code};

/// Returns the host that AWS named as the value of a `Host` header. Fails if this environment
/// cannot have such a host: a token must not be sent there.
pub(super) fn check_host(
    host: &str,
    region: &str,
    environment: &Environment,
) -> Result<HeaderValue, AwsError> {
    let domain = environment.custom_domain.as_deref();
    // DNS names are compared without case (RFC 4343)
    let is_expected = domain.is_some_and(|domain| host.eq_ignore_ascii_case(domain))
        || is_mwaa_host(host, region);

    let value = HeaderValue::from_str(host).ok().filter(|_| is_expected);
    value.ok_or_else(|| {
        AwsError::new(
            AwsErrorKind::UntrustedHost,
            &format!(
                "AWS returned {host:?} as the web server of {:?}, which is not an MWAA host in \
                 {region}",
                environment.name
            ),
            code::AWS_UNTRUSTED_HOST.advice,
        )
    })
}

/// Returns true if `host` is a web server of MWAA in `region`: the forms of the Public Suffix
/// List, `<id>[-vpce].<cluster>.<region>.airflow.amazonaws.com[.cn]` and
/// `<id>[-vpce].<cluster>.airflow.<region>.on.aws` (China: `.on.amazonwebservices.com.cn`).
///
/// The name is from AWS's response, which may be a hostile endpoint's: only lower-case letters,
/// digits, hyphens and dots are taken; no port, no IP address, no punycode.
fn is_mwaa_host(host: &str, region: &str) -> bool {
    let suffixes = [
        format!(".{region}.airflow.amazonaws.com"),
        format!(".{region}.airflow.amazonaws.com.cn"),
        format!(".airflow.{region}.on.aws"),
        format!(".airflow.{region}.on.amazonwebservices.com.cn"),
    ];
    let Some(front) = suffixes
        .iter()
        .find_map(|suffix| host.strip_suffix(suffix.as_str()))
    else {
        return false;
    };

    // exactly two labels: another one could be a subdomain that a customer controls
    let mut labels = front.split('.');
    let (Some(id), Some(cluster), None) = (labels.next(), labels.next(), labels.next()) else {
        return false;
    };
    is_label(id) && is_label(cluster) && host.len() <= MAX_NAME_LENGTH
}

/// Returns true if it is a DNS label (RFC 1123 section 2.1) and not an internationalized one.
fn is_label(label: &str) -> bool {
    (1..=63).contains(&label.len())
        && !label.starts_with('-')
        && !label.ends_with('-')
        && !label.starts_with("xn--")
        && label
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}

/// RFC 1035 section 2.3.4, as text.
const MAX_NAME_LENGTH: usize = 253;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mwaa_hosts_are_accepted() {
        let id = "0f1e2d3c-aaaa-bbbb-cccc-0123456789ab";
        for (host, region) in [
            (
                format!("{id}.c71.us-east-1.airflow.amazonaws.com"),
                "us-east-1",
            ),
            (
                format!("{id}-vpce.c9.eu-west-1.airflow.amazonaws.com"),
                "eu-west-1",
            ),
            (format!("{id}.c71.airflow.us-east-1.on.aws"), "us-east-1"),
            (
                format!("{id}.c1.cn-north-1.airflow.amazonaws.com.cn"),
                "cn-north-1",
            ),
            (
                format!("{id}.c1.airflow.cn-north-1.on.amazonwebservices.com.cn"),
                "cn-north-1",
            ),
        ] {
            assert!(is_mwaa_host(&host, region), "{host}");
        }
    }

    #[test]
    fn other_hosts_are_refused() {
        for host in [
            "evil.example",
            "x.c1.eu-west-1.airflow.amazonaws.com.evil.example",
            "x.c1.us-east-1.airflow.amazonaws.com",
            "127.0.0.1",
            "x.c1.eu-west-1.airflow.amazonaws.com:8443",
            "x.c1.eu-west-1.airflow.amazonaws.com.",
            "X.c1.eu-west-1.airflow.amazonaws.com",
            "xn--a.c1.eu-west-1.airflow.amazonaws.com",
            "c1.eu-west-1.airflow.amazonaws.com",
            "a.b.c1.eu-west-1.airflow.amazonaws.com",
            ".c1.eu-west-1.airflow.amazonaws.com",
            "evil@x.c1.eu-west-1.airflow.amazonaws.com",
            "",
        ] {
            assert!(!is_mwaa_host(host, "eu-west-1"), "{host}");
        }
    }
}
