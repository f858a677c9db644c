//! `--ping`: how long does an acknowledgement take, and which way are they lost?
//!
//! An open loop: what is due is sent, whatever became of the probes before. A closed loop would stop asking just when
//! the path is broken, and report the outage as one slow probe (coordinated omission).
//!
//! | room | what it does |
//! |---|---|
//! | `schedule` | when probes are due |
//! | `account` | what became of each |
//! | `outages`, `legs` | losses in a row; losses on the way there and back |
//! | `still` | whether this client itself stood still |
//! | `flows`, `port` | the sockets that carry the probes; a port of stamped ones |
//! | `approach` | which address is the one |
//! | `moves` | whether the name is elsewhere by now |
//! | `scout` | whether size is the cause of losses |
//! | `probing` | sends what is due, loses what is overdue |
//! | `answers` | what comes back |
//! | `receipt` | when it came |
//! | `tally` | the times of all of it |
//! | `ending` | what it all came to |
//! | `output` | the files for the figures |

mod account;
mod answers;
mod approach;
mod ending;
mod flows;
mod legs;
mod moves;
mod outages;
mod output;
#[cfg(test)]
mod path;
mod port;
mod probing;
mod receipt;
mod schedule;
mod scout;
mod still;
mod tally;

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use self::account::Account;
use self::flows::Flows;
use self::moves::Name;
use self::outages::Outages;
pub use self::output::Output;
use self::schedule::Schedule;
use self::scout::Scout;
use self::still::Watch;
use self::tally::Tally;
use super::link::{Answer, why};
use super::live::{self, Live};
use super::origin::Origin;
use super::route::Route;
use super::stage::{Source, Stage};
use super::target::Family;
use crate::connection::buffer;
use crate::datagrams::Batch;
use crate::datagrams::clock::Clock;
use crate::error::Error;
use crate::latency::Timeline;
use crate::process::limits::raise_descriptor_limit;
use crate::process::signals::Signal;
use crate::reactor::timer::Alarm;
use crate::reactor::{Key, Source as _};
use crate::transcript::instrument::Event;
use crate::wire::{Framing, Protocol, STAMPED};

/// The most flows that one run spreads its probes over, and the most sockets that it has.
pub const MOST_FLOWS: usize = 4096;
/// What is said of the server as it becomes known is said so often at most.
const NEWS: u32 = 8;
/// With no limit to the wait the last probes of a closed loop get so long.
const LAST_WAIT: Duration = Duration::from_secs(1);

/// What the command line asks of a ping.
#[derive(Debug)]
pub struct Settings {
    /// TCP or UDP.
    pub protocol: Protocol,
    /// How TCP streams are cut into messages.
    pub framing: Framing,
    /// Where the sockets leave from, and how they are marked.
    pub origin: Origin,
    /// The name behind the addresses, where it is one, ...
    pub name: Option<String>,
    /// ... of which those of this family count.
    pub family: Option<Family>,
    /// How many probes to send; `None`: until interrupted.
    pub count: Option<u64>,
    /// The time from one probe to the next; zero: a closed loop.
    pub interval: Duration,
    /// The bytes of a probe.
    pub size: usize,
    /// Probes without stamps (UDP).
    pub plain: bool,
    /// For how long probes are sent.
    pub deadline: Option<Duration>,
    /// How long to wait for one answer; `None`: for ever.
    pub timeout: Option<Duration>,
    /// Connections or source ports, at the least.
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

/// What is known of the server's stamps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stamps {
    /// They are not asked for.
    Off,
    /// Nobody answered yet.
    Unknown,
    /// It stamps its answers.
    Known,
    /// It answers plainly.
    Refuted,
}

/// How a probe went.
#[derive(Clone, Copy, Debug)]
struct Via {
    /// By this socket; by none that was left open, if the system refused it at once.
    key: Option<Key>,
    flow: usize,
    /// To the address that was in use after so many moves.
    moves: usize,
}

