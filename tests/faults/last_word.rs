//! The last word reaches whoever listens, whatever is queued and unread; and who does not listen keeps nobody.

use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal::SIGTERM;

use crate::crowd::{Member, listen_to_the_end};
use crate::harness::{Client, ServerBuilder, server, wait_until};
use crate::tools::settled;

const NOTICE: &str = "server is shutting down\n";

#[test]
fn behind_a_full_queue_and_unread_input_come_every_ack_the_notice_and_a_clean_end() {
    let mut server = ServerBuilder::new("-t -q --framing lines --grace 60").operated().start();
    let mut client = Client::connect_narrow(server.tcp(), 65536);
    client.send_until_stuck(&b"x\n".repeat(32768));
    let owed = settled(&mut server, "acks") as usize;
    server.signal(SIGTERM);
    wait_until("the listener's end", || TcpStream::connect(server.tcp()).is_err().then_some(()));
    // It goes on sending, as who has not read the notice yet does.
    let mut sender = client.clone_handle();
    let sending = thread::spawn(move || while sender.try_send(&b"y\n".repeat(1024)) {});
    let mut left = owed;
    while left > 0 {
        let portion = left.min(9973);
        client.expect("ACK\n".repeat(portion));
        left -= portion;
    }
    client.expect_last(NOTICE);
    println!("{owed} ACKs, the notice and a clean end, with the queue full and input unread");
    client.give_up();
    sending.join().unwrap();
    assert_eq!(server.wait_exit(), 0);
}

#[test]
fn a_hundred_deaf_clients_do_not_outlast_the_grace() {
    deaf_clients(100, 5);
}

/// Bound: 30 s.
#[test]
#[ignore = "takes 30 s"]
fn a_hundred_deaf_clients_with_full_queues_do_not_outlast_the_grace() {
    deaf_clients(100, 100);
}

/// None of `count` clients reads a byte, and so many have made the server's queue full.
fn deaf_clients(count: usize, full: usize) {
    const GRACE: Duration = Duration::from_millis(500);
    let mut server = server("-t --lang en --framing length --grace 0.5 --idle-timeout 600");
    let mut clients: Vec<_> = (0..count).map(|_| Client::connect_narrow(server.tcp(), 4096)).collect();
    for client in &mut clients[..full] {
        client.send_until_stuck(&[0; 65536]);
    }
    for client in &mut clients[full..] {
        client.send([0; 40]);
    }
    // Most of what they said is dropped from the transcript; its end is to be read in full.
    let mut printed = 0;
    while printed < server.stdout.count() {
        printed = server.stdout.count();
        thread::sleep(Duration::from_millis(300));
    }
    let since = Instant::now();
    server.signal(SIGTERM);
    assert_eq!(server.wait_exit(), 0);
    let took = since.elapsed();
    println!("{count} deaf clients, {full} with full queues: exit {took:?} after SIGTERM, the grace is {GRACE:?}");
    assert!(took >= GRACE, "the grace was only {took:?}");
    // The promise is half a second; the rest is for a busy machine.
    assert!(took < GRACE + Duration::from_millis(500) + Duration::from_secs(1), "it took {took:?}");
    let cut = format!("connections cut: {count}");
    let lines = server.stdout.to_end();
    assert!(lines.contains(&cut), "{:?}", &lines[lines.len().saturating_sub(3)..]);
}

#[test]
fn a_backlog_longer_than_any_budget_is_served_to_the_last() {
    const CROWD: usize = 500;
    let mut server = server("-t -q --framing lines --grace 60");
    server.stop();
    let mut crowd: Vec<_> = (0..CROWD).map(|_| Member::join(server.tcp())).collect();
    for member in &mut crowd {
        member.say(b"hello\n");
    }
    server.signal(SIGTERM);
    server.resume();
    listen_to_the_end(&mut crowd, Duration::from_secs(10));
    let wanted = format!("ACK\n{NOTICE}");
    let served = crowd.iter().filter(|member| member.heard == wanted.as_bytes()).count();
    println!("{served} of {CROWD} that waited in the backlog at SIGTERM got their ACK, the notice and a clean end");
    assert_eq!(served, CROWD);
    drop(crowd);
    assert_eq!(server.wait_exit(), 0);
}
