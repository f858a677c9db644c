//! A path with an invented clock: delay, loss either way, duplication, reordering, and either end frozen. It drives the
//! pure rooms, and knows the truth about every probe.

#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use proptest::prelude::*;

use super::account::{Account, Meaning};
use super::outages::Outages;
use super::port::Port;
use super::schedule::Schedule;
use crate::wire::{Probe, Stamp};

const MS: Duration = Duration::from_millis(1);
const WAIT: u64 = 100;

/// What happens to one probe on its way, times in ms.
#[derive(Clone, Copy, Debug)]
struct Fortune {
    lost_there: bool,
    lost_back: bool,
    there: u64,
    back: u64,
    /// Its answer comes twice, so much later.
    again: Option<u64>,
}

/// A server as the contract has it, for one session.
#[derive(Default)]
struct Server {
    seen: BTreeSet<u64>,
    first: u64,
}

impl Server {
    fn answer(&mut self, probe: Probe) -> Stamp {
        if self.seen.is_empty() {
            self.first = probe.seq;
        }
        if probe.seq >= self.first {
            self.seen.insert(probe.seq);
        }
        let Probe { session, seq, clock, .. } = probe;
        let (count, highest) = (self.seen.len() as u64, *self.seen.last().unwrap());
        Stamp { session, seq, clock, count, received: 1, left: 2, highest, first: self.first }
    }
}

enum Arrival {
    There(Probe, Fortune),
    Back(Stamp),
}

struct Run {
    account: Account<()>,
    port: Port,
    outages: Outages,
    duplicated: u64,
    unsent: u64,
}

fn frozen(span: &Range<u64>, at: u64) -> u64 {
    if span.contains(&at) { span.end } else { at }
}

/// A probe every 10 ms, as many as there are fortunes, with the server and the client frozen for a while.
fn run(fortunes: &[Fortune], server_frozen: &Range<u64>, client_frozen: &Range<u64>) -> Run {
    let start = Instant::now();
    let at = |ms: u64| start + u32::try_from(ms).unwrap() * MS;
    let mut schedule = Schedule::new(start, 10 * MS, Some(fortunes.len() as u64), None);
    let account = Account::new(start, Some(u32::try_from(WAIT).unwrap() * MS));
    let mut run = Run { account, port: Port::new(), outages: Outages::default(), duplicated: 0, unsent: 0 };
    let (mut server, mut stood) = (Server::default(), false);
    let mut on_the_way: BTreeMap<u64, Vec<Arrival>> = BTreeMap::new();
    let mut fortunes = fortunes.iter();
    for now in 0.. {
        for arrival in on_the_way.remove(&now).unwrap_or_default() {
            match arrival {
                Arrival::There(probe, fortune) => {
                    let stamp = server.answer(probe);
                    let back = frozen(client_frozen, now + fortune.back);
                    if !fortune.lost_back {
                        on_the_way.entry(back.max(now + 1)).or_default().push(Arrival::Back(stamp));
                    }
                    if let Some(more) = fortune.again {
                        let back = frozen(client_frozen, back + more);
                        on_the_way.entry(back.max(now + 1)).or_default().push(Arrival::Back(stamp));
                    }
                }
                Arrival::Back(stamp) => {
                    let seq = run.port.probe_of(&stamp).unwrap();
                    if now == client_frozen.end && !stood {
                        stood = true;
                        run.unsent += schedule.skip(at(now));
                        run.account.stand_still(u32::try_from(now - client_frozen.start).unwrap() * MS);
                    }
                    let meaning = run.account.answer(seq, at(now));
                    run.duplicated += u64::from(meaning == Meaning::Again);
                    run.port.hear(&stamp, matches!(meaning, Meaning::InTime(..) | Meaning::Late(_)));
                }
            }
        }
        if client_frozen.contains(&now) {
            continue;
        }
        if now == client_frozen.end && !stood && !client_frozen.is_empty() {
            stood = true;
            run.unsent += schedule.skip(at(now));
            run.account.stand_still(u32::try_from(now - client_frozen.start).unwrap() * MS);
        }
        while let Some(seq) = run.account.overdue(at(now)) {
            run.account.lose(seq);
        }
        while let Some(due) = schedule.take(at(now)) {
            let probe = run.port.next_probe(now);
            let seq = run.account.send(due, at(now), ());
            run.port.sent_as(seq, &run.account);
            let fortune = *fortunes.next().unwrap();
            if !fortune.lost_there {
                let there = frozen(server_frozen, now + fortune.there).max(now + 1);
                on_the_way.entry(there).or_default().push(Arrival::There(probe, fortune));
            }
        }
        run.account.judge(at(now), |due, acknowledged| run.outages.tell(due, acknowledged, |_| Timestamp::UNIX_EPOCH));
        if schedule.next_due(at(now)).is_none() && run.account.in_flight() == 0 && on_the_way.is_empty() {
            return run;
        }
    }
    unreachable!("it ends");
}

