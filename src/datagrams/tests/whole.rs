//! Answers that nobody may cut into fragments.

use rustix::net::sockopt::{
    Ipv4PathMtuDiscovery as V4, Ipv6PathMtuDiscovery as V6, ip_mtu_discover, ipv6_mtu_discover, set_ip_mtu_discover,
};

use super::*;

#[test]
fn they_are_as_long_as_is_asked_and_leave_others_as_they_are() {
    for host in ["127.0.0.1", "0.0.0.0", "::"] {
        let Ok(_) = UdpSocket::bind((host, 0)) else { continue };
        let mut server = Server::bound_to(host);
        let client = client_of(Ipv4Addr::LOCALHOST, server.port());
        // The second round finds groups and headers that the first has used.
        for lengths in [[5, 6, 4000], [65_507, 5, 9]] {
            assert_eq!(client.send(b"hello").unwrap(), 5);
            server.hear(1);
            let (peer, local, _) = server.arrivals.remove(0);
            assert!(server.datagrams.reply_copy(peer, local, b"copy"));
            for length in lengths {
                assert!(server.datagrams.reply_whole(peer, local, b"whole", length));
            }
            assert!(server.datagrams.reply(peer, local, b"check"));
            server.flush();
            let mut answers: Vec<Vec<u8>> = (0..5).map(|_| long_answer_to(&client)).collect();
            answers.sort();
            let long = |length| [b"whole".to_vec(), vec![0; length - 5]].concat();
            let mut expected = vec![b"check".to_vec(), b"copy".to_vec()];
            expected.extend(lengths.map(long));
            expected.sort();
            assert_eq!(answers, expected, "{host}");
        }
        assert_eq!((server.failures.len(), server.sent, server.dropped), (0, 10, 0), "{host}");
    }
}

#[test]
fn the_bit_is_set_for_them_alone() {
    for host in ["127.0.0.1", "::"] {
        let Ok(_) = UdpSocket::bind((host, 0)) else { continue };
        let mut server = Server::bound_to(host);
        // Whoever passed the socket may have set it so.
        set_ip_mtu_discover(&server.datagrams.socket, V4::DONT).unwrap();
        let usual = |server: &Server| {
            let socket = &server.datagrams.socket;
            (ip_mtu_discover(socket).unwrap(), ipv6_mtu_discover(socket).ok())
        };
        let before = usual(&server);
        let client = client_of(Ipv4Addr::LOCALHOST, server.port());
        client.send(b"hello").unwrap();
        server.hear(1);
        let (peer, local, _) = server.arrivals.remove(0);
        assert!(server.datagrams.reply_whole(peer, local, b"whole", 2000));
        server.flush();
        assert_eq!(long_answer_to(&client).len(), 2000);
        assert_eq!((usual(&server), before.0), (before, V4::DONT), "{host}");
        assert!(before.1.is_none_or(|of_v6| of_v6 != V6::PROBE));
    }
}

fn long_answer_to(client: &UdpSocket) -> Vec<u8> {
    let mut buffer = vec![0; 65_536];
    let len = client.recv(&mut buffer).unwrap();
    buffer.truncate(len);
    buffer
}
