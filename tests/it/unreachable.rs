//! What the network says of datagrams that do not arrive: it is told as the reason, of the probe that it is about.

use std::net::{SocketAddr, UdpSocket};

use nix::sys::signal::Signal::SIGINT;
use serde_json::Value;

use crate::harness::{Ended, Namespace, bound_udp, client_to, closed_port, private_loopback, run, stamp, undisturbed};

/// Where no router has a way to, or lets nobody through, and what the system calls that.
const PLACES: [(&str, &str, &str); 4] = [
    ("10.78.0.1", "10.78.0.1:6666", "No route to host"),
    ("10.79.0.1", "10.79.0.1:6666", "No route to host"),
    ("fd78::1", "[fd78::1]:6666", "Network is unreachable"),
    // The same number is a shortage of our own where a firewall of this machine says it.
    ("fd79::1", "[fd79::1]:6666", "Permission denied"),
];

/// The client, which a router answers on the way to each of [`PLACES`]. Only the first datagram is sure to be answered:
/// routers limit how often they do.
fn behind_router() -> Option<Namespace> {
    Namespace::behind_router(
        "ip route add unreachable 10.78.0.0/24
         ip route add prohibit 10.79.0.0/24
         ip -6 route add unreachable fd78::/64
         ip -6 route add prohibit fd79::/64",
    )
}

fn objects(ended: &Ended, event: &str) -> Vec<Value> {
    let all = ended.out.iter().map(|line| serde_json::from_str::<Value>(line).unwrap());
    all.filter(|object| object["event"] == event).collect()
}

#[test]
fn the_verdict_is_unreachable_where_a_router_says_so() {
    undisturbed(|| {
        let Some(namespace) = behind_router() else { return };
        for (host, address, _) in PLACES {
            let ended = run(namespace.client(&format!("{host} 6666 -zu -W 5")));
            assert_eq!((ended.code, ended.out), (1, vec![format!("udp {address} unreachable")]), "{:?}", ended.err);
            let ended = run(namespace.client(&format!("{host} 6666 -zu -W 5 --format json")));
            let verdicts = objects(&ended, "verdict");
            assert_eq!((ended.code, verdicts.len()), (1, 1), "{:?}", ended.out);
            assert_eq!((&verdicts[0]["verdict"], &verdicts[0]["address"]), (&"unreachable".into(), &address.into()));
        }
    });
}

#[test]
fn probes_are_lost_for_the_reason_that_a_router_gives() {
    undisturbed(|| {
        let Some(namespace) = behind_router() else { return };
        for plain in ["", "--plain"] {
            for (host, address, reason) in PLACES {
                let ping = format!("{host} 6666 --ping -u -c 1 -W 15 {plain}");
                let ended = run(namespace.client(&ping));
                assert_eq!(ended.code, 1, "{:?} {:?}", ended.out, ended.err);
                assert_eq!(ended.out[1], format!("no check from {address}: seq=1 lost ({reason})"), "{:?}", ended.out);
                assert!(ended.out[4].starts_with("1 sent, 0 acknowledged, 1 lost"), "{:?}", ended.out);
                let ended = run(namespace.client(&format!("{ping} --format json")));
                let reasons: Vec<Value> = objects(&ended, "lost").iter().map(|lost| lost["reason"].clone()).collect();
                assert_eq!((ended.code, reasons), (1, vec![Value::from(reason)]), "{:?}", ended.out);
            }
        }
    });
}

#[test]
fn a_chat_and_a_search_for_the_idle_timeout_end_with_that_reason() {
    undisturbed(|| {
        let Some(namespace) = behind_router() else { return };
        for (host, address, reason) in PLACES {
            let ended = run(namespace.client(&format!("{host} 6666 -u -m hello -W 15")));
            let line = format!("could not send to {address}: {reason}");
            assert_eq!((ended.code, ended.out), (1, vec![line]), "{:?}", ended.err);
            let ended = run(namespace.client(&format!("{host} 6666 -u -m hello -W 15 --format json")));
            let failed = objects(&ended, "send-failed");
            assert!(ended.code == 1 && failed.len() == 1, "{:?}", ended.out);
            // What the router does not answer is silent.
            for format in ["text", "json"] {
                let ended = run(namespace.client(&format!("{host} 6666 --find-idle 1 -u -W 1 --format {format}")));
                let said = ended.complaint();
                assert!(
                    ended.code == 1 && said.contains(address) && said.ends_with(reason),
                    "{said:?} {:?}",
                    ended.out
                );
            }
        }
    });
}

/// A number of a probe.
fn number(probe: &[u8]) -> u64 {
    u64::from_be_bytes(probe[16..24].try_into().unwrap())
}

#[test]
fn of_many_probes_that_are_out_the_one_is_lost_that_is_refused() {
    undisturbed(|| {
        let address = closed_port(private_loopback());
        let far = bound_udp(address);
        let mut client = client_to(address, "--ping -u -i 0.1 -W 60 --format json").start();
        let mut buffer = [0; 100];
        let hear = |socket: &UdpSocket, buffer: &mut [u8; 100]| Some((socket.recv_from(buffer).ok()?.1, *buffer));
        let answer = |socket: &UdpSocket, (from, probe): &(SocketAddr, [u8; 100])| {
            socket.send_to(&stamp(probe, number(probe), number(probe), 1), from).unwrap();
        };
        answer(&far, &hear(&far, &mut buffer).unwrap());
        // These are out when the port is gone.
        let mut held = vec![hear(&far, &mut buffer).unwrap()];
        far.set_nonblocking(true).unwrap();
        held.extend(std::iter::from_fn(|| hear(&far, &mut buffer)));
        drop(far);
        client.stdout.find("a refused probe", |line| line.contains("\"lost\"") && line.contains("\"refused\""));
        let far = bound_udp(address);
        for held in held {
            answer(&far, &held);
            let seq = format!("\"seq\":{},", number(&held.1));
            client.stdout.find("its answer", |line| line.contains("\"reply\"") && line.contains(&seq));
        }
        client.signal(SIGINT);
        assert_eq!(client.wait_exit(), 1);
    });
}
