//! What comes back: the answer to a probe, a late one, or the end of a flow.

use std::io;
use std::time::Instant;

use super::flows::{Role, State};
use super::tally::Probe;
use super::{Ping, Settings, why};
use crate::client::link::{Answer, Heard};
use crate::client::stage::Source;
use crate::reactor::{Key, Slice};
use crate::transcript::instrument::Event;
use crate::wire::Protocol;

impl Ping {
    pub(super) fn serve(&mut self, key: Key, slice: &mut Slice<Source>) {
        if let Some((_, Role::Flow(flow))) = self.flows.endpoint(key)
            && let State::Connecting(probe) = self.flows.flows[flow].state
        {
            match self.settings.protocol {
                Protocol::Tcp => self.check_connection(flow, probe),
                Protocol::Udp => return self.check_answer(flow, slice),
            }
            if matches!(self.flows.flows[flow].state, State::Connecting(_)) {
                return;
            }
            // The event that told of the connection may have been the only one to tell of what the server said at once.
        }
        let Some((link, _)) = self.flows.endpoint(key) else {
            return;
        };
        let mut answers = std::mem::take(&mut self.answers);
        let heard = link.flush().and_then(|_| link.hear(&mut self.buffer, &mut slice.budget, &mut answers));
        let now = Instant::now();
        answers.drain(..).for_each(|answer| self.take_answer(key, answer, now));
        self.answers = answers;
        match heard {
            Ok(Heard::Drained | Heard::CutOff) => {}
            Ok(Heard::Ended) => self.take_end(key, &why(&io::ErrorKind::UnexpectedEof.into()), now),
            Err(error) => self.take_end(key, &why(&error), now),
        }
    }

    /// What came by the socket of `key`: the answer to its probe, or a late one.
    fn take_answer(&mut self, key: Key, answer: Answer, now: Instant) {
        let Some((_, role)) = self.flows.endpoint(key) else {
            return;
        };
        let Settings { protocol, dated, .. } = self.settings;
        let peer = self.route.peer();
        match (role, answer) {
            (Role::Retired(Probe { seq, sent, .. }), Answer::Ack) => {
                self.flows.close(key);
                self.tally.late += 1;
                let rtt = now.saturating_duration_since(sent);
                self.tell(&Event::Late { protocol, peer, seq, rtt, dated });
            }
            (Role::Retired(_), Answer::Notice(_) | Answer::Wrong) => {}
            (Role::Flow(flow), answer) => match (self.flows.flows[flow].state, answer) {
                (State::Busy(probe), Answer::Ack) => {
                    let (rtt, response) = self.tally.acknowledge(probe, flow, now);
                    self.flows.set(flow, State::Free, now);
                    let (seq, flow) = (probe.seq, flow as u64 + 1);
                    self.tell(&Event::Reply { protocol, peer, seq, flow, rtt, response, dated });
                }
                (State::Busy(probe), Answer::Wrong) => self.lose(probe, flow, "wrong answer", now),
                (_, Answer::Ack) => {
                    // Whose answer it is, nobody can tell: the next one here might be another probe's, too.
                    self.tally.surplus += 1;
                    self.flows.drop_link(flow, now);
                }
                (_, Answer::Wrong) => self.tally.strange += 1,
                (_, Answer::Notice(notice)) => self.give_up(flow, notice.text(), now),
            },
        }
    }

    /// The socket of `key` has come to its end.
    fn take_end(&mut self, key: Key, why: &str, now: Instant) {
        match self.flows.endpoint(key) {
            Some((_, Role::Retired(_))) => self.flows.close(key),
            Some((_, Role::Flow(flow))) => self.give_up(flow, why, now),
            None => {}
        }
    }

    /// A flow has ended, and with it the probe that it may carry.
    fn give_up(&mut self, flow: usize, why: &str, now: Instant) {
        if let State::Busy(probe) = self.flows.flows[flow].state {
            return self.lose(probe, flow, why, now);
        }
        self.flows.drop_link(flow, now);
        self.tell_cut(flow, why);
    }

    /// A connection was cut between probes: nothing is lost, but it should be known.
    pub(super) fn tell_cut(&mut self, flow: usize, why: &str) {
        self.stage.complain(format_args!("flow {} was cut between probes ({why}), it is replaced", flow + 1));
    }
}
