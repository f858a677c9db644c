//! Clients that read slowly or not at all: they cost no memory, lose no ACK, and hold nobody else up.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::harness::{Client, ServerBuilder, undisturbed, wait_until};
use crate::tools::{MIB, settled};

/// Half as many would prove nothing: the kernel alone takes a million ACKs that nobody reads.
const MESSAGES: usize = 3_000_000;

#[test]
fn three_million_messages_of_a_client_that_reads_nothing_cost_no_memory_and_lose_no_ack() {
    undisturbed(|| {
        let mut server = ServerBuilder::new("-t -q --framing lines --idle-timeout 600").operated().start();
        let mut bystander = server.quiet_client();
        bystander.exchange("hello\n", "ACK\n");
        let before = server.proc().resident();
        let mut deaf = Client::connect_narrow(server.tcp(), 65536);
        let mut sender = deaf.clone_handle();
        let sending = thread::spawn(move || sender.send(b"x\n".repeat(MESSAGES)));

        let stalled = settled(&mut server, "messages");
        let grown = server.proc().resident().saturating_sub(before);
        println!(
            "of {MESSAGES} messages {stalled} were taken before the reading stopped; memory grew by {grown} bytes"
        );
        assert!(stalled < 2.0 * MESSAGES as f64 / 3.0, "the kernel took it all, so nothing was tried");
        assert!(grown < 4 * MIB, "memory grew by {grown} bytes");
        bystander.exchange("hello\n", "ACK\n");

        // Taken in portions that fall on no boundary of anything.
        let mut left = MESSAGES;
        while left > 0 {
            let portion = left.min(9973);
            deaf.expect("ACK\n".repeat(portion));
            left -= portion;
        }
        deaf.expect_nothing_yet();
        sending.join().unwrap();
        let all = MESSAGES as f64 + 2.0;
        assert_eq!((server.stat("messages"), server.stat("acks")), (all, all));
        let grown = server.proc().resident().saturating_sub(before);
        println!("every ACK came; memory stands {grown} bytes above the beginning");
        assert!(grown < 4 * MIB, "memory grew by {grown} bytes");
    });
}

#[test]
fn the_deaf_are_cut_even_while_they_send_and_the_slow_are_not() {
    // Who is not let run for a second takes nothing in it.
    undisturbed(|| {
        const TIMEOUT: Duration = Duration::from_secs(1);
        let mut server = ServerBuilder::new("-t -q --framing lines --idle-timeout 1 --grace 0.2").operated().start();
        let full = |mut client: Client| {
            client.send_until_stuck(&[b'\n'; 65536]);
            client
        };
        let mut slow = full(Client::connect_narrow(server.tcp(), 65536));
        let over = Arc::new(AtomicBool::new(false));
        let slow_over = Arc::clone(&over);
        // Far less in a timeout than the socket's buffer holds: no event ever tells the server that there is room.
        let taking = thread::spawn(move || {
            let mut taken = 0;
            while !slow_over.load(Ordering::Relaxed) {
                slow.expect("ACK\n".repeat(2048));
                taken += 2048;
                thread::sleep(TIMEOUT / 20);
            }
            taken
        });

        let mut deaf = full(Client::connect_narrow(server.tcp(), 4096));
        let stuck = Instant::now();
        let deaf_over = Arc::clone(&over);
        let sending = thread::spawn(move || {
            while !deaf_over.load(Ordering::Relaxed) {
                // It fails again and again: for want of room, in the end because it was cut.
                let _ = deaf.try_send(&[b'\n'; 65536]);
            }
        });
        wait_until("the cut", || (server.stat("idle_cuts") == 1.0).then_some(()));
        let cut = stuck.elapsed();
        thread::sleep(4 * TIMEOUT);
        assert_eq!((server.stat("idle_cuts"), server.stat("connections")), (1.0, 1.0), "the slow reader was cut, too");
        over.store(true, Ordering::Relaxed);
        let taken = taking.join().unwrap();
        println!(
            "with a timeout of {TIMEOUT:?} the deaf client was cut {cut:?} after it was stuck; the slow one took {taken} ACKs and stayed"
        );
        assert!(cut < 3 * TIMEOUT, "cut only after {cut:?}");
        sending.join().unwrap();
    });
}
