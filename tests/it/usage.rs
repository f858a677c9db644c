//! The command line: what is refused, and what help says.

use crate::harness::{Launch, undisturbed};

#[test]
fn values_that_make_no_sense_are_refused_with_exit_2() {
    let refused = [
        ("--idle-timeout", ["-1", "nan", "inf", "", "-inf", "soon"].as_slice()),
        ("--grace", &["-1", "nan", "inf", "", "-0.5"]),
        ("--drain", &["-1", "nan", "inf", "", "-0.5", "a while"]),
        ("--max-message", &["0", "-1", "+1", "", "many"]),
        ("--max-connections", &["0", "-1", "+1", "", "1.5"]),
        ("--host", &["", "fe80::1%lo:7000"]),
        ("--port", &["65536", "-1", "+6666", "", "http"]),
        (
            "--metrics",
            &[
                "",
                "9100",
                "127.0.0.1",
                "127.0.0.1:",
                ":9100",
                "[]:9100",
                "::1:9100",
                "[fe80::1%lo:1]:9100",
                "[::1:9100",
                "h:65536",
                "h:-1",
                "h:+9100",
                "-1",
            ],
        ),
        ("--framing", &["words", ""]),
        ("--format", &["xml", ""]),
        ("--lang", &["de", ""]),
        ("--transcript", &["messages", ""]),
        ("--quiet-from", &["10.0.0.0/33", "localhost", "", "-1"]),
        ("--max-per-address", &["0", "-1", "", "many"]),
        ("--proxy-protocol", &["::/129", "10.0.0.1:80", "", "on"]),
    ];
    for (option, values) in refused {
        for value in values {
            expect_refusal(&[&format!("{option}={value}")], option);
            // Apart from its option, a value with a sign looks like an option of its own.
            expect_refusal(&[option, value], if value.starts_with('-') { "-" } else { option });
        }
    }
}

#[test]
fn a_network_that_is_none_is_answered_by_what_one_is() {
    for option in ["--quiet-from", "--proxy-protocol"] {
        let mut process = Launch::server(&[option, "10.0.0.0/33"]).start();
        assert_eq!(process.wait_exit(), 2);
        let said = process.stderr.to_end();
        let accepted = "give a network such as 10.0.0.0/8 or 2001:db8::/32, or one address";
        assert!(said.len() == 1 && said[0].contains("'10.0.0.0/33'") && said[0].contains(accepted), "{said:?}");
    }
}

#[test]
fn quiet_and_another_transcript_contradict_each_other() {
    for extent in ["all", "connections"] {
        expect_refusal(&["-q", "--transcript", extent], "-q (--quiet) is --transcript none");
    }
    crate::harness::server("-q --transcript none").quiet_client().exchange("hello", "ACK");
}

#[test]
fn an_unknown_option_is_refused_with_exit_2() {
    expect_refusal(&["--frobnicate"], "--frobnicate");
    expect_refusal(&["surplus"], "surplus");
}

/// The program must say on stderr what is wrong with `named`, print nothing else, and exit 2.
#[track_caller]
fn expect_refusal(args: &[&str], named: &str) {
    let mut process = Launch::server(args).start();
    assert_eq!(process.wait_exit(), 2, "{args:?}");
    let said = process.stderr.to_end();
    assert!(said.first().is_some_and(|line| line.contains(named)), "{args:?}: {said:?}");
    assert!(!said.iter().any(|line| line.contains("panicked")), "{args:?}: {said:?}");
    assert_eq!(process.stdout.to_end(), [""; 0]);
}

#[test]
fn fractions_of_a_second_are_taken() {
    undisturbed(|| {
        let server = crate::harness::server("--idle-timeout 0.5 --grace 0.25 --max-message 1 --max-connections 1");
        server.client().exchange("hello", "ACK");
    });
}

/// Takes the arguments of a program.
type Launcher = fn(&[&str]) -> Launch;

/// Each program as its launcher and its name.
const PROGRAMS: [(Launcher, &str); 2] = [(Launch::server, "reactor-server"), (Launch::client, "reactor-client")];

#[test]
fn help_has_five_examples() {
    for (launch, name) in PROGRAMS {
        let help = printed(launch, "--help");
        let heading =
            help.iter().rposition(|line| line.trim().to_lowercase().starts_with("example")).expect("no examples");
        let examples = help[heading..].iter().filter(|line| line.contains(name)).count();
        assert_eq!(examples, 5, "{:#?}", &help[heading..]);
    }
}

#[test]
fn help_names_every_option() {
    let help = printed(Launch::server, "--help").join("\n");
    let options = "-p --host --port -t --tcp -u --udp --framing --max-message --idle-timeout --max-connections --grace \
                   --drain --reuse-port --busy-poll --metrics --format --lang -q --quiet --transcript --quiet-from --max-per-address \
                   --proxy-protocol all|connections|none CIDR -V --version --help bytes|lines|length text|json auto|en|zh";
    for option in options.split(' ') {
        let spelled = option.split('|').all(|word| help.contains(word));
        assert!(spelled, "no {option} in {help}");
    }
}

#[test]
fn version_names_the_program_and_its_version() {
    for (launch, name) in PROGRAMS {
        let expected = [format!("{name} {}", env!("CARGO_PKG_VERSION"))];
        assert_eq!(printed(launch, "-V"), expected);
        assert_eq!(printed(launch, "--version"), expected);
    }
}

#[track_caller]
fn printed(launch: Launcher, option: &str) -> Vec<String> {
    let mut process = launch(&[option]).start();
    assert_eq!(process.wait_exit(), 0);
    assert_eq!(process.stderr.to_end(), [""; 0]);
    process.stdout.to_end()
}
