//! Far ends that go on talking without end, whatever the client does.

use std::io::{self, ErrorKind, Write};
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use socket2::{Domain, Socket, Type};

use super::{heard, private_loopback, tcp_service};

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
        let socket = shared((private_loopback(), 0).into());
        let endless = Endless { address: socket.local_addr().unwrap(), over: Arc::default() };
        let (address, over) = (endless.address, Arc::clone(&endless.over));
        thread::spawn(move || {
            let mut peers: Vec<UdpSocket> = Vec::new();
            while !over.load(Ordering::Relaxed) {
                while let Ok((_, from)) = socket.recv_from(&mut [0; 65536]) {
                    // What it says further goes to a socket of its own, and so does the word that it has gone: whoever
                    // has its port next is told nothing.
                    let peer = shared(address);
                    if peer.connect(from).is_ok() && peer.send(first.as_bytes()).is_ok() {
                        peers.push(peer);
                    }
                }
                let rounds = BURST.div_ceil(peers.len().max(1));
                peers.retain(|peer| (0..rounds).all(|_| !is_gone(peer.send(rest.as_bytes()))));
                if peers.is_empty() {
                    // Who has nobody to talk to takes no processor from the others.
                    thread::sleep(Duration::from_millis(1));
                }
            }
        });
        endless
    }
}

/// A socket at an address that others have as well.
#[track_caller]
fn shared(address: SocketAddr) -> UdpSocket {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, None).unwrap();
    socket.set_reuse_port(true).unwrap();
    socket.bind(&address.into()).unwrap();
    socket.set_nonblocking(true).unwrap();
    socket.into()
}

/// A buffer that is full is no reason to stop.
fn is_gone(sent: io::Result<usize>) -> bool {
    sent.is_err_and(|error| error.kind() == ErrorKind::ConnectionRefused)
}

impl Drop for Endless {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
    }
}
