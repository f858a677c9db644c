//! The server: what each source means to it, and the turn in which they are served.
//!
//! | room | what it does |
//! |---|---|
//! | `source` | what can wake it |
//! | [`listen`] | binds the sockets, all or none |
//! | `accept` | lets clients in, or turns them away |
//! | `introduce`, `crowd` | learns who a client is, and whether too many are here already |
//! | [`networks`] | the networks that options name |
//! | `converse`, `desk` | reads messages, tells them, acknowledges them |
//! | `answer`, `peers` | the same for datagrams |
//! | `session` | what a stamped answer tells: which probes came |
//! | [`operator`] | obeys commands from stdin |
//! | `metrics` | shows the figures to a monitor |
//! | `tracing` | who is served, and what a turn came to, for `--trace` |
//! | `closing` | every way to part: closed, idle, dismissed, shutdown |

pub mod listen;
pub mod networks;
pub mod operator;

mod accept;
mod answer;
mod closing;
mod converse;
mod crowd;
mod desk;
mod introduce;
mod metrics;
mod peers;
mod session;
mod source;
mod tracing;

use std::time::{Duration, Instant};

use mio::Interest;

use self::accept::{Door, RESERVE};
use self::answer::{Afterwards, Answerer};
use self::closing::{Ending, LAST_MOMENT};
use self::crowd::Crowd;
use self::desk::Desk;
use self::listen::Sockets;
use self::metrics::Metrics;
use self::networks::Networks;
use self::source::Source;
use self::tracing::TurnEnd;
use crate::error::Error;
use crate::process::Process;
use crate::process::limits::raise_descriptor_limit;
use crate::process::signals::{OnQuit, Signal, has_terminal};
use crate::process::supervisor::{Notifier, Passed};
use crate::reactor::timer::Alarm;
use crate::reactor::{Key, Slice, Source as _, sooner};
use crate::roster::{Peer, Roster};
use crate::stdio::console::Console;
use crate::stdio::diagnostics::Diagnostics;
use crate::trace;
use crate::transcript::Style;
use crate::transcript::journal::LAST_LINES;
use crate::transcript::server::{ClientLine, Event, Stats};
use crate::wire::{Framing, Protocol};

/// `--busy-poll` goes on spinning so long after a datagram.
const SPIN_AFTER_DATAGRAM: Duration = Duration::from_secs(1);

/// What the command line asks of the server.
#[derive(Clone, Debug)]
pub struct Settings {
    /// A name or an address literal.
    pub host: String,
    /// The port; 0 lets the system choose.
    pub port: u16,
    /// Whether to serve TCP.
    pub tcp: bool,
    /// Whether to serve UDP.
    pub udp: bool,
    /// How TCP streams are cut into messages.
    pub framing: Framing,
    /// The longest message accepted in `lines` and `length`, in bytes.
    pub longest_message: usize,
    /// How long a client may complete no message; `None`: for ever.
    pub idle_timeout: Option<Duration>,
    /// How many clients are served at once; `None`: as many as the descriptor limit allows.
    pub max_connections: Option<usize>,
    /// How long a dismissed connection may linger; `None`: for ever.
    pub grace: Option<Duration>,
    /// For how long a SIGTERM lets it serve on before it shuts down; `None`: for ever.
    pub drain: Option<Duration>,
    /// Whether other processes may bind the port, too.
    pub reuse_port: bool,
    /// Where the figures are shown, as a host and a port.
    pub metrics: Option<(String, u16)>,
    /// Spin instead of sleeping while somebody is there.
    pub busy_poll: bool,
    /// What of it is told.
    pub transcript: Extent,
    /// Who comes from there is served and not told.
    pub quiet_from: Networks,
    /// How many clients are served at once from one address; `None`: as many as come.
    pub max_per_address: Option<usize>,
    /// Who comes from there is a proxy, and says first for whom it speaks.
    pub proxies: Networks,
    /// How events are written.
    pub style: Style,
}

/// How much is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent {
    /// Everything.
    All,
    /// Everything but the messages.
    Connections,
    /// The listening lines and the operator's answers.
    None,
}

/// The server, bound and ready to run.
pub struct Server {
    settings: Settings,
    process: Process<Source>,
    notifier: Notifier,
    alarm: Alarm,
    console: Console,
    door: Option<Door>,
    answerer: Option<Answerer>,
    metrics: Option<Metrics>,
    roster: Roster,
    desk: Desk,
    /// Where the clients come from, if that is bounded.
    crowd: Option<Crowd>,
    /// How many clients there is room for.
    room: usize,
    /// The sockets were passed: others have them, too.
    passed: bool,
    started: Instant,
    /// Whether a terminal controlled it when it started: then a hang-up is the end of that.
    has_terminal: bool,
    /// So many answers wait for stdout that the operator has to wait, too.
    operator_waits: bool,
    ending: Option<Ending>,
}

