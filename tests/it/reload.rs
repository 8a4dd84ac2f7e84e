//! The configuration is read again while the gateway runs: what changes, what stays, and what a file
//! that cannot be used does.

use crate::program::{Running, command};
use crate::support::{CLOSED, Client, HELD, Harness, Puppet, all, eventually, soon};
use mwaa_emulator::{Seed, Settings, TokenKind, WebFault};
use rustix::process::{Pid, Signal, kill_process};
use std::net::SocketAddr;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;
use tokio::net::UnixDatagram;

/// Two environments of Airflow 2; the first is the default.
async fn two() -> Harness {
    let settings = Settings {
        environments: ["left", "right"]
            .map(|name| Seed::new(name, "2.10.3"))
            .to_vec(),
        ..Settings::default()
    };
    Harness::with(settings, "").await
}

fn set(table: &mut toml::Table, path: &str, value: impl Into<toml::Value>) {
    let (tables, key) = path.rsplit_once('.').unwrap();
    let mut table = table;
    for name in tables.split('.') {
        let empty = toml::Value::Table(toml::Table::new());
        table = table.entry(name).or_insert(empty).as_table_mut().unwrap();
    }
    table.insert(key.to_owned(), value.into());
}

fn environments(table: &mut toml::Table) -> &mut toml::Table {
    table["environments"].as_table_mut().unwrap()
}

#[tokio::test]
async fn a_new_policy_applies_to_the_next_request_of_an_old_connection() {
    let harness = Harness::new().await;
    let mut client = harness.connect().await;
    let request = harness.request("dags list");
    let change = harness.request("variables set a b");
    assert_eq!(client.exchange(&change).await.status, 200);
    for key in ["environments.demo", "listener"] {
        let policy = format!("{key}.policy = \"read-only\"");
        harness.reconfigure(&policy).await;
        let reply = client.exchange(&change).await;
        assert_eq!(reply.status, 403, "{reply}");
        assert_eq!(client.exchange(&request).await.status, 200);
    }
    harness.reconfigure("").await;
    assert_eq!(client.exchange(&change).await.status, 200);
    assert_eq!(harness.mints(), 1, "the token is the same");
    assert_eq!(harness.journal().web_connections(), 1, "and the connection");
}

#[tokio::test]
async fn a_request_ends_with_the_configuration_that_it_began_with() {
    let harness = Harness::new().await;
    harness.script().command_delay.always(HELD);
    let mut client = harness.connect().await;
    client.send(harness.request("variables set a b")).await;
    harness
        .seen("the command", |journal| journal.running_commands() == 1)
        .await;
    harness
        .reconfigure("environments.demo.policy = \"read-only\"\nlimits.cli_output = \"64KiB\"")
        .await;
    harness.script().command_delay.off();
    let reply = client.response().await;
    assert_eq!(reply.status, 200, "{reply}");
    assert_eq!(reply.header("connection"), None, "{reply}");
}

#[tokio::test]
async fn environments_are_added_renamed_and_removed() {
    let harness = two().await;
    let ask = async |name: &str| {
        let request = harness.request_for(name, "version");
        let reply = harness.connect().await.exchange(request).await;
        reply.fault().unwrap_or("ok").to_owned()
    };
    assert_eq!([ask("left").await, ask("right").await], ["ok", "ok"]);
    assert_eq!(harness.mints(), 2);

    harness
        .edit(|table| {
            let environments = environments(table);
            let left = environments.remove("left").unwrap();
            environments.insert("renamed".to_owned(), left);
        })
        .await;
    assert_eq!(ask("left").await, "route.unknown_environment");
    assert_eq!([ask("renamed").await, ask("right").await], ["ok", "ok"]);
    assert_eq!(harness.mints(), 2, "a name here changes no identity");

    harness
        .edit(|table| drop(environments(table).remove("right")))
        .await;
    assert_eq!(ask("right").await, "route.unknown_environment");
    harness
        .edit(|table| {
            let environments = environments(table);
            let mut right = environments["renamed"].clone();
            let right_table = right.as_table_mut().unwrap();
            right_table.insert("name".to_owned(), "right".into());
            right_table.remove("default");
            environments.insert("right".to_owned(), right);
        })
        .await;
    assert_eq!([ask("renamed").await, ask("right").await], ["ok", "ok"]);
    assert_eq!(harness.mints(), 3, "what was removed is forgotten");
}

