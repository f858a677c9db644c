//! Where the client is to go: HOST and PORT as people type them, and the addresses behind the name.

use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::str::FromStr;

use crate::error::Error;
use crate::escape::escape;
use crate::process::limits::Shortage;
use crate::wire::DEFAULT_PORT;

/// The host of a client that is told none.
pub const DEFAULT_HOST: &str = "127.0.0.1";

/// The address family a user insists on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// `-4`
    V4,
    /// `-6`
    V6,
}

/// A host and a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// A name or an address literal, without brackets.
    pub host: String,
    /// The port; never 0.
    pub port: u16,
}

impl Target {
    /// Reads `HOST`, `HOST PORT`, `HOST:PORT` or `[v6]:PORT`; the port may also be given as an `option`.
    ///
    /// # Errors
    /// What is wrong with them, and what is accepted.
    pub fn parse(host: Option<&str>, port: Option<&str>, option: Option<&str>) -> Result<Target, Error> {
        let (host, inner) = split(host.unwrap_or(DEFAULT_HOST))?;
        let ports: Vec<&str> = [inner, port, option].into_iter().flatten().collect();
        let port = match ports[..] {
            [] => DEFAULT_PORT,
            [port] => parse_port(port)?,
            [first, second, ..] => {
                let (first, second) = (escape(first.as_bytes()), escape(second.as_bytes()));
                return Err(Error::Usage(format!(
                    "two ports are given, '{first}' and '{second}': give HOST PORT, HOST:PORT or -p PORT; to leave from a \
                     port, -I :PORT"
                )));
            }
        };
        if host.is_empty() {
            return Err(Error::Usage("the host name is empty: give a name or an address".into()));
        }
        // The resolver would make an address of it (64 is 0.0.0.64), which nobody means.
        if host.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(Error::Usage(format!(
                "'{host}' is no host: a bare number is none; give a name or an address, then the port"
            )));
        }
        Ok(Target { host: host.to_owned(), port })
    }

    /// The address that the host is, where it is no name.
    pub fn literal(&self) -> Option<IpAddr> {
        self.host.split('%').next()?.parse().ok()
    }

    /// Every address of the host, in the order in which the system prefers them, each once.
    ///
    /// # Errors
    /// The name does not resolve, or has no address of `family`.
    pub fn resolve(&self, family: Option<Family>) -> Result<Vec<SocketAddr>, Error> {
        let found = (self.host.as_str(), self.port).to_socket_addrs();
        let found =
            found.map_err(|error| Error::Resolve(self.host.clone(), Shortage::of_descriptors().unwrap_or(error)))?;
        let mut addresses = Vec::new();
        for address in found {
            let wanted = match family {
                None => true,
                Some(Family::V4) => address.is_ipv4(),
                Some(Family::V6) => address.is_ipv6(),
            };
            if wanted && !addresses.contains(&address) {
                addresses.push(address);
            }
        }
        if addresses.is_empty() {
            let family = match family {
                None => "usable",
                Some(Family::V4) => "IPv4",
                Some(Family::V6) => "IPv6",
            };
            return Err(Error::NoAddress(self.host.clone(), family));
        }
        Ok(addresses)
    }
}

/// Takes a port off a host, where there is one. A bare IPv6 literal has none.
fn split(word: &str) -> Result<(&str, Option<&str>), Error> {
    let refusal = || {
        let word = escape(word.as_bytes());
        Error::Usage(format!("'{word}' is no address: write [IPv6]:PORT, such as [::1]:{DEFAULT_PORT}"))
    };
    if let Some(rest) = word.strip_prefix('[') {
        return match rest.split_once(']') {
            Some((host, _)) if has_port_in_zone(host) => Err(refusal()),
            Some((host, "")) => Ok((host, None)),
            Some((host, port)) if port.starts_with(':') => Ok((host, Some(&port[1..]))),
            _ => Err(refusal()),
        };
    }
    if has_port_in_zone(word) {
        return Err(refusal());
    }
    let bare_v6 = word.split('%').next().is_some_and(|literal| literal.parse::<IpAddr>().is_ok());
    match word.rsplit_once(':') {
        Some((host, port)) if !bare_v6 => Ok((host, Some(port))),
        _ => Ok((word, None)),
    }
}

