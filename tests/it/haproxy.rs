//! The README's health checks, in a load balancer that believes them.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use nix::sys::signal::Signal::{SIGCONT, SIGSTOP};

use crate::harness::{
    FarTcp, Launch, Process, Scratch, client_to, closed_port, have, private_loopback, run, server, wait_until,
};

/// HAProxy in front of `listen`, once it has started; `None` where it is not installed.
#[track_caller]
fn haproxy(name: &str, global: &str, listen: &str) -> Option<(Process, Scratch)> {
    if !have("haproxy") {
        return None;
    }
    let defaults = "defaults\n mode tcp\n timeout connect 1s\n timeout client 10s\n timeout server 10s\n";
    let config = format!("global\n maxconn 100\n{global}{defaults}listen acks\n{listen}");
    let config = Scratch::file(name, config);
    Some((Launch::program("haproxy", &["-db", "-f", config.0.to_str().unwrap()]).start(), config))
}

#[test]
fn a_tcp_check_tells_the_server_that_acknowledges_from_those_that_do_not() {
    let (server, silent) = (server("-t -q"), FarTcp::new());
    let (front, closed) = (closed_port(private_loopback()), closed_port(private_loopback()));
    let listen = format!(
        " bind {front}\n option tcp-check\n tcp-check send hello\n tcp-check expect rstring ^ACK$\n \
         default-server check inter 300ms fall 2 rise 1\n server ours {}\n server silent {}\n server closed {closed}\n",
        server.tcp(),
        silent.address()
    );
    let Some((haproxy, _config)) = haproxy("check", "", &listen) else { return };
    for (name, why) in [("silent", "timeout"), ("closed", "refused")] {
        let down = |line: &str| line.contains(&format!("acks/{name} is DOWN")) && line.contains(why);
        haproxy.stderr.find("the word that it is down", down);
    }
    assert_eq!(run(client_to(front, "-zq")).code, 0, "all goes to the one that acknowledges");
    assert!(!haproxy.stderr.so_far().iter().any(|line| line.contains("acks/ours is DOWN")));
    server.signal(SIGSTOP);
    haproxy.stderr.find("the hung one's end", |line| line.contains("acks/ours is DOWN") && line.contains("timeout"));
    server.signal(SIGCONT);
    wait_until("its return", || (run(client_to(front, "-zq -W 0.2")).code == 0).then_some(()));
}

#[test]
fn an_external_check_asks_both_protocols() {
    let (both, tcp_alone) = (server("-q"), server("-t -q"));
    let client = env!("CARGO_BIN_EXE_reactor-client");
    let script = Scratch::file("ack-check", format!("#!/bin/sh\nexec {client} -ztuq -W 0.2 \"$3\" \"$4\"\n"));
    fs::set_permissions(&script.0, fs::Permissions::from_mode(0o755)).unwrap();
    let listen = format!(
        " bind {}\n option external-check\n external-check command {}\n server both {} check inter 500ms fall 1\n \
         server alone {} check inter 500ms fall 1\n",
        closed_port(private_loopback()),
        script.0.display(),
        both.tcp(),
        tcp_alone.tcp()
    );
    let global = " external-check\n insecure-fork-wanted\n";
    let Some((haproxy, _config)) = haproxy("external", global, &listen) else { return };
    haproxy.stderr.find("that UDP is missed", |line| line.contains("acks/alone is DOWN"));
    assert!(!haproxy.stderr.so_far().iter().any(|line| line.contains("acks/both is DOWN")));
}
