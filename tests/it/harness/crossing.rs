//! What a path in a box does, by its seed, and the client as an instrument through one.

use std::net::SocketAddr;

use serde_json::Value;

use super::{Counts, Ended, Path, Process, client_to, end_of, last_object};

/// The odds of one direction.
#[derive(Clone, Copy, Default)]
pub(crate) struct Odds {
    pub(crate) drop: f64,
    pub(crate) duplicate: f64,
    pub(crate) reorder: f64,
}

/// The number that a line's dice show at this throw: splitmix64, as it was published, can be asked for any.
pub(crate) fn throw(seed: u64, line: u64, throw: usize) -> f64 {
    let state = (seed * 4 + line).wrapping_add(0x9e37_79b9_7f4a_7c15_u64.wrapping_mul(throw as u64 + 1));
    let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    ((mixed ^ (mixed >> 31)) >> 11) as f64 / 2_f64.powi(53)
}

/// What arrives of the datagrams of these numbers, where none is held back for lack of a next one, and the counts.
pub(crate) fn fates(seed: u64, line: u64, odds: Odds, numbers: impl Iterator<Item = usize>) -> (Vec<usize>, Counts) {
    let (mut arrives, mut counts, mut held) = (Vec::new(), Counts::default(), None);
    for number in numbers {
        let [drop, duplicate, reorder] = [0, 1, 2].map(|which| throw(seed, line, number * 4 + which));
        if drop < odds.drop {
            counts.dropped += 1;
            continue;
        }
        let copies = if duplicate < odds.duplicate { 2 } else { 1 };
        counts.passed += 1;
        counts.duplicated += copies - 1;
        if reorder < odds.reorder && held.is_none() {
            held = Some((number, copies));
            continue;
        }
        arrives.extend([number].repeat(copies));
        if let Some((number, copies)) = held.take() {
            counts.reordered += 1;
            arrives.extend([number].repeat(copies));
        }
    }
    arrives.extend(held.into_iter().flat_map(|(number, copies)| [number].repeat(copies)));
    (arrives, counts)
}

impl std::ops::AddAssign for Counts {
    fn add_assign(&mut self, more: Counts) {
        self.passed += more.passed;
        self.dropped += more.dropped;
        self.duplicated += more.duplicated;
        self.reordered += more.reordered;
    }
}

/// A seed with which these faults, by the way that they are on, hit a few of so many datagrams, none of them one of the
/// first thirty or the last ten, and no two of them close to each other: what befalls those before the first answer and
/// behind the last one is not always known, and one fault may hide another.
pub(crate) fn seed(probes: usize, faults: &[(u64, Odds)]) -> u64 {
    let is_hit = |seed, line, odds: Odds, number: usize| {
        let [drop, duplicate, reorder] = [0, 1, 2].map(|which| throw(seed, line, number * 4 + which));
        drop < odds.drop || duplicate < odds.duplicate || reorder < odds.reorder
    };
    let fits = |seed: &u64| {
        // Faults on the way there make others of those on the way back later, or earlier.
        let hits = |number| faults.iter().filter(|&&(line, odds)| is_hit(*seed, line, odds, number)).count();
        let hits: Vec<usize> = (0..probes + 20).flat_map(|number| std::iter::repeat_n(number, hits(number))).collect();
        let apart = hits.windows(2).all(|pair| pair[1] - pair[0] >= 3);
        let edges = hits.iter().any(|&number| number < 30 || number + 20 >= probes);
        let each =
            |&(line, odds): &(u64, Odds)| (30..probes).filter(|&number| is_hit(*seed, line, odds, number)).count() > 1;
        apart && !edges && faults.iter().all(each)
    };
    (1..1_000_000).find(fits).expect("a seed that fits")
}

/// A run through a path of its own.
pub(crate) struct Crossing {
    pub(crate) ended: Ended,
    pub(crate) summary: Value,
    /// What became of the datagrams on the way there, and back.
    pub(crate) counts: [Counts; 2],
}

impl Crossing {
    /// A figure of the summary; `None` where it is left out.
    pub(crate) fn figure(&self, name: &str) -> Option<u64> {
        self.summary[name].as_u64()
    }

    /// A line of the table of what was injected and what was printed, for `--nocapture`.
    #[allow(clippy::print_stdout, reason = "it is for who asks for it")]
    pub(crate) fn tell(&self, injected: &str) {
        let count = |name: &str| self.figure(name).map_or("-".to_owned(), |figure| figure.to_string());
        let names = ["sent", "acknowledged", "lost", "lost_there", "lost_back", "lost_unknown", "late", "duplicated"];
        let counts = names.iter().chain(&["reordered", "unsent"]).map(|name| format!("{name} {}", count(name)));
        let times = ["rtt_ns", "response_ns", "server_ns"].map(|kind| {
            let ms =
                |figure| self.summary[kind][figure].as_f64().map_or("-".to_owned(), |ns| format!("{:.2}", ns / 1e6));
            format!("{} p50/p90/max {}/{}/{} ms", &kind[..kind.len() - 3], ms("p50"), ms("p90"), ms("max"))
        });
        let outages = self.summary["outages"].as_array().map_or(&[][..], Vec::as_slice);
        let outages =
            outages.iter().map(|one| format!("outage {} s ({} probes)", one["seconds"], one["probes"])).take(3);
        let printed: Vec<String> = counts.chain(times).chain(outages).chain(self.ended.err.iter().cloned()).collect();
        let [there, back] = self.counts;
        let did = [there, back].map(|leg| [leg.passed, leg.dropped, leg.duplicated, leg.reordered]);
        println!("| {injected} | {did:?} | {} |", printed.join(", "));
    }

    /// One of a kind of times, in ms.
    #[track_caller]
    pub(crate) fn ms(&self, kind: &str, figure: &str) -> f64 {
        let ns = self.summary[kind][figure].as_f64();
        ns.unwrap_or_else(|| panic!("no {figure} of {kind} in {}", self.summary)) / 1e6
    }
}

/// A ping with these words through a path with these options; `meanwhile` is there while it runs. Where a busy machine
/// held the client up, which says so itself, it is done again, unless that is what it is about. `None` (and a word of it)
/// where the path was not built.
#[track_caller]
pub(crate) fn cross(
    target: SocketAddr,
    path: &str,
    ping: &str,
    is_still: bool,
    meanwhile: impl Fn(&Process, &Path),
) -> Option<Crossing> {
    for _ in 0..20 {
        let path = Path::to(target, path)?;
        let mut client = client_to(path.address(), &format!("--ping --format json {ping}")).start();
        meanwhile(&client, &path);
        let ended = end_of(&mut client);
        if is_still == ended.complaint().contains("stood still") {
            let summary = last_object(&ended.out);
            return Some(Crossing { ended, summary, counts: path.counts() });
        }
    }
    panic!("twenty times this machine held the client up");
}
