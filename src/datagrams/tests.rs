#![allow(clippy::unwrap_used)]

use std::io::Write;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::time::{Duration, Instant};

use mio::{Events, Poll};

use super::*;

mod connected;
mod stamps;
#[cfg(target_os = "linux")]
mod whole;

/// What no test takes, unless it fails.
const PATIENT: Duration = Duration::from_secs(10);

/// One that answers whatever comes, and notes it.
struct Server {
    datagrams: Datagrams,
    poll: Poll,
    arrivals: Vec<(SocketAddr, Local, Vec<u8>)>,
    failures: Vec<(SocketAddr, io::ErrorKind)>,
    sent: usize,
    dropped: usize,
}

impl Server {
    fn bound_to(host: &str) -> Self {
        let mut datagrams = Datagrams::new(UdpSocket::bind((host, 0)).unwrap()).unwrap();
        let poll = Poll::new().unwrap();
        datagrams.register(poll.registry(), Token(7)).unwrap();
        Self { datagrams, poll, arrivals: Vec::new(), failures: Vec::new(), sent: 0, dropped: 0 }
    }

    fn port(&self) -> u16 {
        self.datagrams.local_addr().port()
    }

    /// Receives until `count` datagrams came, draining as an edge-triggered loop must.
    fn hear(&mut self, count: usize) {
        let (mut events, start) = (Events::with_capacity(8), Instant::now());
        while self.arrivals.len() < count {
            assert!(start.elapsed() < PATIENT, "{} of {count} came", self.arrivals.len());
            self.poll.poll(&mut events, Some(Duration::from_millis(100))).unwrap();
            if !events.is_empty() {
                self.drain();
            }
        }
    }

    fn drain(&mut self) {
        while self.receive_batch() == Received::More {}
    }

    fn receive_batch(&mut self) -> Received {
        let received = self.datagrams.receive(&mut Budget::plenty()).unwrap_or(Received::More);
        while let Some(Datagram { peer, local, bytes, .. }) = self.datagrams.next() {
            self.arrivals.push((peer, local, bytes.to_vec()));
        }
        received
    }

    /// Answers all that came.
    fn answer(&mut self) {
        for (peer, local, _) in &self.arrivals {
            assert!(self.datagrams.reply(*peer, *local, b"check"));
        }
        self.flush();
    }

    fn flush(&mut self) {
        let sent = self.datagrams.flush(|peer, error| self.failures.push((peer, error.kind())));
        self.sent += sent.sent;
        self.dropped += sent.dropped;
    }
}

/// A client that takes answers from the address it asked only.
fn client_of(ip: impl Into<IpAddr>, port: u16) -> UdpSocket {
    let ip = ip.into();
    let any = if ip.is_ipv4() { IpAddr::from(Ipv4Addr::UNSPECIFIED) } else { Ipv6Addr::UNSPECIFIED.into() };
    let socket = UdpSocket::bind((any, 0)).unwrap();
    socket.connect((ip, port)).unwrap();
    socket.set_read_timeout(Some(PATIENT)).unwrap();
    socket
}

fn answer_to(client: &UdpSocket) -> Vec<u8> {
    let mut buffer = [0; 100];
    let length = client.recv(&mut buffer).expect("an answer");
    buffer[..length].to_vec()
}

fn has_no_more(client: &UdpSocket) -> bool {
    client.set_nonblocking(true).unwrap();
    client.recv(&mut [0; 100]).is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock)
}

/// A multi-homed host in one machine: 127.0.0.2 is an address on Linux without further ado.
fn second_loopback() -> Ipv4Addr {
    if cfg!(target_os = "linux") { Ipv4Addr::new(127, 0, 0, 2) } else { Ipv4Addr::LOCALHOST }
}

#[test]
fn empty_short_and_longest_datagrams_arrive_whole_and_are_answered() {
    let mut server = Server::bound_to("127.0.0.1");
    let client = client_of(Ipv4Addr::LOCALHOST, server.port());
    let longest: Vec<u8> = (0u8..=250).cycle().take(65_507).collect();
    for payload in [&b""[..], b"x", &longest] {
        client.send(payload).unwrap();
        server.hear(1);
        let (peer, _, bytes) = &server.arrivals[0];
        assert_eq!(peer.port(), client.local_addr().unwrap().port());
        assert!(bytes == payload, "{} bytes came as {}", payload.len(), bytes.len());
        server.answer();
        server.arrivals.clear();
        assert_eq!(answer_to(&client), b"check");
    }
    assert_eq!(server.sent, 3);
}