/// The emulator answers only for the environment that a token is for.
#[tokio::test]
async fn another_identity_gets_no_token_and_no_session_of_the_one_before() {
    let harness = two().await;
    let rest = format!(
        "GET /api/v1/dags HTTP/1.1\r\nHost: {}\r\n\r\n",
        harness.address()
    );
    let mut client = harness.connect().await;
    for name in ["left", "right", "left"] {
        harness
            .edit(|table| set(table, "environments.left.name", name))
            .await;
        let (mints, logins) = (harness.mints(), harness.journal().logins());
        let reply = client.exchange(harness.request("version")).await;
        assert_eq!(reply.status, 200, "{reply}");
        assert_eq!(client.exchange(&rest).await.status, 200);
        assert_eq!(harness.mints(), mints + 1);
        assert_eq!(harness.journal().logins(), logins + 1);
        let last = harness.journal().web_requests().pop().unwrap();
        assert_eq!(last.environment.as_deref(), Some(name));
    }
}

#[tokio::test]
async fn a_token_that_is_being_minted_is_not_for_the_next_identity() {
    let harness = two().await;
    harness.script().mint_delay.always(HELD);
    let mut early = harness.connect().await;
    early.send(harness.request("version")).await;
    harness
        .seen("the mint", |journal| journal.calls("CreateCliToken") == 1)
        .await;
    harness
        .edit(|table| set(table, "environments.left.name", "right"))
        .await;
    harness.script().mint_delay.off();
    let reply = early.response().await;
    assert_eq!(reply.status, 200, "{reply}");
    let reply = harness.command("version").await;
    assert_eq!(reply.status, 200, "{reply}");
    let requests = harness.journal().web_requests();
    let names: Vec<_> = requests
        .iter()
        .map(|request| request.environment.as_deref().unwrap())
        .collect();
    assert_eq!(names, ["left", "right"]);
    assert_eq!(harness.journal().mints(TokenKind::Cli), 2);
}

#[tokio::test]
async fn commands_that_wait_stay_in_the_queue() {
    let harness = Harness::new().await;
    harness.script().command_delay.always(HELD);
    let requests = harness.at_once((0..6).map(|_| harness.request("version")));
    harness.queued(5).await;
    harness.reconfigure("limits.queue_size = 1").await;
    harness.queued(5).await;
    harness.script().command_delay.off();
    for reply in all(requests).await {
        assert_eq!(reply.status, 200, "{reply}");
    }
}

#[tokio::test]
async fn more_slots_are_taken_at_once_and_fewer_when_commands_end() {
    let harness = Harness::new().await;
    harness.script().command_delay.always(HELD);
    let requests = harness.at_once((0..6).map(|_| harness.request("version")));
    harness.queued(5).await;
    let slots = |count: usize| format!("environments.demo.cli_concurrency = {count}");
    harness.reconfigure(&slots(3)).await;
    harness
        .seen("three commands", |journal| journal.running_commands() == 3)
        .await;
    harness.queued(3).await;
    harness.reconfigure(&slots(1)).await;
    harness.queued(3).await;
    harness.script().command_delay.off();
    for reply in all(requests).await {
        assert_eq!(reply.status, 200, "{reply}");
    }
    assert_eq!(harness.journal().peak_commands(), 3);
    assert_eq!(harness.journal().commands().len(), 6);
}

