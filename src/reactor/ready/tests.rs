#![allow(clippy::unwrap_used)]

use super::super::token::tests::{Who, peer};
use super::*;

const MS: Duration = Duration::from_millis(1);

/// A queue whose turns are begun and timed by hand.
struct Turns {
    queue: ReadyQueue<Who>,
    now: Instant,
}

impl Turns {
    fn new(sources: impl IntoIterator<Item = Who>) -> Turns {
        let now = Instant::now();
        let mut queue = ReadyQueue::new(now);
        sources.into_iter().for_each(|source| queue.enqueue(source, false));
        queue.begin_turn(now);
        Turns { queue, now }
    }

    fn next(&mut self) -> Option<Slice<Who>> {
        let now = self.now;
        self.queue.next(|| now)
    }

    /// Serves one slice that takes `span`; whether it spends all it has.
    fn serve(&mut self, span: Duration, spends: bool) -> Option<Who> {
        let mut slice = self.next()?;
        let source = slice.source();
        self.now += span;
        if spends {
            use_up(&mut slice);
        }
        self.queue.put_back(slice);
        Some(source)
    }

    /// All that are served in this turn when each slice takes `span`.
    fn serve_all(&mut self, span: Duration, spends: bool) -> Vec<Who> {
        std::iter::from_fn(|| self.serve(span, spends)).collect()
    }

    fn begin_turn(&mut self) {
        self.queue.begin_turn(self.now);
    }
}

/// Uses all of a slice, so that it is cut off.
fn use_up(slice: &mut Slice<Who>) {
    slice.budget.spend(SLICE_MESSAGES);
    assert!(!slice.budget.may_tell());
}

fn peers(slots: std::ops::Range<u32>) -> Vec<Who> {
    slots.map(|slot| peer(slot, 0)).collect()
}

#[test]
fn a_slice_that_is_narrowed_is_cut_off_sooner_and_is_as_little_as_it_is() {
    let mut turns = Turns::new([peer(0, 0)]);
    let mut slice = turns.next().unwrap();
    slice.budget.narrow(18);
    slice.budget.narrow(200);
    assert!(slice.budget.may_read());
    slice.budget.spend(18);
    assert!(!slice.budget.is_well_used());
    assert!(!slice.budget.may_tell() && !slice.budget.may_read() && slice.budget.is_cut_off());
}

#[test]
fn a_slice_is_256_messages_or_64_kib() {
    let mut turns = Turns::new([peer(0, 0)]);
    let mut slice = turns.next().unwrap();
    for _ in 0..256 {
        assert!(slice.budget.may_tell());
        slice.budget.spend(1);
    }
    assert!(!slice.budget.is_cut_off());
    assert!(!slice.budget.may_tell() && !slice.budget.may_read());
    assert!(slice.budget.is_cut_off());

    let mut slice = turns.queue.due(peer(0, 0), turns.now).unwrap();
    assert_eq!(slice.budget.bytes(), 65_536);
    slice.budget.spend_bytes(65_535);
    assert!(slice.budget.may_read());
    slice.budget.spend_bytes(1);
    // What was read last may still be told.
    assert!(slice.budget.may_tell() && !slice.budget.is_cut_off());
    assert!(!slice.budget.may_read() && slice.budget.is_cut_off());
}

#[test]
fn each_source_is_served_once_a_turn_and_who_was_cut_off_comes_back_in_the_next() {
    let mut turns = Turns::new(peers(0..3));
    turns.queue.enqueue(peer(0, 0), false);
    assert_eq!(turns.serve_all(Duration::ZERO, true), peers(0..3));
    turns.begin_turn();
    assert_eq!(turns.serve_all(Duration::ZERO, false), peers(0..3));
    turns.begin_turn();
    assert_eq!(turns.next().map(|slice| slice.source()), None);
    assert!(turns.queue.is_empty());
}

