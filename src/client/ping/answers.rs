//! What comes back: answers in time and late ones, or the end of a connection.

use std::io;
use std::time::{Duration, Instant};

use super::account::{Meaning, Times};
use super::flows::Duty;
use super::receipt::Receipt;
use super::{NEWS, Ping, Settings, Stamps, Via, why};
use crate::client::link::{Answer, Datagram, Heard};
use crate::client::stage::Source;
use crate::datagrams::{Received, Refusal};
use crate::reactor::{Key, Slice};
use crate::transcript::instrument::Event;
use crate::wire::{Framing, Protocol, Stamp};

/// The last look at what may wait takes no longer.
const LAST_LOOK: Duration = Duration::from_millis(100);
/// Two clocks do not go quite alike.
const SLACK: Duration = Duration::from_millis(1);

impl Ping {
    pub(super) fn serve(&mut self, key: Key, slice: &mut Slice<Source>) {
        if self.approached == Some(key) {
            return self.serve_approach(key, slice);
        }
        if self.scout.is(key) {
            return self.serve_scout(key, slice);
        }
        match self.settings.protocol {
            Protocol::Tcp => self.serve_stream(key, slice),
            Protocol::Udp => {
                let spares = self.settings.interval.is_zero();
                self.serve_datagrams(key, slice, spares);
            }
        }
        self.unheard |= slice.budget.is_cut_off();
    }

    fn serve_stream(&mut self, key: Key, slice: &mut Slice<Source>) {
        match self.flows.get(key).map(|socket| socket.state) {
            // The event that told of the connection may have been the only one to tell of what the server said at once.
            Some(Duty::Connecting) if !self.check_connection(key) => return,
            None => return,
            Some(_) => {}
        }
        let Some(socket) = self.flows.get(key) else {
            return;
        };
        let mut answers = std::mem::take(&mut self.answers);
        let link = &mut socket.link;
        let heard = link.flush().and_then(|_| link.hear(&mut self.buffer, &mut slice.budget, &mut answers));
        let other_framing = if answers.contains(&Answer::Wrong) { link.other_framing() } else { None };
        let now = Instant::now();
        answers.drain(..).for_each(|answer| self.take_answer(key, answer, now));
        self.answers = answers;
        if let Some(theirs) = other_framing {
            self.tell_framing(theirs);
        }
        match heard {
            Ok(Heard::Drained | Heard::CutOff) => {}
            Ok(Heard::Ended) => self.end(key, &why(&io::ErrorKind::UnexpectedEof.into()), now),
            Err(error) => self.end(key, &why(&error), now),
        }
    }

    /// Whether a connection stands; the probes that waited for it are written then.
    fn check_connection(&mut self, key: Key) -> bool {
        let Some(socket) = self.flows.get(key) else {
            return false;
        };
        let now = Instant::now();
        match socket.link.is_established() {
            Ok(false) => return false,
            Ok(true) => {}
            Err(error) => {
                self.end(key, &why(&error), now);
                return false;
            }
        }
        socket.state = Duty::Open;
        let since = socket.since;
        for &seq in &socket.order {
            self.account.write(seq, now);
        }
        let sent = socket.order.iter().try_for_each(|_| socket.link.send(&self.message).map(drop));
        self.note_connected(since, now);
        if let Err(error) = sent {
            self.end(key, &why(&error), now);
            return false;
        }
        true
    }

    /// A connection that was begun at `since` stands.
    pub(super) fn note_connected(&mut self, since: Instant, now: Instant) {
        // What waited while we stood still took nobody knows how long.
        if !self.is_stale {
            self.tally.connects.record(now.saturating_duration_since(since));
        }
    }

