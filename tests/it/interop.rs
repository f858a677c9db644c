//! Programs that everybody has can talk to the server.

use std::net::SocketAddr;

use crate::harness::{Input, Launch, have, server};

/// Runs a program with this typed in, and gives what it printed. `None` where it is not installed.
#[track_caller]
fn run(program: &str, args: &[&str], address: SocketAddr, typed: &str) -> Option<String> {
    if !have(program) {
        return None;
    }
    let (ip, port) = (address.ip().to_string(), address.port().to_string());
    let args: Vec<String> = args.iter().map(|arg| arg.replace("IP", &ip).replace("PORT", &port)).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let mut process = Launch::program(program, &args).stdin(Input::Pipe).start();
    process.type_in(typed);
    // With an idle timeout of its own it ends by itself; at the end of its input it would not wait for an answer.
    if !args.iter().any(|arg| arg.starts_with("-i")) {
        process.end_input();
    }
    process.wait_exit();
    Some(process.stdout.to_end().join("\n"))
}

/// Each is tried where it is installed.
#[track_caller]
fn each(cases: &[(&str, &[&str])], address: SocketAddr, stdin: &str, wanted: &str) {
    for (program, args) in cases {
        if let Some(printed) = run(program, args, address, stdin) {
            assert_eq!(printed, wanted, "{program} {args:?}");
        }
    }
}

const TCP: [(&str, &[&str]); 3] =
    [("nc", &["-N", "IP", "PORT"]), ("ncat", &["IP", "PORT"]), ("socat", &["-t5", "-", "TCP:IP:PORT"])];

#[test]
fn netcats_get_their_ack_and_end_by_themselves() {
    each(&TCP, server("-t").tcp(), "hello", "ACK");
}

#[test]
fn netcats_get_an_ack_a_line() {
    let server = server("-t --framing lines");
    each(&TCP, server.tcp(), "one\ntwo\r\nthree", "ACK\nACK\nACK");
}

#[test]
fn netcats_get_check_for_a_datagram() {
    let cases: [(&str, &[&str]); 3] = [
        ("nc", &["-u", "-w3", "IP", "PORT"]),
        ("ncat", &["-u", "-i3s", "IP", "PORT"]),
        ("socat", &["-t3", "-", "UDP:IP:PORT"]),
    ];
    each(&cases, server("-u").udp(), "hello", "check");
}

#[test]
fn a_shell_with_its_own_sockets_gets_its_ack() {
    let script = "exec 3<>/dev/tcp/IP/PORT; printf hello >&3; head -c 3 <&3";
    each(&[("bash", &["-c", script])], server("-t").tcp(), "", "ACK");
}

#[test]
fn python_gets_what_the_classic_exercise_promises() {
    let script = "import socket; s = socket.create_connection(('IP', PORT)); s.send(b'hello'); print(s.recv(1024))";
    each(&[("python3", &["-c", script])], server("-t").tcp(), "", "b'ACK'");
    let script = "import socket; s = socket.socket(type=socket.SOCK_DGRAM); s.sendto(b'hello', ('IP', PORT)); print(s.recvfrom(1024)[0])";
    each(&[("python3", &["-c", script])], server("-u").udp(), "", "b'check'");
}
