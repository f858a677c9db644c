//! Clients that come and go while servers do: each says one thing at a time, and counts what became of it.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

const NOTICE: &[u8] = b"server is shutting down";
/// How many in a load.
pub(crate) const CLIENTS: usize = 6;

/// What happened to the clients of a load, and what they said that was acknowledged.
#[derive(Default, Debug)]
pub(crate) struct Account {
    pub(crate) acknowledged: Vec<String>,
    pub(crate) refused: usize,
    /// A notice, or an end, in place of an ACK.
    pub(crate) cut: usize,
    /// A datagram without an answer.
    pub(crate) lost: usize,
    pub(crate) goodbyes: usize,
}

/// Clients that say one thing at a time and come again when they were told to go.
pub(crate) struct Load {
    over: Arc<AtomicBool>,
    clients: Vec<JoinHandle<Account>>,
}

impl Load {
    /// Over TCP. Who waits longer than its patience for an answer has none.
    pub(crate) fn tcp(address: SocketAddr, patience: Duration) -> Load {
        Load::start(address, patience, talk)
    }

    /// The same over UDP.
    pub(crate) fn udp(address: SocketAddr, patience: Duration) -> Load {
        Load::start(address, patience, probe)
    }

    fn start(
        address: SocketAddr,
        patience: Duration,
        work: fn(SocketAddr, Duration, &str, &AtomicBool) -> Account,
    ) -> Load {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let over = Arc::new(AtomicBool::new(false));
        let start = |_| {
            let (over, name) = (Arc::clone(&over), format!("client-{}", NEXT.fetch_add(1, Ordering::Relaxed)));
            thread::spawn(move || work(address, patience, &name, &over))
        };
        let clients = (0..CLIENTS).map(start).collect();
        Load { over, clients }
    }

    /// Their account, when they have ended.
    pub(crate) fn end(self) -> Account {
        self.over.store(true, Ordering::Relaxed);
        let mut all = Account::default();
        for account in self.clients.into_iter().map(|client| client.join().unwrap()) {
            all.acknowledged.extend(account.acknowledged);
            all.refused += account.refused;
            all.cut += account.cut;
            all.lost += account.lost;
            all.goodbyes += account.goodbyes;
        }
        all
    }
}

fn talk(address: SocketAddr, patience: Duration, name: &str, over: &AtomicBool) -> Account {
    let (mut account, mut number) = (Account::default(), 0);
    while !over.load(Ordering::Relaxed) {
        let Ok(mut stream) = TcpStream::connect(address) else {
            account.refused += 1;
            continue;
        };
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(patience)).unwrap();
        while !over.load(Ordering::Relaxed) {
            number += 1;
            let (message, mut buffer) = (format!("{name}-{number}"), [0; 64]);
            let read = stream.write_all(message.as_bytes()).and_then(|()| stream.read(&mut buffer));
            let answer = &buffer[..read.unwrap_or(0)];
            if answer.starts_with(b"ACK") {
                account.acknowledged.push(message);
            } else {
                account.cut += 1;
            }
            if answer != b"ACK" {
                break;
            }
            thread::sleep(Duration::from_millis(1));
        }
    }
    account
}

fn probe(address: SocketAddr, patience: Duration, name: &str, over: &AtomicBool) -> Account {
    let (mut account, mut number) = (Account::default(), 0);
    let socket = UdpSocket::bind((address.ip(), 0)).unwrap();
    socket.connect(address).unwrap();
    socket.set_read_timeout(Some(patience)).unwrap();
    while !over.load(Ordering::Relaxed) {
        number += 1;
        let message = format!("{name}-{number}");
        // The note of a refusal may come with either call.
        let mut outcome = socket.send(message.as_bytes());
        loop {
            let mut buffer = [0; 64];
            let read = outcome.and_then(|_| socket.recv(&mut buffer));
            match read.map_err(|error| error.kind()) {
                Ok(length) if &buffer[..length] == b"check" => account.acknowledged.push(message),
                Ok(length) if &buffer[..length] == NOTICE => {
                    account.goodbyes += 1;
                    outcome = Ok(0);
                    continue;
                }
                // What nginx says where a server failed.
                Ok(0) => account.lost += 1,
                Ok(length) => panic!("{}", buffer[..length].escape_ascii()),
                Err(ErrorKind::ConnectionRefused) => account.refused += 1,
                Err(_) => account.lost += 1,
            }
            break;
        }
        thread::sleep(Duration::from_millis(1));
    }
    account
}
