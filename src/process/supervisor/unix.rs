//! systemd's protocols, as any supervisor may speak them.

use std::env;
use std::ffi::OsStr;
use std::io;
use std::net::{TcpListener, UdpSocket};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixDatagram;
use std::time::{Duration, Instant};

use listenfd::ListenFd;
use nix::libc::{AF_UNIX, SOCK_SEQPACKET};
use nix::sys::socket::getsockopt;
use nix::sys::socket::sockopt::AcceptConn;
use nix::sys::stat::fstat;
use sd_notify::NotifyState;
use socket2::SockRef;

use super::Passed;
use crate::error::Error;
use crate::escape::{cause, escape};

/// Passed descriptors begin here.
const FIRST: usize = 3;
/// No supervisor passes more.
const MOST: usize = 1024;
/// The first word may wait so long for a supervisor that does not listen; no later one waits.
const PATIENCE: Duration = Duration::from_millis(500);
/// A sign of life is given no more often.
const LEAST_PACE: Duration = Duration::from_millis(1);

/// The sockets that were passed to this process; `None` where there are none and its own are to be bound. Whatever else
/// was passed is left alone.
///
/// Call it once, before anything else might take them for its own.
///
/// # Errors
/// What cannot be served was passed, by LISTEN_FDS or as stdin.
pub fn passed_sockets() -> Result<Option<Passed>, Error> {
    // Before stdin is read: a datagram there would be taken for a command.
    if SockRef::from(&io::stdin()).local_addr().is_ok_and(|address| address.as_socket().is_some()) {
        return refuse(
            "stdin is a network socket, as inetd passes it: pass the listening sockets by LISTEN_FDS (systemd: \
             Accept=no, and no StandardInput=socket)",
        );
    }
    let mut passed = Passed { tcp: None, udp: None };
    // What is left is closed by nobody: these are numbers.
    let mut descriptors = descriptors()?;
    for index in 0..descriptors.len() {
        let number = FIRST + index;
        let (seqpacket, hint) = (SOCK_SEQPACKET, "seqpacket socket");
        let is_unix = matches!(descriptors.take_unix_listener(index), Ok(Some(_)))
            || matches!(descriptors.take_unix_datagram(index), Ok(Some(_)))
            || matches!(descriptors.take_custom::<OwnedFd>(index, AF_UNIX, seqpacket, hint), Ok(Some(_)));
        if is_unix {
            return refuse(format!(
                "descriptor {number}, which was passed, is a Unix socket: pass TCP and UDP sockets"
            ));
        }
        if let Ok(Some(listener)) = descriptors.take_tcp_listener(index) {
            check(number, "a stream", &SockRef::from(&listener), |_| Ok(getsockopt(&listener, AcceptConn)?))?;
            keep(&mut passed.tcp, listener, TcpListener::set_nonblocking, "stream")?;
        } else if let Ok(Some(socket)) = descriptors.take_udp_socket(index) {
            check(number, "a datagram", &SockRef::from(&socket), |socket| {
                Ok(socket.local_addr()?.as_socket().is_some_and(|address| address.port() > 0))
            })?;
            keep(&mut passed.udp, socket, UdpSocket::set_nonblocking, "datagram")?;
        }
    }
    Ok((passed.tcp.is_some() || passed.udp.is_some()).then_some(passed))
}

/// The passed descriptors, where this process is the one that they are for.
fn descriptors() -> Result<ListenFd, Error> {
    let is_ours = env::var("LISTEN_PID").is_ok_and(|pid| pid.parse() == Ok(std::process::id()));
    let Some(count) = env::var_os("LISTEN_FDS").filter(|_| is_ours) else {
        return Ok(ListenFd::empty());
    };
    match count.to_str().and_then(|count| count.parse::<usize>().ok()) {
        Some(0..=MOST) => Ok(ListenFd::from_env()),
        _ => refuse(format!(
            "LISTEN_FDS is '{}': it must be the number of the descriptors that were passed, at most {MOST}",
            escape(count.as_encoded_bytes())
        )),
    }
}

/// Whether a socket can be served: it waits for those who come, and not for one alone.
fn check(
    number: usize,
    kind: &str,
    socket: &SockRef<'_>,
    waits: impl FnOnce(&socket2::Socket) -> io::Result<bool>,
) -> Result<(), Error> {
    if socket.peer_addr().is_ok() {
        return refuse(format!(
            "descriptor {number}, which was passed, is {kind} socket that is connected already, inetd's way: pass the \
             one that listens (systemd: Accept=no)"
        ));
    }
    match waits(socket) {
        Ok(true) => Ok(()),
        _ => refuse(format!("descriptor {number}, which was passed, is {kind} socket that does not listen")),
    }
}

