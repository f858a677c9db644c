//! The figures that the server shows to a monitor, in Prometheus' text format (version 0.0.4).

use std::fmt::Display;

use super::push;
use super::server::Stats;
use crate::reactor::Turns;
use crate::wire::{Protocol, Reason};

/// What [`page`] is, as HTTP calls it.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// What the page tells.
#[derive(Clone, Copy, Debug)]
pub struct Figures<'a> {
    /// The operator's counters.
    pub stats: &'a Stats,
    /// How many clients there is room for.
    pub most_connections: u64,
    /// Connections that were closed, by [reason](Reason::ALL).
    pub closed: &'a [u64; Reason::ALL.len()],
    /// Bytes of all datagrams.
    pub datagram_bytes: u64,
    /// Datagrams that the kernel dropped, where it tells.
    pub datagrams_dropped: Option<u64>,
    /// How long the turns took.
    pub turns: &'a Turns,
}

/// The figures as a page.
pub fn page(figures: &Figures<'_>) -> String {
    let Figures { stats, most_connections, closed, datagram_bytes, datagrams_dropped, turns } = *figures;
    let mut page = Page::default();
    page.gauge("connections", "TCP clients connected now.", stats.connections);
    page.gauge("connections_max", "TCP clients that are served at once; one more is refused.", most_connections);
    page.counter("connections_accepted_total", "TCP clients since the start.").sample(&[], stats.total);
    page.counter(
        "connections_refused_total",
        "TCP clients turned away: the server was full, or their address had enough.",
    )
    .sample(&[("reason", &"full")], stats.refused_full)
    .sample(&[("reason", &"address")], stats.refused_address);
    let mut family =
        page.counter("connections_closed_total", "TCP clients that left or were cut, by the transcript's reason.");
    for (reason, count) in Reason::ALL.iter().zip(closed) {
        family = family.sample(&[("reason", reason)], *count);
    }
    let by_protocol = [
        ("messages_total", "Messages received.", stats.messages, stats.datagrams_in),
        ("acknowledgements_total", "Messages acknowledged.", stats.acks, stats.datagrams_out),
        ("message_bytes_total", "Bytes of the messages received.", stats.bytes, datagram_bytes),
    ];
    for (name, help, tcp, udp) in by_protocol {
        page.counter(name, help)
            .sample(&[("protocol", &Protocol::Tcp)], tcp)
            .sample(&[("protocol", &Protocol::Udp)], udp);
    }
    page.counter("datagrams_unanswered_total", "Datagrams received and left without an answer.")
        .sample(&[], stats.unanswered);
    if let Some(dropped) = datagrams_dropped {
        page.counter("datagrams_dropped_total", "Datagrams that the kernel dropped before they were received.")
            .sample(&[], dropped);
    }
    page.counter("transcript_lines_dropped_total", "Lines of the transcript that stdout did not take in time.")
        .sample(&[], stats.lines_dropped);
    page.turns(turns);
    page.family("build_info", "gauge", "The version of the server; always 1.")
        .sample(&[("version", &env!("CARGO_PKG_VERSION"))], 1);
    page.text
}

#[derive(Debug, Default)]
struct Page {
    text: String,
}

/// The samples of one name.
struct Family<'a> {
    name: &'static str,
    text: &'a mut String,
}

