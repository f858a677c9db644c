//! Who speaks when: the word behind each silence, another try where one is not answered.

use std::io;
use std::time::Instant;

use super::FindIdle;
use super::flow::{Flow, Trial};
use crate::client::stage::Source;
use crate::escape::cause;
use crate::process::limits::Shortage;
use crate::reactor::Key;
use crate::wire::Protocol;

impl FindIdle {
    /// Sees what a flow has to say before anything is done about it: we may have been suspended, and it may have ended.
    /// False where the turn has no time left for that.
    pub(super) fn look_at(&mut self, key: Key) -> bool {
        let Some(mut slice) = self.stage.reactor.due_slice(Source::Link(key)) else {
            return false;
        };
        self.serve(key, &mut slice);
        self.stage.reactor.put_back(slice);
        true
    }

    /// What is due without an event: the end of a silence, of a try.
    pub(super) fn advance(&mut self) {
        let (now, timeout) = (Instant::now(), self.settings.timeout);
        let is_due = |flow: &Flow| flow.due(timeout).is_some_and(|due| due <= now);
        let others = self.flows.iter().filter(|(key, _)| !self.control.is(*key));
        let due: Vec<Key> = others.filter(|(_, flow)| is_due(flow)).map(|(key, _)| key).collect();
        for key in due {
            if !self.look_at(key) {
                return;
            }
            let Some(flow) = self.flows.get_mut(key).filter(|flow| is_due(flow)) else {
                continue;
            };
            let shortage = if flow.state == Trial::Silent {
                self.say(key, Trial::Asking)
            } else if flow.next_try() {
                self.say_again(key)
            } else {
                self.give_up(key, now);
                None
            };
            self.shortages.extend(shortage);
        }
    }

    /// No try of a flow was answered.
    fn give_up(&mut self, key: Key, now: Instant) {
        let Some(flow) = self.flows.get_mut(key) else {
            return;
        };
        if flow.state == Trial::Asking {
            return flow.give_up(self.control.alive, now);
        }
        let unfinished = flow.link.as_ref().is_some_and(|link| link.unfinished().is_some());
        let why = if unfinished { "a wrong answer" } else { "silent" };
        self.trouble.get_or_insert(why.to_owned());
        flow.enter(Trial::Failed, now);
    }

    /// Has a flow say a word. Returns the shortage of our own that keeps it from that.
    pub(super) fn say(&mut self, key: Key, state: Trial) -> Option<io::Error> {
        let flow = self.flows.get_mut(key)?;
        let shortage = flow.say(state).err();
        self.listen_if_broken(key);
        shortage
    }

    /// Another try (UDP; TCP says it again by itself). What is no silence's end has a socket of its own for each try.
    pub(super) fn say_again(&mut self, key: Key) -> Option<io::Error> {
        let flow = self.flows.get_mut(key).filter(|_| self.settings.protocol == Protocol::Udp)?;
        let fresh = match flow.state == Trial::Opening || self.control.is(key) {
            true => self.route.open(key, &self.stage.reactor).map(Some),
            false => Ok(None),
        };
        let said = fresh.and_then(|fresh| flow.say_again(fresh));
        let failed = said.err().inspect(|_| flow.enter(Trial::Failed, Instant::now()));
        self.listen_if_broken(key);
        match failed {
            // Where the one that talks has no way, there is none: whoever has it talk judges that.
            Some(error) if !Shortage::is(&error) && !self.control.is(key) => {
                self.trouble.get_or_insert(cause(&error));
                None
            }
            failed => failed,
        }
    }

    pub(super) fn listen_if_broken(&mut self, key: Key) {
        if self.flows.get(key).is_some_and(Flow::is_broken) {
            self.stage.reactor.ask(Source::Link(key));
        }
    }

    /// Notes how long a silence was not cut when the sockets were last looked at.
    pub(super) fn note_quiet(&mut self, looked: Instant) {
        let silent = self.each_flow().filter(|flow| flow.state == Trial::Silent);
        let longest = silent.map(|flow| looked.saturating_duration_since(flow.signs.heard)).max();
        self.quiet = self.quiet.max(longest.unwrap_or_default());
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        let (now, timeout) = (Instant::now(), self.settings.timeout);
        // Where the last try is over the path's next sign of life is awaited: that wakes us.
        let waits = |flow: &&Flow| flow.state == Trial::Asking && flow.is_overdue(timeout, now);
        let due = self.each_flow().filter(|flow| !waits(flow)).filter_map(|flow| flow.due(timeout));
        due.chain(self.next_word(now)).chain(self.live.due()).min()
    }
}
