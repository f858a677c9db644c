//! Keys in the order of their last touch: every operation is O(1).
//!
//! All idle timeouts are equal, so the client that was heard from longest ago
//! is always the next one due. A queue in that order needs no heap, no tick and
//! nothing per client that is not due: a message moves its client to the back,
//! the sweep looks at the front alone.

/// A queue of small integer keys (slab keys), each in it at most once.
#[derive(Debug, Default)]
pub struct Lru {
    links: Vec<Link>,
    ends: Option<Ends>,
}

/// The neighbours of a key that is in the queue; a key at an end has itself there.
type Link = Option<Neighbours>;

#[derive(Clone, Copy, Debug)]
struct Neighbours {
    before: u32,
    after: u32,
}

#[derive(Clone, Copy, Debug)]
struct Ends {
    front: u32,
    back: u32,
}

impl Lru {
    /// The key that was touched longest ago.
    pub fn front(&self) -> Option<u32> {
        self.ends.map(|ends| ends.front)
    }

    /// The key that was touched last.
    pub fn back(&self) -> Option<u32> {
        self.ends.map(|ends| ends.back)
    }

    /// Puts `key` at the back, taking it from wherever it was.
    pub fn touch(&mut self, key: u32) {
        if self.ends.is_some_and(|ends| ends.back == key) {
            return;
        }
        self.remove(key);
        let index = key as usize;
        if self.links.len() <= index {
            self.links.resize(index + 1, None);
        }
        self.ends = Some(match self.ends {
            None => {
                self.links[index] = Some(Neighbours { before: key, after: key });
                Ends { front: key, back: key }
            }
            Some(Ends { front, back }) => {
                self.links[index] = Some(Neighbours { before: back, after: key });
                self.link(back).after = key;
                Ends { front, back: key }
            }
        });
    }

    /// Takes `key` out; nothing happens where it is not in.
    pub fn remove(&mut self, key: u32) {
        let Some(Neighbours { before, after }) = self.links.get_mut(key as usize).and_then(Option::take) else {
            return;
        };
        let Some(Ends { front, back }) = self.ends else {
            return;
        };
        let (first, last) = (front == key, back == key);
        if !first {
            self.link(before).after = if last { before } else { after };
        }
        if !last {
            self.link(after).before = if first { after } else { before };
        }
        self.ends = (!(first && last))
            .then_some(Ends { front: if first { after } else { front }, back: if last { before } else { back } });
    }

    fn link(&mut self, key: u32) -> &mut Neighbours {
        self.links[key as usize].get_or_insert(Neighbours { before: key, after: key })
    }
}

#[cfg(test)]
mod tests {
    use super::Lru;
    use proptest::prelude::*;

    fn drained(mut queue: Lru) -> Vec<u32> {
        let mut order = Vec::new();
        while let Some(key) = queue.front() {
            queue.remove(key);
            order.push(key);
        }
        order
    }

    #[test]
    fn keys_leave_in_the_order_of_their_last_touch() {
        let mut queue = Lru::default();
        for key in [3, 1, 2, 3, 7, 1] {
            queue.touch(key);
        }
        assert_eq!(drained(queue), [2, 3, 7, 1]);
    }

    proptest! {
        #[test]
        fn it_agrees_with_a_plain_list(steps in proptest::collection::vec((any::<bool>(), 0u32..8), 0..200)) {
            let (mut queue, mut list) = (Lru::default(), Vec::new());
            for (touch, key) in steps {
                list.retain(|&k| k != key);
                if touch {
                    queue.touch(key);
                    list.push(key);
                } else {
                    queue.remove(key);
                }
                prop_assert_eq!(queue.front(), list.first().copied());
                prop_assert_eq!(queue.back(), list.last().copied());
            }
            prop_assert_eq!(drained(queue), list);
        }
    }
}
