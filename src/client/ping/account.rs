//! The account: every probe counted once, whatever becomes of it, and in whatever order that is told.
//!
//! Probes are numbered as they are sent, so they come to the end of their time in that order, too, and a number finds
//! its record by subtraction. What is decided leaves the front; the lost are kept beside for a while, since an answer
//! may yet come: late, but an answer. Where the wait has no end, those that are out leave the front as well, once so many
//! have followed that their fates cannot wait any longer; they, too, are kept beside.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Decided records kept at the front, so that a second answer is known for one.
const WINDOW: usize = 4096;
/// Probes that may be out at once, and lost ones remembered: what is due beyond is not sent, what is lost beyond is forgotten.
const MOST: usize = 1 << 22;
/// Where a probe may be out for ever, the fates of so many after it are held back for its sake.
const HELD_BACK: u64 = 1 << 16;
/// A lost probe is remembered for so many times the wait for one answer.
pub(super) const KEPT: u32 = 10;

/// What became of a probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    InFlight,
    Acknowledged,
    Lost,
    Late,
}

/// One probe. Times are in ns since the account was opened.
#[derive(Clone, Copy, Debug)]
struct Record<V> {
    due: u64,
    /// When `rtt` begins.
    written: u64,
    /// When its wait began, on a clock that stops while we stand still.
    wait_began: u64,
    fate: Fate,
    via: V,
}

/// The times of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Times {
    /// Since the probe was written.
    pub(super) rtt: Duration,
    /// Since it was due.
    pub(super) response: Duration,
}

/// What an answer means to the account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Meaning<V> {
    /// The probe is acknowledged.
    InTime(Times, V),
    /// It was lost already; this is counted beside.
    Late(Times),
    /// It had its answer.
    Again,
    /// Nothing is known of it (any more).
    Unknown,
}

/// All probes of a run. `V` is what its user wants to know about each.
#[derive(Debug)]
pub(super) struct Account<V> {
    opened: Instant,
    wait: Option<Duration>,
    /// How long we stood still so far, in ns.
    stood_still: u64,
    records: VecDeque<Record<V>>,
    /// The number of the first record.
    first: u64,
    /// No probe below this number is in flight ...
    awaited: u64,
    /// ... and the fate of none below this one is still to be told.
    judged: u64,
    /// Those in flight that have left the front, by number: the others were not to wait for them for ever.
    stragglers: VecDeque<(u64, Record<V>)>,
    /// Lost ones that have left the front, by number.
    lost_ones: VecDeque<(u64, Record<V>)>,
    /// The highest number of a lost one that was forgotten.
    forgotten: u64,
    /// Probes sent, which is also the last one's number.
    pub(super) sent: u64,
    /// Acknowledged in time.
    pub(super) acknowledged: u64,
    /// Lost.
    pub(super) lost: u64,
    /// Of the lost: acknowledged after all.
    pub(super) late: u64,
    /// Due and never sent.
    pub(super) unsent: u64,
}

impl<V: Copy> Account<V> {
    /// An account in which a probe may take `wait` to be acknowledged; `None`: for ever.
    pub(super) fn new(now: Instant, wait: Option<Duration>) -> Account<V> {
        Account {
            opened: now,
            wait,
            stood_still: 0,
            records: VecDeque::new(),
            first: 1,
            awaited: 1,
            judged: 1,
            stragglers: VecDeque::new(),
            lost_ones: VecDeque::new(),
            forgotten: 0,
            sent: 0,
            acknowledged: 0,
            lost: 0,
            late: 0,
            unsent: 0,
        }
    }

    /// Its time begins now; nothing was sent yet.
    pub(super) fn open(&mut self, now: Instant) {
        self.opened = now;
    }

    /// Probes whose fate is open.
    pub(super) fn in_flight(&self) -> u64 {
        self.sent - self.acknowledged - self.lost
    }

    /// Whether no more can be out.
    pub(super) fn is_full(&self) -> bool {
        self.in_flight() >= MOST as u64
    }

