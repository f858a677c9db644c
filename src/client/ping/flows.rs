//! The flows: connections or source ports, each with one probe in flight at most.
//!
//! A bare `check` says not which probe it answers; the port that it comes to
//! does. So a flow whose probe was lost is retired and another socket takes
//! over: a later answer finds the retired one, and is never taken for an
//! answer to another probe.

use std::collections::VecDeque;
use std::io;
use std::time::{Duration, Instant};

use super::tally::Probe;
use crate::client::link::Link;
use crate::client::route::Route;
use crate::client::stage::Source;
use crate::reactor::lru::Lru;
use crate::reactor::{Key, Reactor, Slots};
use crate::wire::Protocol;

/// Retired sockets kept at most; the newest stay.
const RETIRED: usize = 256;

/// What a socket is there for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// It carries this flow.
    Flow(usize),
    /// It may yet bring the answer to this lost probe.
    Retired(Probe),
}

/// Where a flow stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// It has no socket; the next probe opens one.
    Absent,
    /// It is being connected, for a probe that waits or for the next one.
    Connecting(Option<Probe>),
    /// It can carry a probe.
    Free,
    /// It carries one.
    Busy(Probe),
}

/// One flow.
#[derive(Debug)]
pub(super) struct Flow {
    /// Its socket.
    pub(super) key: Option<Key>,
    /// Where it stands.
    pub(super) state: State,
    /// Since when it stands there.
    pub(super) since: Instant,
}

#[derive(Debug)]
struct Endpoint {
    link: Link,
    role: Role,
}

/// All flows and the sockets they use and have used.
#[derive(Debug)]
pub(super) struct Flows {
    protocol: Protocol,
    /// The flows themselves, by number.
    pub(super) flows: Vec<Flow>,
    endpoints: Slots<Endpoint>,
    /// Flows without a probe, in the order in which they are to be used. Entries may be outdated.
    ready: VecDeque<usize>,
    /// Flows that wait for an answer or for their connection, the one that has waited for longest first.
    awaiting: Lru,
    retired: VecDeque<(Instant, Key)>,
}

impl Flows {
    /// So many flows, none of them open yet.
    pub(super) fn new(count: usize, protocol: Protocol, now: Instant) -> Flows {
        let flow = |_| Flow { key: None, state: State::Absent, since: now };
        Flows {
            protocol,
            flows: (0..count).map(flow).collect(),
            endpoints: Slots::new(),
            ready: (0..count).collect(),
            awaiting: Lru::default(),
            retired: VecDeque::new(),
        }
    }

    /// Opens a socket for `flow`; a UDP flow is then free, a TCP one connecting.
    ///
    /// # Errors
    /// There is no socket, or no way; the flow is then absent.
    pub(super) fn open(
        &mut self,
        flow: usize,
        route: &Route,
        reactor: &Reactor<Source>,
        now: Instant,
    ) -> io::Result<()> {
        self.flows[flow].since = now;
        let key = self
            .endpoints
            .insert_with(|key| Ok(Endpoint { link: route.open(key, reactor)?, role: Role::Flow(flow) }))?;
        self.flows[flow].key = Some(key);
        self.flows[flow].state = match self.protocol {
            Protocol::Tcp => State::Connecting(None),
            Protocol::Udp => State::Free,
        };
        Ok(())
    }

    /// Puts a flow where it now stands; one without a probe waits its turn for the next.
    pub(super) fn set(&mut self, flow: usize, state: State, now: Instant) {
        self.flows[flow].state = state;
        self.flows[flow].since = now;
        if matches!(state, State::Absent | State::Free) {
            self.awaiting.remove(number(flow));
            self.ready.push_back(flow);
        }
    }

    /// From now on `flow` waits, for an answer or for its connection.
    pub(super) fn expect(&mut self, flow: usize) {
        self.awaiting.touch(number(flow));
    }

