//! Clients that send as fast as they can.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use super::{Client, Server};

/// Datagrams a millisecond from each source port: in all more than a server answers, and still not so many that sending
/// them takes the processor from it.
const BURST: usize = 128;

/// Everything that floods a server (`--framing lines`), until it is dropped.
pub(crate) struct Flood {
    over: Arc<AtomicBool>,
    clients: Vec<Client>,
    threads: Vec<JoinHandle<()>>,
}

impl Flood {
    /// So many over TCP, each taking its ACKs, and as many over UDP, each taking none.
    #[track_caller]
    pub(crate) fn start(server: &Server, each: usize) -> Flood {
        let mut flood = Flood { over: Arc::default(), clients: Vec::new(), threads: Vec::new() };
        for _ in 0..each {
            let client = server.quiet_client();
            let (mut writer, mut reader) = (client.clone_handle(), client.clone_handle());
            flood.clients.push(client);
            let messages = b"flood\n".repeat(8192);
            flood.until_over(move || writer.try_send(&messages));
            flood.until_over(move || reader.take_some());
            let peer = server.peer();
            flood.until_over(move || {
                let sent = (0..BURST).all(|_| peer.try_send(b"flood"));
                thread::sleep(Duration::from_millis(1));
                sent
            });
        }
        flood
    }

    fn until_over(&mut self, mut step: impl FnMut() -> bool + Send + 'static) {
        let over = Arc::clone(&self.over);
        self.threads.push(thread::spawn(move || while !over.load(Ordering::Relaxed) && step() {}));
    }
}

impl Drop for Flood {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        self.clients.iter().for_each(Client::give_up);
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}