    /// A probe that was due at `due` is sent. Returns its number.
    pub(super) fn send(&mut self, due: Instant, now: Instant, via: V) -> u64 {
        let (due, now) = (self.since_opened(due), self.since_opened(now));
        let wait_began = now.saturating_sub(self.stood_still);
        self.records.push_back(Record { due, written: now, wait_began, fate: Fate::InFlight, via });
        self.sent += 1;
        self.sent
    }

    /// It is written only now: `rtt` begins here.
    pub(super) fn write(&mut self, seq: u64, now: Instant) {
        let now = self.since_opened(now);
        if let Some(record) = self.record(seq) {
            record.written = now;
        }
    }

    /// An answer to `seq` was received at `at`.
    pub(super) fn answer(&mut self, seq: u64, at: Instant) -> Meaning<V> {
        let at = self.since_opened(at);
        let (known, in_memory) = (seq <= self.sent && seq > self.forgotten, seq >= self.first);
        let Some(record) = self.record(seq) else {
            // What is in neither place and not forgotten was acknowledged long ago.
            return if known && !in_memory && seq > 0 { Meaning::Again } else { Meaning::Unknown };
        };
        let since = |begin: u64| Duration::from_nanos(at.saturating_sub(begin));
        let times = Times { rtt: since(record.written), response: since(record.due) };
        match record.fate {
            Fate::InFlight => {
                record.fate = Fate::Acknowledged;
                let via = record.via;
                self.acknowledged += 1;
                self.catch_up(seq);
                Meaning::InTime(times, via)
            }
            Fate::Lost => {
                record.fate = Fate::Late;
                self.late += 1;
                Meaning::Late(times)
            }
            Fate::Acknowledged | Fate::Late => Meaning::Again,
        }
    }

    /// The probe is lost, if its fate is open: how long after the beginning it was due, and what was to be known about it.
    pub(super) fn lose(&mut self, seq: u64) -> Option<(Duration, V)> {
        let record = self.record(seq).filter(|record| record.fate == Fate::InFlight)?;
        record.fate = Fate::Lost;
        let (due, via) = (Duration::from_nanos(record.due), record.via);
        self.lost += 1;
        self.catch_up(seq);
        Some((due, via))
    }

    /// When it was written.
    pub(super) fn written(&mut self, seq: u64) -> Option<Instant> {
        let written = self.record(seq)?.written;
        self.opened.checked_add(Duration::from_nanos(written))
    }

    /// What was to be known about a probe.
    pub(super) fn via(&mut self, seq: u64) -> Option<V> {
        self.record(seq).map(|record| record.via)
    }

    /// When the first one was due whose fate was not told yet.
    pub(super) fn first_open(&mut self) -> Option<Instant> {
        let due = self.record(self.judged)?.due;
        self.opened.checked_add(Duration::from_nanos(due))
    }

    /// Whether its fate is open.
    pub(super) fn is_in_flight(&self, seq: u64) -> bool {
        let Some(place) = seq.checked_sub(self.first) else {
            return place_of(&self.stragglers, seq).is_ok();
        };
        let record = usize::try_from(place).ok().and_then(|place| self.records.get(place));
        record.is_some_and(|record| record.fate == Fate::InFlight)
    }

    /// The probe that has been out for longest.
    pub(super) fn oldest_in_flight(&mut self) -> Option<u64> {
        while self.awaited <= self.sent && !self.is_in_flight(self.awaited) {
            self.awaited += 1;
        }
        (self.awaited <= self.sent).then_some(self.awaited)
    }

    /// When the oldest one's time is up.
    pub(super) fn next_expiry(&mut self) -> Option<Instant> {
        let seq = self.oldest_in_flight()?;
        self.expiry(seq)
    }

    fn expiry(&mut self, seq: u64) -> Option<Instant> {
        let wait = self.wait?;
        let began = self.record(seq)?.wait_began;
        self.opened.checked_add(Duration::from_nanos(began.saturating_add(self.stood_still)))?.checked_add(wait)
    }

    /// Whether it is out, and an answer that was received at `at` came beyond its wait.
    pub(super) fn is_overdue(&mut self, seq: u64, at: Instant) -> bool {
        self.is_in_flight(seq) && self.expiry(seq).is_some_and(|expiry| at > expiry)
    }

