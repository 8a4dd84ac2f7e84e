//! The events of the overview over real sockets: what they contain, who may have them, how many there
//! may be, and their end.

use crate::support::{Client, Harness, Response, eventually, soon};
use mwaa_app::ShutdownStatus;
use mwaa_emulator::{Seed, Settings};
use std::time::Duration;

/// The script of our own page.
const OWN: &str =
    "Sec-Fetch-Site: same-origin\r\nSec-Fetch-Mode: cors\r\nSec-Fetch-Dest: empty\r\n";
/// A person who typed the address.
const TYPED: &str =
    "Sec-Fetch-Site: none\r\nSec-Fetch-Mode: navigate\r\nSec-Fetch-Dest: document\r\n";

const TWO: &str = "[environments.alpha]\nairflow_version = \"2.10.3\"\n\
    [environments.beta]\nairflow_version = \"3.0.6\"\n";

async fn two() -> Harness {
    let settings = Settings {
        environments: vec![Seed::new("alpha", "2.10.3"), Seed::new("beta", "3.0.6")],
        ..Settings::default()
    };
    Harness::with(settings, TWO).await
}

fn request(harness: &Harness, host: &str, path: &str, headers: &str) -> String {
    let port = harness.address().port();
    format!("GET {path} HTTP/1.1\r\nHost: {host}:{port}\r\n{headers}\r\n")
}

async fn get(harness: &Harness, host: &str, path: &str, headers: &str) -> Response {
    let request = request(harness, host, path, headers);
    harness.connect().await.exchange(request).await
}

/// An open stream of events.
struct Stream(Client);

impl Stream {
    async fn open(harness: &Harness, host: &str, path: &str, headers: &str) -> Self {
        let mut client = harness.connect().await;
        client.send(request(harness, host, path, headers)).await;
        let head = client.head().await;
        assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
        for field in [
            "content-type: text/event-stream",
            "cache-control: no-store",
            "cross-origin-resource-policy: same-origin",
            "transfer-encoding: chunked",
        ] {
            assert!(
                head.contains(&format!("\r\n{field}\r\n")),
                "{field}: {head}"
            );
        }
        assert!(!head.contains("access-control-"), "{head}");
        Self(client)
    }

    /// Returns the next chunk: the events of one second.
    async fn next(&mut self) -> String {
        String::from_utf8(self.0.chunk().await).unwrap()
    }

    /// Reads until a part contains the text.
    async fn shows(&mut self, part: &str, text: &str) -> String {
        soon(&format!("{text} in {part}"), async {
            loop {
                let events = self.next().await;
                let mut all = events.split("\n\n");
                let found = all.find(|event| {
                    event.starts_with(&format!("event: {part}\n")) && event.contains(text)
                });
                if let Some(found) = found {
                    return found.to_owned();
                }
            }
        })
        .await
    }
}

/// Returns the address of the events that a page names.
async fn events_of_page(harness: &Harness, host: &str) -> String {
    let page = get(harness, host, "/-/", TYPED).await.text();
    let (_, rest) = page.split_once("data-events=\"").expect(&page);
    rest.split_once('"').unwrap().0.to_owned()
}

#[tokio::test]
async fn events_show_what_changes_and_ask_aws_for_nothing() {
    let harness = Harness::new().await;
    let mut stream = Stream::open(&harness, "localhost", "/-/events", "").await;
    let first = stream.next().await;
    for part in ["activity", "environments", "refusals"] {
        assert!(first.contains(&format!("event: {part}\ndata: ")), "{first}");
    }
    assert!(first.contains("minted when needed") && first.contains("None so far."));
    assert!(first.contains("Nothing in the last hour."), "{first}");
    assert_eq!(
        (harness.mints(), harness.journal().web_connections()),
        (0, 0)
    );

    assert_eq!(harness.command("version").await.status, 200);
    stream.shows("environments", ">live</span>").await;
    assert_eq!(harness.command("users list").await.status, 403);
    let refusals = stream.shows("refusals", "policy.unsupported_command").await;
    assert!(!refusals.contains("event: environments"), "{refusals}");
}

