//! The MWAA API on a listener: what AWS SDKs call, the local tokens that they get, and where these
//! are accepted.

use crate::support::airflow::{DAG, JSON, TYPED};
use crate::support::{Client, Harness, Response};
use mwaa_emulator::{ControlFault, Seed, Settings, TokenKind, WebFault};
use serde_json::{Value, json};
use std::time::Duration;

/// Neither is the default one, so that a bare host means none of them.
const TWO: &str = "limits.threads = 1\n[environments.alpha]\nairflow_version = \"2.10.3\"\n\
    default = false\nlisten = \"127.0.0.1:0\"\n[environments.beta]\nairflow_version = \"3.0.6\"\n";
const FORM: &str = "Content-Type: application/x-www-form-urlencoded\r\n";

async fn two() -> Harness {
    let settings = Settings {
        environments: vec![Seed::new("alpha", "2.10.3"), Seed::new("beta", "3.0.6")],
        ..Settings::default()
    };
    Harness::with(settings, TWO).await
}

/// Sends a request to the shared listener, under its bare address.
async fn send(
    harness: &Harness,
    method: &str,
    target: &str,
    headers: &str,
    body: &str,
) -> Response {
    let request = harness.sending(method, target, headers, body);
    harness.connect().await.exchange(request).await
}

/// Calls an operation that makes a token; returns the token and the host.
async fn token(harness: &Harness, path: &str) -> (String, String) {
    let reply = send(harness, "POST", path, "", "").await;
    assert_eq!((reply.status, reply.fault()), (200, None), "{reply}");
    let body = reply.json();
    let token = body
        .get("CliToken")
        .or_else(|| body.get("WebToken"))
        .unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    (text(token), text(&body["WebServerHostname"]))
}

async fn run(harness: &Harness, token: &str, command: &str) -> Response {
    let bearer = format!("Authorization: Bearer {token}\r\n");
    let request = harness.request_with(&bearer, command);
    harness.connect().await.exchange(request).await
}

#[tokio::test]
async fn a_cli_token_runs_commands_in_its_environment() {
    let harness = two().await;
    for (name, version) in [("alpha", "2.10.3"), ("beta", "3.0.6")] {
        let (token, host) = token(&harness, &format!("/clitoken/{name}")).await;
        assert_eq!(host, harness.address().to_string());
        let reply = run(&harness, &token, "version").await;
        assert_eq!(reply.stdout(), format!("{version}\n"), "{reply}");

        // the local token stays here, and MWAA's own does not come out
        let sent = harness.journal().web_requests().pop().unwrap();
        assert_eq!(sent.environment.as_deref(), Some(name));
        assert!(!sent.header("authorization").unwrap().contains(&token));
        let denied = run(&harness, &token, "users list").await;
        assert_eq!(denied.fault(), Some("policy.unsupported_command"));
    }
    assert_eq!(harness.mints(), 2);
}

#[tokio::test]
async fn a_token_alone_needs_no_call_to_aws() {
    let harness = two().await;
    token(&harness, "/clitoken/alpha").await;
    token(&harness, "/webtoken/beta").await;
    assert_eq!(harness.journal().control_count(), 0);
}

#[tokio::test]
async fn a_web_token_becomes_a_cookie_that_opens_the_rest_api() {
    for (name, login, cookie, api) in [
        ("alpha", "/aws_mwaa/login", "session", "/api/v1"),
        ("beta", "/pluginsv2/aws_mwaa/login", "_token", "/api/v2"),
        ("beta", "/aws_mwaa/login", "_token", "/api/v2"),
    ] {
        let harness = two().await;
        let (token, _host) = token(&harness, &format!("/webtoken/{name}")).await;
        let reply = send(&harness, "POST", login, FORM, &format!("token={token}")).await;
        assert_eq!((reply.status, reply.fault()), (200, None), "{reply}");
        let set = reply.header("set-cookie").unwrap();
        let value = set.strip_prefix(&format!("{cookie}=")).unwrap();
        let (value, rest) = value.split_once(';').unwrap();
        assert_eq!(rest, " Path=/; Max-Age=43200; HttpOnly; SameSite=Lax");
        assert_eq!(harness.journal().web_connections(), 0);

        let target = format!("{api}/dags");
        for credential in [
            format!("Cookie: a=b; {cookie}={value}; c=d\r\n"),
            format!("Authorization: Bearer {value}\r\n"),
        ] {
            let reply = harness.get_with(&target, &credential).await;
            assert_eq!((reply.status, reply.fault()), (200, None), "{reply}");
            let sent = harness.journal().web_requests().pop().unwrap();
            assert_eq!(sent.environment.as_deref(), Some(name));
            let sent = String::from_utf8(harness.journal().received(sent.connection)).unwrap();
            assert!(!sent.contains(value) && !sent.contains(&token), "{sent}");
        }
        // since that login the gateway knows its identity in Airflow
        let reply = send(&harness, "POST", &format!("/webtoken/{name}"), "", "").await;
        let identities = reply.json();
        assert!(identities["IamIdentity"].is_string(), "{identities}");
        assert!(identities["AirflowIdentity"].is_string(), "{identities}");
        // the web token itself is not a credential, as with MWAA
        let bearer = format!("Authorization: Bearer {token}\r\n");
        let reply = harness.get_with(&target, &bearer).await;
        assert_eq!(reply.fault(), Some("guard.local_token"), "{reply}");
    }
}

