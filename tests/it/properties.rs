//! Random requests, made of what parsers disagree about, on real sockets: each gets an answer,
//! and the web server sees nothing but whole commands in one reading.

use crate::support::Harness;

const METHODS: &[&str] = &["POST", "GET", "post", "PUT", "OPTIONS", "CONNECT"];
const TARGETS: &[&str] = &[
    "/aws_mwaa/cli",
    "/aws_mwaa/cli?x=y",
    "/aws_mwaa/cli#x",
    "//aws_mwaa/cli",
    "/aws_mwaa/./cli",
    "/x/..%2faws_mwaa/cli",
    "/%61ws_mwaa/cli",
    "/home",
    "*",
    "http://HOST/aws_mwaa/cli",
    "http://evil.example/aws_mwaa/cli",
];
const VERSIONS: &[&str] = &["HTTP/1.1", "HTTP/2.0"];
const FIELDS: &[&str] = &[
    "Host: HOST",
    "Host: evil.example",
    "host:HOST",
    "Content-Type: text/plain",
    "Content-Type: text/html",
    "Transfer-Encoding: chunked",
    "Transfer-Encoding: gzip, chunked",
    "Transfer-Encoding : chunked",
    "Transfer-Encoding: identity",
    "Content-Length: 7",
    "Content-Length: 3",
    "Content-Length: 70",
    "Content-Length: +7",
    "Connection: close",
    "Connection: authorization, host",
    "Connection: keep-alive, upgrade",
    "Upgrade: h2c",
    "Expect: 100-continue",
    "Expect: 200-ok",
    "X_Y: z",
    "X: \u{1}",
    "Origin: null",
    "Authorization: Bearer evil",
    "Cookie: session=evil",
    " folded",
    ": nameless",
    "X-Forwarded-For: evil",
];
const ENDS: &[&str] = &["\r\n", "\n", "\r"];
const BODIES: &[&str] = &[
    "version",
    "7\r\nversion\r\n0\r\n\r\n",
    "7;x=y\r\nversion\r\n0\r\nHost: evil\r\n\r\n",
    "7\r\nversion\r\n",
    "7\nversion\n0\n\n",
    "",
];

/// One request; mostly a good one with something odd about it.
fn request(random: &mut fastrand::Rng) -> String {
    // the first of each is the good one
    let mut pick = |from: &[&'static str]| match random.usize(..8) {
        0 => from[random.usize(..from.len())],
        _ => from[0],
    };
    let end = pick(ENDS);
    let (method, target, version) = (pick(METHODS), pick(TARGETS), pick(VERSIONS));
    let mut text = format!("{method} {target} {version}{end}");
    let length = pick(&["Content-Length: 7", "Transfer-Encoding: chunked"]);
    let mut fields = vec!["Host: HOST", "Content-Type: text/plain", length];
    let body = if length.starts_with('T') {
        BODIES[1]
    } else {
        BODIES[0]
    };
    let mut body = body;
    for _ in 0..random.usize(..3) {
        let field = FIELDS[random.usize(..FIELDS.len())];
        match random.usize(..3) {
            0 => fields.insert(random.usize(..=fields.len()), field),
            1 => fields[random.usize(..3)] = field,
            _ => body = BODIES[random.usize(..BODIES.len())],
        }
    }
    for field in fields {
        text.push_str(field);
        text.push_str(end);
    }
    text + end + body
}

#[tokio::test]
async fn the_web_server_gets_only_checked_requests() {
    const CASES: u64 = 3000;
    let limits = "[limits]\nhead_timeout = \"200ms\"\nbody_idle = \"200ms\"\n";
    let harness = Harness::configured(limits).await;
    let address = harness.address().to_string();
    let mut tasks = tokio::task::JoinSet::new();
    let (mut passed, mut refused) = (0, 0);
    for seed in 0..CASES {
        let text = request(&mut fastrand::Rng::with_seed(seed)).replace("HOST", &address);
        let mut client = harness.connect().await;
        tasks.spawn(async move {
            client.send(&text).await;
            // an interim reply is followed by the real one
            let mut reply = client.try_response().await;
            while reply.as_ref().is_ok_and(|reply| reply.status == 100) {
                reply = client.try_response().await;
            }
            (seed, text, reply)
        });
        // a few at a time: the clients must not wait for each other's time limits
        while tasks.len() >= 16 {
            check(tasks.join_next().await, &mut passed, &mut refused);
        }
    }
    while let Some(done) = tasks.join_next().await {
        check(Some(done), &mut passed, &mut refused);
    }
    assert!(
        passed > CASES / 20 && refused > CASES / 5,
        "{passed} passed, {refused} refused"
    );
    let host = harness.emulator().host("demo").unwrap();
    let mut seen = harness.journal().web_requests();
    // the others are for the UI; the login is ours
    seen.retain(|request| request.target.starts_with("/aws_mwaa/cli"));
    assert_eq!(
        seen.len() as u64,
        passed,
        "each that passed was sent once, and no other"
    );
    for request in seen {
        let fields = |name: &str| {
            request
                .headers
                .iter()
                .filter(|(found, _)| found == name)
                .count()
        };
        assert_eq!(
            (request.method.as_str(), request.target.as_str()),
            ("POST", "/aws_mwaa/cli")
        );
        assert_eq!(request.header("host"), Some(host.as_str()));
        for name in ["host", "authorization", "content-length"] {
            assert_eq!(fields(name), 1, "{name}: {request:?}");
        }
        assert_eq!(
            fields("transfer-encoding") + fields("cookie"),
            0,
            "{request:?}"
        );
        let body = std::str::from_utf8(&request.body).unwrap();
        // the three first bytes are a command of their own, which the web server does not run
        assert_eq!(body, "version", "{request:?}");
    }
}

type Done = (u64, String, std::io::Result<crate::support::Response>);

fn check(
    done: Option<Result<Done, tokio::task::JoinError>>,
    passed: &mut u64,
    refused: &mut u64,
) {
    let (seed, text, reply) = done.unwrap().unwrap();
    match reply {
        Ok(reply)
            if reply.status == 200
                && String::from_utf8_lossy(&reply.body).contains("stdout") =>
        {
            *passed += 1;
        }
        // another path, and so none of the commands: what Airflow says to it is Airflow's
        Ok(reply) if reply.fault().is_none() && reply.status < 500 => *refused += 1,
        Ok(reply) => {
            assert!(
                (400..=505).contains(&reply.status),
                "{seed}: {text:?}: {reply}"
            );
            assert!(
                reply.status != 500 && reply.status != 502,
                "{seed}: {text:?}: {reply}"
            );
            *refused += 1;
        }
        // a head that never ends is cut off without a word
        Err(_) => *refused += 1,
    }
}
