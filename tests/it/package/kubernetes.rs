//! The manifests: whole, and with probes that tell a server that is well from one that is not.

use std::process::Command;

use nix::sys::signal::Signal::SIGSTOP;

use super::packaged;
use crate::harness::{Launch, have, output, run, server, undisturbed};

/// The words of a probe, less the program's name.
#[track_caller]
fn probe(kind: &str) -> Vec<String> {
    let manifest = packaged("kubernetes.yaml");
    let mut lines = manifest.lines().skip_while(|line| line.trim() != format!("{kind}:"));
    let words = lines.find_map(|line| line.trim().strip_prefix("command: ")).expect("no command");
    let words: Vec<String> = serde_json::from_str(words).unwrap();
    assert_eq!(words[0], "/reactor-client");
    words[1..].to_vec()
}

/// What a probe says of a server at this port of 127.0.0.1.
#[track_caller]
fn asked(kind: &str, port: u16) -> i32 {
    let words = probe(kind);
    let port = port.to_string();
    let words: Vec<_> = words.iter().map(|word| if word == "6666" { &port } else { word }.as_str()).collect();
    run(Launch::client(&words)).code
}

#[test]
fn kubectl_knows_every_word_of_them() {
    if !have("kubectl") {
        return;
    }
    let path = format!("{}/src/package/kubernetes.yaml", env!("CARGO_MANIFEST_DIR"));
    // Each of these reads one of the two kinds into what it knows, changes something, and writes it out again.
    let read = |words: &str| {
        let words: Vec<_> = words.split(' ').chain(["--local", "-o", "json", "-f", &path]).collect();
        String::from_utf8(output(Command::new("kubectl").args(words)).unwrap().stdout).unwrap()
    };
    let understood = read("set env A=b") + &read("set selector app.kubernetes.io/name=ack-reactor");
    assert!(
        ["Deployment", "Service"].iter().all(|kind| understood.contains(&format!("\"kind\": \"{kind}\""))),
        "{understood}"
    );
    // What it does not know it drops.
    let manifest = packaged("kubernetes.yaml");
    let keys = manifest.lines().filter(|line| !line.trim_start().starts_with('#'));
    for key in keys.filter_map(|line| Some(line.trim_start_matches([' ', '-']).split_once(':')?.0)) {
        let named = format!("{key}:");
        let is_key = |line: &&str| line.trim_start_matches([' ', '-']).starts_with(&named);
        let written = manifest.lines().filter(is_key).count();
        let known = understood.matches(&format!("\"{named}").replace(':', "\":")).count();
        assert!(written <= known, "{key} stands there {written} times, and {known} are understood");
    }
}

#[test]
fn the_probes_tell_the_well_from_the_full_and_the_dead() {
    undisturbed(|| {
        let well = server("-q --host 127.0.0.1");
        assert_eq!((asked("livenessProbe", well.tcp().port()), asked("readinessProbe", well.tcp().port())), (0, 0));
        // Full is not dead: it must not be started anew, and gets no newcomers.
        let full = server("-q --max-connections 1 --host 127.0.0.1");
        let _guest = full.quiet_client();
        assert_eq!((asked("livenessProbe", full.tcp().port()), asked("readinessProbe", full.tcp().port())), (0, 1));
        well.signal(SIGSTOP);
        assert_eq!((asked("livenessProbe", well.tcp().port()), asked("readinessProbe", well.tcp().port())), (1, 1));
    });
}

#[test]
fn a_probe_has_its_verdict_before_it_is_given_up() {
    undisturbed(|| {
        let manifest = packaged("kubernetes.yaml");
        assert_eq!(manifest.matches("timeoutSeconds: 2\n").count(), 2);
        for kind in ["livenessProbe", "readinessProbe"] {
            let words = probe(kind).join(" ");
            // Three tries of half a second.
            assert!(words.contains("-W 0.5"), "{words}");
        }
    });
}

#[test]
fn the_image_is_this_version() {
    let image = format!("ack-reactor:{}", env!("CARGO_PKG_VERSION"));
    assert!(packaged("kubernetes.yaml").contains(&format!("image: {image}\n")));
    assert_eq!(
        packaged("Containerfile").matches("ack-reactor:").count(),
        packaged("Containerfile").matches(&image).count()
    );
}