/// As a browser does it: no server sees the fragment, so only a script can post the token.
#[tokio::test]
async fn the_console_url_opens_the_environment_of_its_token() {
    const SCRIPT: &str = "Sec-Fetch-Site: same-origin\r\nSec-Fetch-Mode: cors\r\n\
                          Sec-Fetch-Dest: empty\r\n";
    let harness = two().await;
    for name in ["alpha", "beta"] {
        let (token, _host) = token(&harness, &format!("/webtoken/{name}")).await;
        for path in ["/aws_mwaa", "/pluginsv2/aws_mwaa"] {
            let target = format!("{path}/aws-console-sso?login=true");
            let page = harness.get_with(&target, TYPED).await;
            assert_eq!((page.status, page.fault()), (200, None), "{page}");
            assert!(page.text().contains("src=\"/-/login.js\""), "{page}");
        }

        let headers = format!("{FORM}{SCRIPT}Origin: http://{}\r\n", harness.address());
        let body = format!("token={token}");
        let reply = send(&harness, "POST", "/aws_mwaa/login", &headers, &body).await;
        assert_eq!((reply.status, reply.fault()), (200, None), "{reply}");
        let cookie = reply
            .header("set-cookie")
            .unwrap()
            .split(';')
            .next()
            .unwrap();
        let ui = harness
            .get_with("/", &format!("{TYPED}Cookie: {cookie}\r\n"))
            .await;
        assert_eq!(ui.fault(), None, "{ui}");
        let sent = harness.journal().web_requests().pop().unwrap();
        assert_eq!(sent.environment.as_deref(), Some(name));

        // another site cannot log a browser in
        let headers = FORM.to_owned()
            + "Sec-Fetch-Site: cross-site\r\nSec-Fetch-Mode: navigate\r\n\
               Sec-Fetch-Dest: document\r\nOrigin: https://evil.example\r\n";
        let reply = send(&harness, "POST", "/aws_mwaa/login", &headers, &body).await;
        assert_eq!(reply.fault(), Some("guard.foreign_origin"), "{reply}");
    }

    // the host names the environment already
    let request =
        "GET /aws_mwaa/aws-console-sso?login=true HTTP/1.1\r\nHost: beta.localhost\r\n\r\n";
    let port = harness.address().port();
    let request = request.replace("beta.localhost", &format!("beta.localhost:{port}"));
    let reply = harness.connect().await.exchange(request).await;
    assert_eq!(
        (reply.status, reply.header("location")),
        (302, Some("/")),
        "{reply}"
    );
}

/// Logs in with a local web token, and these header fields; returns the response and its first cookie.
async fn log_in(harness: &Harness, name: &str, headers: &str) -> (Response, String) {
    let (token, _host) = token(harness, &format!("/webtoken/{name}")).await;
    let headers = format!("{FORM}{headers}");
    let body = format!("token={token}");
    let reply = send(harness, "POST", "/aws_mwaa/login", &headers, &body).await;
    assert_eq!((reply.status, reply.fault()), (200, None), "{reply}");
    let text = reply.to_string();
    let (_, cookie) = text.split_once("\"set-cookie\", \"").unwrap();
    let cookie = cookie.split(';').next().unwrap().to_owned();
    (reply, cookie)
}