#[tokio::test]
async fn connections_to_a_web_server_are_kept_until_their_route_changes() {
    // each thread has connections of its own
    let thread = "limits.threads = 1";
    let harness = Harness::configured(thread).await;
    assert_eq!(harness.command("version").await.status, 200);
    harness
        .reconfigure(&format!("{thread}\nlimits.queue_size = 5"))
        .await;
    assert_eq!(harness.command("version").await.status, 200);
    assert_eq!(harness.journal().web_connections(), 1);

    let connect_to = format!("{thread}\nenvironments.demo.connect_to = \"{CLOSED}\"");
    harness.reconfigure(&connect_to).await;
    let reply = harness.command("version").await;
    assert_eq!(reply.fault(), Some("upstream.unreachable"), "{reply}");
    harness.reconfigure(thread).await;
    assert_eq!(harness.command("version").await.status, 200);
    assert_eq!(harness.journal().web_connections(), 2);
    assert_eq!(harness.mints(), 1, "the identity is the same");
}

/// A request that is on its way while its connection is closed has an answer before it.
pub(crate) async fn assert_reloaded(idle: &mut Client, request: &str) {
    let reply = idle.response().await;
    assert_eq!(
        (reply.status, reply.fault()),
        (503, Some("gateway.reloaded")),
        "{reply}"
    );
    assert_eq!(reply.header("connection"), Some("close"), "{reply}");
    // too late, and no reset for it
    idle.send(request).await;
    assert_eq!(idle.rest().await, b"");
}

#[tokio::test]
async fn listeners_come_and_go_and_the_others_stay() {
    let harness = Harness::new().await;
    let path = harness.folder().join("team.sock");
    let request = harness.request("version");
    let mut old = harness.connect().await;
    assert_eq!(old.exchange(&request).await.status, 200);

    let team = format!("[listeners.team]\naddress = \"unix:{}\"\n", path.display());
    harness.reconfigure(&team).await;
    let mut idle = Client::unix(&path).await;
    assert_eq!(idle.exchange(&request).await.status, 200);
    let stricter = format!("{team}socket_mode = \"0660\"\npolicy = \"read-only\"");
    harness.reconfigure(&stricter).await;
    let mode = path.metadata().unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o660);
    let change = harness.request("variables set a b");
    assert_eq!(idle.exchange(&change).await.status, 403);
    let listeners = harness.manage("/status").await.json()["listeners"].clone();
    assert_eq!(listeners[1]["policy"], "read-only", "{listeners}");

    harness.script().web_fault.next(1, WebFault::Hang);
    let mut busy = Client::unix(&path).await;
    let seen = harness.journal().web_count();
    busy.send(&request).await;
    harness
        .seen("the command", |journal| journal.web_count() > seen)
        .await;
    harness.reconfigure("").await;
    assert_reloaded(&mut idle, &request).await;
    assert!(!path.exists());
    harness.script().cut_web_connections();
    let last = busy.response().await;
    assert_eq!(last.fault(), Some("upstream.broken"), "{last}");
    assert_eq!(last.header("connection"), Some("close"), "{last}");
    assert_eq!(old.exchange(&request).await.status, 200);

    // the same name at another address is another listener
    harness.reconfigure(&team).await;
    let mut again = Client::unix(&path).await;
    assert_eq!(again.exchange(&request).await.status, 200);
}

/// Returns the address of the second listener.
async fn second_address(harness: &Harness) -> SocketAddr {
    let listeners = harness.manage("/status").await.json()["listeners"].clone();
    let url = listeners[1]["url"].as_str().unwrap();
    url.strip_prefix("http://").unwrap().parse().unwrap()
}