/// A run of probes.
pub struct Ping {
    stage: Stage,
    alarm: Alarm,
    settings: Settings,
    message: Vec<u8>,
    route: Route,
    flows: Flows,
    /// The socket that asks one of several addresses whether it is the one.
    approached: Option<Key>,
    name: Name,
    scout: Scout,
    /// The timetable, once an address is settled on.
    schedule: Option<Schedule>,
    account: Account<Via>,
    outages: Outages,
    tally: Tally,
    /// For the plot, where one is asked for.
    timeline: Option<Timeline>,
    stamps: Stamps,
    /// Whether any answer was stamped, ...
    stamps_known: bool,
    /// ... and any of the server at the address in use.
    stamps_here: bool,
    news: u32,
    /// Whether several servers answer from one port ...
    several: bool,
    /// ... and that was said.
    said_several: bool,
    /// That the framing may be another one there was said.
    said_framing: bool,
    /// Whether a probe was awaited in vain on a connection by which nothing came at all.
    mute: bool,
    /// Whether something was due that could not be sent ...
    was_short: bool,
    /// ... and when a closed loop tries again.
    tried_again: Option<Instant>,
    began: Instant,
    /// Since when nothing more is due.
    all_sent: Option<Instant>,
    watch: Watch,
    /// Whether what is heard may have waited while we stood still ...
    is_stale: bool,
    /// ... and whether some of it waits for the next turn.
    unheard: bool,
    live: Live,
    /// The wall's clock, by which the kernel tells when datagrams came.
    clock: Clock,
    buffer: Box<[u8]>,
    /// Datagrams that were received together.
    batch: Batch,
    /// What one slice brought, before it is looked at.
    answers: Vec<Answer>,
}

impl Ping {
    /// Probes to the first of `addresses` that accepts a connection (TCP) or answers (UDP), and to the last of them
    /// whether it does or not.
    ///
    /// # Errors
    /// No alarm can be set up.
    pub fn new(stage: Stage, settings: Settings, addresses: Vec<SocketAddr>) -> Result<Ping, Error> {
        let now = Instant::now();
        let mut alarm = Alarm::new().map_err(|error| Error::Setup("the timer", error))?;
        let registered = alarm.register(stage.reactor.registry(), Source::Alarm.token());
        registered.map_err(|error| Error::Setup("the timer", error))?;
        raise_descriptor_limit();
        let stamped = settings.protocol == Protocol::Udp && !settings.plain && settings.size >= STAMPED;
        Ok(Ping {
            alarm,
            message: b"hello".iter().copied().cycle().take(settings.size).collect(),
            route: Route::new(settings.protocol, settings.framing, settings.origin.clone(), addresses),
            flows: Flows::new(settings.flows, settings.protocol, settings.framing, settings.interval.is_zero()),
            approached: None,
            name: Name::new(settings.family),
            scout: Scout::default(),
            schedule: None,
            account: Account::new(now, settings.timeout),
            outages: Outages::default(),
            tally: Tally::new(settings.flows, settings.protocol == Protocol::Udp && settings.interval.is_zero()),
            timeline: settings.plot.as_ref().map(|_| Timeline::new()),
            stamps: if stamped { Stamps::Unknown } else { Stamps::Off },
            stamps_known: false,
            stamps_here: false,
            news: 0,
            several: false,
            said_several: false,
            said_framing: false,
            mute: false,
            was_short: false,
            tried_again: None,
            began: now,
            all_sent: None,
            watch: Watch::new(now),
            is_stale: false,
            unheard: false,
            live: Live::new(&stage, 2 * live::EVERY),
            clock: Clock::default(),
            buffer: buffer(),
            batch: Batch::new(),
            answers: Vec::new(),
            stage,
            settings,
        })
    }

