//! Mistakes on the command line: one sentence, exit 2. And what help says.

use crate::harness::{Launch, run};

/// The client must say in one line on stderr what is wrong with `named`, print nothing else, and exit 2.
#[track_caller]
fn expect_refusal(args: &[&str], named: &str) {
    let ended = run(Launch::client(args));
    assert_eq!((ended.code, ended.out.len()), (2, 0), "{args:?}: {:?}", ended.err);
    let [sentence] = ended.err.as_slice() else { panic!("{args:?}: {:?}", ended.err) };
    assert!(sentence.contains(named), "{args:?}: {sentence:?}");
    assert!(!sentence.contains("panicked"), "{sentence:?}");
}

#[test]
fn values_that_make_no_sense_are_refused() {
    let refused: [(&str, &[&str]); 6] = [
        ("--timeout", &["-1", "nan", "inf", "", "soon"]),
        ("-W", &["-1", "nan", "inf", "", "soon"]),
        ("--window", &["0", "", "1.5", "many"]),
        ("--framing", &["words", ""]),
        ("--format", &["xml", ""]),
        ("--lang", &["de", ""]),
    ];
    for (option, values) in refused {
        let name = if option == "-W" { "--timeout" } else { option };
        for value in values {
            expect_refusal(&[option, value], name);
            if option.starts_with("--") {
                expect_refusal(&[&format!("{option}={value}")], option);
            }
        }
    }
    // A word that could be an option of its own is refused as one, or as a value.
    for (option, value) in [("--timeout", "-inf"), ("--window", "-1")] {
        expect_refusal(&[&format!("{option}={value}")], option);
        expect_refusal(&[option, value], "");
    }
}

#[test]
fn ports_that_make_no_sense_are_refused() {
    for port in ["0", "65536", "-1", "http", "", " 80"] {
        expect_refusal(&["127.0.0.1", port], "");
        if !port.is_empty() {
            expect_refusal(&[&format!("127.0.0.1:{port}")], "");
            expect_refusal(&[&format!("[::1]:{port}")], "");
        }
    }
    expect_refusal(&["127.0.0.1:80", "81"], "");
    expect_refusal(&["[::1"], "");
    expect_refusal(&["[::1]x"], "");
    expect_refusal(&[""], "");
    expect_refusal(&[":80"], "");
}

#[test]
fn unknown_and_surplus_words_are_refused() {
    expect_refusal(&["--frobnicate"], "--frobnicate");
    expect_refusal(&["127.0.0.1", "80", "surplus"], "surplus");
    expect_refusal(&["-m"], "-m");
}

/// Other tools have other letters for it.
#[test]
fn who_types_as_for_ping_or_nc_is_told_what_it_is_here() {
    expect_refusal(&["-t", "64", "127.0.0.1"], "--ttl 64");
    expect_refusal(&["--ping", "-t", "64", "127.0.0.1"], "--ttl 64");
    expect_refusal(&["-s", "10.0.0.1", "127.0.0.1", "6666"], "-I 10.0.0.1");
    expect_refusal(&["-z", "-s", "::1", "::1", "6666"], "-I ::1");
    expect_refusal(&["-p", "5000", "127.0.0.1", "6666"], "-I :PORT");
    for (words, here) in [
        (&["--ping", "-M", "do", "-s", "1400", "127.0.0.1"][..], "--find-size"),
        (&["--ping", "-f", "127.0.0.1"], "-i 0"),
        (&["-S", "10.0.0.1", "127.0.0.1"], "-I"),
        (&["-T", "0x10", "127.0.0.1"], "-Q"),
        (&["-n", "127.0.0.1"], "leave it out"),
        (&["-lu", "6666"], "reactor-server"),
        (&["--json", "-z"], "--format json"),
    ] {
        expect_refusal(words, here);
    }
}

#[test]
fn a_window_is_refused_where_replies_cannot_be_told_apart() {
    for options in [&["--window", "2"][..], &["--window", "2", "--framing", "bytes"]] {
        expect_refusal(&[options, &["-m", "x"]].concat(), "--framing lines");
    }
    for framing in ["bytes", "lines", "length"] {
        expect_refusal(&["-u", "--window", "2", "--framing", framing, "-m", "x"], "--window");
    }
}

#[test]
fn a_name_that_does_not_resolve_could_not_be_tried() {
    for options in [&["-m", "x"][..], &["-u", "-m", "x"], &["-q"]] {
        expect_refusal(&[&["no-such-host.invalid"][..], options].concat(), "no-such-host.invalid");
    }
}

#[test]
fn a_hostile_name_is_shown_escaped() {
    for words in [&["\x1b[31mhost\u{202e}"][..], &["host", "\x1b[31m"], &["[\x1b[31m"], &["--\x1b[31m"]] {
        let ended = run(Launch::client(words));
        assert_eq!(ended.code, 2, "{words:?}");
        let said = ended.complaint();
        assert!(!said.contains(['\x1b', '\u{202e}']), "{said:?}");
    }
}

#[test]
fn fractions_of_a_second_are_taken_and_absurdly_long_means_never() {
    let server = crate::harness::server("-t");
    for seconds in ["0.5", ".5", "1e3", "99999999999999999999", "1e300"] {
        let ended = run(Launch::client(&[&server.tcp().to_string(), "-W", seconds, "-m", "hello"]));
        assert_eq!(ended.code, 0, "{seconds}: {:?}", ended.err);
    }
}

#[test]
fn help_names_every_option_and_has_five_examples() {
    let ended = run(Launch::client(&["--help"]));
    assert_eq!((ended.code, ended.err.len()), (0, 0));
    let help = ended.out.join("\n");
    let options = "-u --udp -m --message --framing bytes lines length --window -W --timeout -4 -6 --format text json \
                   --lang auto en zh -q --quiet -V --version --help";
    for option in options.split(' ') {
        assert!(help.contains(option), "no {option} in {help}");
    }
    let heading = ended.out.iter().rposition(|line| line.starts_with("Examples")).unwrap();
    assert_eq!(ended.out[heading..].iter().filter(|line| line.contains("reactor-client")).count(), 5, "{help}");
}
