//! A network, file systems and processes of a test's own, in namespaces that go with the program started in them.

use std::process::Command;

use super::{ENVIRONMENT, Launch, client_under_test, output, server_under_test, skipped};

/// User, network, mount and process namespaces; whatever runs there ends with the first of its processes.
const UNSHARE: [&str; 3] = ["-Urnmpf", "--mount-proc", "--kill-child"];

/// Whether a program can be started in user and network namespaces of its own; where not, the test says that it is skipped.
#[allow(dead_code, reason = "not every tree of tests does")]
#[track_caller]
pub(crate) fn can_be_shut_in() -> bool {
    let tried = output(Command::new("unshare").args(["-Urn", "true"]).env_clear().envs(ENVIRONMENT));
    let can = tried.is_ok_and(|output| output.status.success());
    if !can {
        skipped("no namespace can be made here");
    }
    can
}

/// What is done in namespaces of our own before a program starts there.
pub(crate) struct Namespace {
    script: String,
}

impl Namespace {
    /// Namespaces with the loopback up, prepared by the shell lines `set_up`. `None` (and a word of it) where this
    /// system does not let them be made or prepared so.
    pub(crate) fn new(set_up: &str) -> Option<Namespace> {
        let namespace = Namespace { script: format!("set -e\nip link set lo up\n{set_up}\n") };
        let mut command = Command::new("unshare");
        command.args(UNSHARE).args(["sh", "-c", &namespace.script]).env_clear().envs(ENVIRONMENT);
        let outcome = output(&mut command);
        if outcome.as_ref().is_ok_and(|output| output.status.success()) {
            return Some(namespace);
        }
        let why = outcome.map_or_else(|error| error.to_string(), |o| String::from_utf8_lossy(&o.stderr).into_owned());
        skipped(&format!("this system gives no such namespace: {}", why.trim()));
        None
    }

    /// Namespaces with one more beside them: a router, by which everything leads, and which is told by the shell lines
    /// `routes` what it has no way to.
    pub(crate) fn behind_router(routes: &str) -> Option<Namespace> {
        Namespace::new(&format!(
            "unshare -n sleep 1000 > /dev/null 2>&1 & router=$!
             own=$(readlink /proc/self/ns/net)
             until [ \"$(readlink /proc/$router/ns/net)\" != \"$own\" ]; do sleep 0.02; done
             ip link add near type veth peer name far netns /proc/$router/ns/net
             ip link set near up
             ip address add 10.77.0.2/24 dev near
             ip address add fd77::2/64 dev near nodad
             nsenter -t $router -n sh -e -c 'ip link set lo up
                 ip link set far up
                 ip address add 10.77.0.1/24 dev far
                 ip address add fd77::1/64 dev far nodad
                 for forwards in ipv4/ip_forward ipv6/conf/all/forwarding; do echo 1 > /proc/sys/net/$forwards; done
                 for limit in ipv4/icmp_ratelimit ipv6/icmp/ratelimit; do echo 0 > /proc/sys/net/$limit; done
                 {routes}'
             ip route add default via 10.77.0.1
             ip -6 route add default via fd77::1"
        ))
    }

    /// Has a shell run `script` there; `"$0" "$@"` stands for `program` and the words of `args`.
    pub(crate) fn run(&self, program: &str, args: &str, script: &str) -> Launch {
        let script = self.script.clone() + script;
        let words = UNSHARE.into_iter().chain(["sh", "-c", &script, program]).chain(args.split_whitespace());
        Launch::program("unshare", &words.collect::<Vec<&str>>())
    }

    /// The client there.
    pub(crate) fn client(&self, args: &str) -> Launch {
        self.run(env!("CARGO_BIN_EXE_reactor-client"), args, "exec \"$0\" \"$@\"")
    }
}

/// The guide's own lab: client, router and server in namespaces.
const LAB: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src/guide/lab.sh");

/// A path with a router on it that obeys rules.
#[allow(dead_code, reason = "not every tree of tests crosses it")]
pub(crate) struct Lab {
    rules: String,
}

#[allow(dead_code, reason = "not every tree of tests crosses it")]
impl Lab {
    /// One whose router obeys these shell lines. `None` (and a word of it) where this system does not let it be made.
    pub(crate) fn new(rules: &[&str]) -> Option<Lab> {
        let lab = Lab { rules: rules.join("\n") };
        let mut command = Command::new("sh");
        command.args([LAB, &lab.rules, "true"]).env_clear().envs(ENVIRONMENT);
        let outcome = output(&mut command);
        if outcome.as_ref().is_ok_and(|output| output.status.success()) {
            return Some(lab);
        }
        let why = outcome.map_or_else(|error| error.to_string(), |o| String::from_utf8_lossy(&o.stderr).into_owned());
        skipped(&format!("this system gives no such lab: {}", why.trim()));
        None
    }

    /// The client there, once a server with these options answers at the far end over both families.
    pub(crate) fn client(&self, options: &str, args: &str) -> Launch {
        let (server, client) = (server_under_test(), client_under_test());
        let script = format!(
            "nsenter -t $far -n {server} -q --host :: {options} < /dev/null > /dev/null &
             for host in 10.78.0.2 fd78::2; do
                 until \"$0\" -ztuq {options} $host -W 0.2 2> /dev/null; do :; done
             done
             exec \"$0\" \"$@\""
        );
        let words = [LAB, &self.rules, "sh", "-c", &script, &client].into_iter().chain(args.split_whitespace());
        Launch::program("sh", &words.collect::<Vec<&str>>())
    }
}
