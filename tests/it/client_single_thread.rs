//! The kernel's task list shows exactly one task, always.

use nix::sys::signal::Signal::SIGINT;

use crate::harness::{
    FarTcp, FarUdp, Launch, Mute, client_to, piped_to, private_loopback, server, typed_to, wait_until,
};

#[test]
fn while_it_talks() {
    let server = server("");
    for options in ["--framing bytes", "-u", "--format json", "--lang zh"] {
        let mut client = piped_to(server.tcp(), options);
        for number in 1..20 {
            client.type_in("hello\n");
            wait_until("the answer", || {
                let lines = client.stdout.so_far();
                let answers = lines.iter().filter(|line| line.contains("ACK") || line.contains("check")).count();
                (answers == number).then_some(())
            });
            assert_eq!(client.proc().tasks(), 1, "{options}");
        }
        client.end_input();
        assert_eq!(client.wait_exit(), 0);
    }
}

#[test]
fn while_it_waits() {
    let (tcp, udp, mute) = (FarTcp::new(), FarUdp::new(), Mute::on((private_loopback(), 0).into()));
    let typed = typed_to(tcp.address(), "");
    let _caller = tcp.accept();
    let unanswered = client_to(udp.address(), "-u -m hello").start();
    udp.expect("hello");
    let connecting = piped_to(mute.address(), "");
    wait_until("the handler", || connecting.proc().catches(SIGINT as i32).then_some(()));
    for client in [&typed, &unanswered, &connecting] {
        assert_eq!(client.proc().tasks(), 1);
    }
}

#[test]
fn with_a_name_to_resolve_and_diagnostics() {
    let server = server("-t --host localhost");
    let target = format!("localhost:{}", server.tcp().port());
    let launch = Launch::client(&[&target, "-4"]).env("RUST_LOG", "debug").stdin(crate::harness::Input::Pipe);
    let client = launch.start();
    client.stdout.find("the connection", |line| line.starts_with("connected to "));
    assert_eq!(client.proc().tasks(), 1);
}
