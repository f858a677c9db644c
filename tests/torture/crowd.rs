//! Hundreds of TCP clients on one thread: each keeps as much waiting as it may, takes its ACKs, and keeps account.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use socket2::{Domain, SockRef, Socket, Type};

/// How much of its messages each keeps unacknowledged.
pub(crate) const WAITING: usize = 128 << 10;
/// What one look at a connection takes in.
const PORTION: usize = 64 << 10;

/// How the shortest message looks, its acknowledgement, and the notice of a shutdown.
#[derive(Clone, Copy)]
pub(crate) struct Wire {
    pub(crate) framing: &'static str,
    pub(crate) message: &'static [u8],
    pub(crate) ack: &'static [u8],
    pub(crate) goodbye: &'static [u8],
}

/// Empty lines: nothing costs a server more per byte.
pub(crate) const LINES: Wire =
    Wire { framing: "lines", message: b"\n", ack: b"ACK\n", goodbye: b"server is shutting down\n" };
/// Frames of length zero.
pub(crate) const FRAMES: Wire = Wire {
    framing: "length",
    message: b"\0\0\0\0",
    ack: b"\0\0\0\x03ACK",
    goodbye: b"\0\0\0\x17server is shutting down",
};

/// One client of the crowd.
pub(crate) struct Member {
    stream: Option<TcpStream>,
    wire: Wire,
    /// The address that the server sees.
    pub(crate) name: SocketAddr,
    /// Bytes of messages.
    sent: usize,
    /// Bytes of ACKs.
    heard: usize,
    /// What came behind the ACKs.
    pub(crate) last: Vec<u8>,
    /// Why it came to an end that was not clean.
    pub(crate) broken: Option<io::Error>,
}

impl Member {
    /// Connects. Everything that it may keep waiting fits into its own socket.
    #[track_caller]
    pub(crate) fn join(server: SocketAddr, wire: Wire) -> Member {
        let stream = TcpStream::connect(server).unwrap();
        SockRef::from(&stream).set_send_buffer_size(WAITING).unwrap();
        Member::from(stream, wire)
    }

    /// Connects as one from whom little fits into the kernel: small segments keep the server's send buffer small.
    #[track_caller]
    pub(crate) fn join_narrow(server: SocketAddr, wire: Wire) -> Member {
        let socket = Socket::new(Domain::for_address(server), Type::STREAM, None).unwrap();
        socket.set_tcp_mss(536).unwrap();
        socket.set_recv_buffer_size(4096).unwrap();
        socket.set_send_buffer_size(16384).unwrap();
        socket.connect(&server.into()).unwrap();
        Member::from(socket.into(), wire)
    }

    fn from(stream: TcpStream, wire: Wire) -> Member {
        stream.set_nodelay(true).unwrap();
        stream.set_nonblocking(true).unwrap();
        let name = stream.local_addr().unwrap();
        Member { stream: Some(stream), wire, name, sent: 0, heard: 0, last: Vec::new(), broken: None }
    }

    /// So many at once.
    #[track_caller]
    pub(crate) fn crowd(server: SocketAddr, count: usize, wire: Wire) -> Vec<Member> {
        (0..count).map(|_| Member::join(server, wire)).collect()
    }

    /// How many of its messages were acknowledged.
    pub(crate) fn acknowledged(&self) -> usize {
        self.heard / self.wire.ack.len()
    }

    /// Whether the server has ended the connection.
    pub(crate) fn has_ended(&self) -> bool {
        self.stream.is_none()
    }

    /// How much it may send now.
    fn room(&self) -> usize {
        let waiting = self.sent - self.acknowledged() * self.wire.message.len();
        WAITING.saturating_sub(waiting)
    }

    /// Sends so many messages in one write, where the connection takes them.
    #[track_caller]
    pub(crate) fn speak(&mut self, count: usize) {
        let messages = self.wire.message.repeat(count);
        assert_eq!(self.send(&messages, messages.len()), messages.len(), "bytes taken by the connection");
    }

    /// Sends these bytes over and over, whatever waits, until the connection takes no more; how many it took.
    pub(crate) fn send_all_it_takes(&mut self, bytes: &[u8]) -> usize {
        let before = self.sent;
        while self.send(bytes, bytes.len()) > 0 {}
        self.sent - before
    }

