#![allow(clippy::unwrap_used)]

use super::*;

fn peer(slot: u32, tenants: u32) -> Source {
    Source::Peer(Key::new(slot, tenants))
}

#[test]
fn every_source_comes_back_from_its_token() {
    let peers = [peer(0, 0), peer(7, 3), peer(u32::from(u16::MAX) - 1, u32::MAX)];
    for source in Source::SINGLE.into_iter().chain(peers) {
        assert_eq!(Source::of(source.token()), Some(source));
    }
    assert_eq!(Source::of(Token(Source::SINGLE.len())), None);
}

#[test]
fn tokens_of_all_sources_differ_and_so_do_their_places() {
    for (place, source) in Source::SINGLE.into_iter().enumerate() {
        assert_eq!(source.place(), place);
    }
    assert_ne!(peer(1, 0).token(), peer(1, 1).token());
    assert_ne!(peer(0, 0).token(), Source::Signals.token());
}

#[test]
fn a_source_is_served_once_a_turn_and_comes_back_in_the_next() {
    let mut reactor = Reactor::new().unwrap();
    reactor.again(Source::Listener);
    reactor.again(Source::Listener);
    reactor.again(Source::Datagrams);
    reactor.wait(None).unwrap();
    assert_eq!(reactor.next_ready().unwrap().source, Source::Listener);
    reactor.again(Source::Listener);
    assert_eq!(reactor.next_ready().unwrap().source, Source::Datagrams);
    assert_eq!(reactor.next_ready(), None);
    reactor.wait(None).unwrap();
    assert_eq!(reactor.next_ready(), Some(Ready::unasked(Source::Listener)));
}

#[test]
fn an_entry_of_an_earlier_tenant_hides_nothing_of_the_later_one() {
    let mut reactor = Reactor::new().unwrap();
    reactor.again(peer(0, 0));
    reactor.again(peer(0, 1));
    reactor.wait(None).unwrap();
    assert_eq!(reactor.next_ready().unwrap().source, peer(0, 1));
    assert_eq!(reactor.next_ready(), None);
}

#[test]
fn signals_come_before_whoever_waits() {
    let mut reactor = Reactor::new().unwrap();
    reactor.again(peer(0, 0));
    reactor.again(Source::Signals);
    reactor.wait(None).unwrap();
    assert_eq!(reactor.next_ready().unwrap().source, Source::Signals);
}

#[test]
fn a_pause_ends_at_its_time_or_when_it_is_woken() {
    let mut reactor = Reactor::new().unwrap();
    let long = Instant::now() + Duration::from_secs(3600);
    reactor.again_at(Source::Listener, long);
    reactor.again_at(Source::Datagrams, Instant::now() + Duration::from_millis(1));
    reactor.wait(None).unwrap();
    assert_eq!(reactor.next_ready().unwrap().source, Source::Datagrams);
    assert_eq!(reactor.next_ready(), None);
    reactor.wake(Source::Listener);
    reactor.wake(Source::Datagrams);
    reactor.wait(None).unwrap();
    assert_eq!(reactor.next_ready().unwrap().source, Source::Listener);
    assert_eq!(reactor.next_ready(), None);
}

#[test]
fn a_wait_is_never_shorter_than_it_was_told() {
    let mut reactor = Reactor::new().unwrap();
    let deadline = Instant::now() + Duration::from_micros(2500);
    assert!(reactor.wait(Some(deadline)).unwrap() >= deadline);
}
