//! `Debug` shows no secret, no command and no header section. Here the values of all rooms are
//! formatted on their way; `source` looks at every type.

mod source;

use crate::support::{Client, Puppet};
use bytes::Bytes;
use http::StatusCode;
use http_body_util::Full;
use mwaa_auth::aws::{
    ApiFuture, AwsError, AwsErrorKind, MintedCliToken, MintedWebToken, MwaaApi, RestApiError,
    RestApiFuture, RestApiRequest, VersionResolver,
};
use mwaa_auth::{CredentialCache, LocalTokens, LoginClient, LoginFuture, LoginResponse};
use mwaa_egress::{Connector, ProxyEnv, ProxyTable};
use mwaa_model::{
    AirflowVersion, Directory, Entry, EntryId, EnvName, Environment, EnvironmentInfo,
    ListenerPolicy, Registry, Secret,
};
use mwaa_policy::{Command, CommandMemory, permit_command, permit_web};
use mwaa_proxy::admission::{
    self, AccessRules, AdmissionMemory, HostFilter, NetworkFilter, SharedSecret,
};
use mwaa_proxy::queue::{self, CommandQueues, QueuedCommand};
use mwaa_proxy::response::{self, CliOutput, CommandFacts, OutputFormat};
use mwaa_proxy::routing::{self, Destination, RequestKind, RoutedRequest};
use mwaa_proxy::upstream::{
    self, ConnectionChoice, OutgoingBody, Trust, TrustStore, UpstreamClient,
};
use mwaa_proxy::{Limits, ListenerUrls, ProxyState, RequestContext, ReverseProxy, Watchers};
use mwaa_runtime::resolver::Resolver;
use mwaa_runtime::{
    BackgroundTasks, CoarseTimer, LocalTasks, PaceLimit, Shutdown, ShutdownStage,
};
use mwaa_server::{Address, IncomingRequest, ListenerConfig, OpenConnections, Places, Server};
use mwaa_telemetry::AccessLog;
use mwaa_telemetry::Metrics;
use mwaa_telemetry::audit::Record;
use std::cell::RefCell;
use std::collections::{BTreeSet, HashMap};
use std::fmt::Debug;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
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

fn denied<'a, T: Send + 'a>() -> ApiFuture<'a, T> {
    let error = AwsError::new(AwsErrorKind::Denied, "not here", "ask somebody");
    Box::pin(std::future::ready(Err(error)))
}

impl MwaaApi for Cloud {
    fn create_cli_token<'a>(&'a self, _: &'a Environment) -> ApiFuture<'a, MintedCliToken> {
        Box::pin(std::future::ready(Ok(MintedCliToken {
            token: token(),
            host: host(),
            region: "eu-west-1".to_owned(),
            life: None,
            clock_offset: None,
        })))
    }

    fn create_web_login_token<'a>(
        &'a self,
        _: &'a Environment,
    ) -> ApiFuture<'a, MintedWebToken> {
        Box::pin(std::future::ready(Ok(MintedWebToken {
            token: token(),
            host: host(),
            region: "eu-west-1".to_owned(),
            iam_identity: None,
            airflow_identity: None,
        })))
    }

    fn invoke_rest_api<'a>(
        &'a self,
        _: &'a Environment,
        _: &'a RestApiRequest,
    ) -> RestApiFuture<'a> {
        Box::pin(async { denied().await.map_err(RestApiError::Refused) })
    }

    fn region<'a>(&'a self, _: &'a Environment) -> ApiFuture<'a, String> {
        denied()
    }

    fn list_environments<'a>(&'a self, _: &'a Environment) -> ApiFuture<'a, Vec<String>> {
        denied()
    }

    fn describe_environment<'a>(&'a self, _: &'a Environment) -> ApiFuture<'a, Bytes> {
        denied()
    }

    fn get_environment<'a>(&'a self, _: &'a Environment) -> ApiFuture<'a, EnvironmentInfo> {
        denied()
    }
}

impl LoginClient for Cloud {
    fn sign_in<'a>(
        &'a self,
        _: &'a Entry,
        _: &'a str,
        _: &'static str,
        _: &'a Secret<String>,
    ) -> LoginFuture<'a> {
        Box::pin(std::future::ready(Ok(login_reply())))
    }
}

fn login_reply() -> LoginResponse {
    let cookie = format!("session={CANARY}; Path=/");
    LoginResponse {
        status: StatusCode::OK,
        headers: [("set-cookie", cookie)].into_iter().collect(),
    }
}

/// One worker thread's proxy, and the `Debug` texts of its values.
struct Rooms {
    proxy: Rc<ReverseProxy>,
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