/// The second request has come with the first, whose response says that the connection stays.
#[tokio::test]
async fn a_request_behind_another_one_is_not_served_at_a_removed_listener() {
    let mut puppet = Puppet::start().await;
    let team = "[listeners.team]\naddress = \"127.0.0.1:0\"";
    let extra = format!("{}\n{team}", puppet.config());
    let harness = Harness::airflow_with(Settings::default(), "2.10.3", &extra).await;
    let address = second_address(&harness).await;

    let mut client = Client::tcp(address).await;
    let request = harness.asking("GET", "/api/v1/x", "");
    client.send(request.repeat(2)).await;
    puppet.signs_in("session=x").await;
    let mut server = puppet.next().await;
    server.head().await;
    server
        .send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\no")
        .await;
    let head = client.head().await;
    assert!(!head.contains("connection: close"), "{head}");

    harness
        .edit(|table| {
            table.remove("listeners");
        })
        .await;
    server.send("k").await;
    let rest = String::from_utf8(client.rest().await).unwrap();
    let second = rest.strip_prefix("ok").unwrap();
    assert!(second.starts_with("HTTP/1.1 503 "), "{rest}");
    assert!(second.contains("gateway.reloaded"), "{rest}");
    assert!(puppet.is_quiet());
    let metrics = harness.manage("/metrics").await;
    let faults = "mwaa_gateway_faults_total{code=\"gateway.reloaded\"";
    assert!(metrics.text().contains(faults), "it is recorded");
}

/// The kernel has accepted more connections than there are places.
#[tokio::test]
async fn clients_that_wait_at_a_removed_listener_are_answered() {
    let few = "limits.threads = 1\nlimits.connections = 1";
    let team = "[listeners.team]\naddress = \"127.0.0.1:0\"";
    for next in [few, "limits.threads = 1"] {
        let harness = Harness::configured(&format!("{few}\n{team}")).await;
        let address = second_address(&harness).await;
        harness.script().web_fault.next(1, WebFault::Hang);
        let mut running = Client::tcp(address).await;
        running.send(harness.request("version")).await;
        harness
            .seen("the command", |journal| journal.web_count() == 1)
            .await;
        let mut waiting = Vec::new();
        for _ in 0..8 {
            let mut client = Client::tcp(address).await;
            let page = format!("GET /-/ HTTP/1.1\r\nHost: {address}\r\n\r\n");
            client.send(page).await;
            waiting.push(client);
        }

        harness.reconfigure(next).await;
        for mut client in waiting {
            let reply = client.response().await;
            // more places may come before the end of the listener
            let is_served = next != few && reply.status == 200;
            assert!(
                is_served || reply.fault() == Some("gateway.reloaded"),
                "{reply}"
            );
        }
        // it can be opened again at once
        let again = format!("{next}\n[listeners.team]\naddress = \"{address}\"");
        harness.reconfigure(&again).await;
        harness.script().cut_web_connections();
        let last = running.response().await;
        assert_eq!(last.fault(), Some("upstream.broken"), "{last}");
    }
}

#[tokio::test]
async fn a_socket_whose_file_was_removed_is_opened_again() {
    let harness = Harness::new().await;
    let path = harness.folder().join("team.sock");
    let request = harness.request("version");
    let team = format!("[listeners.team]\naddress = \"unix:{}\"\n", path.display());
    harness.reconfigure(&team).await;
    let mut old = Client::unix(&path).await;
    assert_eq!(old.exchange(&request).await.status, 200);

    std::fs::remove_file(&path).unwrap();
    harness.reload().await;
    assert_reloaded(&mut old, &request).await;
    let mut new = Client::unix(&path).await;
    assert_eq!(new.exchange(&request).await.status, 200);

    // another process's stays, and so does the listener
    std::fs::remove_file(&path).unwrap();
    let other = std::os::unix::net::UnixListener::bind(&path).unwrap();
    harness.reload().await;
    assert_eq!(new.exchange(&request).await.status, 200);
    harness.reconfigure("").await;
    assert!(path.exists());
    drop(other);
}

#[tokio::test]
async fn an_address_that_is_in_use_changes_nothing() {
    let harness = Harness::new().await;
    let request = harness.request("version");
    let path = harness.folder().join("new.sock");
    let occupied = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = occupied.local_addr().unwrap();
    let text = std::fs::read_to_string(harness.folder().join("mwaa-gateway.toml")).unwrap();
    let text = format!(
        "{text}\n[listeners.first]\naddress = \"unix:{}\"\n[listeners.second]\naddress = \"{address}\"\n",
        path.display()
    );
    let failure = harness.spoil(&text).await;
    assert!(
        failure.starts_with(&format!("{address} is in use")),
        "{failure}"
    );
    assert!(!path.exists());
    assert_eq!(harness.connect().await.exchange(&request).await.status, 200);

    // the gateway retries on its own; the test does not poll the port, because one of hundreds of
    // connections to a free port would get that port itself and connect to itself
    drop(occupied);
    harness
        .status_says("/configuration/failure", serde_json::Value::Null)
        .await;
    assert!(path.exists());
    Client::tcp(address).await;
}

