//! Time: idle clients go when they are due and not before, whatever the clock on the wall says.

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use crate::crowd::{Member, listen_to_the_end, listen_until};
use crate::harness::{Client, ServerBuilder, have, output, server, skipped, undisturbed};
use crate::tools::Scratch;

/// What a busy machine may add to a promise.
const NOISE: Duration = Duration::from_secs(1);
const PATIENCE: Duration = Duration::from_secs(15);

#[test]
fn two_hundred_idle_clients_are_cut_each_at_its_own_time() {
    undisturbed(|| {
        let server = server("-t -q --framing lines --idle-timeout 1");
        let (early, late) = cut_times(server.tcp(), 200, Duration::from_millis(2), Duration::from_secs(1));
        assert!(early >= Duration::from_secs(1), "cut after {early:?}");
        assert!(late <= Duration::from_millis(1500) + NOISE, "cut only after {late:?}");
    });
}

/// Bound: 35 s. Wants a machine that has nothing else to do.
#[test]
#[ignore = "takes 35 s"]
fn a_thousand_idle_clients_are_cut_between_30_and_30_5_seconds() {
    undisturbed(|| {
        let server = server("-t -q --framing lines");
        let (early, late) = cut_times(server.tcp(), 1000, Duration::from_millis(1), Duration::from_secs(30));
        assert!(early >= Duration::from_secs(30), "cut after {early:?}");
        assert!(late <= Duration::from_millis(30_500), "cut only after {late:?}");
    });
}

/// The shortest and the longest silence after which clients that come one after the other are cut.
fn cut_times(server: std::net::SocketAddr, count: usize, apart: Duration, timeout: Duration) -> (Duration, Duration) {
    let mut crowd = Vec::new();
    for _ in 0..count {
        let mut member = Member::join(server);
        member.say(b"hello\n");
        crowd.push(member);
        thread::sleep(apart);
    }
    listen_to_the_end(&mut crowd, timeout + PATIENCE);
    let mut silences: Vec<_> = crowd.iter().map(Member::silence).collect();
    silences.sort_unstable();
    let (early, late) = (silences[0], silences[count - 1]);
    println!(
        "{count} clients, timeout {timeout:?}: cut after {early:?} to {late:?}, half by {:?}",
        silences[count / 2]
    );
    for member in &crowd {
        assert_eq!(member.heard.escape_ascii().to_string(), "ACK\\nidle timeout\\n");
    }
    (early, late)
}

#[test]
fn while_the_server_is_stopped_nobody_who_spoke_becomes_idle() {
    undisturbed(|| {
        const TIMEOUT: Duration = Duration::from_secs(1);
        let server = server("-t -q --framing lines --idle-timeout 1");
        let mut speakers: Vec<_> = (0..300).map(|_| Member::join(server.tcp())).collect();
        let mut silent: Vec<_> = (0..300).map(|_| Member::join(server.tcp())).collect();
        for member in speakers.iter_mut().chain(&mut silent) {
            member.say(b"hello\n");
        }
        for crowd in [&mut speakers, &mut silent] {
            listen_until(crowd, PATIENCE, |member| member.heard == b"ACK\n");
        }
        server.stop();
        thread::sleep(2 * TIMEOUT);
        for member in &mut speakers {
            member.say(b"I was here\n");
        }
        server.resume();
        listen_until(&mut speakers, PATIENCE, |member| member.heard == b"ACK\nACK\n");
        listen_to_the_end(&mut silent, PATIENCE);
        listen_to_the_end(&mut speakers, PATIENCE);
        let early = speakers.iter().map(Member::silence).min().unwrap();
        println!(
            "300 were saved by a message that waited, and cut {early:?} after it at the earliest; 300 others were cut"
        );
        assert!(early >= TIMEOUT);
        assert!(silent.iter().all(|member| member.heard == b"ACK\nidle timeout\n"));
    });
}