impl Server {
    /// Binds the sockets, where none were `passed`, and sets up the loop. `diagnostics` is where the log goes.
    ///
    /// # Errors
    /// What could not be resolved, bound or set up; then nothing is left bound.
    pub fn start(settings: Settings, passed: Option<Passed>, diagnostics: Diagnostics) -> Result<Server, Error> {
        let metrics = settings.metrics.as_ref().map(|(host, port)| listen::resolve(host, *port)).transpose()?;
        let limit = raise_descriptor_limit();
        let sockets = match passed {
            Some(passed) => Sockets::adopt(passed)?,
            None => Sockets::of(&settings)?,
        };
        if let (Some(metrics), Some(tcp), true) = (metrics, &sockets.tcp, settings.reuse_port) {
            listen::keep_apart(metrics, tcp)?;
        }
        let metrics =
            metrics.map(|address| Ok((listen::listener(address, settings.reuse_port)?, address))).transpose()?;
        if let (Some(tcp), None) = (&sockets.tcp, settings.idle_timeout) {
            listen::keep_alive(tcp);
        }
        // Asked before a hang-up is handled: it takes the terminal away.
        let has_terminal = has_terminal();
        let process = Process::set_up(settings.style, settings.transcript == Extent::None, diagnostics, OnQuit::Die)?;
        let alarm = Alarm::new().map_err(|error| Error::Setup("the timer", error))?;
        let answerer = sockets.udp.map(|socket| Answerer::new(socket, sockets.passed)).transpose();
        let metrics = metrics.map(|(listener, address)| Metrics::new(listener, address)).transpose();
        let allowed = limit.map_or(Key::SLOTS, |limit| limit.saturating_sub(RESERVE).max(1));
        let mut server = Server {
            process,
            notifier: Notifier::from_env(),
            alarm,
            console: Console::stdin(operator::LONGEST_COMMAND),
            door: sockets.tcp.map(Door::new),
            answerer: answerer.map_err(|error| Error::Setup("the UDP socket", error))?,
            metrics: metrics.map_err(|error| Error::Setup("the metrics' socket", error))?,
            roster: Roster::new(settings.framing, settings.longest_message, settings.idle_timeout),
            desk: Desk::new(&settings),
            crowd: settings.max_per_address.map(Crowd::new),
            room: settings.max_connections.unwrap_or(allowed),
            passed: sockets.passed,
            started: Instant::now(),
            has_terminal,
            operator_waits: false,
            ending: None,
            settings,
        };
        server.register().map_err(|error| Error::Setup("the poll", error))?;
        Ok(server)
    }

    fn register(&mut self) -> std::io::Result<()> {
        let registry = self.process.reactor.registry();
        if let Some(door) = &mut self.door {
            registry.register(&mut door.listener, Source::Listener.token(), Interest::READABLE)?;
        }
        if let Some(answerer) = &mut self.answerer {
            answerer.register(registry)?;
        }
        if let Some(metrics) = &mut self.metrics {
            metrics.register(registry)?;
        }
        self.alarm.register(registry, Source::Alarm.token())?;
        self.console.register(registry, Source::Console.token())?;
        // A file is never announced, and a pipe may have been filled before.
        self.process.reactor.ask(Source::Console);
        Ok(())
    }

    /// Serves until it is told to stop, and everyone has been told.
    ///
    /// # Errors
    /// The poll keeps failing; nothing else ends a server that has started.
    pub fn run(mut self) -> Result<(), Error> {
        self.announce();
        let (mut now, mut turn) = (self.started, TurnEnd::default());
        while !self.is_over() {
            // The turn, in this order because: lines leave in one write when all are there; signals may change what the
            // rest should do (the reactor puts them first); input comes before deadlines, so that what has arrived
            // saves its sender; a slot is freed only when no event of this turn can name it any more.
            let deadline = self.deadline(now);
            if trace::is_on() {
                self.trace_end(turn, deadline);
            }
            let deadline = self.alarm.cover(deadline, now);
            now = self.process.wait(deadline)?;
            while let Some(mut slice) = self.process.reactor.next_slice() {
                self.serve(&mut slice);
                self.process.reactor.put_back(slice);
            }
            turn.swept = self.sweep(now);
            if self.ending.is_some() {
                self.end_drain_if_due(now);
                self.close_doors_if_late(now);
            }
            turn.reaped = self.reap();
            self.notifier.show_life(now);
            self.recall_operator();
        }
        if trace::is_on() {
            self.trace_last(turn);
        }
        self.conclude();
        Ok(())
    }

    fn serve(&mut self, slice: &mut Slice<Source>) {
        if trace::is_on() {
            return self.serve_traced(slice);
        }
        self.serve_untold(slice);
    }

    /// The same, told by the trace: apart, since a call before the others would cost each of them its registers.
    #[cold]
    fn serve_traced(&mut self, slice: &mut Slice<Source>) {
        self.trace_source(slice.source());
        self.serve_untold(slice);
    }

    fn serve_untold(&mut self, slice: &mut Slice<Source>) {
        match slice.source() {
            Source::Signals => self.heed_signals(slice.now()),
            Source::Listener => self.accept(slice),
            Source::Datagrams => self.answer(slice),
            Source::Console => self.heed_operator(slice),
            Source::Screen => self.process.heed(Source::Screen),
            Source::Diagnostics => self.process.heed(Source::Diagnostics),
            Source::Metrics => self.receive_visitor(slice.now()),
            Source::Visitor => self.attend(slice),
            // Deadlines are looked at in every turn.
            Source::Alarm => {}
            Source::Peer(key) => self.serve_peer(key, slice),
        }
    }

