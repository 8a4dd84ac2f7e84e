//! The settings of the export of traces: OpenTelemetry's own variables, else the configuration.

use http::header::{HeaderName, HeaderValue};
use http::uri::{PathAndQuery, Uri};
use mwaa_config::env::OtelVariables;
use mwaa_model::FileError;
use mwaa_runtime::{LARGEST_BUNDLE, read_regular_file};
use mwaa_telemetry::traces::{self, Attribute, Sampler, Value};
use percent_encoding::percent_decode_str;
use std::path::Path;
use std::time::Duration;

/// The collector, and the way to speak to it.
pub(super) struct Collector {
    /// The whole URL, with the path.
    pub(super) url: Uri,
    pub(super) protocol: Protocol,
    pub(super) headers: Vec<(HeaderName, HeaderValue)>,
    pub(super) timeout: Duration,
    /// More trust roots, as PEM.
    pub(super) certificate: Option<Vec<u8>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Protocol {
    Grpc,
    Http,
}

/// A variable of OpenTelemetry, or the endpoint, that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TraceSettingsError {
    /// The value cannot be used. It may be a secret, and is not shown.
    #[error("{variable} cannot be used: it {reason}")]
    Malformed {
        /// The variable.
        variable: &'static str,
        /// The reason, as the rest of a sentence.
        reason: &'static str,
    },
    /// The file with trust roots cannot be read.
    #[error(transparent)]
    File(#[from] FileError),
}

/// Returns the collector and the settings; `None` if traces are not to be sent.
pub(super) fn load(
    configured: Option<&str>,
    variables: &OtelVariables,
) -> Result<Option<(Collector, traces::Settings)>, TraceSettingsError> {
    let base = variables.endpoint.as_deref().or(configured);
    let endpoint = variables.traces_endpoint.as_deref().or(base);
    let Some(endpoint) = endpoint.filter(|_| !variables.is_disabled) else {
        return Ok(None);
    };

    let url: Uri = endpoint
        .parse()
        .ok()
        .filter(|url: &Uri| matches!(url.scheme_str(), Some("http" | "https")))
        .ok_or_else(|| {
            malformed("OTEL_EXPORTER_OTLP_ENDPOINT", "is not an http or https URL")
        })?;
    let protocol = match variables.protocol.as_deref() {
        Some("grpc") => Protocol::Grpc,
        Some("http/protobuf") => Protocol::Http,
        Some(_) => {
            let reason = "is neither grpc nor http/protobuf";
            return Err(malformed("OTEL_EXPORTER_OTLP_PROTOCOL", reason));
        }
        None if url.port_u16() == Some(HTTP_PORT) => Protocol::Http,
        None => Protocol::Grpc,
    };

    let certificate = variables.certificate.as_deref();
    let certificate = certificate.map(read_file).transpose()?;
    let timeout = number(
        "OTEL_EXPORTER_OTLP_TIMEOUT",
        variables.timeout.as_deref(),
        10_000,
    )?;
    let collector = Collector {
        url: complete(url, protocol, variables.traces_endpoint.is_some()),
        protocol,
        headers: parse_headers(variables.headers.as_deref().unwrap_or_default())?,
        timeout: millis(timeout),
        certificate,
    };
    let max_queue = number(
        "OTEL_BSP_MAX_QUEUE_SIZE",
        variables.max_queue.as_deref(),
        2048,
    )?;
    let max_batch = variables.max_batch.as_deref();
    let max_batch = number("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", max_batch, 512)?;
    let delay = number("OTEL_BSP_SCHEDULE_DELAY", variables.delay.as_deref(), 5000)?;
    let settings = traces::Settings {
        sampler: parse_sampler(variables)?,
        resource: list_attributes(variables)?,
        max_queue,
        max_batch: max_batch.min(max_queue),
        delay: millis(delay),
    };
    Ok(Some((collector, settings)))
}

/// Adds the path of the protocol: to a base URL for HTTP, and to every one for gRPC.
fn complete(url: Uri, protocol: Protocol, is_whole: bool) -> Uri {
    let base = url.path().trim_end_matches('/').to_owned();
    let path = match protocol {
        Protocol::Grpc => GRPC_PATH.to_owned(),
        Protocol::Http if is_whole => return url,
        Protocol::Http => format!("{base}/v1/traces"),
    };
    let mut parts = url.clone().into_parts();
    parts.path_and_query = PathAndQuery::try_from(path).ok();
    Uri::from_parts(parts).unwrap_or(url)
}

fn read_file(file: &Path) -> Result<Vec<u8>, TraceSettingsError> {
    read_regular_file(file, LARGEST_BUNDLE).map_err(|error| FileError::new(file, error).into())
}

fn parse_headers(text: &str) -> Result<Vec<(HeaderName, HeaderValue)>, TraceSettingsError> {
    let pairs = parse_pairs("OTEL_EXPORTER_OTLP_HEADERS", text)?;
    let headers = pairs.into_iter().map(|(name, value)| {
        let name = HeaderName::try_from(name).ok()?;
        let mut value = HeaderValue::try_from(value).ok()?;
        // usually a key: its `Debug` shows nothing then
        value.set_sensitive(true);
        Some((name, value))
    });
    headers
        .collect::<Option<_>>()
        .ok_or_else(|| malformed("OTEL_EXPORTER_OTLP_HEADERS", "has no valid header fields"))
}

/// Parses `name=value,name=value`, with percent-encoded values (W3C Baggage).
fn parse_pairs(
    variable: &'static str,
    text: &str,
) -> Result<Vec<(String, String)>, TraceSettingsError> {
    let pairs = text
        .split(',')
        .map(str::trim)
        .filter(|pair| !pair.is_empty());
    let pairs = pairs.map(|pair| {
        let (name, value) = pair.split_once('=')?;
        let value = percent_decode_str(value.trim()).decode_utf8().ok()?;
        Some((name.trim().to_owned(), value.into_owned()))
    });
    pairs
        .collect::<Option<_>>()
        .ok_or_else(|| malformed(variable, "is not name=value,name=value"))
}

fn parse_sampler(variables: &OtelVariables) -> Result<Sampler, TraceSettingsError> {
    let name = variables
        .sampler
        .as_deref()
        .unwrap_or("parentbased_always_on");

    let root = name.strip_prefix("parentbased_");
    let ratio = match root.unwrap_or(name) {
        "always_on" => 1.0,
        "always_off" => 0.0,
        "traceidratio" => {
            let ratio = variables.sampler_arg.as_deref().unwrap_or("1").parse().ok();
            let ratio = ratio.filter(|ratio| (0.0..=1.0).contains(ratio));
            ratio.ok_or_else(|| {
                malformed("OTEL_TRACES_SAMPLER_ARG", "is not a number from 0 to 1")
            })?
        }
        _ => {
            return Err(malformed(
                "OTEL_TRACES_SAMPLER",
                "is no sampler of OpenTelemetry",
            ));
        }
    };
    Ok(Sampler {
        is_parent_based: root.is_some(),
        ratio,
    })
}

/// Returns the attributes of this gateway; `OTEL_SERVICE_NAME` takes precedence.
fn list_attributes(variables: &OtelVariables) -> Result<Vec<Attribute>, TraceSettingsError> {
    let text = variables.resource_attributes.as_deref().unwrap_or_default();
    let pairs = parse_pairs("OTEL_RESOURCE_ATTRIBUTES", text)?;
    let named = pairs.iter().find(|(name, _)| name == SERVICE_NAME);
    let named = named.map(|(_, value)| value.clone());
    let name = variables.service_name.clone().or(named);
    let name = name.unwrap_or_else(|| "mwaa-gateway".to_owned());

    let own = [
        (SERVICE_NAME, name),
        ("service.version", env!("CARGO_PKG_VERSION").to_owned()),
        ("telemetry.sdk.language", "rust".to_owned()),
        ("telemetry.sdk.name", "mwaa-gateway".to_owned()),
    ];
    let own = own.map(|(name, value)| (name.into(), Value::Text(value)));
    let others = pairs.into_iter().filter(|(name, _)| name != SERVICE_NAME);
    let others = others.map(|(name, value)| (name.into(), Value::Text(value)));
    Ok(own.into_iter().chain(others).collect())
}

fn number(
    variable: &'static str,
    text: Option<&str>,
    default: usize,
) -> Result<usize, TraceSettingsError> {
    let Some(text) = text else { return Ok(default) };
    let number = text.trim().parse().ok().filter(|number| *number > 0);
    number.ok_or_else(|| malformed(variable, "is not a number above 0"))
}

fn millis(count: usize) -> Duration {
    Duration::from_millis(count.try_into().unwrap_or(u64::MAX))
}

const fn malformed(variable: &'static str, reason: &'static str) -> TraceSettingsError {
    TraceSettingsError::Malformed { variable, reason }
}

/// The port at which collectors take OTLP over HTTP.
const HTTP_PORT: u16 = 4318;
const GRPC_PATH: &str = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";
const SERVICE_NAME: &str = "service.name";

#[cfg(test)]
mod tests {
    use super::*;

