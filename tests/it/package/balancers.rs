//! HAProxy and nginx as configured: under load one of three servers is killed, ended, or stopped.

use std::net::SocketAddr;
use std::os::unix::fs::MetadataExt;
use std::time::Duration;

use nix::sys::signal::Signal::{SIGKILL, SIGTERM};

use super::{packaged, started};
use crate::harness::{
    DEADLINE, Launch, Process, Scratch, Server, ServerBuilder, client_to, closed_port, have, private_loopback, run,
    skipped, undisturbed, wait_to_part, wait_until,
};
use crate::load::{Account, CLIENTS, Load};

/// Who gives up so soon comes again in time, were a server stopped.
const IMPATIENT: Duration = Duration::from_millis(500);

/// Three servers and the balancer before them, as a file of the package says how both are started.
struct Farm {
    words: String,
    addresses: [SocketAddr; 3],
    servers: Vec<Server>,
    front: SocketAddr,
    balancer: Balancer,
    _config: Scratch,
}

/// A balancer may have children, which end when it is asked to.
struct Balancer(Process);

impl Drop for Balancer {
    fn drop(&mut self) {
        if self.0.is_running() {
            self.0.signal(SIGTERM);
            wait_to_part("the balancer's end", || !self.0.is_running());
        }
    }
}

impl Farm {
    /// `file` with addresses of this machine in place of its own, started by `start`.
    fn new(file: &str, start: impl Fn(&Scratch) -> Launch) -> Farm {
        let addresses = [(); 3].map(|()| closed_port(private_loopback()));
        let front = closed_port(private_loopback());
        let mut text = packaged(file);
        let words = started(&text).replace("--host 10.0.0.11 ", "").replace("10.0.0.2", "127.0.0.1");
        // Here the clients have the balancer's address: all of them would be quiet. A second is drain enough.
        let words = words.replace(" --quiet-from 127.0.0.1", "");
        let words = words.replace("--drain 10", "--drain 1");
        for (number, address) in addresses.iter().enumerate() {
            let theirs = format!("10.0.0.{}:6666", 11 + number);
            assert!(text.contains(&theirs), "{file} does not know {theirs}");
            text = text.replace(&theirs, &address.to_string());
        }
        let bound = format!("bind {front}\n");
        let listens = format!("listen {front} ");
        text = text.replace("bind :6666\n", &bound).replace("listen 6666 ", &listens);
        let socket = Scratch::path("admin.sock");
        text = text.replace("/run/haproxy/admin.sock", socket.0.to_str().unwrap());
        if std::fs::metadata("/proc/self").is_ok_and(|own| own.uid() != 0) {
            // Who is nobody in particular stays who he is.
            text = text.replace("    user haproxy\n    group haproxy\n", "");
        }
        let config = Scratch::file(file, text);
        let servers = addresses.iter().map(|&address| listening(&words, address)).collect();
        let balancer = Balancer(start(&config).start());
        let farm = Farm { words, addresses, servers, front, balancer, _config: config };
        wait_until("service", || (run(client_to(front, "-zq -W 0.5")).code == 0).then_some(()));
        farm
    }

    /// What becomes of a load while something happens to a server.
    fn under(
        &mut self,
        load: fn(SocketAddr, Duration) -> Load,
        patience: Duration,
        event: impl FnOnce(&mut Farm),
    ) -> Account {
        let load = load(self.front, patience);
        self.wait_for_work();
        event(self);
        self.wait_for_work();
        load.end()
    }

    /// Until each server that runs has been told more.
    fn wait_for_work(&self) {
        for server in self.servers.iter().filter(|server| server.proc().state() != 'T') {
            let mark = server.stdout.count();
            wait_until("more work", || (server.stdout.count() > mark + 20).then_some(()));
        }
    }

    /// Until the balancer says this.
    fn wait_for_word(&self, word: &str) {
        self.balancer.0.stderr.find(word, |line| line.contains(word));
    }

    /// The first server is killed.
    fn kill(&mut self) {
        self.servers.remove(0).signal(SIGKILL);
    }

    /// The first server ends, in its own time.
    fn end(&mut self) {
        let mut server = self.servers.remove(0);
        server.signal(SIGTERM);
        assert_eq!(server.wait_exit(), 0);
    }

