//! What comes back: answers in time and late ones, or the end of a connection.

use std::io;
use std::time::Instant;

use super::account::{Meaning, Times};
use super::flows::Duty;
use super::{Ping, Settings, Stamps, Via, why};
use crate::client::link::{Answer, Datagram, Heard};
use crate::client::stage::Source;
use crate::datagrams::Refusal;
use crate::reactor::{Key, Slice};
use crate::transcript::instrument::Event;
use crate::wire::{Framing, Protocol, Stamp};

impl Ping {
    pub(super) fn serve(&mut self, key: Key, slice: &mut Slice<Source>) {
        if self.approached == Some(key) {
            return self.serve_approach(key, slice);
        }
        match self.settings.protocol {
            Protocol::Tcp => self.serve_stream(key, slice),
            Protocol::Udp => self.serve_datagrams(key, slice),
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
        let now = Instant::now();
        answers.drain(..).for_each(|answer| self.take_answer(key, answer, now));
        self.answers = answers;
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
        self.tally.connects.record(now.saturating_duration_since(socket.since));
        for &seq in &socket.order {
            self.account.write(seq, now);
        }
        let sent = socket.order.iter().try_for_each(|_| socket.link.send(&self.message).map(drop));
        if let Err(error) = sent {
            self.end(key, &why(&error), now);
            return false;
        }
        true
    }

    /// What came by a connection: the answer to the oldest probe on it, or nobody's.
    fn take_answer(&mut self, key: Key, answer: Answer, now: Instant) {
        let Some(socket) = self.flows.get(key) else {
            return;
        };
        let (is_retired, source_port) = (socket.state == Duty::Retired, socket.source_port);
        let alone = self.settings.framing == Framing::Bytes;
        match answer {
            Answer::Ack => match self.flows.take_answered(key, now) {
                Some(seq) => {
                    self.credit(seq, now, None);
                    if is_retired && alone {
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
            // Nothing is lost, but it should be known.
            let flow = socket.flow + 1;
            self.stage.complain(format_args!("flow {flow} was cut between probes ({why}), it is replaced"));
        }
        self.judge(now);
    }

    fn serve_datagrams(&mut self, key: Key, slice: &mut Slice<Source>) {
        while let Some(socket) = self.flows.get(key) {
            match socket.link.receive(&mut self.buffer, &mut slice.budget) {
                Ok(Some(datagram)) => self.take_datagram(key, datagram, Instant::now()),
                Ok(None) => return,
                Err(refusal) => self.take_refusal(key, &refusal, Instant::now()),
            }
        }
    }

    /// A datagram of ours did not arrive: the one that the network names, the only one of its port, or the oldest that
    /// is out.
    fn take_refusal(&mut self, key: Key, refusal: &Refusal, now: Instant) {
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

    fn take_datagram(&mut self, key: Key, datagram: Datagram, now: Instant) {
        let Some(socket) = self.flows.get(key) else {
            return;
        };
        let (is_port, is_retired) = (socket.is_settled, socket.state == Duty::Retired);
        let only = socket.order.front().copied();
        match (datagram, only) {
            (Datagram::Stamp(stamp), _) => self.take_stamp(key, &stamp, now),
            (Datagram::Check, _) if is_port => {
                self.tally.strange += 1;
                self.learn(Stamps::Refuted);
            }
            (Datagram::Check, Some(seq)) => {
                self.credit(seq, now, None);
                match is_retired {
                    true => drop(self.flows.close(key)),
                    false => drop(self.flows.take_answered(key, now)),
                }
                self.learn(Stamps::Refuted);
            }
            (Datagram::Check, None) => {
                // Whose answer it is, nobody can tell: the next one here might be another probe's, too.
                self.tally.surplus += 1;
                self.flows.close(key);
            }
            (Datagram::Notice(notice), _) if is_port => self.tell_last_word(notice.text()),
            (Datagram::Notice(notice), Some(_)) if !is_retired => self.end(key, notice.text(), now),
            (Datagram::Wrong, Some(_)) if !is_retired && !is_port => self.end(key, "wrong answer", now),
            (Datagram::Notice(_), _) => {}
            (Datagram::Wrong, _) => self.tally.strange += u64::from(!is_retired),
        }
    }

    fn take_stamp(&mut self, key: Key, stamp: &Stamp, now: Instant) {
        let Some(socket) = self.flows.get(key) else {
            return;
        };
        let Some(seq) = socket.port.as_ref().and_then(|port| port.probe_of(stamp)) else {
            // It may be a second answer to what was forgotten: it tells nothing.
            self.tally.strange += 1;
            return;
        };
        let meaning = self.credit(seq, now, stamp.server_time());
        let is_first = matches!(meaning, Meaning::InTime(..) | Meaning::Late(_));
        self.tally.duplicated += u64::from(matches!(meaning, Meaning::Again));
        let Some(socket) = self.flows.get(key) else {
            return;
        };
        if let Some(port) = &mut socket.port {
            self.tally.reordered += u64::from(port.hear(stamp, is_first));
            self.several |= port.legs.is_of_several();
        }
        let (is_alone, is_retired) = (!socket.is_settled, socket.state == Duty::Retired);
        if is_alone && is_first {
            self.learn(Stamps::Known);
            // The first one's port is the port from now on.
            if !is_retired && !self.flows.settle(key) {
                self.flows.take_answered(key, now);
            }
        }
        self.look_for_several();
    }

    /// The probe has its answer, unless it had it before.
    fn credit(&mut self, seq: u64, now: Instant, server: Option<std::time::Duration>) -> Meaning<Via> {
        let meaning = self.account.answer(seq, now);
        let Settings { protocol, dated, .. } = self.settings;
        let peer = self.route.peer();
        match meaning {
            Meaning::InTime(times, Via { flow, .. }) => {
                // What waited here while we stood still came nobody knows when.
                let times = Some(times).filter(|_| !self.is_stale);
                self.tally.acknowledge(flow, times, server);
                let (rtt, response) = (times.map(|times| times.rtt), times.map(|times| times.response));
                let flow = flow as u64 + 1;
                self.tell(&Event::Reply { protocol, peer, seq, flow, rtt, response, server, dated });
            }
            Meaning::Late(Times { rtt, .. }) => self.tell(&Event::Late { protocol, peer, seq, rtt, dated }),
            Meaning::Again | Meaning::Unknown => {}
        }
        meaning
    }
}
