//! The approach: which of several addresses is the one. The last of them is, whether it answers or not.

use std::io;
use std::iter;
use std::time::{Duration, Instant};

use super::flows::{Choice, Duty};
use super::port::Port;
use super::schedule::Schedule;
use super::{Ping, Stamps};
use crate::client::link::Datagram;
use crate::client::stage::Source;
use crate::datagrams::Received;
use crate::escape::cause;
use crate::process::limits::Shortage;
use crate::reactor::{Key, Slice};
use crate::transcript::instrument::Event;
use crate::wire::Protocol;

impl Ping {
    /// Asks the address whether it is the one, TCP by connecting, UDP by a message of its own; the last need not be
    /// asked.
    pub(super) fn approach(&mut self) {
        while self.route.has_others() {
            let now = Instant::now();
            let choice = match self.settings.protocol {
                Protocol::Tcp => self.flows.choose(),
                Protocol::Udp => Choice::Beside,
            };
            if self.stamps != Stamps::Off {
                self.stamp(&Port::new(), now);
            }
            let asked = self.flows.open(choice, &self.route, &self.stage.reactor, now).and_then(|key| {
                self.approached = Some(key);
                match self.flows.get(key) {
                    Some(socket) if !socket.link.is_stream() => socket.link.send(&self.message).map(drop),
                    _ => Ok(()),
                }
            });
            match asked {
                Ok(()) => return,
                Err(error) => self.leave_address(&error),
            }
        }
        self.start(Instant::now());
    }

    /// When an address that neither accepts nor answers is given up.
    pub(super) fn patience_ends(&mut self) -> Option<Instant> {
        let most = self.route.patience(self.settings.timeout);
        let patience: Duration = most.into_iter().chain(self.settings.timeout).min()?;
        let since = self.flows.get(self.approached?)?.since;
        since.checked_add(patience)
    }

    /// Goes on where an address neither accepts nor answers.
    pub(super) fn judge_patience(&mut self, now: Instant) {
        if self.patience_ends().is_some_and(|end| end <= now) {
            self.leave_address(&io::ErrorKind::TimedOut.into());
            self.approach();
        }
    }

    pub(super) fn serve_approach(&mut self, key: Key, slice: &mut Slice<Source>) {
        let Some(socket) = self.flows.get(key) else {
            return;
        };
        let now = Instant::now();
        let outcome = if socket.link.is_stream() {
            socket.link.is_established()
        } else {
            let batch = &mut self.batch;
            loop {
                let heard = socket.link.receive(false, batch, &mut slice.budget);
                let is_answer = |datagram| matches!(datagram, Datagram::Check | Datagram::Stamp(_));
                let mut datagrams = iter::from_fn(|| batch.next().map(|(bytes, _)| Datagram::parse(bytes)));
                match heard {
                    Ok(_) if datagrams.any(is_answer) => break Ok(true),
                    Ok(Received::More) => {}
                    Ok(Received::Drained | Received::CutOff) => break Ok(false),
                    Err(refusal) => break Err(refusal.error),
                }
            }
        };
        match outcome {
            Ok(false) => {}
            Ok(true) if socket.link.is_stream() => {
                socket.state = Duty::Open;
                let since = socket.since;
                self.note_connected(since, now);
                self.flows.offer(key);
                self.start(now);
                // The event that told of the connection may have been the only one to tell of what the server said at once.
                self.stage.reactor.ask(Source::Link(key));
            }
            Ok(true) => {
                self.flows.close(key);
                self.start(now);
            }
            Err(error) => {
                self.leave_address(&error);
                self.approach();
            }
        }
    }

    /// No way to this address: the next is the one to try.
    fn leave_address(&mut self, error: &io::Error) {
        match Shortage::is(error) {
            true => self.tell_shortage(error),
            false => self.stage.pass_over(self.settings.protocol, self.route.peer(), &cause(error)),
        }
        if let Some(key) = self.approached.take() {
            self.flows.close(key);
        }
        self.route.go_on();
    }

    /// The address is settled on: the first probe is due now.
    fn start(&mut self, now: Instant) {
        self.approached = None;
        self.route.settle();
        self.began = now;
        self.account.open(now);
        let until = self.settings.deadline.and_then(|deadline| now.checked_add(deadline));
        self.schedule = Some(Schedule::new(now, self.settings.interval, self.settings.count, until));
        let name = self.settings.name.take();
        let (protocol, peer, interval) = (self.settings.protocol, self.route.peer(), self.settings.interval);
        self.tell(&Event::Begin { protocol, peer, name: name.as_deref(), bytes: self.message.len(), interval });
        // Before the first probe leaves.
        self.stage.flush();
        self.settings.name = name;
    }
}
