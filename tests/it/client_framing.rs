//! Another framing than the server's: where the answer shows it the client says so, and where nothing comes it asks.

use std::net::{Ipv4Addr, SocketAddr};

use nix::sys::signal::Signal::SIGINT;
use serde_json::Value;

use crate::harness::{
    Ended, FarTcp, FarUdp, Mute, Process, Server, client_to, end_of, expect_end, in_tables, one_of_five, piped_to, run,
    server, tcp_service, undisturbed, wait_until,
};

const FRAMINGS: [&str; 3] = ["bytes", "lines", "length"];
const LACKING: &str = "reactor-client: 1 of 1 messages were not acknowledged";

fn other(own: &str, theirs: &str) -> String {
    format!("the server answers as with --framing {theirs}, and here it is {own}: both sides need the same --framing")
}

fn question(own: &str) -> String {
    format!("nothing came back at all: do both sides have the same --framing? here it is {own}")
}

/// What a client with the one framing says of a server with the other, where its message has so many bytes.
fn sentence(own: &str, theirs: &str, bytes: usize) -> Option<String> {
    match (own, theirs) {
        _ if own == theirs => None,
        // The server waits for the end of a line, or for the rest of a count.
        (_, "lines") => Some(question(own)),
        ("bytes", "length") if bytes < 4 => Some(question(own)),
        _ => Some(other(own, theirs)),
    }
}

/// Every pair of framings, the client's first, with what a client came to; all of them side by side.
fn each_pair(start: impl Fn(SocketAddr, &str, bool) -> Process) -> Vec<(&'static str, &'static str, Ended)> {
    let servers: [(&str, Server); 3] = FRAMINGS.map(|theirs| (theirs, server(&format!("-t -q --framing {theirs}"))));
    let mut running = Vec::new();
    for (theirs, server) in &servers {
        for own in FRAMINGS {
            running.push((own, *theirs, start(server.tcp(), own, own == *theirs)));
        }
    }
    running.into_iter().map(|(own, theirs, mut client)| (own, theirs, end_of(&mut client))).collect()
}

/// What was said about framing.
fn said(ended: &Ended) -> Vec<String> {
    let lines = ended.err.iter().filter(|line| line.contains("--framing"));
    lines.map(|line| line.strip_prefix("reactor-client: ").unwrap().to_owned()).collect()
}

