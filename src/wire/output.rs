//! What waits to go out on a stream.

/// Output that waits for a peer to take it: bytes, the first of them at hand.
pub trait Output {
    /// Whether nothing waits.
    fn is_empty(&self) -> bool;

    /// What to write next; `scratch` is there for what must be put together first.
    fn head<'a>(&'a self, scratch: &'a mut Vec<u8>) -> &'a [u8];

    /// So many bytes of it have left.
    fn advance(&mut self, bytes: usize);
}

/// Bytes on their way out: a client's messages.
#[derive(Debug, Default)]
pub struct Outbox {
    bytes: Vec<u8>,
    /// How many of them have left.
    left: usize,
}

impl Outbox {
    /// Puts a message behind what waits, as it stands on the wire.
    pub fn push(&mut self, framing: super::Framing, message: &[u8]) {
        framing.encode(message, &mut self.bytes);
    }
}

impl Output for Outbox {
    fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    fn head<'a>(&'a self, _: &'a mut Vec<u8>) -> &'a [u8] {
        &self.bytes[self.left..]
    }

    fn advance(&mut self, bytes: usize) {
        self.left += bytes;
        if self.left >= self.bytes.len() {
            self.bytes.clear();
            self.left = 0;
        }
    }
}
