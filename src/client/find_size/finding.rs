//! What the answers, the network and the silence come to.

use super::datagrams::{Answers, Datagrams, headers, most_of, payload};
use super::sent::Vanished;
use crate::error::exit;
use crate::transcript::address::Address;
use crate::transcript::instrument::{Event, Leg, Limit, Size};
use crate::wire::Protocol;

impl Datagrams {
    /// The answer and the exit code.
    pub(super) fn conclude(mut self) -> u8 {
        self.stage.show_live("");
        let code = self.tell();
        self.stage.conclude(code)
    }

    fn tell(&mut self) -> u8 {
        let (protocol, peer) = (Protocol::Udp, self.route.peer());
        let shown = Address::new(peer);
        if let Some(shortage) = self.shortage.take() {
            // The address may be gone, the descriptors, or the bit: what was found until then is too little to go by.
            self.stage.cannot_try(protocol, peer, &shortage);
            return exit::UNTRIED;
        }
        // Nobody reads what was found, or it cannot be written: the path is not to blame.
        if self.stage.is_unread() {
            return exit::FAILED;
        }
        if let Some(why) = self.broke.take() {
            self.stage.fail(format_args!("the path to udp {shown} broke: {why}"));
            return exit::FAILED;
        }
        if self.stage.is_interrupted() {
            let progress = self.progress();
            self.stage.complain(format_args!("interrupted: {progress}"));
            return exit::FAILED;
        }
        let Some(size) = self.found() else {
            let why = self.trouble.take().unwrap_or_else(|| "silent".to_owned());
            self.stage.fail(format_args!("the path to udp {shown} is not open: {why}"));
            return if self.route.was_short() { exit::UNTRIED } else { exit::FAILED };
        };
        self.stage.journal.tell(&Event::Size { peer, size: &size });
        exit::DONE
    }

    /// What is known when the search is over.
    fn found(&self) -> Option<Size> {
        let peer = self.route.peer();
        let answered = self.search.passed()?;
        // A wider link that told of itself is not the one that limits.
        let tells_it = self.told.iter().any(|told| payload(told.mtu, peer) <= answered);
        let limit = match answered {
            _ if answered == most_of(peer) => Limit::Longest,
            _ if answered == self.search.most() => Limit::Asked,
            _ if self.refused_here == Some(answered + 1) => Limit::Interface,
            _ if tells_it => Limit::Told(self.told.iter().map(|told| (told.by, told.mtu)).collect()),
            _ => Limit::Vanish(self.leg()),
        };
        let is_limited = !matches!(limit, Limit::Longest | Limit::Asked);
        Some(Size::Datagrams {
            answered,
            path_mtu: is_limited.then(|| answered + headers(peer)),
            limit,
            fragments: self.fragments,
        })
    }

    /// The way on which the others vanished, where all of them did on the same.
    fn leg(&self) -> Option<Leg> {
        if self.answers == Answers::Plain {
            return None;
        }
        match self.session.vanished()? {
            Vanished { there: 1.., back: 0 } => Some(Leg::There),
            Vanished { there: 0, back: 1.. } => Some(Leg::Back),
            _ => None,
        }
    }
}
