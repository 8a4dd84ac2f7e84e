//! Something else listens where the gateway should: it is shown neither a command nor a secret.

use super::{Stand, listener, secret};
use mwaa_emulator::Settings;
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

/// A server that answers every request with this, and what it was sent.
struct Stranger {
    address: String,
    heard: Arc<Mutex<Vec<u8>>>,
    _tasks: JoinSet<()>,
}

impl Stranger {
    async fn new(answer: &'static [u8]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let heard = Arc::new(Mutex::new(Vec::new()));
        let mut tasks = JoinSet::new();
        let all = Arc::clone(&heard);
        tasks.spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                let mut buffer = [0; 4096];
                while let Ok(count @ 1..) = stream.read(&mut buffer).await {
                    all.lock().unwrap().extend_from_slice(&buffer[..count]);
                    if stream.write_all(answer).await.is_err() || answer.is_empty() {
                        break;
                    }
                }
            }
        });
        Self {
            address,
            heard,
            _tasks: tasks,
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_program_at_the_port_gets_no_command_and_no_secret() {
    for answer in [
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok".as_slice(),
        b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n",
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"",
    ] {
        let stranger = Stranger::new(answer).await;
        let extra = format!("{}secret_file = \"secret\"\n", listener(&stranger.address));
        // without the management table `secret_file` is a key of `[listener]`
        let extra = extra.replacen("[management]\naddress = \"127.0.0.1:1\"\n", "", 1);
        let stand = Stand::new(Settings::default(), &extra).await;
        secret(stand.path());
        let ended = stand
            .run(&["variables", "set", "key", "correct horse"])
            .await;
        assert_eq!(ended.code, Some(0), "{ended:?}");
        assert_eq!(
            ended.stdout, "Variable key created\n",
            "it went another way"
        );
        let note = format!("note: {} is not used: ", stranger.address);
        assert!(ended.stderr.contains(&note), "{ended:?}");
        let heard = String::from_utf8(stranger.heard.lock().unwrap().clone()).unwrap();
        assert!(heard.starts_with("HEAD /-/icon.svg "), "{heard}");
        for secret in ["hunter2", "horse", "variables", "key"] {
            assert!(!heard.contains(secret), "{heard}");
        }
    }
}
