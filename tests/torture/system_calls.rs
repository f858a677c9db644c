//! Torture by system call: every fallible call of the loop fails with every error that it documents, once at each of
//! its first occurrences after the listening lines, and then all the time for a while.
//!
//! The server lives through all of it, whoever the failing call was not about loses nothing, whoever comes afterwards
//! is served, and the descriptors return to their number.

use std::time::{Duration, Instant};

use nix::sys::signal::Signal::SIGTERM;

use crate::fault::Fault;
use crate::harness::{DEADLINE, Peer, Server, ServerBuilder, wait_until};
use crate::talker::{Patience, Talker};
use crate::{alone, figure};

/// A system call, whom a failure of it may cost something, and the errors it documents (what TCP/IP adds included).
struct Call {
    name: &'static str,
    concerns: Concerns,
    errors: &'static str,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Concerns {
    /// Who is just coming.
    Newcomers,
    /// One TCP client, whoever it is.
    Clients,
    /// One datagram.
    Datagrams,
    /// The operator, or who reads the transcript: no client.
    Nobody,
}

const CALLS: [Call; 11] = [
    Call {
        name: "accept4",
        concerns: Concerns::Newcomers,
        errors: "ECONNABORTED EMFILE EAGAIN EINTR ENFILE ENOBUFS ENOMEM EPERM EPROTO EBADF EFAULT EINVAL ENOTSOCK \
                 EOPNOTSUPP ENETDOWN ENOPROTOOPT EHOSTDOWN ENONET EHOSTUNREACH ENETUNREACH ENOSR ESOCKTNOSUPPORT \
                 EPROTONOSUPPORT ETIMEDOUT",
    },
    Call {
        name: "recvfrom",
        concerns: Concerns::Clients,
        errors: "ECONNRESET EAGAIN EINTR ENOMEM ETIMEDOUT ECONNREFUSED EBADF EFAULT EINVAL ENOTCONN ENOTSOCK \
                 EHOSTUNREACH ENETUNREACH",
    },
    Call {
        name: "sendto",
        concerns: Concerns::Clients,
        errors: "EPIPE EAGAIN EINTR ENOBUFS ENOMEM ECONNRESET EACCES EALREADY EBADF EDESTADDRREQ EFAULT EINVAL EISCONN \
                 EMSGSIZE ENOTCONN ENOTSOCK EOPNOTSUPP ETIMEDOUT",
    },
    Call {
        name: "recvmmsg",
        concerns: Concerns::Datagrams,
        errors: "ECONNREFUSED EINTR EAGAIN ENOMEM EBADF EFAULT EINVAL ENOTCONN ENOTSOCK EHOSTUNREACH ENETUNREACH",
    },
    Call {
        name: "sendmmsg",
        concerns: Concerns::Datagrams,
        errors: "ECONNREFUSED EPERM EAGAIN EINTR ENOBUFS ENOMEM EACCES EALREADY EBADF ECONNRESET EDESTADDRREQ EFAULT \
                 EINVAL EISCONN EMSGSIZE ENOTCONN ENOTSOCK EOPNOTSUPP EPIPE EHOSTUNREACH ENETUNREACH",
    },
    Call { name: "read", concerns: Concerns::Nobody, errors: "EIO EAGAIN EINTR EBADF EFAULT EINVAL EISDIR" },
    Call {
        name: "write",
        concerns: Concerns::Nobody,
        errors: "EPIPE ENOSPC EAGAIN EINTR EIO EBADF EDESTADDRREQ EDQUOT EFAULT EFBIG EINVAL EPERM",
    },
    Call { name: "epoll_wait", concerns: Concerns::Nobody, errors: "EINVAL EINTR EBADF EFAULT" },
    Call {
        name: "epoll_ctl",
        concerns: Concerns::Newcomers,
        errors: "ENOSPC ENOMEM EBADF EEXIST EINVAL ELOOP ENOENT EPERM",
    },
    Call { name: "shutdown", concerns: Concerns::Newcomers, errors: "ENOTCONN EBADF EINVAL ENOTSOCK ENOBUFS" },
    // Not called once the server listens; that it stays so is seen here.
    Call { name: "setsockopt", concerns: Concerns::Nobody, errors: "EINVAL EBADF EFAULT ENOPROTOOPT ENOTSOCK" },
];

/// How much of all that is tried.
struct Extent {
    errors: usize,
    occurrences: &'static [usize],
    on_end: Duration,
}

#[test]
fn the_loop_survives_a_failure_of_every_system_call() {
    torture(&Extent { errors: 2, occurrences: &[1, 4], on_end: Duration::from_millis(200) });
}

