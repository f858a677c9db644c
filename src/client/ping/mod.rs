//! `--ping`: how long does an acknowledgement take?
//!
//! An open loop: probes are due on a fixed schedule, whatever the answers do,
//! and `response` counts from the moment a probe was due, so a server that
//! froze shows. A closed loop would stop asking just then, and report the
//! outage as one slow probe (coordinated omission).

mod flows;
mod schedule;
mod tally;

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use self::flows::{Flows, Role, State};
use self::schedule::Schedule;
use self::tally::{Probe, Tally};
use super::link::{BUFFER, Received};
use super::stage::Stage;
use crate::connection::is_reset;
use crate::error::{Error, exit};
use crate::escape::cause;
use crate::latency::{Curve, Latencies, Millis, write_hgrm, write_svg};
use crate::limits::raise_descriptor_limit;
use crate::reactor::{Key, Ready, Source};
use crate::signals::Signal;
use crate::timer::Alarm;
use crate::transcript::address::Address;
use crate::transcript::instrument::{Event, Figures};
use crate::wire::{Framing, Protocol, Reply};

/// A lost probe's socket is kept for so many times the wait for one answer.
const KEPT: u32 = 10;
/// The live line is written anew so often.
const LIVE: Duration = Duration::from_millis(500);
/// While there is another address to try, one may take so long to connect ...
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// ... and, over UDP, to answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(1);
/// Probes sent in one turn at most, so that what comes back is heard however many are due.
const SENDS: usize = 1024;

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

/// A file for figures, made before the run so that it cannot fail for its name after it.
#[derive(Debug)]
pub struct Output {
    path: String,
    files: Vec<File>,
}

impl Output {
    /// Makes the file.
    ///
    /// # Errors
    /// It cannot be written: a usage error that names it.
    pub fn create(paths: &[String]) -> Result<Output, Error> {
        let create = |path: &String| {
            File::create(path)
                .map_err(|error| Error::Usage(format!("cannot write the file '{path}': {}", cause(&error))))
        };
        let files = paths.iter().map(create).collect::<Result<_, _>>()?;
        Ok(Output { path: paths.first().cloned().unwrap_or_default(), files })
    }
}

/// A run of probes.
pub struct Ping {
    stage: Stage,
    alarm: Alarm,
    settings: Settings,
    message: Vec<u8>,
    /// Addresses not tried yet.
    addresses: VecDeque<SocketAddr>,
    peer: SocketAddr,
    flows: Flows,
    /// Probes in flight in the order of their sending: when each is lost, by which flow it went.
    expiries: VecDeque<(Instant, usize)>,
    /// The timetable, once an address is settled on.
    schedule: Option<Schedule>,
    tally: Tally,
    began: Instant,
    next_live: Option<Instant>,
    buffer: Box<[u8]>,
    failed: bool,
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
        let mut addresses = VecDeque::from(addresses);
        let peer = addresses.pop_front().unwrap_or(([0, 0, 0, 0], 0).into());
        Ok(Ping {
            alarm,
            message: b"hello".iter().copied().cycle().take(settings.size).collect(),
            addresses,
            peer,
            flows: Flows::new(settings.flows, settings.protocol, settings.framing, now),
            expiries: VecDeque::new(),
            schedule: None,
            tally: Tally::new(settings.flows),
            began: now,
            next_live: (stage.is_terminal_err()).then_some(now + 2 * LIVE),
            buffer: vec![0; BUFFER].into_boxed_slice(),
            failed: false,
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
            let now = self.stage.wait(deadline)?;
            while let Some(ready) = self.stage.reactor.next_ready() {
                match ready.source {
                    Source::Signals => self.heed_signals(),
                    Source::Peer(key) => self.serve(key, ready),
                    _ => {}
                }
            }
            self.expire(now.max(Instant::now()));
            self.send_due();
            self.show_progress(now);
        }
        Ok(self.conclude())
    }

