//! `--hgrm` and `--plot`: the distributions, for other programs and for the eye.

use std::fs;

use crate::harness::{FarUdp, Launch, Scratch, calm, client_to, run, server};

#[test]
fn the_distributions_of_both_times_are_written() {
    let server = server("-t");
    let (hgrm, plot) = (Scratch::path("times.hgrm"), Scratch::path("times.svg"));
    let response = Scratch(format!("{}.response", hgrm.0.display()).into());
    let options = format!("--ping -q -c 200 -i 0.001 --hgrm {} --plot {}", hgrm.0.display(), plot.0.display());
    let ended = calm(|| client_to(server.tcp(), &options));
    assert_eq!(ended.code, 0, "{:?}", ended.err);
    let mut totals = Vec::new();
    for file in [&hgrm, &response] {
        let text = fs::read_to_string(&file.0).unwrap();
        assert!(text.starts_with("       Value     Percentile TotalCount 1/(1-Percentile)\n"), "{text}");
        assert!(text.contains("Total count    =          200]"), "{text}");
        let max = text.lines().find(|line| line.starts_with("#[Max")).unwrap().to_owned();
        totals.push(max.split(['=', ',']).nth(1).unwrap().trim().parse::<f64>().unwrap());
    }
    assert!(totals[1] >= totals[0], "a response takes no less than its round trip: {totals:?}");
    let printed = |name: &str| {
        let line = ended.out.iter().find(|line| line.starts_with(name)).unwrap();
        line.split(" ms").next().unwrap().rsplit('/').next().unwrap().parse::<f64>().unwrap()
    };
    assert!(
        (printed("rtt") - totals[0]).abs() < 0.002 && (printed("response") - totals[1]).abs() < 0.002,
        "{totals:?}"
    );
    let svg = fs::read_to_string(&plot.0).unwrap();
    assert!(svg.starts_with("<svg ") && svg.ends_with("</svg>\n"));
    for text in ["rtt (n = 200)", "response (n = 200)", "latency (ms)", "percentile", &server.tcp().to_string()] {
        assert!(svg.contains(text), "no {text} in the plot");
    }
}

#[test]
fn an_interrupted_run_writes_them_too() {
    let server = server("-u");
    let (hgrm, plot) = (Scratch::path("cut.hgrm"), Scratch::path("cut.svg"));
    let _response = Scratch(format!("{}.response", hgrm.0.display()).into());
    let options = format!("--ping -u -i 0.01 --hgrm {} --plot {}", hgrm.0.display(), plot.0.display());
    let mut client = client_to(server.udp(), &options).start();
    client.stdout.find("a reply", |line| line.contains("seq=5 "));
    client.signal(nix::sys::signal::Signal::SIGINT);
    assert_eq!(client.wait_exit(), 0);
    assert!(fs::read_to_string(&hgrm.0).unwrap().contains("Total count"));
    assert!(fs::read_to_string(&plot.0).unwrap().ends_with("</svg>\n"));
}

#[test]
fn a_file_that_cannot_be_written_is_known_before_the_run() {
    for option in ["--hgrm", "--plot"] {
        let ended = run(Launch::client(&["--ping", option, "/nonexistent/file"]));
        assert_eq!((ended.code, ended.out.len(), ended.err.len()), (2, 0, 1), "{:?}", ended.err);
        assert!(ended.err[0].contains("'/nonexistent/file'"), "{:?}", ended.err);
    }
}

#[test]
fn a_file_that_could_not_be_written_after_all_is_no_success() {
    let server = server("-u");
    let ended = calm(|| client_to(server.udp(), "--ping -u -q -c 2 -i 0.01 --plot /dev/full"));
    assert_eq!(ended.code, 1);
    assert!(ended.out[2].starts_with("2 sent, 2 acknowledged"), "{:?}", ended.out);
    assert!(ended.complaint().contains("'/dev/full'"), "{:?}", ended.err);
}

#[test]
fn a_plot_tells_of_the_lost_which_no_curve_shows() {
    let (far, plot) = (FarUdp::new(), Scratch::path("lost.svg"));
    let ended =
        calm(|| client_to(far.address(), &format!("--ping -u -q -c 2 -i 0 -W 0.05 --plot {}", plot.0.display())));
    assert_eq!(ended.code, 1);
    let svg = fs::read_to_string(&plot.0).unwrap();
    assert!(svg.contains(&format!("{} udp acknowledgement, 2 of 2 lost", far.address())), "{svg}");
}
