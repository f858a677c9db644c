//! What stamped answers need: bytes of their own, and the time at which a datagram came.

use super::*;

#[test]
fn answers_with_bytes_of_their_own_go_each_to_its_peer_from_the_address_that_was_asked() {
    for host in ["127.0.0.1", "0.0.0.0"] {
        let mut server = Server::bound_to(host);
        let asked = if host == "0.0.0.0" { second_loopback() } else { Ipv4Addr::LOCALHOST };
        let clients = [asked, Ipv4Addr::LOCALHOST].map(|ip| client_of(ip, server.port()));
        // The second round finds groups and headers that the first has used; it is of more than a batch.
        for (round, each) in [2, 50].into_iter().enumerate() {
            clients.iter().for_each(|client| say(1, client));
            server.hear(2);
            for number in 0..each {
                for (index, (peer, local, _)) in server.arrivals.iter().enumerate() {
                    let own = format!("{index}{}", "x".repeat(number));
                    assert!(server.datagrams.reply_copy(*peer, *local, own.as_bytes()));
                    assert!(server.datagrams.reply(*peer, *local, b"check"));
                }
            }
            let order: Vec<_> = server.arrivals.drain(..).map(|(peer, ..)| peer).collect();
            server.flush();
            for client in &clients {
                let index = order.iter().position(|&peer| peer == client.local_addr().unwrap()).unwrap();
                let (own, shared): (Vec<_>, Vec<_>) =
                    (0..2 * each).map(|_| answer_to(client)).partition(|answer| answer != b"check");
                let expected: Vec<_> =
                    (0..each).map(|number| format!("{index}{}", "x".repeat(number)).into_bytes()).collect();
                assert_eq!((own, shared.len()), (expected, each), "{host}, round {round}");
                assert!(has_no_more(client));
            }
        }
        assert_eq!((server.failures.len(), server.sent, server.dropped), (0, 208, 0));
    }
}

#[cfg(target_os = "linux")]
#[test]
fn the_kernel_tells_when_a_datagram_came_once_it_is_asked_to() {
    for (host, asked) in [("127.0.0.1", Ipv4Addr::LOCALHOST), ("0.0.0.0", second_loopback())] {
        let mut server = Server::bound_to(host);
        let client = client_of(asked, server.port());
        assert_eq!(ages_of_forty(&mut server, &client), [None; 40], "{host}");
        server.datagrams.tell_times().unwrap();
        for _ in 0..3 {
            let ages = ages_of_forty(&mut server, &client);
            assert!(ages.iter().all(|age| age.is_some_and(|age| age < PATIENT)), "{host}: {ages:?}");
            say(80, &client);
            server.hear(80);
            assert!(server.arrivals.drain(..).all(|(_, local, _)| local.ip == asked), "{host}");
        }
    }
}

/// How long ago the kernel says that each of forty datagrams came.
#[cfg(target_os = "linux")]
fn ages_of_forty(server: &mut Server, client: &UdpSocket) -> Vec<Option<Duration>> {
    let mut ages = Vec::new();
    say(40, client);
    while ages.len() < 40 {
        let _ = server.datagrams.receive(&mut Budget::plenty());
        while let Some(Datagram { received, .. }) = server.datagrams.next() {
            let now = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap();
            ages.push(received.map(|received| now.checked_sub(Duration::from_nanos(received)).unwrap()));
        }
    }
    ages
}

fn say(times: usize, client: &UdpSocket) {
    (0..times).for_each(|_| assert_eq!(client.send(b"hello").unwrap(), 5));
}