    /// Probes until all are sent and answered or lost, or a signal ends it; then the figures. Returns the exit code.
    ///
    /// # Errors
    /// The poll keeps failing.
    pub fn run(mut self) -> Result<u8, Error> {
        self.approach();
        self.send_due();
        loop {
            let slept = Instant::now();
            if self.is_over(slept) {
                self.look_once_more();
                return Ok(self.conclude());
            }
            let asked = self.next_deadline(slept);
            self.stage.end_turn(asked);
            let deadline = self.alarm.set(asked);
            let now = self.stage.wait_while_read(deadline)?;
            self.unheard = false;
            if self.settings.protocol == Protocol::Udp {
                self.clock.read();
            }
            if let Some(span) = self.watch.wake(slept, asked, now) {
                self.stand_still(span, now);
            }
            while let Some(mut slice) = self.stage.next_slice() {
                match slice.source() {
                    Source::Signals => self.heed_signals(),
                    Source::Link(key) => self.serve(key, &mut slice),
                    Source::Lookup => self.hear_lookup(),
                    own @ (Source::Screen | Source::Diagnostics) => self.stage.heed(own),
                    Source::Console | Source::Alarm => {}
                }
                self.stage.reactor.put_back(slice);
            }
            if !self.unheard && !self.stage.reactor.has_ready() {
                self.is_stale = false;
                self.clock.settle();
            }
            let now = now.max(Instant::now());
            // Before what became due meanwhile is sent, or lost.
            if let Some(span) = self.watch.work(now) {
                self.stand_still(span, now);
            }
            match self.schedule {
                None => self.judge_patience(now),
                Some(_) => self.expire(now),
            }
            self.judge_lookup(now);
            self.send_due();
            self.show_progress(now);
        }
    }

    fn is_over(&mut self, now: Instant) -> bool {
        if self.stage.is_interrupted() || self.stage.is_unread() {
            return true;
        }
        let Some(schedule) = &self.schedule else {
            return false;
        };
        if schedule.next_due(now).is_some() {
            return false;
        }
        self.all_sent.get_or_insert(now);
        if self.last_wait_ends().is_some_and(|end| end <= now) {
            while let Some(seq) = self.account.oldest_in_flight() {
                self.give_up(seq, now);
            }
        }
        self.account.in_flight() == 0 && self.scout_ends().is_none_or(|end| end <= now)
    }

    /// Where a probe may wait for ever, the last ones may not: they have until the end of `-w`, or until another would
    /// have been due.
    fn last_wait_ends(&self) -> Option<Instant> {
        let (schedule, sent) = (self.schedule.as_ref()?, self.all_sent?);
        if self.settings.timeout.is_some() {
            return None;
        }
        let end = if schedule.is_closed() { sent + LAST_WAIT } else { schedule.beyond(sent) };
        let until = self.settings.deadline.and_then(|deadline| self.began.checked_add(deadline));
        Some(until.map_or(end, |until| until.min(end)))
    }

    fn next_deadline(&mut self, now: Instant) -> Option<Instant> {
        let approached = if self.schedule.is_none() { self.patience_ends() } else { None };
        let (due, expiry) = (self.next_due(now), self.next_expiry());
        // A closed loop that waits for an answer has nothing due; its time is over all the same.
        let until = self.schedule.as_ref().and_then(Schedule::until).filter(|&until| until > now);
        let beside = [self.flows.next_farewell(), self.live.due(), self.name.gives_up(), until];
        [approached, due, expiry, self.last_wait_ends(), self.scout_ends().filter(|&end| end > now)]
            .into_iter()
            .chain(beside)
            .flatten()
            .min()
    }

    fn heed_signals(&mut self) {
        if self.stage.signals().contains(&Signal::Report) {
            let figures = self.figures();
            self.stage.report(&Event::Summary(&figures));
        }
    }

    fn tell(&mut self, event: &Event<'_>) {
        if !self.settings.quiet {
            self.hide_progress();
            self.stage.journal.tell(event);
        }
    }
}
