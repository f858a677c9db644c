//! The words of `-I` and `-Q`.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};

use super::Place;
use crate::client::target::{has_port_in_zone, unsigned};

impl Place {
    /// Reads an address, an IPv6 one with its zone, a port behind it or alone, or the name of an interface. What is an
    /// address is one, whatever the interfaces are called.
    ///
    /// # Errors
    /// It is neither; what is accepted. The word in it is not escaped.
    pub fn parse(word: &str) -> Result<Place, String> {
        if let Some(port) = word.strip_prefix(':').filter(|rest| !rest.contains(':')) {
            return Ok(Place::Port(port_of(port)?));
        }
        let (host, port) = match word.strip_prefix('[').map(|word| word.split_once(']')) {
            Some(Some((host, ""))) => (host, None),
            Some(Some((host, port))) if port.starts_with(':') => (host, Some(&port[1..])),
            Some(_) => return Err(format!("it is no address: {FORM}")),
            None => match word.rsplit_once(':') {
                Some((host, port)) if !host.contains(':') => (host, Some(port)),
                _ => (word, None),
            },
        };
        if let Some(mut address) = address(host)? {
            address.set_port(port.map_or(Ok(0), port_of)?);
            return Ok(Place::Address(address));
        }
        // The system takes what follows the colon for an alias.
        if port.is_some() && interface(host).is_some() {
            return Err(format!("an interface has no ports: give {host} alone, or an address of it with the port"));
        }
        match interface(word) {
            Some(_) => Ok(Place::Interface(word.to_owned())),
            None if word.parse::<u16>().is_ok() => {
                Err(format!("no interface here has that name: to leave from the port {word} give :{word}"))
            }
            None => Err(format!("it is no address, and no interface here has that name: {FORM}")),
        }
    }
}

/// What is accepted.
const FORM: &str = "give an address of this machine (192.0.2.1, fe80::1%eth0), with a port if it matters \
                    (192.0.2.1:5000, [fe80::1%eth0]:5000, :5000), or an interface (eth0)";

fn port_of(word: &str) -> Result<u16, String> {
    let port = unsigned(word).filter(|&port| port > 0);
    port.ok_or_else(|| format!("'{word}' is no port to leave from: give one from 1 to 65535"))
}

/// The address that a word is, if it is one.
fn address(word: &str) -> Result<Option<SocketAddr>, String> {
    if let Ok(ip) = word.parse::<IpAddr>() {
        let ip = ip.to_canonical();
        if ip.is_multicast() || ip == IpAddr::V4(Ipv4Addr::BROADCAST) {
            return Err(format!("{ip} is an address of many machines: {FORM}"));
        }
        return Ok(Some((ip, 0).into()));
    }
    let Some((ip, zone)) = word.split_once('%') else {
        return Ok(None);
    };
    let Ok(ip) = ip.parse::<Ipv6Addr>() else {
        return Ok(None);
    };
    // The system would drop it, as it does behind an interface.
    if has_port_in_zone(word) {
        return Err(format!("a port behind a zone needs brackets: {FORM}"));
    }
    let number = zone.parse().ok().filter(|&number| number > 0).or_else(|| interface(zone));
    let number = number.ok_or_else(|| format!("no interface here is called '{zone}'"))?;
    Ok(Some(SocketAddrV6::new(ip, 0, 0, number).into()))
}

/// The number of an interface of this name, if there is one.
#[cfg(unix)]
fn interface(name: &str) -> Option<u32> {
    nix::net::if_::if_nametoindex(name).ok()
}

/// Nothing here tells.
#[cfg(not(unix))]
fn interface(_: &str) -> Option<u32> {
    None
}

/// Reads a TOS or traffic class byte: a number, or the name of a DSCP (`EF`, `AF41`, `CS1`).
///
/// # Errors
/// It is none; what is accepted.
pub fn parse_tos(word: &str) -> Result<u8, String> {
    let hex = word.strip_prefix("0x").or(word.strip_prefix("0X")).map(|digits| u8::from_str_radix(digits, 16));
    let number = hex.unwrap_or_else(|| word.parse()).ok().filter(|_| !word.contains('+'));
    let tos = number.or_else(|| dscp(&word.to_ascii_uppercase()).map(|dscp| dscp << 2));
    tos.ok_or_else(|| "give a byte (184 or 0xb8) or a DSCP name (EF, AF41, CS1)".to_owned())
}

/// The code point of that name (RFC 2474, 2597, 3246, 5865, 8622).
fn dscp(name: &str) -> Option<u8> {
    let digit = |byte: u8, most: u8| Some(byte.wrapping_sub(b'0')).filter(|digit| (1..=most).contains(digit));
    match name.as_bytes() {
        b"BE" | b"DF" | b"CS0" => Some(0),
        b"LE" => Some(1),
        b"EF" => Some(46),
        b"VA" => Some(44),
        [b'C', b'S', class] => Some(8 * digit(*class, 7)?),
        [b'A', b'F', class, drop] => Some(8 * digit(*class, 4)? + 2 * digit(*drop, 3)?),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_class_is_a_byte_or_a_name() {
        for (word, tos) in [
            ("0", 0),
            ("184", 184),
            ("0xb8", 184),
            ("0XFF", 255),
            ("EF", 184),
            ("af41", 136),
            ("AF11", 40),
            ("CS1", 32),
            ("cs7", 224),
            ("LE", 4),
        ] {
            assert_eq!(parse_tos(word), Ok(tos), "{word}");
        }
        for word in ["", "256", "-1", "+1", "0x", "0x100", "0x+1", "CS8", "AF51", "AF14", "AF40", "EFF", "1.5"] {
            assert!(parse_tos(word).unwrap_err().contains("0xb8"), "{word}");
        }
    }

    #[test]
    fn an_address_is_one_whatever_the_interfaces_are_called() {
        let place = |ip: &str| Ok(Place::Address((ip.parse::<IpAddr>().unwrap(), 0).into()));
        assert_eq!(Place::parse("192.0.2.1"), place("192.0.2.1"));
        assert_eq!(Place::parse("::1"), place("::1"));
        assert_eq!(Place::parse("[::1]"), place("::1"));
        let Ok(Place::Address(SocketAddr::V6(zoned))) = Place::parse("fe80::1%7") else { panic!("no address") };
        assert_eq!(zoned.scope_id(), 7);
        let at = |address: &str| Ok(Place::Address(address.parse().unwrap()));
        assert_eq!(Place::parse("192.0.2.1:5000"), at("192.0.2.1:5000"));
        assert_eq!(Place::parse("[::1]:5000"), at("[::1]:5000"));
        assert_eq!(Place::parse(":5000"), Ok(Place::Port(5000)));
        assert_eq!(Place::parse("::"), place("::"));
        assert!(Place::parse("5000").unwrap_err().contains(" :5000"));
        for word in ["192.0.2.1:0", "192.0.2.1:65536", "192.0.2.1:", ":", ":0", ":+5", "[::1]5", "[::1", "[::1]:"] {
            assert!(Place::parse(word).is_err(), "{word}");
        }
        assert!(Place::parse("fe80::1%lo:5000").unwrap_err().contains("needs brackets"));
        for word in ["", "fe80::1%no-such-interface", "no-such-interface", "300.0.0.1", "localhost", "127.0.0.1%lo"] {
            assert!(Place::parse(word).is_err(), "{word}");
        }
    }
}
