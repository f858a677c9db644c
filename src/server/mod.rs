//! The server: what each source means to it, and the turn in which they are served.
//!
//! | room | what it does |
//! |---|---|
//! | [`listen`] | binds the sockets, all or none |
//! | `accept` | lets clients in, or turns them away |
//! | `converse` | reads messages, tells them, acknowledges them |
//! | `answer`, `peers` | the same for datagrams |
//! | [`operator`] | obeys commands from stdin |
//! | `closing` | every way to part: closed, idle, dismissed, shutdown |

pub mod listen;
pub mod operator;

mod accept;
mod answer;
mod closing;
mod converse;

mod peers;

use std::time::{Duration, Instant};

use mio::Interest;

use self::accept::{Door, RESERVE};
use self::answer::{Answerer, Next};
use self::converse::Desk;
use self::listen::Sockets;
use crate::error::Error;
use crate::process::limits::raise_descriptor_limit;
use crate::process::signals::{OnQuit, Signal, Signals};
use crate::reactor::{Key, Reactor, Ready, Source};
use crate::roster::{Peer, Roster};
use crate::stdio::block_terminal_stops;
use crate::stdio::console::Console;
use crate::stdio::diagnostics::Diagnostics;
use crate::transcript::Style;
use crate::transcript::journal::{Journal, LAST_LINES};
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
    /// Spin instead of sleeping while somebody is there.
    pub busy_poll: bool,
    /// Print the listening lines and answers only.
    pub quiet: bool,
    /// How events are written.
    pub style: Style,
}

/// The server, bound and ready to run.
pub struct Server {
    settings: Settings,
    reactor: Reactor,
    signals: Signals,
    console: Console,
    diagnostics: Diagnostics,
    door: Option<Door>,
    answerer: Option<Answerer>,
    roster: Roster,
    desk: Desk,
    /// How many clients there is room for.
    room: usize,
    started: Instant,
    stopping: bool,
    stopping_until: Option<Instant>,
    /// Connections that did not end within the grace of a shutdown.
    cut: u64,
}

impl Server {
    /// Binds the sockets and sets up the loop. `diagnostics` is where the log goes.
    ///
    /// # Errors
    /// What could not be resolved, bound or set up; then nothing is left bound.
    pub fn start(settings: Settings, diagnostics: Diagnostics) -> Result<Server, Error> {
        // Before the signal handlers: a resolver that hangs can still be interrupted.
        let address = listen::resolve(&settings.host, settings.port)?;
        let limit = raise_descriptor_limit();
        let sockets = Sockets::bind(address, settings.tcp, settings.udp)?;
        let signals = Signals::install(OnQuit::Die).map_err(|error| Error::Setup("signals", error))?;
        block_terminal_stops().map_err(|error| Error::Setup("signals", error))?;
        let answerer = sockets.udp.map(Answerer::new).transpose();
        let allowed = limit.map_or(Key::SLOTS, |limit| limit.saturating_sub(RESERVE).max(1));
        let mut server = Server {
            reactor: Reactor::new().map_err(|error| Error::Setup("the poll", error))?,
            signals,
            console: Console::stdin(operator::LONGEST_COMMAND),
            diagnostics,
            door: sockets.tcp.map(Door::new),
            answerer: answerer.map_err(|error| Error::Setup("the UDP socket", error))?,
            roster: Roster::new(settings.idle_timeout, settings.grace),
            desk: Desk::new(Journal::new(settings.style, settings.quiet)),
            room: settings.max_connections.unwrap_or(allowed),
            started: Instant::now(),
            stopping: false,
            stopping_until: None,
            cut: 0,
            settings,
        };
        server.register().map_err(|error| Error::Setup("the poll", error))?;
        Ok(server)
    }

    fn register(&mut self) -> std::io::Result<()> {
        let registry = self.reactor.registry();
        registry.register(&mut self.signals, Source::Signals.token(), Interest::READABLE)?;
        if let Some(door) = &mut self.door {
            registry.register(&mut door.listener, Source::Listener.token(), Interest::READABLE)?;
        }
        if let Some(answerer) = &mut self.answerer {
            answerer.register(registry)?;
        }
        self.console.register(registry, Source::Console.token())?;
        self.desk.journal.screen().register(registry, Source::Screen.token())?;
        self.diagnostics.register(registry, Source::Diagnostics.token())?;
        // A file is never announced, and a pipe may have been filled before.
        self.reactor.again(Source::Console);
        Ok(())
    }

