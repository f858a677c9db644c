//! Torture by system call: every fallible call of the loop fails with every error that it documents, once at each of
//! its first occurrences after the listening lines, and then all the time for a while.
//!
//! The server lives through all of it, whoever the failing call was not about loses nothing, whoever comes afterwards
//! is served, and the descriptors return to their number.

use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal::SIGTERM;

use crate::calls::{CALLS, Call, Concerns};
use crate::fault::Fault;
use crate::harness::{DEADLINE, Peer, Server, ServerBuilder, wait_until};
use crate::talker::{Lost, Patience, Talker};
use crate::{alone, figure};

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
                if call.concerns == Concerns::Operator {
                    scene.end();
                    scene = Scene::new(call, error);
                }
                rounds += 1;
            }
            scene.fails_on_end(extent.on_end, &mut account);
            rounds += 1;
            scene.end();
        }
        let Account { injected, answered, clients_hit, datagrams_hit } = account;
        let seconds = began.elapsed().as_secs_f64();
        figure(&format!(
            "{:10} {rounds:3} rounds, {injected:6} calls failed, {answered:6} exchanges beside them answered, hit: \
             {clients_hit} clients, {datagrams_hit} datagrams; {seconds:.1} s",
            call.name
        ));
        assert_eq!(injected > 0, call.name != "setsockopt", "failures of {}", call.name);
    }
}

