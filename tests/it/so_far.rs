//! SIGQUIT: an instrument shows its figures so far, and goes on.

use std::io::{Read, Write};
use std::thread;
use std::time::Duration;

use nix::sys::signal::Signal::{SIGINT, SIGQUIT};

use crate::harness::{FarTcp, FarUdp, Output, client_to, end_of, shown, tcp_service, undisturbed, wait_until};

#[test]
fn a_search_for_the_idle_timeout_shows_what_it_found_so_far() {
    undisturbed(|| {
        let far = tcp_service(|mut stream| {
            while stream.read(&mut [0; 64]).is_ok_and(|len| len > 0) {
                let _ = stream.write_all(b"ACK");
            }
        });
        for (format, figure) in [("text", "no idle timeout up to "), ("json", r#""cause":"none"}"#)] {
            let mut client = client_to(far, &format!("--find-idle 20 --format {format}")).start();
            wait_until("the handler", || client.proc().catches(SIGQUIT as i32).then_some(()));
            // At once, and when the first silence, 0.3 s, is over.
            client.signal(SIGQUIT);
            client.stderr.find("the figures", |line| line.contains(" of 20 s: ") && line.contains(" flows silent, "));
            thread::sleep(Duration::from_millis(500));
            wait_until("a silence that was survived", || {
                client.signal(SIGQUIT);
                thread::sleep(Duration::from_millis(50));
                client.stderr.so_far().iter().any(|line| line.contains(figure)).then_some(())
            });
            assert!(client.is_running());
            client.signal(SIGINT);
            let ended = end_of(&mut client);
            assert_eq!((ended.code, ended.out.len()), (1, 1), "{:?} {:?}", ended.out, ended.err);
        }
    });
}

#[test]
fn a_verdict_shows_what_is_known_and_what_is_not() {
    undisturbed(|| {
        for format in ["text", "json"] {
            let (tcp, udp) = (FarTcp::new(), FarUdp::new());
            for (far, option, protocol) in [(tcp.address(), "-z", "tcp"), (udp.address(), "-zu", "udp")] {
                let mut client = client_to(far, &format!("{option} -W 30 --format {format}")).start();
                wait_until("the handler", || client.proc().catches(SIGQUIT as i32).then_some(()));
                client.signal(SIGQUIT);
                let said = format!("reactor-client: no verdict on {protocol} {far} yet");
                client.stderr.expect(&said);
                if option == "-z" {
                    tcp.accept().answer("hello", "ACK");
                } else {
                    udp.answer("hello", "check");
                }
                let ended = end_of(&mut client);
                assert_eq!((ended.code, ended.out.len(), ended.err.as_slice()), (0, 1, &[said][..]), "{:?}", ended.out);
            }
        }
        // What is known is told, too: nobody listens there over UDP, and the TCP connection is not answered.
        let far = FarTcp::new();
        let mut client = client_to(far.address(), "-ztu -W 30").start();
        wait_until("the handler", || client.proc().catches(SIGQUIT as i32).then_some(()));
        wait_until("the verdict so far", || {
            client.signal(SIGQUIT);
            thread::sleep(Duration::from_millis(50));
            client.stderr.so_far().contains(&format!("udp {} refused", far.address())).then_some(())
        });
        client.signal(SIGINT);
        assert_eq!(client.wait_exit(), 1);
    });
}

#[test]
fn a_person_sees_that_a_verdict_takes_another_try() {
    undisturbed(|| {
        let far = FarUdp::new();
        let mut client =
            client_to(far.address(), "-zu -W 0.3").stdout(Output::Terminal).stderr(Output::Terminal).start();
        assert_eq!(client.wait_exit(), 1);
        let lines = client.terminal.to_end();
        assert!(lines[0].contains(&format!("asking udp {} (try 2 of 3)", far.address())), "{lines:?}");
        assert_eq!(lines[0].matches("asking").count(), 2, "said once a try: {lines:?}");
        assert_eq!(shown(&lines[0]), format!("udp {} silent", far.address()), "{lines:?}");
    });
}
