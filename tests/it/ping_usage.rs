//! Mistakes on an instrument's command line: one sentence, exit 2.

use crate::harness::{Launch, run};

#[track_caller]
fn expect_refusal(words: &str, named: &str) {
    let args: Vec<&str> = words.split(' ').collect();
    let ended = run(Launch::client(&args));
    assert_eq!((ended.code, ended.out.len(), ended.err.len()), (2, 0, 1), "{words}: {:?} {:?}", ended.out, ended.err);
    assert!(ended.err[0].contains(named), "{words}: {:?}", ended.err);
}

#[test]
fn values_that_make_no_sense_are_refused() {
    for (option, values) in [
        ("-c", &["0", "-1", "many", "1.5"][..]),
        ("-i", &["-1", "nan", "inf", "1e300", "soon"]),
        ("-s", &["0", "-1", "big"]),
        ("-w", &["-1", "nan", "inf"]),
        ("-W", &["-1", "nan", "inf"]),
        ("--flows", &["0", "4097", "-1", "some"]),
        ("--max-loss", &["-1", "101", "nan", "all"]),
    ] {
        for value in values {
            // Not the `-c` of the program's own name.
            let named = match option {
                "-W" => "--timeout",
                "-c" => "'-c",
                named => named,
            };
            expect_refusal(&format!("--ping {option} {value}"), named);
        }
    }
    for value in ["0", "-1", "nan", "inf", "1e300", "soon"] {
        expect_refusal(&format!("--find-idle {value}"), "--find-idle");
    }
}

#[test]
fn a_probe_that_is_too_long_is_refused_with_the_remedy() {
    expect_refusal("--ping -s 1025", "--framing lines");
    expect_refusal("--ping -s 65537 --framing lines", "65536");
    expect_refusal("--ping -s 65537 --framing length", "65536");
    expect_refusal("--ping -u -s 65508", "65507");
}

#[test]
fn one_instrument_at_a_time() {
    for words in ["-z --ping", "--ping --find-idle 5", "-z --find-idle 5"] {
        expect_refusal(words, "cannot be used with");
    }
    expect_refusal("--ping -tu", "-z");
    expect_refusal("--find-idle 5 -tu", "-z");
}

#[test]
fn a_name_that_does_not_resolve_could_not_be_tried() {
    expect_refusal("no-such-host.invalid --ping", "no-such-host.invalid");
    expect_refusal("no-such-host.invalid --find-idle 5", "no-such-host.invalid");
}

#[test]
fn help_tells_of_the_instruments_and_of_what_differs_from_ping() {
    let help = run(Launch::client(&["--help"])).out.join(" ");
    for option in
        ["-z", "--ping", "--find-idle", "-c", "-i", "-s", "-w", "-D", "--flows", "--hgrm", "--plot", "--max-loss"]
    {
        assert!(help.contains(option), "no {option} in {help}");
    }
    assert!(help.contains("Unlike ping(8)"), "{help}");
}

#[test]
fn two_files_under_one_name_are_refused() {
    for words in [
        "--ping --hgrm both.svg --plot both.svg",
        "--ping --hgrm both.svg --plot ./both.svg",
        "--ping --hgrm .//both.svg --plot ././both.svg",
    ] {
        expect_refusal(words, "a file of its own");
    }
    assert!(!std::path::Path::new("both.svg").exists(), "a refused run makes no file");
}
