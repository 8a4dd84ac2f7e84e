//! A gateway in this process, for one command: on a socket in a folder that only we can enter.

use super::Absent;
use super::place::Place;
use crate::app::{self, StartError};
use crate::cli::folder::Folder;
use crate::cli::inputs;
use crate::cli::terminal::Terminal;
use crate::config::{Address, Config};
use crate::runtime::Background;
use std::path::PathBuf;
use tokio::sync::oneshot;

/// A gateway that serves nobody else and ends with us.
#[derive(Debug)]
pub(super) struct Alone {
    socket: PathBuf,
    stop: oneshot::Sender<()>,
    ended: oneshot::Receiver<()>,
    // its socket is in there
    _folder: Folder,
}

impl Alone {
    /// Starts it. The environments, their rules and every limit are the configuration's.
    pub(super) async fn start(mut config: Config, terminal: &Terminal) -> Result<Self, Absent> {
        let extras = inputs::extras(terminal).map_err(Absent::Told)?;
        let folder = Folder::or_tell(terminal).map_err(Absent::Told)?;
        let socket = folder.path().join("gateway.sock");
        let listener = &mut config.listener;
        listener.address = Address::Unix(socket.clone());
        listener.socket_mode = 0o600;
        listener.tls = None;
        // the folder keeps others out
        listener.secret_file = None;
        config.listeners.clear();
        for entry in &mut config.environments {
            entry.listen = None;
        }
        // the usual one may be a running gateway's
        config.management.address = ([127, 0, 0, 1], 0).into();
        config.management.probes = None;
        config.limits.threads = 1;
        app::harden();
        let built = app::build(config, &extras).await.map_err(Absent::Start)?;
        let (stop, stopped) = oneshot::channel::<()>();
        let (tell, ended) = oneshot::channel();
        Background::current().spawn(async move {
            let run = built.run(async {
                // a sender that is gone means stop as well
                drop(stopped.await);
            });
            if let Err(error) = run.await {
                tracing::error!(%error, "the gateway ended by itself");
            }
            // nobody may wait for it
            let _unheard = tell.send(());
        });
        Ok(Self {
            socket,
            stop,
            ended,
            _folder: folder,
        })
    }

    /// Where it listens.
    pub(super) fn place(&self) -> Place {
        Place::private(self.socket.clone())
    }

    /// Stops it and waits for its end.
    pub(super) async fn end(self) {
        drop(self.stop);
        drop(self.ended.await);
    }
}

impl From<StartError> for Absent {
    fn from(error: StartError) -> Self {
        Self::Start(error)
    }
}