#[test]
fn the_new_come_before_the_old_and_whom_an_event_names_stays_what_it_is() {
    let mut turns = Turns::new(peers(0..2));
    turns.serve_all(Duration::ZERO, true);
    // An event of an old one does not make it new ...
    turns.queue.enqueue(peer(0, 0), false);
    turns.queue.enqueue(peer(7, 0), false);
    turns.begin_turn();
    assert_eq!(turns.serve_all(Duration::ZERO, false), [peer(7, 0), peer(0, 0), peer(1, 0)]);
    // ... until it is drained.
    turns.queue.enqueue(peer(8, 0), false);
    turns.queue.enqueue(peer(0, 0), false);
    turns.begin_turn();
    assert_eq!(turns.serve_all(Duration::ZERO, false), [peer(8, 0), peer(0, 0)]);
}

#[test]
fn new_ones_are_served_until_2_5_ms_into_a_turn_and_the_rest_comes_first_in_the_next() {
    let mut turns = Turns::new(peers(0..10));
    assert_eq!(turns.serve_all(MS, false), peers(0..3));
    turns.queue.enqueue(peer(20, 0), false);
    turns.begin_turn();
    assert_eq!(turns.serve_all(MS, false), peers(3..6));
}

#[test]
fn old_ones_are_served_until_5_ms_into_a_turn() {
    let mut turns = Turns::new(peers(0..20));
    while turns.serve(Duration::ZERO, true).is_some() {}
    turns.begin_turn();
    assert_eq!(turns.serve_all(MS, true), peers(0..5));
    // New ones of 2.5 ms leave them the other half.
    peers(30..40).into_iter().for_each(|source| turns.queue.enqueue(source, false));
    turns.begin_turn();
    assert_eq!(turns.serve_all(MS, true), [peers(30..33), peers(5..7)].concat());
}

#[test]
fn one_of_each_kind_is_served_however_late_it_is() {
    let mut turns = Turns::new(peers(0..4));
    while turns.serve(Duration::ZERO, true).is_some() {}
    peers(10..14).into_iter().for_each(|source| turns.queue.enqueue(source, false));
    turns.begin_turn();
    assert_eq!(turns.serve_all(1000 * MS, true), [peer(10, 0), peer(0, 0)]);
    let due = turns.queue.due(peer(99, 0), turns.now).unwrap();
    assert_eq!(due.source(), peer(99, 0));
    assert!(turns.queue.due(peer(99, 0), turns.now).is_none());
}

#[test]
fn whose_deadline_is_over_is_served_until_7_5_ms_into_a_turn() {
    let mut turns = Turns::new([]);
    let mut due = 0;
    while turns.queue.due(peer(due, 0), turns.now).is_some() {
        due += 1;
        turns.now += MS;
    }
    assert_eq!(due, 8);
}

#[test]
fn an_entry_of_an_earlier_tenant_hides_nothing_of_the_later_one() {
    let mut turns = Turns::new([peer(0, 0), peer(0, 1), peer(1, 0)]);
    // It does not count as the one that is served in any case, either.
    turns.now += 1000 * MS;
    assert_eq!(turns.serve(MS, true), Some(peer(0, 1)));
    assert_eq!(turns.serve(MS, true), None);
    // What was cut off and has left does not come back in its successor's place.
    turns.queue.enqueue(peer(0, 2), false);
    turns.begin_turn();
    assert_eq!(turns.serve_all(Duration::ZERO, false), [peer(1, 0), peer(0, 2)]);
    // Nor does it keep anybody awake.
    assert!(turns.queue.is_empty());
}

#[test]
fn one_that_is_cut_off_in_an_earlier_tenants_place_does_not_leave_it_waiting() {
    let mut turns = Turns::new([peer(0, 0)]);
    assert_eq!(turns.serve(MS, true), Some(peer(0, 0)));
    // The successor's deadline is over before an event names it.
    let mut due = turns.queue.due(peer(0, 1), turns.now).unwrap();
    use_up(&mut due);
    turns.queue.put_back(due);
    turns.begin_turn();
    assert_eq!(turns.serve_all(Duration::ZERO, false), [peer(0, 1)]);
    assert!(turns.queue.is_empty());
}

