#![allow(clippy::unwrap_used)]

use std::fs::{File, OpenOptions};
use std::io::{Read, Write, pipe};
use std::os::unix::net::UnixStream;

use mio::Poll;
use nix::pty::openpty;
use nix::sys::termios::tcgetattr;

use super::*;

fn flags(fd: impl AsFd) -> i32 {
    fcntl(fd, FcntlArg::F_GETFL).unwrap()
}

fn would_block(result: io::Result<usize>) -> bool {
    result.is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock)
}

/// Writes until it would block. One call that blocked would hang the test.
fn fill(descriptor: &mut Descriptor) -> usize {
    let mut written = 0;
    loop {
        match descriptor.write(&[b'x'; 10_000]) {
            Ok(count) => written += count,
            Err(error) => {
                assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
                return written;
            }
        }
    }
}

fn polled(fd: impl Into<OwnedFd>, kind: Kind) -> Descriptor {
    Descriptor { fd: fd.into(), kind, access: Access::Polled, always_ready: false, shared: true, registry: None }
}

#[test]
fn a_pipe_never_blocks_and_its_shared_flags_stay() {
    let (reader, writer) = pipe().unwrap();
    let before = (flags(&reader), flags(&writer));
    let mut input = Descriptor::reader(reader.try_clone().unwrap()).unwrap();
    let mut output = Descriptor::writer(writer.try_clone().unwrap()).unwrap();
    assert_eq!((input.kind(), input.access), (Kind::Pipe, Access::Direct));
    let mut buffer = [0; 10];
    assert!(would_block(input.read(&mut buffer)));
    assert!(fill(&mut output) > 0);
    assert_eq!(input.read(&mut buffer).unwrap(), 10);
    assert_eq!((flags(&reader), flags(&writer)), before);
}

#[test]
fn a_terminal_never_blocks_and_its_shared_flags_and_settings_stay() {
    let pty = openpty(None, None).unwrap();
    let before = (flags(&pty.slave), tcgetattr(&pty.slave).unwrap());
    let mut input = Descriptor::reader(pty.slave.try_clone().unwrap()).unwrap();
    let mut output = Descriptor::writer(pty.slave.try_clone().unwrap()).unwrap();
    assert_eq!((input.kind(), input.access), (Kind::Terminal, Access::Direct));
    let mut buffer = [0; 10];
    assert!(would_block(input.read(&mut buffer)));
    assert!(fill(&mut output) > 0);
    let mut master = File::from(pty.master);
    master.write_all(b"hi\n").unwrap();
    input.poll(PollFlags::POLLIN, PollTimeout::MAX).unwrap();
    assert_eq!(input.read(&mut buffer).unwrap(), 3);
    assert_eq!((flags(&pty.slave), tcgetattr(&pty.slave).unwrap()), before);
}

#[test]
fn a_terminal_that_hung_up_neither_blocks_nor_gives_data() {
    let pty = openpty(None, None).unwrap();
    let mut input = Descriptor::reader(pty.slave.try_clone().unwrap()).unwrap();
    drop(pty.master);
    assert!(input.read(&mut [0; 10]).map_or(true, |count| count == 0));
    let mut late = Descriptor::reader(pty.slave).unwrap();
    assert!(late.read(&mut [0; 10]).map_or(true, |count| count == 0));
}

#[test]
fn the_master_side_of_a_terminal_is_not_opened_again() {
    let pty = openpty(None, None).unwrap();
    let mut input = Descriptor::reader(pty.master).unwrap();
    assert_eq!(input.access, Access::Polled);
    assert!(would_block(input.read(&mut [0; 10])));
    File::from(pty.slave).write_all(b"hi").unwrap();
    input.poll(PollFlags::POLLIN, PollTimeout::MAX).unwrap();
    assert_eq!(input.read(&mut [0; 10]).unwrap(), 2);
}

#[test]
fn a_socket_never_blocks_and_its_shared_flags_stay() {
    let (mut peer, shared) = UnixStream::pair().unwrap();
    let before = flags(&shared);
    let mut descriptor = Descriptor::reader(shared.try_clone().unwrap()).unwrap();
    assert_eq!(descriptor.kind(), Kind::Socket);
    assert!(would_block(descriptor.read(&mut [0; 10])));
    assert!(fill(&mut descriptor) > 0);
    peer.write_all(b"hi").unwrap();
    assert_eq!(descriptor.read(&mut [0; 10]).unwrap(), 2);
    assert_eq!(flags(&shared), before);
}

