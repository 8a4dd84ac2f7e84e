//! Listening sockets and their connections. Opens the sockets, accepts connections, and passes
//! each request on them to a function; what that function does is unknown here.

mod accept;
mod bind;
mod client_io;
mod connection;
mod handler;
mod head_memory;
mod inherited;
pub mod management;
mod places;
mod request_body;
mod response;
mod send;
mod stream;
mod timeouts;
mod tls;
mod watch;

pub use accept::{OpenListener, Refuse, Server};
pub use bind::{Address, BindError, BoundListener, ListenerConfig};
pub use connection::Settings;
pub use handler::{BadHead, BoxError, Farewell, IncomingRequest, RequestHandler};
pub use inherited::{InheritError, InheritedSocket, InheritedSockets};
pub use places::{OpenConnections, Places};
pub use request_body::RequestBody;
pub use response::Response;
pub use tls::{CertificateStatus, TlsConfig, TlsFiles};