/// Whether a port follows a zone without a bracket between them: systems drop it and take the rest for the interface.
pub fn has_port_in_zone(host: &str) -> bool {
    host.split_once('%').is_some_and(|(literal, zone)| zone.contains(':') && literal.parse::<IpAddr>().is_ok())
}

/// A number that has no sign: parsing one takes a plus.
pub fn unsigned<T: FromStr>(word: &str) -> Option<T> {
    word.parse().ok().filter(|_| !word.starts_with('+'))
}

fn parse_port(word: &str) -> Result<u16, Error> {
    let port = unsigned(word).filter(|&port| port > 0);
    let refusal = || format!("'{}' is no port: give a number from 1 to 65535", escape(word.as_bytes()));
    port.ok_or_else(|| Error::Usage(refusal()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(host: Option<&str>, port: Option<&str>) -> String {
        match Target::parse(host, port, None) {
            Ok(Target { host, port }) => format!("{host} {port}"),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn hosts_and_ports_are_understood_as_people_write_them() {
        for (words, expected) in [
            ((None, None), "127.0.0.1 6666"),
            ((Some("example.org"), None), "example.org 6666"),
            ((Some("example.org"), Some("7")), "example.org 7"),
            ((Some("example.org:7"), None), "example.org 7"),
            ((Some("10.0.0.1:7"), None), "10.0.0.1 7"),
            ((Some("::1"), None), "::1 6666"),
            ((Some("::1"), Some("7")), "::1 7"),
            ((Some("fe80::1%lo"), Some("7")), "fe80::1%lo 7"),
            ((Some("[::1]:7"), None), "::1 7"),
            ((Some("[fe80::1%lo]:7"), None), "fe80::1%lo 7"),
            ((Some("[::1]"), Some("7")), "::1 7"),
        ] {
            assert_eq!(parse(words.0, words.1), expected, "{words:?}");
        }
    }

    #[test]
    fn mistakes_are_named_with_what_is_accepted() {
        for (words, expected) in [
            (
                (Some("h:7"), Some("8")),
                "two ports are given, '7' and '8': give HOST PORT, HOST:PORT or -p PORT; to leave from a port, -I :PORT",
            ),
            ((Some("h:x"), None), "'x' is no port: give a number from 1 to 65535"),
            ((Some("h"), Some("+7")), "'+7' is no port: give a number from 1 to 65535"),
            ((Some("fe80::1%lo:7"), None), "'fe80::1%lo:7' is no address: write [IPv6]:PORT, such as [::1]:6666"),
            ((Some("[fe80::1%lo:7]"), None), "'[fe80::1%lo:7]' is no address: write [IPv6]:PORT, such as [::1]:6666"),
            ((Some("h"), Some("0")), "'0' is no port: give a number from 1 to 65535"),
            ((Some("h"), Some("65536")), "'65536' is no port: give a number from 1 to 65535"),
            ((Some("64"), None), "'64' is no host: a bare number is none; give a name or an address, then the port"),
            (
                (Some("6666:7"), None),
                "'6666' is no host: a bare number is none; give a name or an address, then the port",
            ),
            ((Some(":7"), None), "the host name is empty: give a name or an address"),
            ((Some("[::1"), None), "'[::1' is no address: write [IPv6]:PORT, such as [::1]:6666"),
            ((Some("[::1]7"), None), "'[::1]7' is no address: write [IPv6]:PORT, such as [::1]:6666"),
        ] {
            assert_eq!(parse(words.0, words.1), expected, "{words:?}");
        }
    }
}
