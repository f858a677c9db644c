//! A storm of clients that reset their connections at any byte, with others in between who lose nothing.

use std::time::Instant;

use crate::harness::{Client, ServerBuilder, wait_until};
use crate::{alone, figure};

const RESETTING: usize = 1000;
const OTHERS: usize = 100;

#[test]
fn a_thousand_clients_that_reset_at_any_byte_cost_a_hundred_others_nothing() {
    let _alone = alone();
    let mut server = ServerBuilder::new("-q -t --framing length").operated().start();
    let descriptors = server.proc().descriptors();
    let message = b"\0\0\0\x0da few letters".as_slice();
    let mut others: Vec<_> = (0..OTHERS).map(|_| server.quiet_client()).collect();
    let began = Instant::now();
    let (mut random, mut resetting) = (1_u64, Vec::new());
    for turn in 0..RESETTING {
        // Knuth's generator: a storm that can be repeated.
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let mut client = server.quiet_client();
        let bytes = message.repeat(4);
        client.send(&bytes[..usize::try_from(random >> 33).unwrap() % bytes.len()]);
        resetting.push(client);
        if turn % 3 > 0 {
            // Some at once, perhaps before they are accepted; others while their ACKs are on the way.
            let victim = usize::try_from(random >> 40).unwrap() % resetting.len();
            resetting.swap_remove(victim).reset();
        }
        others[turn % OTHERS].exchange(message, "\0\0\0\x03ACK");
    }
    resetting.into_iter().for_each(Client::reset);
    for client in &mut others {
        client.exchange(message, "\0\0\0\x03ACK");
        client.finish_writing();
        client.expect_end();
    }
    drop(others);
    let seconds = began.elapsed().as_secs_f64();
    wait_until("the descriptors", || (server.proc().descriptors() == descriptors).then_some(()));
    let (total, resets) = (server.stat("total"), server.stat("resets"));
    figure(&format!(
        "reset storm: {RESETTING} clients reset, {resets} seen as resets, of {total} clients; {OTHERS} others: 0 of {} \
         messages lost; {seconds:.1} s",
        RESETTING + OTHERS
    ));
    assert!(resets > 0.0);
}

#[test]
fn clients_that_connect_and_reset_at_once_leave_nothing_behind() {
    let _alone = alone();
    let server = ServerBuilder::new("-q -t --framing lines").operated().start();
    let descriptors = server.proc().descriptors();
    let began = Instant::now();
    for _ in 0..20 {
        // Gone before they are accepted.
        server.stop();
        let crowd: Vec<_> = (0..100).map(|_| server.quiet_client()).collect();
        crowd.into_iter().for_each(Client::reset);
        server.resume();
        server.quiet_client().exchange("hello\n", "ACK\n");
    }
    wait_until("the descriptors", || (server.proc().descriptors() == descriptors).then_some(()));
    figure(&format!("2000 clients reset before they were accepted: {:.1} s", began.elapsed().as_secs_f64()));
}
