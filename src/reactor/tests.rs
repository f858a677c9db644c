#![allow(clippy::unwrap_used)]

use super::token::tests::Who;
use super::*;

fn next(reactor: &mut Reactor<Who>) -> Option<Who> {
    reactor.next_slice().map(|slice| slice.source())
}

#[test]
fn a_pause_ends_at_its_time_or_when_it_is_woken() {
    let mut reactor = Reactor::new().unwrap();
    let long = Instant::now() + Duration::from_secs(3600);
    reactor.pause(Who::Listener, long);
    reactor.pause(Who::Datagrams, Instant::now() + Duration::from_millis(1));
    reactor.wait(None).unwrap();
    assert_eq!(next(&mut reactor), Some(Who::Datagrams));
    assert_eq!(next(&mut reactor), None);
    reactor.wake(Who::Listener);
    reactor.wake(Who::Datagrams);
    reactor.wait(None).unwrap();
    assert_eq!(next(&mut reactor), Some(Who::Listener));
    assert_eq!(next(&mut reactor), None);
}

#[test]
fn nobody_sleeps_while_somebody_waits() {
    let mut reactor = Reactor::new().unwrap();
    reactor.ask(Who::Listener);
    let long = Instant::now() + Duration::from_secs(3600);
    for _ in 0..3 {
        assert!(reactor.wait(Some(long)).unwrap() < long);
        let mut slice = reactor.next_slice().unwrap();
        slice.budget.spend(SLICE_MESSAGES);
        assert!(!slice.budget.may_tell());
        reactor.put_back(slice);
    }
}

#[test]
fn a_wait_is_never_shorter_than_it_was_told() {
    let mut reactor = Reactor::<Who>::new().unwrap();
    let deadline = Instant::now() + Duration::from_micros(2500);
    assert!(reactor.wait(Some(deadline)).unwrap() >= deadline);
}

/// The way out itself may be one whom the turn before had no time for.
#[test]
fn a_turn_for_the_sake_of_the_trace_alone_is_not_told() {
    let is_told_where_these_wait = |sources: &[Who]| {
        let mut reactor = Reactor::new().unwrap();
        sources.iter().for_each(|&source| reactor.ask(source));
        reactor.trace_turn(Duration::ZERO);
        reactor.is_told()
    };
    assert!(!is_told_where_these_wait(&[Who::Outlet]));
    assert!(is_told_where_these_wait(&[Who::Outlet, Who::Listener]));
    assert!(is_told_where_these_wait(&[Who::Datagrams]));
    assert!(is_told_where_these_wait(&[]));
}
