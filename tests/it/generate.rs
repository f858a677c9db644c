//! Manual pages and completions out of the command lines.

#[cfg(not(feature = "generate"))]
use crate::harness::Launch;

/// The option is for who makes a package.
#[test]
#[cfg(not(feature = "generate"))]
fn without_its_feature_the_option_does_not_exist() {
    for launch in [Launch::server, Launch::client] {
        let mut process = launch(&["--generate", "man"]).start();
        assert_eq!(process.wait_exit(), 2);
        let said = process.stderr.to_end();
        assert!(said[0].contains("unexpected argument '--generate' found"), "{said:?}");
    }
}

#[cfg(feature = "generate")]
mod with_its_feature {
    use std::fs::{self, File};

    use crate::harness::{Launch, Output, Process, Scratch, have};

    type Launcher = fn(&[&str]) -> Launch;

    const PROGRAMS: [(Launcher, &str); 2] = [(Launch::server, "reactor-server"), (Launch::client, "reactor-client")];

    #[track_caller]
    fn generated(launch: Launcher, what: &str) -> String {
        let mut process = launch(&["--generate", what]).start();
        assert_eq!(process.wait_exit(), 0);
        assert_eq!(process.stderr.to_end(), [""; 0]);
        process.stdout.to_end().join("\n") + "\n"
    }

    /// What was generated, in a file.
    #[track_caller]
    fn file(launch: Launcher, name: &str, what: &str) -> Scratch {
        let scratch = Scratch::path(&format!("{name}.{what}"));
        fs::write(&scratch.0, generated(launch, what)).unwrap();
        scratch
    }

    #[track_caller]
    fn clean(mut process: Process) -> String {
        let code = process.wait_exit();
        let said = process.stderr.to_end();
        assert_eq!((code, said), (0, Vec::new()));
        process.stdout.to_end().join("\n")
    }

    #[test]
    fn a_page_has_its_sections_and_every_option_of_the_help() {
        for (launch, name) in PROGRAMS {
            let page = generated(launch, "man");
            let title = format!(
                ".TH {} 1 \"\" \"ack-reactor {}\" \"User Commands\"",
                name.to_uppercase(),
                env!("CARGO_PKG_VERSION")
            );
            assert!(page.lines().any(|line| line == title), "{page}");
            let headings: Vec<&str> = page.lines().filter_map(|line| line.strip_prefix(".SH ")).collect();
            let common = ["NAME", "SYNOPSIS", "DESCRIPTION", "OPTIONS", "\"EXIT STATUS\"", "EXAMPLES", "\"SEE ALSO\""];
            let own: &[&str] = match name {
                "reactor-server" => &["COMMANDS"],
                _ => &["\"AS AN INSTRUMENT\"", "\"WITH --PING\""],
            };
            for heading in common.iter().chain(own) {
                assert_eq!(headings.iter().filter(|found| *found == heading).count(), 1, "{heading} in {headings:?}");
            }
            let plain = page.replace("\\-", "-");
            let mut help = launch(&["--help"]).start();
            assert_eq!(help.wait_exit(), 0);
            let help = help.stdout.to_end().join("\n");
            let words = help.split(|c: char| !(c.is_ascii_alphanumeric() || c == '-'));
            for option in words.filter(|word| word.starts_with("--") && word.len() > 3) {
                // What makes the page is no part of it.
                assert!(plain.contains(option) != (option == "--generate"), "{option} of {name}");
            }
        }
    }

    #[test]
    fn a_page_is_shown_without_a_warning() {
        let [groff, man, mandoc] = ["groff", "man", "mandoc"].map(have);
        for (launch, name) in PROGRAMS {
            let page = file(launch, name, "man");
            let path = page.0.to_str().unwrap();
            if groff {
                let shown = clean(Launch::program("groff", &["-man", "-ww", "-Tutf8", path]).start());
                assert!(shown.contains("127.0.0.1"), "{shown}");
            }
            if man {
                let man = Launch::program("man", &["--warnings", "-l", path]).env("MANPAGER", "cat");
                let shown = clean(man.start());
                assert!(shown.contains("127.0.0.1"), "{shown}");
            }
            if mandoc {
                let mut lint = Launch::program("mandoc", &["-T", "lint", "-W", "warning", path]).start();
                lint.wait_exit();
                let said = [lint.stdout.to_end(), lint.stderr.to_end()].concat();
                // The same version gives the same page, whenever it is made.
                assert!(said.iter().all(|line| line.contains("missing date")), "{said:?}");
            }
        }
    }

    #[test]
    fn bash_completes_options_and_their_values() {
        if !have("bash") {
            return;
        }
        for (launch, name) in PROGRAMS {
            let script = file(launch, name, "bash");
            for (word, before, expected) in
                [("--fra", name, "--framing"), ("li", "--framing", "lines"), ("--ver", name, "--version")]
            {
                let ask = format!(
                    "source {}; COMP_WORDS=({name} {} {word}); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1)); \
                     words=($(complete -p {name})); complete=${{words[-2]}}; \
                     $complete {name} '{word}' '{before}'; printf '%s\\n' \"${{COMPREPLY[@]}}\"",
                    script.0.display(),
                    if before == name { "" } else { before },
                );
                let completed = clean(Launch::program("bash", &["--norc", "-u", "-c", &ask]).start());
                assert_eq!(completed, expected, "{name} {word}");
            }
        }
    }

    #[test]
    fn zsh_and_fish_take_theirs() {
        for (shell, check) in [("zsh", "-n"), ("fish", "--no-execute")] {
            let is_here = have(shell);
            for (launch, name) in PROGRAMS {
                let script = file(launch, name, shell);
                assert!(fs::read_to_string(&script.0).unwrap().contains("framing"));
                if is_here {
                    clean(Launch::program(shell, &[check, script.0.to_str().unwrap()]).start());
                }
            }
        }
    }

    #[test]
    fn a_full_disk_is_exit_2_and_a_sentence_and_whoever_closed_stdout_wants_to_know_no_more() {
        for (launch, name) in PROGRAMS {
            for what in ["man", "bash", "zsh", "fish"] {
                let full = Output::Given(File::options().write(true).open("/dev/full").unwrap().into());
                let mut process = launch(&["--generate", what]).stdout(full).start();
                let sentence = format!("{name}: cannot write to stdout: No space left on device");
                assert_eq!((process.wait_exit(), process.stderr.to_end()), (2, vec![sentence]), "{what}");

                let (reader, writer) = std::io::pipe().unwrap();
                drop(reader);
                let mut process = launch(&["--generate", what]).stdout(Output::Given(writer.into())).start();
                assert_eq!((process.wait_exit(), process.stderr.to_end()), (0, vec![]), "{what}");
            }
        }
    }

    #[test]
    fn a_mistake_is_one_sentence_with_the_accepted_form() {
        for (words, named) in [
            (&["--generate", "pdf"][..], "man, bash, zsh, fish"),
            (&["--generate"], "--generate <WHAT>"),
            (&["--generate", "man", "-u"], "--generate <WHAT>"),
        ] {
            for (launch, _) in PROGRAMS {
                let mut process = launch(words).start();
                assert_eq!(process.wait_exit(), 2, "{words:?}");
                let said = process.stderr.to_end();
                assert!(said.len() == 1 && said[0].contains(named), "{words:?}: {said:?}");
            }
        }
    }
}