    /// Asks the address whether it is the one: TCP by connecting, UDP by a
    /// message of its own, unless there is no other to choose.
    fn approach(&mut self) {
        let now = Instant::now();
        if self.settings.protocol == Protocol::Udp && self.addresses.is_empty() {
            return self.start(now);
        }
        let asked = self.open(0, now).and_then(|()| match (self.settings.protocol, self.flows.link(0)) {
            (Protocol::Udp, Some(link)) => link.send(&self.message).map(drop),
            _ => Ok(()),
        });
        self.flows.flows[0].state = State::Connecting(None);
        if let Err(error) = asked {
            self.next_address(&error);
        }
    }

    /// How long the address may take to accept or to answer.
    fn patience(&self) -> Option<Duration> {
        let most = match self.settings.protocol {
            _ if self.addresses.is_empty() => return self.settings.timeout,
            Protocol::Tcp => CONNECT_TIMEOUT,
            Protocol::Udp => ANSWER_TIMEOUT,
        };
        Some(self.settings.timeout.map_or(most, |timeout| timeout.min(most)))
    }

    fn start(&mut self, now: Instant) {
        self.began = now;
        let until = self.settings.deadline.and_then(|deadline| now.checked_add(deadline));
        self.schedule = Some(Schedule::new(now, self.settings.interval, self.settings.count, until));
        if self.settings.protocol == Protocol::Tcp {
            for flow in 1..self.settings.flows {
                // One that fails is opened by its first probe, which tells.
                let _ = self.open(flow, now);
            }
        }
    }

    fn open(&mut self, flow: usize, now: Instant) -> io::Result<()> {
        self.flows.open(flow, self.peer, self.stage.reactor.registry(), now)
    }

    /// No way to this address: goes to the next, before the run has begun.
    fn next_address(&mut self, error: &io::Error) {
        let Settings { protocol, .. } = self.settings;
        self.stage.complain(format_args!("cannot connect to {protocol} {}: {}", Address::new(self.peer), cause(error)));
        self.flows.drop_link(0, Instant::now());
        match self.addresses.pop_front() {
            None => self.failed = true,
            Some(address) => {
                self.peer = address;
                self.approach();
            }
        }
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
        let expiry = self.expiries.front().map(|expiry| expiry.0);
        [connecting, due, over, expiry, self.flows.next_farewell(), self.next_live].into_iter().flatten().min()
    }

    fn heed_signals(&mut self) {
        if self.stage.signals().contains(&Signal::Report) {
            let figures = self.figures();
            self.stage.report(&Event::Summary(&figures));
        }
    }

    /// Sends what is due by the flows that are free.
    fn send_due(&mut self) {
        for _ in 0..SENDS {
            let now = Instant::now();
            let Some(schedule) = &mut self.schedule else {
                return;
            };
            if schedule.next_due(now).is_none_or(|due| due > now) {
                return;
            }
            let Some(flow) = self.flows.take_ready() else {
                return;
            };
            let Some((seq, due)) = schedule.take(now) else {
                return;
            };
            let (state, free_since) = (self.flows.flows[flow].state, self.flows.flows[flow].since);
            let probe = Probe { seq, due, sent: now };
            self.tally.send(probe, flow, free_since);
            if state == State::Absent
                && let Err(error) = self.open(flow, now)
            {
                self.lose(probe, flow, &why(&error), now);
                continue;
            }
            match self.flows.flows[flow].state {
                State::Connecting(_) => {
                    self.flows.flows[flow].state = State::Connecting(Some(probe));
                    self.expect(flow, now);
                }
                _ => self.send(probe, flow),
            }
        }
    }

    /// Puts a probe on its way.
    fn send(&mut self, probe: Probe, flow: usize) {
        let Some(link) = self.flows.link(flow) else {
            return;
        };
        let sent = Instant::now();
        let outcome = link.send(&self.message);
        self.tally.flows[flow].source_port = link.local_port().unwrap_or_default();
        let probe = Probe { sent, ..probe };
        self.flows.flows[flow].state = State::Busy(probe);
        match outcome {
            Ok(true) => self.expect(flow, sent),
            Ok(false) => self.lose(probe, flow, "no room to send", sent),
            Err(error) => self.lose(probe, flow, &why(&error), sent),
        }
    }