/// Every error at the first 25 occurrences, and two seconds on end: within 30 minutes.
#[test]
#[ignore = "long: every call, every error, 25 occurrences and two seconds on end, within 30 minutes"]
fn the_loop_survives_every_failure_of_every_system_call() {
    let all: &[usize] = &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25];
    torture(&Extent { errors: usize::MAX, occurrences: all, on_end: Duration::from_secs(2) });
}

fn torture(extent: &Extent) {
    let _alone = alone();
    if !Fault::possible() {
        return;
    }
    for call in &CALLS {
        let began = Instant::now();
        let mut account = Account::default();
        let mut rounds = 0;
        for error in call.errors.split_ascii_whitespace().take(extent.errors) {
            let mut scene = Scene::new(call, error);
            for when in extent.occurrences {
                scene.fails_once(*when, &mut account);
                rounds += 1;
            }
            scene.fails_on_end(extent.on_end, &mut account);
            rounds += 1;
            scene.end();
        }
        let Account { injected, exchanges, lost, datagrams_lost } = account;
        let seconds = began.elapsed().as_secs_f64();
        figure(&format!(
            "{:10} {rounds} rounds, {injected} calls failed; of {exchanges} exchanges beside them {lost} lost where \
             the failure was theirs, {datagrams_lost} datagrams; {seconds:.1} s",
            call.name
        ));
        assert_eq!(injected > 0, call.name != "setsockopt", "failures of {}", call.name);
    }
}

#[derive(Default)]
struct Account {
    injected: usize,
    exchanges: usize,
    lost: usize,
    datagrams_lost: usize,
}

/// A server, three clients that stay, and one failure to come.
struct Scene {
    call: &'static Call,
    error: String,
    server: Server,
    residents: Vec<Talker>,
    udp: Peer,
    datagrams: Datagrams,
    /// Descriptors of a server without clients.
    descriptors: usize,
}

/// Datagrams sent and answers got.
#[derive(Default)]
struct Datagrams {
    sent: usize,
    got: usize,
}

impl Scene {
    fn new(call: &'static Call, error: &str) -> Scene {
        // A call that is made to say "nothing there" where there was something hides even the end of a stream: then
        // the idle timeout is what frees the connection.
        let idle = if lies(error) { 4 } else { 60 };
        let words = format!("--framing lines --max-message 16 --idle-timeout {idle} --grace 0.2");
        let server = ServerBuilder::new(&words).operated().start();
        let (descriptors, udp) = (server.proc().descriptors(), server.peer());
        let (error, datagrams) = (error.to_owned(), Datagrams::default());
        Scene { call, error, residents: Vec::new(), udp, datagrams, descriptors, server }
    }

    /// The call fails at this occurrence: one party at most may lose by it.
    fn fails_once(&mut self, when: usize, account: &mut Account) {
        self.populate();
        let fault = Fault::inject(&self.server, self.call.name, &self.error, &when.to_string());
        let mut lost = Vec::new();
        // So often each of the calls occurs, and twice more to see what is left behind.
        let mut steps = 0;
        let mut beyond = 0;
        while steps <= when && beyond < 2 {
            self.everybody_speaks(self.patience(DEADLINE), &mut lost, account);
            steps += 1;
            beyond += usize::from(fault.count() > 0);
        }
        account.injected += fault.count();
        drop(fault);
        let unanswered = self.settle_datagrams();
        let context = format!("{} fails with {} at occurrence {when}", self.call.name, self.error);
        let (allowed, allowed_datagrams) = match self.call.concerns {
            Concerns::Nobody => (0, 0),
            Concerns::Newcomers | Concerns::Clients => (1, 0),
            Concerns::Datagrams => (0, 1),
        };
        assert!(lost.len() <= allowed, "{context}: {lost:?}");
        assert!(unanswered <= allowed_datagrams, "{context}: {unanswered} datagrams were not answered");
        account.lost += lost.len();
        account.datagrams_lost += unanswered;
        self.recovers(&context);
    }

    /// The call fails each time for this long. Whom it is not about is served all the while; who is silent meanwhile
    /// loses nothing, and afterwards everybody is served again.
    fn fails_on_end(&mut self, duration: Duration, account: &mut Account) {
        self.populate();
        let context = format!("{} fails with {} on end", self.call.name, self.error);
        let fault = Fault::inject(&self.server, self.call.name, &self.error, "1+");
        let over = Instant::now() + duration;
        // With a poll that fails nobody is served, and nobody is lost.
        let residents_speak = self.call.concerns != Concerns::Clients && self.call.name != "epoll_wait";
        let brief = Patience { limit: Duration::ZERO, nudging: false };
        while Instant::now() < over {
            self.operator_types();
            if residents_speak {
                account.exchanges += self.residents.len();
                let patience = self.patience(DEADLINE);
                let lost = speak(&mut self.residents, patience);
                assert!(lost.is_empty(), "{context}: {lost:?}");
            }
            account.lost += usize::from(self.newcomer(brief).is_err());
            account.exchanges += 1;
            self.udp.send("hello");
            self.datagrams.sent += 1;
        }
        account.injected += fault.count();
        drop(fault);
        let patience = self.patience(DEADLINE);
        let lost = speak(&mut self.residents, patience);
        assert!(lost.is_empty(), "{context}, and afterwards: {lost:?}");
        account.datagrams_lost += self.settle_datagrams();
        self.recovers(&context);
    }

