#![allow(clippy::unwrap_used)]

use super::figures::percent;
use super::*;
use crate::latency::{Latencies, Summary as Percentiles};

fn said(event: &Event<'_>, format: Format) -> String {
    let mut out = String::new();
    event.render(Style { format, ..Style::default() }, &Stamp::new(), &mut out);
    out
}

fn figures() -> Figures {
    let mut latencies = Latencies::new();
    (0..1999).for_each(|_| latencies.record(Duration::from_micros(52)));
    Figures {
        protocol: Protocol::Tcp,
        peer: ([127, 0, 0, 1], 6666).into(),
        sent: 2000,
        acknowledged: 1999,
        lost: 1,
        legs: None,
        in_flight: 0,
        late: 0,
        duplicated: None,
        reordered: None,
        unsent: 0,
        lasted: Duration::from_millis(19_991),
        connect: Some(Duration::from_micros(43)),
        outages: 0,
        longest_outage: None,
        each_outage: Vec::new(),
        rtt: latencies.summary(),
        response: latencies.summary(),
        server: None,
        worst_flow: None,
        short_answered: None,
    }
}

#[test]
fn the_summary_has_the_shape_of_ping() {
    let expected = "\n\
        --- 127.0.0.1:6666 tcp acknowledgement statistics ---\n\
        2000 sent, 1999 acknowledged, 1 lost (0.05%), 0 late, 19.991 s\n\
        connect  0.043 ms\n\
        rtt      min/p50/p90/p99/max = 0.052/0.052/0.052/0.052/0.052 ms, mean 0.052, jitter -\n\
        response min/p50/p90/p99/max = 0.052/0.052/0.052/0.052/0.052 ms\n";
    assert_eq!(said(&Event::Summary(&figures()), Format::Text), expected);
}

#[test]
fn the_summary_says_what_never_came_to_be_and_who_fared_worst() {
    let worst_flow = Some(FlowFigures { source_port: 54321, sent: 63, lost: 4, p50: None });
    let text = said(&Event::Summary(&Figures { in_flight: 2, unsent: 37, worst_flow, ..figures() }), Format::Text);
    assert!(text.contains("1 lost (0.05%), 2 in flight, 0 late, 19.991 s\n37 due, not sent\n"), "{text}");
    assert!(text.ends_with("worst flow: source port 54321, 63 sent, 4 lost, p50 -\n"), "{text}");
}

#[test]
fn over_udp_stamps_tell_the_legs_and_the_server_s_time() {
    let began = jiff::Timestamp::new(1_795_420_800, 412_345_678).unwrap();
    let outage = OutageFigures { began, lasted: Duration::from_millis(30), probes: 3 };
    let rtt = Percentiles { jitter: Some(Duration::from_micros(4)), ..figures().rtt };
    let figures = Figures {
        protocol: Protocol::Udp,
        legs: Some(LostLegs { there: 2, back: 1, unknown: 0 }),
        lost: 3,
        acknowledged: 1997,
        duplicated: Some(5),
        reordered: Some(6),
        connect: None,
        outages: 1,
        longest_outage: Some(outage),
        each_outage: vec![outage],
        server: Some(figures().rtt),
        rtt,
        ..figures()
    };
    let text = said(&Event::Summary(&figures), Format::Text);
    let local = began.to_zoned(jiff::tz::TimeZone::system()).strftime("%H:%M:%S.412").to_string();
    let expected = format!(
        "\n--- 127.0.0.1:6666 udp acknowledgement statistics ---\n\
        2000 sent, 1997 acknowledged, 3 lost (0.15%), 0 late, 5 duplicated, 6 reordered, 19.991 s\n\
        lost     2 on the way there, 1 on the way back, 0 unknown\n\
        outages  1: {local} for 0.030 s (3 probes)\n\
        rtt      min/p50/p90/p99/max = 0.052/0.052/0.052/0.052/0.052 ms, mean 0.052, jitter 0.004\n\
        response min/p50/p90/p99/max = 0.052/0.052/0.052/0.052/0.052 ms\n\
        server   min/p50/p90/p99/max = 0.052/0.052/0.052/0.052/0.052 ms\n"
    );
    assert_eq!(text, expected);
    let json: serde_json::Value = serde_json::from_str(&said(&Event::Summary(&figures), Format::Json)).unwrap();
    assert_eq!((&json["lost_there"], &json["lost_back"], &json["lost_unknown"]), (&2.into(), &1.into(), &0.into()));
    assert_eq!((&json["duplicated"], &json["reordered"]), (&5.into(), &6.into()));
    assert_eq!(json["outages"][0]["begin"], "2026-11-23T08:00:00.412345Z");
    assert_eq!((&json["outages"][0]["seconds"], &json["outages"][0]["probes"]), (&0.03.into(), &3.into()));
    assert_eq!((&json["rtt_ns"]["jitter"], &json["server_ns"]["mean"]), (&4000.into(), &52_000.into()));
}

