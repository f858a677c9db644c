//! The last word reaches whoever listens, whatever is queued and unread; and who does not listen keeps nobody.

use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal::SIGTERM;

use crate::crowd::{Member, listen_to_the_end};
use crate::harness::{Client, Server, ServerBuilder, server, undisturbed, wait_until};
use crate::tools::settled;

const NOTICE: &str = "server is shutting down\n";

#[test]
fn behind_a_full_queue_and_unread_input_come_every_ack_the_notice_and_a_clean_end() {
    let mut server = ServerBuilder::new("-t -q --framing lines --grace 60").operated().start();
    let mut client = Client::connect_narrow(server.tcp(), 65536);
    client.send_until_stuck(&b"x\n".repeat(32768));
    let owed = settled(&mut server, "messages").to_string().parse::<usize>().unwrap();
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
    // On a busy machine the count may have rested before the reading did: what was read after that is owed, too.
    let rest = client.read_to_end();
    let notice = rest.strip_suffix(NOTICE.as_bytes()).map(|acks| acks.chunks(4).all(|ack| ack == b"ACK\n"));
    assert_eq!(notice, Some(true), "{} bytes end with {:?}", rest.len(), rest.last_chunk::<40>());
    println!("{owed} ACKs, the notice and a clean end, with the queue full and input unread");
    client.give_up();
    sending.join().unwrap();
    assert_eq!(server.wait_exit(), 0);
}

/// The grace of these tests.
const GRACE: Duration = Duration::from_millis(500);

/// Ends the server, and checks that it takes the grace, half a second more at the most, and what a busy machine adds.
#[track_caller]
fn expect_exit_after_the_grace(server: &mut Server, what: &str) {
    let since = Instant::now();
    server.signal(SIGTERM);
    assert_eq!(server.wait_exit(), 0);
    let took = since.elapsed();
    println!("{what}: exit {took:?} after SIGTERM, the grace is {GRACE:?}");
    assert!(took >= GRACE, "the grace was only {took:?}");
    assert!(took < GRACE + Duration::from_millis(500) + Duration::from_secs(1), "it took {took:?}");
}

#[test]
fn a_hundred_clients_that_neither_read_nor_leave_are_cut_and_counted() {
    undisturbed(|| {
        let mut server = server("-t --framing lines --grace 0.5");
        let clients: Vec<_> = (0..100)
            .map(|_| {
                let mut client = server.client();
                client.send("hello\nunfinished");
                client
            })
            .collect();
        expect_exit_after_the_grace(&mut server, "100 deaf clients");
        assert_eq!(server.stdout.to_end().last().unwrap(), "connections cut: 100");
        drop(clients);
    });
}

#[test]
fn full_queues_do_not_outlast_the_grace() {
    undisturbed(|| {
        full_queues(5);
    });
}

/// Bound: 60 s.
#[test]
#[ignore = "takes 60 s"]
fn a_hundred_full_queues_do_not_outlast_the_grace() {
    undisturbed(|| {
        full_queues(100);
    });
}

/// So many clients have made the server's queue full, and read nothing of it.
fn full_queues(count: usize) {
    let mut server = ServerBuilder::new("-t -q --framing lines --grace 0.5 --idle-timeout 600").operated().start();
    let clients: Vec<_> = (0..count)
        .map(|_| {
            let mut client = Client::connect_narrow(server.tcp(), 4096);
            client.send_until_stuck(&[b'\n'; 65536]);
            client
        })
        .collect();
    settled(&mut server, "messages");
    assert_eq!(server.stat("connections"), count as f64);
    expect_exit_after_the_grace(&mut server, &format!("{count} deaf clients with full queues"));
    drop(clients);
}

#[test]
fn a_backlog_longer_than_any_budget_is_served_to_the_last() {
    undisturbed(|| {
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
    });
}
