#![allow(clippy::unwrap_used)]

use std::fs::File;
use std::io::{PipeWriter, Read, Seek, Write, pipe};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::process::Command;
use std::time::Duration;

use mio::{Events, Poll};
use nix::unistd::{Pid, getpgrp, tcsetpgrp};

use super::*;

fn on_a_pipe(longest: usize) -> (PipeWriter, Console) {
    let (reader, writer) = pipe().unwrap();
    (writer, Console::new(Descriptor::reader(reader), longest))
}

/// Fills until the end is seen: a child that another test is just starting
/// may still hold the writing end for a moment.
fn fill_to_the_end(console: &mut Console) {
    while console.fill(&mut Budget::plenty()) != Filled::Ended {
        std::thread::yield_now();
    }
}

fn whole(number: u64, bytes: &[u8]) -> Option<Line<'_>> {
    Some(Line::Whole { number, bytes })
}

#[test]
fn a_line_loses_its_newline_and_nothing_else() {
    let (mut writer, mut console) = on_a_pipe(100);
    assert_eq!(console.fill(&mut Budget::plenty()), Filled::Drained);
    writer.write_all(b" a\0b\r\n\n\xff\xfe\nrest").unwrap();
    assert_eq!(console.fill(&mut Budget::plenty()), Filled::Data);
    assert_eq!(console.next_line(), whole(1, b" a\0b\r"));
    assert_eq!(console.next_line(), whole(2, b""));
    assert_eq!(console.next_line(), whole(3, b"\xff\xfe"));
    assert_eq!(console.next_line(), None);
    assert_eq!(console.fill(&mut Budget::plenty()), Filled::Drained);
    drop(writer);
    fill_to_the_end(&mut console);
    assert_eq!(console.next_line(), whole(4, b"rest"));
    assert_eq!(console.next_line(), None);
    fill_to_the_end(&mut console);
    assert!(console.error().is_none());
}

#[test]
fn an_end_right_after_a_newline_adds_no_line() {
    let (mut writer, mut console) = on_a_pipe(100);
    writer.write_all(b"one\n").unwrap();
    drop(writer);
    assert_eq!(console.fill(&mut Budget::plenty()), Filled::Data);
    assert_eq!(console.fill(&mut Budget::plenty()), Filled::Data, "a line is waiting");
    assert_eq!(console.next_line(), whole(1, b"one"));
    fill_to_the_end(&mut console);
    assert_eq!(console.next_line(), None);
}

#[test]
fn a_line_may_come_in_any_pieces() {
    let (mut writer, mut console) = on_a_pipe(100);
    for byte in b"hello\nworld\n" {
        writer.write_all(&[*byte]).unwrap();
        assert_eq!(console.fill(&mut Budget::plenty()), Filled::Data);
        match byte {
            b'\n' => assert!(matches!(console.next_line(), Some(Line::Whole { bytes: [_, _, _, _, _], .. }))),
            _ => assert_eq!(console.next_line(), None),
        }
    }
}

#[test]
fn a_line_too_long_is_told_once_with_its_number_and_length() {
    let (mut writer, mut console) = on_a_pipe(4);
    writer.write_all(b"1234\n12345\nok\n1234567").unwrap();
    console.fill(&mut Budget::plenty());
    assert_eq!(console.next_line(), whole(1, b"1234"));
    assert_eq!(console.next_line(), Some(Line::TooLong { number: 2, length: 5 }));
    assert_eq!(console.next_line(), whole(3, b"ok"));
    assert_eq!(console.next_line(), None);
    writer.write_all(b"89").unwrap();
    console.fill(&mut Budget::plenty());
    assert_eq!(console.next_line(), None);
    writer.write_all(b"\nok\n12345").unwrap();
    drop(writer);
    console.fill(&mut Budget::plenty());
    assert_eq!(console.next_line(), Some(Line::TooLong { number: 4, length: 9 }));
    assert_eq!(console.next_line(), whole(5, b"ok"));
    assert_eq!(console.next_line(), None);
    fill_to_the_end(&mut console);
    assert_eq!(console.next_line(), Some(Line::TooLong { number: 6, length: 5 }));
    assert_eq!(console.next_line(), None);
}

#[test]
fn an_endless_line_takes_no_more_memory() {
    let mut console = Console::new(Descriptor::reader(File::open("/dev/zero").unwrap()), 65_536);
    for _ in 0..2000 {
        assert_eq!(console.fill(&mut Budget::plenty()), Filled::Data);
        assert_eq!(console.next_line(), None);
    }
    assert!(console.buffer.capacity() <= 2 * (65_536 + READ));
    assert_eq!(console.skipped + console.waiting(), 2000 * READ as u64);
}

#[test]
fn lines_that_nobody_takes_stop_the_reading() {
    let (mut writer, mut console) = on_a_pipe(100);
    for _ in 0..3 {
        writer.write_all(&[b'\n'; READ]).unwrap();
    }
    for _ in 0..9 {
        assert_eq!(console.fill(&mut Budget::plenty()), Filled::Data);
    }
    assert_eq!(console.waiting(), READ as u64);
    while console.next_line().is_some() {}
    assert_eq!(console.fill(&mut Budget::plenty()), Filled::Data);
    assert_eq!(console.next_line(), whole(READ as u64 + 1, b""));
}