/// The same as a program finds it on stdout.
fn told(ended: &Ended) -> Vec<String> {
    let objects = ended.out.iter().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let errors = objects.filter(|object| object["event"] == "error");
    errors.map(|error| error["text"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn a_chat_of_each_pair_names_the_framing_once_or_asks_for_it() {
    undisturbed(|| {
        for (message, format) in [("one", "text"), ("hello", "text"), ("one", "json"), ("hello", "json")] {
            let ends = each_pair(|address, own, agree| {
                let mut client = piped_to(address, &format!("--framing {own} -W 3 --format {format}"));
                client.type_in(&format!("{message}\n"));
                if agree {
                    client.end_input();
                }
                client
            });
            for (own, theirs, ended) in ends {
                let wanted: Vec<String> = sentence(own, theirs, message.len()).into_iter().collect();
                let context = format!("{own} to {theirs}, {message}, {format}: {:?} {:?}", ended.out, ended.err);
                assert_eq!(said(&ended), wanted, "{context}");
                assert_eq!(ended.code, i32::from(own != theirs), "{context}");
                if format == "json" {
                    assert_eq!(told(&ended), wanted, "{context}");
                }
            }
        }
    });
}

#[test]
fn an_instrument_of_each_pair_says_it_once_beside_its_figures() {
    undisturbed(|| {
        for options in
            ["-z -W 2", "-z -W 2 --format json", "--ping -c 2 -i 0.1 -W 2", "--ping -c 2 -i 0.1 -W 2 --format json"]
        {
            let ends = each_pair(|address, own, _| client_to(address, &format!("--framing {own} {options}")).start());
            for (own, theirs, ended) in ends {
                let wanted: Vec<String> = sentence(own, theirs, "hello".len()).into_iter().collect();
                let context = format!("{options}, {own} to {theirs}: {:?} {:?}", ended.out, ended.err);
                assert_eq!(said(&ended), wanted, "{context}");
                // A ping that a busy machine held up has not sent all.
                assert!(
                    ended.code == i32::from(own != theirs) || own == theirs && options.contains("ping"),
                    "{context}"
                );
            }
        }
    });
}

#[test]
fn a_verdict_that_nobody_wants_to_read_is_not_explained() {
    undisturbed(|| {
        let server = server("-t -q --framing length");
        let ended = run(client_to(server.tcp(), "-z -q"));
        assert_eq!((ended.code, ended.out, ended.err), (1, vec![], vec![]));
    });
}

#[test]
fn a_message_that_was_given_fares_no_better() {
    undisturbed(|| {
        let ends = each_pair(|address, own, _| client_to(address, &format!("-m abc --framing {own} -W 3 -q")).start());
        for (own, theirs, ended) in ends {
            let wanted = sentence(own, theirs, 3);
            let context = format!("{own} to {theirs}: {:?} {:?}", ended.out, ended.err);
            assert_eq!(ended.code, i32::from(wanted.is_some()), "{context}");
            assert_eq!(said(&ended), wanted.into_iter().collect::<Vec<_>>(), "{context}");
        }
    });
}

#[test]
fn the_sentence_stands_behind_what_it_explains_and_comes_before_the_end_of_the_run() {
    undisturbed(|| {
        let far = FarTcp::new();
        let mut client = piped_to(far.address(), "");
        client.type_in("one\n");
        let mut caller = far.accept();
        caller.answer("one", "ACK\n");
        let sentence = format!("reactor-client: {}", other("bytes", "lines"));
        client.stderr.expect(&sentence);
        let shown = ["connected to ADDRESS", "last message: ACK"]
            .map(|line| line.replace("ADDRESS", &far.address().to_string()));
        client.stdout.find_after(1, "the reply", |line| line == shown[1]);
        for message in ["two", "three"] {
            client.type_in(&format!("{message}\n"));
            caller.answer(message, "ACK\n");
            client.stdout.find_after(2, "the reply", |line| line == shown[1]);
        }
        client.end_input();
        let ended = end_of(&mut client);
        assert_eq!(ended.code, 1);
        assert_eq!(ended.err, [sentence.as_str(), "reactor-client: 3 of 3 messages were not acknowledged"]);
    });
}

#[test]
fn an_acknowledgement_whose_end_comes_by_itself_tells_it_too() {
    undisturbed(|| {
        let far = FarTcp::new();
        let mut client = piped_to(far.address(), "");
        client.type_in("one\n");
        let mut caller = far.accept();
        caller.answer("one", "ACK");
        client.stdout.expect("last message: ACK");
        caller.say("\n");
        client.stderr.expect(&format!("reactor-client: {}", other("bytes", "lines")));
    });
}

#[test]
fn an_interrupt_tells_what_was_awaited_and_asks_nothing() {
    let interrupted = |options: &str, wanted: &str, answer: &str| {
        let far = FarTcp::new();
        let mut client = piped_to(far.address(), options);
        client.type_in("one\n");
        let mut caller = far.accept();
        caller.answer(wanted, answer);
        wait_until("the client to take it", || (unread_from(far.address()) == 0).then_some(()));
        client.signal(SIGINT);
        let ended = end_of(&mut client);
        assert_eq!((ended.code, ended.complaint().contains(LACKING)), (1, true));
        said(&ended)
    };
    assert_eq!(interrupted("", "one", ""), [""; 0]);
    // The answer may be on its way, and the interrupt sooner there.
    one_of_five(|| match interrupted("--framing lines", "one\n", "ACK") {
        said if said == [other("lines", "bytes")] => Ok(()),
        said => Err(said),
    });
}

/// How many bytes wait to be read by whoever is connected to this address.
fn unread_from(address: SocketAddr) -> u64 {
    let peer = in_tables(address);
    let table = std::fs::read_to_string("/proc/net/tcp").unwrap();
    let rows = table.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    let queues = rows.filter(|row| row[2] == peer).map(|row| row[4].split_once(':').unwrap().1.to_owned());
    queues.map(|queue| u64::from_str_radix(&queue, 16).unwrap()).sum()
}

#[test]
fn who_has_heard_something_or_never_stood_is_not_asked() {
    undisturbed(|| {
        // It answered before.
        let far = FarTcp::new();
        let mut client = piped_to(far.address(), "-W 1");
        client.type_in("one\n");
        far.accept().answer("one", "ACK");
        client.stdout.expect("last message: ACK");
        client.type_in("two\n");
        let connected = format!("connected to {}", far.address());
        let ended = expect_end(&mut client, 1, &[&connected, "last message: ACK", "timed out: no reply in time"]);
        assert_eq!(said(&ended), [""; 0]);

        // Its connection never stood.
        let mute = Mute::on((Ipv4Addr::LOCALHOST, 0).into());
        for options in ["-m hello -W 1", "-z -W 0.2", "--ping -c 1 -W 0.2"] {
            let ended = run(client_to(mute.address(), options));
            assert_eq!((ended.code, said(&ended)), (1, vec![]), "{options}");
        }

        // Datagrams have no framing.
        let silent = FarUdp::new();
        for options in ["-u -m hello -W 0.2", "-zu -W 0.2", "--ping -u -c 1 -W 0.2"] {
            let ended = run(client_to(silent.address(), &format!("{options} --framing lines")));
            assert_eq!((ended.code, said(&ended)), (1, vec![]), "{options}");
        }
        let strange = FarUdp::new();
        let mut client = client_to(strange.address(), "-u -m hello").start();
        strange.answer("hello", "ACK\n");
        assert_eq!(said(&end_of(&mut client)), [""; 0]);

        // It is no server of ours.
        let web = tcp_service(|mut stream| {
            use std::io::Write;
            let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n");
            let _ = std::io::copy(&mut stream, &mut std::io::sink());
        });
        for framing in FRAMINGS {
            for options in ["-m hello -W 1", "-z -W 0.3", "--ping -c 1 -W 0.3"] {
                let ended = run(client_to(web, &format!("{options} --framing {framing}")));
                assert_eq!((ended.code, said(&ended)), (1, vec![]), "{options} --framing {framing}: {:?}", ended.out);
            }
        }
    });
}
