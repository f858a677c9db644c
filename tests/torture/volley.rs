//! Source ports that keep datagrams waiting, all on one thread.

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// Datagrams that each port has under way.
const UNDER_WAY: usize = 64;

/// A flood over UDP, until it is dropped.
pub(crate) struct Volley {
    over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Volley {
    /// From so many ports.
    #[track_caller]
    pub(crate) fn at(server: SocketAddr, ports: usize) -> Volley {
        let over = Arc::new(AtomicBool::new(false));
        let peers: Vec<_> = (0..ports).map(|_| port_to(server)).collect();
        let told = Arc::clone(&over);
        Volley { over, thread: Some(thread::spawn(move || fire(&peers, &told))) }
    }
}

impl Drop for Volley {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

fn port_to(server: SocketAddr) -> UdpSocket {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    socket.connect(server).unwrap();
    socket.set_nonblocking(true).unwrap();
    socket
}

/// One datagram more for each answer. Where the kernel has dropped some and no answer comes, everything is sent anew.
fn fire(peers: &[UdpSocket], over: &AtomicBool) {
    let mut quiet = true;
    while !over.load(Ordering::Relaxed) {
        let mut answered = 0;
        for peer in peers {
            let answers = (0..UNDER_WAY).take_while(|_| peer.recv(&mut [0; 64]).is_ok()).count();
            let more = if quiet { UNDER_WAY } else { answers };
            // Nobody there any more is the end of it.
            if !(0..more).all(|_| peer.send(b"flood").is_ok()) {
                return;
            }
            answered += answers;
        }
        quiet = answered == 0;
        thread::sleep(Duration::from_millis(if quiet { 10 } else { 1 }));
    }
}
