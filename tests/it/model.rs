//! A connection against its model: whatever the order of writes, reads, turns
//! and the end, the messages and the ACKs are those of a reference that knows
//! nothing of sockets, buffers and readiness.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};

use ack_reactor::connection::{Connection, Fill};
use ack_reactor::reactor::{Ready, Source};
use ack_reactor::wire::{Decoder, End, Framing};
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

/// The real thing: our connection, its peer, and what both have seen.
struct Real {
    connection: Connection,
    peer: TcpStream,
    buffer: Vec<u8>,
    messages: Vec<Vec<u8>>,
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
        let connection = Connection::new(stream, Decoder::new(framing, LONGEST));
        Ok(Real { connection, peer, buffer: vec![0; 4096], messages: Vec::new(), acks_seen: 0, ended: false })
    }

    /// One turn as the server takes it.
    fn turn(&mut self) {
        self.connection.flush().unwrap();
        while !self.connection.output_waits() && !self.ended {
            let ready = Ready::unasked(Source::Listener);
            let len = match self.connection.fill(&mut self.buffer, ready).unwrap() {
                Fill::Data { len, .. } => len,
                Fill::Drained => break,
                Fill::Ended => {
                    self.ended = true;
                    0
                }
            };
            let decoder = &mut self.connection.decoder;
            let (mut input, mut acks) = (&self.buffer[..len], Vec::new());
            while let Some(message) = decoder.next(&mut input).unwrap() {
                self.messages.push(message.to_vec());
                acks.extend_from_slice(b"ACK\n");
            }
            if self.ended
                && let Ok(End::Message(rest)) = decoder.end()
            {
                self.messages.push(rest.to_vec());
                acks.extend_from_slice(b"ACK\n");
            }
            self.connection.send(&acks).unwrap();
        }
    }

    /// The peer reads; every byte must be the next of an endless row of ACKs.
    fn read(&mut self, most: usize) {
        let mut bytes = vec![0; most];
        if let Ok(len) = self.peer.read(&mut bytes) {
            for &byte in &bytes[..len] {
                assert_eq!(byte, b"ACK\n"[self.acks_seen % 4], "byte {} of the ACKs", self.acks_seen);
                self.acks_seen += 1;
            }
        }
    }
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
                Step::Read(most) => real.read(most),
                Step::Turn => real.turn(),
            }
            let owed = real.messages.len() * 4;
            prop_assert!(real.acks_seen <= owed, "an ACK for no message");
            let expected = model.messages(framing, false);
            prop_assert!(expected.starts_with(&real.messages), "a message that was not written");
        }
        real.peer.shutdown(Shutdown::Write).unwrap();
        while !(real.ended && real.acks_seen == real.messages.len() * 4) {
            real.turn();
            real.read(8192);
        }
        prop_assert_eq!(&real.messages, &model.messages(framing, true));
    }
}