/// A wall clock that leaps ten times a second, by a day or a year, while the others go on as ever.
const LEAPING_CLOCK: &str = r"
#define _GNU_SOURCE
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static long leap(void) {
    static const long leaps[] = {0, 86400, -86400, 31536000};
    struct timespec t;
    syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &t);
    return leaps[(t.tv_sec * 10 + t.tv_nsec / 100000000) % 4];
}

int clock_gettime(clockid_t id, struct timespec *t) {
    int failed = syscall(SYS_clock_gettime, id, t);
    if (!failed && id == CLOCK_REALTIME) t->tv_sec += leap();
    return failed;
}

int gettimeofday(struct timeval *restrict t, void *restrict zone) {
    struct timespec now;
    (void)zone;
    clock_gettime(CLOCK_REALTIME, &now);
    t->tv_sec = now.tv_sec;
    t->tv_usec = now.tv_nsec / 1000;
    return 0;
}

time_t time(time_t *t) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (t) *t = now.tv_sec;
    return now.tv_sec;
}
";

#[test]
fn a_wall_clock_that_leaps_means_nothing() {
    undisturbed(|| {
        if !have("gcc") {
            return;
        }
        let (source, library) = (Scratch::new("clock.c"), Scratch::new("clock.so"));
        fs::write(&source.0, LEAPING_CLOCK).unwrap();
        let mut compiler = Command::new("gcc");
        let compiled = output(compiler.args(["-shared", "-fPIC", "-O1", "-o"]).arg(&library.0).arg(&source.0)).unwrap();
        assert!(compiled.status.success(), "{compiled:?}");
        let mut server = ServerBuilder::new("-t --format json --framing lines --idle-timeout 1")
            .operated()
            .with(|launch| launch.env("LD_PRELOAD", library.0.to_str().unwrap()))
            .start();
        let mut active = Client::connect(server.tcp());
        let mut idle = vec![Member::join(server.tcp())];
        idle[0].say(b"hello\n");
        let watch = thread::spawn(move || {
            listen_to_the_end(&mut idle, PATIENCE);
            idle[0].silence()
        });
        let beginning = Instant::now();
        while beginning.elapsed() < Duration::from_secs(3) {
            active.exchange("hello\n", "ACK\n");
            thread::sleep(Duration::from_millis(20));
        }
        let silence = watch.join().unwrap();
        server.type_in("stats\n");
        let stats = server.stdout.find("the stats", |line| line.contains("\"uptime\""));
        let stats: serde_json::Value = serde_json::from_str(&stats).unwrap();
        let uptime = stats["uptime"].as_f64().unwrap();
        let dates: BTreeSet<String> = server.stdout.so_far().iter().map(|line| date(line)).collect();
        println!(
            "the wall showed {} dates; the idle client was cut after {silence:?}, the uptime is {uptime} s",
            dates.len()
        );
        assert!(dates.len() >= 3, "the clock did not leap: {dates:?}");
        assert!(silence >= Duration::from_secs(1) && silence <= Duration::from_millis(1500) + NOISE);
        assert!((3.0..20.0).contains(&uptime));
    });
}

/// The day of a line of JSON.
fn date(line: &str) -> String {
    let event: serde_json::Value = serde_json::from_str(line).unwrap();
    event["time"].as_str().unwrap()[..10].to_owned()
}

#[test]
fn a_machine_that_has_run_for_68_years_is_served_in_time() {
    undisturbed(|| {
        let namespace = ["-Ur", "-T", "--monotonic", "2147483647", "--fork"];
        let possible = output(Command::new("unshare").args(namespace).arg("true"));
        if !possible.is_ok_and(|output| output.status.success()) {
            skipped("no time namespace can be made here");
            return;
        }
        // The server is the child of the namespace's maker, and dies with it.
        let script = format!("exec unshare {} --kill-child \"$0\" \"$@\"", namespace.join(" "));
        let server = ServerBuilder::new("-t --framing lines --idle-timeout 0.5")
            .with(|launch| launch.through_shell(&script))
            .start();
        let (early, late) = cut_times(server.tcp(), 20, Duration::from_millis(2), Duration::from_millis(500));
        assert!(early >= Duration::from_millis(500) && late <= Duration::from_secs(1) + NOISE);
    });
}
