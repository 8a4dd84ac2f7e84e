//! The services that hand out AWS credentials, on loopback: STS, the SSO portal and its token
//! service, AWS Sign-In, a container's endpoint, an instance's metadata. Each wants what the real
//! one wants.

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use mwaa_emulator::Credential;
use std::collections::HashMap;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

/// STS's path.
pub(crate) const STS: &str = "/";
/// The SSO portal's.
pub(crate) const PORTAL: &str = "/federation/credentials";
/// AWS Sign-In's.
pub(crate) const SIGN_IN: &str = "/v1/token";
/// The one role that may be assumed, with the keys [`SOURCE`] or the token [`WEB_TOKEN`].
pub(crate) const ROLE: &str = "arn:aws:iam::123456789012:role/airflow-caller";
/// A role that wants a second factor.
pub(crate) const MFA_ROLE: &str = "arn:aws:iam::123456789012:role/with-mfa";
/// The access key id that may assume the role.
pub(crate) const SOURCE: &str = "AKIASOURCE0000000000";
/// What the cluster signs for this pod.
pub(crate) const WEB_TOKEN: &str = "web.identity.token";
/// What `aws sso login` leaves in the cache.
pub(crate) const SSO_TOKEN: &str = "sso-access-token";
/// What the SSO token service wants for a fresh [`SSO_TOKEN`].
pub(crate) const SSO_REFRESH: &str = "sso-refresh-token";
/// What the SSO portal takes, and has no role for.
pub(crate) const SSO_STRANGER: &str = "sso-access-token-of-a-stranger";
/// What AWS Sign-In wants for fresh keys; another one has ended.
pub(crate) const LOGIN_REFRESH: &str = "login-refresh-token";
/// A refresh token whose owner lacks the permission to use it.
pub(crate) const LOGIN_NO_LEAVE: &str = "login-refresh-token-without-leave";
/// What a container has to show.
pub(crate) const CONTAINER_TOKEN: &str = "Bearer container-token";
/// The response of the instance metadata service to a PUT.
pub(crate) const METADATA_TOKEN: &str = "metadata-session-token";

/// A running server; stops when dropped.
#[derive(Debug)]
pub(crate) struct IdentityServices {
    address: SocketAddr,
    calls: Arc<Mutex<Vec<Call>>>,
    failing: Arc<Mutex<HashMap<&'static str, Failure>>>,
    _tasks: JoinSet<()>,
}

/// What a service answers in the place of keys.
#[derive(Clone, Debug)]
pub(crate) struct Failure {
    /// The status.
    pub(crate) status: u16,
    /// The error code, for a service that uses JSON.
    pub(crate) kind: &'static str,
    /// The body.
    pub(crate) body: String,
    /// The clock of the service; `None` is ours.
    pub(crate) date: Option<&'static str>,
}

impl Failure {
    /// STS's error.
    pub(crate) fn sts(status: u16, code: &str, message: &str) -> Self {
        Self {
            status,
            kind: "",
            body: sts_error(code, message),
            date: None,
        }
    }

    /// An error of a service that speaks JSON.
    pub(crate) fn json(status: u16, kind: &'static str) -> Self {
        Self {
            status,
            kind,
            body: r#"{"message":"no"}"#.to_owned(),
            date: None,
        }
    }

    /// The HTML page of an intermediary.
    pub(crate) fn html(status: u16) -> Self {
        Self {
            status,
            kind: "",
            body: "<html><body><h1>No</h1><br></body></html>".to_owned(),
            date: None,
        }
    }

    fn answer(self) -> Response<Full<Bytes>> {
        let mut answer = if self.kind.is_empty() {
            reply(self.status, self.body)
        } else {
            typed(self.status, self.kind, self.body)
        };
        let fields = answer.headers_mut();
        fields.insert("x-amzn-requestid", HeaderValue::from_static("r-1"));
        if let Some(date) = self.date {
            fields.insert("date", HeaderValue::from_static(date));
        }
        answer
    }
}

/// A request as it came.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    method: Method,
    path: String,
    query: String,
    headers: HeaderMap,
    body: String,
}

impl IdentityServices {
    /// Starts services that hand out these keys.
    pub(crate) async fn start(keys: Credential) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let calls = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&calls);
        let failing: Arc<Mutex<HashMap<&'static str, Failure>>> = Arc::default();
        let fails = Arc::clone(&failing);
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let (keys, seen, fails) = (keys.clone(), Arc::clone(&seen), Arc::clone(&fails));
                let service = service_fn(move |request| {
                    let (keys, seen, fails) =
                        (keys.clone(), Arc::clone(&seen), Arc::clone(&fails));
                    async move {
                        let call = Call::read(request).await;
                        let failure = fails.lock().unwrap().get(&*call.path).cloned();
                        let answer =
                            failure.map_or_else(|| call.answer(&keys), Failure::answer);
                        seen.lock().unwrap().push(call);
                        Ok::<_, Infallible>(answer)
                    }
                });
                connections.spawn(async move {
                    let connection = http1::Builder::new();
                    // a client that leaves is not an error
                    drop(
                        connection
                            .serve_connection(TokioIo::new(stream), service)
                            .await,
                    );
                });
            }
        });
        Self {
            address,
            calls,
            failing,
            _tasks: tasks,
        }
    }

    /// Where they all listen.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// From now on what is at this path fails so: [`STS`], [`PORTAL`] or [`SIGN_IN`].
    pub(crate) fn fail(&self, path: &'static str, failure: Failure) {
        self.failing.lock().unwrap().insert(path, failure);
    }

    /// What has been asked so far.
    pub(crate) fn calls(&self) -> Vec<Call> {
        self.calls.lock().unwrap().clone()
    }

    /// The same, as methods and paths.
    pub(crate) fn asked(&self) -> Vec<String> {
        let line = |call: &Call| format!("{} {}", call.method, call.path);
        self.calls.lock().unwrap().iter().map(line).collect()
    }
}

