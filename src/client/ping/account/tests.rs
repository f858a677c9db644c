#![allow(clippy::unwrap_used)]

use proptest::prelude::*;

use super::*;

const MS: Duration = Duration::from_millis(1);

fn account(start: Instant, wait: u32) -> Account<()> {
    Account::new(start, Some(wait * MS))
}

#[test]
fn an_answer_in_time_a_late_one_and_a_second_one_are_told_apart() {
    let start = Instant::now();
    let mut account = account(start, 100);
    assert_eq!((account.send(start, start + 2 * MS, ()), account.send(start, start + 3 * MS, ())), (1, 2));
    let times = Times { rtt: 8 * MS, response: 10 * MS };
    assert_eq!(account.answer(1, start + 10 * MS), Meaning::InTime(times, ()));
    assert_eq!(account.answer(1, start + 11 * MS), Meaning::Again);
    assert_eq!(account.next_expiry(), Some(start + 103 * MS));
    assert_eq!(account.overdue(start + 102 * MS), None);
    assert_eq!(account.overdue(start + 103 * MS), Some(2));
    assert!(account.lose(2).is_some() && account.lose(2).is_none() && account.lose(1).is_none());
    let times = Times { rtt: 197 * MS, response: 200 * MS };
    assert_eq!(account.answer(2, start + 200 * MS), Meaning::Late(times));
    assert_eq!(account.answer(2, start + 201 * MS), Meaning::Again);
    assert_eq!((account.answer(0, start), account.answer(3, start)), (Meaning::Unknown, Meaning::Unknown));
    assert_eq!((account.sent, account.acknowledged, account.lost, account.late, account.in_flight()), (2, 1, 1, 1, 0));
}

#[test]
fn the_wait_does_not_run_while_we_stand_still() {
    let start = Instant::now();
    let mut account = account(start, 100);
    account.send(start, start, ());
    account.stand_still(2000 * MS);
    account.send(start + 2010 * MS, start + 2010 * MS, ());
    assert_eq!(account.next_expiry(), Some(start + 2100 * MS));
    account.lose(1);
    assert_eq!(account.next_expiry(), Some(start + 2110 * MS));
}

#[test]
fn an_answer_beyond_the_wait_is_late_though_nobody_looked_meanwhile() {
    let start = Instant::now();
    let mut account = account(start, 100);
    account.send(start, start, ());
    assert!(!account.is_overdue(1, start + 100 * MS) && account.is_overdue(1, start + 101 * MS));
    account.stand_still(2000 * MS);
    assert!(!account.is_overdue(1, start + 2100 * MS) && account.is_overdue(1, start + 2101 * MS));
    account.answer(1, start + 2000 * MS);
    assert!(!account.is_overdue(1, start + 3000 * MS) && !account.is_overdue(2, start + 3000 * MS));
    let mut patient = Account::new(start, None);
    patient.send(start, start, ());
    assert!(!patient.is_overdue(1, start + 3_600_000 * MS));
}

#[test]
fn one_that_is_out_for_ever_holds_nothing_up() {
    let start = Instant::now();
    let mut account = Account::new(start, None);
    let many = 3 * HELD_BACK;
    let mut told = Vec::new();
    for seq in 1..=many {
        account.send(start, start, ());
        // The last ones of all are lost, two in a row, and the first three are not heard of.
        if seq > many - 2 {
            account.lose(seq);
        } else if seq > 3 {
            account.answer(seq, start);
        }
        account.judge(start, |_, acknowledged| told.push(acknowledged));
    }
    assert_eq!((account.in_flight(), account.is_full(), told.len() as u64), (3, false, many));
    // What is out is no less of an outage than what is lost.
    let outages: Vec<usize> = told.iter().enumerate().filter(|(_, told)| !**told).map(|(place, _)| place).collect();
    assert_eq!(outages, [0, 1, 2, told.len() - 2, told.len() - 1]);
    assert!(account.records.len() <= WINDOW && account.stragglers.len() == 3, "{}", account.records.len());
    // They are known, and each has its fate once.
    assert!(account.is_in_flight(1) && account.is_kept(1) && account.first_known() > 3);
    assert!(matches!(account.answer(2, start), Meaning::InTime(..)));
    assert_eq!(account.answer(2, start), Meaning::Again);
    assert!(account.lose(3).is_some() && account.lose(3).is_none());
    assert!(matches!(account.answer(3, start), Meaning::Late(_)));
    assert_eq!((account.oldest_in_flight(), account.in_flight()), (Some(1), 1));
    assert!(account.lose(1).is_some());
    assert_eq!((account.oldest_in_flight(), account.in_flight()), (None, 0));
    assert!(matches!(account.answer(1, start), Meaning::Late(_)), "it is among the lost, in its place");
}

