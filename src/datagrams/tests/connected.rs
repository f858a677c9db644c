//! The client's socket: news of earlier datagrams is kept apart from what a call itself came to.

use std::io::Write;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::{Duration, Instant};

use super::super::{Batch, Came, Connected, Received, Refusal};
use crate::reactor::Budget;
use crate::wire::{Mark, Probe, STAMPED};

fn probe(seq: u64) -> [u8; STAMPED] {
    let mut probe = [0; STAMPED];
    Probe { session: 7, seq, clock: 0, flags: 0 }.encode(&mut probe);
    probe
}

/// An address of a test's own, where the whole network is the loopback's: nobody else is given a port that is free there.
fn own() -> Ipv4Addr {
    static NEXT: AtomicU8 = AtomicU8::new(0);
    let [.., high, low] = std::process::id().to_be_bytes();
    match NEXT.fetch_add(1, Ordering::Relaxed) {
        number if cfg!(target_os = "linux") => Ipv4Addr::new(127, 64 + number % 128, high, low),
        _ => Ipv4Addr::LOCALHOST,
    }
}

/// A socket towards a port of this address that nobody has, and that somebody may take.
fn towards(ip: IpAddr) -> (Connected, SocketAddr) {
    let free = UdpSocket::bind((ip, 0)).unwrap();
    let (socket, address) = (UdpSocket::bind((ip, 0)).unwrap(), free.local_addr().unwrap());
    drop(free);
    socket.connect(address).unwrap();
    socket.set_nonblocking(true).unwrap();
    (Connected::new(mio::net::UdpSocket::from_std(socket)), address)
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
    for ip in [IpAddr::from(own()), Ipv6Addr::LOCALHOST.into(), own().to_ipv6_mapped().into()] {
        if ip.is_ipv6() && UdpSocket::bind((Ipv6Addr::LOCALHOST, 0)).is_err() {
            // Past the print macros, whose output is kept from who runs the tests.
            let why = b"skipped: datagrams::tests::connected::a_refused_probe_is_named: there is no IPv6 here\n";
            std::io::stderr().write_all(why).unwrap();
            continue;
        }
        let (mut connected, address) = towards(ip);
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
                Err(Refusal { error, mark, .. }) => {
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
    let (mut connected, address) = towards(own().into());
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
    let (mut connected, address) = towards(own().into());
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
    let (mut connected, _) = towards(own().into());
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

/// What a batch holds: the bytes, and whether the kernel told when they came.
fn taken(batch: &mut Batch) -> Vec<(Vec<u8>, bool)> {
    std::iter::from_fn(|| batch.next().map(|(bytes, time)| (bytes.to_vec(), time.is_some()))).collect()
}

#[test]
fn datagrams_come_alone_or_together_with_the_times_at_which_the_kernel_received_them() {
    let (mut connected, address) = towards(own().into());
    connected.tell_times().unwrap();
    let (mut batch, tells) = (Batch::new(), cfg!(target_os = "linux"));
    let far = UdpSocket::bind(address).unwrap();
    far.connect(connected.socket().local_addr().unwrap()).unwrap();
    for number in 0..100_u8 {
        far.send(&[number]).unwrap();
    }
    let mut came = Vec::new();
    let until = Instant::now() + Duration::from_secs(20);
    while came.len() < 100 {
        assert!(Instant::now() < until, "{came:?}");
        let alone = came.len() % 3 == 0;
        let mut budget = Budget::plenty();
        let received = connected.receive_batch(alone, &mut batch, &mut budget).unwrap();
        let taken = taken(&mut batch);
        assert!(!alone || taken.len() <= 1);
        assert!(received == Received::More || !alone || taken.is_empty(), "one alone says nothing of others");
        came.extend(taken);
    }
    assert_eq!(came, (0..100_u8).map(|number| (vec![number], tells)).collect::<Vec<_>>());
    let drained = connected.receive_batch(true, &mut batch, &mut Budget::plenty()).unwrap();
    assert_eq!((drained, taken(&mut batch).len()), (Received::Drained, 0));
}

#[test]
fn a_batch_is_not_the_last_word_where_there_is_news() {
    let (mut connected, address) = towards(own().into());
    assert!(connected.send(&probe(1)).unwrap());
    let far = UdpSocket::bind(address).unwrap();
    // Finds the news.
    assert!(connected.send(&probe(2)).unwrap());
    let from = far.recv_from(&mut [0; 100]).unwrap().1;
    far.send_to(b"check", from).unwrap();
    let (mut batch, until) = (Batch::new(), Instant::now() + Duration::from_secs(20));
    let (mut answers, mut refused) = (0, Vec::new());
    while answers == 0 || refused.is_empty() {
        assert!(Instant::now() < until);
        match connected.receive_batch(false, &mut batch, &mut Budget::plenty()) {
            Ok(received) => {
                let count = taken(&mut batch).len();
                answers += count;
                assert!(count == 0 || !refused.is_empty() || received == Received::More, "the news is still to come");
            }
            Err(refusal) => refused.extend(refusal.mark),
        }
    }
    assert_eq!((answers, refused), (1, vec![Mark { session: 7, seq: 1 }]));
}
