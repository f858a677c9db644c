//! `--find-size` over TCP, where the far end takes its time.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use socket2::{Domain, Socket, Type};

use crate::harness::{client_to, private_loopback, run, undisturbed};

/// A listener that takes little at a time.
fn narrow() -> (TcpListener, SocketAddr) {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    socket.set_tcp_mss(1000).unwrap();
    socket.bind(&SocketAddr::new(private_loopback(), 0).into()).unwrap();
    socket.listen(1).unwrap();
    let address = socket.local_addr().unwrap().as_socket().unwrap();
    (socket.into(), address)
}

/// A message of `most` bytes is taken by some KiB, with a pause before each, for so long; then as fast as it comes, and
/// acknowledged.
fn take_slowly(stream: &TcpStream, most: usize, span: Duration) {
    let mut reader = BufReader::with_capacity(4096, stream);
    reader.read_line(&mut String::new()).unwrap();
    (&*stream).write_all(b"ACK\n").unwrap();
    let (began, mut left) = (Instant::now(), most + 1);
    let mut some = [0; 4096];
    while left > 0 {
        if began.elapsed() < span {
            thread::sleep(Duration::from_millis(50));
        }
        match reader.read(&mut some) {
            Ok(0) | Err(_) => return,
            Ok(len) => left -= len,
        }
    }
    let _ = (&*stream).write_all(b"ACK\n");
    let _ = reader.read(&mut some);
}

#[test]
fn a_message_that_still_moves_does_not_stall() {
    undisturbed(|| {
        let (listener, address) = narrow();
        const MOST: usize = 1_000_000;
        let far = thread::spawn(move || {
            let stream = listener.accept().unwrap().0;
            // Longer than the three tries that a far end has which says nothing.
            take_slowly(&stream, MOST, Duration::from_secs(4));
        });
        let ended = run(client_to(address, &format!("--find-size {MOST} --framing lines -W 0.8")));
        assert_eq!((ended.code, ended.out.len()), (0, 1), "{:?}", ended.err);
        let line = format!("tcp {address}: 1 byte acknowledged, {MOST} bytes acknowledged");
        assert!(ended.out[0].starts_with(&line), "{:?}", ended.out);
        far.join().unwrap();
    });
}
