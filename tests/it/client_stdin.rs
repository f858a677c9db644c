//! stdin may be anything; it is read only as fast as its lines are acknowledged.

use std::fs::File;
use std::io::{BufRead, PipeWriter, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sys::signal::Signal::SIGTERM;
use nix::sys::stat::Mode;
use nix::unistd::mkfifo;

use crate::harness::{
    FarTcp, Input, Process, Scratch, client_to, end_of, expect_end, piped_to, run, server, settled, undisturbed,
    wait_until,
};

#[test]
fn a_pipe_ends_when_its_writer_has_gone() {
    let server = server("-t");
    let mut client = piped_to(server.tcp(), "");
    client.type_in("one\ntwo\n");
    client.stdout.expect("last message: ACK");
    assert!(client.is_running());
    client.end_input();
    let ack = "last message: ACK";
    expect_end(&mut client, 0, &[&format!("connected to {}", server.tcp()), ack, ack]);
}

#[test]
fn a_file_is_sent_line_by_line() {
    let server = server("");
    let file = Scratch::file("lines", "one\ntwo\nthree");
    for options in ["", "-u"] {
        let stdin = Input::Given(File::open(&file.0).unwrap().into());
        let ended = run(client_to(server.tcp(), options).stdin(stdin));
        let answers = ended.out.iter().filter(|line| line.ends_with(": ACK") || line.ends_with(": check")).count();
        assert_eq!((ended.code, answers), (0, 3), "{options}: {:?}", ended.err);
    }
}

#[test]
fn with_nothing_to_send_tcp_has_verified_and_udp_has_not() {
    let server = server("");
    let empty = Scratch::file("empty", "");
    let given = |file: &str| Input::Given(File::open(file).unwrap().into());
    let empty_path = empty.0.to_str().unwrap().to_owned();
    for path in ["/dev/null", &empty_path] {
        let ended = run(client_to(server.tcp(), "").stdin(given(path)));
        assert_eq!((ended.code, ended.out), (0, vec![format!("connected to {}", server.tcp())]), "{path}");
        let ended = run(client_to(server.udp(), "-u").stdin(given(path)));
        assert_eq!((ended.code, ended.out.len()), (1, 0), "{path}");
        assert!(!ended.err.is_empty(), "a failure says why");
    }
}

#[test]
fn it_may_be_closed() {
    let server = server("");
    let closed = |options| client_to(server.tcp(), options).through_shell("exec \"$0\" \"$@\" <&-");
    assert_eq!(run(closed("")).code, 0);
    assert_eq!(run(closed("-u")).code, 1);
    assert_eq!(run(closed("-m hello")).code, 0);
    assert_eq!(run(closed("-u -m hello")).code, 0);
}

#[test]
fn it_may_be_a_directory() {
    let server = server("-t");
    let stdin = Input::Given(File::open("/").unwrap().into());
    let ended = run(client_to(server.tcp(), "").stdin(stdin));
    assert!(ended.code < 2 && !ended.complaint().contains("panicked"), "{:?}", ended.err);
}

#[test]
fn it_may_be_a_fifo() {
    let fifo = Scratch::path("fifo");
    mkfifo(&fifo.0, Mode::S_IRUSR | Mode::S_IWUSR).unwrap();
    let mut writer = File::options().read(true).write(true).open(&fifo.0).unwrap();
    let far = FarTcp::new();
    let mut client = client_to(far.address(), "").stdin(Input::Given(File::open(&fifo.0).unwrap().into())).start();
    let mut caller = far.accept();
    for message in ["one", "two"] {
        writeln!(writer, "{message}").unwrap();
        caller.answer(message, "ACK");
    }
    assert!(client.is_running());
    drop(writer);
    assert_eq!(end_of(&mut client).code, 0);
}

#[test]
fn it_may_be_a_socket() {
    let (mut ours, theirs) = std::os::unix::net::UnixStream::pair().unwrap();
    let far = FarTcp::new();
    let stdin = Input::Given(std::os::fd::OwnedFd::from(theirs).into());
    let mut client = client_to(far.address(), "").stdin(stdin).start();
    ours.write_all(b"one\ntwo").unwrap();
    drop(ours);
    let mut caller = far.accept();
    caller.answer("one", "ACK");
    caller.answer("two", "ACK");
    assert_eq!(client.wait_exit(), 0);
}

#[test]
fn the_flags_of_a_pipe_are_left_alone() {
    let (reader, writer) = std::io::pipe().unwrap();
    let ours = reader.try_clone().unwrap();
    let far = FarTcp::new();
    let mut client = client_to(far.address(), "").stdin(Input::Given(reader.into())).start();
    let mut writer = writer;
    writeln!(writer, "hello").unwrap();
    far.accept().answer("hello", "ACK");
    client.stdout.expect("last message: ACK");
    let flags = OFlag::from_bits_retain(fcntl(&ours, FcntlArg::F_GETFL).unwrap());
    assert!(!flags.contains(OFlag::O_NONBLOCK));
    drop(writer);
    assert_eq!(client.wait_exit(), 0);
}

#[test]
fn a_file_that_others_read_on_is_left_where_they_expect_it_or_after() {
    // A program that runs after the client must not find lines that were sent already.
    let file = Scratch::file("shared", "one\ntwo\n");
    let server = server("-t");
    let script = format!("\"$0\" \"$@\" < {0}; code=$?; exit $code", file.0.display());
    assert_eq!(run(client_to(server.tcp(), "").through_shell(&script)).code, 0);
    let script = format!("{{ \"$0\" \"$@\" >&2; cat; }} < {0}", file.0.display());
    let ended = run(client_to(server.tcp(), "").through_shell(&script));
    assert_eq!(ended.out, [""; 0]);
}

#[test]
fn it_sleeps_while_nothing_happens() {
    undisturbed(|| {
        let far = FarTcp::new();
        let client = piped_to(far.address(), "");
        let _caller = far.accept();
        client.stdout.find("the connection", |line| line.starts_with("connected"));
        let before = client.proc().cpu();
        thread::sleep(Duration::from_millis(400));
        let spent = client.proc().cpu().checked_sub(before).unwrap();
        assert!(spent <= Duration::from_millis(20), "{spent:?} spent on nothing");
    });
}

/// A pipe as stdin, written to by a thread of the test until the client is done with it.
#[track_caller]
fn fed(
    launch: crate::harness::Launch,
    feed: impl FnOnce(&mut PipeWriter) + Send + 'static,
) -> (Process, Arc<AtomicBool>) {
    let (reader, mut writer) = std::io::pipe().unwrap();
    let process = launch.stdin(Input::Given(reader.into())).start();
    let done = Arc::new(AtomicBool::new(false));
    let is_done = Arc::clone(&done);
    thread::spawn(move || {
        feed(&mut writer);
        is_done.store(true, Ordering::SeqCst);
    });
    (process, done)
}

/// The most memory that the process ever held, in bytes.
fn peak(process: &Process) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", process.id())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().strip_suffix(" kB").unwrap().parse::<u64>().unwrap() * 1024
}

