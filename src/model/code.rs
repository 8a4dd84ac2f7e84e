//! Every fault code of the gateway: the one table behind responses, metrics and the documents.

use super::Blame;
use http::StatusCode;
use std::fmt::Write as _;

/// A stable fault code and its fixed properties.
#[derive(Debug, PartialEq, Eq)]
pub struct Code {
    /// The text that programs match on, for example `guard.foreign_host`.
    pub text: &'static str,
    /// The HTTP status of the response.
    pub status: StatusCode,
    /// A short name of the kind of fault (RFC 9457 section 3.1.3).
    pub title: &'static str,
    /// The party that caused it.
    pub blame: Blame,
    /// The hint for a case that has none of its own.
    pub advice: &'static str,
}

// one list makes the constants and `ALL`, so no code can be missing in the documents
macro_rules! codes {
    ($($name:ident = $text:literal, $status:ident, $blame:ident, $title:literal, $advice:literal,
        $cause:literal;)*) => {
        $(
            #[doc = $title]
            pub const $name: Code = Code {
                text: $text,
                status: StatusCode::$status,
                title: $title,
                blame: Blame::$blame,
                advice: $advice,
            };
        )*

        /// All codes, in the order of the documents' table.
        pub const ALL: &[&Code] = &[$(&$name),*];

        /// The usual cause of each code, in Markdown, in the same order. Only the documents have it.
        const CAUSES: &[&str] = &[$($cause),*];
    };
}

