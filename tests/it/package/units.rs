//! systemd's units: valid, shut in, and enough for the server.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::net::UnixDatagram;
use std::process::Command;

use nix::sys::signal::Signal::SIGTERM;

use super::packaged;
use crate::harness::{
    Client, Held, Launch, Scratch, Server, ServerBuilder, calm, can_be_shut_in, client_to, closed_port, have, output,
    private_loopback, server_under_test, undisturbed, wait_until,
};

const UNITS: [&str; 3] = ["reactor-server.service", "reactor-server@.service", "reactor-server@.socket"];

/// What `systemd-analyze` says with these words: whether all is well, stdout, stderr.
#[track_caller]
fn analyze(words: &[&str]) -> Option<(bool, String, String)> {
    if !have("systemd-analyze") {
        return None;
    }
    let ended = output(Command::new("systemd-analyze").args(words).env("LC_ALL", "C.UTF-8")).unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Some((ended.status.success(), text(ended.stdout), text(ended.stderr)))
}

#[test]
fn systemd_has_nothing_to_say_against_them() {
    let folder = Scratch::folder("units");
    let installed: Vec<_> = UNITS
        .map(|unit| {
            // It wants to see the program where the unit says it is.
            let unit = Scratch(folder.0.join(unit));
            let text = packaged(unit.0.file_name().unwrap().to_str().unwrap());
            fs::write(&unit.0, text.replace("/usr/bin/reactor-server", &server_under_test())).unwrap();
            unit
        })
        .into();
    for unit in &installed {
        let Some((fine, _, said)) = analyze(&["verify", "--man=no", unit.0.to_str().unwrap()]) else { return };
        assert!(fine && said.is_empty(), "{}: {said}", unit.0.display());
    }
}

#[test]
fn systemd_finds_them_shut_in() {
    for (unit, bound) in [("reactor-server.service", 1.1), ("reactor-server@.service", 0.5)] {
        let path = format!("{}/src/package/{unit}", env!("CARGO_MANIFEST_DIR"));
        let Some((_, report, said)) = analyze(&["security", "--offline=true", "--no-pager", &path]) else { return };
        let level = report.lines().find(|line| line.contains("Overall exposure level"));
        let level = level.unwrap_or_else(|| panic!("{report}{said}"));
        let score = level.rsplit_once(": ").and_then(|(_, rest)| rest.split(' ').next()).unwrap();
        assert!(score.parse::<f64>().unwrap() <= bound, "{level}");
        println!("{unit}: {score}");
    }
}

/// The words of a unit's ExecStart.
fn words(unit: &str) -> String {
    let unit = packaged(unit);
    let line = unit.lines().find_map(|line| line.strip_prefix("ExecStart=/usr/bin/reactor-server "));
    line.expect("no ExecStart").to_owned()
}

/// It serves both protocols and the instrument, names who comes, and ends in time.
#[track_caller]
fn expect_service(mut server: Server, address: SocketAddr) -> Vec<String> {
    let mut client = Client::connect(address);
    client.exchange("hello", "ACK");
    server.stdout.expect(&format!("{} connected", client.name()));
    let ended = calm(|| client_to(address, "--ping -u -c 3 -i 0.01 -q"));
    assert_eq!(ended.code, 0, "{:?}", ended.err);
    assert!(ended.out.iter().any(|line| line.starts_with("server ")), "{:?}", ended.out);
    let left = format!("{} disconnected (closed)", client.name());
    drop(client);
    server.stdout.expect(&left);
    server.signal(SIGTERM);
    assert_eq!(server.wait_exit(), 0);
    server.stdout.to_end()
}

#[test]
fn one_that_was_given_its_sockets_needs_no_network_and_no_capability() {
    undisturbed(|| {
        if !can_be_shut_in() {
            return;
        }
        // A port below 1024, where whoever holds the sockets may have it.
        let ip = private_loopback();
        let port = if TcpListener::bind((ip, 19)).is_ok() { 19 } else { 0 };
        let held = Held::at(&format!("{ip}:{port}"));
        let server = held.server_by("unshare -Urn", &words("reactor-server@.service")).start();
        let told = expect_service(server, held.address());
        assert!(!told.iter().any(|line| line.contains("sent")), "messages are not told: {told:?}");
    });
}

/// The system calls that the units leave: systemd's groups, less those that are taken away.
#[track_caller]
fn permitted() -> Option<HashSet<String>> {
    let (_, groups, _) = analyze(&["syscall-filter", "--no-pager"])?;
    let mut members: HashMap<&str, Vec<&str>> = HashMap::new();
    let mut group = "";
    for line in groups.lines().filter(|line| !line.trim_start().starts_with('#') && !line.is_empty()) {
        match line.strip_prefix("    ") {
            Some(member) => members.get_mut(group).unwrap().push(member),
            None => {
                group = line;
                members.insert(group, Vec::new());
            }
        }
    }
    fn calls(name: &str, members: &HashMap<&str, Vec<&str>>) -> HashSet<String> {
        match members.get(name) {
            Some(inside) => inside.iter().flat_map(|name| calls(name, members)).collect(),
            None => HashSet::from([name.to_owned()]),
        }
    }
    let unit = packaged("reactor-server.service");
    let mut left = HashSet::new();
    for names in unit.lines().filter_map(|line| line.strip_prefix("SystemCallFilter=")) {
        let away = names.starts_with('~');
        for call in names.trim_start_matches('~').split(' ').flat_map(|name| calls(name, &members)) {
            if away {
                left.remove(&call)
            } else {
                left.insert(call)
            };
        }
    }
    Some(left)
}

#[test]
fn no_system_call_is_one_that_the_units_refuse() {
    undisturbed(|| {
        let Some(permitted) = permitted() else { return };
        if !have("strace") {
            return;
        }
        let called = |words: &str, start: &dyn Fn(&str) -> ServerBuilder| {
            let (trace, supervisor) = (Scratch::path("calls"), Scratch::path("notify"));
            // It has room for what is told here.
            let _socket = UnixDatagram::bind(&supervisor.0).unwrap();
            let server = start(&format!("strace -D -o {}", trace.0.display()));
            let supervised = |launch: Launch| {
                launch.env("NOTIFY_SOCKET", supervisor.0.to_str().unwrap()).env("WATCHDOG_USEC", "1000000")
            };
            let server = server.with(supervised).start();
            let address = server.tcp();
            expect_service(server, address);
            let calls = wait_until("what was traced", || {
                Some(fs::read_to_string(&trace.0).ok()?).filter(|calls| calls.contains("exited with"))
            });
            // What strace itself brings about comes before the program.
            let calls = calls.lines().skip_while(|line| !line.starts_with("execve(")).skip(1);
            let names: HashSet<_> = calls.filter_map(|line| Some(line.split_once('(')?.0.to_owned())).collect();
            assert!(names.contains("epoll_wait") && names.contains("exit_group"), "{words}: {names:?}");
            let refused: Vec<_> = names.difference(&permitted).collect();
            assert!(refused.is_empty(), "{words}: {refused:?}");
        };
        let door = closed_port(private_loopback());
        let own = words("reactor-server.service").replace("::", &door.ip().to_string());
        let own = format!("{} --metrics {door} -p 0", own.replace("--drain 10", "--drain 1"));
        called(&own, &|strace| {
            let script = format!("exec {strace} \"$0\" \"$@\"");
            ServerBuilder::new(&own).with(|launch| launch.through_shell(&script))
        });
        let passed = words("reactor-server@.service");
        let held = Held::new();
        called(&passed, &|strace| held.server_by(strace, &passed));
    });
}
