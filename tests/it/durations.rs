//! Times as people write them, in both programs and for every option that takes one.

use std::time::Duration;

use crate::harness::{
    Ended, Launch, calm, client_to, closed_port, private_loopback, run, server, sooner_than, timed, undisturbed,
};

/// What is no time, in every option that takes one.
const NONSENSE: [&str; 15] =
    ["", "5x", "m", "ms", "1h30", "30m1h", "1m1m", "1 s", "s1", "1..5s", "1e3s", "-1s", "-500ms", "nans", "1h-30m"];

#[track_caller]
fn expect_refusal(ended: &Ended, option: &str, value: &str) {
    assert_eq!((ended.code, ended.out.len(), ended.err.len()), (2, 0, 1), "{option} {value}: {:?}", ended.err);
    let sentence = &ended.err[0];
    assert!(sentence.contains("30, 0.5, 500ms or 1h30m"), "{option} {value}: {sentence}");
}

#[test]
fn what_is_no_time_is_refused_with_the_accepted_form() {
    for value in NONSENSE {
        for option in ["--idle-timeout", "--grace", "--drain"] {
            expect_refusal(&run(Launch::server(&[&format!("{option}={value}")])), option, value);
        }
        for (mode, option) in
            [("-q", "--timeout"), ("--ping", "-i"), ("--ping", "-w"), ("-z", "-w"), ("-q", "--find-idle")]
        {
            let joined =
                if option.starts_with("--") { format!("{option}={value}") } else { format!("{option}{value}") };
            if option.starts_with("--") || !value.is_empty() {
                expect_refusal(&run(Launch::client(&[mode, &joined])), option, value);
            }
        }
    }
}

#[test]
fn the_server_takes_units() {
    let server = server("-t --idle-timeout 300ms --grace 1.5s");
    sooner_than(Duration::from_secs(2), || {
        let mut client = server.client();
        let ((), took) = timed(|| client.expect_last("idle timeout"));
        assert!(took > Duration::from_millis(200), "{took:?}");
        took
    });
    crate::harness::server("-t --idle-timeout 1h30m --grace 1m30.5s");
}

#[test]
fn the_client_takes_units_in_every_mode() {
    undisturbed(|| {
        let server = server("-t");
        for options in [
            "-m hello -W 1h30m",
            "-m hello -W 500ms",
            "-z -W 1.5s -w 2m",
            "--ping -c 3 -i 10ms -w 1m -W 1500ms",
            "--find-idle 100ms -W 1s",
        ] {
            let ended = calm(|| client_to(server.tcp(), options));
            assert_eq!(ended.code, 0, "{options}: {:?}", ended.err);
        }
    });
}

#[test]
fn a_unit_is_the_time_that_it_names() {
    let server = server("-u");
    sooner_than(Duration::from_secs(2), || {
        let (ended, took) = timed(|| calm(|| client_to(server.udp(), "--ping -u -q -i 100ms -w 450ms")));
        assert_eq!(ended.code, 0, "{:?}", ended.err);
        assert!(took >= Duration::from_millis(400), "{took:?}");
        took
    });
}

#[test]
fn an_absurdly_long_time_is_never_where_never_is_possible() {
    undisturbed(|| {
        let server = server("-t --idle-timeout 99999999999999999999h --grace 1e300");
        for options in ["-m hello -W 99999999999999h", "-z -w 99999999999999999999999h", "--ping -c 1 -w 1e300"] {
            let ended = run(client_to(server.tcp(), options));
            assert_eq!(ended.code, 0, "{options}: {:?}", ended.err);
        }
        let nobody = closed_port(private_loopback());
        for (options, named) in [("--ping -i 99999999999999999999h", "-i"), ("--find-idle 1e20", "--find-idle")] {
            let ended = run(client_to(nobody, options));
            assert_eq!((ended.code, ended.out.len(), ended.err.len()), (2, 0, 1), "{options}: {:?}", ended.err);
            assert!(ended.err[0].contains(named), "{options}: {:?}", ended.err);
        }
    });
}
