//! Hostile bytes, in every direction and format: whatever comes in, what is printed stays lines of safe text.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::thread;

use nix::sys::signal::Signal::SIGTERM;

use crate::harness::{DEADLINE, Input, Launch, ServerBuilder, private_loopback, undisturbed};
use crate::tools::{MIB, peak_memory, peak_until_exit};

/// What terminals obey, what eyes do not see, and what looks like a line of ours; then noise.
fn corpus() -> Vec<Vec<u8>> {
    let mut corpus: Vec<Vec<u8>> = (0..=255).map(|byte| vec![byte]).collect();
    corpus.push((0..=255).collect());
    corpus.push((0..=255).rev().collect());
    let texts = [
        "\x1b[2J\x1b[H\x1b[31mred",
        "\x1b]0;a new title\x07",
        "\x1b]52;c;aGVsbG8=\x1b\\",
        "\x1bP+q544e\x1b\\\x1b[6n\x1bc\x0e\x0f",
        "\u{9b}2J\u{9d}0;title\u{9c}\u{90}x\u{9c}\u{85}next",
        "over\rwritten\x08\x08\x7f\x0b\x0c",
        "\u{202a}\u{202b}\u{202c}\u{202d}\u{202e}\u{2066}\u{2067}\u{2068}\u{2069}\u{200e}\u{200f}\u{61c}",
        "\u{200b}\u{200c}\u{200d}\u{2060}\u{feff}\u{ad}\u{180e}\u{fe0f}\u{e0041}",
        "\u{2028}\u{2029}\u{fdd0}\u{ffff}\u{fff9}",
        "x\n10.0.0.1:1 connected\nserver is shutting down\n",
        "x\r\n{\"event\":\"shutdown\"}\r\n",
        "… lines dropped: 123",
        "\\n\\x1b\\u{202e}\\",
        "%s%n%99999d{}{0}${HOME}`id`$(id)",
        "你好\u{301}🦀\u{1f468}\u{200d}\u{1f469}",
    ];
    corpus.extend(texts.map(|text| text.as_bytes().to_vec()));
    corpus.push(b"\xff\xfb\x01\xff\xfd\x03\xff\xf4".to_vec());
    corpus.push(b"\xc3\xc3\xa9\xe2\x82\xf0\x9f\xa6\xed\xa0\x80\xc0\xaf\xf4\x90\x80\x80".to_vec());
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    for length in 1..=200 {
        let noise = (0..length).map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state.to_be_bytes()[0]
        });
        corpus.push(noise.collect());
    }
    corpus
}

/// Whether a character could move, hide, reorder or forge anything.
fn is_dangerous(character: char) -> bool {
    character.is_control()
        || matches!(character,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}'
            | '\u{fdd0}'..='\u{fdef}' | '\u{fffe}' | '\u{ffff}' | '\u{e0000}'..='\u{e0fff}')
}

/// Every line must be safe; gives how many there were.
#[track_caller]
fn expect_safe(lines: &[String], json: bool) -> usize {
    for line in lines {
        let danger = line.chars().find(|&character| is_dangerous(character));
        assert_eq!(danger, None, "in {line:?}");
        // What is not UTF-8 would have been printed raw.
        assert!(json || !line.contains(char::REPLACEMENT_CHARACTER), "{line:?}");
        assert!(!json || serde_json::from_str::<serde_json::Value>(line).is_ok(), "no JSON: {line:?}");
    }
    lines.len()
}

#[test]
fn a_hostile_client_cannot_harm_what_the_server_prints() {
    let corpus = corpus();
    for (format, per_datagram) in [("--lang en", 1), ("--lang zh", 2), ("--format json", 1)] {
        let json = format.contains("json");
        let mut server = ServerBuilder::new(&format!("--framing length {format}"))
            .with(|launch| launch.env("RUST_LOG", "trace"))
            .start();
        let (mut client, peer) = (server.quiet_client(), server.peer());
        for bytes in &corpus {
            let length = u32::try_from(bytes.len()).unwrap().to_be_bytes();
            client.exchange([&length[..], bytes].concat(), "\0\0\0\x03ACK");
        }
        for bytes in &corpus {
            peer.check(bytes);
        }
        drop(client);
        server.signal(SIGTERM);
        assert_eq!(server.wait_exit(), 0);
        let printed = expect_safe(&server.stdout.to_end(), json);
        let logged = expect_safe(&server.stderr.to_end(), false);
        println!("{format}: {} messages each way in {printed} lines and {logged} of the log, all safe", corpus.len());
        // Two listening lines, who came and left, the shutdown (in JSON its end, too): and no line that anybody forged.
        assert_eq!(printed, 5 + usize::from(json) + corpus.len() * (1 + per_datagram));
    }
}

/// A server that answers every frame, or datagram, with the next of the corpus.
fn hostile_server(udp: bool) -> SocketAddr {
    if udp {
        let socket = UdpSocket::bind((private_loopback(), 0)).unwrap();
        let address = socket.local_addr().unwrap();
        socket.set_read_timeout(Some(DEADLINE)).unwrap();
        thread::spawn(move || {
            for bytes in corpus() {
                let Ok((_, peer)) = socket.recv_from(&mut [0; 100]) else { return };
                let _ = socket.send_to(&bytes, peer);
            }
        });
        return address;
    }
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        let mut stream = listener.accept().unwrap().0;
        for bytes in corpus() {
            // Every message of the client is `hello`.
            if stream.read_exact(&mut [0; 9]).is_err() {
                return;
            }
            let length = u32::try_from(bytes.len()).unwrap().to_be_bytes();
            let _ = stream.write_all(&[&length[..], &bytes].concat());
        }
    });
    address
}

