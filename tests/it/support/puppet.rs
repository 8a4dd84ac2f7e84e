//! A web server whose every byte a test decides.

use super::{Authority, Client, soon};
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::sync::Arc;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

/// A TLS server that hands its connections to the test.
pub(crate) struct Puppet {
    config: String,
    connections: mpsc::UnboundedReceiver<Client>,
    _folder: TempDir,
    _accepting: JoinSet<()>,
}

impl Puppet {
    /// Starts one that any public environment of the emulator's region believes in.
    pub(crate) async fn start() -> Self {
        let authority = Authority::new();
        let pair = authority.pair(&["*.c1.eu-west-1.airflow.amazonaws.com"]);
        let folder = tempfile::tempdir().unwrap();
        let ca_file = folder.path().join("puppet.pem");
        std::fs::write(&ca_file, authority.pem()).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let config = format!(
            "environments.demo.connect_to = \"{}\"\nenvironments.demo.ca_file = \"{}\"\n",
            listener.local_addr().unwrap(),
            ca_file.display()
        );
        let certificate = CertificateDer::from_pem_slice(pair.certificate.as_bytes()).unwrap();
        let key = PrivateKeyDer::from_pem_slice(pair.key.as_bytes()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let server = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate], key)
            .unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(server));
        let (sender, connections) = mpsc::unbounded_channel();
        let mut accepting = JoinSet::new();
        accepting.spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let stream = acceptor.accept(stream).await.unwrap();
                // a test that has ended no longer receives connections
                let _over = sender.send(Client::over(stream));
            }
        });
        Self {
            config,
            connections,
            _folder: folder,
            _accepting: accepting,
        }
    }

    /// The configuration that connects the environment `demo` to this server.
    pub(crate) fn config(&self) -> &str {
        &self.config
    }

    /// The next connection.
    pub(crate) async fn next(&mut self) -> Client {
        soon("a connection", self.connections.recv())
            .await
            .expect("it accepts")
    }

    /// Whether there is no further connection.
    pub(crate) fn is_quiet(&mut self) -> bool {
        self.connections.try_recv().is_err()
    }

    /// Answers the login that comes first.
    pub(crate) async fn signs_in(&mut self, cookie: &str) {
        let mut login = self.next().await;
        let head = login.head().await;
        assert!(
            head.starts_with("POST ") && head.contains("/aws_mwaa/login "),
            "{head}"
        );
        login
            .send(format!(
                "HTTP/1.1 200 OK\r\nSet-Cookie: {cookie}; Path=/\r\nContent-Length: 0\r\n\r\n"
            ))
            .await;
    }
}
