//! The flows: the sockets that probes leave by.
//!
//! So many flows are used in turn, each with a socket of its own, its home. A connection carries as many probes as it
//! can tell apart by their order: one with `bytes`, many with a framing. Where all are busy another is opened beside.
//! A port of stamped probes carries any number. A plain datagram has its port to itself until it is answered: a bare
//! `check` says not which probe it answers, the port that it comes to does. For the same reason a socket whose only probe
//! was lost is retired: a later answer finds it there, and is never taken for an answer to another probe.

use std::collections::VecDeque;
use std::io;
use std::time::{Duration, Instant};

use super::account::Account;
use super::legs::Legs;
use super::port::Port;
use crate::client::link::Link;
use crate::client::route::Route;
use crate::client::stage::Source;
use crate::process::limits::Shortage;
use crate::reactor::{Key, Reactor, Slots};
use crate::wire::{Framing, Protocol};

/// Sockets at most, retired ones included.
const MOST: usize = super::MOST_FLOWS;
/// Probes that a connection with a framing carries at most.
const IN_ORDER: usize = 64;
/// A connection beside the flows is closed when it was of no use for so long.
const IDLE: Duration = Duration::from_secs(1);

/// Where a socket stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Duty {
    /// Its connection was begun.
    Connecting,
    /// Probes leave by it.
    Open,
    /// It may yet bring a late answer.
    Retired,
}

/// A socket of a flow.
#[derive(Debug)]
pub(super) struct Socket {
    /// What it is.
    pub(super) link: Link,
    /// Where it stands.
    pub(super) state: Duty,
    /// Whose it is.
    pub(super) flow: usize,
    /// When it was opened, or of use for the last time.
    pub(super) since: Instant,
    /// Our end.
    pub(super) source_port: u16,
    /// The probes that it carries, in the order in which they are answered, lost ones included; none where the stamps
    /// tell them apart.
    pub(super) order: VecDeque<u64>,
    /// What its probes are stamped with ...
    pub(super) port: Option<Box<Port>>,
    /// ... and whether that is understood, so that it carries any number.
    pub(super) is_settled: bool,
    /// It waits beside the flows to be used.
    waits: bool,
}

impl Socket {
    /// Whether probes leave by it, and their answers are awaited.
    pub(super) fn is_open(&self) -> bool {
        self.state == Duty::Open
    }

    /// Whether it may yet bring a late answer, and nothing else.
    pub(super) fn is_retired(&self) -> bool {
        self.state == Duty::Retired
    }

    /// Stamps are understood here: it carries any number of probes from now on.
    pub(super) fn settle(&mut self) {
        if !std::mem::replace(&mut self.is_settled, true) {
            self.link.make_room();
        }
    }
}

/// Which socket is to carry the next probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Choice {
    /// This one.
    Use(Key),
    /// A new home for this flow.
    Home(usize),
    /// A new one beside.
    Beside,
}

/// All sockets.
#[derive(Debug)]
pub(super) struct Flows {
    sockets: Slots<Socket>,
    homes: Vec<Option<Key>>,
    /// The flows whose home has room or is still to be opened, in the order in which they are used; each once.
    ring: VecDeque<usize>,
    in_ring: Vec<bool>,
    /// Connections beside them that have room, the last of use at the end. Entries may be outdated.
    beside: VecDeque<Key>,
    retired: VecDeque<(Instant, Key)>,
    /// How many probes a connection carries.
    room: usize,
    /// A port of stamped probes has one out at a time, too.
    is_closed: bool,
    /// How many sockets without a home there were.
    turns: usize,
    /// What the ports that are closed told of the legs.
    past: Legs,
}

impl Flows {
    /// So many flows, none of them open yet; those of a loop that `is_closed` are used as they become free.
    pub(super) fn new(count: usize, protocol: Protocol, framing: Framing, is_closed: bool) -> Flows {
        let room = match (protocol, framing) {
            (Protocol::Udp, _) | (_, Framing::Bytes) => 1,
            (Protocol::Tcp, Framing::Lines | Framing::Length) => IN_ORDER,
        };
        Flows {
            sockets: Slots::new(),
            homes: vec![None; count],
            ring: (0..count).collect(),
            in_ring: vec![true; count],
            beside: VecDeque::new(),
            retired: VecDeque::new(),
            room,
            is_closed,
            turns: 0,
            past: Legs::default(),
        }
    }

    /// The socket of `key`, unless it is gone.
    pub(super) fn get(&mut self, key: Key) -> Option<&mut Socket> {
        self.sockets.get_mut(key)
    }