#[tokio::test]
async fn the_charts_have_the_minutes_of_the_last_hour() {
    let harness = Harness::new().await;
    assert_eq!(harness.command("version").await.status, 200);
    assert_eq!(harness.command("users list").await.status, 403);
    let row = |minute: &str| {
        format!("<th scope=\"row\">{minute}</th><td>2</td><td>1</td><td>0</td><td>1</td>")
    };
    let shows = async |text: &str| {
        let page = get(&harness, "localhost", "/-/", TYPED).await.text();
        page.contains(text).then_some(())
    };
    // a minute may end meanwhile
    eventually("this minute", async || {
        shows(&row("now")).await.or(shows(&row("1 min ago")).await)
    })
    .await;
    harness.advance(Duration::from_mins(30));
    eventually("half an hour ago", async || {
        shows(&row("30 min ago"))
            .await
            .or(shows(&row("31 min ago")).await)
    })
    .await;
    harness.advance(Duration::from_mins(31));
    let later = get(&harness, "localhost", "/-/", TYPED).await.text();
    assert!(later.contains("Nothing in the last hour."), "{later}");
}

/// The page of an environment is in the same origin as its Airflow, whose scripts must not read it.
#[tokio::test]
async fn only_our_own_page_and_programs_get_events() {
    let harness = two().await;
    let refused = async |host: &str, path: &str, headers: &str| {
        let reply = get(&harness, host, path, headers).await;
        assert_eq!(
            (reply.status, reply.fault()),
            (403, Some("guard.foreign_origin")),
            "{host}{path} {headers}{reply}"
        );
    };

    let all = events_of_page(&harness, "localhost").await;
    let alpha = events_of_page(&harness, "alpha.localhost").await;
    Stream::open(&harness, "localhost", &all, OWN).await;
    Stream::open(&harness, "alpha.localhost", &alpha, OWN).await;
    for path in ["/-/events", "/-/events?ticket=", "/-/events?ticket=AAAA"] {
        refused("localhost", path, OWN).await;
        refused("alpha.localhost", path, OWN).await;
    }
    // a page's ticket is for that page
    refused("localhost", &alpha, OWN).await;
    refused("alpha.localhost", &all, OWN).await;
    refused("beta.localhost", &alpha, OWN).await;
    for headers in [
        TYPED,
        "Sec-Fetch-Site: cross-site\r\nSec-Fetch-Mode: cors\r\nSec-Fetch-Dest: empty\r\n",
        "Sec-Fetch-Site: same-site\r\nSec-Fetch-Mode: no-cors\r\nSec-Fetch-Dest: image\r\n",
        "Origin: http://evil.example\r\n",
    ] {
        refused("localhost", &all, headers).await;
    }
}

#[tokio::test]
async fn the_events_of_one_environment_show_no_other() {
    let harness = two().await;
    for environment in ["alpha", "beta"] {
        let request = harness.request_for(environment, "users list");
        let reply = harness.connect().await.exchange(request).await;
        assert_eq!(reply.status, 403, "{reply}");
    }
    let mut stream = Stream::open(&harness, "alpha.localhost", "/-/events", "").await;
    let events = stream.next().await;
    assert!(
        events.contains("alpha") && !events.contains("beta"),
        "{events}"
    );
    let counted = "</th><td>1</td><td>1</td><td>0</td><td>0</td>";
    assert!(events.contains(counted), "{events}");
}

#[tokio::test]
async fn a_listener_has_a_limited_number_of_streams() {
    let harness = Harness::configured("limits.connections = 32").await;
    let open = async || Stream::open(&harness, "localhost", "/-/events", "").await;
    let (first, second) = (open().await, open().await);
    let refused = get(&harness, "localhost", "/-/events", "").await;
    assert_eq!((refused.status, refused.fault()), (204, None), "{refused}");
    drop(first);
    eventually("a free place", async || {
        let mut client = harness.connect().await;
        client
            .send(request(&harness, "localhost", "/-/events", ""))
            .await;
        client
            .head()
            .await
            .starts_with("HTTP/1.1 200")
            .then_some(())
    })
    .await;
    drop(second);
    let head = format!(
        "HEAD /-/events HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n",
        harness.address()
    );
    let mut client = harness.connect().await;
    client.send(head).await;
    let reply = String::from_utf8(client.rest().await).unwrap();
    assert!(reply.ends_with("\r\n\r\n"), "{reply}");
}

#[tokio::test]
async fn streams_end_with_the_gateway() {
    let mut harness = Harness::configured(r#"limits.drain = "600s""#).await;
    let mut stream = Stream::open(&harness, "localhost", "/-/events", "").await;
    stream.next().await;
    harness.stop();
    soon("the last event", async {
        while !stream.next().await.ends_with("retry: 2000\n\n") {}
    })
    .await;
    // the stream is complete, and then the idle connection ends as others do
    let rest = stream.0.rest().await;
    assert!(rest.starts_with(b"0\r\n\r\nHTTP/1.1 503 "), "{rest:?}");
    assert_eq!(harness.stopped().await, ShutdownStatus::Drained);
}