    fn announce(&mut self) {
        let tcp = self.door.as_ref().and_then(|door| door.listener.local_addr().ok());
        let udp = self.answerer.as_ref().map(Answerer::address);
        for (protocol, address) in [(Protocol::Tcp, tcp), (Protocol::Udp, udp)] {
            if let Some(address) = address {
                self.process.journal.answer(&Event::Listening { protocol, address });
            }
        }
        self.notifier.ready(self.started);
    }

    /// When the next wait must end.
    fn deadline(&self, now: Instant) -> Option<Instant> {
        // The exercise looks once a second whether there is something to do; a loop knows when there will be.
        if self.settings.busy_poll && self.somebody_is_there(now) {
            return Some(now);
        }
        // A door or a goodbye may be all that is left.
        let end = self.ending.as_ref().and_then(Ending::next);
        sooner(self.roster.next_deadline(), sooner(end, self.notifier.deadline()))
    }

    fn somebody_is_there(&self, now: Instant) -> bool {
        let heard = self.answerer.as_ref().is_some_and(|answerer| answerer.heard_within(SPIN_AFTER_DATAGRAM, now));
        heard || self.roster.clients() > 0
    }

    fn heed_signals(&mut self, now: Instant) {
        for signal in self.process.signals() {
            match signal {
                Signal::Stop if self.settings.drain != Some(Duration::ZERO) => self.drain(now),
                Signal::Interrupt | Signal::Stop => self.shut_down(now),
                Signal::HangUp if self.has_terminal => self.shut_down(now),
                Signal::HangUp => log::info!("a hang-up without a terminal: there is nothing to read anew"),
                // The terminal may be ours to read now.
                Signal::Continue => self.process.reactor.ask(Source::Console),
                Signal::Report => {}
            }
        }
    }

    fn answer(&mut self, slice: &mut Slice<Source>) {
        let Some(answerer) = &mut self.answerer else {
            return;
        };
        match answerer.serve(&mut self.desk, &mut self.process.journal, slice) {
            Afterwards::Wait => {}
            Afterwards::At(when) => self.process.reactor.pause(Source::Datagrams, when),
            Afterwards::Over => self.say_goodbye(slice.now()),
        }
    }

    /// The last word to those who sent datagrams. The socket is closed behind it: one that stayed would swallow what
    /// still comes.
    fn say_goodbye(&mut self, now: Instant) {
        // The exercise: what do UDP peers learn of a shutdown? Nothing, unless they are told.
        if let Some(mut answerer) = self.take_answerer() {
            answerer.say_goodbye(self.settings.idle_timeout, now);
        }
    }

    /// Takes the UDP socket out of the turn; what the kernel dropped there stays known.
    fn take_answerer(&mut self) -> Option<Answerer> {
        self.desk.stats.datagrams_dropped = self.datagrams_dropped().unwrap_or(0);
        self.answerer.take()
    }

    /// Frees the doomed, and says how many; whoever waits for a descriptor may have one now.
    fn reap(&mut self) -> usize {
        let reaped = self.roster.reap(self.process.reactor.registry());
        if reaped > 0 {
            self.process.reactor.wake(Source::Listener);
        }
        reaped
    }

    /// Tells how it ended, as far as stdout takes it before the last moment.
    fn conclude(&mut self) {
        let ending = self.ending.as_ref();
        let last_moment = ending.and_then(|ending| ending.until()?.checked_add(LAST_MOMENT));
        let left = last_moment.map_or(LAST_LINES, |last| last.saturating_duration_since(Instant::now()));
        self.process.journal.tell_last(&Event::ShutDown { cut: ending.map_or(0, |ending| ending.cut) });
        self.process.finish(left.min(LAST_LINES));
    }

    /// What the kernel dropped at our UDP socket, where it tells: asked only when somebody asks.
    fn datagrams_dropped(&self) -> Option<u64> {
        match &self.answerer {
            Some(answerer) => answerer.dropped(),
            None => Some(self.desk.stats.datagrams_dropped),
        }
    }

    fn stats(&self, now: Instant) -> Stats {
        Stats {
            uptime: now.saturating_duration_since(self.started),
            connections: (self.roster.clients() - self.roster.unnamed()) as u64,
            datagrams_dropped: self.datagrams_dropped().unwrap_or(0),
            lines_dropped: self.process.journal.dropped(),
            longest_turn: self.process.reactor.longest_turn(),
            ..self.desk.stats
        }
    }
}

impl ClientLine {
    fn new(peer: &Peer, now: Instant) -> ClientLine {
        ClientLine {
            peer: peer.address,
            via: peer.via.as_deref().copied(),
            connected: now.saturating_duration_since(peer.since),
            messages: peer.messages,
            silent: now.saturating_duration_since(peer.progress),
        }
    }
}
