//! TCP with framing: each message is acknowledged exactly once, however it is cut into segments.

use std::thread;

use crate::harness::{Client, Server, server, undisturbed};

/// A framing as its messages and answers look on the wire.
#[derive(Clone, Copy)]
enum Framing {
    Lines,
    Length,
}

use Framing::{Length, Lines};

impl Framing {
    fn server(self, args: &str) -> Server {
        let framing = match self {
            Lines => "lines",
            Length => "length",
        };
        server(&format!("-t --framing {framing} {args}"))
    }

    fn frame(self, message: impl AsRef<[u8]>) -> Vec<u8> {
        let message = message.as_ref();
        match self {
            Lines => [message, b"\n"].concat(),
            Length => [&u32::try_from(message.len()).unwrap().to_be_bytes(), message].concat(),
        }
    }
}

#[test]
fn ten_thousand_messages_in_one_write_get_ten_thousand_acks() {
    for framing in [Lines, Length] {
        let server = framing.server("");
        let mut client = server.client();
        let mut sender = client.clone_handle();
        let messages: Vec<u8> = (0..10_000).flat_map(|number| framing.frame(number.to_string())).collect();
        let writer = thread::spawn(move || {
            sender.send(messages);
            sender.finish_writing();
        });
        client.expect_last(framing.frame("ACK").repeat(10_000));
        writer.join().unwrap();
    }
}

#[test]
fn messages_sent_byte_by_byte_get_one_ack_each() {
    undisturbed(|| {
        for framing in [Lines, Length] {
            let server = framing.server("");
            let mut client = server.client();
            for message in ["hello", "", "größe", "x"] {
                for byte in framing.frame(message) {
                    client.expect_nothing_yet();
                    client.send([byte]);
                }
                client.expect(framing.frame("ACK"));
                server.stdout.expect(&format!("{} sent: {message}", client.name()));
            }
        }
    });
}

#[test]
fn empty_messages_are_messages() {
    for framing in [Lines, Length] {
        let server = framing.server("");
        let mut client = server.client();
        client.exchange(framing.frame("").repeat(3), framing.frame("ACK").repeat(3));
    }
}

#[test]
fn a_carriage_return_before_the_newline_is_dropped_once() {
    let server = Lines.server("");
    let mut client = server.client();
    for (sent, seen) in [("one\r\n", "one"), ("two\r\r\n", "two\\r"), ("th\rree\n", "th\\rree"), ("\r\n", "")] {
        client.exchange(sent, "ACK\n");
        server.stdout.expect(&format!("{} sent: {seen}", client.name()));
    }
}

#[test]
fn an_unterminated_line_counts_at_the_end_of_the_stream() {
    let server = Lines.server("");
    let mut client = server.client();
    client.send("first\nsecond");
    client.expect("ACK\n");
    client.finish_writing();
    client.expect_last("ACK\n");
    server.stdout.expect(&format!("{} sent: second", client.name()));
}

#[test]
fn a_frame_cut_short_by_the_end_of_the_stream_gets_no_ack() {
    for cut in [1, 4, 8] {
        let server = Length.server("");
        let mut client = server.client();
        client.send(Length.frame("first"));
        client.send(&Length.frame("second")[..cut]);
        client.finish_writing();
        client.expect_last(Length.frame("ACK"));
        server.stdout.find("the disconnection", |line| line.starts_with(&format!("{} disconnected", client.name())));
    }
}

#[test]
fn a_message_of_exactly_the_limit_is_acknowledged_and_one_byte_more_is_too_long() {
    for framing in [Lines, Length] {
        let server = framing.server("--max-message 10");
        let mut client = server.client();
        client.exchange(framing.frame("123456789"), framing.frame("ACK"));
        client.exchange(framing.frame("1234567890"), framing.frame("ACK"));
        client.exchange(framing.frame("12345678901"), framing.frame("message too long"));
        client.expect_end();
        server.stdout.expect(&format!("{} disconnected (too long)", client.name()));
        server.client().exchange(framing.frame("still here"), framing.frame("ACK"));
    }
}

#[test]
fn the_default_limit_is_65536_bytes() {
    for framing in [Lines, Length] {
        let server = framing.server("");
        let mut client = server.client();
        client.exchange(framing.frame([b'x'; 65536]), framing.frame("ACK"));
        client.send(framing.frame([b'x'; 65537]));
        client.expect_last(framing.frame("message too long"));
    }
}