#[tokio::test]
async fn the_last_login_of_a_browser_counts() {
    let harness = two().await;
    let (_, alpha) = log_in(&harness, "alpha", "").await;
    let (reply, beta) = log_in(&harness, "beta", &format!("Cookie: {alpha}\r\n")).await;
    let cleared = "session=; Path=/; Max-Age=0";
    assert!(reply.to_string().contains(cleared), "{reply}");

    // two valid ones could mean either
    let both = format!("{TYPED}Cookie: {alpha}; {beta}\r\n");
    let reply = harness.get_with("/", &both).await;
    assert_eq!(reply.fault(), Some("guard.local_token"), "{reply}");
    // one that was a gateway's before this one means nothing
    let (_, stale) = log_in(&two().await, "alpha", "").await;
    let both = format!("{TYPED}Cookie: {stale}; {beta}\r\n");
    let reply = harness.get_with("/", &both).await;
    assert_eq!(reply.fault(), None, "{reply}");
    let sent = harness.journal().web_requests().pop().unwrap();
    assert_eq!(sent.environment.as_deref(), Some("beta"));
}

#[tokio::test]
async fn a_token_is_accepted_for_60_s_where_it_belongs() {
    let harness = two().await;
    let (cli, _) = token(&harness, "/clitoken/alpha").await;
    let (web, host) = token(&harness, "/webtoken/alpha").await;
    assert!(
        host == harness.address().to_string()
            || host == format!("alpha.localhost:{}", harness.address().port()),
        "{host}"
    );
    let refused = |reply: Response, why: &str| {
        assert_eq!(
            (reply.status, reply.fault()),
            (403, Some("guard.local_token")),
            "{reply}"
        );
        assert!(reply.complaint().contains(why), "{reply}");
    };

    // on another environment's host, on another listener, for another use, changed
    let bearer = format!("Authorization: Bearer {cli}\r\n");
    let request = harness.request_with(&bearer, "version");
    let (bare, port) = (harness.address().to_string(), harness.address().port());
    let other = request.replacen(&bare, &format!("beta.localhost:{port}"), 1);
    refused(
        harness.connect().await.exchange(other).await,
        "not for beta",
    );
    let door = harness.door(1);
    let elsewhere = request.replacen(&bare, &door.to_string(), 1);
    let elsewhere = Client::tcp(door).await.exchange(elsewhere).await;
    refused(elsewhere, "another listener");
    refused(run(&harness, &web, "version").await, "another use");
    refused(
        run(&harness, &format!("{cli}x"), "version").await,
        "not a token of this gateway",
    );
    for form in [format!("token={cli}"), "token=x".to_owned(), "x".to_owned()] {
        let reply = send(&harness, "POST", "/aws_mwaa/login", FORM, &form).await;
        assert_eq!(
            (reply.status, reply.fault()),
            (403, Some("guard.local_token")),
            "{reply}"
        );
    }

    harness.advance(Duration::from_secs(59));
    assert_eq!(run(&harness, &cli, "version").await.status, 200);
    harness.advance(Duration::from_secs(1));
    refused(run(&harness, &cli, "version").await, "expired");
    // a credential that is not ours is ignored, as before
    let foreign = send(
        &harness,
        "GET",
        "/environments",
        "Authorization: Bearer x\r\n",
        "",
    )
    .await;
    assert_eq!(foreign.status, 200);
}

#[tokio::test]
async fn environments_are_listed_in_pages_and_described_as_aws_does() {
    let harness = two().await;
    let list = |query: &'static str| send(&harness, "GET", query, "", "");
    let all = list("/environments").await.json();
    assert_eq!(all, json!({ "Environments": ["alpha", "beta"] }));
    let first = list("/environments?MaxResults=1").await.json();
    assert_eq!(first["Environments"], json!(["alpha"]));
    let next = first["NextToken"].as_str().unwrap();
    let target = format!("/environments?MaxResults=1&NextToken={next}");
    let last = send(&harness, "GET", &target, "", "").await.json();
    assert_eq!(last, json!({ "Environments": ["beta"] }));

    let described = list("/environments/beta").await;
    let environment = &described.json()["Environment"];
    assert_eq!(environment["Name"], "beta", "{described}");
    assert_eq!(environment["AirflowVersion"], "3.0.6", "{described}");
    assert!(
        environment["Arn"]
            .as_str()
            .unwrap()
            .starts_with("arn:aws:airflow:")
    );

    // the listener of one environment knows no other
    let door = harness.door(1);
    for (target, status) in [("/environments/alpha", 200), ("/environments/beta", 404)] {
        let request = format!("GET {target} HTTP/1.1\r\nHost: {door}\r\n\r\n");
        let reply = Client::tcp(door).await.exchange(request).await;
        assert_eq!(reply.status, status, "{reply}");
    }
}

