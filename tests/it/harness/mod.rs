//! What every test stands on: the real programs as child processes, and plain sockets to talk to them.
//!
//! Nothing here sleeps to get an order: tests wait for what they can see (a line, a reply, an end), up to a
//! deadline that is far beyond any healthy answer. Where several things must meet one turn of the loop, the
//! program is stopped with SIGSTOP, the events are prepared, and SIGCONT lets it find them all at once.

mod far;
mod flood;
mod instrument;
mod lines;
mod names;
mod namespace;
mod proc;
mod process;
mod server;
mod talker;
mod tcp;
mod udp;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, UdpSocket};
use std::sync::atomic::{AtomicU8, Ordering};
use std::thread;
use std::time::{Duration, Instant};

pub(crate) use far::{FarTcp, FarUdp, Mute, closed_port, timed};
pub(crate) use flood::Flood;
pub(crate) use instrument::{ack, heard, last_object, number, shape, shown, tcp_service, udp_service};
pub(crate) use lines::Lines;
pub(crate) use names::Names;
pub(crate) use namespace::Namespace;
pub(crate) use proc::Proc;
pub(crate) use process::{Input, Launch, Output, Process, server_under_test};
pub(crate) use server::{Server, ServerBuilder, server};
pub(crate) use talker::{Ended, Scratch, client_to, end_of, expect_end, piped_to, run, typed_to};
pub(crate) use tcp::Client;
pub(crate) use udp::Peer;

/// How long a test waits for something that must happen: far longer than it takes on a busy machine.
pub(crate) const DEADLINE: Duration = Duration::from_secs(10);

/// The environment of every program under test: nothing but a search path and one locale.
pub(crate) const ENVIRONMENT: [(&str, &str); 2] =
    [("PATH", "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin"), ("LC_ALL", "C.UTF-8")];

/// Looks again and again until `probe` answers, and fails the test at the deadline.
#[track_caller]
pub(crate) fn wait_until<T>(what: &str, mut probe: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + DEADLINE;
    loop {
        if let Some(found) = probe() {
            return found;
        }
        assert!(Instant::now() < deadline, "waited {DEADLINE:?} in vain for {what}");
        thread::sleep(Duration::from_millis(5));
    }
}

/// A loopback address that no other test and no other run of the tests uses, for tests that need a fixed port.
pub(crate) fn private_loopback() -> IpAddr {
    static NEXT: AtomicU8 = AtomicU8::new(1);
    let [_, _, high, low] = std::process::id().to_be_bytes();
    IpAddr::V4(Ipv4Addr::new(127, high.max(1), low, NEXT.fetch_add(1, Ordering::Relaxed)))
}

/// Whether a program can be found on the search path of the tests.
pub(crate) fn installed(program: &str) -> bool {
    ENVIRONMENT[0].1.split(':').any(|folder| std::path::Path::new(folder).join(program).exists())
}

/// Whether this machine has an IPv6 loopback.
#[allow(clippy::print_stdout)]
pub(crate) fn has_v6() -> bool {
    let has = UdpSocket::bind((Ipv6Addr::LOCALHOST, 0)).is_ok();
    if !has {
        println!("skipped: no IPv6 here");
    }
    has
}

/// Whether the programs that a test starts can hang up: under `nohup` they are born deaf to it.
#[allow(clippy::print_stdout)]
pub(crate) fn hang_ups_arrive() -> bool {
    let arrive = !Proc(std::process::id()).ignores(nix::sys::signal::Signal::SIGHUP as i32);
    if !arrive {
        println!("skipped in part: SIGHUP is ignored here and in all children");
    }
    arrive
}
