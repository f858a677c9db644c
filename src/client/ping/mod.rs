//! `--ping`: how long does an acknowledgement take?
//!
//! An open loop: probes are due on a fixed schedule, whatever the answers do,
//! and `response` counts from the moment a probe was due, so a server that
//! froze shows. A closed loop would stop asking just then, and report the
//! outage as one slow probe (coordinated omission).
//!
//! | room | what it does |
//! |---|---|
//! | `schedule` | when probes are due |
//! | `flows` | the sockets that carry them |
//! | `approach` | which address is the one; connections until they stand |
//! | `probing` | sends what is due, loses what is overdue |
//! | `answers` | what comes back |
//! | `tally` | counts all of it |
//! | `ending` | what it all came to |
//! | `output` | the files for the figures |

mod answers;
mod approach;
mod ending;
mod flows;
mod output;
mod probing;
mod schedule;
mod tally;

use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use self::flows::Flows;
pub use self::output::Output;
use self::schedule::Schedule;
use self::tally::Tally;
use super::link::Answer;
use super::route::Route;
use super::stage::{Source, Stage};
use crate::connection::{buffer, is_reset};
use crate::error::Error;
use crate::escape::cause;
use crate::process::limits::raise_descriptor_limit;
use crate::process::signals::Signal;
use crate::reactor::Source as _;
use crate::reactor::timer::Alarm;
use crate::transcript::instrument::Event;
use crate::wire::{Framing, Protocol};

/// The most flows that one run spreads its probes over.
pub const MOST_FLOWS: usize = 4096;
/// The live line is written anew so often.
const LIVE: Duration = Duration::from_millis(500);

/// What the command line asks of a ping.
#[derive(Debug)]
pub struct Settings {
    /// TCP or UDP.
    pub protocol: Protocol,
    /// How TCP streams are cut into messages.
    pub framing: Framing,
    /// How many probes to send; `None`: until interrupted.
    pub count: Option<u64>,
    /// The time from one probe to the next; zero: a closed loop.
    pub interval: Duration,
    /// The bytes of a probe.
    pub size: usize,
    /// How long the run may take.
    pub deadline: Option<Duration>,
    /// How long to wait for one answer; `None`: for ever.
    pub timeout: Option<Duration>,
    /// Connections or source ports.
    pub flows: usize,
    /// Losses up to this percentage are no failure.
    pub max_loss: f64,
    /// Where the distributions go: HdrHistogram's percentile text ...
    pub hgrm: Option<Output>,
    /// ... and a plot.
    pub plot: Option<Output>,
    /// Print the summary only.
    pub quiet: bool,
    /// Print the time of day before each line.
    pub dated: bool,
}

/// A run of probes.
pub struct Ping {
    stage: Stage,
    alarm: Alarm,
    settings: Settings,
    message: Vec<u8>,
    route: Route,
    flows: Flows,
    /// The timetable, once an address is settled on.
    schedule: Option<Schedule>,
    tally: Tally,
    began: Instant,
    next_live: Option<Instant>,
    buffer: Box<[u8]>,
    /// What one slice brought, before it is looked at.
    answers: Vec<Answer>,
    failed: bool,
    /// Probes, or addresses, that could not be tried for want of our own means.
    untried: u64,
}

impl Ping {
    /// Probes to the first of `addresses` that accepts a connection (TCP) or
    /// answers (UDP); the last of them is probed over UDP whether it does or not.
    ///
    /// # Errors
    /// No alarm can be set up.
    pub fn new(stage: Stage, settings: Settings, addresses: Vec<SocketAddr>) -> Result<Ping, Error> {
        let now = Instant::now();
        let mut alarm = Alarm::new().map_err(|error| Error::Setup("the timer", error))?;
        let registered = alarm.register(stage.reactor.registry(), Source::Alarm.token());
        registered.map_err(|error| Error::Setup("the timer", error))?;
        raise_descriptor_limit();
        Ok(Ping {
            alarm,
            message: b"hello".iter().copied().cycle().take(settings.size).collect(),
            route: Route::new(settings.protocol, settings.framing, addresses),
            flows: Flows::new(settings.flows, settings.protocol, now),
            schedule: None,
            tally: Tally::new(settings.flows),
            began: now,
            next_live: (stage.is_terminal_err()).then_some(now + 2 * LIVE),
            buffer: buffer(),
            answers: Vec::new(),
            failed: false,
            untried: 0,
            stage,
            settings,
        })
    }

    /// Probes until all are sent and answered or lost, the deadline is over or
    /// a signal ends it; then the figures. Returns the exit code.
    ///
    /// # Errors
    /// The poll keeps failing.
    pub fn run(mut self) -> Result<u8, Error> {
        self.approach();
        self.send_due();
        while !self.is_over() {
            let deadline = self.next_deadline();
            let deadline = self.alarm.set(deadline);
            let now = self.stage.wait_while_read(deadline)?;
            while let Some(mut slice) = self.stage.reactor.next_slice() {
                match slice.source() {
                    Source::Signals => self.heed_signals(),
                    Source::Link(key) => self.serve(key, &mut slice),
                    own @ (Source::Screen | Source::Diagnostics) => self.stage.heed(own),
                    Source::Console | Source::Alarm => {}
                }
                self.stage.reactor.put_back(slice);
            }
            let now = now.max(Instant::now());
            match self.schedule {
                None => self.judge_patience(now),
                Some(_) => self.expire(now),
            }
            self.send_due();
            self.show_progress(now);
        }
        Ok(self.conclude())
    }

    fn is_over(&mut self) -> bool {
        if self.failed || self.stage.is_interrupted() || self.stage.is_unread() {
            return true;
        }
        let now = Instant::now();
        let time_is_up = self.settings.deadline.is_some_and(|deadline| now.duration_since(self.began) >= deadline);
        let in_flight = self.tally.sent - self.tally.acknowledged - self.tally.lost;
        let all_sent = self.schedule.as_ref().is_some_and(|schedule| schedule.next_due(now).is_none());
        time_is_up || (all_sent && in_flight == 0)
    }

    fn next_deadline(&mut self) -> Option<Instant> {
        let connecting = match self.schedule {
            None => self.patience().and_then(|patience| self.flows.flows[0].since.checked_add(patience)),
            Some(_) => None,
        };
        let now = Instant::now();
        let due = match &self.schedule {
            Some(schedule) if self.flows.has_ready() => schedule.next_due(now),
            _ => None,
        };
        let over = self.settings.deadline.and_then(|deadline| self.began.checked_add(deadline));
        let expiry = self.next_expiry().map(|expiry| expiry.0);
        [connecting, due, over, expiry, self.flows.next_farewell(), self.next_live].into_iter().flatten().min()
    }

    fn heed_signals(&mut self) {
        if self.stage.signals().contains(&Signal::Report) {
            let figures = self.figures();
            self.stage.report(&Event::Summary(&figures));
        }
    }

    pub(super) fn tell(&mut self, event: &Event<'_>) {
        if !self.settings.quiet {
            self.hide_progress();
            self.stage.journal.tell(event);
        }
    }
}

/// Why a probe did not make it, in a few words.
fn why(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => "closed".to_owned(),
        io::ErrorKind::ConnectionRefused => "refused".to_owned(),
        _ if is_reset(error) => "reset".to_owned(),
        _ => cause(error),
    }
}