    /// What came by a connection: the answer to the oldest probe on it, or nobody's.
    fn take_answer(&mut self, key: Key, answer: Answer, now: Instant) {
        let Some(socket) = self.flows.get(key) else {
            return;
        };
        let (is_retired, source_port) = (socket.is_retired(), socket.source_port);
        let alone = self.settings.framing == Framing::Bytes;
        match answer {
            Answer::Ack => match self.flows.take_answered(key, now) {
                Some(seq) => {
                    self.credit(seq, Receipt::Found(now), None);
                    // Only now: where it was late, the socket has been retired just there.
                    if alone && self.is_retired(key) {
                        self.flows.close(key);
                    }
                }
                None => {
                    // Whose answer it is, nobody can tell: the next one here might be another probe's, too.
                    self.tally.surplus += 1;
                    self.flows.close(key);
                }
            },
            Answer::Notice(_) | Answer::Wrong if is_retired => {}
            Answer::Notice(notice) => self.end(key, notice.text(), now),
            Answer::Wrong => match self.flows.take_answered(key, now) {
                Some(seq) => {
                    self.lose(seq, "wrong answer", Some(source_port));
                    if alone {
                        self.flows.close(key);
                    }
                }
                None => self.tally.strange += 1,
            },
        }
    }

    fn is_retired(&mut self, key: Key) -> bool {
        self.flows.get(key).is_some_and(|socket| socket.is_retired())
    }

    /// A socket has come to its end, and with it the probes that it carries.
    pub(super) fn end(&mut self, key: Key, why: &str, now: Instant) {
        let Some(socket) = self.flows.close(key) else {
            return;
        };
        let mut carried = socket.order.iter().filter(|&&seq| self.account.is_in_flight(seq)).peekable();
        let was_idle = carried.peek().is_none() && socket.state == Duty::Open;
        let carried: Vec<u64> = carried.copied().collect();
        for seq in carried {
            self.lose(seq, why, Some(socket.source_port));
        }
        if was_idle && socket.link.is_stream() {
            // Nothing is lost, but it should be known; by a far end that closes each time it would be said for ever.
            self.tally.cuts += 1;
            if self.tally.cuts <= u64::from(NEWS) {
                let flow = socket.flow + 1;
                self.stage.complain(format_args!("flow {flow} was cut between probes ({why}), it is replaced"));
            }
        }
        self.judge(now);
    }

    /// What comes by a port. A closed loop has no more out than it has flows: there each answer is taken alone, and a
    /// port that owes none is not asked for more, which would cost as much again. What else may wait there comes up with
    /// its next answer, or in the [last look](Ping::look_once_more).
    fn serve_datagrams(&mut self, key: Key, slice: &mut Slice<Source>, spares: bool) {
        while let Some(socket) = self.flows.get(key) {
            match socket.link.receive(spares, &mut self.batch, &mut slice.budget) {
                Ok(received) => {
                    while let Some((bytes, stamp)) = self.batch.next() {
                        slice.budget.spend_bytes(bytes.len());
                        let datagram = Datagram::parse(bytes);
                        let told = stamp.and_then(|stamp| self.clock.steady(stamp));
                        self.take_datagram(key, datagram, Receipt::new(told, slice.now(), Instant::now));
                    }
                    if received != Received::More || (spares && self.owes_nothing(key)) {
                        return;
                    }
                }
                Err(refusal) => self.take_refusal(key, &refusal, Instant::now()),
            }
        }
    }

    fn learn_if(&mut self, learns: bool, stamps: Stamps) {
        if learns {
            self.learn(stamps);
        }
    }

    /// The name has moved, and the socket with it: what it carries stays unanswered.
    pub(super) fn end_moved(&mut self, key: Key, now: Instant) {
        let Some(socket) = self.flows.close(key) else {
            return;
        };
        for seq in socket.order {
            self.lose(seq, "the name moved", Some(socket.source_port));
        }
        self.judge(now);
    }

    /// Whether none of the probes that left by this port is out, as far as the stamps tell.
    fn owes_nothing(&mut self, key: Key) -> bool {
        let Some(socket) = self.flows.get(key) else {
            return true;
        };
        let is_settled = socket.is_settled && !socket.link.has_news();
        is_settled && socket.port.as_ref().is_some_and(|port| port.out == 0)
    }