    /// The first server is started anew where it was. Who has a server keeps it; those who come get the new one, too.
    fn start_anew(&mut self, by: &str) {
        let server = listening(&self.words, self.addresses[0]);
        let is_found = || {
            run(client_to(self.front, &format!("-z {by} -q -W 0.5")));
            server.stdout.so_far().iter().any(|line| line.contains(" sent")).then_some(())
        };
        wait_until("somebody who finds it", is_found);
        self.servers.insert(0, server);
    }
}

fn listening(words: &str, address: SocketAddr) -> Server {
    ServerBuilder::new(&format!("{words} --host {} -p {}", address.ip(), address.port())).start()
}

fn haproxy() -> Option<Farm> {
    let start = |config: &Scratch| Launch::program("haproxy", &["-db", "-f", config.0.to_str().unwrap()]);
    have("haproxy").then(|| Farm::new("haproxy.cfg", start))
}

/// nginx, where it has the stream module.
fn nginx() -> Option<Farm> {
    if !have("nginx") {
        return None;
    }
    let plain = Scratch::file("stream.conf", "include /etc/nginx/modules-enabled/*.conf; events {} stream {}");
    let tried =
        run(Launch::program("nginx", &["-t", "-e", "stderr", "-c", plain.0.to_str().unwrap(), "-g", "pid /dev/null;"]));
    if tried.complaint().contains("unknown directive \"stream\"") {
        skipped("nginx has no stream module here");
        return None;
    }
    let start = |config: &Scratch| {
        let config = config.0.to_str().unwrap();
        let own = format!("daemon off; pid {config}.pid;");
        Launch::program("nginx", &["-e", "stderr", "-c", config, "-g", &own])
    };
    Some(Farm::new("nginx.conf", start))
}

/// Each of its clients lost one message at the most, and nobody was turned away.
#[track_caller]
fn expect_one_each(what: &str, account: &Account) {
    assert!(account.cut <= CLIENTS && account.refused == 0, "{what}: {} cut, {} refused", account.cut, account.refused);
    println!("{what}: {} of {} messages", account.cut, account.acknowledged.len() + account.cut);
}

/// The first server is killed, which the balancer tells by this word; it returns, and ends.
#[track_caller]
fn expect_one_each_of_killed_and_ended(farm: &mut Farm, word: &str) {
    let killed = farm.under(Load::tcp, DEADLINE, |farm| {
        farm.kill();
        farm.wait_for_word(word);
    });
    expect_one_each("killed", &killed);
    farm.start_anew("-t");
    let ended = farm.under(Load::tcp, DEADLINE, Farm::end);
    expect_one_each("ended", &ended);
}

#[test]
fn behind_haproxy_who_is_killed_or_ended_costs_a_client_one_message_at_the_most_and_who_is_hung_is_passed_over() {
    undisturbed(|| {
        let Some(mut farm) = haproxy() else { return };
        expect_one_each_of_killed_and_ended(&mut farm, "reactors/a is DOWN");
        // Who waits for a server that is stopped waits in vain until the checks have told.
        farm.under(Load::tcp, IMPATIENT, |farm| {
            farm.servers[1].stop();
            farm.wait_for_word("reactors/c is DOWN");
        });
        let without = farm.under(Load::tcp, DEADLINE, |_| {});
        assert_eq!((without.cut, without.refused), (0, 0));
        farm.servers[1].resume();
        farm.under(Load::tcp, DEADLINE, |_| {});
    });
}

#[test]
fn behind_nginx_who_is_killed_or_ended_costs_a_client_one_message_at_the_most() {
    undisturbed(|| {
        let Some(mut farm) = nginx() else { return };
        expect_one_each_of_killed_and_ended(&mut farm, "Connection re");
    });
}

#[test]
fn behind_nginx_datagrams_are_answered_whoever_is_killed_ended_or_hung() {
    undisturbed(|| {
        let Some(mut farm) = nginx() else { return };
        let expect = |what: &str, farm: &mut Farm, event: fn(&mut Farm)| {
            let account = farm.under(Load::udp, IMPATIENT, event);
            let (answered, failed) = (account.acknowledged.len(), account.lost + account.refused);
            assert!(answered > failed, "{what}: {answered} answered, {failed} not");
            println!("{what}: {failed} of {} datagrams", answered + failed);
        };
        expect("all well", &mut farm, |_| {});
        expect("killed", &mut farm, |farm| {
            farm.kill();
            farm.wait_for_word("Connection refused");
        });
        farm.start_anew("-u");
        expect("ended", &mut farm, Farm::end);
        expect("stopped", &mut farm, |farm| {
            farm.servers[1].stop();
            farm.wait_for_word("timed out");
        });
    });
}
