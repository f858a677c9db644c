//! What every test stands on: the real programs as child processes, and plain sockets to talk to them.
//!
//! Nothing here sleeps to get an order: tests wait for what they can see (a line, a reply, an end), up to a
//! deadline that is far beyond any healthy answer. Where several things must meet one turn of the loop, the
//! program is stopped with SIGSTOP, the events are prepared, and SIGCONT lets it find them all at once.

mod crossing;
mod endless;
mod far;
mod flood;
mod instrument;
mod lines;
mod names;
mod namespace;
#[allow(dead_code, reason = "only some tests pass sockets")]
mod passing;
mod path;
mod proc;
mod process;
mod server;
mod stamping;
mod talker;
mod tcp;
mod udp;

use std::fmt::Debug;
use std::io::Write;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, UdpSocket};
use std::panic::Location;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

#[allow(unused_imports, reason = "not every tree of tests pings")]
pub(crate) use crossing::{Crossing, Odds, cross, fates, seed, throw};
pub(crate) use endless::Endless;
pub(crate) use far::{Caller, FarTcp, FarUdp, Mute, bound_udp, closed_port, timed};
pub(crate) use flood::Flood;
pub(crate) use instrument::{ack, heard, last_object, number, shape, shown, tcp_service, udp_service};
pub(crate) use lines::Lines;
pub(crate) use names::Names;
#[allow(unused_imports, reason = "not every tree of tests shuts programs in")]
pub(crate) use namespace::{Lab, Namespace, can_be_shut_in};
#[allow(unused_imports, reason = "only some tests pass sockets")]
pub(crate) use passing::{Held, pass, pass_two};
pub(crate) use path::{Counts, Path};
pub(crate) use proc::{Proc, in_tables};
use process::{Closing, HELD_UP, close, note_what_held_it_up};
pub(crate) use process::{Input, Launch, Output, Process, client_under_test, output, server_under_test, start};
pub(crate) use server::{Server, ServerBuilder, server};
#[allow(unused_imports, reason = "not every tree of tests pings")]
pub(crate) use stamping::{Fate, stamp, stamping};
pub(crate) use talker::{Ended, Scratch, client_to, end_of, expect_end, piped_to, run, typed_to};
#[allow(unused_imports, reason = "not every tree of tests pings")]
pub(crate) use talker::{calm, undisturbed};
pub(crate) use tcp::Client;
pub(crate) use udp::Peer;

/// How long a test waits for something that must happen: far longer than it takes on a busy machine, and shorter than the
/// programs' own timeouts of 30 s, after which a fault may look like a success.
pub(crate) const DEADLINE: Duration = Duration::from_secs(20);

/// The environment of every program under test: nothing but a search path and one locale.
pub(crate) const ENVIRONMENT: [(&str, &str); 3] =
    [("PATH", "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin"), ("LC_ALL", "C.UTF-8"), ("TERM", "xterm")];

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

/// As [`wait_until`] where something is dropped: a test that fails already is told of, and not of this.
#[allow(dead_code, reason = "not every tree of tests drops such things")]
pub(crate) fn wait_to_part(what: &str, mut is_done: impl FnMut() -> bool) {
    let deadline = Instant::now() + DEADLINE;
    while !is_done() {
        if Instant::now() >= deadline {
            assert!(thread::panicking(), "waited {DEADLINE:?} in vain for {what}");
            return;
        }
        thread::sleep(Duration::from_millis(5));
    }
}

/// Waits until a figure stands still for so long, and gives it. As long as it moves there is progress, and more patience.
#[track_caller]
pub(crate) fn settled<T: PartialEq>(still: Duration, mut figure: impl FnMut() -> T) -> T {
    let began = Instant::now();
    let mut last = figure();
    loop {
        thread::sleep(still);
        let now = figure();
        if now == last {
            return now;
        }
        assert!(began.elapsed() < 10 * DEADLINE, "it never rests");
        last = now;
    }
}

/// Tries again what a busy machine can spoil, five times in all: a fault of the program's own is there each time.
#[track_caller]
pub(crate) fn one_of_five<E: Debug>(mut round: impl FnMut() -> Result<(), E>) {
    let mut spoilt = Vec::new();
    while let Err(why) = round() {
        spoilt.push(why);
        assert!(spoilt.len() < 5, "five times: {spoilt:#?}");
    }
}

/// The same for what must be done sooner than this; the round says how long it took. Noise takes time and gives none.
#[track_caller]
pub(crate) fn sooner_than(bound: Duration, mut round: impl FnMut() -> Duration) {
    undisturbed(|| {
        one_of_five(|| {
            let took = round();
            if took < bound { Ok(()) } else { Err(format!("{took:?} is not sooner than {bound:?}")) }
        });
    });
}

/// A loopback address that no other test and no other run of the tests uses, for tests that need a fixed port: of its
/// 24 bits twelve count, the others are the process's.
pub(crate) fn private_loopback() -> IpAddr {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    // Who comes round again meets those whose test is long over.
    let number = NEXT.fetch_add(1, Ordering::Relaxed) % 4095 + 1;
    let [_, high, middle, low] = (((std::process::id() % 4095 + 1) << 12) | number).to_be_bytes();
    IpAddr::V4(Ipv4Addr::new(127, high, middle, low))
}

/// Says on stderr that this test, or a part of it, is skipped, and why: what did not run must not pass for a success.
#[track_caller]
pub(crate) fn skipped(why: &str) {
    note("skipped", why);
}

/// The same of a scene that is played again, for what happens only now and then must not hide there.
#[track_caller]
pub(crate) fn replayed(why: &str) {
    note("replayed", why);
}

#[track_caller]
fn note(what: &str, why: &str) {
    let (thread, caller) = (thread::current(), Location::caller());
    // A test's thread has its name, but where tests run one at a time there is one thread for all.
    let test = thread.name().filter(|&name| name != "main").map_or_else(|| caller.to_string(), str::to_owned);
    say(&format!("{what}: {test}: {why}"));
}

/// Says it on stderr past the print macros, whose output is kept from who runs the tests; without a stderr, to nobody.
pub(crate) fn say(line: &str) {
    let _ = std::io::stderr().write_all(format!("{line}\n").as_bytes());
}

/// Whether a program is there to test with; where it is not, the test says that it is skipped.
#[track_caller]
pub(crate) fn have(program: &str) -> bool {
    let have = installed(program);
    if !have {
        skipped(&format!("{program} is not installed"));
    }
    have
}

/// Whether a program can be found on the search path of the tests.
pub(crate) fn installed(program: &str) -> bool {
    ENVIRONMENT[0].1.split(':').any(|folder| std::path::Path::new(folder).join(program).exists())
}

/// Whether this machine has an IPv6 loopback; where it has none, the test says that it is skipped.
#[track_caller]
pub(crate) fn has_v6() -> bool {
    let has = UdpSocket::bind((Ipv6Addr::LOCALHOST, 0)).is_ok();
    if !has {
        skipped("there is no IPv6 here");
    }
    has
}

/// Whether the programs that a test starts can hang up: under `nohup` they are born deaf to it,
/// and what hangs up is skipped.
#[track_caller]
pub(crate) fn hang_ups_arrive() -> bool {
    let arrive = !Proc(std::process::id()).ignores(nix::sys::signal::Signal::SIGHUP as i32);
    if !arrive {
        skipped("what hangs up: SIGHUP is ignored here and in all children");
    }
    arrive
}