    /// The next one whose time is up. It is for the caller to [lose](Account::lose) it.
    pub(super) fn overdue(&mut self, now: Instant) -> Option<u64> {
        self.next_expiry().filter(|&expiry| expiry <= now)?;
        Some(self.awaited)
    }

    /// We stood still for so long: nobody's wait ran meanwhile.
    pub(super) fn stand_still(&mut self, span: Duration) {
        self.stood_still = self.stood_still.saturating_add(nanoseconds(span));
    }

    /// Tells the fates in the order of the probes: when each was due, and whether it was acknowledged in time. One whose
    /// fate is open holds up those after it, unless they are too many: then it is told as it stands, not acknowledged.
    /// Forgets what need not be kept any longer.
    pub(super) fn judge(&mut self, now: Instant, mut tell: impl FnMut(Instant, bool)) {
        let held_back = if self.wait.is_none() { HELD_BACK } else { MOST as u64 };
        while self.judged <= self.sent {
            let Ok(place) = usize::try_from(self.judged - self.first) else { return };
            let record = &self.records[place];
            if record.fate == Fate::InFlight && self.sent - self.judged < held_back {
                break;
            }
            // One that is still out so far behind is told as not acknowledged: an outage may be all of such ones, and an
            // answer that comes after all is in the other figures.
            tell(self.opened + Duration::from_nanos(record.due), record.fate == Fate::Acknowledged);
            self.judged += 1;
        }
        self.forget(now);
    }

    fn forget(&mut self, now: Instant) {
        while self.records.len() > WINDOW && self.first < self.judged {
            let Some(record) = self.records.pop_front() else { return };
            match record.fate {
                Fate::InFlight => self.stragglers.push_back((self.first, record)),
                Fate::Lost => self.lost_ones.push_back((self.first, record)),
                Fate::Acknowledged | Fate::Late => {}
            }
            self.first += 1;
        }
        if self.lost_ones.is_empty() {
            return;
        }
        let kept = self.wait.map_or(u64::MAX, |wait| nanoseconds(wait).saturating_mul(u64::from(KEPT) + 1));
        let clock = self.since_opened(now).saturating_sub(self.stood_still);
        while let Some(&(seq, record)) = self.lost_ones.front()
            && (clock.saturating_sub(record.wait_began) > kept || self.lost_ones.len() > MOST)
        {
            self.lost_ones.pop_front();
            self.forgotten = seq;
        }
    }

    /// A straggler whose fate is decided is one no longer.
    fn catch_up(&mut self, seq: u64) {
        let Ok(place) = place_of(&self.stragglers, seq) else {
            return;
        };
        if let Some((_, record)) = self.stragglers.remove(place)
            && record.fate == Fate::Lost
        {
            let place = place_of(&self.lost_ones, seq).unwrap_or_else(|place| place);
            self.lost_ones.insert(place, (seq, record));
        }
    }

    /// From this number on all are known, whatever became of them; below it those that are [kept](Account::is_kept) beside.
    pub(super) fn first_known(&self) -> u64 {
        self.first
    }

    /// Whether it has left the front and is kept beside.
    pub(super) fn is_kept(&self, seq: u64) -> bool {
        [&self.stragglers, &self.lost_ones].into_iter().any(|aside| place_of(aside, seq).is_ok())
    }

    fn record(&mut self, seq: u64) -> Option<&mut Record<V>> {
        if let Some(place) = seq.checked_sub(self.first) {
            return self.records.get_mut(usize::try_from(place).ok()?);
        }
        let aside = match place_of(&self.stragglers, seq) {
            Ok(place) => self.stragglers.get_mut(place),
            Err(_) => self.lost_ones.get_mut(place_of(&self.lost_ones, seq).ok()?),
        };
        aside.map(|(_, record)| record)
    }

    fn since_opened(&self, at: Instant) -> u64 {
        nanoseconds(at.saturating_duration_since(self.opened))
    }
}

/// Where one stands among those that are kept by number, or would.
fn place_of<V>(aside: &VecDeque<(u64, Record<V>)>, seq: u64) -> Result<usize, usize> {
    aside.binary_search_by_key(&seq, |&(seq, _)| seq)
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
