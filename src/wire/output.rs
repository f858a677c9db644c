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

    /// How many bytes wait.
    pub fn waiting(&self) -> usize {
        self.bytes.len() - self.left
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
        // What has left makes room, although there may never be a moment in which nothing waits.
        if self.left * 2 >= self.bytes.len() {
            self.bytes.drain(..self.left);
            self.left = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Framing;

    #[test]
    fn what_never_runs_dry_stays_small() {
        let (mut outbox, mut sent) = (Outbox::default(), 0_u32);
        for message in 0..1000_u32 {
            outbox.push(Framing::Bytes, &message.to_be_bytes());
            if message > 2 {
                assert_eq!(outbox.head(&mut Vec::new())[..4], sent.to_be_bytes());
                outbox.advance(4);
                sent += 1;
            }
            assert!(!outbox.is_empty() && outbox.bytes.len() <= 32, "{}", outbox.bytes.len());
        }
    }
}
