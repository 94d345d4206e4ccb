//! A TCP proxy that can be away: what a network does to a store.

use std::sync::Arc;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// Forwards connections to a port of this machine.
pub struct Proxy {
    /// Where it listens.
    pub port: u16,
    reachable: Arc<watch::Sender<bool>>,
}

impl Proxy {
    /// Starts one in front of `target_port`.
    pub async fn start(target_port: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let reachable = Arc::new(watch::Sender::new(true));
        let switch = reachable.clone();
        tokio::spawn(async move {
            loop {
                let (client, _) = listener.accept().await.unwrap();
                let mut switch = switch.subscribe();
                if *switch.borrow() {
                    tokio::spawn(async move {
                        tokio::select! {
                            _ = forward(client, target_port) => {}
                            _ = switch.wait_for(|reachable| !reachable) => {}
                        }
                    });
                }
            }
        });
        Self { port, reachable }
    }

    /// Opens or closes the way; closing also cuts what is connected.
    pub fn set_reachable(&self, reachable: bool) {
        self.reachable.send_replace(reachable);
    }
}

async fn forward(mut client: TcpStream, target_port: u16) {
    if let Ok(mut server) = TcpStream::connect(("127.0.0.1", target_port)).await {
        let _ = copy_bidirectional(&mut client, &mut server).await;
    }
}