#[test]
fn a_burst_of_more_than_a_batch_is_drained_on_one_event_and_answered_one_by_one() {
    let mut server = Server::bound_to("127.0.0.1");
    let clients: Vec<_> = (0..5).map(|_| client_of(Ipv4Addr::LOCALHOST, server.port())).collect();
    for (index, client) in clients.iter().enumerate() {
        for _ in 0..[1, 2, 70, 32, 33][index] {
            client.send(&[u8::try_from(index).unwrap()]).unwrap();
        }
    }
    let mut events = Events::with_capacity(8);
    server.poll.poll(&mut events, Some(PATIENT)).unwrap();
    server.drain();
    assert_eq!(server.arrivals.len(), 138);
    server.answer();
    assert_eq!((server.sent, server.dropped), (138, 0));
    for (index, client) in clients.iter().enumerate() {
        for _ in 0..[1, 2, 70, 32, 33][index] {
            assert_eq!(answer_to(client), b"check");
        }
        assert!(has_no_more(client));
    }
}

#[test]
fn answers_of_different_content_keep_their_own() {
    let mut server = Server::bound_to("127.0.0.1");
    let client = client_of(Ipv4Addr::LOCALHOST, server.port());
    client.send(b"hello").unwrap();
    server.hear(1);
    let (peer, local, _) = server.arrivals[0];
    for bytes in [&b"check"[..], b"check", b"a farewell", b""] {
        assert!(server.datagrams.reply(peer, local, bytes));
    }
    server.flush();
    let answers: Vec<_> = (0..4).map(|_| answer_to(&client)).collect();
    assert_eq!(answers, [&b"check"[..], b"check", b"a farewell", b""]);
}

#[test]
fn a_wildcard_bind_answers_from_the_address_that_was_asked() {
    let mut server = Server::bound_to("0.0.0.0");
    let asked = [second_loopback(), Ipv4Addr::LOCALHOST, second_loopback()];
    let clients: Vec<_> = asked.map(|ip| client_of(ip, server.port())).into();
    for client in &clients {
        client.send(b"hello").unwrap();
        client.send(b"hello").unwrap();
    }
    server.hear(6);
    server.answer();
    for client in &clients {
        assert_eq!((answer_to(client), answer_to(client)), (b"check".to_vec(), b"check".to_vec()));
    }
    assert_eq!(server.failures, []);
}

#[cfg(target_os = "linux")]
#[test]
fn a_dual_stack_bind_answers_both_families_from_the_address_that_was_asked() {
    if UdpSocket::bind((Ipv6Addr::LOCALHOST, 0)).is_err() {
        // Past the print macros, whose output is kept from who runs the tests.
        let why = b"skipped: datagrams::tests::a_dual_stack_bind_answers_both_families: there is no IPv6 here\n";
        std::io::stderr().write_all(why).unwrap();
        return;
    }
    let socket = socket2::Socket::new(socket2::Domain::IPV6, socket2::Type::DGRAM, None).unwrap();
    socket.set_only_v6(false).unwrap();
    socket.bind(&SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0)).into()).unwrap();
    let mut server = Server::bound_to("127.0.0.1");
    server.datagrams = Datagrams::new(socket.into()).unwrap();
    server.datagrams.register(server.poll.registry(), Token(8)).unwrap();

    let asked = [Ipv6Addr::LOCALHOST.into(), Ipv4Addr::LOCALHOST.into(), IpAddr::from(second_loopback())];
    let clients = asked.map(|ip| client_of(ip, server.port()));
    // The second round finds headers that the first has used.
    for round in 1..=2 {
        for client in &clients {
            client.send(b"hello").unwrap();
            client.send(b"hello").unwrap();
        }
        server.hear(6);
        assert!(server.arrivals.iter().all(|(peer, ..)| peer.is_ipv6()), "a mapped peer stays as it came");
        server.answer();
        server.arrivals.clear();
        for client in &clients {
            assert_eq!((answer_to(client), answer_to(client)), (b"check".to_vec(), b"check".to_vec()), "round {round}");
        }
    }
    assert_eq!(server.failures, []);
}

#[test]
fn one_that_cannot_be_sent_takes_no_other_with_it() {
    for host in ["127.0.0.1", "0.0.0.0"] {
        let mut server = Server::bound_to(host);
        let client = client_of(Ipv4Addr::LOCALHOST, server.port());
        client.send(b"hello").unwrap();
        server.hear(1);
        let (peer, local, _) = server.arrivals[0];
        // Without SO_BROADCAST this one is refused.
        let broadcast = SocketAddr::from((Ipv4Addr::BROADCAST, 9));
        for to in [broadcast, peer, peer, broadcast, broadcast, peer, broadcast] {
            assert!(server.datagrams.reply(to, local, b"check"));
        }
        server.flush();
        assert_eq!(server.failures, [(broadcast, io::ErrorKind::PermissionDenied); 4], "{host}");
        assert_eq!((server.sent, server.dropped), (3, 0));
        for _ in 0..3 {
            assert_eq!(answer_to(&client), b"check");
        }
        assert!(has_no_more(&client));
    }
}

