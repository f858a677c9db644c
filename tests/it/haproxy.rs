//! The README's health checks, in a load balancer that believes them.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use nix::sys::signal::Signal::{SIGCONT, SIGSTOP};

use crate::harness::{
    Client, FarTcp, Launch, Process, Scratch, ServerBuilder, client_to, closed_port, have, private_loopback, run,
    server, undisturbed, wait_until,
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
    undisturbed(|| {
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
        haproxy
            .stderr
            .find("the hung one's end", |line| line.contains("acks/ours is DOWN") && line.contains("timeout"));
        server.signal(SIGCONT);
        wait_until("its return", || (run(client_to(front, "-zq -W 0.2")).code == 0).then_some(()));
    });
}

/// What a proxy says first, what is expected of a client behind it, and of the proxy's own check.
#[track_caller]
fn expect_named(name: &str, option: &str) {
    let server = server("-t --proxy-protocol 127.0.0.0/8");
    let front = closed_port(private_loopback());
    let listen = format!(" bind {front}\n server ours {} {option} check check-send-proxy inter 200ms\n", server.tcp());
    let Some((_haproxy, _config)) = haproxy(name, "", &listen) else { return };
    wait_until("service", || (run(client_to(front, "-zq -W 0.2")).code == 0).then_some(()));
    let mut client = Client::connect(front);
    client.exchange("hello", "ACK");
    let connected = format!("{} via 127.0.0.1:", client.name());
    let ours = |line: &str| line.starts_with(&connected) && line.ends_with(" connected");
    server.stdout.find("who came by the proxy", ours);
    server.stdout.expect(&format!("{} sent: hello", client.name()));
    // A check speaks for the proxy itself: it is nobody's client.
    let check = |line: &str| line.starts_with("127.0.0.1:") && !line.contains(" via ") && line.ends_with(" connected");
    server.stdout.find("the check", check);
    let told = server.stdout.so_far();
    assert!(!told.iter().any(|line| line.ends_with("(error)")), "{told:?}");
}

#[test]
fn a_client_behind_haproxy_is_named_by_send_proxy() {
    undisturbed(|| {
        expect_named("send-proxy", "send-proxy");
    });
}

#[test]
fn a_client_behind_haproxy_is_named_by_send_proxy_v2() {
    undisturbed(|| {
        expect_named("send-proxy-v2", "send-proxy-v2");
    });
}

#[test]
fn the_checks_of_haproxy_are_not_told_where_it_is_quiet() {
    let mut server = ServerBuilder::new("-t --proxy-protocol 127.0.0.1 --quiet-from 127.0.0.1").operated().start();
    let front = closed_port(private_loopback());
    let listen = format!(" bind {front}\n server ours {} send-proxy-v2 check inter 100ms\n", server.tcp());
    let Some((_haproxy, _config)) = haproxy("quiet-check", "", &listen) else { return };
    wait_until("some checks", || (server.stat("total") >= 5.0).then_some(()));
    let told = server.stdout.so_far();
    assert!(told[1..].iter().all(|line| line.starts_with("uptime=")), "{told:?}");
    assert_eq!(server.stat("resets"), 0.0);
}

#[test]
fn an_external_check_asks_both_protocols() {
    undisturbed(|| {
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
    });
}