    async fn walk(&self, incoming: IncomingRequest) {
        self.see(&incoming);
        let mut record = Record::new(incoming.id, &incoming.client);
        record.arguments = Some(CANARY.to_owned());
        self.see(&record);
        let ctx = RequestContext::new(&incoming, &self.proxy);
        self.see(&ctx);
        self.see(&ctx.user_agent());

        let state = &self.proxy.state;
        let validated = admission::validate(
            incoming,
            ctx.user_agent(),
            &state.admission,
            &self.proxy.admissions,
        )
        .unwrap();
        self.see(&validated);
        let destination =
            routing::route(validated, None, &ctx, &state.registry.snapshot()).unwrap();
        self.see(&destination);
        let Destination::Environment(routed) = destination else {
            panic!("{destination:?}");
        };
        self.see(&routed);
        if routed.kind == RequestKind::Cli {
            self.command(routed, &ctx).await;
        } else {
            self.page(routed, &ctx).await;
        }
    }

    async fn command(&self, routed: RoutedRequest, ctx: &RequestContext) {
        let RoutedRequest {
            mut request, entry, ..
        } = routed;
        let body = request.body_mut().data().await.unwrap().unwrap();
        let command = Command::read(&body).unwrap();
        self.see(&command);
        let headers = request.headers();
        let permit = permit_command(&entry, None, headers, &command, VERSION).unwrap();
        self.see(&permit);

        let state = &self.proxy.state;
        let info = QueuedCommand {
            id: ctx.id(),
            name: permit.name(),
        };
        let principal = ctx.client().key();
        let queued = state.queues.enqueue(&entry, principal, info).unwrap();
        self.see(&queued);
        let slot = queued.acquire(&self.proxy.timer).await.unwrap();
        self.see(&slot);
        let token = state.credentials.cli_token(&entry).await.unwrap();
        self.see(token.as_ref());

        let facts = CommandFacts {
            command: permit.name(),
            json: false,
            version: VERSION,
            repeated: false,
        };
        let sent = self
            .proxy
            .upstream
            .send_command(
                &permit,
                &token,
                headers,
                None,
                ConnectionChoice::Pooled,
                &|| true,
            )
            .await;
        match sent {
            Err(error) => self.see(&error),
            Ok(upstream) => {
                let upstream = upstream.with_slot(slot);
                self.see(&upstream);
                let raw = OUTPUT.as_bytes();
                self.see(&CliOutput::parse(raw, StatusCode::OK, &facts).unwrap());
                let format = OutputFormat::Json;
                let response =
                    response::from_command(upstream, format, &facts, ctx.id(), 1 << 20);
                self.see(&response.await.unwrap());
            }
        }
    }

