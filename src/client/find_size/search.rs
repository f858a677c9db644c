//! The search itself: sizes that passed and failed in, the next size to ask for out.

/// What is known of the sizes from the least to the most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Search {
    least: usize,
    most: usize,
    /// The largest that passed.
    passed: Option<usize>,
    /// The smallest that failed; one beyond the most where none did.
    failed: usize,
    /// The largest that somebody says will pass.
    hint: Option<usize>,
}

impl Search {
    /// Nothing is known of sizes from `least` to `most`, which is no smaller.
    pub(super) fn new(least: usize, most: usize) -> Search {
        Search { least, most, passed: None, failed: most + 1, hint: None }
    }

    /// The smallest of them.
    pub(super) fn least(&self) -> usize {
        self.least
    }

    /// The largest of them.
    pub(super) fn most(&self) -> usize {
        self.most
    }

    /// The largest that passed.
    pub(super) fn passed(&self) -> Option<usize> {
        self.passed
    }

    /// The smallest that failed.
    pub(super) fn failed(&self) -> Option<usize> {
        (self.failed <= self.most).then_some(self.failed)
    }

    /// Somebody says that this is the largest that will pass. It is asked for, not believed.
    pub(super) fn hint(&mut self, size: usize) {
        self.hint = Some(size);
    }

    /// A message of this size passed. One that passes late takes back what was concluded meanwhile.
    pub(super) fn pass(&mut self, size: usize) {
        let passed = self.passed.map_or(size, |passed| passed.max(size));
        self.passed = Some(passed);
        if self.failed <= passed {
            self.failed = self.most + 1;
        }
    }

    /// A message of this size did not pass.
    pub(super) fn fail(&mut self, size: usize) {
        if self.passed.is_none_or(|passed| passed < size) {
            self.failed = self.failed.min(size);
        }
    }

    /// The size to ask for next; `None` where all is known.
    pub(super) fn next(&self) -> Option<usize> {
        let Some(passed) = self.passed else {
            return (self.failed > self.least).then_some(self.least);
        };
        if passed + 1 >= self.failed {
            return None;
        }
        match self.hint {
            Some(hint) if hint > passed && hint < self.failed => Some(hint),
            // If it is right, the next one fails.
            Some(hint) if hint == passed => Some(passed + 1),
            _ if self.failed > self.most => Some(self.most),
            _ => Some(passed.midpoint(self.failed)),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;

    use super::*;

    /// Searches a path that passes up to `limit`; how many questions that took.
    fn search(mut search: Search, limit: usize) -> (Option<usize>, usize) {
        let mut asked = 0;
        while let Some(size) = search.next() {
            asked += 1;
            match size <= limit {
                true => search.pass(size),
                false => search.fail(size),
            }
        }
        (search.passed(), asked)
    }

    proptest! {
        #[test]
        fn the_limit_is_found_whatever_is_said_of_it(
            least in 1..100_usize, span in 0..70_000_usize, limit in 0..80_000_usize, hint in prop::option::of(0..80_000_usize),
        ) {
            let most = least + span;
            let mut sizes = Search::new(least, most);
            if let Some(hint) = hint {
                sizes.hint(hint);
            }
            let (found, asked) = search(sizes, limit);
            prop_assert_eq!(found, (limit >= least).then_some(limit.min(most)));
            prop_assert!(asked <= 22, "{asked} questions");
        }

        #[test]
        fn a_right_word_needs_but_two_questions_more(limit in 100..60_000_usize) {
            let mut sizes = Search::new(72, 65_507);
            sizes.hint(limit);
            prop_assert_eq!(search(sizes, limit), (Some(limit), 3));
        }
    }

    #[test]
    fn what_passes_late_opens_the_search_again() {
        let mut search = Search::new(72, 1000);
        search.pass(72);
        search.fail(1000);
        search.fail(500);
        assert_eq!((search.next(), search.failed()), (Some(286), Some(500)));
        search.pass(600);
        assert_eq!((search.passed(), search.failed(), search.next()), (Some(600), None, Some(1000)));
        // What is known to pass does not fail any more.
        search.fail(550);
        assert_eq!(search.failed(), None);
    }

    #[test]
    fn where_the_least_fails_nothing_is_asked_any_more() {
        let mut search = Search::new(72, 72);
        assert_eq!(search.next(), Some(72));
        search.fail(72);
        assert_eq!((search.next(), search.passed()), (None, None));
    }
}
