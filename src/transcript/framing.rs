//! What is said where the two sides do not seem to have the same framing.

use crate::wire::Framing;

/// What came back is what a server with another framing would send.
pub fn other(own: Framing, theirs: Framing) -> String {
    format!("the server answers as with --framing {theirs}, and here it is {own}: both sides need the same --framing")
}

/// The connection stands, and nothing came back at all.
pub fn question(own: Framing) -> String {
    format!("nothing came back at all: do both sides have the same --framing? here it is {own}")
}
