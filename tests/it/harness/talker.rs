//! The client under test: how it is started, and what it came to.

use std::any::Any;
use std::fs;
use std::net::SocketAddr;
use std::panic::{self, AssertUnwindSafe};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::{HELD_UP, Input, Launch, Output, Process, note_what_held_it_up, replayed};

/// The client with the words of `args` and this server; `/dev/null` is its stdin.
pub(crate) fn client_to(server: SocketAddr, args: &str) -> Launch {
    let (ip, port) = (server.ip().to_string(), server.port().to_string());
    let words: Vec<&str> = [ip.as_str(), &port].into_iter().chain(args.split_whitespace()).collect();
    Launch::client(&words)
}

/// The same with a pipe as its stdin, started.
#[track_caller]
pub(crate) fn piped_to(server: SocketAddr, args: &str) -> Process {
    client_to(server, args).stdin(Input::Pipe).start()
}

/// The same with stdin and stdout on a terminal, started.
#[track_caller]
pub(crate) fn typed_to(server: SocketAddr, args: &str) -> Process {
    client_to(server, args).stdin(Input::Terminal).stdout(Output::Terminal).start()
}

/// What a client came to.
pub(crate) struct Ended {
    /// Its exit code.
    pub(crate) code: i32,
    /// Its standard output.
    pub(crate) out: Vec<String>,
    /// Its standard error.
    pub(crate) err: Vec<String>,
}

impl Ended {
    /// The standard error as one text.
    pub(crate) fn complaint(&self) -> String {
        self.err.join("\n")
    }
}

/// Waits for its end.
#[track_caller]
pub(crate) fn end_of(process: &mut Process) -> Ended {
    let code = process.wait_exit();
    let ended = Ended { code, out: process.stdout.to_end(), err: process.stderr.to_end() };
    note_what_held_it_up(&ended.out);
    note_what_held_it_up(&ended.err);
    ended
}

/// Starts it and waits for its end.
#[track_caller]
pub(crate) fn run(launch: Launch) -> Ended {
    end_of(&mut launch.start())
}

/// Runs a ping until no busy machine has held it up: it says so itself, and what was due meanwhile was not sent.
#[allow(dead_code, reason = "not every tree of tests pings")]
#[track_caller]
pub(crate) fn calm(launch: impl Fn() -> Launch) -> Ended {
    let rounds = std::iter::repeat_with(|| run(launch())).take(20);
    let calm = rounds.into_iter().find(|ended| !ended.err.iter().any(|line| line.contains("stood still")));
    calm.expect("twenty times this machine held the client up")
}

/// Does a scene anew where it failed and the machine had held it up: a ping says so itself (what was due meanwhile was not
/// sent), and for all others a watch does. One that fails otherwise, or five times, has failed.
#[allow(dead_code, reason = "not every tree of tests has time-bound scenes")]
#[track_caller]
pub(crate) fn undisturbed(mut scene: impl FnMut()) {
    for _ in 0..4 {
        HELD_UP.set(false);
        let watch = Watch::start();
        let outcome = panic::catch_unwind(AssertUnwindSafe(&mut scene));
        let held_up = watch.has_seen_a_stall() || HELD_UP.get();
        match outcome {
            Ok(()) => return,
            Err(failure) if held_up => replayed(first_line(&*failure)),
            Err(failure) => panic::resume_unwind(failure),
        }
    }
    scene();
}

/// What a panic said first.
fn first_line(failure: &(dyn Any + Send)) -> &str {
    let text = failure.downcast_ref::<String>().map(String::as_str).or(failure.downcast_ref::<&str>().copied());
    text.and_then(|text| text.lines().next()).unwrap_or("it failed")
}

/// One on each processor who sleeps a little, again and again, and notices when that took far longer. Who has just slept
/// is woken before those who work: where the system tells how long somebody waited for a processor, that counts as well.
struct Watch {
    began: Instant,
    waited: Option<Duration>,
    over: Arc<AtomicBool>,
    sleepers: Vec<JoinHandle<bool>>,
}

impl Watch {
    const NAP: Duration = Duration::from_millis(5);
    const STALL: Duration = Duration::from_millis(30);
    /// Of more processors than that a busy one is one of many.
    const MOST: usize = 8;

    fn start() -> Watch {
        let over = Arc::new(AtomicBool::new(false));
        let processors = thread::available_parallelism().map_or(1, |count| count.get().min(Watch::MOST));
        let sleep = |processor| {
            let seen = Arc::clone(&over);
            move || {
                stay_on(processor);
                let mut stalled = false;
                while !seen.load(Ordering::Relaxed) {
                    let since = Instant::now();
                    thread::sleep(Watch::NAP);
                    stalled |= since.elapsed() > Watch::STALL;
                }
                stalled
            }
        };
        let sleepers = (0..processors).map(|processor| thread::spawn(sleep(processor))).collect();
        Watch { began: Instant::now(), waited: waited_for_a_processor(), over, sleepers }
    }

    fn has_seen_a_stall(self) -> bool {
        self.over.store(true, Ordering::Relaxed);
        let stalls: Vec<bool> = self.sleepers.into_iter().map(|sleeper| sleeper.join().unwrap()).collect();
        let waited = waited_for_a_processor().zip(self.waited).map(|(now, before)| now.saturating_sub(before));
        stalls.contains(&true) || waited.is_some_and(|waited| waited > self.began.elapsed() / 2)
    }
}

/// For how long, since this machine was started, anybody waited for a processor.
fn waited_for_a_processor() -> Option<Duration> {
    let pressure = fs::read_to_string("/proc/pressure/cpu").ok()?;
    let total = pressure.lines().find(|line| line.starts_with("some "))?.rsplit_once("total=")?.1;
    total.parse().ok().map(Duration::from_micros)
}

/// This thread runs there alone; where it may not, anywhere.
#[cfg(target_os = "linux")]
fn stay_on(processor: usize) {
    use nix::sched::{CpuSet, sched_setaffinity};
    use nix::unistd::Pid;

    let mut here = CpuSet::new();
    let _ = here.set(processor).and_then(|()| sched_setaffinity(Pid::from_raw(0), &here));
}

#[cfg(not(target_os = "linux"))]
fn stay_on(_: usize) {}

/// It must end with this code, with exactly these lines on stdout.
#[track_caller]
pub(crate) fn expect_end(process: &mut Process, code: i32, out: &[&str]) -> Ended {
    let ended = end_of(process);
    assert_eq!((ended.code, ended.out.as_slice()), (code, lines(out).as_slice()), "stderr: {:?}", ended.err);
    ended
}

fn lines(lines: &[&str]) -> Vec<String> {
    lines.iter().map(|&line| line.to_owned()).collect()
}

/// A file or folder of this test's own, removed when the test is done with it.
pub(crate) struct Scratch(pub(crate) PathBuf);

impl Scratch {
    /// A path where nothing is yet, and that no other has: it ends in `name`.
    pub(crate) fn path(name: &str) -> Scratch {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        Scratch(std::env::temp_dir().join(format!("ack-reactor-{}-{number}-{name}", std::process::id())))
    }

    /// A file with this content.
    #[track_caller]
    pub(crate) fn file(name: &str, content: impl AsRef<[u8]>) -> Scratch {
        let scratch = Scratch::path(name);
        fs::write(&scratch.0, content).unwrap();
        scratch
    }

    /// An empty folder.
    #[track_caller]
    pub(crate) fn folder(name: &str) -> Scratch {
        let scratch = Scratch::path(name);
        fs::create_dir(&scratch.0).unwrap();
        scratch
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
        let _ = fs::remove_dir(&self.0);
    }
}