#[tokio::test]
async fn errors_are_exceptions_of_the_api() {
    let harness = two().await;
    let denied = "AccessDeniedException";
    harness
        .script()
        .get_environment_fault
        .next(1, ControlFault::AccessDenied);
    for (method, target, status, exception, fault) in [
        ("GET", "/environments/alpha", 403, denied, "aws.denied"),
        (
            "POST",
            "/clitoken/gamma",
            404,
            "ResourceNotFoundException",
            "route.unknown_environment",
        ),
        (
            "POST",
            "/webtoken/-x",
            400,
            "ValidationException",
            "request.aws_parameter",
        ),
        (
            "POST",
            "/clitoken/",
            400,
            "ValidationException",
            "request.aws_parameter",
        ),
        (
            "GET",
            "/environments?MaxResults=26",
            400,
            "ValidationException",
            "request.aws_parameter",
        ),
        (
            "GET",
            "/environments?NextToken=x",
            400,
            "ValidationException",
            "request.aws_parameter",
        ),
        (
            "DELETE",
            "/environments/alpha",
            403,
            denied,
            "policy.aws_operation",
        ),
        (
            "PUT",
            "/environments/alpha",
            403,
            denied,
            "policy.aws_operation",
        ),
        (
            "GET",
            "/clitoken/alpha",
            403,
            denied,
            "policy.aws_operation",
        ),
        (
            "GET",
            "/tags/arn:aws:airflow:x",
            403,
            denied,
            "policy.aws_operation",
        ),
        (
            "POST",
            "/metrics/environments/alpha",
            403,
            denied,
            "policy.aws_operation",
        ),
    ] {
        let reply = send(&harness, method, target, "", "").await;
        assert_eq!(
            (reply.status, reply.fault()),
            (status, Some(fault)),
            "{reply}"
        );
        assert_eq!(reply.header("x-amzn-errortype"), Some(exception), "{reply}");
        assert_eq!(reply.header("content-type"), Some("application/json"));
        assert_eq!(
            reply.header("x-amzn-requestid"),
            reply.header("mwaa-gateway-request-id")
        );
        let member = if exception == denied {
            "Message"
        } else {
            "message"
        };
        let message = reply.json()[member].as_str().unwrap().to_owned();
        assert!(message.contains(fault), "{message}");
    }
    assert_eq!(harness.journal().mints(TokenKind::Web), 0);
}

#[tokio::test]
async fn the_api_is_closed_to_browsers_and_not_on_hosts_of_environments() {
    let harness = two().await;
    for headers in ["Origin: null\r\n", "Referer: http://x/\r\n", TYPED] {
        let reply = send(&harness, "POST", "/clitoken/alpha", headers, "").await;
        assert_eq!(reply.fault(), Some("guard.foreign_origin"), "{reply}");
    }

    let address = harness.address();
    let on = async |host: &str| {
        let host = format!("{host}:{}", address.port());
        let request = format!("GET /environments HTTP/1.1\r\nHost: {host}\r\n\r\n");
        harness.connect().await.exchange(request).await
    };
    for host in ["localhost", "api.localhost", "env.localhost"] {
        assert!(
            on(host).await.json().get("Environments").is_some(),
            "{host}"
        );
    }
    // Airflow's own path there
    assert!(
        on("alpha.localhost")
            .await
            .header("x-amzn-requestid")
            .is_none()
    );
    let prefixed = format!(
        "POST /clitoken/alpha HTTP/1.1\r\nHost: env.localhost:{}\r\nContent-Length: 0\r\n\r\n",
        address.port()
    );
    let reply = harness.connect().await.exchange(prefixed).await.json();
    assert_eq!(
        reply["WebServerHostname"],
        format!("localhost:{}", address.port())
    );
}

/// Calls `InvokeRestApi`.
async fn invoke(harness: &Harness, name: &str, document: &Value) -> Response {
    let target = format!("/restapi/{name}");
    send(harness, "POST", &target, JSON, &document.to_string()).await
}

