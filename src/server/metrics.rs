//! The door for monitors: one visitor at a time, who has a second in all, is shown the figures and goes.
//!
//! The next ones wait in the backlog. A visitor is a source like any other, and the page is worth half a slice, so
//! nobody who comes for an acknowledgement waits for those who look.

mod request;

use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use mio::event::Source as _;
use mio::net::TcpListener;
use mio::{Interest, Registry};

use self::request::{Answer, LONGEST_REQUEST};
use super::{Server, Source};
use crate::connection::{Connection, Fill};
use crate::escape::cause;
use crate::reactor::{Budget, SLICE_MESSAGES, Slice, Source as _, stream_interest};
use crate::transcript::metrics::{Figures, page};
use crate::wire::{Framing, Outbox, Output};

/// A visitor has so long, from the accept to the end.
const VISIT: Duration = Duration::from_secs(1);
/// An accept that fails is tried again so late.
const PAUSE: Duration = Duration::from_millis(100);
/// The page is as much work as so many messages.
const PAGE_COSTS: usize = SLICE_MESSAGES / 2;

/// The listener, and who is inside.
#[derive(Debug)]
pub(super) struct Metrics {
    listener: TcpListener,
    visit: Option<Visit>,
}

#[derive(Debug)]
struct Visit {
    connection: Connection,
    until: Instant,
    /// What has come of the request.
    request: Vec<u8>,
    /// What is left of the answer, once there is one.
    answer: Option<Outbox>,
    half_closed: bool,
}

impl Metrics {
    /// Takes a bound listener over, and says where it is. A port that the system chose is known to nobody else.
    pub(super) fn new(listener: std::net::TcpListener, asked: SocketAddr) -> io::Result<Metrics> {
        let address = listener.local_addr()?;
        let level = if asked.port() == 0 { log::Level::Warn } else { log::Level::Info };
        log::log!(level, "metrics are at http://{address}/metrics");
        Ok(Metrics { listener: TcpListener::from_std(listener), visit: None })
    }

    pub(super) fn register(&mut self, registry: &Registry) -> io::Result<()> {
        registry.register(&mut self.listener, Source::Metrics.token(), Interest::READABLE)
    }

    /// Lets the next visitor in, and says until when it may stay.
    fn accept(&mut self, registry: &Registry, now: Instant) -> io::Result<Instant> {
        let (stream, _) = self.listener.accept()?;
        let mut connection = Connection::new(stream);
        connection.register(registry, Source::Visitor.token(), stream_interest())?;
        let until = now + VISIT;
        self.visit = Some(Visit { connection, until, request: Vec::new(), answer: None, half_closed: false });
        Ok(until)
    }

    fn end_visit(&mut self, registry: &Registry) {
        let visit = self.visit.take();
        // With epoll closing the descriptor does it.
        if cfg!(not(target_os = "linux"))
            && let Some(mut visit) = visit
        {
            let _ = visit.connection.deregister(registry);
        }
    }
}

impl Visit {
    /// A slice of the visit; whether it is over.
    ///
    /// # Errors
    /// The connection is broken.
    fn serve(&mut self, buffer: &mut [u8], budget: &mut Budget, page: impl FnOnce() -> String) -> io::Result<bool> {
        if self.answer.is_none() {
            let Some(answer) = self.listen(buffer, budget)? else {
                // Who says nothing and goes wants no answer.
                return Ok(self.half_closed);
            };
            let mut outbox = Outbox::default();
            outbox.push(Framing::Bytes, &answer.encode(page));
            budget.spend(PAGE_COSTS);
            self.answer = Some(outbox);
        }
        self.part(buffer, budget)
    }

    /// Reads on until it is known what is asked for.
    fn listen(&mut self, buffer: &mut [u8], budget: &mut Budget) -> io::Result<Option<Answer>> {
        loop {
            // One byte more than is accepted tells that there were more.
            let room = (LONGEST_REQUEST + 1).saturating_sub(self.request.len()).min(buffer.len());
            match self.connection.fill(&mut buffer[..room], budget)? {
                Fill::Data { len, more } => {
                    self.request.extend_from_slice(&buffer[..len]);
                    let answer = Answer::to(&self.request);
                    if answer.is_some() || !more {
                        return Ok(answer);
                    }
                }
                Fill::Ended => {
                    self.half_closed = self.request.is_empty();
                    return Ok((!self.request.is_empty()).then_some(Answer::Bad));
                }
                Fill::Drained | Fill::CutOff => return Ok(None),
            }
        }
    }

    /// Sends the answer, shuts our side behind it, and forgets what still comes: to close over unread input would destroy
    /// what is on its way.
    fn part(&mut self, buffer: &mut [u8], budget: &mut Budget) -> io::Result<bool> {
        if let Some(answer) = &mut self.answer {
            self.connection.flush(answer)?;
            if answer.is_empty() && !std::mem::replace(&mut self.half_closed, true) {
                self.connection.half_close();
            }
        }
        loop {
            match self.connection.fill(buffer, budget)? {
                Fill::Data { more: true, .. } => {}
                Fill::Data { more: false, .. } | Fill::Drained | Fill::CutOff => return Ok(false),
                // It may still be reading.
                Fill::Ended => return Ok(self.half_closed),
            }
        }
    }
}

impl Server {
    /// A slice of the metrics' listener.
    pub(super) fn receive_visitor(&mut self, now: Instant) {
        // One is enough: when it goes, the listener is asked again.
        let Some(metrics) = self.metrics.as_mut().filter(|metrics| metrics.visit.is_none()) else {
            return;
        };
        match metrics.accept(self.process.reactor.registry(), now) {
            // It comes up then, whether it says something or not.
            Ok(until) => self.process.reactor.pause(Source::Visitor, until),
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(error) => {
                log::debug!("cannot let a monitor in for now: {}", cause(&error));
                self.process.reactor.pause(Source::Metrics, now + PAUSE);
            }
        }
    }

    /// A slice of the visitor. One that has had its time makes room for the next; what waited for that long is answered
    /// first.
    pub(super) fn attend(&mut self, slice: &mut Slice<Source>) {
        let Some(mut metrics) = self.metrics.take() else {
            return;
        };
        if let Some(visit) = &mut metrics.visit {
            let (mut buffer, now) = ([0; LONGEST_REQUEST + 1], slice.now());
            let over = visit.serve(&mut buffer, &mut slice.budget, || self.figures(now));
            // What breaks one visit is no concern of the next.
            if over.unwrap_or(true) || now >= visit.until {
                metrics.end_visit(self.process.reactor.registry());
                self.process.reactor.ask(Source::Metrics);
            }
        }
        self.metrics = Some(metrics);
    }

    fn figures(&self, now: Instant) -> String {
        page(&Figures {
            stats: &self.stats(now),
            most_connections: self.room as u64,
            closed: &self.desk.tally.closed,
            datagram_bytes: self.desk.tally.datagram_bytes,
            datagrams_dropped: self.datagrams_dropped(),
            turns: self.process.reactor.turns(),
        })
    }
}