    /// Notes when the probe of `flow` is lost.
    fn expect(&mut self, flow: usize, sent: Instant) {
        if let Some(expiry) = self.settings.timeout.and_then(|timeout| sent.checked_add(timeout)) {
            self.expiries.push_back((expiry, flow));
        }
    }

    fn serve(&mut self, key: Key, ready: Ready) {
        if let Some((_, Role::Flow(flow))) = self.flows.endpoint(key)
            && let State::Connecting(probe) = self.flows.flows[flow].state
        {
            return match self.settings.protocol {
                Protocol::Tcp => self.check_connection(flow, probe),
                Protocol::Udp => self.check_answer(flow, ready),
            };
        }
        let Some((link, _)) = self.flows.endpoint(key) else {
            return;
        };
        let mut flushed = link.flush().map(drop);
        while flushed.is_ok() {
            let Some((link, _)) = self.flows.endpoint(key) else {
                return;
            };
            let mut replies = Vec::new();
            let received = link.receive(&mut self.buffer, ready, |reply| replies.push(Answer::of(reply)));
            let now = Instant::now();
            replies.into_iter().for_each(|answer| self.take_answer(key, &answer, now));
            match received {
                Ok(Received::More) => {}
                Ok(Received::Drained) => return,
                Ok(Received::Ended) => flushed = Err(io::ErrorKind::UnexpectedEof.into()),
                Err(error) => flushed = Err(error),
            }
        }
        if let Err(error) = flushed {
            self.take_answer(key, &Answer::Broken(why(&error)), Instant::now());
        }
    }

    fn check_connection(&mut self, flow: usize, probe: Option<Probe>) {
        let now = Instant::now();
        let since = self.flows.flows[flow].since;
        match self.flows.link(flow).map(|link| link.is_established()) {
            Some(Ok(true)) => {
                self.tally.connects.record(now.saturating_duration_since(since));
                match probe {
                    Some(probe) => self.send(probe, flow),
                    None => self.flows.set(flow, State::Free, now),
                }
                if self.schedule.is_none() {
                    self.start(now);
                }
            }
            Some(Ok(false)) | None => {}
            Some(Err(error)) if self.schedule.is_none() => self.next_address(&error),
            Some(Err(error)) => {
                self.flows.drop_link(flow, now);
                match probe {
                    Some(probe) => self.tell_lost(probe, flow, &why(&error)),
                    None => self.tell_cut(flow, &why(&error)),
                }
            }
        }
    }

    /// Whether a datagram to an address among others was acknowledged.
    fn check_answer(&mut self, flow: usize, ready: Ready) {
        let now = Instant::now();
        let mut answered = false;
        while let Some(link) = self.flows.link(flow) {
            match link.receive(&mut self.buffer, ready, |reply| answered |= reply == Reply::Ack) {
                Ok(Received::More) => {}
                Ok(Received::Drained | Received::Ended) => break,
                Err(error) => return self.next_address(&error),
            }
        }
        if answered {
            self.flows.set(flow, State::Free, now);
            self.start(now);
        }
    }

