//! What is measured: the rows of the table.

use ack_reactor::wire::{CHECK, Framing};

/// Idle connections beside the one that is measured, where the descriptor limit allows as many.
pub(crate) const IDLE: usize = 8000;

/// The protocol of an exchange, and how TCP's stream is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exchange {
    Tcp(Framing),
    Udp,
}

/// One row: so many messages in flight on each connection, the next ones as soon as all of them are acknowledged.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Row {
    /// What the floor is told to do: a place in [`rows`], or behind them in [`lone_rows`].
    pub(crate) number: usize,
    pub(crate) exchange: Exchange,
    /// Bytes of a message (`lines`: with its newline).
    pub(crate) size: usize,
    /// Messages in flight on each connection, sent at once.
    pub(crate) depth: usize,
    /// TCP connections, or UDP source ports.
    pub(crate) connections: usize,
    /// Whether there are idle connections beside them.
    pub(crate) idle: bool,
    /// Whether the server spins.
    pub(crate) busy_poll: bool,
    /// Whether each message has a connection of its own, which then ends.
    pub(crate) short: bool,
}

/// The table of round trips.
pub(crate) fn rows() -> Vec<Row> {
    let mut rows = Vec::new();
    let mut add = |exchange, size, connections, idle, busy_poll| {
        rows.push(Row { number: rows.len(), exchange, size, depth: 1, connections, idle, busy_poll, short: false });
    };
    let bytes = Exchange::Tcp(Framing::Bytes);
    for exchange in [bytes, Exchange::Tcp(Framing::Lines), Exchange::Udp] {
        for size in [5, 1024] {
            for connections in [1, 64] {
                add(exchange, size, connections, false, false);
            }
        }
    }
    add(bytes, 5, 1, true, false);
    add(bytes, 5, 1, false, true);
    add(Exchange::Udp, 5, 1, false, true);
    rows
}

/// What the table of costs begins with: every exchange of it, on one connection.
pub(crate) fn lone_rows() -> Vec<Row> {
    let lines = Exchange::Tcp(Framing::Lines);
    let bytes = Exchange::Tcp(Framing::Bytes);
    let plain = [(bytes, 5, 1, false), (Exchange::Udp, 5, 1, false)];
    let sizes = [5, 64, 1024, 16 * 1024, 60 * 1024].map(|size| (lines, size, 1, false));
    let depths = [10, 100, 1000].map(|depth| (lines, 5, depth, false));
    plain
        .into_iter()
        .chain(sizes)
        .chain(depths)
        .chain([(bytes, 5, 1, true)])
        .zip(rows().len()..)
        .map(|((exchange, size, depth, short), number)| Row {
            number,
            exchange,
            size,
            depth,
            connections: 1,
            idle: false,
            busy_poll: false,
            short,
        })
        .collect()
}

impl Row {
    /// A name without spaces, for filters and files: `tcp-lines-1024-64`, with ten in flight `tcp-lines-5-8-x10`, with a
    /// connection for each message `tcp-bytes-5-short`.
    pub(crate) fn name(&self) -> String {
        let exchange = self.exchange_name().replace(' ', "-");
        let (idle, spins) = (if self.idle { "-idle" } else { "" }, if self.busy_poll { "-busy-poll" } else { "" });
        let depth = if self.depth > 1 { format!("-x{}", self.depth) } else { String::new() };
        format!("{exchange}-{}-{}{depth}{idle}{spins}", self.size, self.connections_name())
    }

    /// How many connections: `64`, or `short` ones.
    pub(crate) fn connections_name(&self) -> String {
        if self.short { "short".to_owned() } else { self.connections.to_string() }
    }

    /// `tcp lines`.
    pub(crate) fn exchange_name(&self) -> String {
        match self.exchange {
            Exchange::Tcp(framing) => format!("tcp {framing}"),
            Exchange::Udp => "udp".to_owned(),
        }
    }

    /// What is sent at once.
    pub(crate) fn message(&self) -> Vec<u8> {
        let mut message = vec![b'x'; self.size];
        if self.exchange == Exchange::Tcp(Framing::Lines) {
            message[self.size - 1] = b'\n';
        }
        message.repeat(self.depth)
    }

    /// What comes back for it.
    pub(crate) fn reply(&self) -> Vec<u8> {
        self.acknowledgement().repeat(self.depth)
    }

    /// What comes back for each message.
    pub(crate) fn acknowledgement(&self) -> &'static [u8] {
        match self.exchange {
            Exchange::Tcp(framing) => framing.ack(),
            Exchange::Udp => CHECK,
        }
    }
}
