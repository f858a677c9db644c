//! Socket addresses as people read them.

use std::fmt;
use std::net::SocketAddr;

/// An address with the one spelling used everywhere: `IP:PORT`, with IPv6 in brackets.
///
/// An IPv4-mapped IPv6 address is shown as the IPv4 address that it is; a scope is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Address(SocketAddr);

impl Address {
    /// The address to be shown for `address`.
    #[must_use]
    pub fn new(mut address: SocketAddr) -> Address {
        address.set_ip(address.ip().to_canonical());
        Address(address)
    }

    /// The IP, bare, with its scope (`fe80::1%2`), and the port.
    #[must_use]
    pub fn parts(self) -> (impl fmt::Display, u16) {
        (Ip(self.0), self.0.port())
    }

    /// Appends the address to `out`. Every message needs one: IPv4 does without the formatting machinery.
    pub fn push_to(self, out: &mut String) {
        let SocketAddr::V4(address) = self.0 else {
            return super::push!(out, "{}", self.0);
        };
        // Written backwards, as digits come.
        let mut text = [0; "255.255.255.255:65535".len()];
        let mut start = prepend(&mut text, address.port());
        for (octet, end) in address.ip().octets().into_iter().zip(*b"...:").rev() {
            start -= 1;
            text[start] = end;
            start = prepend(&mut text[..start], octet.into());
        }
        out.push_str(str::from_utf8(&text[start..]).unwrap_or_default());
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

struct Ip(SocketAddr);

impl fmt::Display for Ip {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            SocketAddr::V6(v6) if v6.scope_id() != 0 => write!(f, "{}%{}", v6.ip(), v6.scope_id()),
            other => other.ip().fmt(f),
        }
    }
}

/// Writes `number` at the end of `text`; returns where it begins.
fn prepend(text: &mut [u8], mut number: u16) -> usize {
    let mut start = text.len();
    loop {
        start -= 1;
        text[start] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            return start;
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn an_address_has_one_spelling() {
        let table = [
            ("127.0.0.1:6666", "127.0.0.1:6666", "127.0.0.1"),
            ("255.255.100.0:65535", "255.255.100.0:65535", "255.255.100.0"),
            ("0.0.0.0:0", "0.0.0.0:0", "0.0.0.0"),
            ("[::1]:80", "[::1]:80", "::1"),
            ("[::]:6666", "[::]:6666", "::"),
            ("[::ffff:10.0.0.5]:9", "10.0.0.5:9", "10.0.0.5"),
            ("[fe80::1%2]:6666", "[fe80::1%2]:6666", "fe80::1%2"),
        ];
        for (given, whole, ip) in table {
            let address = Address::new(given.parse().unwrap());
            let mut pushed = String::new();
            address.push_to(&mut pushed);
            assert_eq!(pushed, whole);
            assert_eq!(address.to_string(), whole);
            assert_eq!(address.parts().0.to_string(), ip);
        }
    }

    #[test]
    fn every_number_is_written_as_the_standard_library_does() {
        for port in 0..=u16::MAX {
            let [a, b] = port.to_be_bytes();
            let address = SocketAddr::from(([a, b, 0, a], port));
            let mut out = String::new();
            Address::new(address).push_to(&mut out);
            assert_eq!(out, address.to_string());
        }
    }
}