codes! {
    // 421 (RFC 9110 section 15.5.20): the client has reached a server that is not meant
    FOREIGN_HOST = "guard.foreign_host", MISDIRECTED_REQUEST, Caller,
        "the Host is not one of the gateway's names",
        "use the address that the gateway listens on as the host, or add the name to listener.hosts",
        "the request's Host is a name that the gateway was not given: another DNS name, or \
         the port of a container or a forwarding";
    FOREIGN_ORIGIN = "guard.foreign_origin", FORBIDDEN, Caller,
        "web pages may not send this request",
        "run commands from a script, not from a browser; to allow a page's origin, add it to \
         listener.trusted_origins",
        "a web page sent the request; or, at the CLI route, any browser";
    CONTENT_TYPE = "guard.content_type", UNSUPPORTED_MEDIA_TYPE, Caller,
        "the CLI route accepts only text/plain",
        "send the command with Content-Type: text/plain",
        "`curl -d` sends a form unless `-H 'Content-Type: text/plain'` is set";
    FORWARDED = "guard.forwarded", FORBIDDEN, Caller,
        "the request came through another proxy",
        "a proxy in front of the gateway gives its clients the gateway's AWS rights: connect \
         without it, or set listener.allow_forwarded = true if you want that",
        "another proxy forwarded the request and added `Forwarded` or `X-Forwarded-…`";
    PEER = "guard.peer", FORBIDDEN, Caller,
        "this client address may not connect",
        "connect from an address inside listener.networks",
        "the client connects from an address outside `listener.networks`";
    SECRET = "guard.secret", UNAUTHORIZED, Caller,
        "the gateway's secret is missing or wrong",
        "send the content of listener.secret_file in the Mwaa-Gateway-Secret header",
        "the header is missing, or has an old secret";
    LOCAL_TOKEN = "guard.local_token", FORBIDDEN, Caller,
        "the gateway's own token is not accepted",
        "get a new one with CreateCliToken or CreateWebLoginToken at this listener; it is valid \
         for 60 s, for one environment, and until the gateway stops",
        "the token is older than 60 seconds, is of another environment, or was issued before \
         the gateway restarted or by another replica";
    MALFORMED = "request.malformed", BAD_REQUEST, Caller,
        "the request is malformed or ambiguous",
        "the detail says what is wrong; send plain HTTP/1.1, each header once, and only close or keep-alive in Connection",
        "a client writes HTTP that servers could read in two ways; or it speaks plain HTTP to \
         a TLS port, or TLS to a plain one";
    // RFC 9110 section 15.6.6
    VERSION = "request.http_version", HTTP_VERSION_NOT_SUPPORTED, Caller,
        "this version of HTTP is not supported",
        "use HTTP/1.1 (curl: --http1.1)",
        "the client speaks HTTP/2 without TLS, or HTTP/0.9";
    AWS_PARAMETER = "request.aws_parameter", BAD_REQUEST, Caller,
        "a parameter of the AWS call is not valid",
        "correct it as the detail says",
        "an SDK call has a parameter that AWS would refuse too";
    INVOKE_LIMIT = "request.invoke_limit", NOT_IMPLEMENTED, Caller,
        "InvokeRestApi cannot send this request",
        "InvokeRestApi takes and returns JSON, with a path of at most 64 characters after /api/vN, 10 s and \
         6 MB a call; other requests need a route to the web server and rest_via = \"direct\"",
        "the request takes `InvokeRestApi` ([`rest_via`](../guide/networks.md)), whose limits \
         AWS has set";
    METHOD = "request.method", METHOD_NOT_ALLOWED, Caller,
        "this method is not allowed here",
        "use a method that the path supports",
        "the path exists, but not for this method; a command is a POST";
    BODY_TIMEOUT = "request.timeout", REQUEST_TIMEOUT, Caller,
        "the request did not arrive in time",
        "send the whole request without pauses",
        "the client pauses in the middle of its request, or sends less than \
         `limits.body_rate`";
    TOO_LARGE = "request.too_large", PAYLOAD_TOO_LARGE, Caller,
        "the body is too large",
        "send a shorter body, or raise the limit in [limits]",
        "a command is longer than `limits.cli_body`, or a body longer than \
         `limits.request_body`";
    TARGET = "request.target_too_long", URI_TOO_LONG, Caller,
        "the request target is too long",
        "send a shorter path and query",
        "the URL is longer than `limits.target_size`";
    // RFC 9110 section 15.5.18
    EXPECTATION = "request.expectation", EXPECTATION_FAILED, Caller,
        "the Expect header is not supported",
        "send no Expect header other than 100-continue",
        "a client sends an `Expect` that nobody else uses";
    // RFC 6585 section 5
    HEADERS = "request.headers_too_large", REQUEST_HEADER_FIELDS_TOO_LARGE, Caller,
        "the head of the request is too large",
        "a browser sends the cookies of all ports of localhost: delete the cookies of \
         localhost, use another host name such as NAME.localhost, or raise limits.head_size",
        "browsers send the cookies of every port of localhost";
    NO_ROUTE = "route.unknown_path", NOT_FOUND, Caller,
        "nothing is served at this path",
        "to run a command, POST it to /aws_mwaa/cli",
        "the path belongs to nothing that the gateway or this Airflow version serves";
    UNKNOWN_ENVIRONMENT = "route.unknown_environment", NOT_FOUND, Caller,
        "unknown environment",
        "use one of the URLs listed in the detail",
        "the Host names no environment, or there are several and none is the default";
    UNSUPPORTED_COMMAND = "policy.unsupported_command", FORBIDDEN, Caller,
        "MWAA does not support this command on this Airflow version",
        "`mwaa-gateway commands` lists the supported commands",
        "MWAA does not run this command in this Airflow version; `allow` adds a command that \
         AWS has added since";
    FORBIDDEN_COMMAND = "policy.forbidden_command", FORBIDDEN, Caller,
        "the policy of the environment or the listener forbids the command",
        "to allow the command, add it to the allow list of that environment or listener",
        "the environment's or the listener's `policy` or `deny` excludes it";
    FORBIDDEN_OPTION = "policy.forbidden_option", FORBIDDEN, Caller,
        "the option acts on the web server itself",
        "remove the option: it acts on files or processes of the web server",
        "an option reads or writes files of the web server, or starts a program there";
    NEEDS_CONFIRMATION = "policy.needs_confirmation", FORBIDDEN, Caller,
        "the command asks for a confirmation, and there is no terminal to give it",
        "add --yes if you are sure",
        "the command would ask a question, and nobody could answer it";
    READ_ONLY = "policy.read_only", FORBIDDEN, Caller,
        "read-only: changes and secrets are blocked",
        "change the policy of the environment or the listener, or use one whose policy allows it",
        "the environment or the listener is read-only; the hint names the table of the \
         configuration";
    FORBIDDEN_PATH = "policy.forbidden_path", FORBIDDEN, Caller,
        "the gateway blocks this path",
        "open the environment's URL at the gateway instead: no login is needed",
        "at this path the web server issues tokens of its own";
    HANDOVER_OFF = "policy.handover_off", FORBIDDEN, Caller,
        "browsers are not redirected to this environment's own host",
        "open the UI through the gateway, or set browser = \"redirect\" for the environment",
        "`browser` is `\"proxy\"`, the default";
    AWS_OPERATION = "policy.aws_operation", FORBIDDEN, Caller,
        "the gateway does not offer this operation of the MWAA API",
        "call AWS itself for it: without AWS_ENDPOINT_URL_MWAA, and with credentials of your own",
        "the SDK calls an operation that changes environments or needs other rights";
    UNREADABLE_COMMAND = "policy.unreadable_command", BAD_REQUEST, Caller,
        "the command cannot be parsed",
        "send one command line, UTF-8, quoted as for a POSIX shell",
        "two programs could read the line differently; the detail has the position";
    NOT_REPEATABLE = "policy.not_repeatable", BAD_REQUEST, Caller,
        "the command cannot be retried safely",
        "remove the Mwaa-Gateway-Repeatable header, or give the run a unique id with --run-id",
        "the header `Mwaa-Gateway-Repeatable` is on a command that may act twice";
    // 503 if the same request may work later, 502 if a person has to change something first
    QUEUE_FULL = "queue.full", SERVICE_UNAVAILABLE, Gateway,
        "too many commands are waiting",
        "wait and try again, or raise cli_concurrency (MWAA runs about 4 commands at once)",
        "commands arrive faster than they run";
    QUEUE_TIMEOUT = "queue.timeout", SERVICE_UNAVAILABLE, Gateway,
        "the command waited too long for its turn",
        "try again when the commands before it have finished",
        "the commands before it took longer than `limits.queue_wait`";
    FLEET_UNAVAILABLE = "fleet.unavailable", SERVICE_UNAVAILABLE, Gateway,
        "the fleet gave no slot to the command",
        "try again; if it persists, check that the store in fleet.store is up and can be reached",
        "the fleet's store cannot be used, and `fleet.on_loss` is `\"refuse\"`; or the gateway was paused: [several gateways](fleet.md)";
    AWS_CREDENTIALS = "aws.credentials", BAD_GATEWAY, Aws,
        "no usable AWS credentials or region",
        "configure AWS credentials: a profile, environment variables or a role",
        "there is no profile, variable or role, or no region";
    AWS_LOGIN_NEEDED = "aws.login_needed", BAD_GATEWAY, Aws,
        "the AWS sign-in has expired or is missing",
        "run `mwaa-gateway login`, or `aws login --profile NAME` or `aws sso login --profile \
         NAME`, as the profile needs",
        "the SSO or `aws login` sign-in has expired or is missing; no restart is needed after \
         a new one";
    AWS_DENIED = "aws.denied", BAD_GATEWAY, Aws,
        "AWS denied the call",
        "grant the IAM action named in the detail",
        "the identity lacks an IAM permission: [IAM policy](../guide/install.md#iam-policy)";
    AWS_THROTTLED = "aws.throttled", SERVICE_UNAVAILABLE, Aws,
        "AWS throttled the call",
        "wait and try again",
        "many programs of the account call AWS at once";
    AWS_NOT_FOUND = "aws.not_found", BAD_GATEWAY, Aws,
        "AWS does not know this environment",
        "check the environment's name and region",
        "there is no such environment in this account and region; `mwaa-gateway environments` \
         lists what exists";
    AWS_NOT_READY = "aws.not_ready", SERVICE_UNAVAILABLE, Aws,
        "AWS issues no token in the environment's current state",
        "look at the environment's status in the MWAA console; usually it is not AVAILABLE",
        "the environment is being created, updated or deleted, or is broken";
    AWS_UNAVAILABLE = "aws.unavailable", BAD_GATEWAY, Aws,
        "AWS could not be reached",
        "check the network, the region and the endpoint",
        "the network, a proxy or DNS does not let the gateway reach AWS, or AWS has an outage";
    AWS_UNTRUSTED_HOST = "aws.untrusted_host", BAD_GATEWAY, Aws,
        "AWS returned an untrusted web server host name",
        "if the web server has a custom domain, set custom_domain",
        "AWS returned a host that is not MWAA's, as it does for a custom domain";
    LOGIN_FAILED = "session.login_failed", BAD_GATEWAY, Upstream,
        "the login to the web server failed",
        "check that connect_to and custom_domain point to this environment; look for the \
         reason in its web server log in CloudWatch",
        "the web server gave no session: it is another environment's, or broken";
    LOGIN_LOOP = "session.login_loop", SERVICE_UNAVAILABLE, Upstream,
        "Airflow rejects the session that it issued",
        "the identity's Airflow role may lack permissions, or the web server loses its \
         sessions; wait ten seconds and try again",
        "Airflow refuses the session that it has just issued: check the Airflow role in \
         `airflow:CreateWebLoginToken`";
    SESSION_EXPIRED = "session.expired", SERVICE_UNAVAILABLE, Upstream,
        "the Airflow session had expired",
        "send the request again: the gateway has a new session, but did not keep this large \
         request to retry it",
        "the session ended while a large request was on its way";
    UPSTREAM_UNREACHABLE = "upstream.unreachable", BAD_GATEWAY, Upstream,
        "the web server cannot be reached",
        "check the network; a private web server needs a VPN, a proxy, a tunnel or connect_to",
        "the web server is private, or the network is down: [private \
         networks](../guide/networks.md)";
    UPSTREAM_PROXY = "upstream.proxy", BAD_GATEWAY, Upstream,
        "the proxy did not connect",
        "check the proxy's address, user and rules: [proxy], environments.NAME.proxy or HTTPS_PROXY",
        "the proxy refuses the connection, wants a user, or cannot be reached";
    UPSTREAM_TUNNEL = "upstream.tunnel", BAD_GATEWAY, Upstream,
        "the tunnel did not connect",
        "run the tunnel's program by hand to see its error; with `--log debug` the gateway \
         logs all of its output",
        "the tunnel's program ended, or did not open its port within `limits.tunnel_start`";
    UPSTREAM_TLS = "upstream.tls", BAD_GATEWAY, Upstream,
        "no trusted TLS connection to the web server",
        "check connect_to, the proxy or the tunnel, ca_file and custom_domain",
        "a company's proxy replaces the certificate (set `ca_file`), or the connection ends \
         at another server";
    UPSTREAM_BROKEN = "upstream.broken", BAD_GATEWAY, Upstream,
        "the web server's response is broken",
        "look at the environment's web server log; the command may have run, or the request \
         may have taken effect",
        "the web server or the load balancer ended the connection before the response was \
         complete";
    UPSTREAM_TIMEOUT = "upstream.timeout", GATEWAY_TIMEOUT, Upstream,
        "the web server was too slow",
        "the command may still be running, or the request may have taken effect; if it needs more time, raise limits.cli_first_byte \
         (commands) or limits.upstream_first_byte (REST API, UI)",
        "the command or the request takes longer than the limit, or the web server is \
         overloaded";
    UPSTREAM_UNAVAILABLE = "upstream.unavailable", SERVICE_UNAVAILABLE, Upstream,
        "no web server accepted the command",
        "wait a moment and try again; MWAA runs about four commands at once",
        "the load balancer has no web server that takes the command: they are busy or \
         restarting";
    UPSTREAM_OUTPUT_TOO_LARGE = "upstream.output_too_large", BAD_GATEWAY, Upstream,
        "the command ran, but its output is too large",
        "run it again only if that is safe; raise limits.cli_output, or request MWAA's own JSON",
        "the command printed more than `limits.cli_output`";
    OFF_RECORD = "gateway.off_record", SERVICE_UNAVAILABLE, Gateway,
        "the command cannot be written to the audit log",
        "look for the reason in the gateway's log; with audit.required = false commands run \
         without the audit log",
        "`audit.required` is set, and the disk is full or the file cannot be written";
    STOPPING = "gateway.stopping", SERVICE_UNAVAILABLE, Gateway,
        "the gateway is stopping",
        "send the request again: nothing was done",
        "the gateway got a signal to stop: [shutdown](shutdown.md)";
    RELOADED = "gateway.reloaded", SERVICE_UNAVAILABLE, Gateway,
        "a new configuration closed the connection",
        "send the request again, on a new connection: nothing was done",
        "the listener was removed, or it accepts other clients now: [reload](reload.md)";
    INTERRUPTED = "gateway.interrupted", GATEWAY_TIMEOUT, Gateway,
        "the gateway stopped before the web server had answered",
        "the command may still be running, or the request may have taken effect: check that before \
         you send it again",
        "`limits.drain` was over before the web server had answered: [shutdown](shutdown.md)";
    UNEXPECTED = "gateway.unexpected", INTERNAL_SERVER_ERROR, Gateway,
        "unexpected error",
        "report it with the request ID and the log lines around it",
        "a bug";
}

