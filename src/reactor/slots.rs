//! A slab whose keys say who is meant: the slot, and which of its tenants.

use std::io;

use slab::Slab;

use super::Key;

/// Values in slots that are used again; a key of an earlier tenant finds nothing.
///
/// ```
/// use ack_reactor::reactor::Slots;
///
/// let mut slots = Slots::new();
/// let first = slots.insert("first")?;
/// slots.remove(first);
/// let second = slots.insert("second")?;
/// assert_eq!(first.slot(), second.slot());
/// assert_eq!((slots.get(first), slots.get(second)), (None, Some(&"second")));
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct Slots<T> {
    slab: Slab<(Key, T)>,
    /// How many tenants each slot has had.
    tenants: Vec<u32>,
}

impl<T> Slots<T> {
    /// No slots yet.
    pub const fn new() -> Slots<T> {
        Slots { slab: Slab::new(), tenants: Vec::new() }
    }

    /// Moves `value` in.
    ///
    /// # Errors
    /// There are more than a token can name.
    pub fn insert(&mut self, value: T) -> io::Result<Key> {
        self.insert_with(|_| Ok(value))
    }

    /// Moves in what `make` makes of the key that it will have: something that is registered under that key, say.
    ///
    /// # Errors
    /// Those of `make`, and where there are more than a token can name; nothing moves in then.
    pub fn insert_with(&mut self, make: impl FnOnce(Key) -> io::Result<T>) -> io::Result<Key> {
        let entry = self.slab.vacant_entry();
        let index = entry.key();
        let slot = u32::try_from(index).ok().filter(|_| index < Key::SLOTS);
        let slot = slot.ok_or_else(|| io::Error::other("more connections than a token can name"))?;
        if self.tenants.len() <= index {
            self.tenants.resize(index + 1, 0);
        }
        let key = Key::new(slot, self.tenants[index]);
        let value = make(key)?;
        self.tenants[index] = self.tenants[index].wrapping_add(1);
        entry.insert((key, value));
        Ok(key)
    }

    /// The tenant that `key` names, unless it has moved out.
    #[inline]
    pub fn get(&self, key: Key) -> Option<&T> {
        self.slab.get(key.slot() as usize).filter(|(tenant, _)| *tenant == key).map(|(_, value)| value)
    }

    /// The tenant that `key` names, unless it has moved out.
    #[inline]
    pub fn get_mut(&mut self, key: Key) -> Option<&mut T> {
        self.slab.get_mut(key.slot() as usize).filter(|(tenant, _)| *tenant == key).map(|(_, value)| value)
    }

    /// The tenant of `slot`, whoever that is now.
    pub fn tenant(&self, slot: u32) -> Option<(Key, &T)> {
        self.slab.get(slot as usize).map(|(key, value)| (*key, value))
    }

    /// Moves the tenant that `key` names out.
    pub fn remove(&mut self, key: Key) -> Option<T> {
        self.get(key)?;
        Some(self.slab.remove(key.slot() as usize).1)
    }

    /// How many tenants there are.
    pub fn len(&self) -> usize {
        self.slab.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.slab.is_empty()
    }

    /// All tenants, in the order of their slots.
    pub fn iter(&self) -> impl Iterator<Item = (Key, &T)> {
        self.slab.iter().map(|(_, (key, value))| (*key, value))
    }

    /// All tenants, in the order of their slots.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = (Key, &mut T)> {
        self.slab.iter_mut().map(|(_, (key, value))| (*key, value))
    }
}

impl<T> Default for Slots<T> {
    fn default() -> Slots<T> {
        Slots::new()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn what_could_not_be_made_leaves_its_slot_to_the_next() {
        let mut slots = Slots::new();
        let failed = slots.insert_with(|_| Err(io::ErrorKind::OutOfMemory.into()));
        assert_eq!(failed.unwrap_err().kind(), io::ErrorKind::OutOfMemory);
        let key = slots.insert_with(|key| Ok(key.slot())).unwrap();
        assert_eq!((slots.len(), slots.remove(key), slots.remove(key)), (1, Some(0), None));
        assert!(slots.is_empty());
    }

    #[test]
    fn a_slot_tells_its_tenant_and_an_old_key_does_not_move_it_out() {
        let mut slots = Slots::new();
        let old = slots.insert('a').unwrap();
        slots.remove(old);
        let new = slots.insert('b').unwrap();
        assert_eq!(slots.remove(old), None);
        assert_eq!(slots.get_mut(old), None);
        assert_eq!(slots.tenant(old.slot()), Some((new, &'b')));
    }
}
