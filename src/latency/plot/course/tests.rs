#![allow(clippy::unwrap_used)]

use super::*;
use crate::latency::plot::write_svg;

const MS: Duration = Duration::from_millis(1);

fn picture(timeline: &Timeline, began: &str, length: Duration, spans: &[OutageSpan]) -> String {
    let course = Course { timeline, began, length, outages: spans.len() as u64, spans };
    let mut out = Vec::new();
    write_svg("a run", &[], Some(&course), &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

/// A probe every 10 ms: `.` was acknowledged, `x` lost, `-` not sent, `o` acknowledged at once, though it was sent late.
fn timeline(fates: &str) -> Timeline {
    let mut timeline = Timeline::new();
    for (number, fate) in (0..).zip(fates.chars()) {
        let due = number * 10 * MS;
        match fate {
            '.' => timeline.acknowledge(due, Some((MS, MS))),
            'o' => timeline.acknowledge(due, Some((MS, 5 * MS))),
            'x' => timeline.lose(due),
            _ => timeline.skip(due),
        }
    }
    timeline
}

fn count(svg: &str, color: RGBColor) -> usize {
    svg.matches(&format!("fill=\"#{:02X}{:02X}{:02X}\"", color.0, color.1, color.2)).count()
}

#[test]
fn every_loss_has_its_mark_and_the_legend_counts_them() {
    let svg = picture(&timeline("..x.xx...-.."), "noon", 120 * MS, &[]);
    // One more of each in the legend.
    assert_eq!((count(&svg, LOSS), count(&svg, UNSENT)), (3 + 1, 1 + 1));
    for text in ["3 of 11 lost", "1 due, not sent", "rtt of each probe", "time of the run (s), from noon", "100%"] {
        assert!(svg.contains(text), "{text} is missing");
    }
    assert!(!svg.contains("outage") && !svg.contains("response") && !svg.contains("stood still"));
    let whole = picture(&timeline("....."), "noon", 50 * MS, &[]);
    assert!(whole.contains("0 of 5 lost") && count(&whole, LOSS) == 1);
}

#[test]
fn outages_are_shaded_in_both_charts_and_labelled_with_begin_and_length() {
    let span = |begin: u32, length: u32| OutageSpan { begin: begin * MS, length: length * MS, probes: 2 };
    let spans = [span(20, 20), span(60, 30)];
    let svg = picture(&timeline("..xx..xxx..."), "noon", 120 * MS, &spans);
    assert_eq!(count(&svg, OUTAGE), 2 * 2 + 1);
    assert!(svg.contains("2 outages, the longest at 0.060 s for 0.030 s (2 probes)"), "{svg}");
    for label in ["\nat 0.020 s for 0.020 s\n", "\nat 0.060 s for 0.030 s\n"] {
        assert!(svg.contains(label), "{label} is missing");
    }
    let one = picture(&timeline("xx.."), "noon", 40 * MS, &[span(0, 20)]);
    assert!(one.contains("1 outage: at 0.000 ms for 0.020 s (2 probes)"), "{one}");
}

#[test]
fn of_many_outages_as_many_are_labelled_as_there_is_room_for() {
    let span = |number: u32| OutageSpan { begin: number * 20 * MS, length: (number % 7 + 10) * MS, probes: 2 };
    let spans: Vec<OutageSpan> = (0..100).map(span).collect();
    let svg = picture(&timeline("xx"), "noon", 2000 * MS, &spans);
    let labels = svg.split("<text ").filter(|text| text.contains("\nat "));
    let mut places: Vec<i32> =
        labels.map(|text| text.split('"').nth(1).and_then(|x| x.parse().ok()).unwrap()).collect();
    places.sort_unstable();
    assert!((3..=9).contains(&places.len()), "{places:?}");
    assert!(places.windows(2).all(|pair| pair[1] - pair[0] > 1000), "{places:?}");
    assert!(places.iter().all(|x| (LEFT + 500..9100).contains(x)), "{places:?}");
}

#[test]
fn where_this_client_stood_still_is_shaded_and_blamed_on_nobody() {
    let mut timeline = timeline("......");
    timeline.stand_still(60 * MS, 90 * MS, 3);
    let svg = picture(&timeline, "noon", 100 * MS, &[]);
    assert!(svg.contains("this client stood still: that is not the path&apos;s doing"), "{svg}");
    assert!(svg.contains("3 due, not sent") && svg.contains("0 of 6 lost"));
    assert!(count(&svg, STILL) > 2 && count(&svg, LOSS) == 1);
}

#[test]
fn the_response_is_drawn_where_it_differs() {
    let svg = picture(&timeline("..........o..........o........"), "noon", 300 * MS, &[]);
    assert!(svg.contains("response, where it differs"));
    let Look(color, ..) = look(1);
    assert_eq!(count(&svg, color), 6, "the two that differ, and those beside them");
    let Look(color, ..) = look(0);
    assert_eq!(count(&svg, color), 30);
}

#[test]
fn a_line_is_interrupted_where_anything_was_lost() {
    let unit = Unit::of(Duration::from_secs(1));
    let lengths = |fates| -> Vec<usize> { lines(&timeline(fates), unit, |at| at.rtt).iter().map(Vec::len).collect() };
    assert_eq!(lengths("...x..xx.-."), [3, 2, 1, 1]);
    assert_eq!(lengths("xx"), [0; 0]);
}

#[test]
fn many_probes_of_one_stretch_are_a_band() {
    let mut timeline = Timeline::new();
    for number in 0..100_000_u32 {
        timeline.acknowledge(number * MS / 100, Some((MS / (1 + number % 5), MS)));
    }
    let svg = picture(&timeline, "noon", 1000 * MS, &[]);
    assert!(svg.contains("rtt: least, mean and most of every 1.049 ms"), "{svg}");
    assert_eq!(svg.matches("<polygon").count(), 1);
    assert!(svg.len() < 400_000, "{}", svg.len());
}

#[test]
fn every_run_however_odd_gives_a_picture() {
    let mut far = timeline("x.");
    far.acknowledge(Duration::MAX, Some((Duration::ZERO, Duration::MAX)));
    far.acknowledge(MS, None);
    let odd = OutageSpan { begin: Duration::MAX, length: Duration::MAX, probes: u64::MAX };
    for timeline in
        [Timeline::new(), timeline("."), timeline("x"), timeline("-"), timeline(".."), timeline("xxxx"), far]
    {
        for length in [Duration::ZERO, MS / 1000, 10 * MS, 3600 * 1000 * MS, Duration::MAX] {
            for spans in [&[][..], &[odd], &[odd; 100]] {
                let svg = picture(&timeline, "noon", length, spans);
                assert!(svg.starts_with("<svg ") && svg.ends_with("</svg>\n"));
                assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
                assert!(svg.contains("lost") && svg.contains("time of the run ("), "{svg}");
            }
        }
    }
}

#[test]
fn text_from_outside_cannot_break_it() {
    let svg = picture(&timeline("."), "</text><script>\u{0}", MS, &[]);
    assert!(svg.contains("&lt;/text&gt;&lt;script&gt;\u{fffd}\n") && !svg.contains("<script"), "{svg}");
}
