//! The bracket: between which two times an idle timeout lies. Instants in, durations out.
//!
//! The far end's clock starts somewhere between our word and our seeing of its answer, and an end happens before we see
//! it. So each side counts what is certain:
//!
//! | a silence | counts from | to |
//! |---|---|---|
//! | that was survived, at the least | behind the reading of the last answer | before the writing of the word that ended it |
//! | that was cut, at the most | before the writing of the first word | behind the reading of the end |
//! | in which it was forgotten, at the most | the same | behind the reading of another flow's answer to a later word: by then ours had come, too |

use std::time::{Duration, Instant};

use crate::transcript::instrument::Cause;

/// The signs of life around the silence of a flow.
#[derive(Clone, Copy, Debug)]
pub(super) struct Signs {
    /// The first that we gave.
    pub(super) said: Instant,
    /// The last that we saw.
    pub(super) heard: Instant,
    /// When the silence was ended by us ...
    pub(super) asked: Instant,
    /// ... and when we spoke last.
    pub(super) spoke: Instant,
    /// When it was known that our word had come.
    passed: Option<Instant>,
}

impl Signs {
    pub(super) fn new(now: Instant) -> Signs {
        Signs { said: now, heard: now, asked: now, spoke: now, passed: None }
    }

    /// So much silence was survived, if our word is answered.
    pub(super) fn survived(&self) -> Duration {
        self.asked.saturating_duration_since(self.heard)
    }

    /// No more silence than that was cut, if that was seen at `seen`.
    pub(super) fn cut(&self, seen: Instant) -> Duration {
        seen.saturating_duration_since(self.said)
    }

    /// The path is alive: what was `said` by another flow was answered, which was seen at `seen`.
    pub(super) fn pass(&mut self, said: Instant, seen: Instant) {
        if said >= self.asked {
            self.passed.get_or_insert(seen);
        }
    }

    /// No more silence than that was cut, if our word is never answered.
    pub(super) fn forgotten(&self) -> Option<Duration> {
        self.passed.map(|passed| self.cut(passed))
    }
}

/// A silence that was cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cut {
    /// It was no longer than that.
    pub(super) silence: Duration,
    pub(super) cause: Cause,
    /// It counts if the path was alive then or later: all ends where the path does.
    pub(super) seen: Instant,
}

/// What came of one silence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Survived(Duration),
    Cut(Cut),
}

/// What all silences tell together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Bracket {
    /// The longest silence that was survived.
    pub(super) survived: Duration,
    /// The shortest that was not and is longer than any that was: one lost datagram is no idle timeout.
    pub(super) cut: Option<(Duration, Cause)>,
}