impl Call {
    async fn read(request: Request<Incoming>) -> Self {
        let (head, body) = request.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        Self {
            method: head.method,
            path: head.uri.path().to_owned(),
            query: head.uri.query().unwrap_or_default().to_owned(),
            headers: head.headers,
            body: String::from_utf8(body.to_vec()).unwrap(),
        }
    }

    /// A field of the query or of the form.
    pub(crate) fn field(&self, name: &str) -> Option<String> {
        let fields = self.query.split('&').chain(self.body.split('&'));
        let (_, value) = fields
            .filter_map(|field| field.split_once('='))
            .find(|(found, _)| *found == name)?;
        Some(value.replace("%3A", ":").replace("%2F", "/"))
    }

    /// A header field.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    fn answer(&self, keys: &Credential) -> Response<Full<Bytes>> {
        match (&self.method, self.path.as_str()) {
            (&Method::POST, STS) => self.sts(keys),
            (&Method::GET, PORTAL) => self.sso_portal(keys),
            (&Method::POST, "/token") => self.sso_tokens(),
            (&Method::POST, SIGN_IN) => self.sign_in(keys),
            (&Method::GET, "/container") => {
                if self.header("authorization") == Some(CONTAINER_TOKEN) {
                    reply(200, keys_json(keys))
                } else {
                    reply(401, r#"{"code":"Unauthorized","message":"no token"}"#)
                }
            }
            (_, path) if path.starts_with("/latest/") => self.metadata(keys),
            _ => reply(404, "no such service"),
        }
    }

    fn sts(&self, keys: &Credential) -> Response<Full<Bytes>> {
        let action = self.field("Action").unwrap_or_default();
        let signed = self.header("authorization").unwrap_or_default();
        let proven = match action.as_str() {
            "AssumeRole" => [SOURCE, &keys.access_key_id]
                .iter()
                .any(|id| signed.contains(&format!("Credential={id}/"))),
            "AssumeRoleWithWebIdentity" => {
                signed.is_empty()
                    && self.field("WebIdentityToken").as_deref() == Some(WEB_TOKEN)
            }
            _ => false,
        };
        let role = self.field("RoleArn").unwrap_or_default();
        let second_factor = role != MFA_ROLE || self.field("SerialNumber").is_some();
        if !proven || !second_factor || ![ROLE, MFA_ROLE].contains(&role.as_str()) {
            let message =
                format!("User is not authorized to perform: sts:{action} on resource: {role}");
            return reply(403, sts_error("AccessDenied", &message));
        }
        let session = self.field("RoleSessionName").unwrap_or_default();
        reply(
            200,
            format!(
                "<{action}Response xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\">\
                 <{action}Result><AssumedRoleUser><Arn>arn:aws:sts::123456789012:assumed-role/\
                 airflow-caller/{session}</Arn><AssumedRoleId>AROA:{session}</AssumedRoleId>\
                 </AssumedRoleUser><Credentials><AccessKeyId>{}</AccessKeyId><SecretAccessKey>{}\
                 </SecretAccessKey><SessionToken>{}</SessionToken><Expiration>{FAR}</Expiration>\
                 </Credentials></{action}Result><ResponseMetadata><RequestId>1</RequestId>\
                 </ResponseMetadata></{action}Response>",
                keys.access_key_id,
                keys.secret_access_key,
                token(keys)
            ),
        )
    }

