//! Restarts under load: with passed sockets and a drain nothing is lost at all, with a shared port nothing that was
//! acknowledged.

use std::collections::HashMap;
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use nix::sys::signal::Signal::SIGTERM;

use crate::harness::{DEADLINE, Held, Server, private_loopback, server, wait_until};

const NOTICE: &[u8] = b"server is shutting down";
/// How many of each kind.
const CLIENTS: usize = 6;
const RESTARTS: usize = 5;

/// What happened to the clients of a kind, and what they said that was acknowledged.
#[derive(Default, Debug)]
struct Account {
    acknowledged: Vec<String>,
    refused: usize,
    /// A notice, or an end, in place of an ACK.
    cut: usize,
    /// A datagram without an answer.
    lost: usize,
    goodbyes: usize,
}

/// Clients that say one thing at a time and come again when they were told to go.
struct Load {
    over: Arc<AtomicBool>,
    tcp: Vec<JoinHandle<Account>>,
    udp: Vec<JoinHandle<Account>>,
}

impl Load {
    fn on(address: SocketAddr, patience: Duration) -> Load {
        let over = Arc::new(AtomicBool::new(false));
        let start = |kind: &'static str, work: fn(SocketAddr, Duration, &str, &AtomicBool) -> Account| {
            (0..CLIENTS)
                .map(|number| {
                    let over = Arc::clone(&over);
                    thread::spawn(move || work(address, patience, &format!("{kind}{number}"), &over))
                })
                .collect()
        };
        let (tcp, udp) = (start("t", talk), start("u", probe));
        Load { over, tcp, udp }
    }

    /// Both kinds' accounts, when it has ended.
    fn end(self) -> [Account; 2] {
        self.over.store(true, Ordering::Relaxed);
        [self.tcp, self.udp].map(|clients| {
            let mut all = Account::default();
            for account in clients.into_iter().map(|client| client.join().unwrap()) {
                all.acknowledged.extend(account.acknowledged);
                all.refused += account.refused;
                all.cut += account.cut;
                all.lost += account.lost;
                all.goodbyes += account.goodbyes;
            }
            all
        })
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

/// How often each message stands in the transcripts.
fn told(transcripts: &[Vec<String>]) -> HashMap<&str, usize> {
    let mut told = HashMap::new();
    for line in transcripts.iter().flatten() {
        assert!(!line.contains("lines dropped"), "this machine is too busy to hold the transcript");
        if let Some((_, text)) = line.split_once(" sent: ").or_else(|| line.split_once(" sent a datagram: ")) {
            *told.entry(text).or_default() += 1;
        }
    }
    told
}

/// Waits until there is work for this server.
fn wait_for_work(server: &Server) {
    let told = |word: &str| server.stdout.so_far().iter().filter(|line| line.contains(word)).count();
    wait_until("work", || (told(" sent: ") > 30 && told(" sent a datagram: ") > 30).then_some(()));
}

#[track_caller]
fn expect_exit(mut server: Server) -> Vec<String> {
    assert_eq!(server.wait_exit(), 0);
    server.stdout.to_end()
}

#[test]
fn with_passed_sockets_and_a_drain_nothing_is_lost() {
    let held = Held::at("127.0.0.1:0");
    let load = Load::on(held.address(), DEADLINE);
    let mut transcripts = Vec::new();
    for round in 0..RESTARTS {
        let server = held.server("--drain 10").start();
        wait_for_work(&server);
        server.signal(SIGTERM);
        if round % 2 == 0 {
            // The next one comes when this one has gone.
            transcripts.push(expect_exit(server));
        } else {
            // Or before.
            let next = held.server("--drain 10").start();
            transcripts.push(expect_exit(server));
            wait_for_work(&next);
            next.signal(SIGTERM);
            transcripts.push(expect_exit(next));
        }
    }
    let last = held.server("").start();
    let [tcp, udp] = load.end();
    last.signal(SIGTERM);
    transcripts.push(expect_exit(last));
    for account in [&tcp, &udp] {
        let Account { refused, cut, lost, goodbyes, .. } = account;
        assert_eq!((refused, cut, lost, goodbyes), (&0, &0, &0, &0));
    }
    let told = told(&transcripts);
    for message in tcp.acknowledged.iter().chain(&udp.acknowledged) {
        assert_eq!(told.get(message.as_str()), Some(&1), "{message}");
    }
    assert_eq!(told.len(), tcp.acknowledged.len() + udp.acknowledged.len());
}

#[test]
fn with_a_shared_port_nothing_that_was_acknowledged_is_lost() {
    let at = format!("--reuse-port --drain 0.3 --host {}", private_loopback());
    let mut current = server(&at);
    let load = Load::on(current.tcp(), Duration::from_secs(2));
    let at = format!("{at} -p {}", current.tcp().port());
    let mut transcripts = Vec::new();
    for _ in 0..RESTARTS {
        wait_for_work(&current);
        let next = server(&at);
        current.signal(SIGTERM);
        transcripts.push(expect_exit(std::mem::replace(&mut current, next)));
    }
    let [tcp, udp] = load.end();
    current.signal(SIGTERM);
    transcripts.push(expect_exit(current));
    assert_eq!(tcp.refused, 0, "somebody always listens");
    let told = told(&transcripts);
    for message in tcp.acknowledged.iter().chain(&udp.acknowledged) {
        assert_eq!(told.get(message.as_str()), Some(&1), "{message}");
    }
}
