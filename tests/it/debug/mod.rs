//! `Debug` shows no secret, no command and no header section. Here the values of all rooms are
//! formatted on their way; `source` looks at every type.

mod source;

use crate::support::{Client, Puppet};
use bytes::Bytes;
use http::header::SET_COOKIE;
use http::{HeaderMap, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use mwaa_gateway::control::{
    AwsError, AwsErrorKind, CliToken, ControlPlane, Described, Reply, WebToken,
};
use mwaa_gateway::credential::{self, Broker, LoggingIn, LoginReply, SignIn};
use mwaa_gateway::egress::{self, Egress, Proxies, Surroundings};
use mwaa_gateway::guard::{self, CallerSecret, Gate, HostRules, Networks, UserAgent};
use mwaa_gateway::listener::{self, Address, Arrived, Door, Handler};
use mwaa_gateway::names::{
    AirflowVersion, Directory, Entrance, Entry, EntryId, EnvName, Environment, Secret,
};
use mwaa_gateway::policy::{self, Command};
use mwaa_gateway::queue::{self, Queues};
use mwaa_gateway::reply::{self, Asked, CliForm, CliOutput};
use mwaa_gateway::route::{self, Destination, Kind, Routed};
use mwaa_gateway::runtime::{Background, LocalTasks, Sweeper};
use mwaa_gateway::telemetry::Metrics;
use mwaa_gateway::telemetry::audit::Record;
use mwaa_gateway::upstream::{self, Payload, Trust, Trusts, Upstream};
use std::cell::RefCell;
use std::collections::{BTreeSet, HashMap};
use std::fmt::Debug;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Semaphore, watch};
use tokio::task::LocalSet;

/// Everything secret, and everything that a client or the web server sends, holds this word.
const CANARY: &str = "canary";
const LIMIT: Duration = Duration::from_secs(20);
const VERSION: AirflowVersion = AirflowVersion {
    major: 2,
    minor: 10,
    patch: 3,
};

/// AWS, and the login at the web server.
#[derive(Debug)]
struct Cloud;

fn token() -> Secret<String> {
    Secret::new(format!("{CANARY}.token"))
}

fn host() -> String {
    "x.c1.eu-west-1.airflow.amazonaws.com".to_owned()
}

fn denied<'a, T: Send + 'a>() -> Reply<'a, T> {
    let error = AwsError::new(AwsErrorKind::Denied, "not here", "ask somebody");
    Box::pin(std::future::ready(Err(error)))
}

impl ControlPlane for Cloud {
    fn create_cli_token<'a>(&'a self, _: &'a Environment) -> Reply<'a, CliToken> {
        Box::pin(std::future::ready(Ok(CliToken {
            token: token(),
            host: host(),
            region: "eu-west-1".to_owned(),
            life: None,
            clock_offset: None,
        })))
    }

    fn create_web_login_token<'a>(&'a self, _: &'a Environment) -> Reply<'a, WebToken> {
        Box::pin(std::future::ready(Ok(WebToken {
            token: token(),
            host: host(),
            region: "eu-west-1".to_owned(),
            iam_identity: None,
            airflow_identity: None,
        })))
    }

    fn region<'a>(&'a self, _: &'a Environment) -> Reply<'a, String> {
        denied()
    }

    fn list_environments<'a>(&'a self, _: &'a Environment) -> Reply<'a, Vec<String>> {
        denied()
    }

    fn get_environment<'a>(&'a self, _: &'a Environment) -> Reply<'a, Described> {
        denied()
    }
}

impl SignIn for Cloud {
    fn sign_in<'a>(
        &'a self,
        _: &'a Entry,
        _: &'a str,
        _: &'static str,
        _: &'a Secret<String>,
    ) -> LoggingIn<'a> {
        Box::pin(std::future::ready(Ok(login_reply())))
    }
}

fn login_reply() -> LoginReply {
    let mut headers = HeaderMap::new();
    let cookie = format!("session={CANARY}; Path=/");
    headers.insert(SET_COOKIE, cookie.parse().unwrap());
    LoginReply {
        status: StatusCode::OK,
        headers,
    }
}

/// The rooms of one worker thread, and how their values look.
struct Rooms {
    guard: guard::Settings,
    directory: Directory,
    queues: Queues,
    broker: Arc<Broker>,
    upstream: Upstream,
    sweeper: Sweeper,
    seen: RefCell<BTreeSet<String>>,
}

impl Rooms {
    fn see(&self, value: &impl Debug) {
        for text in [format!("{value:?}"), format!("{value:#?}")] {
            let type_name = std::any::type_name_of_val(value);
            let dense: String = text.split_whitespace().collect();
            let bytes: Vec<_> = CANARY.bytes().map(|byte| byte.to_string()).collect();
            assert!(!dense.contains(CANARY), "{type_name}: {text}");
            assert!(!dense.contains(&bytes.join(",")), "{type_name}: {text}");
            let name = type_name.split('<').next().unwrap();
            let name = name.rsplit("::").next().unwrap();
            self.seen.borrow_mut().insert(name.to_owned());
        }
    }