#[test]
fn a_hostile_server_cannot_harm_what_the_client_prints() {
    let count = corpus().len();
    for format in [["--lang", "en"], ["--lang", "zh"], ["--format", "json"]] {
        for udp in [false, true] {
            let address = hostile_server(udp).to_string();
            let mut args = vec![&*address, format[0], format[1], "--framing", "length"];
            args.extend(udp.then_some("-u"));
            let mut client = Launch::client(&args).stdin(Input::Pipe).env("RUST_LOG", "trace").start();
            client.type_in(&"hello\n".repeat(count));
            client.end_input();
            assert_eq!(client.wait_exit(), 1, "rubbish was taken for acknowledgements");
            let json = format[1] == "json";
            let printed = expect_safe(&client.stdout.to_end(), json);
            let logged = expect_safe(&client.stderr.to_end(), false);
            println!(
                "{format:?}, udp {udp}: {count} hostile replies in {printed} lines and {logged} on stderr, all safe"
            );
            assert!((count..count + 4).contains(&printed), "{printed} lines for {count} replies");
        }
    }
}

#[test]
fn a_hostile_operator_cannot_harm_what_the_server_prints() {
    let mut server = ServerBuilder::new("-t").operated().with(|launch| launch.env("RUST_LOG", "trace")).start();
    for bytes in corpus() {
        // A newline would make it two commands.
        let line: Vec<u8> = bytes.into_iter().map(|byte| if byte == b'\n' { b' ' } else { byte }).collect();
        server.type_bytes(&[&line[..], b"\nclose ", &line, b"\n"].concat());
    }
    server.type_in("shutdown\n");
    assert_eq!(server.wait_exit(), 0);
    let printed = expect_safe(&server.stdout.to_end(), false);
    let logged = expect_safe(&server.stderr.to_end(), false);
    println!("hostile commands in {printed} lines and {logged} of the log, all safe");
}

#[test]
fn hostile_words_on_the_command_line_are_shown_safely() {
    undisturbed(|| {
        for hostile in ["\x1b[2J\x1b]0;title\x07", "\u{202e}txt", "host\u{9b}2J", "a\nb\rc"] {
            let lines = [
                Launch::client(&[hostile, "1", "-m", "x"]),
                Launch::server(&["--host", hostile]),
                Launch::client(&["127.0.0.1", hostile]),
                Launch::client(&["--framing", hostile]),
                Launch::client(&[&format!("--{hostile}")]),
                Launch::server(&["--idle-timeout", hostile]),
            ]
            .map(|launch| {
                let mut process = launch.start();
                let code = process.wait_exit();
                (code, process.stdout.to_end(), process.stderr.to_end())
            });
            for (code, stdout, stderr) in lines {
                assert!(code == 1 || code == 2, "exit {code}");
                expect_safe(&stdout, false);
                expect_safe(&stderr, false);
                assert!(!stderr.is_empty());
            }
        }
    });
}

/// Feeds 64 MiB without a newline, as far as they are taken.
fn endless(mut take: impl FnMut(&[u8]) -> bool) {
    let block = vec![b'A'; 1 << 20];
    for _ in 0..64 {
        if !take(&block) {
            return;
        }
    }
}

#[test]
fn an_endless_line_costs_the_server_no_memory_from_a_client_or_from_the_operator() {
    // However long the endless line takes, the bystander may be silent.
    let mut server = ServerBuilder::new("-t --framing lines --idle-timeout 0").operated().start();
    let mut bystander = server.client();
    bystander.exchange("hello\n", "ACK\n");
    let before = peak_memory(&server).unwrap();
    let mut client = server.client();
    endless(|block| client.try_send(block));
    let told = client.try_read_to_end();
    assert!(told.is_err() || told.unwrap() == b"message too long\n");
    server.stdout.expect(&format!("{} disconnected (too long)", client.name()));
    endless(|block| {
        server.type_bytes(block);
        true
    });
    server.type_in("\n");
    server.stdout.find("the answer to the endless line", |line| line.contains("(a line of 67108864 bytes)"));
    bystander.exchange("hello\n", "ACK\n");
    let grown = peak_memory(&server).unwrap() - before;
    println!("64 MiB without a newline, from a client and from the operator: memory grew by {grown} bytes at the most");
    assert!(grown < 4 * MIB);
}

#[test]
fn an_endless_line_costs_the_client_no_memory_in_any_framing() {
    for framing in ["bytes", "lines", "length"] {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let flood = thread::spawn(move || {
            let mut stream = listener.accept().unwrap().0;
            let _ = stream.read(&mut [0; 100]);
            let mut taken = 0;
            endless(|block| {
                let took = stream.write_all(block).is_ok();
                taken += if took { block.len() } else { 0 };
                took
            });
            taken
        });
        let mut client = Launch::client(&[&address, "--framing", framing]).stdin(Input::Pipe).start();
        let before = peak_memory(&client).unwrap();
        client.type_in("hello\n");
        let peak = peak_until_exit(&mut client, before);
        assert_eq!(client.wait_exit(), 1);
        let taken = flood.join().unwrap();
        let lines = client.stdout.to_end();
        expect_safe(&lines, false);
        println!("{framing}: {taken} bytes without a newline taken, {} lines, {peak} bytes of memory", lines.len());
        assert!(peak < 24 * MIB, "{peak} bytes");
        // In frames it is one reply, too long to be followed: shown once, whatever comes behind it.
        let shown = lines.iter().filter(|line| line.starts_with("last message: ")).count();
        assert!(framing == "bytes" || shown == 1, "{framing}: shown {shown} times");
    }
}