#[tokio::test]
#[cfg_attr(not(target_os = "linux"), ignore = "the system does not share ports")]
async fn a_listener_can_change_its_address_and_keep_its_port() {
    let harness = Harness::new().await;
    let port = harness.address().port();
    let mut old = harness.connect().await;
    let request = harness.request("version");
    assert_eq!(old.exchange(&request).await.status, 200);
    let wide = format!(
        "[listener]\naddress = \"0.0.0.0:{port}\"\ndangerous_non_loopback = true\nhosts = [\"wide:{port}\"]\n"
    );
    harness.reconfigure(&wide).await;
    assert_reloaded(&mut old, &request).await;
    let other = SocketAddr::from(([127, 0, 0, 2], port));
    let request = request.replace("127.0.0.1", "wide");
    let reply = Client::tcp(other).await.exchange(&request).await;
    assert_eq!(reply.status, 200, "{reply}");
}

#[tokio::test]
async fn what_was_found_is_served_without_another_search() {
    let extra = "[aws]\ndiscover = true\n";
    let harness = Harness::configured(extra).await;
    harness.status_says("/discovery/0/found", 1).await;
    let searches = harness.journal().calls("ListEnvironments");
    harness
        .edit(|table| {
            set(table, "environments.other.name", "other");
            environments(table).remove("demo");
        })
        .await;
    let status = harness.manage("/status").await.json();
    let names: Vec<_> = status["environments"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["local"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["other", "demo"]);
    harness.reconfigure(extra).await;
    harness
        .reconfigure(&format!("{extra}[limits]\nqueue_size = 3\n"))
        .await;
    // AWS is called once for each changed list of environments
    harness
        .seen("the searches", |journal| {
            journal.calls("ListEnvironments") == searches + 2
        })
        .await;
}

#[tokio::test]
async fn the_management_address_can_move() {
    let harness = Harness::new().await;
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = free.local_addr().unwrap();
    drop(free);
    let text = std::fs::read_to_string(harness.folder().join("mwaa-gateway.toml")).unwrap();
    let mut table: toml::Table = text.parse().unwrap();
    set(&mut table, "management.address", address.to_string());
    std::fs::write(
        harness.folder().join("mwaa-gateway.toml"),
        table.to_string(),
    )
    .unwrap();
    let old = harness.management();
    eventually("the end of the old one", async || {
        Client::try_tcp(old).await.err()
    })
    .await;
    let mut client = Client::tcp(address).await;
    let request = format!("GET /status HTTP/1.1\r\nHost: {address}\r\n\r\n");
    let status = client.exchange(request).await.json();
    assert_eq!(status["management"], format!("http://{address}"));
}

#[tokio::test]
async fn a_file_that_cannot_be_used_is_reported_and_changes_nothing() {
    let harness = Harness::new().await;
    let good = std::fs::read_to_string(harness.folder().join("mwaa-gateway.toml")).unwrap();
    let reads = harness.configuration().await["reads"].as_u64();
    assert_eq!(reads, Some(1));
    let gauge = async || {
        let metrics = harness.manage("/metrics").await.text();
        let mut lines = metrics.lines();
        let line =
            lines.find(|line| line.starts_with("mwaa_gateway_config_last_reload_successful "));
        line.unwrap().to_owned()
    };
    assert!(gauge().await.ends_with(" 1"));
    let failure = harness
        .spoil("[listener]\nadress = \"127.0.0.1:0\"\n[limits]\nkeep_alive = \"0s\"\n")
        .await;
    for part in [
        "mwaa-gateway.toml:2:1",
        "listener.adress",
        "; ",
        "limits.keep_alive",
    ] {
        assert!(failure.contains(part), "{failure}");
    }
    assert!(gauge().await.ends_with(" 0"));
    assert_eq!(harness.command("version").await.status, 200);
    let page = format!("GET /-/ HTTP/1.1\r\nHost: {}\r\n\r\n", harness.address());
    let page = harness.connect().await.exchange(page).await.text();
    assert!(page.contains("listener.adress"), "{page}");

    // the next one that can be used is taken without a request
    std::fs::write(harness.folder().join("mwaa-gateway.toml"), &good).unwrap();
    harness
        .status_says("/configuration/failure", serde_json::Value::Null)
        .await;
    assert!(gauge().await.ends_with(" 1"));

    std::fs::remove_file(harness.folder().join("mwaa-gateway.toml")).unwrap();
    let status = harness.reload().await;
    let failure = status["failure"].as_str().unwrap();
    assert!(failure.contains("no such file"), "{failure}");
    assert_eq!(harness.command("version").await.status, 200);
}

#[tokio::test]
async fn a_new_secret_counts_on_old_connections() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("secret");
    let write = |secret: &str| {
        std::fs::write(&file, secret).unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
    };
    write("one");
    let extra = format!("listener.secret_file = \"{}\"", file.display());
    let harness = Harness::configured(&extra).await;
    let with = |secret: &str| {
        let header = format!("Mwaa-Gateway-Secret: {secret}\r\n");
        harness.request_with(&header, "version")
    };
    let mut client = harness.connect().await;
    assert_eq!(client.exchange(with("one")).await.status, 200);
    write("two");
    harness.reload().await;
    assert_eq!(
        harness.connect().await.exchange(with("one")).await.status,
        401
    );
    assert_eq!(client.exchange(with("two")).await.status, 200);
}

