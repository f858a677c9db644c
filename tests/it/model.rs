//! A connection against its model: whatever the order of writes, reads, turns
//! and the end, the messages and the ACKs are those of a reference that knows
//! nothing of sockets, buffers and readiness.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};

use ack_reactor::connection::{Connection, Inbox, Pulled, buffer};
use ack_reactor::reactor::{Key, Reactor, Source};
use ack_reactor::wire::{Decoder, End, Framing, Output, Owed};
use proptest::prelude::*;

const LONGEST: usize = 1 << 20;

/// What can happen to a connection.
#[derive(Clone, Debug)]
enum Step {
    /// The peer writes these messages, cut at that byte: the rest follows with the next.
    Write(Vec<Vec<u8>>, prop::sample::Index),
    /// The peer reads at most so many bytes.
    Read(usize),
    /// We take a turn.
    Turn,
}

/// The reference: every message that was written whole, and the ACKs it is owed.
#[derive(Default)]
struct Model {
    written: Vec<u8>,
    kept: Vec<u8>,
}

impl Model {
    fn messages(&self, framing: Framing, ended: bool) -> Vec<Vec<u8>> {
        let mut rest = self.written.as_slice();
        let mut messages = Vec::new();
        while !rest.is_empty() {
            let (message, len) = match framing {
                Framing::Lines => match rest.iter().position(|&byte| byte == b'\n') {
                    Some(end) => (rest[..end].strip_suffix(b"\r").unwrap_or(&rest[..end]).to_vec(), end + 1),
                    None if ended => (rest.to_vec(), rest.len()),
                    None => break,
                },
                _ => {
                    let Some(count) = rest.first_chunk::<4>() else { break };
                    let count = u32::from_be_bytes(*count) as usize;
                    let Some(message) = rest.get(4..4 + count) else { break };
                    (message.to_vec(), 4 + count)
                }
            };
            messages.push(message);
            rest = &rest[len..];
        }
        messages
    }
}

/// What could wake a loop that never waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Us;

impl Source for Us {
    const SINGLE: &'static [Us] = &[Us];

    fn of_key(_: Key) -> Us {
        Us
    }

    fn key(self) -> Option<Key> {
        None
    }
}

/// The real thing: our connection, its peer, and what both have seen.
struct Real {
    reactor: Reactor<Us>,
    connection: Connection,
    inbox: Inbox<Decoder>,
    owed: Owed,
    peer: TcpStream,
    buffer: Box<[u8]>,
    /// Each message: what is shown of it, and its length.
    messages: Vec<(Vec<u8>, usize)>,
    acks_seen: usize,
    ended: bool,
}

impl Real {
    fn new(framing: Framing) -> io::Result<Real> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let peer = TcpStream::connect(listener.local_addr()?)?;
        peer.set_nonblocking(true)?;
        let ours = listener.accept()?.0;
        ours.set_nonblocking(true)?;
        // Small buffers: the outbox has something to do.
        socket2::SockRef::from(&ours).set_send_buffer_size(4096)?;
        socket2::SockRef::from(&peer).set_recv_buffer_size(4096)?;
        let stream = mio::net::TcpStream::from_std(ours);
        Ok(Real {
            reactor: Reactor::new()?,
            connection: Connection::new(stream),
            inbox: Inbox::new(Decoder::new(framing, LONGEST)),
            owed: Owed::new(framing),
            peer,
            buffer: buffer(),
            messages: Vec::new(),
            acks_seen: 0,
            ended: false,
        })
    }

    /// One slice as the server takes it.
    fn turn(&mut self) {
        self.connection.flush(&mut self.owed).unwrap();
        if !self.owed.is_empty() || self.ended {
            return;
        }
        let mut slice = self.reactor.last_slice(Us);
        let mut reading = self.inbox.read(&mut self.connection, &mut self.buffer, &mut slice.budget);
        loop {
            match reading.pull().unwrap() {
                Pulled::Item(message) => {
                    self.messages.push((message.text.to_vec(), message.len));
                    self.owed.acknowledge(1);
                }
                Pulled::Part => {}
                Pulled::Drained | Pulled::CutOff => break,
                Pulled::Ended => {
                    self.ended = true;
                    break;
                }
                other => panic!("{other:?}"),
            }
        }
        drop(reading);
        if self.ended
            && let Ok(End::Message(rest)) = self.inbox.decoder.end()
        {
            self.messages.push((rest.text.to_vec(), rest.len));
            self.owed.acknowledge(1);
        }
        self.connection.flush(&mut self.owed).unwrap();
    }

    /// Every byte of the ACKs that were counted has the length of this framing's.
    fn owed_bytes(&self, ack: usize) -> usize {
        self.messages.len() * ack
    }

    /// The peer reads; every byte must be the next of an endless row of ACKs.
    fn read(&mut self, ack: &[u8], most: usize) {
        let mut bytes = vec![0; most];
        if let Ok(len) = self.peer.read(&mut bytes) {
            for &byte in &bytes[..len] {
                assert_eq!(byte, ack[self.acks_seen % ack.len()], "byte {} of the ACKs", self.acks_seen);
                self.acks_seen += 1;
            }
        }
    }
}

/// Whether what was told is what was written: its beginning, 1,024 bytes at the least, and its length.
fn agree(told: &[(Vec<u8>, usize)], written: &[Vec<u8>]) -> bool {
    told.len() == written.len()
        && told.iter().zip(written).all(|((text, len), message)| {
            *len == message.len() && message.starts_with(text) && text.len() >= message.len().min(1024)
        })
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let message = prop_oneof![
        8 => prop::collection::vec(prop::sample::select(b"abc\r\0\xff".to_vec()), 0..12),
        1 => (1usize..9000).prop_map(|len| vec![b'x'; len]),
    ];
    let step = prop_oneof![
        4 => (prop::collection::vec(message, 0..200), any::<prop::sample::Index>()).prop_map(|(messages, cut)| Step::Write(messages, cut)),
        2 => (1usize..2000).prop_map(Step::Read),
        3 => Just(Step::Turn),
    ];
    prop::collection::vec(step, 0..40)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn messages_and_acks_are_those_of_the_model(
        steps in steps(),
        framing in prop::sample::select(vec![Framing::Lines, Framing::Length]),
    ) {
        let (mut model, mut real) = (Model::default(), Real::new(framing).unwrap());
        for step in steps {
            match step {
                Step::Write(messages, cut) => {
                    let mut bytes = std::mem::take(&mut model.kept);
                    messages.iter().for_each(|message| framing.encode(message, &mut bytes));
                    let cut = cut.index(bytes.len() + 1);
                    // The socket takes what it takes; the rest comes with the next write.
                    let taken = real.peer.write(&bytes[..cut]).unwrap_or(0);
                    model.written.extend_from_slice(&bytes[..taken]);
                    model.kept = bytes[taken..].to_vec();
                }
                Step::Read(most) => real.read(framing.ack(), most),
                Step::Turn => real.turn(),
            }
            let owed = real.owed_bytes(framing.ack().len());
            prop_assert!(real.acks_seen <= owed, "an ACK for no message");
            let expected = model.messages(framing, false);
            prop_assert!(agree(&real.messages, &expected[..real.messages.len().min(expected.len())]), "a message that was not written");
        }
        real.peer.shutdown(Shutdown::Write).unwrap();
        while !(real.ended && real.acks_seen == real.owed_bytes(framing.ack().len())) {
            real.turn();
            real.read(framing.ack(), 8192);
        }
        prop_assert!(agree(&real.messages, &model.messages(framing, true)));
    }
}