    /// What came by the socket of `key`: the answer to its probe, a late one, or its end.
    fn take_answer(&mut self, key: Key, answer: &Answer, now: Instant) {
        let Some((_, role)) = self.flows.endpoint(key) else {
            return;
        };
        let Settings { protocol, dated, .. } = self.settings;
        let peer = self.peer;
        match (role, answer) {
            (Role::Retired(Probe { seq, sent, .. }), Answer::Ack) => {
                self.flows.close(key);
                self.tally.late += 1;
                let rtt = now.saturating_duration_since(sent);
                self.tell(&Event::Late { protocol, peer, seq, rtt, dated });
            }
            (Role::Retired(_), Answer::Broken(_)) => self.flows.close(key),
            (Role::Retired(_), Answer::Notice(_) | Answer::Wrong) => {}
            (Role::Flow(flow), answer) => match (self.flows.flows[flow].state, answer) {
                (State::Busy(probe), Answer::Ack) => {
                    let (rtt, response) = self.tally.acknowledge(probe, flow, now);
                    self.flows.set(flow, State::Free, now);
                    let (seq, flow) = (probe.seq, flow as u64 + 1);
                    self.tell(&Event::Reply { protocol, peer, seq, flow, rtt, response, dated });
                }
                (_, Answer::Ack) => log::warn!("an acknowledgement came that answers no probe"),
                (State::Busy(probe), Answer::Wrong) => self.lose(probe, flow, "wrong answer", now),
                (State::Busy(probe), Answer::Notice(why) | Answer::Broken(why)) => self.lose(probe, flow, why, now),
                (_, Answer::Notice(why) | Answer::Broken(why)) => {
                    self.flows.drop_link(flow, now);
                    self.tell_cut(flow, why);
                }
                (_, Answer::Wrong) => log::warn!("something came that is no acknowledgement"),
            },
        }
    }

    /// A probe is lost for a reason that leaves nothing to wait for: its socket goes with it.
    fn lose(&mut self, probe: Probe, flow: usize, why: &str, now: Instant) {
        self.flows.drop_link(flow, now);
        self.tell_lost(probe, flow, why);
    }

    fn tell_lost(&mut self, probe: Probe, flow: usize, reason: &str) {
        self.tally.lose(flow);
        let Settings { protocol, dated, .. } = self.settings;
        self.tell(&Event::Lost { protocol, peer: self.peer, seq: probe.seq, reason, dated });
    }

    /// A connection was cut between probes: nothing is lost, but it should be known.
    fn tell_cut(&mut self, flow: usize, why: &str) {
        self.stage.complain(format_args!("flow {} was cut between probes ({why}), it is replaced", flow + 1));
    }

    fn tell(&mut self, event: &Event<'_>) {
        if !self.settings.quiet {
            self.hide_progress();
            self.stage.journal.tell(event);
        }
    }

    /// Gives up what was awaited for too long; the sockets stay for a while, for what comes late.
    fn expire(&mut self, now: Instant) {
        if self.schedule.is_none()
            && let Some(patience) = self.patience()
            && now.saturating_duration_since(self.flows.flows[0].since) >= patience
        {
            return self.next_address(&io::ErrorKind::TimedOut.into());
        }
        while let Some(&(expiry, flow)) = self.expiries.front() {
            if expiry > now {
                break;
            }
            self.expiries.pop_front();
            let Some(timeout) = self.settings.timeout else {
                continue;
            };
            match self.flows.flows[flow].state {
                State::Busy(probe) if probe.sent + timeout <= now => {
                    let until = timeout.checked_mul(KEPT).and_then(|kept| now.checked_add(kept));
                    self.flows.retire(flow, probe, until, now);
                    self.tell_lost(probe, flow, "no answer in time");
                }
                State::Connecting(Some(probe)) if probe.sent + timeout <= now => {
                    self.lose(probe, flow, "no connection in time", now);
                }
                _ => {}
            }
        }
        self.flows.say_farewell(now);
    }

    fn figures(&self) -> Figures {
        let now = Instant::now();
        let unsent = self.schedule.as_ref().map_or(0, |schedule| schedule.overdue(now));
        self.tally.figures(self.settings.protocol, self.peer, unsent, now.saturating_duration_since(self.began))
    }

    /// The live line, where a person watches a run that takes a while.
    fn show_progress(&mut self, now: Instant) {
        if self.next_live.is_none_or(|due| due > now) {
            return;
        }
        self.next_live = Some(now + LIVE);
        let Tally { sent, acknowledged, lost, rtt, .. } = &self.tally;
        let p50 = rtt.summary().p50.map_or("-".to_owned(), |p50| Millis(p50).to_string());
        self.stage.show_live(&format!("{sent} sent, {acknowledged} acknowledged, {lost} lost, p50 {p50} ms"));
    }