#[tokio::test]
async fn invoke_rest_api_uses_the_session() {
    let harness = two().await;
    for (name, api, logins) in [("alpha", "/api/v1", 1), ("beta", "/api/v2", 2)] {
        let call = json!({"Path": "/dags", "Method": "GET", "QueryParameters": {"limit": 1}});
        let reply = invoke(&harness, name, &call).await;
        assert_eq!(reply.status, 200, "{reply}");
        let document = reply.json();
        assert_eq!(document["RestApiStatusCode"], 200);
        let dags = document["RestApiResponse"]["dags"].as_array().unwrap();
        assert_eq!(dags.len(), 1, "{reply}");
        assert!(!reply.text().contains("null"), "{reply}");
        let sent = harness.reached().pop().unwrap();
        assert_eq!(sent.target, format!("{api}/dags?limit=1"));
        assert_eq!(sent.environment.as_deref(), Some(name));

        // a body as it is, and Airflow's own refusal
        let call = json!({"Path": format!("/dags/{DAG}"), "Method": "PATCH", "Body": {"is_paused": true}});
        let reply = invoke(&harness, name, &call).await.json();
        assert_eq!(reply["RestApiResponse"]["is_paused"], true, "{reply}");
        assert_eq!(
            harness.reached().pop().unwrap().body,
            &br#"{"is_paused":true}"#[..]
        );
        let call = json!({"Path": "/dags/nosuch", "Method": "GET"});
        let reply = invoke(&harness, name, &call).await;
        assert_eq!(
            (reply.status, reply.header("x-amzn-errortype")),
            (400, Some("RestApiClientException"))
        );
        assert_eq!(reply.json()["RestApiStatusCode"], 404, "{reply}");
        assert_eq!(reply.fault(), None);
        assert_eq!(harness.logins().len(), logins);
    }
    harness.script().web_fault.next(1, WebFault::html(500));
    let reply = invoke(
        &harness,
        "beta",
        &json!({"Path": "/dags", "Method": "POST", "Body": {}}),
    )
    .await;
    assert_eq!(
        reply.header("x-amzn-errortype"),
        Some("RestApiServerException"),
        "{reply}"
    );
}

#[tokio::test]
async fn invoke_rest_api_has_the_rules_of_the_rest_api() {
    let settings = Settings {
        environments: vec![Seed::new("beta", "3.0.6")],
        ..Settings::default()
    };
    let extra = "environments.beta.airflow_version = \"3.0.6\"\nenvironments.beta.policy = \"read-only\"";
    let harness = Harness::with(settings, extra).await;
    let get = |path: &str| json!({"Path": path, "Method": "GET"});
    for (call, exception, fault) in [
        (
            json!({"Path": "/dags/x", "Method": "DELETE"}),
            "AccessDeniedException",
            "policy.read_only",
        ),
        (
            get("/../../aws_mwaa/cli"),
            "ValidationException",
            "request.aws_parameter",
        ),
        (
            get("/%2e%2e/x"),
            "ValidationException",
            "request.aws_parameter",
        ),
        (get("dags"), "ValidationException", "request.aws_parameter"),
        (
            get("/dags?limit=1"),
            "ValidationException",
            "request.aws_parameter",
        ),
        (
            get("/da gs"),
            "ValidationException",
            "request.aws_parameter",
        ),
        (
            json!({"Path": "/dags", "Method": "CONNECT"}),
            "ValidationException",
            "request.aws_parameter",
        ),
        (
            json!({"Path": "/dags"}),
            "ValidationException",
            "request.aws_parameter",
        ),
        (json!("x"), "ValidationException", "request.aws_parameter"),
        (
            get("/auth/token"),
            "ResourceNotFoundException",
            "route.unknown_path",
        ),
    ] {
        let reply = invoke(&harness, "beta", &call).await;
        assert_eq!(
            (reply.header("x-amzn-errortype"), reply.fault()),
            (Some(exception), Some(fault)),
            "{call}: {reply}"
        );
    }
    assert_eq!(harness.journal().web_connections(), 0);
    assert_eq!(harness.journal().mints(TokenKind::Web), 0);
    // a read-only client does not see secrets here either
    let reply = invoke(&harness, "beta", &get("/dags")).await;
    assert_eq!(reply.status, 200, "{reply}");
}

