//! Batches in: one `recvmmsg`, into buffers that are used again.

use std::array;
use std::fmt;
use std::io::{self, IoSliceMut};
use std::net::IpAddr;
use std::ops::Range;
use std::os::fd::RawFd;

use nix::sys::socket::{ControlMessageOwned, MsgFlags, MultiHeaders, RecvMsg, recvmmsg, recvmsg};
use nix::sys::time::TimeSpec;

use super::super::{Local, Received};
use super::BATCH;
use super::address::Sender;

/// Room for the longest datagram, and a cache line more: at a power of two apart, the first bytes of all the buffers
/// would share one set of the cache.
const BUFFER: usize = 65_536 + 64;

/// The batch received last.
pub(super) struct BatchIn<S> {
    bound: Local,
    packet_info: bool,
    headers: MultiHeaders<S>,
    /// Control messages of a message alone.
    space: Vec<u8>,
    /// `BATCH` buffers of `BUFFER` bytes; fresh memory costs nothing until a datagram reaches it.
    buffers: Vec<u8>,
    arrivals: Vec<Arrival<S>>,
    taken: usize,
    /// The last batch was more than a few.
    busy: bool,
}

pub(super) struct Arrival<S> {
    pub(super) peer: S,
    pub(super) local: Local,
    /// Where its bytes lie in the buffers: a message before it that told no sender is no arrival, and has a buffer.
    place: Range<usize>,
    /// The kernel's time of receipt, in ns since 1970.
    pub(super) received: Option<u64>,
}

impl<S: Sender> Arrival<S> {
    /// What a message tells, whose bytes begin at `start`.
    #[inline]
    fn of(message: &RecvMsg<'_, '_, S>, start: usize, bound: Local) -> Option<Self> {
        // On a wildcard bind the bound address, were it ever needed, lets the system choose.
        let (mut local, mut received) = (bound, None);
        for control in message.cmsgs().ok().into_iter().flatten() {
            if let ControlMessageOwned::ScmTimestampns(time) = control {
                received = nanoseconds(time);
            } else if let Some(own) = S::local(control) {
                local = own;
                // The kernel puts it last, and to look for more costs.
                break;
            }
        }
        Some(Arrival { peer: message.address?, local, place: start..start + message.bytes, received })
    }
}

impl<S: Sender> BatchIn<S> {
    pub(super) fn new(bound: IpAddr, packet_info: bool) -> Self {
        Self {
            bound: Local { ip: bound, interface: 0 },
            packet_info,
            headers: MultiHeaders::preallocate(BATCH, packet_info.then(S::control_space)),
            space: Vec::new(),
            buffers: vec![0; BATCH * BUFFER],
            arrivals: Vec::with_capacity(BATCH),
            taken: 0,
            busy: false,
        }
    }

    /// From now on the kernel tells when a datagram came: that takes more room.
    pub(super) fn make_room_for_times(&mut self) {
        let address = if self.packet_info { S::control_space() } else { Vec::new() };
        let space = [address, nix::cmsg_space!(TimeSpec)].concat();
        self.headers = MultiHeaders::preallocate(BATCH, Some(space.clone()));
        self.space = space;
        self.space.resize(self.space.capacity(), 0);
    }

    pub(super) fn receive(&mut self, socket: RawFd) -> io::Result<Received> {
        match S::FEW {
            _ if self.busy => self.receive_up_to::<BATCH>(socket),
            2 => self.receive_up_to::<2>(socket),
            _ => self.receive_up_to::<4>(socket),
        }
    }

    /// Fewer messages than asked for, answerable or not, prove the drain: one that comes later is a new event.
    fn receive_up_to<const MOST: usize>(&mut self, socket: RawFd) -> io::Result<Received> {
        self.busy = false;
        self.arrivals.clear();
        self.taken = 0;
        let mut buffers = self.buffers.chunks_exact_mut(BUFFER);
        let mut slices: [_; MOST] = array::from_fn(|_| [IoSliceMut::new(buffers.next().unwrap_or_default())]);
        let messages = recvmmsg(socket, &mut self.headers, &mut slices, MsgFlags::empty(), None)?;
        let mut came = 0;
        for (message, start) in messages.zip((0..).step_by(BUFFER)) {
            came += 1;
            self.arrivals.extend(Arrival::of(&message, start, self.bound));
        }
        self.busy = came >= S::FEW;
        Ok(if came < MOST { Received::Drained } else { Received::More })
    }

    /// One message alone, which costs less than one of several that were asked for.
    pub(super) fn receive_one(&mut self, socket: RawFd) -> io::Result<()> {
        self.arrivals.clear();
        self.taken = 0;
        let mut slices = [IoSliceMut::new(self.buffers.get_mut(..BUFFER).unwrap_or_default())];
        let message = recvmsg::<S>(socket, &mut slices, Some(&mut self.space), MsgFlags::empty())?;
        self.arrivals.extend(Arrival::of(&message, 0, self.bound));
        Ok(())
    }

    pub(super) fn next(&mut self) -> Option<(&Arrival<S>, &[u8])> {
        let arrival = self.arrivals.get(self.taken)?;
        let bytes = self.buffers.get(arrival.place.clone())?;
        self.taken += 1;
        Some((arrival, bytes))
    }

    /// How many of the batch were not taken yet.
    pub(super) fn left(&self) -> usize {
        self.arrivals.len() - self.taken
    }
}

fn nanoseconds(time: TimeSpec) -> Option<u64> {
    let (seconds, nanoseconds) = (u64::try_from(time.tv_sec()).ok()?, u64::try_from(time.tv_nsec()).ok()?);
    seconds.checked_mul(1_000_000_000)?.checked_add(nanoseconds)
}

impl<S> fmt::Debug for BatchIn<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BatchIn")
            .field("arrivals", &self.arrivals.len())
            .field("taken", &self.taken)
            .finish_non_exhaustive()
    }
}