    async fn page(&self, routed: RoutedRequest, ctx: &RequestContext) {
        let request = routed.request;
        let environment = &routed.entry;
        let listener = ctx.listener();
        let permit =
            permit_web(environment, listener, request.method(), request.target()).unwrap();
        self.see(&permit);
        let credentials = &self.proxy.state.credentials;
        let session = credentials.session(environment).await.unwrap();
        self.see(session.as_ref());
        let body = OutgoingBody::Whole(Bytes::from_static(CANARY.as_bytes()));
        self.see(&body);
        let upstream = self
            .proxy
            .upstream
            .send_web(&permit, &session, request.headers(), ctx, body)
            .await
            .unwrap();
        self.see(&upstream);
        self.see(&response::from_web(upstream, &permit, session.host(), ctx));
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
    let background = BackgroundTasks::current();
    let timer = CoarseTimer::start(tasks, &background);
    let metrics = Arc::new(Metrics::default());
    let settings = upstream::Settings {
        tls: LIMIT,
        cli_first_byte: LIMIT,
        first_byte: LIMIT,
        body_idle: LIMIT,
        pool_idle: LIMIT,
        pool_age: LIMIT,
    };
    let trust = Arc::new(TrustStore::new(HashMap::from([(entry.id, trust)])));
    let queue_settings = queue::Settings {
        size: 8,
        wait: LIMIT,
    };
    let registry = Registry::new(Directory::new(vec![Arc::new(entry)], None));
    let state = Arc::new(ProxyState {
        tracer: None,
        admission: admission_settings(),
        registry: Arc::new(registry),
        discovery: None,
        versions: VersionResolver::new(
            Arc::new(Cloud),
            background.clone(),
            LIMIT,
            |_, _| (),
            None,
        ),
        queues: CommandQueues::new(queue_settings, Arc::clone(&metrics), None),
        credentials: CredentialCache::new(
            Arc::new(Cloud),
            Arc::new(Cloud),
            credential_limits(),
            background,
            Arc::clone(&metrics),
            None,
        ),
        login_visits: Arc::default(),
        local_tokens: LocalTokens::generate().into(),
        reachability: Arc::default(),
        rest_routes: Arc::default(),
        metrics,
        audit: None,
        refusals: Arc::default(),
        watchers: Watchers::new(1),
        urls: ListenerUrls::default(),
        resolver: Resolver::default(),
        limits: Limits {
            cli_body: 1 << 10,
            request_body: 1 << 10,
            body_pace: PaceLimit {
                idle: LIMIT,
                rate: 1,
            },
            cli_output: 1 << 20,
        },
    });
    let upstream = UpstreamClient::new(
        settings,
        connector(),
        trust,
        timer.clone(),
        tasks,
        Arc::default(),
    );
    Rooms {
        proxy: Rc::new(ReverseProxy {
            metrics: state.metrics.worker_metrics().into(),
            admissions: AdmissionMemory::default(),
            commands: CommandMemory::default(),
            access: AccessLog::default(),
            state,
            upstream,
            shutdown: Shutdown::watch(watch::channel(ShutdownStage::Serving).1, &timer, tasks),
            is_replaced: false.into(),
            timer,
            tasks: tasks.clone(),
        }),
        seen: RefCell::default(),
    }
}

fn admission_settings() -> admission::Settings {
    admission::Settings {
        access: AccessRules {
            networks: NetworkFilter::new(vec!["127.0.0.0/8".parse().unwrap()]),
            secret: SharedSecret::new(CANARY),
        },
        listener_access: Vec::new(),
        hosts: HostFilter::new(&[], &["gateway.test:80".to_owned()]),
        trusted_origins: Vec::new(),
        allow_forwarded: false,
        target_size: 8 << 10,
    }
}

fn connector() -> Connector {
    let settings = mwaa_egress::Settings {
        dns: LIMIT,
        connect: LIMIT,
        tls: LIMIT,
        tunnel_start: LIMIT,
        tunnel_age: LIMIT,
    };
    let proxies = ProxyTable::new(None, HashMap::new(), &ProxyEnv::default()).unwrap();
    Connector::new(
        settings,
        proxies,
        std::iter::empty(),
        &BackgroundTasks::current(),
    )
}

fn credential_limits() -> mwaa_auth::Settings {
    mwaa_auth::Settings {
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
async fn debug_output_shows_no_secret_command_or_header() {
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

    let listener = ListenerConfig {
        address: Address::Tcp("127.0.0.1:0".parse().unwrap()),
        listener: ListenerPolicy {
            name: "listener".to_owned(),
            environment: None,
            rules: None,
        },
        tls: None,
        accepts_plain: true,
    };
    let mut bound = listener.bind(1).unwrap();
    let Address::Tcp(address) = bound.address else {
        panic!("{bound:?}");
    };
    let (_running, shutdown) = watch::channel(ShutdownStage::Serving);
    let walking = Rc::clone(&rooms);
    let http = Rc::new(Server {
        settings: mwaa_server::Settings {
            head_timeout: LIMIT,
            keep_alive: LIMIT,
            head_size: 32 << 10,
            header_count: 64,
        }
        .into(),
        connections: OpenConnections::start(&Places::new(8, 1), &rooms.proxy.timer, &tasks),
        tasks: tasks.clone(),
        timer: rooms.proxy.timer.clone(),
        shutdown: Shutdown::watch(shutdown, &rooms.proxy.timer, &tasks),
        handle: move |incoming| {
            let rooms = Rc::clone(&walking);
            async move {
                rooms.walk(incoming).await;
                mwaa_server::Response::new(Full::<Bytes>::default())
            }
        },
        refuse: Box::new(|bad_head, _| panic!("{bad_head:?}")),
        farewell: Box::new(|_| panic!("it does not stop")),
    });
    http.listen(&mut bound).unwrap();

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
        "CliOutput",
        "CliToken",
        "Command",
        "CommandPermit",
        "CommandSlot",
        "Destination",
        "IncomingRequest",
        "LoginResponse",
        "MintedCliToken",
        "OutgoingBody",
        "QueueEntry",
        "Record",
        "RequestContext",
        "Response",
        "RoutedRequest",
        "Secret",
        "Session",
        "UpstreamError",
        "UpstreamResponse",
        "ValidatedRequest",
        "WebPermit",
    ] {
        assert!(seen.contains(name), "{name} was not made: {seen:?}");
    }
}
