#![allow(clippy::unwrap_used)]

use std::fs::{File, OpenOptions};
use std::io::{PipeReader, Read, Write, pipe};

use nix::fcntl::{FcntlArg, fcntl};
use nix::pty::openpty;
use nix::sys::termios::{FlowArg, tcflow};

use super::*;

fn gap_line() -> GapLine {
    Box::new(|count| format!("gap {count}"))
}

fn screen(descriptor: io::Result<Descriptor>, limit: usize) -> Screen {
    Screen::new(descriptor, limit, gap_line())
}

/// A screen on a pipe of 4096 bytes.
fn on_a_pipe(limit: usize) -> (PipeReader, Screen) {
    let (reader, writer) = pipe().unwrap();
    fcntl(&writer, FcntlArg::F_SETPIPE_SZ(4096)).unwrap();
    (reader, screen(Descriptor::writer(writer), limit))
}

/// Prints numbered lines of 16 bytes until the pipe and the queue are full.
fn print_until_dropped(screen: &mut Screen) -> u64 {
    let mut produced = 0;
    while screen.dropped_total() == 0 {
        screen.print(&format!("line {produced:010}\n"));
        screen.flush();
        produced += 1;
    }
    produced
}

fn read_some(reader: &mut PipeReader) -> String {
    let mut bytes = [0; 4096];
    let count = reader.read(&mut bytes).unwrap();
    String::from_utf8(bytes[..count].to_vec()).unwrap()
}

/// What the reader sees when it reads and the screen flushes by turns.
fn drain(reader: &mut PipeReader, screen: &mut Screen) -> String {
    let mut text = String::new();
    while screen.is_stalled() {
        text += &read_some(reader);
        screen.flush();
    }
    assert_eq!(screen.pending(), 0);
    screen.print("last\n");
    screen.flush();
    while !text.ends_with("last\n") {
        text += &read_some(reader);
        screen.flush();
    }
    text
}

/// Follows a stream of `N`-numbered lines and gap lines; the gap lines must
/// tell exactly what is missing where they stand. Returns the next number.
fn follow(text: &str) -> u64 {
    let mut next = 0;
    for line in text.lines() {
        let (word, number) = line.split_once(' ').unwrap();
        let number: u64 = number.split(' ').next().unwrap().parse().unwrap();
        match word {
            "gap" => next += number,
            _ => {
                assert_eq!(number, next, "at {line:?}");
                next += 1;
            }
        }
    }
    next
}

#[test]
fn what_is_printed_comes_out_with_one_flush_and_missing_newlines_are_added() {
    let (mut reader, mut screen) = on_a_pipe(LIMIT);
    screen.print("one\ntwo\n");
    screen.print("three");
    screen.print("");
    assert_eq!(screen.pending(), 14);
    screen.flush();
    assert_eq!((screen.pending(), screen.is_stalled()), (0, false));
    assert_eq!(read_some(&mut reader), "one\ntwo\nthree\n");
}

#[test]
fn a_stalled_reader_finds_the_gap_before_the_newer_lines_and_every_line_accounted_for() {
    let (mut reader, mut screen) = on_a_pipe(8192);
    let mut produced = print_until_dropped(&mut screen);
    assert!(screen.is_stalled());
    for _ in 0..99 {
        screen.print(&format!("line {produced:010}\n"));
        produced += 1;
    }
    assert_eq!(screen.dropped_total(), 100);
    assert!(screen.pending() <= 8192);

    let text = drain(&mut reader, &mut screen);
    assert!(text.ends_with("\ngap 100\nlast\n"), "{text}");
    let text = text.strip_suffix("last\n").unwrap();
    assert_eq!(follow(text), produced);
    assert_eq!(text.lines().count() as u64 - 1 + screen.dropped_total(), produced);
}

#[test]
fn the_gap_is_reported_even_where_no_newer_line_comes() {
    let (mut reader, mut screen) = on_a_pipe(4096);
    print_until_dropped(&mut screen);
    let mut text = String::new();
    while !text.ends_with("gap 1\n") {
        text += &read_some(&mut reader);
        screen.flush();
    }
    assert_eq!(screen.pending(), 0);
}

