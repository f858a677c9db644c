//! An output of a child process, collected line by line.

use std::io::{BufRead, Read};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use super::DEADLINE;

/// The pause of a slow reader before each portion.
const SLOW: Duration = Duration::from_millis(20);

/// The lines that a program has printed so far, in order; clones share them.
#[derive(Clone, Default)]
pub(crate) struct Lines(Arc<Shared>);

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    lines: Vec<String>,
    passing: Option<fn(&[u8]) -> bool>,
    passed: usize,
    unfinished: Vec<u8>,
    paused: bool,
    slow: bool,
    ended: bool,
}

impl Lines {
    /// Collects what `source` yields until it ends. A thread of the test does the reading.
    pub(crate) fn collect(source: impl Read + Send + 'static) -> Lines {
        Lines::collect_but(None, source)
    }

    /// The same, but lines that are `passing` are only counted: a flood's would fill the memory of the test.
    pub(crate) fn collect_but(passing: Option<fn(&[u8]) -> bool>, mut source: impl Read + Send + 'static) -> Lines {
        let lines = Lines::default();
        lines.0.state.lock().unwrap().passing = passing;
        let theirs = lines.clone();
        thread::spawn(move || {
            let mut buffer = vec![0; 65536];
            loop {
                let state = theirs.0.state.lock().unwrap();
                let slow = theirs.0.changed.wait_while(state, |state| state.paused).unwrap().slow;
                if slow {
                    thread::sleep(SLOW);
                }
                let portion = if slow { 4096 } else { buffer.len() };
                // A terminal whose other end has closed fails to be read; a pipe ends. Both are the end.
                let count = source.read(&mut buffer[..portion]).unwrap_or(0);
                let mut state = theirs.0.state.lock().unwrap();
                state.take(&buffer[..count]);
                state.ended = count == 0;
                theirs.0.changed.notify_all();
                if count == 0 {
                    return;
                }
            }
        });
        lines
    }

    /// Stops reading, after at most one more buffer of what the program prints.
    pub(crate) fn pause(&self) {
        self.0.state.lock().unwrap().paused = true;
    }

    /// Reads on.
    pub(crate) fn resume(&self) {
        self.0.state.lock().unwrap().paused = false;
        self.0.changed.notify_all();
    }

    /// Reads 4 KiB every 20 ms from now on, or as fast as it can.
    #[allow(dead_code, reason = "the torture tests use it")]
    pub(crate) fn slow_down(&self, slow: bool) {
        self.0.state.lock().unwrap().slow = slow;
    }

    /// How many lines were counted only.
    #[allow(dead_code, reason = "the torture tests use it")]
    pub(crate) fn passed(&self) -> usize {
        self.0.state.lock().unwrap().passed
    }

    /// Every whole line so far.
    pub(crate) fn so_far(&self) -> Vec<String> {
        self.0.state.lock().unwrap().lines.clone()
    }

    /// Everything printed by a program that is gone; whoever else may hold its output open is not waited for.
    pub(crate) fn in_the_end(&self) -> Vec<String> {
        let state = self.0.state.lock().unwrap();
        let open = |state: &mut State| !state.ended;
        self.0.changed.wait_timeout_while(state, Duration::from_secs(1), open).unwrap().0.lines.clone()
    }

    /// How many whole lines there are; a mark for [`Lines::find_after`].
    pub(crate) fn count(&self) -> usize {
        self.0.state.lock().unwrap().lines.len()
    }

    /// Everything printed, once the output has ended. A rest without a newline is the last line.
    #[track_caller]
    pub(crate) fn to_end(&self) -> Vec<String> {
        self.wait("its end", |state| state.ended.then(|| state.lines.clone()))
    }

    /// The first line, at or after the `mark`-th, that satisfies `wanted`.
    #[track_caller]
    pub(crate) fn find_after(&self, mark: usize, what: &str, wanted: impl Fn(&str) -> bool) -> String {
        let mut next = mark;
        self.wait(what, |state| {
            let fresh = state.lines.get(next..).unwrap_or_default();
            next += fresh.len();
            fresh.iter().find(|line| wanted(line)).cloned()
        })
    }

    /// The first line that satisfies `wanted`.
    #[track_caller]
    pub(crate) fn find(&self, what: &str, wanted: impl Fn(&str) -> bool) -> String {
        self.find_after(0, what, wanted)
    }

    /// Waits for exactly this line.
    #[track_caller]
    pub(crate) fn expect(&self, line: &str) {
        self.find(&format!("the line {line:?}"), |printed| printed == line);
    }

    /// Waits until what stands behind the last whole line ends like this.
    #[track_caller]
    #[allow(dead_code, reason = "only some tests type half a line")]
    pub(crate) fn expect_rest(&self, rest: &str) {
        self.wait(&format!("{rest:?} behind the last line"), |state| {
            state.unfinished.ends_with(rest.as_bytes()).then_some(())
        });
    }

    #[track_caller]
    fn wait<T>(&self, what: &str, mut probe: impl FnMut(&State) -> Option<T>) -> T {
        let deadline = Instant::now() + DEADLINE;
        let mut state = self.0.state.lock().unwrap();
        loop {
            if let Some(found) = probe(&state) {
                return found;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() || state.ended {
                let tail = state.tail().to_vec();
                // A lock that is held by who panics is poisoned for the reading thread.
                drop(state);
                panic!("no sign of {what} in {tail:#?}");
            }
            state = self.0.changed.wait_timeout(state, left).unwrap().0;
        }
    }
}

impl State {
    fn take(&mut self, bytes: &[u8]) {
        let (mut rest, mut line) = (bytes, std::mem::take(&mut self.unfinished));
        // The standard library's search is optimised in a debug build, too.
        while rest.read_until(b'\n', &mut line).unwrap() > 0 && line.ends_with(b"\n") {
            self.push(&line[..line.len() - 1]);
            line.clear();
        }
        self.unfinished = line;
        if bytes.is_empty() && !self.unfinished.is_empty() {
            let rest = std::mem::take(&mut self.unfinished);
            self.push(&rest);
        }
    }

    fn push(&mut self, line: &[u8]) {
        if self.passing.is_some_and(|passing| passing(line)) {
            self.passed += 1;
            return;
        }
        // A terminal turns every newline into a carriage return and a newline.
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        self.lines.push(String::from_utf8_lossy(line).into_owned());
    }

    fn tail(&self) -> &[String] {
        &self.lines[self.lines.len().saturating_sub(20)..]
    }
}
