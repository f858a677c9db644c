//! An option that belongs to another mode is refused, by name and with the name of the mode.

use std::collections::BTreeSet;

use crate::harness::{Launch, Scratch, client_to, run, server, undisturbed};

/// The modes, as they are asked for.
const MODES: [&str; 5] = ["", "-z", "--ping", "--find-idle", "--find-size"];

/// Every option that has modes of its own: how it is given, its names, and the modes that know it.
const OPTIONS: [(&str, &str, &[&str]); 13] = [
    ("-m hi", "-m --message", &[""]),
    ("--window 1", "--window", &[""]),
    ("-w 0.2", "-w", &["-z", "--ping"]),
    ("-c 1", "-c", &["--ping"]),
    ("-i 0.01", "-i", &["--ping"]),
    ("-s 9", "-s", &["--ping"]),
    ("--flows 2", "--flows", &["--ping"]),
    ("--hgrm FILE", "--hgrm", &["--ping"]),
    ("--plot FILE", "--plot", &["--ping"]),
    ("-D", "-D", &["--ping"]),
    ("--plain -u", "--plain", &["--ping"]),
    ("--max-loss 1", "--max-loss", &["--ping"]),
    ("--message hi", "-m --message", &[""]),
];

/// Those that every mode knows.
const EVERYWHERE: [(&str, &str); 16] = [
    ("-p", "-p --port"),
    ("-u", "-u --udp"),
    ("-t", "-t --tcp"),
    ("--framing bytes", "--framing"),
    ("-W 1", "-W --timeout"),
    ("-4", "-4"),
    ("-6", "-6"),
    ("-I 127.0.0.1", "-I --bind"),
    ("-Q EF", "-Q --tos"),
    ("--ttl 9", "--ttl"),
    ("--format json", "--format"),
    ("--lang en", "--lang"),
    ("--trace", "--trace"),
    ("-q", "-q --quiet"),
    ("--help", "-h --help"),
    ("--version", "-V --version"),
];

/// What asks for the mode, with an end to it.
fn words(mode: &str, option: &str) -> String {
    match mode {
        "--ping" if !option.starts_with("-c") => "--ping -c 1".to_owned(),
        "--find-idle" => "--find-idle 0.1".to_owned(),
        "--find-size" if option.contains("-u") => "--find-size 100".to_owned(),
        "--find-size" => "--find-size 100 -u".to_owned(),
        mode => mode.to_owned(),
    }
}

#[test]
fn every_option_in_every_mode() {
    undisturbed(|| {
        let (server, file) = (server("--host 127.0.0.1"), Scratch::path("modes.svg"));
        let response = Scratch(format!("{}.response", file.0.display()).into());
        for (option, names, homes) in OPTIONS {
            let name = names.split(' ').next().unwrap();
            for mode in MODES {
                let given = option.replace("FILE", file.0.to_str().unwrap());
                let ended = run(client_to(server.tcp(), &format!("{} {given}", words(mode, option))));
                if homes.contains(&mode) {
                    assert_eq!(ended.code, 0, "{mode} {option}: {:?}", ended.err);
                    for made in [&file.0, &response.0] {
                        let _ = std::fs::remove_file(made);
                    }
                    continue;
                }
                assert_eq!(
                    (ended.code, ended.out.len(), ended.err.len()),
                    (2, 0, 1),
                    "{mode} {option}: {:?}",
                    ended.err
                );
                let sentence = &ended.err[0];
                let home = if homes == [""] {
                    "without -z, --ping, --find-idle and --find-size".to_owned()
                } else {
                    format!("to {}", homes.join(" and "))
                };
                // `-w` belongs to --ping and -z, in whatever order that is said.
                let named =
                    homes.iter().all(|home| sentence.contains(home)) && (homes != [""] || sentence.contains(&home));
                assert!(named && sentence.contains(name), "{mode} {option}: {sentence}");
                assert!(!file.0.exists() && !response.0.exists(), "a refused run makes no file");
            }
        }
        for (option, names) in EVERYWHERE {
            for mode in MODES.into_iter().filter(|_| !matches!(option, "-6" | "--help" | "--version")) {
                // Over TCP it needs another framing, which its own tests have.
                if (mode, option) == ("--find-size", "-t") {
                    continue;
                }
                let (port, words) = (server.tcp().port().to_string(), words(mode, option));
                let ended = run(match option {
                    "-p" => Launch::client(&words.split_whitespace().chain(["-p", &port]).collect::<Vec<_>>()),
                    _ => client_to(server.tcp(), &format!("{words} {option}")),
                });
                // Nothing sent over UDP is nothing known.
                let code = i32::from(mode.is_empty() && option == "-u");
                assert_eq!(ended.code, code, "{mode} {option} ({names}): {:?}", ended.err);
            }
        }
    });
}

#[test]
fn the_table_knows_every_option() {
    let help = run(Launch::client(&["--help"])).out;
    let options = help.iter().map(|line| line.trim_start()).filter(|line| line.starts_with('-'));
    let heads = options.flat_map(|line| line.split("  ").next().unwrap().split(", "));
    let offered: BTreeSet<&str> = heads.map(|head| head.split([' ', '.']).next().unwrap()).collect();
    let names = OPTIONS.iter().map(|option| option.1).chain(EVERYWHERE.iter().map(|option| option.1));
    let known: BTreeSet<&str> =
        names.flat_map(|names| names.split(' ')).chain(MODES.into_iter().filter(|mode| !mode.is_empty())).collect();
    assert_eq!(offered, known);
}

#[test]
fn all_that_is_out_of_place_is_named() {
    let ended = run(Launch::client(&["-c", "3", "--plot", "zz.svg", "--max-loss", "5", "-m", "hi"]));
    assert_eq!((ended.code, ended.out.len(), ended.err.len()), (2, 0, 1), "{:?}", ended.err);
    assert!(ended.err[0].contains("-c, --plot and --max-loss belong to --ping"), "{:?}", ended.err);
    assert!(!std::path::Path::new("zz.svg").exists());
}