    fn sso_portal(&self, keys: &Credential) -> Response<Full<Bytes>> {
        if self.header("x-amz-sso_bearer_token") == Some(SSO_STRANGER) {
            return typed(403, "ForbiddenException", r#"{"message":"No access"}"#);
        }
        if self.header("x-amz-sso_bearer_token") != Some(SSO_TOKEN) {
            let body = r#"{"message":"Session token not found or invalid","__type":"com.amazonaws.switchboard.portal#UnauthorizedException"}"#;
            return typed(401, "UnauthorizedException", body);
        }
        let body = serde_json::json!({"roleCredentials": {
            "accessKeyId": keys.access_key_id,
            "secretAccessKey": keys.secret_access_key,
            "sessionToken": token(keys),
            "expiration": 4_070_908_800_000_u64,
        }});
        reply(200, body.to_string())
    }

    fn sso_tokens(&self) -> Response<Full<Bytes>> {
        let asked: serde_json::Value = serde_json::from_str(&self.body).unwrap_or_default();
        if asked["grantType"] != "refresh_token" || asked["refreshToken"] != SSO_REFRESH {
            return reply(400, r#"{"error":"invalid_grant"}"#);
        }
        let body = serde_json::json!({
            "accessToken": SSO_TOKEN,
            "tokenType": "Bearer",
            "expiresIn": 28800,
            "refreshToken": SSO_REFRESH,
        });
        reply(200, body.to_string())
    }

    /// AWS Sign-In: a refresh token, and a proof of the key that it was given for (RFC 9449).
    fn sign_in(&self, keys: &Credential) -> Response<Full<Bytes>> {
        let asked: serde_json::Value = serde_json::from_str(&self.body).unwrap_or_default();
        let refused = |error: &str| {
            let body = serde_json::json!({"error": error, "message": "no"});
            typed(400, "AccessDeniedException", body.to_string())
        };
        if asked["grantType"] != "refresh_token" || !self.has_proof() {
            return refused("invalid_request");
        }
        match asked["refreshToken"].as_str() {
            Some(LOGIN_REFRESH) => {}
            Some(LOGIN_NO_LEAVE) => return refused("INSUFFICIENT_PERMISSIONS"),
            _ => return refused("TOKEN_EXPIRED"),
        }
        let body = serde_json::json!({
            "accessToken": {
                "accessKeyId": keys.access_key_id,
                "secretAccessKey": keys.secret_access_key,
                "sessionToken": token(keys),
            },
            "tokenType": "aws_sigv4",
            "expiresIn": 900,
            "refreshToken": LOGIN_REFRESH,
        });
        reply(200, body.to_string())
    }

    /// Whether the `DPoP` header is signed by the key that it names, for this very request.
    fn has_proof(&self) -> bool {
        use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header};
        let Some(proof) = self.header("dpop") else {
            return false;
        };
        let head = decode_header(proof).unwrap();
        let key = DecodingKey::from_jwk(&head.jwk.unwrap()).unwrap();
        let mut validation = Validation::new(Algorithm::ES256);
        validation.required_spec_claims.clear();
        validation.validate_exp = false;
        let claims: serde_json::Value = decode(proof, &key, &validation).unwrap().claims;
        let here = format!("http://{}{}", self.header("host").unwrap(), self.path);
        head.typ.as_deref() == Some("dpop+jwt")
            && claims["htm"] == "POST"
            && claims["htu"] == here
    }

    fn metadata(&self, keys: &Credential) -> Response<Full<Bytes>> {
        if self.method == Method::PUT && self.path == "/latest/api/token" {
            let Some(life) = self.headers.get("x-aws-ec2-metadata-token-ttl-seconds") else {
                return reply(400, "no life");
            };
            let mut given = reply(200, METADATA_TOKEN);
            let name = "x-aws-ec2-metadata-token-ttl-seconds";
            given.headers_mut().insert(name, life.clone());
            return given;
        }
        // without the session token it would be version 1
        if self.header("x-aws-ec2-metadata-token") != Some(METADATA_TOKEN) {
            return reply(401, "no token");
        }
        match self
            .path
            .strip_prefix("/latest/meta-data/iam/security-credentials/")
        {
            Some("") => reply(200, "instance-role"),
            Some("instance-role") => reply(200, keys_json(keys)),
            _ => reply(404, "no such path"),
        }
    }
}

fn sts_error(code: &str, message: &str) -> String {
    format!(
        "<ErrorResponse><Error><Type>Sender</Type><Code>{code}</Code><Message>{message}</Message></Error>\
         <RequestId>1</RequestId></ErrorResponse>"
    )
}

fn keys_json(keys: &Credential) -> String {
    let body = serde_json::json!({
        "Code": "Success",
        "Type": "AWS-HMAC",
        "LastUpdated": "2024-01-01T00:00:00Z",
        "AccessKeyId": keys.access_key_id,
        "SecretAccessKey": keys.secret_access_key,
        "Token": token(keys),
        "Expiration": FAR,
    });
    body.to_string()
}

fn token(keys: &Credential) -> &str {
    keys.session_token.as_deref().unwrap()
}

/// An error of a service that speaks JSON.
fn typed(status: u16, kind: &str, body: impl Into<Bytes>) -> Response<Full<Bytes>> {
    let mut refused = reply(status, body);
    let kind = kind.parse().unwrap();
    refused.headers_mut().insert("x-amzn-errortype", kind);
    refused
}

fn reply(status: u16, body: impl Into<Bytes>) -> Response<Full<Bytes>> {
    let mut reply = Response::new(Full::new(body.into()));
    *reply.status_mut() = StatusCode::from_u16(status).unwrap();
    reply
}

/// An end that no test sees.
const FAR: &str = "2099-01-01T00:00:00Z";