#[test]
fn the_line_ending_does_not_count_towards_the_limit() {
    let server = Lines.server("--max-message 10");
    let mut client = server.client();
    client.exchange("1234567890\r\n", "ACK\n");
}

#[test]
fn a_message_too_long_is_refused_before_it_has_all_arrived() {
    let server = Lines.server("--max-message 10");
    let mut client = server.client();
    client.send([b'x'; 50]);
    client.expect_last("message too long\n");

    let server = Length.server("--max-message 10");
    let mut client = server.client();
    client.send(u32::MAX.to_be_bytes());
    client.expect_last(Length.frame("message too long"));
}

#[test]
fn the_longest_frame_that_a_count_can_announce_is_waited_for_where_the_limit_allows_it() {
    let server = Length.server("--max-message 4294967295");
    let mut client = server.client();
    client.exchange(Length.frame("one"), Length.frame("ACK"));
    client.send(u32::MAX.to_be_bytes());
    client.send([b'x'; 100]);
    client.finish_writing();
    // It is cut short: no ACK, and nobody else hears of it.
    client.expect_end();
    server.client().exchange(Length.frame("two"), Length.frame("ACK"));
}

#[test]
fn the_notice_comes_after_the_acks_that_are_owed() {
    for framing in [Lines, Length] {
        let server = framing.server("--max-message 10");
        let mut client = server.client();
        client.send([framing.frame("one"), framing.frame("two"), framing.frame([b'x'; 11])].concat());
        client.expect_last([framing.frame("ACK"), framing.frame("ACK"), framing.frame("message too long")].concat());
    }
}

#[test]
fn the_notice_survives_a_client_that_keeps_sending() {
    undisturbed(|| {
        let server = Lines.server("--max-message 10");
        let mut client = server.client();
        server.stop();
        client.send(vec![b'x'; 100_000]);
        server.resume();
        client.expect_last("message too long\n");
    });
}

#[test]
fn half_closing_after_a_hundred_thousand_lines_loses_no_ack() {
    let server = Lines.server("--quiet");
    let mut client = server.quiet_client();
    let mut sender = client.clone_handle();
    let writer = thread::spawn(move || {
        sender.send("a\n".repeat(100_000));
        sender.finish_writing();
    });
    let acks = client.read_to_end();
    writer.join().unwrap();
    assert_eq!(acks.len(), 400_000);
    assert!(acks.chunks(4).all(|ack| ack == b"ACK\n"));
}

#[test]
fn messages_around_a_power_of_two_all_arrive() {
    for framing in [Lines, Length] {
        let server = framing.server("--quiet");
        let mut client = server.quiet_client();
        for size in [4095, 4096, 4097, 16383, 16384, 16385, 65535] {
            client.exchange(framing.frame(vec![b'x'; size]).repeat(5), framing.frame("ACK").repeat(5));
        }
    }
}

#[test]
fn urgent_data_does_not_strand_what_follows_it() {
    undisturbed(|| {
        let server = Lines.server("");
        let mut client = server.client();
        server.stop();
        client.send("a\n");
        client.send_urgent(b'!');
        client.send("b\n");
        server.resume();
        client.expect("ACK\nACK\n");
        client.exchange("c\n", "ACK\n");
    });
}

#[test]
fn a_client_that_reads_slowly_gets_every_ack_in_the_end() {
    undisturbed(|| {
        let server = Lines.server("--quiet --idle-timeout 0");
        let mut slow = Client::connect_narrow(server.tcp(), 1 << 16);
        let mut other = server.quiet_client();
        let before = server.proc().resident();
        let mut sender = slow.clone_handle();
        let writer = thread::spawn(move || {
            sender.send("\n".repeat(1_000_000));
            sender.finish_writing();
        });
        for _ in 0..100 {
            other.exchange("hello\n", "ACK\n");
        }
        let grown = server.proc().resident().saturating_sub(before);
        assert!(grown < 4 << 20, "the server's memory grew by {grown} bytes");
        let acks = slow.read_to_end();
        writer.join().unwrap();
        assert_eq!(acks.len(), 4_000_000);
    });
}