#[test]
fn while_the_queue_is_more_than_half_full_newer_lines_stay_behind_the_gap() {
    let (mut reader, mut screen) = on_a_pipe(64 * 1024);
    let produced = print_until_dropped(&mut screen);
    read_some(&mut reader);
    screen.flush();
    assert!(screen.pending() > 32 * 1024);
    screen.print(&format!("line {produced:010}\n"));
    assert_eq!(screen.dropped_total(), 2, "there is room, but the gap does not stand yet");
    let text = drain(&mut reader, &mut screen);
    assert!(text.contains("\ngap 2\n"));
}

#[test]
fn any_mix_of_events_and_reads_keeps_events_whole_and_the_account_exact() {
    let mut random = 0x2545_f491_4f6c_dd1d_u64;
    let mut below = |bound: u64| {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        random % bound
    };
    let (mut reader, mut screen) = on_a_pipe(16 * 1024);
    let (mut produced, mut text) = (0, String::new());
    for _ in 0..20_000 {
        let lines = 1 + below(3);
        let event: String = (0..lines)
            .map(|line| {
                let filler = "x".repeat(usize::try_from(below(300)).unwrap());
                format!("line {} {line} {lines} {filler}\n", produced + line)
            })
            .collect();
        produced += lines;
        screen.print(&event);
        if below(4) == 0 {
            screen.flush();
            if screen.is_stalled() && below(4) == 0 {
                text += &read_some(&mut reader);
            }
        }
        assert!(screen.pending() <= 16 * 1024 + 16);
    }
    screen.flush();
    text += &drain(&mut reader, &mut screen);
    let text = text.strip_suffix("last\n").unwrap();
    assert_eq!(follow(text), produced);
    let printed: Vec<&str> = text.lines().filter(|line| line.starts_with("line")).collect();
    assert_eq!(printed.len() as u64 + screen.dropped_total(), produced);
    assert!(screen.dropped_total() > 0 && !printed.is_empty());
    let mut rest = &printed[..];
    while let Some(first) = rest.first() {
        let words: Vec<&str> = first.split(' ').collect();
        assert_eq!(words[2], "0", "an event begins with its first line");
        rest = &rest[words[3].parse::<usize>().unwrap()..];
    }
}

#[test]
fn memory_stays_flat_while_the_reader_is_slow_for_ever() {
    let (mut reader, mut screen) = on_a_pipe(32 * 1024);
    for number in 0..50_000 {
        screen.print(&format!("line {number:010}\n"));
        screen.flush();
        if screen.pending() > 8 * 1024 {
            read_some(&mut reader);
        }
    }
    assert!(screen.queue.capacity() <= 64 * 1024, "{}", screen.queue.capacity());
}

#[test]
fn an_event_larger_than_the_queue_is_printed_when_nothing_waits_before_it() {
    let (mut reader, mut screen) = on_a_pipe(100);
    screen.print("short\n");
    let long = "x".repeat(3000);
    screen.print(&long);
    screen.flush();
    assert_eq!(screen.dropped_total(), 0);
    assert_eq!(read_some(&mut reader).len(), 6 + 3001);
}

#[test]
fn a_closed_pipe_breaks_it_once_and_everything_is_counted() {
    let (reader, mut screen) = on_a_pipe(LIMIT);
    drop(reader);
    screen.print("one\ntwo\n");
    assert!(screen.failure().is_none());
    screen.flush();
    assert_eq!(screen.failure().unwrap().kind(), io::ErrorKind::BrokenPipe);
    screen.print("three\n");
    screen.finish(Duration::from_secs(9));
    assert_eq!((screen.dropped_total(), screen.pending()), (3, 0));
}

