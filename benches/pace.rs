//! Sends GET requests at a fixed rate, whether or not the earlier ones were answered in time, and
//! prints the latencies. A latency begins at the moment for which the request was planned, so a
//! late response also counts for the requests that it delayed (no coordinated omission).
//!
//!     pace ADDRESS HOST PATH RATE CONNECTIONS SECONDS

#![expect(
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "a program that measures times and prints them"
)]

use std::env;
use std::error::Error;
use std::fs;
use std::io::{self, Read as _, Write as _};
use std::net::TcpStream;
use std::panic::resume_unwind;
use std::thread;
use std::time::{Duration, Instant};

type Failure = Box<dyn Error + Send + Sync>;

/// The first requests open the proxy's connections: so much time is not counted.
const WARM_UP: Duration = Duration::from_millis(500);

/// The settings of a run.
struct Plan {
    address: String,
    request: Vec<u8>,
    start: Instant,
    /// The time between two requests of the same connection.
    interval: Duration,
    connections: u32,
    requests: u32,
}

fn main() -> Result<(), Failure> {
    let words: Vec<String> = env::args().skip(1).collect();
    let [address, host, path, rate, connections, seconds] = words.as_slice() else {
        return Err("pace ADDRESS HOST PATH RATE CONNECTIONS SECONDS".into());
    };
    // the kernel may wake a sleeper 50 microseconds late otherwise; threads inherit it
    fs::write("/proc/self/timerslack_ns", "1")?;

    let (rate, connections, seconds): (u32, u32, u32) =
        (rate.parse()?, connections.parse()?, seconds.parse()?);
    let plan = Plan {
        address: address.clone(),
        request: format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n").into_bytes(),
        start: Instant::now() + Duration::from_millis(50),
        interval: Duration::from_secs(1) * connections / rate,
        connections,
        requests: rate * seconds / connections,
    };
    let mut latencies = Vec::new();
    thread::scope(|scope| {
        let plan = &plan;
        let threads: Vec<_> = (0..connections)
            .map(|number| scope.spawn(move || run(plan, number)))
            .collect();
        for thread in threads {
            latencies.extend(thread.join().unwrap_or_else(|panic| resume_unwind(panic))?);
        }
        Ok::<_, Failure>(())
    })?;

    latencies.sort_unstable();
    let at = |share: usize| latencies.get(latencies.len() * share / 100).copied();
    let (Some(p50), Some(p99)) = (at(50), at(99)) else {
        return Err("no request was counted: more seconds are needed".into());
    };
    let micros = |latency: Duration| latency.as_secs_f64() * 1e6;
    println!(
        r#"{{"p50": {:.1}, "p99": {:.1}}}"#,
        micros(p50),
        micros(p99)
    );
    Ok(())
}

/// Sends the requests of one connection. Returns their latencies. Fails if a status is not 200.
fn run(plan: &Plan, number: u32) -> Result<Vec<Duration>, Failure> {
    let mut stream = TcpStream::connect(&plan.address)?;
    stream.set_nodelay(true)?;
    let mut latencies = Vec::new();
    let first = plan.start + plan.interval * number / plan.connections;
    let mut buffer = vec![0; 16384];
    for turn in 0..plan.requests {
        let planned = first + plan.interval * turn;
        thread::sleep(planned.saturating_duration_since(Instant::now()));
        stream.write_all(&plan.request)?;
        read_response(&mut stream, &mut buffer)?;
        if planned >= plan.start + WARM_UP {
            latencies.push(planned.elapsed());
        }
    }
    Ok(latencies)
}

/// Reads one response to its end. Fails if its status is not 200 or it does not say its length.
fn read_response(stream: &mut TcpStream, buffer: &mut [u8]) -> Result<(), Failure> {
    let mut filled = 0;
    loop {
        let free = buffer
            .get_mut(filled..)
            .ok_or("the response is too large")?;
        match stream.read(free)? {
            0 => return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into()),
            count => filled += count,
        }
        let received = buffer.get(..filled).unwrap_or_default();
        let text = str::from_utf8(received)?;
        let Some((head, body)) = text.split_once("\r\n\r\n") else {
            continue;
        };
        if !head.starts_with("HTTP/1.1 200 ") {
            return Err(format!("this is not a 200: {head}").into());
        }
        let length = head.lines().find_map(|line| {
            let (name, value) = line.split_once(':')?;
            let is_length = name.eq_ignore_ascii_case("content-length");
            is_length.then(|| value.trim().parse::<usize>().ok())?
        });
        if body.len() >= length.ok_or("the response has no length")? {
            return Ok(());
        }
    }
}
