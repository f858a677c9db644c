//! Networks that an option names, one or more, and who comes from them.

use std::net::IpAddr;

use ipnet::IpNet;

/// A network, or a single address as the smallest one there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network(IpNet);

impl Network {
    /// Reads `10.0.0.0/8`, `2001:db8::/32` or one address. An IPv4-mapped IPv6 network is the IPv4 network that it is.
    pub fn parse(word: &str) -> Option<Network> {
        let network = word.parse().or_else(|_| word.parse().map(|address: IpAddr| IpNet::from(address))).ok()?;
        let (address, len) = (network.addr().to_canonical(), network.prefix_len());
        let is_mapped = address.is_ipv4() && network.addr().is_ipv6();
        match (is_mapped, len.checked_sub(96)) {
            (true, Some(len)) => IpNet::new(address, len).ok().map(Network),
            // It is wider than what IPv4 is mapped to.
            _ => Some(Network(network)),
        }
    }
}

/// Any number of networks, none among them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Networks(Vec<Network>);

impl Networks {
    /// Whether `address` lies in one of them.
    #[inline]
    pub fn contain(&self, address: IpAddr) -> bool {
        !self.0.is_empty() && self.find(address.to_canonical())
    }

    fn find(&self, address: IpAddr) -> bool {
        self.0.iter().any(|network| network.0.contains(&address))
    }
}

impl From<Vec<Network>> for Networks {
    fn from(networks: Vec<Network>) -> Networks {
        Networks(networks)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_network_holds_what_lies_in_it_and_ipv4_mapped_addresses_are_ipv4() {
        let table = [
            ("10.0.0.0/8", "10.255.0.1", true),
            ("10.0.0.0/8", "11.0.0.1", false),
            ("10.0.0.5/8", "10.9.9.9", true),
            ("10.0.0.2", "10.0.0.2", true),
            ("10.0.0.2", "10.0.0.3", false),
            ("10.0.0.0/8", "::ffff:10.1.2.3", true),
            ("::ffff:10.0.0.0/104", "10.1.2.3", true),
            ("::ffff:10.0.0.0/104", "::ffff:11.0.0.1", false),
            ("::ffff:10.0.0.2", "10.0.0.2", true),
            ("2001:db8::/32", "2001:db8:1::7", true),
            ("2001:db8::/32", "2001:db9::7", false),
            ("::1", "::1", true),
            ("::/0", "2001:db8::1", true),
            ("::/0", "10.0.0.1", false),
            ("0.0.0.0/0", "::ffff:10.0.0.1", true),
        ];
        for (network, address, holds) in table {
            let networks = Networks::from(vec![Network::parse(network).unwrap()]);
            assert_eq!(networks.contain(address.parse().unwrap()), holds, "{address} in {network}");
        }
        assert!(!Networks::default().contain("10.0.0.1".parse().unwrap()));
    }

    #[test]
    fn what_is_no_network_is_refused() {
        for word in ["", "10", "10.0.0.0/", "10.0.0.0/33", "::/129", "10.0.0.0/-1", "localhost", "10.0.0.1:80", " ::1"]
        {
            assert_eq!(Network::parse(word), None, "{word:?}");
        }
    }
}