/// What came of it.
#[derive(Default)]
struct Account {
    /// Calls that failed.
    injected: usize,
    /// Messages of clients that were acknowledged while one was to fail.
    answered: usize,
    /// Clients lost to a failure of a call for them.
    clients_hit: usize,
    /// Datagrams unanswered by a failure of a call for them.
    datagrams_hit: usize,
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

/// Errors that say what is short.
const SHORTAGES: [&str; 4] = ["EMFILE", "ENFILE", "ENOBUFS", "ENOMEM"];
/// So often at most a failing call is tried for one reason to try it.
const LOOK: usize = 10;

/// As many answers at once as our own socket has room for.
const UNANSWERED: usize = 100;

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
        // Where each answer says which address it leaves from, even one alone goes by sendmmsg.
        let host = if call.name == "sendmmsg" { "0.0.0.0" } else { "127.0.0.1" };
        let words = format!("--host {host} --framing lines --max-message 16 --idle-timeout {idle} --grace 0.2");
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
        let hung: Vec<_> = lost.iter().filter(|lost| matches!(lost, Lost::Hung(_))).collect();
        assert!(hung.is_empty(), "{context}: {hung:?}");
        let (allowed, allowed_datagrams) = self.may_cost();
        assert!(lost.len() <= allowed, "{context}: {lost:?}");
        assert!(unanswered <= allowed_datagrams, "{context}: {unanswered} datagrams were not answered");
        account.clients_hit += lost.len();
        account.datagrams_hit += unanswered;
        self.recovers(&context);
    }

    /// How many clients and datagrams one failure may cost.
    fn may_cost(&self) -> (usize, usize) {
        match (self.call.concerns, self.call.name, self.error.as_str()) {
            // Told that the server is full, since a descriptor was had only by giving up the spare one.
            (_, "accept4", "EMFILE" | "ENFILE") => (1, 0),
            // The client still waits, or has got all it is owed.
            (_, "accept4" | "shutdown", _) => (0, 0),
            (Concerns::Newcomers | Concerns::Clients, ..) => (1, 0),
            (Concerns::Datagrams, ..) => (0, 1),
            (Concerns::Answers, ..) => (1, 1),
            (Concerns::Operator | Concerns::Nobody, ..) => (0, 0),
        }
    }

    /// The call fails each time for this long. Whom it is not about is served all the while; who is silent meanwhile
    /// loses nothing, and afterwards everybody is served again.
    fn fails_on_end(&mut self, duration: Duration, account: &mut Account) {
        self.populate();
        let context = format!("{} fails with {} on end", self.call.name, self.error);
        let fault = Fault::inject(&self.server, self.call.name, &self.error, "1+");
        let over = Instant::now() + duration;
        // With a poll that fails nobody is served, and nobody is lost.
        let clients_hit = matches!(self.call.concerns, Concerns::Clients | Concerns::Answers);
        let residents_speak = !clients_hit && self.call.name != "epoll_wait";
        let brief = Patience { limit: Duration::ZERO, nudging: false };
        // Whatever makes the server look again.
        let mut knocks = 0;
        while Instant::now() < over {
            knocks += 2;
            self.operator_types();
            if residents_speak {
                let patience = self.patience(DEADLINE);
                let lost = speak(&mut self.residents, patience);
                assert!(lost.is_empty(), "{context}: {lost:?}");
                account.answered += self.residents.len();
            }
            // Whatever becomes of them: they are part of the trouble.
            let _ = self.newcomer(brief);
            if self.datagrams.sent < self.datagrams.got + UNANSWERED {
                self.udp.send("hello");
                self.datagrams.sent += 1;
            }
            while self.take_answer() {}
        }
        let failed = fault.count();
        drop(fault);
        account.injected += failed;
        // What is short will not be there at once: trying on and on would take the processor from everybody.
        if matches!(self.call.name, "accept4" | "recvmmsg") && SHORTAGES.contains(&self.error.as_str()) {
            let looks = knocks + 20 + duration.as_millis() as usize / 50;
            assert!(failed <= LOOK * looks, "{context}: tried {failed} times, for {knocks} knocks");
        }
        let patience = self.patience(DEADLINE);
        let lost = speak(&mut self.residents, patience);
        assert!(lost.is_empty(), "{context}, and afterwards: {lost:?}");
        let unanswered = self.settle_datagrams();
        let theirs = matches!(self.call.concerns, Concerns::Datagrams | Concerns::Answers);
        assert!(unanswered == 0 || theirs, "{context}: {unanswered} datagrams were not answered");
        account.datagrams_hit += unanswered;
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

    fn everybody_speaks(&mut self, patience: Patience, lost: &mut Vec<Lost>, account: &mut Account) {
        self.operator_types();
        let before = lost.len();
        account.answered += self.residents.len() + 1;
        lost.extend(speak(&mut self.residents, patience));
        lost.extend(self.newcomer(patience).err());
        account.answered -= lost.len() - before;
        self.udp.send("hello");
        self.datagrams.sent += 1;
        self.await_answers(Duration::from_millis(50));
    }

    fn operator_types(&mut self) {
        self.server.type_in("stats\n");
    }

    /// Comes, says something, then too much, and is dismissed.
    fn newcomer(&self, patience: Patience) -> Result<(), Lost> {
        let mut talker = Talker::connect(self.server.tcp());
        talker
            .exchange(patience)
            .and_then(|()| talker.part(b"far more than is allowed\n", b"message too long\n", patience))
    }

    /// Sees that datagrams are answered again, and gives how many of those before never were.
    fn settle_datagrams(&mut self) -> usize {
        // Long enough for an answer that must come; where one may be lost, this long is waited for it each time.
        let silence = match self.call.concerns {
            Concerns::Datagrams | Concerns::Answers => Duration::from_millis(300),
            _ => Duration::from_secs(2),
        };
        let before = self.datagrams.got;
        let began = Instant::now();
        while self.datagrams.got == before {
            assert!(began.elapsed() < DEADLINE, "no datagram is answered any more");
            self.udp.send("hello");
            self.datagrams.sent += 1;
            self.await_answers(Duration::from_millis(100));
        }
        self.await_answers(silence);
        let Datagrams { sent, got } = std::mem::take(&mut self.datagrams);
        sent - got
    }

    /// Takes answers until all are there, or none has come for so long.
    fn await_answers(&mut self, silence: Duration) {
        let mut last = Instant::now();
        while self.datagrams.got < self.datagrams.sent && last.elapsed() < silence {
            if self.take_answer() {
                last = Instant::now();
            } else {
                thread::sleep(Duration::from_micros(50));
            }
        }
        // Whoever was off the processor for so long finds what came meanwhile.
        while self.take_answer() {}
    }

    /// Whether an answer was there.
    fn take_answer(&mut self) -> bool {
        let answer = self.udp.poll();
        assert!(answer.as_ref().is_none_or(|answer| answer == b"check"), "{answer:?}");
        self.datagrams.got += usize::from(answer.is_some());
        answer.is_some()
    }

    /// Who comes now is served, and nothing is left of who went.
    fn recovers(&mut self, context: &str) {
        assert!(self.server.is_running(), "{context}: the server is gone");
        wait_until("service", || {
            let brief = Patience { limit: Duration::from_secs(1), nudging: false };
            Talker::connect(self.server.tcp()).exchange(brief).is_ok().then_some(())
        });
        let (expected, proc) = (self.descriptors + self.residents.len(), self.server.proc());
        let given_up = usize::from(self.call.concerns == Concerns::Operator);
        let expected = expected - given_up..=expected;
        wait_until(&format!("{context}: {expected:?} descriptors"), || {
            let lost = speak(&mut self.residents, Patience { limit: DEADLINE, nudging: false });
            assert!(lost.is_empty(), "{context}, and afterwards: {lost:?}");
            expected.contains(&proc.descriptors()).then_some(())
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
fn speak(residents: &mut Vec<Talker>, patience: Patience) -> Vec<Lost> {
    let mut lost = Vec::new();
    residents.retain_mut(|talker| match talker.exchange(patience) {
        Ok(()) => true,
        Err(why) => {
            lost.push(why);
            false
        }
    });
    lost
}