/// As with AWS_ENDPOINT_URL_MWAA in the environment of a second gateway.
#[tokio::test]
async fn a_gateway_that_is_led_to_a_gateway_says_so() {
    let outer = two().await;
    let extra = format!(
        "aws.endpoint_url = \"http://{}\"\n[environments.alpha]\nairflow_version = \"2.10.3\"\n",
        outer.address()
    );
    let settings = Settings {
        environments: vec![Seed::new("alpha", "2.10.3")],
        ..Settings::default()
    };
    let inner = Harness::with(settings, &extra).await;
    for reply in [
        inner.command("version").await,
        inner.get("/api/v1/dags").await,
    ] {
        assert_eq!(reply.fault(), Some("aws.unavailable"), "{reply}");
        let complaint = reply.complaint();
        assert!(complaint.contains("answered by a gateway"), "{complaint}");
        assert!(complaint.contains("AWS_ENDPOINT_URL_MWAA"), "{complaint}");
    }
    // nor does the other gateway describe the environment, which would ask it in turn
    let reply = send(&inner, "GET", "/environments/alpha", "", "").await;
    assert!(reply.text().contains("answered by a gateway"), "{reply}");
    assert_eq!(inner.journal().web_connections(), 0);
    assert_eq!(outer.journal().control_count(), 0);
}

#[tokio::test]
async fn a_token_that_could_be_read_in_two_ways_is_refused() {
    let harness = two().await;
    let (token, _) = token(&harness, "/clitoken/beta").await;
    for fields in [
        format!("Authorization: {token}\r\n"),
        format!("Authorization: Token {token}\r\n"),
        format!("Authorization: Bearer \"{token}\"\r\n"),
        format!("Authorization: Bearer: {token}\r\n"),
        format!("Authorization: Bearer\t{token}\r\n"),
        format!("Authorization: Bearer x\r\nAuthorization: Bearer {token}\r\n"),
        format!("Authorization: Bearer {token}\r\nAuthorization: Bearer {token}\r\n"),
    ] {
        let request = harness.request_with(&fields, "version");
        let reply = harness.connect().await.exchange(request).await;
        assert_eq!(
            reply.fault(),
            Some("guard.local_token"),
            "{fields}: {reply}"
        );
    }
    assert_eq!(harness.journal().commands().len(), 0);
}

/// AWS's own sample does it in bash, whose pipes lose variables: `Bearer $CLI_TOKEN` becomes `Bearer`.
#[tokio::test]
async fn a_lost_token_does_not_reach_the_default_environment() {
    let settings = Settings {
        environments: vec![Seed::new("alpha", "2.10.3"), Seed::new("beta", "3.0.6")],
        ..Settings::default()
    };
    let config = TWO.replace("default = false", "default = true");
    let harness = Harness::with(settings, &config).await;
    for empty in [
        "Bearer",
        "Bearer ",
        "bearer  ",
        "Bearer null",
        "Bearer \"\"",
    ] {
        let field = format!("Authorization: {empty}\r\n");
        let request = harness.request_with(&field, "version");
        let reply = harness.connect().await.exchange(request).await;
        assert_eq!(
            reply.fault(),
            Some("guard.local_token"),
            "{empty:?}: {reply}"
        );
        let reply = harness.get_with("/api/v1/dags", &field).await;
        assert_eq!(
            reply.fault(),
            Some("guard.local_token"),
            "{empty:?}: {reply}"
        );
    }

    // where nothing else can be meant, it does no harm
    let only = Harness::new().await;
    let request = only.request_with("Authorization: Bearer \r\n", "version");
    let reply = only.connect().await.exchange(request).await;
    assert_eq!((reply.status, reply.fault()), (200, None), "{reply}");
}

