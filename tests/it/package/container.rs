//! The Containerfile, without an engine: its files in an empty root, its user, its command.

use std::env;
use std::fs::{self, Permissions};
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use nix::sys::signal::Signal::SIGTERM;

use super::packaged;
use crate::harness::{Client, Launch, Peer, Scratch, ServerBuilder, can_be_shut_in, run, skipped};

/// What stands behind a word of the Containerfile.
#[track_caller]
fn line(word: &str) -> String {
    let file = packaged("Containerfile");
    let line = file.lines().find_map(|line| line.strip_prefix(word)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("no {word} in it")).to_owned()
}

/// An empty root with the programs in it, as the image has them.
struct Root {
    folder: Scratch,
    _programs: Vec<Scratch>,
}

impl Root {
    /// Of static programs in this folder.
    #[track_caller]
    fn with(built: &str) -> Root {
        assert_eq!(line("FROM"), "scratch");
        let folder = Scratch::folder("root");
        let copied = line("COPY");
        let copied = copied.strip_suffix(" /").expect("they are copied elsewhere").split(' ');
        let programs = copied.map(|program| {
            let name = program.strip_prefix("${BUILT}/").expect("it was not built");
            let there = Scratch(folder.0.join(name));
            fs::copy(Path::new(built).join(name), &there.0).unwrap();
            there
        });
        let programs = programs.collect();
        fs::set_permissions(&folder.0, Permissions::from_mode(0o555)).unwrap();
        Root { folder, _programs: programs }
    }

    /// A program in it, as the image's user.
    fn launch(&self, words: &[&str]) -> Launch {
        let user = line("USER");
        let (user, group) = user.split_once(':').expect("no group");
        let own = [
            format!("--map-user={user}"),
            format!("--map-group={group}"),
            format!("--root={}", self.folder.0.display()),
        ];
        let own = ["-U"].into_iter().chain(own.iter().map(String::as_str));
        Launch::program("unshare", &own.chain(words.iter().copied()).collect::<Vec<_>>())
    }
}

#[test]
fn in_an_empty_root_the_static_programs_serve_and_ask() {
    let Ok(built) = env::var("STATIC_PROGRAMS") else {
        skipped("no STATIC_PROGRAMS were built, `.ci/run` does it");
        return;
    };
    if !can_be_shut_in() {
        return;
    }
    let root = Root::with(&built);
    let words = |word| serde_json::from_str::<Vec<String>>(&line(word)).unwrap();
    let command = [words("ENTRYPOINT"), words("CMD"), vec!["-p".to_owned(), "0".to_owned()]].concat();
    // Nobody waits for the end of the drain here.
    let command: Vec<_> = command.iter().map(|word| if word == "10" { "0" } else { word }).collect();
    let mut server = ServerBuilder::of(root.launch(&command), 2).start();
    let at = SocketAddr::from((Ipv4Addr::LOCALHOST, server.tcp().port()));
    let mut client = Client::connect(at);
    client.exchange("hello", "ACK");
    Peer::connect(at).check("hello");
    let port = at.port().to_string();
    let asked = run(root.launch(&["/reactor-client", "-ztu", "127.0.0.1", &port]));
    assert_eq!(asked.code, 0, "{:?} {:?}", asked.out, asked.err);
    // The file says so: nobody resolves names here.
    let named = run(root.launch(&["/reactor-client", "-z", "localhost", &port]));
    assert_eq!((named.code, named.out.len()), (2, 1), "{:?} {:?}", named.out, named.err);
    drop(client);
    server.signal(SIGTERM);
    assert_eq!(server.wait_exit(), 0);
}