#[test]
fn rtt_counts_from_the_write_where_that_comes_later() {
    let start = Instant::now();
    let mut account = account(start, 100);
    account.send(start, start, ());
    account.write(1, start + 40 * MS);
    let times = Times { rtt: 10 * MS, response: 50 * MS };
    assert_eq!(account.answer(1, start + 50 * MS), Meaning::InTime(times, ()));
}

#[test]
fn a_lost_one_is_remembered_for_ten_waits_and_takes_nobody_along() {
    let start = Instant::now();
    let mut account = account(start, 100);
    account.send(start, start, ());
    account.lose(1);
    let many = WINDOW as u64 * 3;
    for seq in 2..=many {
        account.send(start, start, ());
        account.answer(seq, start);
    }
    account.judge(start, |_, _| {});
    assert_eq!((account.records.len(), account.lost_ones.len(), account.is_kept(1)), (WINDOW, 1, true));
    assert_eq!(account.answer(2, start), Meaning::Again, "long ago");
    account.judge(start + 1100 * MS, |_, _| {});
    assert!(matches!(account.answer(1, start), Meaning::Late(_)));
    account.judge(start + 1101 * MS, |_, _| {});
    assert_eq!((account.answer(1, start), account.lost_ones.len()), (Meaning::Unknown, 0));
    assert_eq!(account.answer(2, start), Meaning::Again);
}

#[test]
fn fates_are_told_in_the_order_of_the_probes() {
    let start = Instant::now();
    let mut account = account(start, 100);
    for number in 0..4 {
        account.send(start + number * MS, start + number * MS, ());
    }
    let told = |account: &mut Account<()>| {
        let mut told = Vec::new();
        account.judge(start, |due, acknowledged| told.push(((due - start).as_millis(), acknowledged)));
        told
    };
    account.answer(2, start);
    account.lose(4);
    assert_eq!((told(&mut account), account.first_open()), (vec![], Some(start)));
    account.lose(1);
    assert_eq!((told(&mut account), account.first_open()), (vec![(0, false), (1, true)], Some(start + 2 * MS)));
    account.answer(3, start);
    assert_eq!((told(&mut account), account.first_open()), (vec![(2, true), (3, false)], None));
}

proptest! {
    /// Whatever is done in whatever order: no probe is counted twice, and none is forgotten.
    #[test]
    fn sent_is_acknowledged_and_lost_and_in_flight(
        steps in prop::collection::vec((0..5_u8, 0..40_u64, 0..60_u32), 1..200),
    ) {
        let start = Instant::now();
        let mut account = account(start, 100);
        let mut fates: Vec<Fate> = Vec::new();
        let (mut now, mut told) = (start, 0);
        for (step, seq, passed) in steps {
            now += passed * MS;
            let place = usize::try_from(seq).unwrap();
            match step {
                0 | 1 => {
                    account.send(now, now, ());
                    fates.push(Fate::InFlight);
                }
                2 => {
                    let meaning = account.answer(seq + 1, now);
                    let fate = fates.get_mut(place);
                    match fate {
                        None => prop_assert_eq!(meaning, Meaning::Unknown),
                        Some(fate @ Fate::InFlight) => {
                            prop_assert!(matches!(meaning, Meaning::InTime(..)));
                            *fate = Fate::Acknowledged;
                        }
                        Some(fate @ Fate::Lost) => {
                            prop_assert!(matches!(meaning, Meaning::Late(_)));
                            *fate = Fate::Late;
                        }
                        Some(Fate::Acknowledged | Fate::Late) => prop_assert_eq!(meaning, Meaning::Again),
                    }
                }
                3 => {
                    let was_open = fates.get(place) == Some(&Fate::InFlight);
                    prop_assert_eq!(account.lose(seq + 1).is_some(), was_open);
                    if was_open {
                        fates[place] = Fate::Lost;
                    }
                }
                _ => {
                    while let Some(seq) = account.overdue(now) {
                        account.lose(seq);
                        let place = usize::try_from(seq - 1).unwrap();
                        prop_assert_eq!(fates[place], Fate::InFlight);
                        fates[place] = Fate::Lost;
                    }
                }
            }
            account.judge(now, |_, acknowledged| {
                assert_eq!(acknowledged, fates[told] == Fate::Acknowledged);
                told += 1;
            });
            let count = |wanted: &[Fate]| fates.iter().filter(|fate| wanted.contains(fate)).count() as u64;
            prop_assert_eq!(account.sent, fates.len() as u64);
            prop_assert_eq!(account.acknowledged, count(&[Fate::Acknowledged]));
            prop_assert_eq!((account.lost, account.late), (count(&[Fate::Lost, Fate::Late]), count(&[Fate::Late])));
            prop_assert_eq!(account.in_flight(), count(&[Fate::InFlight]));
            prop_assert_eq!(told, fates.iter().take_while(|&&fate| fate != Fate::InFlight).count());
        }
    }
}