    /// Sends at most so many of these messages; the first is continued where the last write broke off.
    fn send(&mut self, messages: &[u8], most: usize) -> usize {
        let begin = self.sent % self.wire.message.len();
        let end = messages.len().min(begin + most);
        let Some(stream) = &mut self.stream else { return 0 };
        // Whatever is wrong with it shows in what is read.
        let count = stream.write(&messages[begin..end]).unwrap_or(0);
        self.sent += count;
        count
    }

    /// Takes what has come, or some of it.
    fn listen(&mut self, buffer: &mut [u8], acks: &[u8]) {
        let Some(stream) = &mut self.stream else { return };
        match stream.read(buffer) {
            Ok(0) => self.stream = None,
            Ok(count) => self.take(&buffer[..count], acks),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {}
            Err(error) => (self.stream, self.broken) = (None, Some(error)),
        }
    }

    fn take(&mut self, bytes: &[u8], acks: &[u8]) {
        let phase = self.heard % self.wire.ack.len();
        if self.last.is_empty() && bytes == &acks[phase..phase + bytes.len()] {
            self.heard += bytes.len();
            return;
        }
        if self.last.is_empty() {
            let same = bytes.iter().zip(&acks[phase..]).take_while(|(got, wanted)| got == wanted).count();
            // What began like one more ACK was none.
            let begun = (phase + same) % self.wire.ack.len();
            self.heard = self.heard + same - begun;
            self.last.extend_from_slice(&self.wire.ack[..begun]);
            self.last.extend_from_slice(&bytes[same..]);
        } else {
            self.last.extend_from_slice(bytes);
        }
    }
}

/// Clients that are driven by a thread until each has ended, or the crowd is called off.
pub(crate) struct Crowd {
    over: Arc<AtomicBool>,
    thread: Option<JoinHandle<Vec<Member>>>,
}

impl Crowd {
    /// Each takes its ACKs and sends on.
    pub(crate) fn flooding(members: Vec<Member>) -> Crowd {
        Crowd::driven(members, false)
    }

    /// Each takes what comes, and sends nothing more. Whoever has read to the end closes.
    pub(crate) fn listening(members: Vec<Member>) -> Crowd {
        Crowd::driven(members, true)
    }

    fn driven(members: Vec<Member>, silent: bool) -> Crowd {
        let over = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&over);
        Crowd { over, thread: Some(thread::spawn(move || drive(members, silent, &told))) }
    }

    /// Waits until every one of them has ended.
    #[track_caller]
    pub(crate) fn until_all_have_ended(mut self) -> Vec<Member> {
        self.thread.take().unwrap().join().unwrap()
    }

    /// Calls it off; the connections stay open as long as the members.
    #[track_caller]
    pub(crate) fn call_off(mut self) -> Vec<Member> {
        self.over.store(true, Ordering::Relaxed);
        self.thread.take().unwrap().join().unwrap()
    }
}

impl Drop for Crowd {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

fn drive(mut members: Vec<Member>, silent: bool, over: &AtomicBool) -> Vec<Member> {
    let mut buffer = vec![0; PORTION];
    let wire = members.first().map_or(LINES, |member| member.wire);
    // One more than a portion holds, since that may begin within an ACK.
    let acks = wire.ack.repeat(PORTION / wire.ack.len() + 2);
    let messages = wire.message.repeat(WAITING / wire.message.len() + 1);
    while !over.load(Ordering::Relaxed) && members.iter().any(|member| !member.has_ended()) {
        // A few messages are not worth a system call.
        let wanted = |member: &Member| match !silent && member.room() >= WAITING / 8 {
            true => PollFlags::POLLIN | PollFlags::POLLOUT,
            false => PollFlags::POLLIN,
        };
        let asked = members
            .iter()
            .enumerate()
            .filter_map(|(index, member)| Some((index, PollFd::new(member.stream.as_ref()?.as_fd(), wanted(member)))));
        let (indices, mut asked): (Vec<_>, Vec<_>) = asked.unzip();
        poll(&mut asked, PollTimeout::from(20_u8)).unwrap();
        let ready: Vec<_> = asked.iter().map(|one| one.revents().unwrap_or(PollFlags::POLLIN)).collect();
        for (index, ready) in indices.into_iter().zip(ready).filter(|(_, ready)| !ready.is_empty()) {
            let member = &mut members[index];
            if ready != PollFlags::POLLOUT {
                member.listen(&mut buffer, &acks);
            }
            if ready.contains(PollFlags::POLLOUT) {
                member.send(&messages, member.room());
            }
        }
    }
    members
}
