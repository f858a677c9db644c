//! At a shutdown the UDP socket answers what has arrived, says goodbye and closes: it does not linger with TCP.

use std::io::ErrorKind;
use std::net::UdpSocket;
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal::SIGTERM;

use crate::harness::{closed_port, private_loopback, server, undisturbed};

/// Far less than the grace of these tests.
const SOON: Duration = Duration::from_secs(1);

#[test]
fn while_a_tcp_client_lingers_a_datagram_is_refused_and_not_swallowed() {
    undisturbed(|| {
        let port = closed_port(private_loopback()).port();
        let mut server = server(&format!("--grace 4 -p {port}"));
        let mut lingering = server.client();
        let (peer, late) = (server.peer(), UdpSocket::bind("127.0.0.1:0").unwrap());
        late.connect(server.udp()).unwrap();
        peer.check("hello");
        server.stop();
        peer.send("before the end");
        server.signal(SIGTERM);
        let since = Instant::now();
        server.resume();
        peer.expect("check");
        peer.expect("server is shutting down");
        lingering.expect_last("server is shutting down");

        late.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
        let mut swallowed = 0;
        // It may still be answered, or told, until the socket is closed.
        while !refused(&late, &mut swallowed) {
            assert!(since.elapsed() < SOON, "{swallowed} datagrams were swallowed in {:?}", since.elapsed());
        }
        // One may have come in the very moment of the closing.
        assert!(swallowed <= 1, "{swallowed} datagrams were swallowed");
        for _ in 0..10 {
            assert!(refused(&late, &mut swallowed), "open again?");
            thread::sleep(Duration::from_millis(10));
        }
        assert!(server.is_running(), "nobody lingered, so nothing was tried");
        drop(lingering);
        assert_eq!(server.wait_exit(), 0);
    });
}

/// Sends a datagram; whether the kernel says that nobody is there. One without any answer is counted.
fn refused(peer: &UdpSocket, swallowed: &mut u32) -> bool {
    let outcome = peer.send(b"anybody there?").and_then(|_| peer.recv(&mut [0; 64]));
    match outcome.map_err(|error| error.kind()) {
        Err(ErrorKind::ConnectionRefused) => return true,
        Err(ErrorKind::WouldBlock) => *swallowed += 1,
        _ => {}
    }
    false
}