impl Bracket {
    /// Of all outcomes, where the path was alive at `alive` for the last time.
    pub(super) fn of(outcomes: &[Outcome], alive: Option<Instant>) -> Bracket {
        let survived = outcomes.iter().filter_map(|outcome| match outcome {
            Outcome::Survived(silence) => Some(*silence),
            Outcome::Cut(_) => None,
        });
        let survived = survived.max().unwrap_or_default();
        let cuts = outcomes.iter().filter_map(|outcome| match outcome {
            Outcome::Cut(cut) if cut.silence > survived && alive >= Some(cut.seen) => Some((cut.silence, cut.cause)),
            _ => None,
        });
        Bracket { survived, cut: cuts.min_by_key(|cut| cut.0) }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;

    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn what_was_survived_counts_from_the_last_sign_that_we_saw_and_what_was_cut_from_the_first_that_we_gave() {
        let start = Instant::now();
        let at = |ms| start + ms * MS;
        // Said at 10, answered at 14; the word behind the silence at 100.
        let mut signs = Signs { said: at(10), heard: at(14), asked: at(100), spoke: at(100), passed: None };
        assert_eq!(signs.survived(), 86 * MS);
        assert_eq!(signs.cut(at(103)), 93 * MS);
        assert_eq!(signs.forgotten(), None, "it is not known whether the word has come");
        signs.pass(at(99), at(105));
        assert_eq!(signs.forgotten(), None, "that was said before");
        signs.pass(at(101), at(107));
        signs.pass(at(111), at(117));
        assert_eq!(signs.forgotten(), Some(97 * MS));
    }

    #[test]
    fn a_cut_counts_where_the_path_was_alive_afterwards() {
        let start = Instant::now();
        let at = |ms| start + ms * MS;
        let cut = |silence: u32, cause, seen| Outcome::Cut(Cut { silence: silence * MS, cause, seen: at(seen) });
        let outcomes = [
            Outcome::Survived(300 * MS),
            cut(200, Cause::Silent, 500),
            Outcome::Survived(400 * MS),
            cut(520, Cause::Closed, 530),
            cut(510, Cause::Announced, 540),
        ];
        let bracket = |alive| Bracket::of(&outcomes, alive);
        assert_eq!(bracket(None), Bracket { survived: 400 * MS, cut: None });
        assert_eq!(bracket(Some(at(529))).cut, None);
        assert_eq!(bracket(Some(at(530))).cut, Some((520 * MS, Cause::Closed)));
        assert_eq!(bracket(Some(at(540))).cut, Some((510 * MS, Cause::Announced)));
    }

    /// A flow as it goes, in microseconds: on the way there and back, in the far end, and in us between the clock and
    /// the writing or the reading; and when the far end's clock starts.
    #[derive(Clone, Debug)]
    struct Way {
        silence: u64,
        there: u64,
        back: u64,
        server: u64,
        clock: u64,
        ours: [u64; 4],
    }

    fn way() -> impl Strategy<Value = Way> {
        // Mostly quick, at times as slow as one who was stopped for two seconds.
        let slow = || prop_oneof![8 => 0..300u64, 1 => 0..2_000_000u64];
        let ours = [slow(), slow(), slow(), slow()];
        (1..3_000_000u64, slow(), slow(), slow(), slow(), ours)
            .prop_map(|(silence, there, back, server, clock, ours)| Way { silence, there, back, server, clock, ours })
    }

    /// What comes of it, at a far end that cuts after `timeout`, with or without a word.
    fn outcome(start: Instant, way: &Way, timeout: u64, tells: bool) -> Outcome {
        let at = |us: u64| start + Duration::from_micros(us);
        let Way { silence, there, back, server, clock, ours } = way;
        let said = 0;
        let came = said + ours[0] + there;
        let heard = came + server + back + ours[1];
        let mut signs = Signs { said: at(said), heard: at(heard), ..Signs::new(start) };
        // The clock of the far end starts somewhere between its reading and its answer.
        let cut_at = came + server.min(clock) + timeout;
        let asked = heard + silence;
        let comes = asked + ours[2] + there;
        let told = cut_at + back + ours[3];
        if tells && told < asked {
            let silence = signs.cut(at(told));
            return Outcome::Cut(Cut { silence, cause: Cause::Closed, seen: at(told) });
        }
        signs.asked = at(asked);
        if comes < cut_at {
            return Outcome::Survived(signs.survived());
        }
        // Who keeps talking says a word behind ours, which comes behind ours.
        let later = asked + ours[2];
        signs.pass(at(later), at(later + there + back + ours[3]));
        let silence = if tells { signs.cut(at(comes.max(cut_at) + back)) } else { signs.forgotten().unwrap() };
        Outcome::Cut(Cut { silence, cause: Cause::Silent, seen: at(asked) })
    }

    proptest! {
        #[test]
        fn the_true_timeout_lies_within_whatever_is_slow(
            ways in proptest::collection::vec(way(), 1..64),
            timeout in 1..3_000_000u64,
            tells: bool,
        ) {
            let start = Instant::now();
            let outcomes: Vec<Outcome> = ways.iter().map(|way| outcome(start, way, timeout, tells)).collect();
            let bracket = Bracket::of(&outcomes, Some(start + Duration::from_secs(60)));
            let timeout = Duration::from_micros(timeout);
            prop_assert!(bracket.survived <= timeout, "{bracket:?}");
            prop_assert!(bracket.cut.is_none_or(|(cut, _)| timeout <= cut), "{bracket:?}");
            let cuts = outcomes.iter().filter(|outcome| matches!(outcome, Outcome::Cut(_))).count();
            prop_assert_eq!(bracket.cut.is_some(), cuts > 0);
        }
    }
}
