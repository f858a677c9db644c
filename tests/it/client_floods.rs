//! A far end that goes on sending without end takes neither the turn nor the memory nor the diagnostics of any mode.

use std::io::{Read, Write};
use std::thread;
use std::time::Duration;

use nix::sys::signal::Signal::SIGINT;

use crate::harness::{
    Ended, Endless, FarTcp, Input, Launch, Output, Process, calm, client_to, end_of, have, last_object, number,
    piped_to, run, sooner_than, timed, undisturbed, wait_until,
};

/// Within this an interrupt ends any mode, with half a second for a stdout that takes nothing.
const SOON: Duration = Duration::from_secs(1);
/// A mode that reads a flood to its end would grow by this in a tenth of a second.
const GROWTH: u64 = 4 << 20;
/// A pipe holds so much.
const PIPE: usize = 65536;

/// A flood, and what the client must be told of its server.
struct Scene {
    options: &'static str,
    far: Endless,
    /// Whether it begins with the acknowledgement, and whether it goes on with it.
    acknowledges: bool,
    repeats: bool,
}

fn scenes() -> Vec<Scene> {
    let scene = |options, far, first: &str, rest| Scene {
        options,
        far,
        acknowledges: ["ACK", "check"].contains(&first.trim_end()),
        repeats: first == rest,
    };
    let tcp = |options, first, rest| scene(options, Endless::tcp(first, rest), first, rest);
    let udp = |first, rest| scene("-u", Endless::udp(first, rest), first, rest);
    vec![
        tcp("", "ACK", "ACK"),
        tcp("", "x\n", "x\n"),
        tcp("--framing lines", "ACK\n", "ACK\n"),
        tcp("--framing lines", "x\n", "x\n"),
        tcp("--framing lines", "ACK\n", "x\n"),
        udp("check", "check"),
        udp("x", "x"),
        udp("check", "x"),
    ]
}

impl Scene {
    fn words(&self, mode: &str) -> String {
        format!("{mode} {}", self.options)
    }

    fn client(&self, mode: &str) -> Launch {
        client_to(self.far.address, &self.words(mode))
    }

    fn name(&self) -> String {
        format!("{} acknowledges: {} repeats: {}", self.options, self.acknowledges, self.repeats)
    }
}

/// Starts the client; it can be interrupted.
#[track_caller]
fn interruptible(launch: Launch) -> Process {
    let client = launch.start();
    wait_until("the handler", || client.proc().catches(SIGINT as i32).then_some(()));
    client
}

/// Its end by SIGINT, and how long that took.
#[track_caller]
fn end_by_interrupt(client: &mut Process) -> (Ended, Duration) {
    client.signal(SIGINT);
    timed(|| end_of(client))
}

/// How many of the lines are of this kind.
fn count(lines: &[String], kind: &str) -> usize {
    lines.iter().filter(|line| line.contains(kind)).count()
}

/// No more is said on stderr than one sentence of a kind.
#[track_caller]
fn expect_few_diagnostics(ended: &Ended, what: &str) {
    // A busy machine may hold the client up, and a server without stamps is named.
    let ours = |line: &&String| !line.contains("stood still") && !line.contains("knows no stamps");
    let said: Vec<&String> = ended.err.iter().filter(ours).take(10).collect();
    assert!(said.len() <= 3, "{what}: {} lines on stderr, of which {said:?}", ended.err.len());
}