    fn load_with(
        set: impl FnOnce(&mut OtelVariables),
    ) -> Option<(Collector, traces::Settings)> {
        let mut variables = OtelVariables::default();
        set(&mut variables);
        load(Some("http://127.0.0.1:4317"), &variables).unwrap()
    }

    #[test]
    fn the_url_and_the_protocol_follow_from_each_other() {
        for (endpoint, traces, protocol, expected) in [
            (
                None,
                None,
                None,
                (Protocol::Grpc, format!("http://127.0.0.1:4317{GRPC_PATH}")),
            ),
            (
                Some("https://collector:4318/base/"),
                None,
                None,
                (
                    Protocol::Http,
                    "https://collector:4318/base/v1/traces".to_owned(),
                ),
            ),
            (
                Some("http://collector:4317"),
                Some("http://traces:80/own"),
                Some("http/protobuf"),
                (Protocol::Http, "http://traces/own".to_owned()),
            ),
        ] {
            let (collector, _) = load_with(|variables| {
                variables.endpoint = endpoint.map(str::to_owned);
                variables.traces_endpoint = traces.map(str::to_owned);
                variables.protocol = protocol.map(str::to_owned);
            })
            .unwrap();
            let url = collector.url.to_string().replace(":80/", "/");
            assert_eq!((collector.protocol, url), expected);
        }
        assert!(load_with(|variables| variables.is_disabled = true).is_none());
        assert!(load(None, &OtelVariables::default()).unwrap().is_none());
    }