    async fn walk(&self, arrived: Arrived) {
        self.see(&arrived);
        let mut record = Record::new(arrived.id, &arrived.caller);
        record.arguments = Some(CANARY.to_owned());
        self.see(&record);
        let agent = UserAgent::read(&arrived.head, arrived.secure);
        self.see(&agent);
        let admitted = guard::admit(arrived, agent, &self.guard).unwrap();
        self.see(&admitted);
        let destination = route::resolve(admitted, &self.directory).unwrap();
        self.see(&destination);
        let Destination::Environment(routed) = destination else {
            panic!("{destination:?}");
        };
        self.see(&routed);
        if routed.kind() == Kind::Cli {
            self.command(routed).await;
        } else {
            self.page(routed).await;
        }
    }

    async fn command(&self, mut routed: Routed) {
        let body = routed.admitted_mut().body_mut().collect().await.unwrap();
        let command = Command::read(&body.to_bytes()).unwrap();
        self.see(&command);
        let permitted = policy::permit(routed, &command, VERSION).unwrap();
        self.see(&permitted);
        let id = permitted.id();
        let asked = Asked {
            command: permitted.name(),
            json: false,
            version: VERSION,
            repeated: false,
        };
        let ticket = self.queues.line_up(permitted).unwrap();
        self.see(&ticket);
        let seated = ticket.seat(&self.sweeper).await.unwrap();
        self.see(&seated);
        let keyed = self.broker.key(seated).await.unwrap();
        self.see(&keyed);
        self.see(keyed.live());
        match self.upstream.send(keyed).await {
            Err(unanswered) => self.see(unanswered.as_ref()),
            Ok(answered) => {
                self.see(&answered);
                let raw = OUTPUT.as_bytes();
                self.see(&CliOutput::read(raw, StatusCode::OK, &asked).unwrap());
                let form = CliForm::Json;
                let reply = reply::command(answered, form, &asked, id, 1 << 20).await;
                self.see(reply.unwrap().body());
            }
        }
    }

    async fn page(&self, routed: Routed) {
        let (passage, _body) = policy::pass(routed).unwrap();
        self.see(&passage);
        let signed = self.broker.sign_in(passage).await.unwrap();
        self.see(&signed);
        self.see(signed.session());
        let payload = Payload::Whole(Bytes::from_static(CANARY.as_bytes()));
        self.see(&payload);
        let answered = self.upstream.forward(&signed, payload).await.unwrap();
        self.see(&answered);
        self.see(reply::forward(answered, &signed).body());
    }
}

/// `{"stdout": "canary"}`, as MWAA encodes it.
const OUTPUT: &str = r#"{"stdout":"Y2FuYXJ5","stderr":"Y2FuYXJ5"}"#;

/// The environment `demo`, whose web server is the puppet.
fn entry(server: &Puppet) -> (Entry, Trust) {
    let config: toml::Table = server.config().parse().unwrap();
    let demo = &config["environments"]["demo"];
    let environment = Environment {
        airflow_version: Some(VERSION),
        connect_to: Some(demo["connect_to"].as_str().unwrap().into()),
        ..Environment::new(EnvName::new("demo").unwrap(), "demo")
    };
    let ca_file = demo["ca_file"].as_str().unwrap();
    let trust = Trust::new(Some(Path::new(ca_file))).unwrap();
    (Entry::new(EntryId(0), environment), trust)
}

fn rooms(server: &Puppet, tasks: &LocalTasks) -> Rooms {
    let (entry, trust) = entry(server);
    let sweeper = Sweeper::start(tasks);
    let metrics = Arc::new(Metrics::default());
    let settings = upstream::Settings {
        tls: LIMIT,
        cli_first_byte: LIMIT,
        first_byte: LIMIT,
        body_idle: LIMIT,
        pool_idle: LIMIT,
        pool_age: LIMIT,
    };
    let trusts = Arc::new(Trusts::new(HashMap::from([(entry.id, trust)])));
    let (limits, door) = (credential_limits(), Arc::new(Cloud));
    Rooms {
        guard: guard::Settings {
            gate: Gate {
                networks: Networks::new(vec!["127.0.0.0/8".parse().unwrap()]),
                secret: CallerSecret::new(CANARY),
            },
            own_gates: Vec::new(),
            hosts: HostRules::new(Vec::new(), &["gateway.test:80".to_owned()]),
            trusted_origins: Vec::new(),
            allow_forwarded: false,
            header_count: 64,
            head_size: 32 << 10,
            target_size: 8 << 10,
        },
        directory: Directory::new(vec![Arc::new(entry)], None),
        queues: Queues::new(
            queue::Settings {
                size: 8,
                wait: LIMIT,
            },
            Arc::clone(&metrics),
        ),
        broker: Broker::new(
            Arc::new(Cloud),
            door,
            limits,
            Background::current(),
            metrics,
        ),
        upstream: Upstream::new(settings, egress(), trusts, sweeper.clone(), tasks.clone()),
        sweeper,
        seen: RefCell::default(),
    }
}