#[test]
fn a_file_is_read_to_its_end_through_the_shared_offset() {
    let path = std::env::temp_dir().join(format!("ack-reactor-console-{}", std::process::id()));
    std::fs::write(&path, "one\ntwo").unwrap();
    let mut file = File::open(&path).unwrap();
    std::fs::remove_file(&path).unwrap();
    let mut console = Console::new(Descriptor::reader(file.try_clone().unwrap()), 100);
    let poll = Poll::new().unwrap();
    console.register(poll.registry(), Token(0)).unwrap();
    assert!(console.always_ready() && !console.is_terminal());
    assert_eq!(console.fill(&mut Budget::plenty()), Filled::Data);
    assert_eq!(file.stream_position().unwrap(), 7);
    assert_eq!(console.next_line(), whole(1, b"one"));
    assert_eq!(console.next_line(), None);
    assert_eq!(console.fill(&mut Budget::plenty()), Filled::Ended);
    assert_eq!(console.next_line(), whole(2, b"two"));
}

#[test]
fn nothing_to_read_from_is_an_end_and_says_why() {
    let mut null = Console::new(Descriptor::reader(File::open("/dev/null").unwrap()), 100);
    let poll = Poll::new().unwrap();
    null.register(poll.registry(), Token(0)).unwrap();
    assert!(null.always_ready());
    assert_eq!(null.fill(&mut Budget::plenty()), Filled::Ended);
    assert!(null.error().is_none());

    let mut directory = Console::new(Descriptor::reader(File::open("/").unwrap()), 100);
    directory.register(poll.registry(), Token(0)).unwrap();
    assert_eq!(directory.fill(&mut Budget::plenty()), Filled::Ended);
    assert_eq!(directory.error().unwrap().kind(), io::ErrorKind::IsADirectory);

    let (_reader, writer) = pipe().unwrap();
    let mut write_only = Console::new(Descriptor::reader(writer), 100);
    write_only.register(poll.registry(), Token(0)).unwrap();
    assert!(write_only.ended() && write_only.always_ready());
    assert_eq!(write_only.fill(&mut Budget::plenty()), Filled::Ended);
    assert!(write_only.error().is_some());
}

#[test]
fn after_its_end_no_event_comes_any_more() {
    let mut poll = Poll::new().unwrap();
    let mut events = Events::with_capacity(4);
    let (peer, shared) = UnixStream::pair().unwrap();
    let mut console = Console::new(Descriptor::reader(shared.try_clone().unwrap()), 100);
    console.register(poll.registry(), Token(3)).unwrap();
    peer.shutdown(std::net::Shutdown::Write).unwrap();
    poll.poll(&mut events, Some(Duration::from_secs(9))).unwrap();
    assert_eq!(events.iter().next().unwrap().token(), Token(3));
    assert_eq!(console.fill(&mut Budget::plenty()), Filled::Ended);
    drop(peer);
    poll.poll(&mut events, Some(Duration::ZERO)).unwrap();
    assert!(events.is_empty());
}

/// Runs itself once more as a job of a terminal of its own, since a job can
/// only be sent to the background of the terminal that controls it.
#[test]
fn a_background_job_reads_its_terminal_once_it_is_in_the_foreground() {
    const JOB: &str = "ACK_REACTOR_TEST_JOB";
    if std::env::var_os(JOB).is_some() {
        return background_job();
    }
    let (mut pty, pts) = pty_process::blocking::open().unwrap();
    let name = "console::tests::a_background_job_reads_its_terminal_once_it_is_in_the_foreground";
    let mut job = pty_process::blocking::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "--nocapture", name])
        .env(JOB, "1")
        .spawn(pts)
        .unwrap();
    pty.write_all(b"stats\n").unwrap();
    let status = job.wait().unwrap();
    let mut output = [0; 4096];
    let count = pty.read(&mut output).unwrap_or(0);
    assert!(status.success(), "{}", String::from_utf8_lossy(&output[..count]));
}

fn background_job() {
    stdio::block_signals().unwrap();
    let mut console = Console::stdin(100);
    assert!(console.is_terminal());
    let foreground = |group| tcsetpgrp(io::stdin().as_fd(), group).unwrap();

    // Another job takes the terminal, then gives it back.
    let mut other = {
        use std::os::unix::process::CommandExt;
        Command::new("sleep").arg("60").process_group(0).spawn().unwrap()
    };
    foreground(Pid::from_raw(i32::try_from(other.id()).unwrap()));
    assert_eq!(console.fill(&mut Budget::plenty()), Filled::Drained);
    assert!(!console.ended());
    foreground(getpgrp());
    other.kill().unwrap();
    other.wait().unwrap();

    let mut poll = Poll::new().unwrap();
    console.register(poll.registry(), Token(0)).unwrap();
    poll.poll(&mut Events::with_capacity(4), Some(Duration::from_secs(9))).unwrap();
    assert_eq!(console.fill(&mut Budget::plenty()), Filled::Data);
    assert_eq!(console.next_line(), whole(1, b"stats"));
}
