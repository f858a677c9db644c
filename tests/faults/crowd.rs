//! Many clients watched by one thread, so that the end of each is timed when it comes.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::harness::DEADLINE;

/// One client of a crowd.
pub(crate) struct Member {
    stream: TcpStream,
    /// When it began to send what it sent last.
    pub(crate) spoke: Instant,
    /// Everything that it was told.
    pub(crate) heard: Vec<u8>,
    /// When its connection ended.
    pub(crate) ended: Option<Instant>,
}

impl Member {
    /// Connects.
    #[track_caller]
    pub(crate) fn join(server: SocketAddr) -> Member {
        let stream = TcpStream::connect_timeout(&server, DEADLINE).unwrap();
        stream.set_nodelay(true).unwrap();
        stream.set_nonblocking(true).unwrap();
        Member { stream, spoke: Instant::now(), heard: Vec::new(), ended: None }
    }

    /// Sends something short.
    #[track_caller]
    pub(crate) fn say(&mut self, bytes: &[u8]) {
        self.spoke = Instant::now();
        assert_eq!(self.stream.write(bytes).unwrap(), bytes.len());
    }

    /// How long it was silent before it was cut.
    #[track_caller]
    pub(crate) fn silence(&self) -> Duration {
        self.ended.expect("it was not cut").duration_since(self.spoke)
    }

    fn listen(&mut self) {
        let mut buffer = [0; 4096];
        loop {
            match self.stream.read(&mut buffer) {
                Ok(0) => break,
                Ok(count) => self.heard.extend_from_slice(&buffer[..count]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(error) => {
                    self.heard.extend_from_slice(error.to_string().as_bytes());
                    break;
                }
            }
        }
        self.ended = Some(Instant::now());
    }
}

/// Listens to all of them until `enough` of each, or for `patience`; whoever has ended is done.
#[track_caller]
pub(crate) fn listen_until(members: &mut [Member], patience: Duration, enough: impl Fn(&Member) -> bool) {
    let deadline = Instant::now() + patience;
    loop {
        let mut waiting: Vec<_> =
            members.iter_mut().filter(|member| member.ended.is_none() && !enough(member)).collect();
        if waiting.is_empty() {
            return;
        }
        assert!(Instant::now() < deadline, "{} still wait after {patience:?}", waiting.len());
        let mut asked: Vec<_> =
            waiting.iter().map(|member| PollFd::new(member.stream.as_fd(), PollFlags::POLLIN)).collect();
        poll(&mut asked, PollTimeout::from(100_u8)).unwrap();
        let ready: Vec<_> = asked.iter().map(|one| one.any().unwrap_or(true)).collect();
        for (member, ready) in waiting.iter_mut().zip(ready) {
            if ready {
                member.listen();
            }
        }
    }
}

/// Listens until every one of them has ended.
#[track_caller]
pub(crate) fn listen_to_the_end(members: &mut [Member], patience: Duration) {
    listen_until(members, patience, |_| false);
}
