//! The operations of the MWAA API, by method and path (aws-sdk-mwaa 1.128; the API's reference).

use http::Method;
use mwaa_model::Target;

/// A call of the MWAA API. A name is as the client wrote it, and not checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AwsCall {
    /// `POST /clitoken/NAME`.
    CreateCliToken(String),
    /// `POST /webtoken/NAME`.
    CreateWebLoginToken(String),
    /// `GET /environments/NAME`.
    GetEnvironment(String),
    /// `POST /restapi/NAME`.
    InvokeRestApi(String),
    /// `GET /environments`.
    ListEnvironments,
    /// An operation that the gateway does not offer.
    Other(&'static str),
}

impl AwsCall {
    /// Returns true for the paths of the API.
    pub(crate) fn is_path(path: &str) -> bool {
        let first = path.trim_start_matches('/').split('/').next();
        first.is_some_and(|first| {
            matches!(
                first,
                "clitoken" | "webtoken" | "restapi" | "environments" | "tags" | "metrics"
            )
        })
    }

    /// Returns the call that a request is, if it is one. All of AWS's paths are calls, whatever the
    /// method is.
    pub(super) fn find(method: &Method, target: &Target) -> Option<Self> {
        let path = target.path();
        // this letter alone excludes nearly every other request
        if !matches!(
            path.as_bytes().get(1)?,
            b'c' | b'e' | b'm' | b'r' | b't' | b'w'
        ) || !Self::is_path(path)
        {
            return None;
        }
        let mut parts = path.get(1..)?.splitn(2, '/');
        let (first, rest) = (parts.next()?, parts.next());

        let name = rest.unwrap_or_default();
        Some(match (first, method.as_str()) {
            ("clitoken", "POST") => Self::CreateCliToken(name.to_owned()),
            ("webtoken", "POST") => Self::CreateWebLoginToken(name.to_owned()),
            ("restapi", "POST") => Self::InvokeRestApi(name.to_owned()),
            ("environments", "GET") if name.is_empty() => Self::ListEnvironments,
            ("environments", "GET") => Self::GetEnvironment(name.to_owned()),

            ("environments", "PUT") => Self::Other("CreateEnvironment"),
            ("environments", "PATCH") => Self::Other("UpdateEnvironment"),
            ("environments", "DELETE") => Self::Other("DeleteEnvironment"),
            ("tags", "GET") => Self::Other("ListTagsForResource"),
            ("tags", "POST") => Self::Other("TagResource"),
            ("tags", "DELETE") => Self::Other("UntagResource"),
            ("metrics", "POST") => Self::Other("PublishMetrics"),
            _ => Self::Other("this method"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_of_the_api_are_calls_and_others_are_not() {
        let find = |method: &str, path: &str| {
            let target = Target::parse(&path.parse().unwrap(), 8192).unwrap();
            AwsCall::find(&method.parse().unwrap(), &target)
        };
        let name = || "prod".to_owned();
        for (method, path, call) in [
            ("POST", "/clitoken/prod", AwsCall::CreateCliToken(name())),
            (
                "POST",
                "/webtoken/prod",
                AwsCall::CreateWebLoginToken(name()),
            ),
            ("GET", "/environments", AwsCall::ListEnvironments),
            (
                "GET",
                "/environments?MaxResults=2",
                AwsCall::ListEnvironments,
            ),
            ("GET", "/environments/prod", AwsCall::GetEnvironment(name())),
            (
                "PUT",
                "/environments/prod",
                AwsCall::Other("CreateEnvironment"),
            ),
            ("GET", "/clitoken/prod", AwsCall::Other("this method")),
            (
                "POST",
                "/metrics/environments/prod",
                AwsCall::Other("PublishMetrics"),
            ),
        ] {
            assert_eq!(find(method, path), Some(call), "{method} {path}");
        }
        assert_eq!(
            find("POST", "/restapi/prod"),
            Some(AwsCall::InvokeRestApi(name()))
        );
        for path in [
            "/",
            "/clitokens/prod",
            "/home",
            "/environment",
            "/x/clitoken/prod",
        ] {
            assert_eq!(find("POST", path), None, "{path}");
        }
    }
}
