//! Floods over TCP, UDP and stdin at once: a bystander, the operator, a signal and the clock hardly notice.

use std::io::{PipeWriter, Write};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use nix::sys::signal::Signal::SIGTERM;

use crate::bystander::Bystander;
use crate::harness::{DEADLINE, Flood, Input, Server, ServerBuilder, undisturbed};
use crate::{PROMPT, alone, best_of_three, figure};

/// How many flood over TCP, and as many over UDP.
const EACH: usize = 4;
/// How much the flooded server may grow.
const GROWTH: u64 = 16 << 20;
/// The idle timeout under the flood, and how much later than that a cut may come.
const IDLE: Duration = Duration::from_secs(1);
const LATE: Duration = Duration::from_millis(500);
/// Within this a signal and the operator are answered.
const ANSWERED: Duration = Duration::from_millis(200);

/// A server whose stdin is flooded as well, until it ends.
struct Flooded {
    server: Server,
    typist: Option<JoinHandle<()>>,
}

impl Flooded {
    fn start() -> Flooded {
        let (reader, writer) = std::io::pipe().unwrap();
        let words = format!("-q --framing lines --grace 0.3 --idle-timeout {}", IDLE.as_secs());
        let server = ServerBuilder::new(&words).stdin(Input::Given(reader.into())).start();
        Flooded { server, typist: Some(thread::spawn(move || type_on(writer))) }
    }
}

/// Until nobody reads any more.
fn type_on(mut stdin: PipeWriter) {
    let lines = b"\nwhat?\n  \n".repeat(1000);
    while stdin.write_all(&lines).is_ok() {}
}

impl Drop for Flooded {
    fn drop(&mut self) {
        self.server.signal(nix::sys::signal::Signal::SIGKILL);
        let _ = self.typist.take().map(JoinHandle::join);
    }
}

#[test]
fn nobody_waits_for_four_tcp_four_udp_and_an_stdin_flooder() {
    let _alone = alone();
    undisturbed(|| {
        best_of_three(|| {
            let flooded = Flooded::start();
            let server = &flooded.server;
            let resident = server.proc().resident();
            let bystander = Bystander::beside(server);
            let _flood = Flood::start(server, EACH);
            let since = Instant::now();
            server.quiet_client().expect_last("idle timeout\n");
            let silent = since.elapsed();
            thread::sleep(Duration::from_secs(3).saturating_sub(silent));
            let grown = server.proc().resident().saturating_sub(resident);
            let latencies = bystander.latencies();
            let mut client = server.quiet_client();
            client.exchange("hello\n", "ACK\n");
            let since = Instant::now();
            server.signal(SIGTERM);
            client.expect_last("server is shutting down\n");
            let notice = since.elapsed();
            figure(&format!(
                "flood: {latencies}; memory +{} KiB; an idle client cut after {silent:.3?} of {IDLE:?}; notice {notice:.1?} \
             after SIGTERM",
                grown >> 10
            ));
            assert!(grown < GROWTH, "memory grew by {grown} bytes");
            assert!(silent >= IDLE, "cut early, after {silent:?}");
            silent < IDLE + LATE && latencies.p99() < PROMPT && notice < ANSWERED
        });
    });
}

#[test]
fn the_operator_is_answered_at_once_beside_four_tcp_and_four_udp_flooders() {
    let _alone = alone();
    undisturbed(|| {
        best_of_three(|| {
            let mut server = ServerBuilder::new("-q --framing lines").operated().start();
            let _flood = Flood::start(&server, EACH);
            let worst = (0..20).map(|_| {
                let since = Instant::now();
                server.stat("uptime");
                since.elapsed()
            });
            let worst = worst.max().unwrap_or(DEADLINE);
            figure(&format!("flood: the operator was answered within {worst:.1?}"));
            worst < ANSWERED
        });
    });
}
