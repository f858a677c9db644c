//! A disk that is full, and a file that may not grow: the client ends with 2 and a sentence, the server goes on.

use std::fs::{self, File};
use std::net::SocketAddr;
use std::process::Command;
use std::thread;
use std::time::Duration;

use nix::sys::signal::Signal::SIGTERM;

use crate::client_names::several;
use crate::harness::{
    FarTcp, FarUdp, Input, Launch, Namespace, Output, Peer, Process, Scratch, Server, ServerBuilder, client_to, have,
    output, private_loopback, server, timed, undisturbed, wait_until,
};

/// Each mode in a way that ends soon where stdout takes everything.
const MODES: [&str; 11] = [
    "-m hello",
    "-u -m hello",
    "-ztu",
    "--ping -c 3 -i 0.01",
    "--ping -q -c 3 -i 0.01",
    "--find-idle 0.1",
    "--find-idle 0.1 -u",
    "--find-size -u",
    "--ping -u -c 3 -i 0.01",
    "-z -w 1",
    "--find-size 1000 --framing lines",
];

/// A server for a mode: most speak the default framing.
pub(crate) fn served(mode: &str) -> Server {
    server(if mode.contains("lines") { "-q --framing lines" } else { "-q" })
}

const NO_SPACE: &str = "reactor-client: cannot write to stdout: No space left on device";
const TOO_LARGE: &str = "reactor-client: cannot write to stdout: File too large";

/// It must end soon, with 2 and this sentence, once.
#[track_caller]
fn expect_failure(what: &str, launch: Launch, sentence: &str) {
    let mut client = launch.start();
    let (code, took) = timed(|| client.wait_exit());
    let said = client.stderr.to_end();
    assert_eq!((code, said.iter().filter(|line| *line == sentence).count()), (2, 1), "{what}: {said:?}");
    assert!(took < Duration::from_secs(3), "{what} took {took:?}");
}

fn full() -> Output {
    Output::Given(File::options().write(true).open("/dev/full").unwrap().into())
}

/// What no resolver is asked about, and waited for: a label may have 63 letters.
fn nameless() -> String {
    "x".repeat(64)
}

#[test]
fn a_full_device_ends_every_mode_with_exit_2_and_a_sentence() {
    undisturbed(|| {
        for mode in MODES {
            let server = served(mode);
            for format in ["text", "json"] {
                let words = format!("{mode} --format {format}");
                expect_failure(&words, client_to(server.tcp(), &words).stdout(full()), NO_SPACE);
            }
        }
        expect_failure("a name", Launch::client(&["-z", &nameless()]).stdout(full()), NO_SPACE);
    });
}

#[test]
fn what_was_measured_before_stays_where_the_run_ends_with_exit_2() {
    undisturbed(|| {
        let (server, old) = (server("-q"), Scratch::path("old.hgrm"));
        let response = Scratch(format!("{}.response", old.0.display()).into());
        for format in ["text -q", "text", "json"] {
            for protocol in ["-t", "-u"] {
                fs::write(&old.0, "old").unwrap();
                fs::write(&response.0, "old").unwrap();
                let words = format!("--ping {protocol} -c 2 -i 0.01 --format {format} --hgrm {}", old.0.display());
                expect_failure(&words, client_to(server.tcp(), &words).stdout(full()), NO_SPACE);
                let kept = [&old.0, &response.0].map(|path| fs::read_to_string(path).unwrap());
                assert_eq!(kept, ["old", "old"], "{words}");
            }
        }
    });
}

#[test]
fn a_client_that_waits_for_its_user_ends_at_once_on_a_full_device() {
    undisturbed(|| {
        let server = server("-q");
        let mut client = client_to(server.tcp(), "").stdin(Input::Pipe).stdout(full()).start();
        let (code, took) = timed(|| client.wait_exit());
        assert_eq!((code, client.stderr.to_end()), (2, vec![NO_SPACE.to_owned()]));
        assert!(took < Duration::from_secs(1), "{took:?}");
    });
}

/// What it came to where nobody can collect its stdout.
#[track_caller]
fn unheard(launch: Launch, stdout: Output) -> (i32, Vec<String>) {
    let mut process = launch.stdout(stdout).start();
    (process.wait_exit(), process.stderr.to_end())
}