#[test]
fn what_cannot_be_written_at_all_is_broken_from_the_start() {
    let (reader, _writer) = pipe().unwrap();
    let mut screen = screen(Descriptor::writer(reader), LIMIT);
    assert!(screen.failure().is_some());
    screen.print("one\n");
    assert_eq!((screen.dropped_total(), screen.pending()), (1, 0));
}

/// A screen on a disk that is full until [`give_room`] is called.
fn on_a_full_disk(limit: usize) -> Screen {
    let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
    screen(Descriptor::writer(full), limit)
}

fn give_room(screen: &mut Screen) -> PipeReader {
    let (reader, writer) = pipe().unwrap();
    screen.descriptor = Some(Descriptor::writer(writer).unwrap());
    reader
}

#[test]
fn a_full_disk_keeps_what_waits_and_is_tried_again_with_a_later_line() {
    let mut screen = on_a_full_disk(LIMIT);
    screen.print("one\ntwo\n");
    screen.flush();
    screen.print("three\n");
    screen.finish(Duration::from_secs(9));
    assert!(screen.failure().is_none() && !screen.is_stalled() && screen.is_resting());

    let mut reader = give_room(&mut screen);
    screen.flush();
    assert_eq!(screen.pending(), 14, "it was tried just now");
    screen.print("four\n");
    screen.flush();
    assert_eq!(read_some(&mut reader), "one\ntwo\nthree\nfour\n");
    assert_eq!((screen.dropped_total(), screen.is_resting()), (0, false));
}

#[test]
fn on_a_full_disk_no_line_is_tried_that_the_queue_has_no_room_for_and_the_gap_stands_where_it_is() {
    let mut screen = on_a_full_disk(1600);
    let produced = print_until_dropped(&mut screen);
    assert_eq!((produced, screen.pending()), (101, 1600));

    let mut reader = give_room(&mut screen);
    screen.print(&format!("line {produced:010}\n"));
    screen.flush();
    assert_eq!((screen.dropped_total(), screen.pending()), (2, 1600));
    screen.try_again();
    screen.flush();
    screen.print("last\n");
    screen.flush();
    let text = read_some(&mut reader);
    assert!(text.ends_with("\nline 0000000099\ngap 2\nlast\n"), "{text}");
    assert_eq!(follow(text.strip_suffix("last\n").unwrap()), produced + 1);
}

#[test]
fn a_line_torn_by_a_full_disk_is_completed_when_there_is_room_again() {
    let mut screen = on_a_full_disk(LIMIT);
    screen.print("one\ntwo\n");
    screen.flush();
    // So much the disk had taken.
    screen.advance(2);
    let mut reader = give_room(&mut screen);
    screen.print("later\n");
    screen.flush();
    assert_eq!(read_some(&mut reader), "e\ntwo\nlater\n");
}

#[test]
fn a_gap_line_that_is_lost_with_the_stream_is_no_line_that_was_dropped() {
    let mut screen = on_a_full_disk(LIMIT);
    screen.drop_lines(5);
    screen.print("one\n");
    screen.flush();
    assert!(screen.is_resting());
    drop(give_room(&mut screen));
    screen.heed_event();
    assert_eq!(screen.failure().unwrap().kind(), io::ErrorKind::BrokenPipe);
    assert_eq!((screen.dropped_total(), screen.pending(), screen.is_resting()), (6, 0, false));
}

/// What comes out of a terminal, up to `end`; it may come in pieces.
fn read_to(master: &mut File, end: &[u8]) -> Vec<u8> {
    let mut seen = Vec::new();
    while !seen.ends_with(end) {
        let mut bytes = [0; 64];
        let count = master.read(&mut bytes).unwrap();
        seen.extend_from_slice(&bytes[..count]);
    }
    seen
}

