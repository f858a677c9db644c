//! `--hgrm` and `--plot` where they name what is no ordinary file: pipes, devices, our own stdout; and names refused.

use std::fs::{self, File};
use std::io::Read;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::Duration;

use nix::sys::stat::Mode;
use nix::unistd::mkfifo;

use crate::harness::{
    FarUdp, Launch, Output, Scratch, calm, client_to, closed_port, end_of, private_loopback, run, server, sooner_than,
    timed, undisturbed,
};
use crate::ping_files::Folder;

#[test]
fn a_name_that_does_not_fit_is_refused() {
    for (option, name) in [
        ("--plot", "x.png"),
        ("--plot", "x"),
        ("--plot", "svg"),
        ("--plot", ".svg.gz"),
        ("--plot", "-"),
        ("--hgrm", "-"),
    ] {
        let ended = run(Launch::client(&["--ping", option, name]));
        assert_eq!((ended.code, ended.out.len(), ended.err.len()), (2, 0, 1), "{option} {name}: {:?}", ended.err);
        let sentence = &ended.err[0];
        assert!(sentence.contains(option) && sentence.contains(&format!("'{name}'")), "{sentence}");
        assert!(name == "-" || sentence.contains(".svg"), "{sentence}");
        assert!(!Path::new(name).exists(), "a refused run makes no file");
    }
    let (server, folder) = (server("-u"), Folder::new("endings"));
    let ended = run(client_to(server.udp(), &format!("--ping -u -c 1 --plot {}", folder.name("LOUD.SVG"))));
    assert_eq!(ended.code, 0, "{:?}", ended.err);
}

#[test]
fn a_device_is_written_directly() {
    undisturbed(|| {
        let server = server("-u");
        let ended = calm(|| client_to(server.udp(), "--ping -u -q -c 2 -i 0.01 --plot /dev/full"));
        assert_eq!(ended.code, 1);
        assert!(ended.out[2].starts_with("2 sent, 2 acknowledged"), "{:?}", ended.out);
        assert!(ended.complaint().contains("'/dev/full': No space left on device"), "{:?}", ended.err);
        let ended = calm(|| client_to(server.udp(), "--ping -u -q -c 2 -i 0.01 --plot /dev/null --hgrm /dev/null"));
        assert_eq!(ended.code, 0, "{:?}", ended.err);
        assert!(!Path::new("/dev/null.response").exists(), "a device takes both distributions");
    });
}

#[test]
fn a_fifo_does_not_hold_the_probes() {
    undisturbed(|| {
        let (server, folder) = (server("-u"), Folder::new("fifo"));
        mkfifo(&folder.0.join("pipe.svg"), Mode::S_IRWXU).unwrap();
        let options = format!("--ping -u -c 3 -i 0.01 --plot {}", folder.name("pipe.svg"));
        let mut client = client_to(server.udp(), &options).start();
        client.stdout.find("the figures", |line| line.starts_with("3 sent, 3 acknowledged"));
        assert!(client.is_running(), "it waits for a reader");
        let mut svg = String::new();
        File::open(folder.0.join("pipe.svg")).unwrap().read_to_string(&mut svg).unwrap();
        assert!(svg.starts_with("<svg ") && svg.ends_with("</svg>\n"));
        assert_eq!(client.wait_exit(), 0);
    });
}

#[test]
fn a_fifo_that_nobody_reads_ends_with_an_interrupt() {
    undisturbed(|| {
        let (server, folder) = (server("-u"), Folder::new("fifo-alone"));
        for (file, reader) in [("unread", false), ("stuck", true)] {
            mkfifo(&folder.0.join(file), Mode::S_IRWXU).unwrap();
            // More than a pipe takes: percentiles of many values.
            let options = format!("--ping -u -q -c 2000 -i 0 --hgrm {}", folder.name(file));
            // A reader that reads nothing; opened for both, so that it does not wait itself.
            let held = reader.then(|| File::options().read(true).write(true).open(folder.0.join(file)).unwrap());
            if let Some(held) = &held {
                nix::fcntl::fcntl(held, nix::fcntl::FcntlArg::F_SETPIPE_SZ(4096)).unwrap();
            }
            let mut client = client_to(server.udp(), &options).start();
            client.stdout.find("the figures", |line| line.starts_with("2000 sent"));
            std::thread::sleep(Duration::from_millis(300));
            assert!(client.is_running());
            client.signal(nix::sys::signal::Signal::SIGINT);
            let (ended, took) = timed(|| end_of(&mut client));
            assert_eq!(ended.code, 1, "{:?}", ended.err);
            assert!(took < Duration::from_secs(3), "{took:?}");
            assert!(ended.complaint().contains(&format!("'{}'", folder.name(file))), "{:?}", ended.err);
        }
    });
}

