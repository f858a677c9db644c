//! Names with several addresses, in a mount namespace of the client's own.

use std::fs::File;
use std::io::Write;
use std::net::IpAddr;
use std::process::Command;

use super::talker::Scratch;
use super::{ENVIRONMENT, Launch, client_under_test, output, skipped};

/// Host names that only the programs started under them see.
pub(crate) struct Names {
    hosts: Scratch,
}

impl Names {
    /// `several` stands for these addresses, in this order. `None` (and a word of it) where the system permits no namespace.
    #[track_caller]
    pub(crate) fn several(test: &str, addresses: &[IpAddr]) -> Option<Names> {
        let hosts: String = addresses.iter().map(|address| format!("{address} several\n")).collect();
        let names = Names { hosts: Scratch::file(&format!("hosts-{test}"), hosts) };
        if names.resolve() == addresses {
            return Some(names);
        }
        skipped("this system gives no namespace with host names of our own");
        None
    }

    /// One more name, for clients that run already, too.
    pub(crate) fn add(&self, name: &str, address: IpAddr) {
        let mut hosts = File::options().append(true).open(&self.hosts.0).unwrap();
        hosts.write_all(format!("{address} {name}\n").as_bytes()).unwrap();
    }

    /// From now on `several` stands for these addresses alone, for clients that run already, too.
    pub(crate) fn move_to(&self, addresses: &[IpAddr]) {
        let hosts: String = addresses.iter().map(|address| format!("{address} several\n")).collect();
        // The file that is mounted there, not another of its name.
        File::options().write(true).truncate(true).open(&self.hosts.0).unwrap().write_all(hosts.as_bytes()).unwrap();
    }

    /// The client with these words, in the namespace.
    pub(crate) fn client(&self, args: &str) -> Launch {
        let client = client_under_test();
        let script = self.script("exec \"$0\" \"$@\"");
        let words: Vec<&str> =
            ["-Urm", "sh", "-c", &script, &client].into_iter().chain(args.split_whitespace()).collect();
        Launch::program("unshare", &words)
    }

    fn script(&self, then: &str) -> String {
        format!("mount --bind {} /etc/hosts && {then}", self.hosts.0.display())
    }

    /// What `several` is there, as the system resolves it.
    fn resolve(&self) -> Vec<IpAddr> {
        let script = self.script("getent ahosts several");
        let mut command = Command::new("unshare");
        command.args(["-Urm", "sh", "-c", &script]).env_clear().envs(ENVIRONMENT);
        let Ok(output) = output(&mut command) else { return Vec::new() };
        let text = String::from_utf8_lossy(&output.stdout);
        let streams = text.lines().filter(|line| line.contains("STREAM"));
        streams.filter_map(|line| line.split_whitespace().next()?.parse().ok()).collect()
    }
}