    /// Before the end: what a closed loop did not ask for.
    pub(super) fn look_once_more(&mut self) {
        if self.settings.protocol == Protocol::Tcp || !self.settings.interval.is_zero() {
            return;
        }
        let end = Instant::now() + LAST_LOOK;
        for key in self.flows.keys() {
            let mut slice = self.stage.reactor.last_slice(Source::Link(key));
            self.serve_datagrams(key, &mut slice, false);
            if slice.now() > end {
                return;
            }
        }
    }

    /// A datagram of ours did not arrive: the one that the network names, the only one of its port, or the oldest that
    /// is out.
    fn take_refusal(&mut self, key: Key, refusal: &Refusal, now: Instant) {
        self.scout.note(refusal);
        let Some(socket) = self.flows.get(key) else {
            return;
        };
        let why = why(&refusal.error);
        let (port, order) = (socket.port.as_ref(), &socket.order);
        let seq = match (port, refusal.mark) {
            // One that this port never sent, or that has its answer, is no news.
            (Some(port), Some(mark)) => match port.probe_marked(mark) {
                Some(seq) if socket.is_settled || order.contains(&seq) => Some(seq),
                _ => return,
            },
            (Some(port), None) if socket.is_settled => port.oldest_in_flight(&self.account),
            _ => None,
        };
        let source_port = Some(socket.source_port);
        match socket.state {
            _ if socket.is_settled => seq.into_iter().for_each(|seq| self.lose(seq, &why, source_port)),
            Duty::Retired => drop(self.flows.close(key)),
            Duty::Connecting | Duty::Open => self.end(key, &why, now),
        }
    }

    fn take_datagram(&mut self, key: Key, datagram: Datagram, receipt: Receipt) {
        let Some(socket) = self.flows.get(key) else {
            return;
        };
        let (is_port, is_retired) = (socket.is_settled, socket.is_retired());
        // One that is late from an address that was left says nothing of the server in use.
        let learns = socket.link.peer() == self.route.peer();
        let only = socket.order.front().copied();
        match (datagram, only) {
            (Datagram::Stamp(stamp), _) => self.take_stamp(key, &stamp, receipt),
            (Datagram::Check, _) if is_port && !self.stamps_here && self.settings.origin.port().is_some() => {
                self.take_unmarked(key, receipt);
            }
            (Datagram::Check, _) if is_port => {
                self.tally.strange += 1;
                // What that one was sent is in no count.
                self.several |= learns;
                self.learn_if(learns, Stamps::Refuted);
                // Nor which probe the next one here answers: the others leave from ports of their own.
                if learns && !is_retired {
                    self.flows.retire(key, Instant::now() + self.kept());
                }
            }
            (Datagram::Check, Some(seq)) => {
                let at = self.credit(seq, receipt, None).1;
                match self.is_retired(key) {
                    true => drop(self.flows.close(key)),
                    false => drop(self.flows.take_answered(key, at)),
                }
                self.learn_if(learns, Stamps::Refuted);
            }
            (Datagram::Check, None) => {
                // Whose answer it is, nobody can tell: the next one here might be another probe's, too.
                self.tally.surplus += 1;
                self.flows.close(key);
            }
            (Datagram::Notice(notice), _) if is_port => self.tell_last_word(notice.text()),
            (Datagram::Notice(notice), Some(_)) if !is_retired => {
                self.end(key, notice.text(), Instant::now());
            }
            (Datagram::Wrong, Some(_)) if !is_retired && !is_port => self.end(key, "wrong answer", Instant::now()),
            (Datagram::Notice(_), _) => {}
            (Datagram::Wrong, _) => self.tally.strange += u64::from(!is_retired),
        }
    }

    /// A server that knows no stamps answers by the one port that all probes left from: the oldest, for all that can be
    /// known. Which one's time this is, is known where no other is out. Then the port waits until it owes none, and
    /// carries one at a time.
    fn take_unmarked(&mut self, key: Key, receipt: Receipt) {
        let now = Instant::now();
        let Some(port) = self.flows.get(key).and_then(|socket| socket.port.as_ref()) else {
            return;
        };
        let (oldest, is_alone) = (port.oldest_in_flight(&self.account), port.out == 1);
        if let Some(seq) = oldest {
            self.credit_as(seq, receipt, is_alone, None);
        } else {
            self.tally.surplus += 1;
        }
        self.learn(Stamps::Refuted);
        let owes = self.flows.get(key).and_then(|socket| socket.port.as_ref()).is_some_and(|port| port.out > 0);
        match self.flows.get(key).map(|socket| socket.state) {
            _ if !owes => drop(self.flows.close(key)),
            Some(Duty::Retired) | None => {}
            Some(Duty::Connecting | Duty::Open) => self.flows.retire(key, now + self.kept()),
        }
    }