/// The certificates that the previous configuration names are read again, and no secret with them.
#[tokio::test]
async fn a_secret_that_others_can_read_is_not_taken() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("secret");
    let write = |secret: &str, mode: u32| {
        std::fs::write(&file, secret).unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(mode)).unwrap();
    };
    write("one", 0o600);
    let extra = format!("listener.secret_file = \"{}\"", file.display());
    let harness = Harness::configured(&extra).await;
    let status_with = async |secret: &str| {
        let header = format!("Mwaa-Gateway-Secret: {secret}\r\n");
        let request = harness.request_with(&header, "version");
        harness.connect().await.exchange(request).await.status
    };

    write("two", 0o644);
    let failure = harness.reload().await["failure"].to_string();
    assert!(failure.contains("other users can access"), "{failure}");
    assert_eq!(status_with("one").await, 200);
    assert_eq!(status_with("two").await, 401);
}

/// A pipe would block the thread, and with it every later reload.
#[tokio::test]
async fn a_pipe_in_the_place_of_a_file_holds_up_no_later_reload() {
    let harness = Harness::new().await;
    let config = harness.folder().join("mwaa-gateway.toml");
    let good = std::fs::read_to_string(&config).unwrap();
    std::fs::remove_file(&config).unwrap();
    let made = std::process::Command::new("mkfifo").arg(&config).status();
    assert!(made.unwrap().success());
    let failure = harness.reload().await["failure"].to_string();
    assert!(failure.contains("not a regular file"), "{failure}");

    std::fs::remove_file(&config).unwrap();
    std::fs::write(&config, good).unwrap();
    let status = harness.reload().await;
    assert_eq!(status["failure"], serde_json::Value::Null, "{status}");
}

