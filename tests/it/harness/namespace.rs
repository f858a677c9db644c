//! A network, file systems and processes of a test's own, in namespaces that go with the program started in them.

use std::process::Command;

use super::{ENVIRONMENT, Launch, output, skipped};

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

/// Makes one more network namespace, in which `$made` sleeps.
const ONE_MORE: &str = "one_more() {
    unshare -n sleep 1000 > /dev/null 2>&1 & made=$!
    own=$(readlink /proc/self/ns/net)
    until [ \"$(readlink /proc/$made/ns/net)\" != \"$own\" ]; do sleep 0.02; done
}";

/// Has a router pass packets on, and say at once and always what it cannot.
const ROUTER: &str =
    "for forwards in ipv4/ip_forward ipv6/conf/all/forwarding; do echo 1 > /proc/sys/net/$forwards; done
    for limit in ipv4/icmp_ratelimit ipv6/icmp/ratelimit; do echo 0 > /proc/sys/net/$limit; done";

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
            "{ONE_MORE}
             one_more; router=$made
             ip link add near type veth peer name far netns /proc/$router/ns/net
             ip link set near up
             ip address add 10.77.0.2/24 dev near
             ip address add fd77::2/64 dev near nodad
             nsenter -t $router -n sh -e -c 'ip link set lo up
                 ip link set far up
                 ip address add 10.77.0.1/24 dev far
                 ip address add fd77::1/64 dev far nodad
                 {ROUTER}
                 {routes}'
             ip route add default via 10.77.0.1
             ip -6 route add default via fd77::1"
        ))
    }

    /// Namespaces with two more beside them: a router, and behind it the host `10.78.0.2`, `fd78::2`, where a process is
    /// `$far`. The router's links are `west` (to us) and `east`; the shell lines `rules` tell it what else it does.
    #[allow(dead_code, reason = "not every tree of tests does")]
    pub(crate) fn across_router(rules: &str) -> Option<Namespace> {
        Namespace::new(&format!(
            "{ONE_MORE}
             one_more; router=$made; one_more; far=$made
             ip link add near type veth peer name west netns /proc/$router/ns/net
             ip link set near up
             ip address add 10.77.0.2/24 dev near
             ip address add fd77::2/64 dev near nodad
             nsenter -t $router -n env far=$far sh -e -c 'ip link set lo up
                 ip link set west up
                 ip address add 10.77.0.1/24 dev west
                 ip address add fd77::1/64 dev west nodad
                 ip link add east type veth peer name home netns /proc/$far/ns/net
                 ip link set east up
                 ip address add 10.78.0.1/24 dev east
                 ip address add fd78::1/64 dev east nodad
                 {ROUTER}
                 {rules}'
             nsenter -t $far -n sh -e -c 'ip link set lo up
                 ip link set home up
                 ip address add 10.78.0.2/24 dev home
                 ip address add fd78::2/64 dev home nodad
                 ip route add default via 10.78.0.1
                 ip -6 route add default via fd78::1'
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
