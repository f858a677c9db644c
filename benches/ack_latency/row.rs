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

/// One row: one message in flight on each connection, the next one as soon as it is acknowledged.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Row {
    /// Its place in the whole table.
    pub(crate) number: usize,
    pub(crate) exchange: Exchange,
    /// Bytes of a message (`lines`: with its newline).
    pub(crate) size: usize,
    /// TCP connections, or UDP source ports.
    pub(crate) connections: usize,
    /// Whether there are idle connections beside them.
    pub(crate) idle: bool,
    /// Whether the server spins.
    pub(crate) busy_poll: bool,
}

/// The whole table.
pub(crate) fn rows() -> Vec<Row> {
    let mut rows = Vec::new();
    let mut add = |exchange, size, connections, idle, busy_poll| {
        rows.push(Row { number: rows.len(), exchange, size, connections, idle, busy_poll });
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

impl Row {
    /// A name without spaces, for filters and files: `tcp-lines-1024-64`.
    pub(crate) fn name(&self) -> String {
        let exchange = self.exchange_name().replace(' ', "-");
        let (idle, spins) = (if self.idle { "-idle" } else { "" }, if self.busy_poll { "-busy-poll" } else { "" });
        format!("{exchange}-{}-{}{idle}{spins}", self.size, self.connections)
    }

    /// `tcp lines`.
    pub(crate) fn exchange_name(&self) -> String {
        match self.exchange {
            Exchange::Tcp(framing) => format!("tcp {framing}"),
            Exchange::Udp => "udp".to_owned(),
        }
    }

    /// What is sent.
    pub(crate) fn message(&self) -> Vec<u8> {
        let mut message = vec![b'x'; self.size];
        if self.exchange == Exchange::Tcp(Framing::Lines) {
            message[self.size - 1] = b'\n';
        }
        message
    }

    /// What comes back.
    pub(crate) fn reply(&self) -> &'static [u8] {
        match self.exchange {
            Exchange::Tcp(framing) => framing.ack(),
            Exchange::Udp => CHECK,
        }
    }
}