fn egress() -> Egress {
    let settings = egress::Settings {
        dns: LIMIT,
        connect: LIMIT,
        tls: LIMIT,
        tunnel_start: LIMIT,
        tunnel_age: LIMIT,
    };
    let proxies = Proxies::new(None, HashMap::new(), &Surroundings::default()).unwrap();
    Egress::new(
        settings,
        proxies,
        std::iter::empty(),
        &Background::current(),
    )
}

fn credential_limits() -> credential::Settings {
    credential::Settings {
        mint_total: LIMIT,
        mint_wait: LIMIT,
        token_use: LIMIT,
        session_use: LIMIT,
    }
}

/// What the web server says: nothing, the output of a command, a page.
async fn serve(server: &mut Puppet) {
    let mut connection = server.next().await;
    connection.head().await;
    drop(connection);
    let mut connection = server.next().await;
    for body in [OUTPUT, CANARY] {
        connection.head().await;
        connection
            .bytes(if body == OUTPUT { COMMAND.len() } else { 0 })
            .await;
        let reply = format!(
            "HTTP/1.1 200 OK\r\nX-Canary: {CANARY}\r\nSet-Cookie: session={CANARY}\r\n\
             Content-Length: {}\r\n\r\n{body}",
            body.len()
        );
        connection.send(reply).await;
    }
}

const COMMAND: &str = "variables set canary canary";

#[tokio::test]
async fn no_room_s_value_shows_what_it_holds() {
    LocalSet::new().run_until(walk_all()).await;
}

async fn walk_all() {
    let mut server = Puppet::start().await;
    let tasks = LocalTasks::default();
    let rooms = Rc::new(rooms(&server, &tasks));
    rooms.see(&token());
    rooms.see(
        &Cloud
            .create_cli_token(&entry(&server).0.environment)
            .await
            .unwrap(),
    );
    rooms.see(&login_reply());

    let door = Door {
        address: Address::Tcp("127.0.0.1:0".parse().unwrap()),
        entrance: Entrance {
            name: "listener".to_owned(),
            environment: None,
            rules: None,
        },
        tls: None,
    };
    let mut bound = door.bind(1).unwrap();
    let Address::Tcp(address) = bound.address else {
        panic!("{bound:?}");
    };
    let settings = Rc::new(listener::Settings {
        head_timeout: LIMIT,
        keep_alive: LIMIT,
        head_size: 32 << 10,
        header_count: 64,
    });
    let places = Arc::new(Semaphore::new(8));
    let (_running, stop) = watch::channel(false);
    let walking = Rc::clone(&rooms);
    let handler = Rc::new(Handler {
        handle: move |arrived| {
            let rooms = Rc::clone(&walking);
            async move {
                rooms.walk(arrived).await;
                Response::new(Full::<Bytes>::default())
            }
        },
        refuse: Box::new(|bad_head| panic!("{bad_head:?}")),
    });
    let sweeper = &rooms.sweeper;
    listener::serve(
        &mut bound, &settings, &places, &tasks, sweeper, &stop, &handler,
    )
    .unwrap();

    let credentials = format!(
        "Host: gateway.test\r\nMwaa-Gateway-Secret: {CANARY}\r\n\
         Authorization: Bearer {CANARY}\r\nCookie: session={CANARY}\r\nX-Canary: {CANARY}\r\n"
    );
    let command = format!(
        "POST /aws_mwaa/cli HTTP/1.1\r\n{credentials}Content-Type: text/plain\r\n\
         Content-Length: {}\r\n\r\n{COMMAND}",
        COMMAND.len()
    );
    let page = format!("GET /api/v1/{CANARY}?x={CANARY} HTTP/1.1\r\n{credentials}\r\n");
    let asking = async {
        let mut client = Client::tcp(address).await;
        for request in [&command, &command, &page] {
            let reply = client.exchange(request).await;
            assert_eq!(reply.status, 200, "{reply}");
        }
    };
    tokio::join!(asking, serve(&mut server));

    let seen = rooms.seen.borrow();
    for name in [
        "Admitted",
        "Answered",
        "Arrived",
        "CliOutput",
        "CliToken",
        "Command",
        "Destination",
        "Keyed",
        "Live",
        "LoginReply",
        "Passage",
        "Payload",
        "Permitted",
        "Record",
        "ReplyStream",
        "Routed",
        "Seated",
        "Secret",
        "Session",
        "SignedIn",
        "Ticket",
        "Unanswered",
    ] {
        assert!(seen.contains(name), "{name} was not made: {seen:?}");
    }
}