fn keep<S>(
    place: &mut Option<S>,
    socket: S,
    set_nonblocking: impl FnOnce(&S, bool) -> io::Result<()>,
    kind: &str,
) -> Result<(), Error> {
    if place.is_some() {
        return refuse(format!(
            "two {kind} sockets were passed: pass one stream socket, one datagram socket, or one of each"
        ));
    }
    set_nonblocking(&socket, true).map_err(|error| Error::Setup("a passed socket", error))?;
    *place = Some(socket);
    Ok(())
}

fn refuse<T>(sentence: impl Into<String>) -> Result<T, Error> {
    Err(Error::Usage(sentence.into()))
}

/// JOURNAL_STREAM names the device and the inode of what the supervisor connected to the journal; stderr may have been
/// sent elsewhere since.
pub(super) fn stderr_is_journal() -> bool {
    let named = env::var("JOURNAL_STREAM").unwrap_or_default();
    fstat(io::stderr()).is_ok_and(|stderr| named == format!("{}:{}", stderr.st_dev, stderr.st_ino))
}

/// Tells the supervisor how it goes, where it asks.
#[derive(Debug)]
pub struct Notifier {
    socket: Option<UnixDatagram>,
    /// How far apart its signs of life are, and when the next is due.
    pace: Option<Duration>,
    due: Option<Instant>,
}

impl Notifier {
    /// The one that NOTIFY_SOCKET names.
    #[must_use]
    pub fn from_env() -> Notifier {
        let socket = env::var_os("NOTIFY_SOCKET").and_then(|path| match connect(&path) {
            Ok(socket) => Some(socket),
            Err(error) => {
                let path = escape(path.as_encoded_bytes());
                log::warn!("cannot tell the supervisor how it goes (NOTIFY_SOCKET is '{path}'): {}", cause(&error));
                None
            }
        });
        let interval = sd_notify::watchdog_enabled().filter(|interval| !interval.is_zero());
        let pace = interval.filter(|_| socket.is_some()).map(|interval| LEAST_PACE.max(interval / 2));
        Notifier { socket, pace, due: None }
    }

    /// The sockets are bound. From here on nothing waits for the supervisor.
    pub fn ready(&mut self, now: Instant) {
        if let Some(socket) = &self.socket {
            let told = socket.set_write_timeout(Some(PATIENCE)).and_then(|()| self.tell(&NotifyState::Ready));
            if let Err(error) = told.and_then(|()| socket.set_nonblocking(true)) {
                log::warn!("cannot tell the supervisor that the sockets are bound: {}", cause(&error));
                self.socket = None;
            }
        }
        self.due = self.pace.filter(|_| self.socket.is_some()).map(|_| now);
        self.show_life(now);
    }

    /// The end has begun.
    pub fn stopping(&self) {
        self.try_tell(&NotifyState::Stopping);
    }

    /// When the next sign of life is due.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        self.due
    }

    /// Gives a sign of life where one is due: it tells that the loop goes round.
    pub fn show_life(&mut self, now: Instant) {
        if self.due.is_some_and(|due| due <= now) {
            self.due = self.pace.and_then(|pace| now.checked_add(pace));
            self.try_tell(&NotifyState::Watchdog);
        }
    }

    /// One that takes no more misses it.
    fn try_tell(&self, state: &NotifyState<'_>) {
        if let Err(error) = self.tell(state) {
            log::debug!("cannot tell the supervisor {state}: {}", cause(&error));
        }
    }

    fn tell(&self, state: &NotifyState<'_>) -> io::Result<()> {
        let Some(socket) = &self.socket else {
            return Ok(());
        };
        socket.send(format!("{state}\n").as_bytes()).map(|_| ())
    }
}

/// A path, or after an `@` a name that stands in no file system.
fn connect(name: &OsStr) -> io::Result<UnixDatagram> {
    let socket = UnixDatagram::unbound()?;
    #[cfg(any(target_os = "linux", target_os = "android"))]
    if let Some(name) = name.as_encoded_bytes().strip_prefix(b"@") {
        use std::os::linux::net::SocketAddrExt;
        socket.connect_addr(&std::os::unix::net::SocketAddr::from_abstract_name(name)?)?;
        return Ok(socket);
    }
    socket.connect(name)?;
    Ok(socket)
}