    /// Makes room for a line on stdout, where that is the same terminal.
    fn hide_progress(&mut self) {
        if self.next_live.is_some() {
            self.stage.show_live("");
        }
    }

    /// The figures, the files and the exit code.
    fn conclude(mut self) -> u8 {
        let figures = self.figures();
        self.hide_progress();
        if self.schedule.is_none() && !self.failed {
            let Settings { protocol, .. } = self.settings;
            self.stage.complain(format_args!("no way to {protocol} {} until the end", Address::new(self.peer)));
        }
        // What waits goes first: the summary must find room.
        self.stage.finish();
        let dropped = self.stage.journal.dropped();
        self.stage.journal.tell(&Event::Summary(&figures));
        self.warn(&figures);
        let saved = self.save();
        let interrupted = self.stage.is_interrupted();
        let lossless = figures.loss_percent() <= self.settings.max_loss;
        let complete = figures.unsent == 0 || interrupted;
        self.stage.finish();
        let read = !self.stage.is_unread() && self.stage.journal.dropped() == dropped;
        let verified = lossless && complete && figures.acknowledged > 0 && saved && read;
        if verified { exit::DONE } else { exit::FAILED }
    }

    /// Says where the figures are not what they seem.
    fn warn(&mut self, figures: &Figures) {
        let Some(rtt) = figures.rtt.p50 else {
            return;
        };
        if let Some(own) = self.tally.own_lateness.summary().p50
            && own >= rtt
        {
            self.stage.complain(format_args!(
                "our own sending was late by {} ms (p50), as long as the round trip: response shows this machine as much as the path",
                Millis(own)
            ));
        }
        let interval = self.settings.interval;
        if !interval.is_zero() && rtt > interval * u32::try_from(self.settings.flows).unwrap_or(u32::MAX) {
            let flows = rtt.as_nanos().div_ceil(interval.as_nanos()) + 1;
            self.stage.complain(format_args!(
                "the round trip exceeds the interval, so probes waited for a free flow: --flows {flows} keeps up"
            ));
        }
    }

    /// Writes the distributions where they were asked for.
    fn save(&mut self) -> bool {
        let Tally { rtt, response, .. } = &self.tally;
        let both: [&Latencies; 2] = [rtt, response];
        let mut failures = Vec::new();
        if let Some(Output { path, files }) = &self.settings.hgrm {
            for (file, latencies) in files.iter().zip(both) {
                failures.extend(save(file, |out| write_hgrm(latencies, out)).err().map(|error| (path, error)));
            }
        }
        if let Some(Output { path, files }) = &self.settings.plot {
            let title = format!("{} {} acknowledgement", Address::new(self.peer), self.settings.protocol);
            let curves = [Curve { name: "rtt", latencies: rtt }, Curve { name: "response", latencies: response }];
            for file in files {
                failures.extend(save(file, |out| write_svg(&title, &curves, out)).err().map(|error| (path, error)));
            }
        }
        for (path, error) in &failures {
            self.stage.complain(format_args!("cannot write the file '{path}': {}", cause(error)));
        }
        failures.is_empty()
    }
}

fn save(file: &File, write: impl FnOnce(&mut BufWriter<&File>) -> io::Result<()>) -> io::Result<()> {
    let mut out = BufWriter::new(file);
    write(&mut out)?;
    out.flush()
}

/// A reply, once the buffer it stood in is gone.
#[derive(Debug)]
enum Answer {
    Ack,
    Notice(String),
    Wrong,
    Broken(String),
}

impl Answer {
    fn of(reply: Reply<'_>) -> Answer {
        match reply {
            Reply::Ack => Answer::Ack,
            Reply::Notice(notice) => Answer::Notice(notice.text().to_owned()),
            Reply::Wrong(_) => Answer::Wrong,
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