    /// Serves until it is told to stop, and everyone has been told.
    ///
    /// # Errors
    /// The poll keeps failing; nothing else ends a server that has started.
    pub fn run(mut self) -> Result<(), Error> {
        self.announce();
        let mut now = self.started;
        while !self.is_over(now) {
            // The turn, in this order because: signals may change what the rest should do (the reactor puts them
            // first); input comes before deadlines, so that what has arrived saves its sender; a slot is freed only
            // when no event of this turn can name it any more; and lines leave in one write when all are there.
            now = self.reactor.wait(self.deadline(now)).map_err(Error::Poll)?;
            while let Some(ready) = self.reactor.next_ready() {
                self.serve(ready, now);
            }
            self.sweep(now);
            self.reap();
            self.flush();
        }
        self.desk.journal.tell(&Event::ShutDown { cut: self.cut });
        self.desk.journal.finish();
        self.diagnostics.finish(LAST_LINES);
        Ok(())
    }

    fn serve(&mut self, ready: Ready, now: Instant) {
        match ready.source {
            Source::Signals => self.heed_signals(now),
            Source::Listener => self.accept(now),
            Source::Datagrams => self.answer(now),
            Source::Console => self.heed_operator(now),
            // The screens are flushed at the end of every turn; no alarm is set here.
            Source::Screen | Source::Diagnostics | Source::Alarm => {}
            Source::Peer(key) => self.serve_peer(key, ready, now),
        }
    }

    fn announce(&mut self) {
        let tcp = self.door.as_ref().and_then(|door| door.listener.local_addr().ok());
        let udp = self.answerer.as_ref().map(Answerer::address);
        for (protocol, address) in [(Protocol::Tcp, tcp), (Protocol::Udp, udp)] {
            if let Some(address) = address {
                self.desk.journal.answer(&Event::Listening { protocol, address });
            }
        }
        self.flush();
    }

    /// When the next wait must end.
    fn deadline(&self, now: Instant) -> Option<Instant> {
        if self.settings.busy_poll && self.somebody_is_there(now) {
            return Some(now);
        }
        let stopping = self.stopping_until.filter(|_| self.answerer.as_ref().is_some_and(Answerer::waiting));
        [self.roster.next_deadline(), stopping].into_iter().flatten().min()
    }

    fn somebody_is_there(&self, now: Instant) -> bool {
        let heard = self.answerer.as_ref().is_some_and(|answerer| answerer.heard_within(SPIN_AFTER_DATAGRAM, now));
        heard || self.roster.clients() > 0
    }

    fn heed_signals(&mut self, now: Instant) {
        let signals: Vec<Signal> = self.signals.pending().collect();
        for signal in signals {
            match signal {
                Signal::Stop | Signal::HangUp => self.shut_down(now),
                // The terminal may be ours to read now.
                Signal::Continue => self.reactor.again(Source::Console),
                Signal::Report => {}
            }
        }
    }

    fn answer(&mut self, now: Instant) {
        let Some(answerer) = &mut self.answerer else {
            return;
        };
        match answerer.serve(&mut self.desk, now) {
            Next::Wait => {}
            Next::Again => self.reactor.again(Source::Datagrams),
            Next::At(when) => self.reactor.again_at(Source::Datagrams, when),
        }
    }

    /// Frees the doomed; whoever waits for a descriptor may have one now.
    fn reap(&mut self) {
        if self.roster.reap(self.reactor.registry()) > 0 {
            self.reactor.wake(Source::Listener);
        }
    }

    fn flush(&mut self) {
        self.desk.journal.flush();
        self.diagnostics.flush();
    }

    fn stats(&self, now: Instant) -> Stats {
        Stats {
            uptime: now.saturating_duration_since(self.started),
            connections: self.roster.clients() as u64,
            lines_dropped: self.desk.journal.dropped(),
            longest_turn: self.reactor.longest_turn(),
            ..self.desk.stats
        }
    }
}

impl ClientLine {
    fn new(peer: &Peer, now: Instant) -> ClientLine {
        ClientLine {
            peer: peer.address,
            connected: now.saturating_duration_since(peer.since),
            messages: peer.messages,
            silent: now.saturating_duration_since(peer.progress),
        }
    }
}
