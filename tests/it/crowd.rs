//! The queue with a hundred clients: none is refused, no command runs twice or out of turn, and
//! the web server never gets more commands than it can run.

use crate::support::{Client, HELD, Harness, all};
use mwaa_emulator::{Settings, WebFault};
use std::collections::{BTreeMap, BTreeSet};
use tokio::task::JoinSet;

/// Clients at as many addresses as there are principals; each has a number and a command that
/// no other has.
const CLIENTS: usize = 100;
const ADDRESSES: usize = 5;

fn address(client: usize) -> u8 {
    // the first has a backlog of its own, the others come in turn
    if client < 30 {
        1
    } else {
        u8::try_from(client % ADDRESSES + 1).unwrap()
    }
}

fn command(client: usize) -> String {
    format!("variables set k{client} v")
}

/// Every seventh leaves while it waits, and every eleventh of the others while all are served.
fn leaves_the_line(client: usize) -> bool {
    client % 7 == 3
}

fn leaves_later(client: usize) -> bool {
    !leaves_the_line(client) && client % 11 == 5
}

/// A gateway with so many slots for a web server with as many, all of them taken.
async fn taken(slots: usize) -> (Harness, Vec<Client>) {
    let settings = Settings {
        cli_slots: slots,
        ..Settings::default()
    };
    let extra = format!("environments.demo.cli_concurrency = {slots}\nlimits.queue_size = 100");
    let harness = Harness::with(settings, &extra).await;
    harness.script().web_fault.next(slots, WebFault::Hang);
    let mut first = Vec::new();
    for _ in 0..slots {
        let mut client = harness.connect().await;
        client.send(harness.request("dags list")).await;
        first.push(client);
    }
    harness
        .seen("the first commands", |journal| journal.web_count() == slots)
        .await;
    (harness, first)
}

/// All clients in line, in the order of their numbers.
async fn line_up(harness: &Harness) -> BTreeMap<usize, Client> {
    let mut line = BTreeMap::new();
    for client in 0..CLIENTS {
        let from = [127, 0, 0, address(client)].into();
        let mut wire = Client::tcp_from(from, harness.address()).await;
        wire.send(harness.request(&command(client))).await;
        harness.queued(client + 1).await;
        line.insert(client, wire);
    }
    line
}

async fn crowd(slots: usize) -> (Harness, Vec<String>) {
    let (harness, first) = taken(slots).await;
    let mut line = line_up(&harness).await;
    line.retain(|client, _| !leaves_the_line(*client));
    harness.queued(line.len()).await;
    harness.script().command_delay.always(HELD);
    harness.script().cut_web_connections();
    harness
        .seen("all slots taken", |journal| {
            journal.running_commands() == slots
        })
        .await;
    harness.script().command_delay.off();
    let mut staying = JoinSet::new();
    for (client, mut wire) in line {
        if leaves_later(client) {
            drop(wire);
        } else {
            staying.spawn(async move { (client, wire.response().await) });
        }
    }
    for mut client in first {
        assert_eq!(client.response().await.fault(), Some("upstream.broken"));
    }
    let served = all(staying).await;
    for (client, reply) in &served {
        assert_eq!(reply.status, 200, "{client}: {reply}");
    }
    harness.queued(0).await;
    harness
        .status_says("/environments/0/queue/running", 0)
        .await;
    let ran = harness.journal().commands();
    let unique: BTreeSet<_> = ran.iter().collect();
    assert_eq!(unique.len(), ran.len(), "a command ran twice");
    for client in 0..CLIENTS {
        let has_run = unique.contains(&command(client));
        // who leaves while all are served may have been served before
        let fits = leaves_later(client) || has_run != leaves_the_line(client);
        assert!(fits, "{client} ran: {has_run}");
    }
    assert_eq!(harness.journal().peak_commands(), slots);
    // no command met a web server without a free slot
    let statuses = harness.journal().web_requests().into_iter();
    assert!(
        statuses
            .filter_map(|one| one.status)
            .all(|status| status == 200)
    );
    (harness, ran)
}

/// The clients that ran, in order, less those who may or may not have.
fn order(ran: &[String]) -> Vec<usize> {
    let numbers = ran.iter().map(|line| {
        let name = line.split(' ').nth(2).unwrap();
        name.strip_prefix('k').unwrap().parse().unwrap()
    });
    numbers.filter(|client| !leaves_later(*client)).collect()
}

#[tokio::test]
async fn a_hundred_clients_are_served_within_the_slots() {
    crowd(3).await;
}

#[tokio::test]
async fn a_hundred_clients_are_served_in_turn() {
    let (_harness, ran) = crowd(1).await;
    let ran = order(&ran);
    let mut last = BTreeMap::new();
    for client in &ran {
        let before = last.insert(address(*client), *client);
        assert!(before < Some(*client), "{client} after {before:?}");
    }
    // each address's first command runs before any address's third: 127.0.0.1 has sent thirty
    let firsts: BTreeSet<_> = ran[..2 * ADDRESSES].iter().map(|c| address(*c)).collect();
    assert_eq!(firsts.len(), ADDRESSES, "{ran:?}");
}
