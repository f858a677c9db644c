//! A name that is asked for while a run goes on: by a child process, since a resolver may be silent for long and
//! nothing here may wait for it. The child is this program with `--resolve`; its pipe is a source like any other.

use std::io::{self, Write};
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::time::Duration;

use super::target::{Family, Target};
use crate::error::Error;
use crate::escape::cause;

/// So long a run waits for a resolver that it can do without.
pub const PATIENCE: Duration = Duration::from_secs(5);
/// Marks why there are no addresses.
const WHY: &str = "? ";
/// Addresses that are of interest; a name may have more.
#[cfg(unix)]
const MOST: usize = 64;

/// What the child does: asks the system, and prints the addresses, one a line; or why there are none, behind a mark.
///
/// It ends after so many `seconds`, where there are some: whoever asked may be gone without a word.
///
/// # Errors
/// The name does not resolve, or stdout cannot be written.
pub fn print_addresses(target: &Target, family: Option<Family>, seconds: Option<NonZeroU32>) -> Result<(), Error> {
    #[cfg(unix)]
    seconds.map(|seconds| nix::unistd::alarm::set(seconds.get()));
    #[cfg(not(unix))]
    let _ = seconds;
    let resolved = target.resolve(family);
    let lines: String = match &resolved {
        Ok(addresses) => addresses.iter().map(|address| format!("{address}\n")).collect(),
        Err(Error::Resolve(_, why)) => format!("{WHY}{}\n", cause(why)),
        Err(Error::NoAddress(_, family)) => format!("{WHY}it has no {family} address\n"),
        Err(_) => String::new(),
    };
    io::stdout().write_all(lines.as_bytes()).map_err(|error| Error::Setup("stdout", error))?;
    resolved.map(drop)
}

/// How far a child has come.
#[derive(Debug, PartialEq, Eq)]
pub enum Progress {
    /// It is still asking.
    Asking,
    /// These are the addresses; none where the name has none, or nobody answered.
    Told(Vec<SocketAddr>),
}

#[cfg(unix)]
pub use self::unix::Lookup;

#[cfg(unix)]
mod unix {
    use std::io::{self, Read};
    use std::os::unix::process::CommandExt;
    use std::process::{Child, Command, Stdio};
    use std::time::{Duration, Instant};

    use mio::unix::pipe::Receiver;
    use mio::{Interest, Registry, Token};

    use super::{Family, MOST, Progress, Target, WHY};

    /// A child that asks, until it is dropped.
    #[derive(Debug)]
    pub struct Lookup {
        child: Child,
        pipe: Receiver,
        text: Vec<u8>,
        ends: Option<Instant>,
    }

    impl Lookup {
        /// Has a child ask for the target's addresses, until `ends` at the latest; `registry` reports under `token` when it
        /// has something to say.
        ///
        /// # Errors
        /// There is no child, or no pipe to it.
        pub fn start(
            target: &Target,
            family: Option<Family>,
            registry: &Registry,
            token: Token,
            ends: Option<Instant>,
        ) -> io::Result<Lookup> {
            let mut command = Command::new(program()?);
            command.arg0("reactor-client");
            match ends {
                Some(ends) => {
                    command.arg(format!("--resolve={}", alarm(ends.saturating_duration_since(Instant::now()))))
                }
                None => command.arg("--resolve"),
            };
            match family {
                Some(Family::V4) => drop(command.arg("-4")),
                Some(Family::V6) => drop(command.arg("-6")),
                None => {}
            }
            command.arg("--").arg(&target.host).arg(target.port.to_string());
            // What the user tells this program by the keyboard is nothing to the child.
            command.process_group(0);
            let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?;
            let pipe = child.stdout.take().ok_or(io::ErrorKind::BrokenPipe)?;
            let mut lookup = Lookup { child, pipe: Receiver::from(pipe), text: Vec::new(), ends };
            lookup.pipe.set_nonblocking(true)?;
            registry.register(&mut lookup.pipe, token, Interest::READABLE)?;
            Ok(lookup)
        }

        /// When it is given up; `None`: never.
        pub fn ends(&self) -> Option<Instant> {
            self.ends
        }

        /// Reads what it has said so far.
        pub fn read(&mut self) -> Progress {
            let mut some = [0; 4096];
            loop {
                match self.pipe.read(&mut some) {
                    Ok(0) => return Progress::Told(self.addresses()),
                    Ok(len) if self.text.len() < some.len() => self.text.extend_from_slice(&some[..len]),
                    // More addresses than anybody could try.
                    Ok(_) => return Progress::Told(self.addresses()),
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Progress::Asking,
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    Err(_) => return Progress::Told(Vec::new()),
                }
            }
        }

        /// Why it found no address, where it said so.
        pub fn why(&self) -> Option<String> {
            let text = String::from_utf8_lossy(&self.text);
            Some(text.trim_end().strip_prefix(WHY)?.to_owned())
        }

        fn addresses(&self) -> Vec<std::net::SocketAddr> {
            let text = String::from_utf8_lossy(&self.text);
            text.lines().filter_map(|line| line.parse().ok()).take(MOST).collect()
        }
    }

    impl Drop for Lookup {
        /// It is over, or must be: who reaps it must not wait.
        fn drop(&mut self) {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }

    /// When a child ends by itself that nobody has ended within `patience`: one to two seconds later.
    fn alarm(patience: Duration) -> u32 {
        u32::try_from(patience.as_secs()).unwrap_or(u32::MAX).saturating_add(2)
    }

    /// This very program, also where its file was replaced meanwhile.
    fn program() -> io::Result<std::path::PathBuf> {
        if cfg!(target_os = "linux") { Ok("/proc/self/exe".into()) } else { std::env::current_exe() }
    }
}

/// There is no pipe that the poll could watch: a name is asked for once.
#[cfg(not(unix))]
#[derive(Debug)]
pub struct Lookup {
    never: std::convert::Infallible,
}

#[cfg(not(unix))]
impl Lookup {
    /// There is none.
    ///
    /// # Errors
    /// Always.
    pub fn start(
        _: &Target,
        _: Option<Family>,
        _: &mio::Registry,
        _: mio::Token,
        _: Option<std::time::Instant>,
    ) -> io::Result<Lookup> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// When it is given up; `None`: never.
    pub fn ends(&self) -> Option<std::time::Instant> {
        match self.never {}
    }

    /// What it has said so far.
    pub fn read(&mut self) -> Progress {
        match self.never {}
    }

    /// Why it found no address.
    pub fn why(&self) -> Option<String> {
        match self.never {}
    }
}
