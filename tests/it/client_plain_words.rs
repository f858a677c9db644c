//! What is said plainly: a number that is no host, local time, and what a far end does that it should not.

use std::io::Write;
use std::net::Ipv4Addr;

use crate::harness::{Client, FarUdp, Launch, client_to, has_v6, run, server, tcp_service, undisturbed};

#[test]
fn a_bare_number_is_no_host() {
    for words in ["-t 64", "64", "64 7", "64:7", "--ping 5", "-z 0", "-u 4294967295", "99999999999"] {
        let ended = run(Launch::client(&words.split(' ').collect::<Vec<_>>()));
        let number = words.split([' ', ':']).find(|word| word.parse::<u64>().is_ok()).unwrap();
        assert_eq!((ended.code, ended.out.len(), ended.err.len()), (2, 0, 1), "{words}: {:?}", ended.err);
        assert!(ended.err[0].contains(&format!("'{number}' is no host")), "{words}: {:?}", ended.err);
    }
}

#[test]
fn time_stamps_are_local_and_name_their_offset() {
    undisturbed(|| {
        let server = server("-u");
        for (zone, offset) in [("XST-8", "+08:00"), ("YST3:30", "-03:30"), ("UTC0", "+00:00"), ("No/Where", "Z")] {
            let ended = run(client_to(server.udp(), "--ping -u -D -c 1").env("TZ", zone));
            assert_eq!(ended.code, 0, "{:?}", ended.err);
            // Behind the line that says what it does.
            let stamp = ended.out[1].strip_prefix('[').and_then(|rest| rest.split_once("] check from ")).unwrap().0;
            let shape: String = stamp[..26].chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
            assert_eq!((shape.as_str(), &stamp[26..]), ("0000-00-00T00:00:00.000000", offset), "{zone}: {stamp}");
            // A busy machine may have held the client up, which it says.
            let held_up = |line: &&String| line.contains("stood still") || line.contains("our own sending was late");
            assert_eq!(ended.err.iter().find(|line| !held_up(line)), None, "{zone}");
        }
    });
}

#[test]
fn what_a_far_end_does_is_no_line_of_a_log() {
    undisturbed(|| {
        let banner = tcp_service(|mut stream| {
            let _ = stream.write_all(b"SSH-2.0-OpenSSH_9.2\r\n");
            std::thread::sleep(std::time::Duration::from_secs(2));
        });
        let chatty = tcp_service(|mut stream| while stream.write_all(b"SSH-2.0-OpenSSH_9.2\r\n").is_ok() {});
        let silent = FarUdp::new();
        // Over TCP somebody else may listen at the silent one's port.
        for (address, protocol) in [(banner, "-t"), (chatty, "-t"), (silent.address(), "-u")] {
            for mode in ["-m x -W 0.3", "-z -W 0.3", "--ping -c 2 -i 0.1 -W 0.3", "--find-idle 0.2 -W 0.3"] {
                for framing in ["bytes", "lines", "length"] {
                    let ended = run(client_to(address, &format!("{protocol} {mode} --framing {framing}")));
                    assert_ne!(ended.code, 0, "{protocol} {mode} {framing}");
                    for line in &ended.err {
                        assert!(line.starts_with("reactor-client: "), "{protocol} {mode} {framing}: {line:?}");
                    }
                }
            }
        }
    });
}

#[test]
fn a_frame_cut_short_is_a_sentence_of_the_server() {
    let server = server("-t --framing length");
    let mut client = server.client();
    client.send(b"\0\0\0\x09hel");
    let name = client.name();
    drop(client);
    server.stderr.expect(&format!("reactor-server: {name} ended its stream within a message, 7 bytes into the frame"));
    // To a socket of both families it came as ::ffff:127.0.0.1.
    if !has_v6() {
        return;
    }
    let server = crate::harness::server("-t --host :: --framing length");
    let mut client = Client::connect((Ipv4Addr::LOCALHOST, server.tcp().port()).into());
    client.send(b"\0\0\0\x09hel");
    let name = client.name();
    drop(client);
    server.stderr.expect(&format!("reactor-server: {name} ended its stream within a message, 7 bytes into the frame"));
}