const MEGABYTE: u64 = 1 << 20;

#[test]
fn memory_stays_flat_over_200_megabytes() {
    let far = FarTcp::new();
    let (hold, held) = std::sync::mpsc::channel::<()>();
    let (mut client, done) = fed(client_to(far.address(), "--framing lines --window 16 -q"), move |stdin| {
        let line = [&[b'x'; 60_000][..], b"\n"].concat();
        for _ in 0..100 * MEGABYTE / line.len() as u64 {
            stdin.write_all(&line).unwrap();
        }
        // One endless line, which is no message.
        for _ in 0..100 {
            stdin.write_all(&[b'y'; 1 << 20]).unwrap();
        }
        stdin.write_all(b"\nlast\n").unwrap();
        // The pipe stays open until the memory has been looked at.
        let _ = held.recv();
    });
    let slow = thread::spawn({
        let stream = far.accept().into_stream();
        move || acknowledge_slowly(stream)
    });
    let messages = 100 * MEGABYTE / 60_001 + 1;
    // On a busy machine so many take long.
    settled(Duration::from_secs(1), || (client.proc().cpu(), client.stderr.count()));
    client.stderr.find("the endless line", |line| line.contains(&format!("line {messages} ")));
    let most = peak(&client);
    assert!(most < 32 * MEGABYTE, "{most} bytes");
    assert!(!done.load(Ordering::SeqCst));
    drop(hold);
    assert_eq!(client.wait_exit(), 1);
    assert_eq!(slow.join().unwrap(), messages);
}

/// Acknowledges each line, pausing for a millisecond now and then. Returns how many there were.
fn acknowledge_slowly(mut stream: TcpStream) -> u64 {
    let (mut buffer, mut lines) = (vec![0; 65536], 0);
    loop {
        let count = stream.read(&mut buffer).unwrap();
        if count == 0 {
            return lines;
        }
        let (mut rest, mut fresh) = (&buffer[..count], 0);
        // The standard library's search is optimised in a debug build, too.
        while !rest.is_empty() {
            let (line, skipped) = (rest, rest.skip_until(b'\n').unwrap());
            fresh += usize::from(line[skipped - 1] == b'\n');
        }
        stream.write_all(&b"ACK\n".repeat(fresh)).unwrap();
        lines += fresh as u64;
        if fresh > 0 {
            thread::sleep(Duration::from_millis(1));
        }
    }
}

#[test]
fn a_server_that_reads_nothing_stops_the_reading_of_stdin() {
    undisturbed(|| {
        let far = FarTcp::new();
        let (mut client, done) = fed(client_to(far.address(), "--framing lines --window 100000 -W 0"), |stdin| {
            let line = [&[b'x'; 60_000][..], b"\n"].concat();
            while stdin.write_all(&line).is_ok() {}
        });
        let _caller = far.accept();
        let mut last = u64::MAX;
        // It has come to rest when it uses no processor any more.
        wait_until("rest", || {
            let spent = u64::try_from(client.proc().cpu().as_millis()).unwrap();
            thread::sleep(Duration::from_millis(200));
            (std::mem::replace(&mut last, spent) == spent).then_some(())
        });
        assert!(!done.load(Ordering::SeqCst));
        let most = peak(&client);
        assert!(most < 32 * MEGABYTE, "{most} bytes");
        client.signal(SIGTERM);
        assert_eq!(client.wait_exit(), 1);
    });
}