#[test]
fn a_run_says_what_it_is_about_to_do() {
    let begin = |name, bytes, interval| {
        let peer = ([127, 0, 0, 1], 6666).into();
        said(&Event::Begin { protocol: Protocol::Udp, peer, name, bytes, interval }, Format::Text)
    };
    let second = Duration::from_secs(1);
    assert_eq!(begin(Some("localhost"), 72, second), "ping udp 127.0.0.1:6666 (localhost), 72 bytes, every 1 s\n");
    assert_eq!(begin(None, 1, second / 100), "ping udp 127.0.0.1:6666, 1 byte, every 0.01 s\n");
    let closed = begin(None, 5, Duration::ZERO);
    assert_eq!(closed, "ping udp 127.0.0.1:6666, 5 bytes, each when the one before is answered\n");
}

#[test]
fn the_figures_are_json_in_nanoseconds() {
    let line = said(&Event::Summary(&figures()), Format::Json);
    let json: serde_json::Value = serde_json::from_str(&line).unwrap();
    assert_eq!((&json["event"], &json["sent"], &json["lost"]), (&"summary".into(), &2000.into(), &1.into()));
    assert_eq!((&json["connect_ns"], &json["rtt_ns"]["p50"]), (&43_000.into(), &52_000.into()));
    assert!(json["worst_flow"].is_null() && json["rtt_ns"]["p999"].is_null());
}

#[test]
fn a_verdict_is_one_line_with_one_fixed_word() {
    let verdict = |word, rtt, said: Option<&'static [u8]>| Event::Verdict {
        protocol: Protocol::Udp,
        framing: Framing::Bytes,
        address: "10.0.0.5:6666",
        word,
        rtt,
        connect: None,
        said: said.map(Message::from),
    };
    let open = verdict(Word::Open, Some(Duration::from_micros(214)), None);
    assert_eq!(said(&open, Format::Text), "udp 10.0.0.5:6666 open 0.214 ms\n");
    let closed = verdict(Word::Closed, None, Some(b"server is full"));
    assert_eq!(said(&closed, Format::Text), "udp 10.0.0.5:6666 closed (server is full)\n");
    let wrong = said(&verdict(Word::WrongAnswer, None, Some(b"\x1b[2J")), Format::Text);
    assert_eq!(wrong, "udp 10.0.0.5:6666 wrong-answer (\\u{001b}[2J)\n");
}

#[test]
fn an_idle_timeout_is_bracketed_outwards() {
    let peer = ([127, 0, 0, 1], 6666).into();
    let idle = |survived, answer| {
        let event = Event::Idle { protocol: Protocol::Tcp, peer, survived: Duration::from_millis(survived), answer };
        said(&event, Format::Text)
    };
    let cut = Idle::Cut(Duration::from_millis(30_301), Cause::Announced);
    assert_eq!(idle(29_880, cut), "tcp idle timeout between 29.8 and 30.4 s: announced by the server\n");
    assert_eq!(idle(120_000, Idle::None), "no idle timeout up to 120 s\n");
}

