//! A client that has no part in the trouble, and how long its answers take.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::harness::{Client, Server};

/// One message is due so often.
const PACE: Duration = Duration::from_millis(5);

/// A client of a server with `--framing lines`, talking at a steady pace until it is asked how it was.
pub(crate) struct Bystander {
    over: Arc<AtomicBool>,
    thread: JoinHandle<Latencies>,
}

impl Bystander {
    /// Begins to talk.
    #[track_caller]
    pub(crate) fn beside(server: &Server) -> Bystander {
        let over = Arc::new(AtomicBool::new(false));
        let (client, told) = (server.quiet_client(), Arc::clone(&over));
        let thread = thread::spawn(move || talk(client, &told));
        Bystander { over, thread }
    }

    /// Stops talking. Every message so far was answered, or this fails.
    #[track_caller]
    pub(crate) fn latencies(self) -> Latencies {
        self.over.store(true, Ordering::Relaxed);
        self.thread.join().expect("the bystander was answered every time")
    }
}

/// A message that was due while an answer was still awaited counts as sent then and answered together with it: a server
/// that freezes once is found late as often as it was wanted.
fn talk(mut client: Client, over: &AtomicBool) -> Latencies {
    let mut samples = Vec::new();
    while !over.load(Ordering::Relaxed) {
        thread::sleep(PACE);
        let sent = Instant::now();
        client.exchange("hello\n", "ACK\n");
        let mut waited = Some(sent.elapsed());
        while let Some(sample) = waited {
            samples.push(sample);
            waited = sample.checked_sub(PACE);
        }
    }
    Latencies::of(samples)
}

/// How long the answers took, in order.
pub(crate) struct Latencies(Vec<Duration>);

impl Latencies {
    /// Of these samples, at least one.
    pub(crate) fn of(mut samples: Vec<Duration>) -> Latencies {
        samples.sort();
        Latencies(samples)
    }

    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        self.0.len()
    }

    /// What half of the answers did not exceed.
    pub(crate) fn median(&self) -> Duration {
        self.at(50)
    }

    /// What 99 of 100 answers did not exceed.
    pub(crate) fn p99(&self) -> Duration {
        self.at(99)
    }

    fn at(&self, percent: usize) -> Duration {
        self.0[(self.0.len() * percent / 100).min(self.0.len() - 1)]
    }
}

impl fmt::Display for Latencies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let milliseconds = |time: Duration| time.as_secs_f64() * 1e3;
        let (p50, p99, max) = (milliseconds(self.at(50)), milliseconds(self.p99()), milliseconds(self.at(100)));
        write!(f, "bystander p50 {p50:.3} ms, p99 {p99:.3} ms, max {max:.3} ms of {} answers", self.0.len())
    }
}