#[test]
fn clients_that_are_gone_stop_nothing() {
    let mut server = Server::bound_to("127.0.0.1");
    for round in 1..=20 {
        for _ in 0..3 {
            client_of(Ipv4Addr::LOCALHOST, server.port()).send(b"gone").unwrap();
        }
        server.hear(3);
        server.answer();
        server.arrivals.clear();
        assert_eq!(server.dropped, 0, "round {round}");
    }
    let client = client_of(Ipv4Addr::LOCALHOST, server.port());
    client.send(b"hello").unwrap();
    server.hear(1);
    server.answer();
    assert_eq!(answer_to(&client), b"check");
}

#[test]
fn an_answer_without_a_way_takes_their_address_from_none_of_the_others() {
    if UdpSocket::bind("[::]:0").is_err() {
        return;
    }
    let mut server = Server::bound_to("::");
    let own = Local { ip: Ipv4Addr::new(127, 0, 0, 2).to_ipv6_mapped().into(), interface: 0 };
    let client = client_of(Ipv4Addr::new(127, 0, 0, 2), server.port());
    let nowhere = SocketAddr::from((Ipv4Addr::new(240, 0, 0, 1).to_ipv6_mapped(), 9999));
    for _ in 0..2 {
        assert!(server.datagrams.reply(nowhere, own, b"check"));
        assert!(server.datagrams.reply(client.local_addr().unwrap(), own, b"check"));
        server.flush();
        // It is connected to that address of ours, and hears no other.
        assert_eq!(answer_to(&client), b"check");
    }
}

#[test]
fn a_datagram_from_the_server_itself_is_known_for_what_it_is() {
    for host in ["127.0.0.1", "0.0.0.0"] {
        let mut server = Server::bound_to(host);
        let itself = SocketAddr::from((Ipv4Addr::LOCALHOST, server.port()));
        let client = client_of(Ipv4Addr::LOCALHOST, server.port());
        client.send(b"hello").unwrap();
        server.hear(1);
        let (peer, local, _) = server.arrivals.remove(0);
        assert!(!server.datagrams.is_own_address(peer, local), "{host}");
        assert!(server.datagrams.reply(itself, local, b"loop"));
        server.flush();
        server.hear(1);
        let (peer, local, bytes) = server.arrivals.remove(0);
        assert_eq!((peer, bytes), (itself, b"loop".to_vec()));
        assert!(server.datagrams.is_own_address(peer, local), "{host}");
        // Forged, it may come from another address of ours than the one that it is sent to.
        let another = SocketAddr::from(([127, 0, 0, 3], server.port()));
        assert_eq!(server.datagrams.is_own_address(another, local), host == "0.0.0.0", "{host}");
    }
}

#[test]
fn what_the_system_has_no_room_for_is_dropped_and_receiving_goes_on() {
    let mut server = Server::bound_to("127.0.0.1");
    let client = client_of(Ipv4Addr::LOCALHOST, server.port());
    client.send(b"hello").unwrap();
    server.hear(1);
    let (peer, local, _) = server.arrivals[0];
    // So little that no answer that is merged with 31 others fits.
    SockRef::from(&server.datagrams.socket).set_send_buffer_size(1).unwrap();
    for round in 1..=50 {
        for _ in 0..100 {
            assert!(server.datagrams.reply(peer, local, &[b'x'; 1200]));
        }
        server.flush();
        assert_eq!(server.sent + server.dropped, 100 * round);
    }
    client.send(b"later").unwrap();
    server.hear(2);
    assert_eq!(server.failures, []);
}

#[test]
fn an_answer_of_a_family_out_of_reach_is_refused() {
    let mut server = Server::bound_to("127.0.0.1");
    let local = Local { ip: Ipv4Addr::LOCALHOST.into(), interface: 0 };
    let peer = SocketAddr::from((Ipv6Addr::LOCALHOST, 9));
    assert!(!server.datagrams.reply(peer, local, b"check") || cfg!(not(target_os = "linux")));
}

#[test]
fn the_receive_buffer_is_raised_and_never_lowered() {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let before = SockRef::from(&socket).recv_buffer_size().unwrap();
    widen(&socket).unwrap();
    let raised = SockRef::from(&socket).recv_buffer_size().unwrap();
    assert!(raised > before || before >= RECEIVE_BUFFER, "{before} -> {raised}");
    let _ = SockRef::from(&socket).set_recv_buffer_size(2 * RECEIVE_BUFFER);
    let wide = SockRef::from(&socket).recv_buffer_size().unwrap();
    widen(&socket).unwrap();
    assert_eq!(SockRef::from(&socket).recv_buffer_size().unwrap(), wide.max(raised));
}
