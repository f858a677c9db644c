//! What the kernel drops for want of room is no secret: what was sent is what came in and what was dropped.
#![cfg(target_os = "linux")]

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::harness::{Peer, ServerBuilder, has_v6, settled, undisturbed};
use crate::metrics::{door, page, samples};

/// More than the receive buffer holds, which may have been doubled by the kernel, and a datagram takes 768 bytes.
const FLOOD: u32 = 12_000;

/// Floods a stopped server and compares the accounts.
#[track_caller]
fn flood(args: &str, to: impl Fn(SocketAddr) -> SocketAddr) {
    let mut server = ServerBuilder::new(&format!("{args} --metrics 127.0.0.1:0")).operated().start();
    assert_eq!(server.stat("datagrams_dropped").to_bits(), 0, "{args}");
    let address = to(server.udp());
    let peers: Vec<Peer> = (0..4).map(|_| Peer::connect(address)).collect();
    server.stop();
    for _ in 0..FLOOD / 4 {
        peers.iter().for_each(|peer| peer.send("hello"));
    }
    server.resume();
    let mut account = || (server.stat("datagrams_in"), server.stat("datagrams_dropped"));
    let (came, dropped) = settled(std::time::Duration::from_millis(50), &mut account);
    assert!(came > 0.0 && dropped > 0.0, "{args}: {came} came, {dropped} were dropped");
    assert_eq!((came + dropped).to_bits(), f64::from(FLOOD).to_bits(), "{args}: {came} came, {dropped} were dropped");
    // A monitor has the same figure.
    assert_eq!(samples(&page(door(&server)))["datagrams_dropped_total"], dropped, "{args}");
}

#[test]
fn what_was_sent_is_what_came_in_and_what_was_dropped() {
    undisturbed(|| {
        flood("-u -q", |address| address);
        flood("-t -u -q --format json", |address| address);
        flood("-u -q --host 0.0.0.0", |address| SocketAddr::new(Ipv4Addr::LOCALHOST.into(), address.port()));
    });
}

#[test]
fn the_same_over_ipv6() {
    undisturbed(|| {
        if has_v6() {
            flood("-u -q --host ::1", |address| address);
            flood("-u -q --host ::", |address| SocketAddr::new(Ipv6Addr::LOCALHOST.into(), address.port()));
        }
    });
}
