//! The client's socket: news of earlier datagrams is kept apart from what a call itself came to.

use std::net::{Ipv4Addr, Ipv6Addr, UdpSocket};
use std::time::{Duration, Instant};

use super::super::{Came, Connected, Refusal};
use crate::reactor::Budget;
use crate::wire::{Mark, Probe, STAMPED};

fn probe(seq: u64) -> [u8; STAMPED] {
    let mut probe = [0; STAMPED];
    Probe { session: 7, seq, clock: 0, flags: 0 }.encode(&mut probe);
    probe
}

/// A socket towards a port of this address that nobody has, and that somebody may take.
fn towards(ip: std::net::IpAddr) -> Option<(Connected, std::net::SocketAddr)> {
    let free = UdpSocket::bind((ip, 0)).ok()?.local_addr().ok()?;
    let socket = UdpSocket::bind((ip, 0)).ok()?;
    socket.connect(free).ok()?;
    socket.set_nonblocking(true).ok()?;
    Some((Connected::new(mio::net::UdpSocket::from_std(socket)), free))
}

/// What is received next; `None` where there is nothing.
fn next(connected: &mut Connected) -> Option<Result<usize, Refusal>> {
    match connected.receive(&mut [0; 100], &mut Budget::plenty()) {
        Ok(Came::Datagram(len)) => Some(Ok(len)),
        Ok(Came::Drained) => None,
        Ok(Came::CutOff) => panic!("there is plenty"),
        Err(refusal) => Some(Err(refusal)),
    }
}

/// As [`next`], when it comes.
fn wait(connected: &mut Connected) -> Result<usize, Refusal> {
    let until = Instant::now() + Duration::from_secs(20);
    loop {
        if let Some(came) = next(connected) {
            return came;
        }
        assert!(Instant::now() < until, "nothing comes");
    }
}

#[test]
fn a_refused_probe_is_named_and_one_that_leaves_after_it_is_not_touched() {
    for ip in [Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into(), Ipv4Addr::LOCALHOST.to_ipv6_mapped().into()] {
        let Some((mut connected, address)) = towards(ip) else { continue };
        for seq in 1..=5 {
            assert!(connected.send(&probe(seq)).unwrap(), "the news of the one before is not this one's");
        }
        let far = UdpSocket::bind(address).unwrap();
        assert!(connected.send(&probe(6)).unwrap());
        let from = far.recv_from(&mut [0; 100]).unwrap().1;
        far.send_to(b"check", from).unwrap();
        let mut refused = Vec::new();
        while refused.len() < 5 {
            match wait(&mut connected) {
                Ok(len) => assert_eq!(len, 5),
                Err(Refusal { error, mark }) => {
                    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionRefused);
                    refused.extend(mark);
                }
            }
        }
        assert_eq!(refused, [1, 2, 3, 4, 5].map(|seq| Mark { session: 7, seq }));
        assert!(next(&mut connected).is_none_or(|came| came.is_ok()), "each is told once");
    }
}

#[test]
fn an_answer_that_waits_is_told_before_news() {
    let Some((mut connected, address)) = towards(Ipv4Addr::LOCALHOST.into()) else { return };
    assert!(connected.send(&probe(1)).unwrap());
    let far = UdpSocket::bind(address).unwrap();
    far.connect(connected.socket().local_addr().unwrap()).unwrap();
    far.send(b"check").unwrap();
    assert_eq!(wait(&mut connected).unwrap(), 5);
    assert_eq!(wait(&mut connected).unwrap_err().mark, Some(Mark { session: 7, seq: 1 }));
    assert!(next(&mut connected).is_none());
}

#[test]
fn what_cannot_leave_is_the_own_error_of_its_send_and_no_news() {
    let Some((mut connected, address)) = towards(Ipv4Addr::LOCALHOST.into()) else { return };
    let far = UdpSocket::bind(address).unwrap();
    for _ in 0..3 {
        let error = connected.send(&[0; 65_536]).unwrap_err();
        assert_eq!(nix::errno::Errno::from_raw(error.raw_os_error().unwrap()), nix::errno::Errno::EMSGSIZE);
    }
    assert!(next(&mut connected).is_none());
    drop(far);
    assert!(connected.send(&probe(1)).unwrap());
    // One that cannot leave in any case, while there is news of another.
    assert!(connected.send(&[0; 65_536]).is_err());
    assert_eq!(wait(&mut connected).unwrap_err().mark, Some(Mark { session: 7, seq: 1 }));
    assert!(next(&mut connected).is_none());
}

#[test]
fn a_slice_bounds_how_much_news_is_taken_in() {
    let Some((mut connected, _)) = towards(Ipv4Addr::LOCALHOST.into()) else { return };
    for seq in 1..=100 {
        assert!(connected.send(&probe(seq)).unwrap());
    }
    let mut told = 0;
    let until = Instant::now() + Duration::from_secs(20);
    while told < 100 {
        assert!(Instant::now() < until, "{told} of 100");
        let mut budget = Budget::plenty();
        budget.spend(usize::MAX - 8);
        let slice = std::iter::from_fn(|| connected.receive(&mut [0; 100], &mut budget).err());
        let count = slice.count();
        assert!(count <= 8, "{count} in a slice of 8");
        told += count;
    }
}