#[test]
fn a_chat_on_a_full_device_blames_the_device_and_not_the_path() {
    undisturbed(|| {
        let server = server("-q");
        for protocol in ["", "-u"] {
            for format in ["text", "json"] {
                let words = format!("-m one -m two -m three {protocol} --format {format}");
                let (code, said) = unheard(client_to(server.tcp(), &words), full());
                assert_eq!((code, said[0].as_str()), (2, NO_SPACE), "{words}: {said:?}");
                // It has been given up before all were sent, and says so.
                assert!(
                    said[1..].iter().all(|line| line.ends_with("of the messages given were not sent")),
                    "{words}: {said:?}"
                );
            }
        }
    });
}

#[test]
fn help_and_version_that_cannot_be_written_are_exit_2_and_a_sentence() {
    undisturbed(|| {
        for (program, name) in [
            (env!("CARGO_BIN_EXE_reactor-client"), "reactor-client"),
            (env!("CARGO_BIN_EXE_reactor-server"), "reactor-server"),
        ] {
            for option in ["--help", "-h", "--version", "-V"] {
                let sentence = format!("{name}: cannot write to stdout: No space left on device");
                assert_eq!(unheard(Launch::program(program, &[option]), full()), (2, vec![sentence]), "{option}");
                // Whoever closed it wants to know no more.
                let (reader, writer) = std::io::pipe().unwrap();
                drop(reader);
                let closed = Output::Given(writer.into());
                assert_eq!(unheard(Launch::program(program, &[option]), closed), (0, vec![]), "{name} {option}");
            }
        }
    });
}

#[test]
fn an_endless_ping_ends_at_once_on_a_full_device() {
    undisturbed(|| {
        let server = server("-q");
        expect_failure("an endless ping", client_to(server.tcp(), "--ping -i 0.01").stdout(full()), NO_SPACE);
    });
}

#[test]
fn a_line_torn_by_a_full_disk_ends_it_and_nothing_spins() {
    undisturbed(|| {
        let disk = Scratch::folder("small-disk");
        let mount = format!("mount -t tmpfs -o size=8k none {}", disk.0.display());
        let Some(namespace) = Namespace::new(&mount) else { return };
        let server = env!("CARGO_BIN_EXE_reactor-server");
        for options in
            ["", "--format json", "--framing lines --window 64", "--ping -i 0 -c 2000", "-z", "--find-idle 0.1"]
        {
            // What prints one line finds the disk full but for a few bytes.
            let spare = if options.contains("-z") || options.contains("find") { 8190 } else { 0 };
            let script = format!(
                "{server} -q -p 6666 {framing} < /dev/null > /dev/null &
             until grep -q :1A0A /proc/net/tcp && grep -q :1A0A /proc/net/udp; do sleep 0.02; done
             head -c {spare} /dev/zero > {disk}/out
             seq 2000 | \"$0\" \"$@\" >> {disk}/out",
                disk = disk.0.display(),
                framing = if options.contains("lines") { "--framing lines" } else { "" },
            );
            expect_failure(options, namespace.run(env!("CARGO_BIN_EXE_reactor-client"), options, &script), NO_SPACE);
        }
    });
}

#[test]
fn a_file_size_limit_ends_every_mode_with_exit_2_and_a_sentence() {
    undisturbed(|| {
        for mode in MODES {
            let server = served(mode);
            let file = Scratch::file("limited", "");
            let stdout = Output::Given(File::options().append(true).open(&file.0).unwrap().into());
            let limited = client_to(server.tcp(), mode).through_shell("ulimit -f 0; exec \"$0\" \"$@\"");
            expect_failure(mode, limited.stdout(stdout), TOO_LARGE);
            assert_eq!(fs::read(&file.0).unwrap(), b"");
        }
    });
}

