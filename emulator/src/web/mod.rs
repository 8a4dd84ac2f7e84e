//! The environments' web servers: TLS connections, what is asked on them, and how it is answered.

mod answer;
mod reply;
mod visit;

use std::sync::Arc;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use rustls::ServerConfig;
use rustls::server::Acceptor;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::LazyConfigAcceptor;

use super::Shared;
use super::fault::{FormerHost, HandshakeFault};
use super::wire::{Control, Wire};
use answer::answer;
pub(crate) use answer::route;
pub(crate) use reply::{Body, Content, Reply};
pub(crate) use visit::Visit;

/// Serves all environments' web servers forever.
pub(crate) async fn serve(listener: TcpListener, tls: Arc<ServerConfig>, shared: Arc<Shared>) {
    let connection = |stream| {
        let id = shared.journal.connected();
        connection(stream, Arc::clone(&tls), id, Arc::clone(&shared))
    };
    super::accept(listener, connection).await;
}

async fn connection(stream: TcpStream, tls: Arc<ServerConfig>, id: u64, shared: Arc<Shared>) {
    let mut cuts = shared.script.cuts();
    let served = async {
        match shared.script.handshake_fault.take() {
            Some(HandshakeFault::Close) => return,
            Some(HandshakeFault::Hang) => std::future::pending().await,
            None => {}
        }
        if stream.set_nodelay(true).is_err() {
            return;
        }
        let Ok(hello) = LazyConfigAcceptor::new(Acceptor::default(), stream).await else {
            return;
        };
        let server_name = hello.client_hello().server_name().map(str::to_owned);
        if former(server_name.as_deref(), &shared) == Some(FormerHost::Gone) {
            return;
        }
        let Ok(stream) = hello.into_stream(tls).await else {
            return;
        };
        shared.journal.named(server_name.as_deref());
        let control = Arc::new(Control::default());
        let wire = TokioIo::new(Wire::new(
            stream,
            Arc::clone(&control),
            id,
            Arc::clone(&shared),
        ));
        let peer = Peer {
            id,
            server_name,
            control,
        };
        let service = service_fn(|request| answer(request, &peer, &shared));
        // a broken connection is the client's business, and the journal's
        drop(http1::Builder::new().serve_connection(wire, service).await);
    };
    tokio::select! {
        () = served => {}
        _ = cuts.changed() => {}
    }
}

/// What became of a host that an environment had in an earlier life.
fn former(host: Option<&str>, shared: &Shared) -> Option<FormerHost> {
    let mut environments = shared.environments.iter();
    environments.find_map(|environment| environment.former(host?))
}

/// The connection a request came on.
struct Peer {
    id: u64,
    server_name: Option<String>,
    control: Arc<Control>,
}