impl Page {
    fn family(&mut self, name: &'static str, kind: &str, help: &str) -> Family<'_> {
        push!(self.text, "# HELP {PREFIX}{name} {help}\n# TYPE {PREFIX}{name} {kind}\n");
        Family { name, text: &mut self.text }
    }

    fn counter(&mut self, name: &'static str, help: &str) -> Family<'_> {
        self.family(name, "counter", help)
    }

    fn gauge(&mut self, name: &'static str, help: &str, value: u64) {
        self.family(name, "gauge", help).sample(&[], value);
    }

    /// Each bucket holds those below it, too.
    fn turns(&mut self, turns: &Turns) {
        let help = "Time from the end of one wait of the loop to the beginning of the next.";
        let mut family = self.family("turn_seconds", "histogram", help);
        let (mut below, mut bounds) = (0, Turns::BOUNDS.iter());
        for count in turns.counts() {
            below += count;
            let bound: &dyn Display = match bounds.next() {
                Some(bound) => &bound.as_secs_f64(),
                None => &"+Inf",
            };
            family = family.suffixed("_bucket", &[("le", bound)], below);
        }
        family.suffixed("_sum", &[], turns.total().as_secs_f64()).suffixed("_count", &[], below);
    }
}

impl Family<'_> {
    fn sample(self, labels: &[(&str, &dyn Display)], value: impl Display) -> Self {
        self.suffixed("", labels, value)
    }

    /// No label's value here has a quote, a backslash or a newline.
    fn suffixed(self, suffix: &str, labels: &[(&str, &dyn Display)], value: impl Display) -> Self {
        push!(self.text, "{PREFIX}{}{suffix}", self.name);
        for (index, (name, value)) in labels.iter().enumerate() {
            push!(self.text, "{}{name}=\"{value}\"", if index == 0 { '{' } else { ',' });
        }
        let end = if labels.is_empty() { "" } else { "}" };
        push!(self.text, "{end} {value}\n");
        self
    }
}

const PREFIX: &str = "ack_reactor_";

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(datagrams_dropped: Option<u64>) -> String {
        let stats = Stats {
            connections: 3,
            total: 9,
            refused_full: 5,
            refused_address: 2,
            messages: 6,
            acks: 5,
            bytes: 42,
            datagrams_in: 4,
            datagrams_out: 2,
            unanswered: 1,
            lines_dropped: 12,
            ..Stats::default()
        };
        page(&Figures {
            stats: &stats,
            most_connections: 100,
            closed: &[1, 2, 3, 4, 5, 6, 7],
            datagram_bytes: 43,
            datagrams_dropped,
            turns: &Turns::default(),
        })
    }

    #[test]
    fn every_figure_has_its_name() {
        let page = shown(Some(11));
        let samples: Vec<&str> = page.lines().filter(|line| !line.starts_with('#')).collect();
        let expected = [
            "connections 3",
            "connections_max 100",
            "connections_accepted_total 9",
            r#"connections_refused_total{reason="full"} 5"#,
            r#"connections_refused_total{reason="address"} 2"#,
            r#"connections_closed_total{reason="closed"} 1"#,
            r#"connections_closed_total{reason="idle"} 2"#,
            r#"connections_closed_total{reason="reset"} 3"#,
            r#"connections_closed_total{reason="shutdown"} 4"#,
            r#"connections_closed_total{reason="too long"} 5"#,
            r#"connections_closed_total{reason="operator"} 6"#,
            r#"connections_closed_total{reason="error"} 7"#,
            r#"messages_total{protocol="tcp"} 6"#,
            r#"messages_total{protocol="udp"} 4"#,
            r#"acknowledgements_total{protocol="tcp"} 5"#,
            r#"acknowledgements_total{protocol="udp"} 2"#,
            r#"message_bytes_total{protocol="tcp"} 42"#,
            r#"message_bytes_total{protocol="udp"} 43"#,
            "datagrams_unanswered_total 1",
            "datagrams_dropped_total 11",
            "transcript_lines_dropped_total 12",
            r#"turn_seconds_bucket{le="0.00001"} 0"#,
            r#"turn_seconds_bucket{le="0.000025"} 0"#,
        ];
        let expected: Vec<String> = expected.iter().map(|sample| format!("{PREFIX}{sample}")).collect();
        assert_eq!(samples[..expected.len()], expected);
        let version = format!("{PREFIX}build_info{{version=\"{}\"}} 1", env!("CARGO_PKG_VERSION"));
        let last = [r#"turn_seconds_bucket{le="+Inf"} 0"#, "turn_seconds_sum 0", "turn_seconds_count 0"];
        let last: Vec<String> = last.iter().map(|sample| format!("{PREFIX}{sample}")).chain([version]).collect();
        assert_eq!(samples[samples.len() - 4..], last);
    }

    #[test]
    fn every_name_is_described_once_and_what_is_not_known_is_not_told() {
        let page = shown(None);
        assert!(!page.contains("datagrams_dropped"), "{page}");
        let described: Vec<&str> = page.lines().filter_map(|line| line.strip_prefix("# TYPE ")).collect();
        assert_eq!(described.len(), 12, "{described:?}");
        let helped = page.lines().filter(|line| line.starts_with("# HELP "));
        assert_eq!(helped.count(), 12);
    }
}
