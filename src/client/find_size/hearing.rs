//! What comes back over UDP: answers, and the network's words on what did not arrive.

use std::io;

use super::datagrams::{Answers, Datagrams, Question, payload};
use super::sent::Purpose;
use crate::client::link::{Datagram, why};
use crate::client::stage::Source;
use crate::datagrams::{Received, Refusal};
use crate::process::limits::Shortage;
use crate::reactor::{Key, Slice};
use crate::wire::{STAMPED, Stamp};

/// So many routers are named at most.
const MOST_TOLD: usize = 4;

impl Datagrams {
    pub(super) fn serve(&mut self, key: Key, slice: &mut Slice<Source>) {
        while self.key == Some(key)
            && let Some(link) = self.links.get_mut(key)
        {
            let received = link.receive(false, &mut self.batch, &mut slice.budget);
            match received {
                Ok(received) => {
                    while let Some((bytes, _)) = self.batch.next() {
                        slice.budget.spend_bytes(bytes.len());
                        let length = bytes.len();
                        match Stamp::parse_beginning(bytes).ok_or_else(|| Datagram::parse(bytes)) {
                            Ok(stamp) => self.take_stamp(&stamp, length),
                            Err(datagram) => self.take(datagram),
                        }
                    }
                    if received != Received::More {
                        return;
                    }
                }
                Err(refusal) => self.take_refusal(&refusal),
            }
        }
    }

    fn take_stamp(&mut self, stamp: &Stamp, length: usize) {
        let Some((size, purpose)) = self.session.answer(stamp) else {
            return;
        };
        if purpose != Purpose::Fragments && length < size && self.answers == Answers::AsLong {
            self.learn(Answers::Stamped, "the server does not answer at a probe's length");
        }
        match self.question {
            Some(question) if (question.size, question.purpose) == (size, purpose) => self.decide(question, true),
            // It comes late, and tells all the same.
            _ if purpose == Purpose::Size => self.search.pass(size),
            _ => {}
        }
    }

    fn take(&mut self, datagram: Datagram) {
        let is_open = self.search.passed().is_some();
        match (datagram, self.question) {
            (Datagram::Check, Some(question)) if !is_open || self.answers == Answers::Plain => {
                if self.search.least() < STAMPED {
                    self.learn(Answers::Plain, "less than 72 bytes carry no stamp");
                } else {
                    self.learn(Answers::Plain, "the server knows no stamps");
                }
                if let Some(port) = self.settings.origin.port() {
                    let what = format!(
                        "answers without stamps that all come to one port, {port}, do not say which size they are for"
                    );
                    self.shortage = Some(Shortage::of(format!("{what}: give -I without it")));
                    return;
                }
                self.decide(question, true);
            }
            (Datagram::Notice(notice), _) if is_open => self.broke = Some(notice.text().to_owned()),
            (Datagram::Notice(notice), Some(question)) => self.give_up(question, notice.text()),
            (Datagram::Wrong, Some(question)) if !is_open => self.give_up(question, "a wrong answer"),
            _ => {}
        }
    }

    /// The address does not answer as it should.
    fn give_up(&mut self, question: Question, why: &str) {
        self.trouble = Some(why.to_owned());
        self.decide(question, false);
    }

    /// What the answers are like, where that is news.
    fn learn(&mut self, answers: Answers, why: &str) {
        if std::mem::replace(&mut self.answers, answers) != answers {
            self.stage.show_live("");
            self.stage.complain(format_args!("{why}: what is found is the way there alone"));
        }
    }

    /// The network's word on a probe.
    fn take_refusal(&mut self, refusal: &Refusal) {
        let question = self.question;
        if let Some(too_big) = refusal.too_big {
            let size = self.session.refused(refusal).or(question.map(|question| question.size));
            let Some(size) = size.filter(|&size| payload(too_big.mtu, self.route.peer()) < size) else {
                // Its link would have taken it.
                return;
            };
            let is_news = self.told.iter().all(|told| told.by != too_big.by);
            if is_news && self.told.len() < MOST_TOLD {
                self.told.push(too_big);
            }
            if too_big.mtu > 0 {
                self.search.hint(payload(too_big.mtu, self.route.peer()));
            }
            match question {
                // No link takes less than that. Whoever says so may be wrong: all tries are awaited.
                _ if size == self.search.least() => {}
                Some(question) if question.size == size && question.purpose == Purpose::Size => {
                    self.decide(question, false);
                }
                _ => self.search.fail(size),
            }
            return;
        }
        let why = why(&refusal.error);
        match (self.search.passed(), question) {
            (None, Some(question)) => self.give_up(question, &why),
            (Some(_), _) if refusal.error.kind() == io::ErrorKind::ConnectionRefused => self.broke = Some(why),
            // Some router has no way for one of them: the tries will show.
            _ => log::debug!("udp {}: {why}", self.route.peer()),
        }
    }
}
