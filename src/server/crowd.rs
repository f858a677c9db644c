//! How many clients come from each address, where that is bounded.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};

/// Who has one address of an IPv6 network of this size mostly has all of it.
const NETWORK: u128 = !0 << 64;

/// The clients that are here, by where they come from.
#[derive(Debug)]
pub(super) struct Crowd {
    most: usize,
    here: HashMap<IpAddr, usize>,
}

impl Crowd {
    /// Up to `most` from one address.
    pub(super) fn new(most: usize) -> Crowd {
        Crowd { most, here: HashMap::new() }
    }

    /// Whether there is no room for another one from there.
    pub(super) fn is_full(&self, address: IpAddr) -> bool {
        self.here.get(&origin(address)).is_some_and(|&here| here >= self.most)
    }

    /// Another one is here.
    pub(super) fn enter(&mut self, address: IpAddr) {
        *self.here.entry(origin(address)).or_default() += 1;
    }

    /// One that was here has gone.
    pub(super) fn leave(&mut self, address: IpAddr) {
        let origin = origin(address);
        if let Some(here) = self.here.get_mut(&origin) {
            *here -= 1;
            if *here == 0 {
                self.here.remove(&origin);
            }
        }
    }
}

/// What counts as one address: of IPv6 a /64.
fn origin(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & NETWORK).into(),
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn at(address: &str) -> IpAddr {
        address.parse().unwrap()
    }

    #[test]
    fn so_many_are_here_at_once_from_an_address_or_a_64() {
        let mut crowd = Crowd::new(2);
        for (one, same, other) in
            [("10.0.0.1", "::ffff:10.0.0.1", "10.0.0.2"), ("2001:db8::1", "2001:db8::ffff:1", "2001:db8:0:1::1")]
        {
            crowd.enter(at(one));
            assert!(!crowd.is_full(at(one)));
            crowd.enter(at(same));
            assert!(crowd.is_full(at(one)) && crowd.is_full(at(same)) && !crowd.is_full(at(other)));
            crowd.leave(at(one));
            assert!(!crowd.is_full(at(same)));
            crowd.leave(at(same));
        }
        assert!(crowd.here.is_empty(), "of who has gone nothing is kept");
    }
}