prop_compose! {
    fn fortune()(
        lost in 0..20_u8,
        there in 1..140_u64,
        back in 1..40_u64,
        again in prop::option::weighted(0.1, 1..50_u64),
    ) -> Fortune {
        Fortune { lost_there: lost == 0, lost_back: lost == 1, there, back, again: again.filter(|_| lost > 1) }
    }
}

proptest! {
    #[test]
    fn any_path_gives_the_right_account(
        fortunes in prop::collection::vec(fortune(), 1..60),
        server in 0..400_u64, server_stands in prop::option::of(1..300_u64),
        client in 0..400_u64, client_stands in prop::option::of(101..300_u64),
    ) {
        let server_frozen = server..server + server_stands.unwrap_or(0);
        let client_frozen = client..client + client_stands.unwrap_or(0);
        let Run { account, port, outages, duplicated, unsent } = run(&fortunes, &server_frozen, &client_frozen);
        let due = fortunes.len() as u64;
        prop_assert_eq!(account.sent + unsent, due);
        prop_assert_eq!(account.acknowledged + account.lost, account.sent);
        let sent = &fortunes[..usize::try_from(account.sent).unwrap()];
        let answered = |fortune: &&Fortune| !fortune.lost_there && !fortune.lost_back;
        prop_assert_eq!(account.acknowledged + account.late, sent.iter().filter(answered).count() as u64);
        prop_assert_eq!(duplicated, sent.iter().filter(|fortune| fortune.again.is_some()).count() as u64);
        prop_assert!(outages.each().iter().map(|outage| outage.probes).sum::<u64>() <= account.lost);
        if client_stands.is_none() && server_stands.is_none() {
            let late = |fortune: &&Fortune| answered(fortune) && fortune.there.max(1) + fortune.back > WAIT;
            prop_assert_eq!(account.late, sent.iter().filter(late).count() as u64);
        }
        // The legs: what is behind the last that arrived is unknown, what the server does not count is in neither.
        prop_assert!(!port.legs.is_of_several());
        let legs = port.legs.legs();
        let there = sent.iter().filter(|fortune| fortune.lost_there).count() as u64;
        let back = sent.iter().filter(|fortune| fortune.lost_back).count() as u64;
        prop_assert!(legs.back <= back, "{legs:?} of {back} back");
        prop_assert!(legs.there + legs.back + account.late <= account.lost, "{legs:?} of {} lost", account.lost);
        // One that was overtaken, and whose answer was lost: no stamp tells that it arrived at all.
        prop_assert!(legs.there + legs.back <= there + back, "{legs:?} of {there} there, {back} back");
    }

    /// On a path that keeps the order, and whose first and last probes are answered, nothing is unknown.
    #[test]
    fn where_order_is_kept_the_legs_are_exact(lost in prop::collection::vec(0..6_u8, 0..60)) {
        let fate = |lost: u8| Fortune { lost_there: lost == 0, lost_back: lost == 1, there: 20, back: 20, again: None };
        let fortunes: Vec<Fortune> = [9].iter().chain(&lost).chain(&[9]).map(|&lost| fate(lost)).collect();
        let Run { account, port, .. } = run(&fortunes, &(0..0), &(0..0));
        let count = |wanted: u8| lost.iter().filter(|&&lost| lost == wanted).count() as u64;
        prop_assert_eq!((port.legs.legs().there, port.legs.legs().back), (count(0), count(1)));
        prop_assert_eq!(account.lost, count(0) + count(1));
    }
}