    fn take_stamp(&mut self, key: Key, stamp: &Stamp, receipt: Receipt) {
        let Some(socket) = self.flows.get(key) else {
            return;
        };
        let Some(seq) = socket.port.as_ref().and_then(|port| port.probe_of(stamp)) else {
            // It may be a second answer to what was forgotten: it tells nothing.
            self.tally.strange += 1;
            return;
        };
        let (meaning, at) = self.credit(seq, receipt, stamp.server_time());
        let is_first = matches!(meaning, Meaning::InTime(..) | Meaning::Late(_));
        self.tally.duplicated += u64::from(matches!(meaning, Meaning::Again));
        let Some(socket) = self.flows.get(key) else {
            return;
        };
        if let Some(port) = &mut socket.port {
            self.tally.reordered += u64::from(port.hear(stamp, is_first));
            self.several |= port.legs.is_of_several();
        }
        let (is_alone, is_retired) = (!socket.is_settled, socket.is_retired());
        let learns = socket.link.peer() == self.route.peer();
        // By a port that was given nothing else could tell.
        if !is_alone && is_first && self.stamps == Stamps::Unknown {
            self.learn_if(learns, Stamps::Known);
        }
        if is_alone && is_first && learns {
            self.learn(Stamps::Known);
            // The first one's port is the port from now on.
            if !is_retired && !self.flows.settle(key) {
                self.flows.take_answered(key, at);
            }
        }
        self.look_for_several();
    }

    /// The probe has its answer, unless it had it before. Returns when it was received, too.
    fn credit(&mut self, seq: u64, receipt: Receipt, server: Option<Duration>) -> (Meaning<Via>, Instant) {
        self.credit_as(seq, receipt, true, server)
    }

    /// The same; where this may be another one's answer, how long it took is not known.
    fn credit_as(
        &mut self,
        seq: u64,
        receipt: Receipt,
        is_its_own: bool,
        server: Option<Duration>,
    ) -> (Meaning<Via>, Instant) {
        let receipt = receipt.since(self.account.written(seq), Instant::now);
        let at = receipt.at();
        self.give_up_before(seq, receipt);
        let moves = self.account.via(seq).map_or(0, |via| via.moves);
        let meaning = self.account.answer(seq, at);
        let Settings { protocol, dated, .. } = self.settings;
        let peer = self.route.after(moves);
        match meaning {
            Meaning::InTime(times, Via { key, flow, .. }) => {
                self.name.is_answered(moves == self.route.moves());
                let due = at.saturating_duration_since(self.began).saturating_sub(times.response);
                if let Some(key) = key {
                    self.flows.come_back(key);
                }
                let times = Some(times).filter(|_| is_its_own && !self.may_have_waited(receipt));
                // It lies within the round trip, or the far end is not to be believed.
                let server = server.filter(|&server| times.is_none_or(|times| server <= times.rtt + SLACK));
                self.tally.acknowledge(flow, times, server);
                if let Some(timeline) = &mut self.timeline {
                    timeline.acknowledge(due, times.map(|times| (times.rtt, times.response)));
                }
                let (rtt, response) = (times.map(|times| times.rtt), times.map(|times| times.response));
                let flow = flow as u64 + 1;
                self.tell(&Event::Reply { protocol, peer, seq, flow, rtt, response, server, dated });
            }
            Meaning::Late(Times { rtt, .. }) => self.tell(&Event::Late { protocol, peer, seq, rtt, dated }),
            Meaning::Again | Meaning::Unknown => {}
        }
        (meaning, at)
    }
}
