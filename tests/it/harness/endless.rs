//! Far ends that go on talking without end, whatever the client does.

use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use super::{heard, tcp_service};

/// Datagrams sent between two looks at who else has spoken.
const BURST: usize = 32;

/// A far end that hears one message on each connection, or from each source port, and then says `first` once and `rest`
/// without end: over TCP as fast as it is taken, over UDP as fast as the system goes, until the test is done with it.
pub(crate) struct Endless {
    /// Where it listens.
    pub(crate) address: SocketAddr,
    over: Arc<AtomicBool>,
}

impl Endless {
    /// Over TCP.
    #[track_caller]
    pub(crate) fn tcp(first: &'static str, rest: &'static str) -> Endless {
        let flood = rest.repeat(65536 / rest.len());
        let address = tcp_service(move |mut stream| {
            let mut goes_on = heard(&mut stream) && stream.write_all(first.as_bytes()).is_ok();
            while goes_on {
                goes_on = stream.write_all(flood.as_bytes()).is_ok();
            }
        });
        Endless { address, over: Arc::default() }
    }

    /// Over UDP.
    #[track_caller]
    pub(crate) fn udp(first: &'static str, rest: &'static str) -> Endless {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        socket.set_nonblocking(true).unwrap();
        let endless = Endless { address: socket.local_addr().unwrap(), over: Arc::default() };
        let over = Arc::clone(&endless.over);
        thread::spawn(move || {
            let mut peers: Vec<SocketAddr> = Vec::new();
            while !over.load(Ordering::Relaxed) {
                while let Ok((_, peer)) = socket.recv_from(&mut [0; 65536]) {
                    if !peers.contains(&peer) {
                        let _ = socket.send_to(first.as_bytes(), peer);
                        peers.push(peer);
                    }
                }
                // A buffer that is full and a peer that has gone are no reason to stop.
                peers.iter().cycle().take(BURST.max(peers.len())).for_each(|peer| {
                    let _ = socket.send_to(rest.as_bytes(), peer);
                });
                if peers.is_empty() {
                    thread::yield_now();
                }
            }
        });
        endless
    }
}

impl Drop for Endless {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
    }
}
