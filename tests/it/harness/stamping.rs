//! Far ends that stamp, and do to each probe what a test says.

use std::collections::{BTreeSet, HashMap};
use std::net::{SocketAddr, UdpSocket};
use std::thread;

use super::private_loopback;

/// What becomes of a probe, or of the answer to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It is answered.
    Answered,
    /// It never arrives.
    LostThere,
    /// Its answer never does.
    LostBack,
    /// Its answer comes twice.
    Twice,
    /// Its answer comes after the next one.
    Overtaken,
    /// It finds another server than those before: one that remembers nothing of them.
    Elsewhere,
    /// It finds a server that knows no stamps.
    Plain,
}

/// A port that answers as the contract has it; `fate` is asked about each probe by its number here, from 1.
pub(crate) fn stamping(fate: impl Fn(u64) -> Fate + Send + 'static) -> SocketAddr {
    let socket = UdpSocket::bind((private_loopback(), 0)).unwrap();
    let address = socket.local_addr().unwrap();
    thread::spawn(move || {
        let mut servers: [HashMap<u64, BTreeSet<u64>>; 2] = Default::default();
        let mut overtaken = None;
        let mut probe = [0; 65536];
        let mut come = 0;
        while let Ok((72, from)) = socket.recv_from(&mut probe) {
            come += 1;
            let number = |at: usize| u64::from_be_bytes(probe[at..at + 8].try_into().unwrap());
            assert!(probe.starts_with(b"ACKSTAMP"));
            let (session, seq) = (number(8), number(16));
            let fate = fate(come);
            if fate == Fate::LostThere {
                continue;
            }
            if fate == Fate::Plain {
                let _ = socket.send_to(b"check", from);
                continue;
            }
            let seen = servers[usize::from(fate == Fate::Elsewhere)].entry(session).or_default();
            seen.insert(seq);
            let answer = stamp(&probe, seen.len() as u64, *seen.last().unwrap(), *seen.first().unwrap());
            let say = |(answer, from): &([u8; 72], SocketAddr)| drop(socket.send_to(answer, from));
            let answer = (answer, from);
            match fate {
                Fate::LostThere | Fate::Plain | Fate::LostBack => continue,
                Fate::Overtaken => {
                    overtaken = Some(answer);
                    continue;
                }
                Fate::Answered | Fate::Elsewhere => say(&answer),
                Fate::Twice => [answer, answer].iter().for_each(say),
            }
            overtaken.take().iter().for_each(say);
        }
    });
    address
}

/// The answer to a probe by a server that counted so many and remembers them from `first` to `highest`.
pub(crate) fn stamp(probe: &[u8], count: u64, highest: u64, first: u64) -> [u8; 72] {
    let mut answer = [0; 72];
    answer[..8].copy_from_slice(b"check\0\0\x01");
    answer[8..32].copy_from_slice(&probe[8..32]);
    for (place, number) in answer[32..].chunks_exact_mut(8).zip([count, 1_000, 4_000, highest, first]) {
        place.copy_from_slice(&number.to_be_bytes());
    }
    answer
}