    /// The flow that has waited for longest, and since when.
    pub(super) fn longest_awaited(&self) -> Option<(usize, Instant)> {
        let number = self.awaiting.front()? as usize;
        let flow = &self.flows[number];
        Some(match flow.state {
            State::Busy(probe) | State::Connecting(Some(probe)) => (number, probe.sent),
            _ => (number, flow.since),
        })
    }

    /// Whether a flow could carry a probe.
    pub(super) fn has_ready(&mut self) -> bool {
        while let Some(&flow) = self.ready.front() {
            if matches!(self.flows[flow].state, State::Absent | State::Free) {
                return true;
            }
            self.ready.pop_front();
        }
        false
    }

    /// The flow whose turn it is to carry a probe, if any can.
    pub(super) fn take_ready(&mut self) -> Option<usize> {
        if self.has_ready() { self.ready.pop_front() } else { None }
    }

    /// The socket of `key` and what it is for, unless it is gone.
    pub(super) fn endpoint(&mut self, key: Key) -> Option<(&mut Link, Role)> {
        let endpoint = self.endpoints.get_mut(key)?;
        Some((&mut endpoint.link, endpoint.role))
    }

    /// The socket of `flow`, if it has one.
    pub(super) fn link(&mut self, flow: usize) -> Option<&mut Link> {
        let key = self.flows[flow].key?;
        self.endpoint(key).map(|(link, _)| link)
    }

    /// Closes the socket of `key`.
    pub(super) fn close(&mut self, key: Key) {
        self.endpoints.remove(key);
    }

    /// Closes the socket of `flow`; it is absent then.
    pub(super) fn drop_link(&mut self, flow: usize, now: Instant) {
        if let Some(key) = self.flows[flow].key.take() {
            self.close(key);
        }
        self.set(flow, State::Absent, now);
    }

    /// Retires the socket of `flow`, whose probe is lost: until `until` it may
    /// still bring the answer. The flow is absent then.
    pub(super) fn retire(&mut self, flow: usize, probe: Probe, until: Option<Instant>, now: Instant) {
        let Some(key) = self.flows[flow].key.take() else {
            return self.set(flow, State::Absent, now);
        };
        if let Some(endpoint) = self.endpoints.get_mut(key) {
            endpoint.role = Role::Retired(probe);
        }
        self.set(flow, State::Absent, now);
        let until = until.unwrap_or(now + Duration::from_secs(3600));
        self.retired.push_back((until, key));
        if self.retired.len() > RETIRED
            && let Some((_, oldest)) = self.retired.pop_front()
        {
            self.close(oldest);
        }
    }

    /// When the next retired socket has been kept long enough.
    pub(super) fn next_farewell(&self) -> Option<Instant> {
        self.retired.front().map(|retired| retired.0)
    }

    /// Closes the retired sockets that have been kept long enough.
    pub(super) fn say_farewell(&mut self, now: Instant) {
        while let Some(&(until, key)) = self.retired.front() {
            if until > now {
                break;
            }
            self.retired.pop_front();
            self.close(key);
        }
    }
}

/// A flow as the key that it is in a queue.
fn number(flow: usize) -> u32 {
    u32::try_from(flow).expect("there are 4096 flows at most")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_unanswered_is_awaited() {
        let now = Instant::now();
        let mut flows = Flows::new(2, Protocol::Udp, now);
        for seq in 1..=3 {
            let sent = now + Duration::from_millis(seq);
            for flow in [0, 1] {
                flows.set(flow, State::Busy(Probe { seq, due: now, sent }), sent);
                flows.expect(flow);
            }
            assert_eq!(flows.longest_awaited(), Some((0, sent)));
            flows.set(0, State::Free, sent);
            assert_eq!(flows.longest_awaited(), Some((1, sent)));
            flows.set(1, State::Absent, sent);
            assert_eq!(flows.longest_awaited(), None);
        }
    }
}