/// What was due and not sent is forgiven where an interrupt ended the run, and there alone.
#[test]
fn an_interrupt_behind_the_run_s_own_end_forgives_nothing() {
    undisturbed(|| {
        let (far, folder) = (FarUdp::new(), Folder::new("fifo-after"));
        let pipe = folder.0.join("pipe");
        mkfifo(&pipe, Mode::S_IRWXU).unwrap();
        // The second is due while the only port there is waits for the answer to the first.
        let own = closed_port(private_loopback());
        let options = format!("--ping -u --plain -c 2 -i 0.05 -W 10 -I {own} --hgrm {}", folder.name("pipe"));
        let mut client = client_to(far.address(), &options).start();
        far.expect("hello");
        client.stderr.find("its own want", |line| line.ends_with("is still out"));
        far.say(own, "check");
        client.stdout.find("the figures", |line| line == "1 due, not sent");
        client.signal(nix::sys::signal::Signal::SIGINT);
        // Long enough for it to hear that, as a rule, and too short for it to give up: either way the code is 1.
        std::thread::sleep(Duration::from_millis(150));
        let reader = File::options().read(true).custom_flags(nix::libc::O_NONBLOCK).open(&pipe).unwrap();
        assert_eq!(client.wait_exit(), 1);
        drop(reader);
    });
}

#[test]
fn our_own_stdout_takes_them_behind_the_summary() {
    undisturbed(|| {
        let server = server("-u");
        let check = |out: &[String]| {
            assert!(out[2].starts_with("2 sent"), "{out:?}");
            let heads = out.iter().filter(|line| line.starts_with("       Value     Percentile")).count();
            assert_eq!(heads, 2, "{out:?}");
            assert!(out.iter().position(|line| line.starts_with("       Value")) > Some(4), "{out:?}");
        };
        let options = "--ping -u -q -c 2 -i 0.01 --hgrm /dev/stdout";
        let ended = run(client_to(server.udp(), options));
        assert_eq!(ended.code, 0, "{:?}", ended.err);
        check(&ended.out);
        // As a file, it is not begun anew and not replaced.
        let scratch = Scratch::file("stdout", "before\n");
        let file = File::options().append(true).open(&scratch.0).unwrap();
        let mut client = client_to(server.udp(), options).stdout(Output::Given(file.into())).start();
        assert_eq!(client.wait_exit(), 0);
        let text = fs::read_to_string(&scratch.0).unwrap();
        let lines: Vec<String> = text.lines().map(str::to_owned).collect();
        assert_eq!(lines[0], "before");
        check(&lines[1..]);
    });
}

#[test]
fn two_names_of_one_file_are_refused() {
    let folder = Folder::new("same");
    std::os::unix::fs::symlink("one.svg", folder.0.join("two.svg")).unwrap();
    let ended = run(Launch::client(&["--ping", "--hgrm", &folder.name("one.svg"), "--plot", &folder.name("two.svg")]));
    assert_eq!((ended.code, ended.out.len(), ended.err.len()), (2, 0, 1), "{:?}", ended.err);
    assert!(ended.err[0].contains("a file of its own"), "{:?}", ended.err);
}

#[test]
fn writing_is_not_waited_for_longer_than_it_takes() {
    let (server, folder) = (server("-u"), Folder::new("quick"));
    sooner_than(Duration::from_secs(2), || {
        let (ended, took) =
            timed(|| run(client_to(server.udp(), &format!("--ping -u -q -c 2 -i 0 --hgrm {}", folder.name("x")))));
        assert_eq!(ended.code, 0, "{:?}", ended.err);
        took
    });
}