/// The distributions go the same way as the summary before them.
#[test]
fn figures_that_find_no_room_behind_their_summary_are_exit_2_too_and_touch_no_file() {
    undisturbed(|| {
        let (server, plot) = (server("-q"), Scratch::file("old.svg", "old"));
        for protocol in ["-t", "-u"] {
            let file = Scratch::file("room", "");
            let stdout = Output::Given(File::options().append(true).open(&file.0).unwrap().into());
            let words = format!("--ping -q {protocol} -c 2 -i 0.01 --plot {} --hgrm /dev/stdout", plot.0.display());
            // 512 or 1024 bytes: more than the summary has.
            let limited = client_to(server.tcp(), &words).through_shell("ulimit -f 1; exec \"$0\" \"$@\"");
            expect_failure(&words, limited.stdout(stdout), TOO_LARGE);
            let text = fs::read_to_string(&file.0).unwrap();
            assert!(text.contains("2 sent") && text.contains("Percentile"), "{words}: {text}");
            assert_eq!(fs::read_to_string(&plot.0).unwrap(), "old", "{words}");
        }
    });
}

#[test]
fn a_sentence_for_a_file_that_may_not_grow_kills_nobody() {
    undisturbed(|| {
        for program in [env!("CARGO_BIN_EXE_reactor-client"), env!("CARGO_BIN_EXE_reactor-server")] {
            let file = Scratch::file("limited-stderr", "");
            let stderr = Output::Given(File::options().append(true).open(&file.0).unwrap().into());
            let launch =
                Launch::program(program, &["--no-such-option"]).through_shell("ulimit -f 0; exec \"$0\" \"$@\"");
            assert_eq!(launch.stderr(stderr).start().wait_exit(), 2, "{program}");
        }
    });
}

#[test]
fn a_closed_stdout_ends_an_instrument_with_exit_1_though_it_has_nothing_to_say_yet() {
    undisturbed(|| {
        let silent = FarTcp::new();
        for mode in [
            "-z -W 30",
            "--ping -W 30",
            "--find-idle 30 -W 30",
            "--find-size --framing lines -W 30",
            "-zu -W 30",
            "--ping -u -W 30",
            "--find-idle 30 -u -W 30",
            "--find-size -u -W 30",
        ] {
            let (reader, writer) = std::io::pipe().unwrap();
            let mute = FarUdp::new();
            let address = if mode.contains('u') { mute.address() } else { silent.address() };
            let mut client = client_to(address, mode).stdout(Output::Given(writer.into())).start();
            let _caller = if mode.contains('u') {
                mute.receive();
                None
            } else {
                Some(silent.accept())
            };
            drop(reader);
            let (code, took) = timed(|| client.wait_exit());
            assert_eq!(code, 1, "{mode}");
            assert!(took < Duration::from_secs(2), "{mode}: {took:?}");
            let said = client.stderr.to_end().concat();
            assert!(!said.contains("interrupted") && !said.contains("the path"), "{mode}: {said}");
        }
    });
}

#[test]
fn a_ping_of_several_addresses_whose_stdout_is_closed_blames_none_of_them() {
    undisturbed(|| {
        let Some((names, addresses)) = several("unread", 2) else { return };
        let fars = [FarUdp::on(addresses[0]), FarUdp::on(addresses[1])];
        let (reader, writer) = std::io::pipe().unwrap();
        let launch = names.client(&format!("several {} --ping -u -W 30", addresses[0].port()));
        let mut client = launch.stdout(Output::Given(writer.into())).start();
        fars[0].receive();
        drop(reader);
        assert_eq!(client.wait_exit(), 1);
        let said = client.stderr.to_end().concat();
        assert!(!said.contains("no way"), "{said}");
    });
}

/// A server whose transcript may not grow beyond 4096 bytes, with an operator; and the transcript.
#[track_caller]
fn limited_server(name: &str) -> (Process, SocketAddr, Scratch) {
    let log = Scratch::file(name, "");
    let stdout = Output::Given(File::options().append(true).open(&log.0).unwrap().into());
    let (host, script) = (private_loopback(), "ulimit -S -f 8; exec \"$0\" \"$@\"");
    let launch = Launch::server(&["-u", "--host", &host.to_string(), "-p", "7002"]).through_shell(script);
    let process = launch.stdin(Input::Pipe).stdout(stdout).start();
    wait_until("the server", || (!fs::read(&log.0).unwrap().is_empty()).then_some(()));
    (process, (host, 7002).into(), log)
}

/// How many lines have this in them, and how many the gaps count.
fn account(text: &str, wanted: &str) -> (usize, usize) {
    let gaps = text.lines().filter_map(|line| line.strip_prefix("… lines dropped: ")?.parse::<usize>().ok());
    (text.lines().filter(|line| line.contains(wanted)).count(), gaps.sum())
}

