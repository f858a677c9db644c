//! For the client as an instrument: far ends that answer by themselves, and readers of what it printed.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::thread;

use serde_json::Value;

use super::private_loopback;

/// A TCP port that serves every connection on a thread of its own, until the tests end.
pub(crate) fn tcp_service(serve: impl Fn(TcpStream) + Clone + Send + 'static) -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let (stream, serve) = (stream.unwrap(), serve.clone());
            stream.set_nodelay(true).unwrap();
            thread::spawn(move || serve(stream));
        }
    });
    address
}

/// A UDP port that hands every datagram's number (from 1) and source to `serve`, until the tests end.
pub(crate) fn udp_service(mut serve: impl FnMut(&UdpSocket, u64, SocketAddr) + Send + 'static) -> SocketAddr {
    let socket = UdpSocket::bind((private_loopback(), 0)).unwrap();
    let address = socket.local_addr().unwrap();
    thread::spawn(move || {
        for number in 1.. {
            if let Ok((_, from)) = socket.recv_from(&mut [0; 65536]) {
                serve(&socket, number, from);
            }
        }
    });
    address
}

/// Takes one message; false when the client has ended the connection.
pub(crate) fn heard(stream: &mut TcpStream) -> bool {
    stream.read(&mut [0; 65536]).is_ok_and(|count| count > 0)
}

/// Acknowledges; the client may be gone.
pub(crate) fn ack(stream: &mut TcpStream) {
    let _ = stream.write_all(b"ACK");
}

/// The shape of a line: every number, with its fraction, is one `0`.
pub(crate) fn shape(line: &str) -> String {
    let mut shape = String::new();
    let mut digits = false;
    let mut letters = line.chars().peekable();
    while let Some(letter) = letters.next() {
        let inside = letter == '.' && digits && letters.peek().is_some_and(char::is_ascii_digit);
        if letter.is_ascii_digit() || inside {
            if !digits {
                shape.push('0');
            }
            digits = true;
        } else {
            digits = false;
            shape.push(letter);
        }
    }
    shape
}

/// The number that stands between `before` and the next space or the end.
#[track_caller]
pub(crate) fn number(line: &str, before: &str) -> f64 {
    let rest = line.split_once(before).unwrap_or_else(|| panic!("no {before:?} in {line:?}")).1;
    let word = rest.split([' ', ')', '\n', '/', ',']).next().unwrap();
    word.parse().unwrap_or_else(|_| panic!("no number after {before:?} in {line:?}"))
}

/// The last line as an object: a run's summary.
#[track_caller]
pub(crate) fn last_object(lines: &[String]) -> Value {
    let last = lines.last().expect("nothing was printed");
    serde_json::from_str(last).unwrap_or_else(|error| panic!("{error} in {last:?}"))
}

/// What a terminal shows of a line with carriage returns and erasures in it.
pub(crate) fn shown(line: &str) -> String {
    let (mut cells, mut column) = (Vec::new(), 0);
    let line = line.replace("\x1b[?7l", "").replace("\x1b[?7h", "").replace("\x1b[K", "\x1b");
    for letter in line.chars() {
        match letter {
            '\r' => column = 0,
            '\x1b' => cells.truncate(column),
            _ => {
                if column < cells.len() {
                    cells[column] = letter;
                } else {
                    cells.push(letter);
                }
                column += 1;
            }
        }
    }
    cells.into_iter().collect()
}