    /// The keys of all sockets.
    pub(super) fn keys(&self) -> Vec<Key> {
        self.sockets.iter().map(|(key, _)| key).collect()
    }

    /// A probe that left by this port is out no longer.
    pub(super) fn come_back(&mut self, key: Key) {
        let Some(socket) = self.sockets.get_mut(key) else {
            return;
        };
        if let Some(port) = &mut socket.port {
            port.out = port.out.saturating_sub(1);
            if self.is_closed && socket.is_settled {
                self.offer(key);
            }
        }
    }

    /// All sockets.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Socket> {
        self.sockets.iter().map(|(_, socket)| socket)
    }

    /// The socket for the next probe: the flows in turn, then what is beside them. It is to be opened or used at once.
    pub(super) fn choose(&mut self) -> Choice {
        if let Some(flow) = self.ring.pop_front() {
            self.in_ring[flow] = false;
            return self.homes[flow].map_or(Choice::Home(flow), Choice::Use);
        }
        while let Some(key) = self.beside.pop_back() {
            if let Some(socket) = self.sockets.get_mut(key)
                && socket.state != Duty::Retired
            {
                socket.waits = false;
                return Choice::Use(key);
            }
        }
        Choice::Beside
    }

    /// Opens a socket for a probe, as it was [chosen](Flows::choose) or, for a plain datagram, beside.
    ///
    /// # Errors
    /// There is no socket, or no way; the flow's turn comes again.
    pub(super) fn open(
        &mut self,
        choice: Choice,
        route: &Route,
        reactor: &Reactor<Source>,
        now: Instant,
    ) -> io::Result<Key> {
        let flow = match choice {
            Choice::Home(flow) => flow,
            Choice::Use(_) | Choice::Beside => self.next_turn(),
        };
        let room = self.make_room();
        let opened = room.and_then(|()| {
            self.sockets.insert_with(|key| {
                let link = route.open(key, reactor)?;
                link.tell_times();
                Ok(Socket {
                    source_port: link.local_port().unwrap_or_default(),
                    state: if link.is_stream() { Duty::Connecting } else { Duty::Open },
                    link,
                    flow,
                    since: now,
                    order: VecDeque::new(),
                    port: None,
                    is_settled: false,
                    waits: false,
                })
            })
        });
        if choice == Choice::Home(flow) {
            match opened {
                Ok(key) => self.homes[flow] = Some(key),
                Err(_) => self.put_in_ring(flow),
            }
        }
        opened
    }

    /// The flow of a socket that could not be opened.
    pub(super) fn flow_of(&self, choice: Choice) -> usize {
        match choice {
            Choice::Home(flow) => flow,
            Choice::Use(_) | Choice::Beside => self.turns.saturating_sub(1) % self.homes.len(),
        }
    }

    /// The flow that the next socket without a home counts for.
    fn next_turn(&mut self) -> usize {
        self.turns += 1;
        (self.turns - 1) % self.homes.len()
    }

    /// A probe leaves by it, or will when its connection stands.
    pub(super) fn carry(&mut self, key: Key, seq: u64, now: Instant) {
        if let Some(socket) = self.sockets.get_mut(key) {
            // A connection is begun once, however many probes join those that wait for it.
            if socket.state != Duty::Connecting {
                socket.since = now;
            }
            if !socket.is_settled {
                socket.order.push_back(seq);
            }
        }
        self.offer(key);
    }

    /// The oldest probe that it carries has its answer.
    pub(super) fn take_answered(&mut self, key: Key, now: Instant) -> Option<u64> {
        let socket = self.sockets.get_mut(key)?;
        let seq = socket.order.pop_front()?;
        socket.since = now;
        self.offer(key);
        Some(seq)
    }

    /// A probe that waits for its connection waits no longer; whether none waits now.
    pub(super) fn take_back(&mut self, key: Key, seq: u64) -> bool {
        let Some(socket) = self.sockets.get_mut(key) else {
            return false;
        };
        socket.order.retain(|&carried| carried != seq);
        let is_empty = socket.order.is_empty();
        self.offer(key);
        is_empty
    }

    /// Stamps are understood here: this socket carries any number of probes from now on, as a flow's home, if one lacks
    /// such a one; whether it does.
    pub(super) fn settle(&mut self, key: Key) -> bool {
        let settled =
            |home: Option<Key>| home.and_then(|home| self.sockets.get(home)).is_some_and(|home| home.is_settled);
        let own = self.sockets.get(key).map(|socket| socket.flow).filter(|&flow| self.homes[flow] == Some(key));
        let vacant = || self.homes.iter().position(Option::is_none);
        let unsettled = || self.homes.iter().position(|&home| !settled(home));
        let Some(flow) = own.or_else(vacant).or_else(unsettled) else {
            return false;
        };
        if let Some(socket) = self.sockets.get_mut(key) {
            socket.flow = flow;
            socket.order.clear();
            socket.settle();
        }
        self.homes[flow] = Some(key);
        self.put_in_ring(flow);
        true
    }

    /// Closes a socket and tells what it carried.
    pub(super) fn close(&mut self, key: Key) -> Option<Socket> {
        let socket = self.forget(key)?;
        self.vacate(key, socket.flow);
        Some(socket)
    }

    /// It is gone; what it told of the legs is not.
    fn forget(&mut self, key: Key) -> Option<Socket> {
        let socket = self.sockets.remove(key)?;
        if let Some(port) = socket.port.as_ref().filter(|_| socket.is_settled) {
            self.past += port.legs.legs();
        }
        Some(socket)
    }

    /// What the ports that are closed told of the legs.
    pub(super) fn past_legs(&self) -> Legs {
        self.past
    }

    /// Whether any probe that left by it is out.
    pub(super) fn carries_any<V: Copy>(&self, key: Key, account: &Account<V>) -> bool {
        self.sockets.get(key).is_some_and(|socket| match &socket.port {
            Some(port) if socket.is_settled => port.oldest_in_flight(account).is_some(),
            _ => socket.order.iter().any(|&seq| account.is_in_flight(seq)),
        })
    }

    /// Keeps a socket for late answers alone, until `until`.
    pub(super) fn retire(&mut self, key: Key, until: Instant) {
        if let Some(socket) = self.sockets.get_mut(key) {
            socket.state = Duty::Retired;
            let flow = socket.flow;
            self.vacate(key, flow);
            self.retired.push_back((until, key));
        }
    }

    /// Whether it is full of probes.
    pub(super) fn is_full(&self, key: Key) -> bool {
        self.sockets.get(key).is_some_and(|socket| socket.order.len() >= self.room)
    }

    /// When the next retired socket has been kept long enough.
    pub(super) fn next_farewell(&self) -> Option<Instant> {
        self.retired.front().map(|retired| retired.0)
    }

    /// Closes the retired sockets that have been kept long enough, and connections beside the flows that nobody needs.
    pub(super) fn say_farewell(&mut self, now: Instant) {
        while let Some(&(until, key)) = self.retired.front()
            && (until <= now || self.sockets.get(key).is_none())
        {
            self.retired.pop_front();
            self.forget(key);
        }
        while let Some(&key) = self.beside.front() {
            match self.sockets.get(key) {
                Some(socket) if socket.state != Duty::Retired && !socket.order.is_empty() => break,
                Some(socket) if socket.state != Duty::Retired && now < socket.since + IDLE => break,
                Some(socket) if socket.state != Duty::Retired => drop(self.sockets.remove(key)),
                _ => {}
            }
            self.beside.pop_front();
        }
    }

    /// What has room is used again in its turn.
    pub(super) fn offer(&mut self, key: Key) {
        let Some(socket) = self.sockets.get_mut(key) else {
            return;
        };
        let is_busy = self.is_closed && socket.is_settled && socket.port.as_ref().is_some_and(|port| port.out > 0);
        if is_busy || socket.order.len() >= self.room || socket.state == Duty::Retired {
            return;
        }
        if self.homes[socket.flow] == Some(key) {
            let flow = socket.flow;
            self.put_in_ring(flow);
        } else if !socket.waits {
            socket.waits = true;
            self.beside.push_back(key);
        }
    }

    fn put_in_ring(&mut self, flow: usize) {
        if !self.in_ring[flow] {
            self.in_ring[flow] = true;
            self.ring.push_back(flow);
        }
    }

    fn vacate(&mut self, key: Key, flow: usize) {
        if self.homes[flow] == Some(key) {
            self.homes[flow] = None;
            self.put_in_ring(flow);
        }
    }

    /// Sees to it that there may be one socket more.
    fn make_room(&mut self) -> io::Result<()> {
        while self.sockets.len() >= MOST {
            let Some((_, oldest)) = self.retired.pop_front() else {
                return Err(Shortage::of("too many sockets"));
            };
            self.forget(oldest);
        }
        Ok(())
    }
}