#[test]
fn a_chat_shows_sixteen_replies_more_than_were_asked_for_and_gives_the_connection_up() {
    undisturbed(|| {
        for scene in scenes() {
            for (format, shown, kind) in [("", 17, ": "), ("--format json", 17, r#""event":"reply""#), ("-q", 0, "")] {
                let what = format!("{} {format}", scene.name());
                // stdin stays open: nothing but the flood can end it.
                let mut client = piped_to(scene.far.address, &scene.words(format));
                client.type_in("hello\n");
                let ended = end_of(&mut client);
                assert_eq!((ended.code, count(&ended.out, kind)), (1, shown), "{what}: {:?}", ended.err);
                assert_eq!(count(&ended.err, "the server sent 17 replies more than were asked for"), 1, "{what}");
                assert_eq!(
                    count(&ended.err, "1 of 1 messages were not acknowledged"),
                    usize::from(!scene.acknowledges)
                );
                assert_eq!(count(&ended.err, "a reply came that answers no message"), 1, "{what}");
                expect_few_diagnostics(&ended, &what);
                if format.ends_with("json") {
                    let summary = last_object(&ended.out);
                    assert_eq!((&summary["event"], &summary["sent"]), (&"summary".into(), &1.into()), "{what}");
                }
            }
        }
    });
}

#[test]
fn a_chat_is_given_up_though_nothing_was_asked() {
    undisturbed(|| {
        let far = FarTcp::new();
        let mut client = piped_to(far.address(), "--framing lines");
        far.accept().say("ACK\n".repeat(10_000));
        let ended = end_of(&mut client);
        assert_eq!((ended.code, count(&ended.out, "last message: ACK")), (1, 16), "{:?}", ended.err);
        assert_eq!(count(&ended.err, "17 replies more than were asked for"), 1, "{:?}", ended.err);
    });
}

#[test]
fn replies_that_answer_nothing_are_told_once_and_counted_at_the_end() {
    undisturbed(|| {
        for surplus in [1, 2, 16, 17] {
            let far = FarTcp::new();
            let mut client = client_to(far.address(), "--framing lines -m hello").start();
            far.accept().answer("hello\n", "ACK\n".repeat(1 + surplus));
            let ended = end_of(&mut client);
            assert_eq!((ended.code, ended.out.len() - 1), (1, 1 + surplus.min(16)), "{:?}", ended.err);
            assert_eq!(ended.err[0], "reactor-client: a reply came that answers no message");
            let counted = match surplus {
                1 => None,
                17 => {
                    Some("the server sent 17 replies more than were asked for: the connection is given up".to_owned())
                }
                _ => Some(format!("{surplus} replies came that answer no message")),
            };
            let counted = counted.map(|sentence| format!("reactor-client: {sentence}"));
            assert_eq!(ended.err[1..], Vec::from_iter(counted), "{surplus}");
        }
    });
}

#[test]
fn a_ping_keeps_its_count_and_says_once_what_it_was_not_waiting_for() {
    undisturbed(|| {
        for scene in scenes() {
            let ended = calm(|| scene.client("--ping -c 3 -i 0.2 -W 0.5"));
            expect_few_diagnostics(&ended, &scene.name());
            let summary = ended.out.iter().find(|line| line.starts_with("3 sent")).unwrap();
            assert_eq!(number(summary, "3 sent, ") > 0.0, scene.acknowledges, "{}: {summary}", scene.name());
            if scene.acknowledges {
                // Who repeats the acknowledgement loses its socket at once; the rest is read and counted.
                let kind = if scene.repeats { "no probe waited for: " } else { "is no acknowledgement: " };
                let sentence = ended.err.iter().find(|line| line.contains(kind)).unwrap();
                // More than a chat would read.
                let least = if scene.repeats { 1.0 } else { 18.0 };
                assert!(number(&sentence.replace(';', " "), kind) >= least, "{}: {sentence}", scene.name());
            }
        }
    });
}

#[test]
fn a_ping_keeps_its_deadline() {
    for scene in scenes() {
        sooner_than(Duration::from_secs_f64(1.7), || {
            let (ended, took) = timed(|| run(scene.client("--ping -w 0.7 -i 0.1 -q")));
            expect_few_diagnostics(&ended, &scene.name());
            // What is due then is not sent any more.
            assert!(took >= Duration::from_secs_f64(0.6), "{}: {took:?}", scene.name());
            took
        });
    }
}

#[test]
fn a_ping_is_interrupted_at_once_and_its_memory_is_flat() {
    for scene in scenes() {
        sooner_than(SOON, || {
            let mut client = interruptible(scene.client("--ping -i 30"));
            client.stdout.find("the first probe's end", |line| line.contains("seq=1"));
            let before = client.proc().resident();
            thread::sleep(Duration::from_millis(500));
            let grown = client.proc().resident().saturating_sub(before);
            let (ended, took) = end_by_interrupt(&mut client);
            assert!(grown < GROWTH, "{}: memory grew by {grown} bytes", scene.name());
            assert_eq!(count(&ended.out, "1 sent, "), 1, "{}: {:?}", scene.name(), ended.out);
            expect_few_diagnostics(&ended, &scene.name());
            took
        });
    }
}

#[test]
fn the_first_reply_decides_the_verdict() {
    undisturbed(|| {
        for scene in scenes() {
            let ended = run(scene.client("-z"));
            let (code, word) = if scene.acknowledges { (0, " open ") } else { (1, " wrong-answer ") };
            assert_eq!((ended.code, ended.out.len(), count(&ended.out, word)), (code, 1, 1), "{}", scene.name());
            assert!(ended.err.is_empty(), "{}: {:?}", scene.name(), ended.err);
        }
    });
}

#[test]
fn a_search_for_the_idle_timeout_ends_by_itself() {
    undisturbed(|| {
        for scene in scenes() {
            let ended = run(scene.client("--find-idle 1 -W 0.5"));
            // Where datagrams are slow to come, what answers nothing may pass for the answer after a short silence.
            let (answers, said) = if ended.code == 0 { (1, " flows never stood: ") } else { (0, " is not open: ") };
            assert_eq!((ended.out.len(), ended.err.len()), (answers, 1), "{}: {:?}", scene.name(), ended.out);
            assert!(ended.err[0].contains(said), "{}: {:?}", scene.name(), ended.err);
        }
    });
}

#[test]
fn a_search_for_the_idle_timeout_is_interrupted_at_once() {
    for scene in scenes() {
        sooner_than(SOON, || {
            let (ended, took) = end_by_interrupt(&mut interruptible(scene.client("--find-idle 60")));
            assert!(ended.out.len() <= 1, "{}: {:?}", scene.name(), ended.out);
            expect_few_diagnostics(&ended, &scene.name());
            took
        });
    }
}

/// Has each read take long for what it can bring, so that no flood is ever read to its end.
fn slowed(launch: Launch) -> Launch {
    let (one, many) = ("inject=recvfrom:delay_exit=500", "inject=recvmmsg,recvmsg:delay_exit=4000");
    let script = format!("exec strace -D -o /dev/null -e trace=/^recv -e {one} -e {many} \"$0\" \"$@\"");
    launch.through_shell(&script)
}

#[test]
fn a_flood_that_is_faster_than_the_reading_hides_neither_deadline_nor_interrupt_nor_verdict() {
    if !have("strace") {
        return;
    }
    for scene in scenes().into_iter().filter(|scene| scene.acknowledges && !scene.options.is_empty()) {
        for mode in ["-z", "--ping -w 0.4 -i 0.1", "--find-idle 0.5 -W 0.5", "--find-size 100 -W 0.2"] {
            // Reading all that a slice may hold, of each flow, would take ten seconds and more.
            sooner_than(Duration::from_secs(6), || {
                let (ended, took) = timed(|| run(slowed(scene.client(mode))));
                expect_few_diagnostics(&ended, &scene.name());
                took
            });
        }
        for mode in ["--ping -i 30", "--find-idle 60"] {
            sooner_than(SOON, || {
                let mut client = interruptible(slowed(scene.client(mode)));
                thread::sleep(Duration::from_millis(300));
                end_by_interrupt(&mut client).1
            });
        }
    }
}

#[test]
fn an_interrupt_ends_every_mode_though_stdout_is_stalled_meanwhile() {
    for scene in scenes().into_iter().filter(|scene| scene.acknowledges) {
        sooner_than(SOON, || {
            let pipes: Vec<_> = std::iter::repeat_with(full_pipe).take(4).collect();
            let modes = ["", "--ping -i 0.01 -W 0.1", "-z", "--find-idle 60"];
            let started = modes.iter().zip(&pipes).map(|(mode, (_, writer))| {
                let stdout = Output::Given(writer.try_clone().unwrap().into());
                interruptible(scene.client(mode).stdin(Input::Pipe).stdout(stdout))
            });
            let mut clients: Vec<_> = started.collect();
            clients[0].type_in("hello\n");
            thread::sleep(Duration::from_millis(200));
            let before: Vec<_> = clients.iter().map(|client| client.proc().resident()).collect();
            thread::sleep(Duration::from_millis(200));
            for (client, before) in clients.iter().zip(before) {
                let grown = client.proc().resident().saturating_sub(before);
                assert!(grown < GROWTH, "{}: memory grew by {grown} bytes", scene.name());
                client.signal(SIGINT);
            }
            timed(|| clients.iter_mut().for_each(|client| _ = client.wait_exit())).1
        });
    }
}

#[test]
fn a_chat_waits_for_its_reader_and_then_shows_what_it_had() {
    undisturbed(|| {
        for scene in scenes() {
            let (mut reader, writer) = full_pipe();
            let mut client = scene.client("").stdin(Input::Pipe).stdout(Output::Given(writer.into())).start();
            client.type_in("hello\n");
            thread::sleep(Duration::from_millis(200));
            assert!(client.is_running(), "{}: it did not wait", scene.name());
            let mut out = String::new();
            reader.by_ref().take(2 * PIPE as u64).read_to_string(&mut out).unwrap();
            let lines: Vec<_> = out[PIPE..].lines().map(str::to_owned).collect();
            assert_eq!((client.wait_exit(), count(&lines, ": ")), (1, 17), "{}", scene.name());
        }
    });
}

/// A pipe that takes nothing more.
fn full_pipe() -> (std::io::PipeReader, std::io::PipeWriter) {
    let (reader, mut writer) = std::io::pipe().unwrap();
    writer.write_all(&[b'.'; PIPE]).unwrap();
    (reader, writer)
}
