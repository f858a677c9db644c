//! A network, file systems and processes of a test's own, in namespaces that go with the program started in them.

use std::process::Command;

use super::{ENVIRONMENT, Launch, output, skipped};

/// User, network, mount and process namespaces; whatever runs there ends with the first of its processes.
const UNSHARE: [&str; 3] = ["-Urnmpf", "--mount-proc", "--kill-child"];

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