#[test]
fn a_terminal_stopped_by_its_user_stalls_and_goes_on() {
    let pty = openpty(None, None).unwrap();
    let mut master = File::from(pty.master);
    let mut screen = screen(Descriptor::writer(pty.slave.try_clone().unwrap()), LIMIT);
    assert!(screen.is_terminal());
    tcflow(&pty.slave, FlowArg::TCOOFF).unwrap();
    screen.print("one\n");
    screen.flush();
    assert!(screen.is_stalled());
    assert_eq!(screen.pending(), 4);
    tcflow(&pty.slave, FlowArg::TCOON).unwrap();
    screen.finish(Duration::from_secs(9));
    assert_eq!(screen.pending(), 0);
    assert_eq!(read_to(&mut master, b"\n"), b"one\r\n");
}

#[test]
fn a_progress_line_is_overwritten_and_only_shown_on_a_terminal() {
    let pty = openpty(None, None).unwrap();
    let mut master = File::from(pty.master);
    let mut terminal = screen(Descriptor::writer(pty.slave), LIMIT);
    terminal.live("1 %");
    terminal.flush();
    terminal.print("done\n");
    terminal.flush();
    assert_eq!(read_to(&mut master, b"\n"), b"\x1b[?7l\r1 %\x1b[K\x1b[?7h\r\x1b[Kdone\r\n");

    let (_reader, mut pipe) = on_a_pipe(LIMIT);
    pipe.live("1 %");
    assert_eq!(pipe.pending(), 0);
}

#[test]
fn finish_waits_for_a_slow_reader_and_for_a_dead_one_no_longer_than_it_may() {
    let (mut reader, mut screen) = on_a_pipe(64 * 1024);
    let produced = print_until_dropped(&mut screen);
    let begin = Instant::now();
    screen.finish(Duration::from_millis(50));
    assert!(begin.elapsed() >= Duration::from_millis(50));
    assert!(screen.pending() > 0);

    let slow = std::thread::spawn(move || {
        let mut text = String::new();
        reader.read_to_string(&mut text).unwrap();
        text
    });
    screen.finish(Duration::from_secs(9));
    assert_eq!(screen.pending(), 0);
    drop(screen);
    assert_eq!(follow(&slow.join().unwrap()), produced);
}

#[test]
fn an_event_tells_when_a_stalled_reader_takes_again() {
    let mut poll = mio::Poll::new().unwrap();
    let mut events = mio::Events::with_capacity(4);
    let (mut reader, mut screen) = on_a_pipe(LIMIT);
    screen.register(poll.registry(), Token(7)).unwrap();
    poll.poll(&mut events, Some(Duration::ZERO)).unwrap();
    screen.print(&"x".repeat(5000));
    screen.flush();
    assert!(screen.is_stalled());
    poll.poll(&mut events, Some(Duration::ZERO)).unwrap();
    assert!(events.is_empty());
    read_some(&mut reader);
    poll.poll(&mut events, Some(Duration::from_secs(9))).unwrap();
    assert_eq!(events.iter().next().unwrap().token(), Token(7));
    screen.flush();
    assert_eq!(screen.pending(), 0);
}

#[test]
fn each_record_of_the_logger_is_one_event() {
    let (mut reader, screen) = on_a_pipe(8192);
    let diagnostics = crate::stdio::diagnostics::Diagnostics::new(screen);
    let logger = env_logger::Builder::new()
        .filter_level(log::LevelFilter::Info)
        .format(|out, record| writeln!(out, "{}\n{}", record.level(), record.args()))
        .target(env_logger::Target::Pipe(Box::new(diagnostics.clone())))
        .build();
    let say = |number: u32| {
        log::Log::log(&logger, &log::Record::builder().level(log::Level::Warn).args(format_args!("{number}")).build());
    };
    say(1);
    assert_eq!(read_some(&mut reader), "WARN\n1\n", "written at once");
    (0..2000).for_each(|number| say(1000 + number));
    assert!(diagnostics.with(|screen| screen.is_stalled()));
    let dropped = diagnostics.with(|screen| screen.dropped_total());
    assert!(dropped > 0 && dropped.is_multiple_of(2));
    let text = diagnostics.with(|screen| drain(&mut reader, screen));
    assert!(text.ends_with(&format!("\ngap {dropped}\nlast\n")));
}