#[test]
fn a_bracket_in_json_is_rounded_outwards_to_a_microsecond() {
    let peer = ([127, 0, 0, 1], 6666).into();
    let json = |survived, answer| {
        let survived = Duration::from_nanos(survived);
        let line = said(&Event::Idle { protocol: Protocol::Udp, peer, survived, answer }, Format::Json);
        serde_json::from_str::<serde_json::Value>(&line).unwrap()
    };
    let cut = json(999_999_900, Idle::Cut(Duration::from_nanos(1_000_000_001), Cause::Closed));
    assert_eq!(
        (&cut["survived_s"], &cut["cut_s"], &cut["cause"]),
        (&0.999_999.into(), &1.000_001.into(), &"closed".into())
    );
    let exact = json(1_000_000_000, Idle::Cut(Duration::from_secs(2), Cause::Silent));
    assert_eq!((&exact["survived_s"], &exact["cut_s"]), (&1.0.into(), &2.0.into()));
    let none = json(1_000_000_000, Idle::None);
    assert_eq!((&none["cut_s"], &none["cause"]), (&serde_json::Value::Null, &"none".into()));
}

#[test]
fn a_path_that_broke_has_no_timeout() {
    let peer = ([127, 0, 0, 1], 6666).into();
    let survived = Duration::from_millis(9400);
    let broken =
        Event::Idle { protocol: Protocol::Tcp, peer, survived, answer: Idle::Broken(Duration::from_millis(12_345)) };
    assert_eq!(said(&broken, Format::Text), "the path broke after 12.3 s\n");
    let json: serde_json::Value = serde_json::from_str(&said(&broken, Format::Json)).unwrap();
    assert_eq!((&json["event"], &json["cause"], &json["survived_s"]), (&"idle".into(), &"broken".into(), &9.4.into()));
    assert!(json["cut_s"].is_null(), "{json}");
}

#[test]
fn a_percentage_has_no_idle_digits() {
    let said: Vec<String> = [0.0, 0.05, 50.0, 100.0 / 3.0, 0.000_28, 99.9996].into_iter().map(percent).collect();
    assert_eq!(said, ["0%", "0.05%", "50%", "33.33%", "0.0003%", "99.9996%"]);
}

#[test]
fn a_size_is_told_with_what_limits_it() {
    let peer = ([10, 0, 0, 5], 6666).into();
    let datagrams = |limit, path_mtu, fragments| Size::Datagrams { answered: 1252, path_mtu, limit, fragments };
    let router = || Some([10, 0, 0, 1].into());
    for (size, expected) in [
        (
            datagrams(Limit::Told(vec![(router(), 1280)]), Some(1280), Some((4000, true))),
            "udp 10.0.0.5:6666 answers up to 1252 bytes (path MTU 1280): told by 10.0.0.1 (MTU 1280); \
             fragmented ones up to 4000 bytes pass\n",
        ),
        (
            datagrams(Limit::Told(vec![(router(), 1400), (None, 1280)]), Some(1280), None),
            "udp 10.0.0.5:6666 answers up to 1252 bytes (path MTU 1280): told by 10.0.0.1 (MTU 1400), a router (MTU 1280)\n",
        ),
        (
            datagrams(Limit::Vanish(None), Some(1280), Some((4000, false))),
            "udp 10.0.0.5:6666 answers up to 1252 bytes (path MTU 1280): larger ones vanish; \
             fragmented ones up to 4000 bytes do not\n",
        ),
        (
            datagrams(Limit::Interface, Some(1280), None),
            "udp 10.0.0.5:6666 answers up to 1252 bytes (path MTU 1280): the interface here takes no larger ones\n",
        ),
        (
            Size::Stream { most: 65536, stalls: true, segment: Some(1448), path_mtu: Some(1500) },
            "tcp 10.0.0.5:6666: 1 byte acknowledged, 65536 bytes stalls (segments of 1448 bytes, path MTU 1500)\n",
        ),
        (
            Size::Stream { most: 1, stalls: false, segment: None, path_mtu: None },
            "tcp 10.0.0.5:6666: 1 byte acknowledged\n",
        ),
    ] {
        assert_eq!(said(&Event::Size { peer, size: &size }, Format::Text), expected);
    }
}