#[test]
fn a_transcript_that_may_not_grow_is_a_stalled_one_and_goes_on_when_there_is_room() {
    undisturbed(|| {
        const MESSAGES: usize = 150;
        let (mut server, address, log) = limited_server("limited-transcript");
        let peer = Peer::connect(address);
        for number in 0..MESSAGES {
            peer.check(format!("message {number}"));
        }
        assert_eq!(fs::metadata(&log.0).unwrap().len(), 4096);
        server.type_in("stats\nnonsense\n");
        let before = server.proc().cpu();
        thread::sleep(Duration::from_millis(1500));
        let spent = server.proc().cpu().checked_sub(before).unwrap();
        assert!(spent <= Duration::from_millis(20), "it spins: {spent:?}");
        peer.check("one more");

        // Nothing happens but that there is room, as much as before, again and again: the torn line, what waited and the
        // answers come by themselves.
        let mut taken = Vec::new();
        let text = wait_until("the last line", || {
            let piece = fs::read(&log.0).unwrap();
            let text = String::from_utf8([&taken[..], &piece].concat()).ok()?;
            if piece.len() == 4096 {
                taken.extend(piece);
                File::options().write(true).open(&log.0).unwrap().set_len(0).unwrap();
            }
            text.ends_with("sent a datagram: one more\n").then_some(text)
        });
        assert_eq!(account(&text, " sent a datagram: "), (MESSAGES + 1, 0), "{text}");
        assert!(text.contains(&format!(" datagrams_in={MESSAGES} ")), "{text}");
        assert!(text.contains("\nunknown command: nonsense, try help\n"), "{text}");

        File::options().write(true).open(&log.0).unwrap().set_len(0).unwrap();
        peer.check("and on");
        wait_until("the next line", || {
            fs::read_to_string(&log.0).unwrap().ends_with("sent a datagram: and on\n").then_some(())
        });
        server.signal(SIGTERM);
        assert_eq!(server.wait_exit(), 0);
    });
}

#[test]
fn a_limit_that_is_raised_lets_the_transcript_go_on_with_the_mebibyte_that_waited() {
    undisturbed(|| {
        if !have("prlimit") {
            return;
        }
        const MESSAGES: usize = 1200;
        let (mut server, address, log) = limited_server("raised-limit");
        let peer = Peer::connect(address);
        let text = "x".repeat(1000);
        for _ in 0..MESSAGES {
            peer.check(&text);
        }
        let (id, line) = (server.id().to_string(), format!(" sent a datagram: {text}"));
        let raised = output(Command::new("prlimit").args(["--pid", &id, "--fsize=10000000:"])).unwrap();
        assert!(raised.status.success());
        let printed = wait_until("the gap", || {
            let (printed, dropped) = account(&fs::read_to_string(&log.0).unwrap(), &line);
            (printed + dropped == MESSAGES && dropped > 0).then_some(printed)
        });
        assert!(printed > 900, "{printed} lines kept");
        server.signal(SIGTERM);
        assert_eq!(server.wait_exit(), 0);
        assert!(fs::read_to_string(&log.0).unwrap().ends_with("\nserver is shutting down\n"));
    });
}

#[test]
fn diagnostics_that_may_not_grow_stall_nobody_and_go_on_when_there_is_room() {
    undisturbed(|| {
        let log = Scratch::file("limited-diagnostics", "");
        let stderr = Output::Given(File::options().append(true).open(&log.0).unwrap().into());
        let script = "ulimit -S -f 8; exec \"$0\" \"$@\"";
        let server = ServerBuilder::new("-t -q")
            .with(|launch| launch.env("RUST_LOG", "trace").stderr(stderr).through_shell(script));
        let server = server.start();
        // Each newcomer is a line or two.
        for _ in 0..100 {
            server.quiet_client().exchange("hello", "ACK");
        }
        assert_eq!(fs::metadata(&log.0).unwrap().len(), 4096);
        File::options().write(true).open(&log.0).unwrap().set_len(0).unwrap();
        wait_until("what waited", || (!fs::read(&log.0).unwrap().is_empty()).then_some(()));
    });
}