    #[test]
    fn a_variable_that_cannot_be_used_is_named_and_its_value_is_not() {
        let set: [fn(&mut OtelVariables); 6] = [
            |variables| variables.endpoint = Some("canary".to_owned()),
            |variables| variables.protocol = Some("canary".to_owned()),
            |variables| variables.headers = Some("canary".to_owned()),
            |variables| variables.sampler = Some("canary".to_owned()),
            |variables| variables.delay = Some("canary".to_owned()),
            |variables| variables.resource_attributes = Some("canary".to_owned()),
        ];
        for set in set {
            let mut variables = OtelVariables::default();
            set(&mut variables);
            let configured = Some("http://127.0.0.1:4317");
            let error = load(configured, &variables).err().unwrap().to_string();
            assert!(
                error.starts_with("OTEL_") && !error.contains("canary"),
                "{error}"
            );
        }
    }

    #[test]
    fn headers_attributes_and_sampler_are_parsed() {
        let (collector, settings) = load_with(|variables| {
            variables.headers = Some("api-key=a%20b, X-Two = 2 ,".to_owned());
            variables.resource_attributes = Some("service.name=x,team=data".to_owned());
            variables.sampler = Some("parentbased_traceidratio".to_owned());
            variables.sampler_arg = Some("0.25".to_owned());
        })
        .unwrap();
        let headers: Vec<_> = collector
            .headers
            .iter()
            .map(|(name, value)| (name.as_str(), value.to_str().unwrap()))
            .collect();
        assert_eq!(headers, [("api-key", "a b"), ("x-two", "2")]);
        let text = |text: &str| Value::Text(text.to_owned());
        assert_eq!(
            settings.resource.first(),
            Some(&(SERVICE_NAME.into(), text("x")))
        );
        assert_eq!(
            settings.resource.last(),
            Some(&("team".into(), text("data")))
        );
        assert!(
            settings.sampler.is_parent_based && (settings.sampler.ratio - 0.25).abs() < 1e-9
        );
    }
}