/// As the kubelet does it for a volume of a ConfigMap or Secret.
#[tokio::test]
async fn a_link_that_is_replaced_is_a_change() {
    let harness = Harness::new().await;
    let file = harness.folder().join("mwaa-gateway.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    let publish = |version: &str, text: &str| {
        let folder = harness.folder();
        std::fs::create_dir(folder.join(version)).unwrap();
        std::fs::write(folder.join(version).join("mwaa-gateway.toml"), text).unwrap();
        symlink(version, folder.join("..data_tmp")).unwrap();
        std::fs::rename(folder.join("..data_tmp"), folder.join("..data")).unwrap();
    };
    publish("..1", &text);
    std::fs::remove_file(&file).unwrap();
    symlink("..data/mwaa-gateway.toml", &file).unwrap();
    harness.reload().await;
    let mut table: toml::Table = text.parse().unwrap();
    set(&mut table, "environments.demo.policy", "read-only");
    publish("..2", &table.to_string());
    harness
        .status_says("/environments/0/policy", "read-only")
        .await;
}

/// Starts `serve` with this configuration.
fn serve(folder: &Path, config: &str) -> Running {
    let text = format!(
        "listener.address = \"127.0.0.1:0\"\nmanagement.address = \"127.0.0.1:0\"\n{config}\n\
         [environments.x]\nregion = \"eu-west-1\"\nairflow_version = \"2.10.3\"\n"
    );
    std::fs::write(folder.join("gateway.toml"), text).unwrap();
    let mut command = command(&["serve", "--config", "gateway.toml"]);
    command
        .current_dir(folder)
        .env("NOTIFY_SOCKET", folder.join("notify"));
    Running::start(command)
}

fn hang_up(running: &Running) {
    let id = i32::try_from(running.id()).unwrap();
    kill_process(Pid::from_raw(id).unwrap(), Signal::HUP).unwrap();
}

async fn logs(running: &Running, text: &str) {
    eventually(text, async || running.stderr().contains(text).then_some(())).await;
}

#[tokio::test]
async fn the_program_reloads_on_sighup_and_tells_the_service_manager() {
    let folder = tempfile::tempdir().unwrap();
    let messages = UnixDatagram::bind(folder.path().join("notify")).unwrap();
    let next = async || {
        let mut message = [0; 4096];
        let received = soon("a message", messages.recv(&mut message)).await;
        String::from_utf8_lossy(&message[..received.unwrap()]).into_owned()
    };
    let mut running = serve(folder.path(), "limits.threads = 1");
    running.told("management on ").await;
    assert!(next().await.starts_with("READY=1\n"));
    let file = folder.path().join("gateway.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    let text = text.replace("threads = 1", "threads = 2\nlimits.queue_size = 7");
    std::fs::write(&file, text).unwrap();
    hang_up(&running);
    let reloading = next().await;
    assert!(
        reloading.starts_with("RELOADING=1\nMONOTONIC_USEC="),
        "{reloading}"
    );
    assert!(next().await.starts_with("READY=1\n"));
    logs(&running, "changed=\"limits.queue_size, limits.threads\"").await;
    logs(
        &running,
        "limits.threads has changed, which takes effect at the next start",
    )
    .await;
    let ended = running.stop().await;
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
}

#[tokio::test]
async fn without_a_file_sighup_says_that_there_is_nothing_to_reload() {
    let folder = tempfile::tempdir().unwrap();
    let arguments = [
        "serve",
        "--listen=127.0.0.1:0",
        "--management=127.0.0.1:0",
        "--environment=x",
        "--region=eu-west-1",
    ];
    let mut command = command(&arguments);
    command.current_dir(folder.path());
    let mut running = Running::start(command);
    running.told("management on ").await;
    hang_up(&running);
    logs(&running, "nothing to reload").await;
    let ended = running.stop().await;
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
}

/// It is what a terminal sends that is closed.
#[tokio::test]
#[cfg_attr(not(feature = "emulator"), ignore = "there is no demo")]
async fn sighup_ends_a_demo() {
    let arguments = ["demo", "--listen=127.0.0.1:0", "--management=127.0.0.1:0"];
    let mut running = Running::start(command(&arguments));
    running.told("management on ").await;
    let ended = running.end_by(Signal::HUP).await;
    assert_eq!(ended.code, None, "{}", ended.stderr);
}