#[tokio::test]
async fn a_stale_cookie_is_removed_and_decides_nothing_elsewhere() {
    let harness = two().await;
    let (token, _) = token(&harness, "/webtoken/beta").await;
    let reply = send(
        &harness,
        "POST",
        "/aws_mwaa/login",
        FORM,
        &format!("token={token}"),
    )
    .await;
    let cookie = reply
        .header("set-cookie")
        .unwrap()
        .split(';')
        .next()
        .unwrap()
        .to_owned();
    let cookie = format!("Cookie: {cookie}\r\n");
    assert_eq!(
        harness.get_with("/api/v2/version", &cookie).await.status,
        200
    );

    // as after a restart of the gateway
    let cookie = cookie.replace("\r\n", "A\r\n");
    let reply = harness.get_with("/api/v2/version", &cookie).await;
    assert_eq!(reply.fault(), Some("guard.local_token"), "{reply}");
    let cleared: Vec<_> = reply
        .headers
        .iter()
        .filter(|(name, _)| name == "set-cookie")
        .collect();
    assert_eq!(cleared.len(), 2, "{reply}");
    assert!(
        cleared
            .iter()
            .all(|(_, value)| value.ends_with("Max-Age=0")),
        "{reply}"
    );

    // where the Host names the environment, in another version's API, and for the MWAA API
    let port = harness.address().port();
    let named =
        format!("GET /api/v1/dags HTTP/1.1\r\nHost: alpha.localhost:{port}\r\n{cookie}\r\n");
    let reply = harness.connect().await.exchange(named).await;
    assert_eq!((reply.status, reply.fault()), (200, None), "{reply}");
    let reply = send(&harness, "GET", "/environments", &cookie, "").await;
    assert_eq!((reply.status, reply.fault()), (200, None), "{reply}");
}

#[tokio::test]
async fn a_call_with_an_unknown_outcome_is_not_repeated_by_sdks() {
    let harness = two().await;
    harness.get_with("/api/v1/dags", "").await;
    let call = |method: &str| json!({"Path": "/dags/x/dagRuns", "Method": method, "Body": {}});
    // a session first, so that the fault meets the call itself
    assert_eq!(
        invoke(&harness, "beta", &json!({"Path": "/dags", "Method": "GET"}))
            .await
            .status,
        200
    );
    harness.script().web_fault.always(WebFault::garbage_head());
    let reply = invoke(&harness, "beta", &call("POST")).await;
    assert_eq!(
        (reply.status, reply.header("x-amzn-errortype")),
        (400, Some("RestApiServerException")),
        "{reply}"
    );
    assert_eq!(reply.fault(), Some("upstream.broken"), "{reply}");
    assert_eq!(reply.json()["RestApiStatusCode"], 502, "{reply}");
    let reply = invoke(&harness, "beta", &call("GET")).await;
    assert_eq!(
        reply.header("x-amzn-errortype"),
        Some("InternalServerException"),
        "{reply}"
    );
    let bodies: Vec<_> = harness
        .reached()
        .into_iter()
        .rev()
        .take(1)
        .map(|sent| sent.body)
        .collect();
    assert!(bodies[0].is_empty(), "a GET with a body");
}

#[tokio::test]
async fn refusals_are_recorded_for_the_environment_that_was_meant() {
    let settings = Settings {
        environments: vec![Seed::new("alpha", "2.10.3"), Seed::new("beta", "3.0.6")],
        ..Settings::default()
    };
    // alpha is the default one
    let extra = TWO.replace("default = false", "default = true")
        + "policy = \"read-only\"\n[listener]\nhosts = [\"api.corp.example\"]\n";
    let harness = Harness::with(settings, &extra).await;
    let call = json!({"Path": "/dags/x", "Method": "DELETE"});
    assert_eq!(
        invoke(&harness, "beta", &call).await.fault(),
        Some("policy.read_only")
    );
    let reply = send(&harness, "GET", "/environments/nosuch", "", "").await;
    assert_eq!(reply.fault(), Some("route.unknown_environment"));
    let status = harness.manage("/status").await.json();
    let refusals = status["refusals"].as_array().unwrap();
    let of = |code: &str| {
        refusals.iter().find(|one| one["code"] == code).unwrap()["environment"].clone()
    };
    assert_eq!(of("policy.read_only"), "beta");
    assert_eq!(of("route.unknown_environment"), Value::Null);

    // a name of the configuration keeps its first label
    let request =
        "POST /clitoken/beta HTTP/1.1\r\nHost: api.corp.example\r\nContent-Length: 0\r\n\r\n";
    let request = request.replace("example", &format!("example:{}", harness.address().port()));
    let reply = harness.connect().await.exchange(request).await.json();
    let host = reply["WebServerHostname"].as_str().unwrap();
    assert!(host.starts_with("api.corp.example:"), "{host}");
    // admission's refusals have AWS's form too
    let reply = send(
        &harness,
        "GET",
        "/environments",
        "X-Forwarded-For: 1.2.3.4\r\n",
        "",
    )
    .await;
    assert_eq!(
        reply.header("x-amzn-errortype"),
        Some("AccessDeniedException"),
        "{reply}"
    );
    assert_eq!(reply.fault(), Some("guard.forwarded"));
}