    /// Three clients, however many were lost before.
    fn populate(&mut self) {
        while self.residents.len() < 3 {
            let mut talker = Talker::connect(self.server.tcp());
            talker.exchange(Patience { limit: DEADLINE, nudging: false }).unwrap();
            self.residents.push(talker);
        }
    }

    fn everybody_speaks(&mut self, patience: Patience, lost: &mut Vec<String>, account: &mut Account) {
        self.operator_types();
        account.exchanges += self.residents.len() + 1;
        lost.extend(speak(&mut self.residents, patience));
        lost.extend(self.newcomer(patience).err());
        self.udp.send("hello");
        self.datagrams.sent += 1;
        let before = self.datagrams.got;
        let began = Instant::now();
        while self.datagrams.got == before && began.elapsed() < Duration::from_millis(100) {
            self.take_answers();
        }
    }

    fn operator_types(&mut self) {
        self.server.type_in("stats\n");
    }

    /// Comes, says something, then too much, and is dismissed.
    fn newcomer(&self, patience: Patience) -> Result<(), String> {
        let mut talker = Talker::connect(self.server.tcp());
        let _knock = patience.nudging.then(|| Talker::connect(self.server.tcp()));
        let told = talker.exchange(patience).and_then(|()| {
            talker.part(b"far more than is allowed\n", b"message too long\n", patience)
        });
        told.map_err(|lost| format!("a newcomer: {}", lost.0))
    }

    fn take_answers(&mut self) {
        while let Some(answer) = self.udp.poll() {
            assert_eq!(answer, b"check");
            self.datagrams.got += 1;
        }
        std::thread::yield_now();
    }

    /// Sees that datagrams are answered again, and gives how many of those before never were. They are answered in
    /// order: none of them can come later than these.
    fn settle_datagrams(&mut self) -> usize {
        let began = Instant::now();
        self.take_answers();
        let mut asked = 0;
        let before = self.datagrams.got;
        loop {
            self.udp.send("hello");
            asked += 1;
            self.datagrams.sent += 1;
            let nudge = Instant::now();
            while nudge.elapsed() < Duration::from_millis(300) {
                self.take_answers();
                if self.datagrams.got == self.datagrams.sent || self.datagrams.got > before && asked > 3 {
                    let lost = self.datagrams.sent - self.datagrams.got;
                    self.datagrams = Datagrams::default();
                    return lost;
                }
            }
            assert!(began.elapsed() < DEADLINE, "no datagram is answered any more");
        }
    }

    /// Who comes now is served, and nothing is left of who went.
    fn recovers(&mut self, context: &str) {
        assert!(self.server.is_running(), "{context}: the server is gone");
        wait_until("service", || {
            let brief = Patience { limit: Duration::from_secs(1), nudging: false };
            Talker::connect(self.server.tcp()).exchange(brief).is_ok().then_some(())
        });
        let (expected, proc) = (self.descriptors + self.residents.len(), self.server.proc());
        wait_until(&format!("{context}: {expected} descriptors"), || {
            let lost = speak(&mut self.residents, Patience { limit: DEADLINE, nudging: false });
            assert!(lost.is_empty(), "{context}, and afterwards: {lost:?}");
            (proc.descriptors() == expected).then_some(())
        });
    }

    /// It ends as it should, after everything.
    fn end(mut self) {
        self.residents.clear();
        self.server.signal(SIGTERM);
        assert_eq!(self.server.wait_exit(), 0);
    }

    fn patience(&self, limit: Duration) -> Patience {
        Patience { limit, nudging: lies(&self.error) }
    }
}

/// Whether this error says that there is nothing, to be asked again at the next event.
fn lies(error: &str) -> bool {
    error == "EAGAIN"
}

/// Each says something; those that are lost leave.
fn speak(residents: &mut Vec<Talker>, patience: Patience) -> Vec<String> {
    let mut lost = Vec::new();
    residents.retain_mut(|talker| match talker.exchange(patience) {
        Ok(()) => true,
        Err(why) => {
            lost.push(format!("a resident: {}", why.0));
            false
        }
    });
    lost
}