#[test]
fn what_cannot_be_opened_again_is_polled_and_never_blocks() {
    let (mut reader, writer) = pipe().unwrap();
    let before = flags(&writer);
    let mut output = polled(writer.try_clone().unwrap(), Kind::Pipe);
    let full = fill(&mut output);
    assert!(output.wait_writable(Duration::from_millis(1)).is_err());
    let mut buffer = vec![0; full];
    reader.read_exact(&mut buffer).unwrap();
    output.wait_writable(Duration::ZERO).unwrap();
    assert_eq!(output.write(&buffer).unwrap(), PIPE_ROOM);
    assert_eq!(flags(&writer), before);

    let mut input = polled(reader, Kind::Pipe);
    assert_eq!(input.read(&mut buffer).unwrap(), PIPE_ROOM);
    assert!(would_block(input.read(&mut buffer)));
    drop((writer, output));
    assert_eq!(input.read(&mut buffer).unwrap(), 0);
}

#[test]
fn only_what_the_selector_refuses_is_always_ready() {
    let poll = Poll::new().unwrap();
    let register = |mut descriptor: Descriptor, interest| {
        descriptor.register(poll.registry(), Token(0), interest).unwrap();
        descriptor.always_ready()
    };
    let device = |path| OpenOptions::new().read(true).write(true).open(path).unwrap();
    for path in ["/dev/null", "/dev/zero", "/dev/full"] {
        assert!(register(Descriptor::reader(device(path)).unwrap(), Interest::READABLE), "{path}");
        assert!(register(Descriptor::writer(device(path)).unwrap(), Interest::WRITABLE), "{path}");
    }
    let file = File::open(std::env::current_exe().unwrap()).unwrap();
    assert!(register(Descriptor::reader(file).unwrap(), Interest::READABLE));
    assert!(register(Descriptor::reader(File::open("/").unwrap()).unwrap(), Interest::READABLE));

    let (reader, writer) = pipe().unwrap();
    assert!(!register(Descriptor::reader(reader.try_clone().unwrap()).unwrap(), Interest::READABLE));
    assert!(!register(Descriptor::writer(writer).unwrap(), Interest::WRITABLE));
    let (peer, socket) = UnixStream::pair().unwrap();
    assert!(!register(Descriptor::reader(socket).unwrap(), Interest::READABLE));
    let pty = openpty(None, None).unwrap();
    assert!(!register(Descriptor::reader(pty.slave).unwrap(), Interest::READABLE));
    drop((peer, reader, pty.master));
}

#[test]
fn the_wrong_direction_and_a_named_pipe_without_reader_are_refused() {
    let errno = |result: io::Result<Descriptor>| result.unwrap_err().raw_os_error();
    let (bad, broken) = (Some(Errno::EBADF as i32), Some(Errno::EPIPE as i32));
    let (reader, writer) = pipe().unwrap();
    assert_eq!(errno(Descriptor::writer(reader)), bad);
    assert_eq!(errno(Descriptor::reader(writer)), bad);

    let name = format!("ack-reactor-stdio-{}", std::process::id());
    let path = std::env::temp_dir().join(name);
    unistd::mkfifo(&path, Mode::S_IRUSR | Mode::S_IWUSR).unwrap();
    let reader = private(&path, OFlag::O_RDONLY).unwrap();
    let writer = OpenOptions::new().write(true).open(&path).unwrap();
    std::fs::remove_file(&path).unwrap();
    drop(reader);
    assert_eq!(errno(Descriptor::writer(writer)), broken);
}

#[test]
fn stops_from_the_terminal_are_blocked() {
    use nix::sys::signal::{SigSet, Signal};
    super::super::block_signals().unwrap();
    let blocked = SigSet::thread_get_mask().unwrap();
    assert!(blocked.contains(Signal::SIGTTIN) && blocked.contains(Signal::SIGTTOU));
    assert!(!blocked.contains(Signal::SIGTSTP));
}