#[test]
fn who_stands_among_the_old_when_its_deadline_is_over_stands_there_once() {
    let mut turns = Turns::new([peer(0, 0)]);
    assert_eq!(turns.serve(MS, true), Some(peer(0, 0)));
    for _ in 0..3 {
        let mut due = turns.queue.due(peer(0, 0), turns.now).unwrap();
        use_up(&mut due);
        turns.queue.put_back(due);
        turns.begin_turn();
    }
    assert_eq!(turns.serve_all(Duration::ZERO, true), [peer(0, 0)]);
    turns.begin_turn();
    assert_eq!(turns.serve_all(Duration::ZERO, false), [peer(0, 0)]);
    assert!(turns.queue.is_empty());
}

#[test]
fn signals_come_before_whoever_waits() {
    let mut turns = Turns::new([peer(0, 0), Who::Listener, Who::Signals]);
    assert_eq!(turns.serve_all(Duration::ZERO, false), [Who::Signals, peer(0, 0), Who::Listener]);
}

#[test]
fn a_short_read_proves_the_drain_unless_the_end_was_told_or_nobody_told_anything() {
    let mut turns = Turns::new([]);
    turns.queue.enqueue(peer(0, 0), false);
    turns.queue.enqueue(peer(1, 0), true);
    turns.queue.enqueue(peer(0, 0), false);
    turns.begin_turn();
    let proves = |slice: &Slice<Who>| slice.budget.drained_by(1, 2);
    let (told, ended) = (turns.next().unwrap(), turns.next().unwrap());
    assert_eq!((proves(&told), proves(&ended)), (cfg!(target_os = "linux"), false));
    assert!(!told.budget.drained_by(2, 2));
    assert!(!proves(&turns.queue.due(peer(0, 0), turns.now).unwrap()));
}

/// Serves one slice of which so many messages are used.
fn serve_some(turns: &mut Turns, messages: usize) -> Option<Who> {
    let mut slice = turns.next()?;
    let source = slice.source();
    slice.budget.spend(messages);
    turns.queue.put_back(slice);
    Some(source)
}

#[test]
fn who_says_a_little_less_than_a_slice_at_a_time_waits_among_the_old_and_who_says_little_does_not() {
    let mut turns = Turns::new(peers(0..4));
    while serve_some(&mut turns, SLICE_MESSAGES - 1).is_some() {}
    // They have more again, and so has one who says a word now and then.
    turns.queue.enqueue(peer(9, 0), false);
    peers(0..4).into_iter().for_each(|source| turns.queue.enqueue(source, false));
    turns.queue.enqueue(peer(8, 0), false);
    turns.begin_turn();
    assert_eq!(serve_some(&mut turns, 1), Some(peer(9, 0)));
    assert_eq!(serve_some(&mut turns, 1), Some(peer(8, 0)));
    assert_eq!(serve_some(&mut turns, 255), Some(peer(0, 0)));
    // Who said little is new every time.
    turns.queue.enqueue(peer(9, 0), false);
    turns.begin_turn();
    assert_eq!(serve_some(&mut turns, 1), Some(peer(9, 0)));
}

#[test]
fn a_place_that_is_only_kept_keeps_nobody_awake_and_is_given_up_when_its_turn_comes() {
    let mut turns = Turns::new(peers(0..2));
    while serve_some(&mut turns, 255).is_some() {}
    assert!(turns.queue.is_empty());
    // Nobody waited, so whoever comes now is new again, in the order in which they come.
    peers(0..2).into_iter().rev().for_each(|source| turns.queue.enqueue(source, false));
    turns.queue.enqueue(peer(5, 0), false);
    turns.begin_turn();
    assert_eq!(turns.serve_all(Duration::ZERO, false), [peer(1, 0), peer(0, 0), peer(5, 0)]);
    assert!(turns.queue.is_empty());
}
