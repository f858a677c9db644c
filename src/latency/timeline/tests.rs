#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

#[derive(Clone, Copy, Debug)]
enum Event {
    Acknowledged(Option<(u64, u64)>),
    Lost,
    Unsent,
    /// For so many ns, in which so many were due.
    Still(u64, u64),
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        4 => prop::option::weighted(0.9, (0..1u64 << 40, 0..1u64 << 40)).prop_map(Event::Acknowledged),
        2 => Just(Event::Lost),
        1 => Just(Event::Unsent),
        1 => (0..1u64 << 40, 0..1000u64).prop_map(|(span, unsent)| Event::Still(span, unsent)),
    ]
}

fn record(timeline: &mut Timeline, at: u64, event: Event) {
    let ns = Duration::from_nanos;
    match event {
        Event::Acknowledged(times) => {
            timeline.acknowledge(ns(at), times.map(|(rtt, response)| (ns(rtt), ns(response))));
        }
        Event::Lost => timeline.lose(ns(at)),
        Event::Unsent => timeline.skip(ns(at)),
        Event::Still(span, unsent) => timeline.stand_still(ns(at), ns(at + span), unsent),
    }
}

proptest! {
    /// However often they were merged on the way, the stretches are what one would count with the whole run at hand.
    #[test]
    fn nothing_is_lost_and_everything_is_in_its_stretch(
        events in prop::collection::vec((0..1u64 << 62, 0..50u32, event()), 0..200),
    ) {
        let mut timeline = Timeline::new();
        let events: Vec<_> = events.iter().map(|&(at, shift, event)| (at >> shift, event)).collect();
        for &(at, event) in &events {
            record(&mut timeline, at, event);
        }
        let length = u64::try_from(timeline.length().as_nanos()).unwrap();
        let mut wanted: BTreeMap<u64, Stretch> = BTreeMap::new();
        let (mut still, mut skipped, mut latest) = (Vec::new(), 0, 0);
        for &(at, event) in &events {
            latest = latest.max(at);
            let stretch = wanted.entry(at / length).or_default();
            match event {
                Event::Acknowledged(times) => {
                    stretch.acknowledged += 1;
                    if let Some((rtt, response)) = times {
                        stretch.rtt.record(Duration::from_nanos(rtt));
                        stretch.response.record(Duration::from_nanos(response));
                    }
                }
                Event::Lost => stretch.lost += 1,
                Event::Unsent => stretch.unsent += 1,
                Event::Still(span, unsent) => {
                    still.push(at / length..=(at + span) / length);
                    skipped += unsent;
                    latest = latest.max(at + span);
                }
            }
        }
        for (begin, stretch) in timeline.stretches() {
            let number = u64::try_from(begin.as_nanos()).unwrap() / length;
            let mut wanted = wanted.remove(&number).unwrap_or_default();
            wanted.stood_still = still.iter().any(|span| span.contains(&number));
            // What was due while it stood still is spread evenly; that all are counted is looked at below.
            prop_assert!(stretch.unsent >= wanted.unsent && (wanted.stood_still || stretch.unsent == wanted.unsent));
            prop_assert_eq!(stretch, &Stretch { unsent: stretch.unsent, ..wanted });
        }
        prop_assert!(wanted.values().all(|stretch| stretch.due() == 0), "missing: {:?}", wanted);
        let count = |wanted: fn(&Event) -> bool| events.iter().filter(|(_, event)| wanted(event)).count() as u64;
        let total = timeline.total();
        prop_assert_eq!(total.acknowledged, count(|event| matches!(event, Event::Acknowledged(_))));
        prop_assert_eq!(total.lost, count(|event| matches!(event, Event::Lost)));
        prop_assert_eq!(total.unsent, count(|event| matches!(event, Event::Unsent)) + skipped);
        // They are no longer than they must be.
        prop_assert!(length == 1 << FINEST || latest / (length / 2) >= MOST as u64);
    }
}

#[test]
fn an_hour_is_kept_in_more_than_five_hundred_stretches() {
    let mut timeline = Timeline::new();
    for second in 0..3600 {
        let ms = |ms| Duration::from_millis(ms);
        timeline.acknowledge(ms(second * 1000), Some((ms(1), ms(2))));
    }
    assert!((512..=1024).contains(&timeline.stretches().count()));
    let [min, mean, max] = timeline.total().response.figures().unwrap();
    assert_eq!((min, mean, max), (Duration::from_millis(2), mean, min));
    assert_eq!(timeline.total().acknowledged, 3600);
}

#[test]
fn a_probe_that_is_due_beyond_all_counting_has_its_stretch() {
    let mut timeline = Timeline::new();
    timeline.lose(Duration::ZERO);
    timeline.lose(Duration::MAX);
    assert_eq!(timeline.stretches().map(|(_, stretch)| stretch.lost).collect::<Vec<_>>(), [1, 1]);
}