/// Returns the causes of the faults in the documents, in Markdown: a table for each family of codes.
pub fn render_causes() -> String {
    let mut text = String::new();
    let mut family = "";
    for (code, cause) in ALL.iter().zip(CAUSES) {
        let (own, _) = code.text.split_once('.').unwrap_or_default();
        if own != family {
            family = own;
            let gap = if text.is_empty() { "" } else { "\n" };
            // writing to a String does not fail
            let _infallible = writeln!(
                text,
                "{gap}### `{family}.…`\n\n| code | usual cause | what to do |\n| --- | --- | --- |"
            );
        }

        let _infallible = writeln!(
            text,
            "| <a id=\"{0}\"></a>[`{0}`](../reference/faults.md#{0}) | {cause} | {1} |",
            code.text, code.advice
        );
    }
    text
}

/// Returns the table of faults in the documents, in Markdown: a link can name a fault.
pub fn render_table() -> String {
    let mut text = String::from(
        "| code | status | whose | what it means | what to do |\n| --- | --- | --- | --- | --- |\n",
    );

    for code in ALL {
        // writing to a String does not fail
        let _infallible = writeln!(
            text,
            "| <a id=\"{0}\"></a>`{0}` | {1} | {2} | {3} | {4} |",
            code.text,
            code.status.as_u16(),
            code.blame.as_str(),
            code.title,
            code.advice
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn codes_are_unique() {
        let mut texts = BTreeSet::new();
        for code in ALL {
            assert!(texts.insert(code.text), "{} twice", code.text);
        }
    }

    #[test]
    fn the_table_has_a_row_of_five_cells_for_each_code() {
        let table = render_table();
        assert_eq!(table.lines().count(), ALL.len() + 2);
        for line in table.lines() {
            assert_eq!(line.matches('|').count(), 6, "{line}");
        }
        assert!(
            table.contains("<a id=\"guard.peer\"></a>`guard.peer` | 403 | caller | "),
            "{table}"
        );
    }

    #[test]
    fn each_code_has_a_cause_of_one_cell() {
        let causes = render_causes();
        for (code, cause) in ALL.iter().zip(CAUSES) {
            assert!(!cause.is_empty() && !cause.ends_with('.'), "{}", code.text);
            let row = format!("| <a id=\"{0}\"></a>[`{0}`]", code.text);
            let rows = causes.lines().filter(|line| line.starts_with(&row));
            let cells: Vec<_> = rows.map(|line| line.matches('|').count()).collect();
            assert_eq!(cells, [4], "{}", code.text);
        }
    }

    #[test]
    fn codes_are_unique_and_complete() {
        let mut texts: Vec<_> = ALL.iter().map(|code| code.text).collect();
        texts.sort_unstable();
        let count = texts.len();
        texts.dedup();
        assert_eq!(texts.len(), count, "two codes share a text");
        for code in ALL {
            assert!(
                code.text.contains('.') && !code.title.is_empty() && !code.advice.is_empty()
            );
            assert!(code.status.is_client_error() || code.status.is_server_error());
        }
    }
}
