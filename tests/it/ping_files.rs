//! `--hgrm` and `--plot`: the distributions, for other programs and for the eye.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use crate::harness::{FarUdp, Launch, Scratch, calm, client_to, end_of, have, run, server, skipped, undisturbed};

/// A folder of this test's own, removed with all that is in it.
pub(crate) struct Folder(pub(crate) PathBuf);

impl Folder {
    pub(crate) fn new(name: &str) -> Folder {
        let path = std::env::temp_dir().join(format!("ack-reactor-{}-files-{name}", std::process::id()));
        fs::create_dir(&path).unwrap();
        Folder(path)
    }

    pub(crate) fn name(&self, file: &str) -> String {
        self.0.join(file).to_str().unwrap().to_owned()
    }

    pub(crate) fn entries(&self) -> Vec<String> {
        let entries = fs::read_dir(&self.0).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut entries: Vec<String> = entries.collect();
        entries.sort();
        entries
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[test]
fn the_distributions_of_both_times_are_written() {
    undisturbed(|| {
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
    });
}

#[test]
fn an_interrupted_run_writes_them_too() {
    undisturbed(|| {
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
    });
}

#[test]
fn a_file_that_cannot_be_written_is_known_before_the_run() {
    let (folder, file) = (Folder::new("unwritable"), Folder::new("beside"));
    let paths = ["/nonexistent/file.svg", "/proc/file.svg", &folder.name(""), &folder.name("no/"), "", "."];
    for path in paths.map(str::to_owned).into_iter().chain([file.name(&"x".repeat(300))]) {
        for option in ["--hgrm", "--plot"] {
            let ended = run(Launch::client(&["--ping", option, &path]));
            assert_eq!((ended.code, ended.out.len(), ended.err.len()), (2, 0, 1), "{path}: {:?}", ended.err);
            assert!(ended.err[0].contains(&format!("'{path}'")), "{:?}", ended.err);
        }
    }
    fs::create_dir(file.0.join("both.response")).unwrap();
    let ended = run(Launch::client(&["--ping", "--hgrm", &file.name("both")]));
    assert_eq!((ended.code, ended.out.len()), (2, 0));
    assert!(ended.complaint().contains("both.response'"), "{:?}", ended.err);
    assert_eq!(file.entries(), ["both.response"]);
}

#[test]
fn a_file_without_permission_is_known_before_the_run() {
    undisturbed(|| {
        if fs::metadata("/proc/self").unwrap().uid() == 0 {
            return crate::harness::skipped("root may write everywhere");
        }
        let folder = Folder::new("forbidden");
        fs::write(folder.0.join("read-only.svg"), "old").unwrap();
        fs::set_permissions(folder.0.join("read-only.svg"), fs::Permissions::from_mode(0o444)).unwrap();
        expect_unwritable(&folder.name("read-only.svg"));
        fs::set_permissions(&folder.0, fs::Permissions::from_mode(0o555)).unwrap();
        expect_unwritable(&folder.name("new.svg"));
        fs::set_permissions(&folder.0, fs::Permissions::from_mode(0o755)).unwrap();
    });
}

#[track_caller]
fn expect_unwritable(path: &str) {
    let ended = run(Launch::client(&["--ping", "--plot", path]));
    assert_eq!((ended.code, ended.out.len()), (2, 0));
    assert!(ended.complaint().contains(&format!("'{path}': Permission denied")), "{:?}", ended.err);
}

#[test]
fn what_exists_is_not_touched_on_exit_2() {
    let folder = Folder::new("kept");
    for file in ["keep.svg", "keep", "keep.response"] {
        fs::write(folder.0.join(file), "old").unwrap();
    }
    let files = format!("--ping --plot {} --hgrm {}", folder.name("keep.svg"), folder.name("keep"));
    for wrong in ["no-such-host.invalid", "127.0.0.1 -s 9999", "127.0.0.1:x", "127.0.0.1 -i 1e300"] {
        let words = format!("{wrong} {files}");
        let ended = run(Launch::client(&words.split(' ').collect::<Vec<_>>()));
        assert_eq!(ended.code, 2, "{wrong}: {:?}", ended.err);
    }
    assert_eq!(folder.entries(), ["keep", "keep.response", "keep.svg"]);
    for file in folder.entries() {
        assert_eq!(fs::read_to_string(folder.0.join(&file)).unwrap(), "old", "{file}");
    }
    let ended = run(Launch::client(&["no-such-host.invalid", "--ping", "--plot", &folder.name("new.svg")]));
    assert_eq!((ended.code, folder.entries().len()), (2, 3), "nothing new is made");
}

#[test]
fn until_the_end_nothing_is_there_and_what_was_there_stays() {
    undisturbed(|| {
        let (server, folder) = (server("-u"), Folder::new("killed"));
        fs::write(folder.0.join("old.svg"), "old").unwrap();
        let options = format!("--ping -u -i 0.01 --plot {} --hgrm {}", folder.name("old.svg"), folder.name("new"));
        let mut client = client_to(server.udp(), &options).start();
        client.stdout.find("a reply", |line| line.contains("seq=5 "));
        assert_eq!(folder.entries(), ["old.svg"]);
        client.signal(nix::sys::signal::Signal::SIGKILL);
        crate::harness::wait_until("its end", || (!client.is_running()).then_some(()));
        assert_eq!(folder.entries(), ["old.svg"]);
        assert_eq!(fs::read_to_string(folder.0.join("old.svg")).unwrap(), "old");
    });
}

#[test]
fn a_full_disk_leaves_the_old_file() {
    undisturbed(|| {
        let (server, folder) = (server("-u"), Folder::new("full"));
        let script = format!(
            "mount -t tmpfs -o size=16k none {0} && echo old > {0}/x.svg && head -c 12000 /dev/zero > {0}/fill || exit 77; \
         \"$0\" \"$@\"; code=$?; cat {0}/x.svg; ls -A {0}; exit $code",
            folder.0.display()
        );
        let (host, port) = (server.udp().ip().to_string(), server.udp().port().to_string());
        let client = [env!("CARGO_BIN_EXE_reactor-client"), &host, &port];
        let (plot, words) = (folder.name("x.svg"), ["--ping", "-u", "-q", "-c", "50", "-i", "0.001", "--plot"]);
        let args = [&["-Urm", "sh", "-c", &script], &client[..], &words, &[plot.as_str()]].concat();
        let ended = run(Launch::program("unshare", &args));
        if ended.code == 77 || ended.out.is_empty() {
            return crate::harness::skipped("this system gives no namespace with a disk of our own");
        }
        assert_eq!(ended.code, 1, "{:?}", ended.err);
        assert!(ended.complaint().contains("x.svg': No space left on device"), "{:?}", ended.err);
        assert_eq!(ended.out[ended.out.len() - 3..], ["old", "fill", "x.svg"]);
    });
}

#[test]
fn a_file_that_could_not_be_written_after_all_is_no_success() {
    undisturbed(|| {
        let (server, folder) = (server("-u"), Folder::new("gone"));
        let mut client =
            client_to(server.udp(), &format!("--ping -u -i 0.05 -c 20 --hgrm {}", folder.name("f"))).start();
        client.stdout.find("a reply", |line| line.contains("seq=1 "));
        fs::create_dir(folder.0.join("f.response")).unwrap();
        let ended = end_of(&mut client);
        assert_eq!(ended.code, 1);
        assert!(ended.complaint().contains("f.response': Is a directory"), "{:?}", ended.err);
        assert_eq!(folder.entries(), ["f.response"], "both or none, and nothing is left lying about");
    });
}

#[test]
fn permissions_are_kept_and_a_link_stays_one() {
    undisturbed(|| {
        let (server, folder) = (server("-u"), Folder::new("links"));
        fs::create_dir(folder.0.join("deep")).unwrap();
        let target = folder.0.join("deep/target.svg");
        fs::write(&target, "old").unwrap();
        fs::set_permissions(&target, fs::Permissions::from_mode(0o640)).unwrap();
        symlink("deep/target.svg", folder.0.join("link.svg")).unwrap();
        symlink("link.svg", folder.0.join("second.svg")).unwrap();
        symlink("deep/to-come.svg", folder.0.join("dangling.svg")).unwrap();
        for link in ["second.svg", "dangling.svg"] {
            let ended = run(client_to(server.udp(), &format!("--ping -u -c 1 --plot {}", folder.name(link))));
            assert_eq!(ended.code, 0, "{:?}", ended.err);
            assert!(fs::symlink_metadata(folder.0.join(link)).unwrap().is_symlink());
            assert!(fs::read_to_string(folder.0.join(link)).unwrap().ends_with("</svg>\n"));
        }
        assert_eq!(fs::metadata(&target).unwrap().permissions().mode() & 0o7777, 0o640);
        assert!(folder.0.join("deep/to-come.svg").is_file());
        assert_eq!(folder.entries(), ["dangling.svg", "deep", "link.svg", "second.svg"]);
        symlink("loop.svg", folder.0.join("loop.svg")).unwrap();
        let ended = run(Launch::client(&["--ping", "--plot", &folder.name("loop.svg")]));
        assert_eq!((ended.code, ended.out.len(), ended.err.len()), (2, 0, 1), "{:?}", ended.err);
    });
}

#[test]
fn a_plot_tells_of_the_lost_which_no_curve_shows() {
    undisturbed(|| {
        let (far, plot) = (FarUdp::new(), Scratch::path("lost.svg"));
        let ended =
            calm(|| client_to(far.address(), &format!("--ping -u -q -c 2 -i 0 -W 0.05 --plot {}", plot.0.display())));
        assert_eq!(ended.code, 1);
        let svg = fs::read_to_string(&plot.0).unwrap();
        assert!(svg.contains(&format!("{} udp acknowledgement, 2 of 2 lost", far.address())), "{svg}");
    });
}

#[test]
fn what_replaces_a_private_file_is_private_from_its_first_byte() {
    if !have("strace") {
        return;
    }
    let (server, folder) = (server("-u"), Folder::new("private"));
    let (file, calls) = (folder.0.join("old"), folder.name("calls"));
    fs::write(&file, "old").unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    let words = format!("--ping -u -c 1 --hgrm {}", file.display());
    let traced = format!("exec strace -y -e trace=write,fchmod -o {calls} \"$0\" \"$@\"");
    let ended = run(client_to(server.udp(), &words).through_shell(&traced));
    if ended.code != 0 && !Path::new(&calls).exists() {
        return skipped("strace may not trace here");
    }
    assert_eq!(ended.code, 0, "{:?}", ended.err);
    let calls = fs::read_to_string(calls).unwrap();
    let ours = calls.lines().find(|line| line.contains("/.reactor-client-")).unwrap();
    assert!(ours.starts_with("fchmod("), "{ours}");
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
}
