//! What the client tells.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use super::address::Address;
use super::json::Object;
use super::{Format, Lang, Render, Stamp, Style, cut_by, push, push_line, push_message, visible};
use crate::escape;
use crate::wire::{Framing, Message, Protocol};

/// One thing that happened to the client.
#[derive(Clone, Copy, Debug)]
pub enum Event<'a> {
    /// The TCP connection stands.
    Connected {
        /// The server.
        peer: SocketAddr,
    },
    /// A message can be typed. Tell it before every message, at a terminal only: where one prompt is enough, the later
    /// ones print nothing.
    Prompt {
        /// TCP or UDP.
        protocol: Protocol,
        /// Whether it is the first of the run.
        first: bool,
    },
    /// The server answered.
    Reply {
        /// TCP or UDP.
        protocol: Protocol,
        /// The server.
        peer: SocketAddr,
        /// How replies are told from each other; a datagram needs none, and over UDP it is not looked at.
        framing: Framing,
        /// What it said.
        message: Message<'a>,
        /// How long that took, where it answers a message.
        rtt: Option<Duration>,
    },
    /// A datagram could not be sent, or was refused at the far end.
    SendFailed {
        /// The server.
        peer: SocketAddr,
        /// What the system said.
        error: &'a io::Error,
    },
    /// The server said its last word. This tells all that follows from it too: neither [`Closed`](Event::Closed) nor
    /// [`TimedOut`](Event::TimedOut) is due for the same end.
    Notice {
        /// TCP or UDP.
        protocol: Protocol,
        /// The server.
        peer: SocketAddr,
        /// The word.
        text: &'a [u8],
    },
    /// The server closed without a last word.
    Closed {
        /// TCP or UDP.
        protocol: Protocol,
        /// The server.
        peer: SocketAddr,
    },
    /// The client waited long enough, for a reply or for its user.
    TimedOut {
        /// TCP or UDP.
        protocol: Protocol,
        /// The server.
        peer: SocketAddr,
        /// What did not come, in words.
        reason: &'a str,
    },
    /// What ended the run, or kept it from starting; for programs alone: people read it on stderr.
    Error {
        /// The sentence.
        text: &'a str,
    },
    /// The end of the run; for programs alone.
    Summary {
        /// Messages sent.
        sent: u64,
        /// Messages acknowledged.
        acknowledged: u64,
    },
}

const CLOSED: &str = "connection has been closed by server";
const IDLE: &[u8] = b"idle timeout";

impl Render for Event<'_> {
    fn render(&self, style: Style, stamp: &Stamp, out: &mut String) {
        match style.format {
            Format::Text => self.text(style.lang, out),
            Format::Json => self.json(stamp, out),
        }
        if let Some(consequence) = self.consequence() {
            consequence.render(style, stamp, out);
        }
    }
}

impl<'a> Event<'a> {
    /// What a notice leads to.
    fn consequence(&self) -> Option<Event<'a>> {
        match *self {
            Event::Notice { protocol: Protocol::Tcp, peer, text: IDLE } => {
                Some(Event::TimedOut { protocol: Protocol::Tcp, peer, reason: "idle timeout" })
            }
            Event::Notice { protocol: Protocol::Tcp, peer, .. } => {
                Some(Event::Closed { protocol: Protocol::Tcp, peer })
            }
            _ => None,
        }
    }

    fn text(&self, lang: Lang, out: &mut String) {
        match *self {
            Event::Connected { peer } => {
                let peer = Address::new(peer);
                let (ip, port) = peer.parts();
                match lang {
                    Lang::En => push_line!(out, "connected to {peer}"),
                    Lang::Zh => push_line!(out, "与IP: {ip} PORT: {port} 成功建立连接!"),
                }
            }
            Event::Prompt { protocol, first } => match (lang, protocol) {
                (Lang::En, _) if first => push_line!(out, "type a message, Enter sends it"),
                (Lang::Zh, Protocol::Tcp) if first => push_line!(out, "输入要传输的数据"),
                (Lang::Zh, Protocol::Udp) => push_line!(out, "输入需要传输的信息: "),
                (Lang::En | Lang::Zh, _) => {}
            },
            Event::Reply { protocol, peer, framing, message, .. } => {
                let peer = Address::new(peer);
                let (ip, port) = peer.parts();
                match (lang, protocol) {
                    (Lang::En, Protocol::Tcp) => push!(out, "last message: "),
                    (Lang::En, Protocol::Udp) => push!(out, "{peer} answered: "),
                    (Lang::Zh, Protocol::Tcp) => push!(out, "上一条信息状态: "),
                    (Lang::Zh, Protocol::Udp) => {
                        push!(out, "收到('{ip}', {port}) 处返回数据: ");
                    }
                }
                push_message(out, cut_by(protocol, framing), message);
            }
            Event::SendFailed { peer, error } => {
                let (peer, cause) = (Address::new(peer), escape::cause(error));
                match lang {
                    Lang::En => push_line!(out, "could not send to {peer}: {cause}"),
                    Lang::Zh => push_line!(out, "oops! something goes wrong when sending message: {cause}"),
                }
            }
            // Its consequence says it.
            Event::Notice { protocol: Protocol::Tcp, text: IDLE, .. } => {}
            Event::Notice { text, .. } => push_line!(out, "{}", escape::shown(text)),
            Event::Closed { .. } => push_line!(out, "{CLOSED}"),
            Event::TimedOut { protocol, reason, .. } => match (lang, protocol) {
                (Lang::En, _) => push_line!(out, "timed out: {}", escape::shown(reason.as_bytes())),
                (Lang::Zh, Protocol::Tcp) => {
                    push_line!(out, "oops! something goes wrong!!(probably timeout)");
                }
                (Lang::Zh, Protocol::Udp) => push_line!(out, "client time out !"),
            },
            Event::Error { .. } | Event::Summary { .. } => {}
        }
    }

    fn json(&self, stamp: &Stamp, out: &mut String) {
        let event = |out, name| Object::event(out, stamp, name);
        match *self {
            Event::Connected { peer } => event(out, "connected").protocol(Protocol::Tcp).address("peer", peer),
            Event::Prompt { .. } => return,
            Event::Reply { protocol, peer, framing, message, rtt } => {
                let reply = event(out, "reply")
                    .protocol(protocol)
                    .address("peer", peer)
                    .value("bytes", message.len)
                    .outside("text", visible(cut_by(protocol, framing), message.text));
                match rtt {
                    Some(rtt) => reply.value("rtt_ns", rtt.as_nanos()),
                    None => reply,
                }
            }
            Event::SendFailed { peer, error } => event(out, "send-failed")
                .protocol(Protocol::Udp)
                .address("peer", peer)
                .string("reason", &escape::cause(error)),
            Event::Notice { protocol, peer, text } => event(out, "notice")
                .protocol(protocol)
                .address("peer", peer)
                .value("bytes", text.len())
                .outside("text", text),
            Event::Closed { protocol, peer } => event(out, "closed").protocol(protocol).address("peer", peer),
            Event::TimedOut { protocol, peer, reason } => {
                event(out, "timeout").protocol(protocol).address("peer", peer).string("reason", reason)
            }
            Event::Error { text } => event(out, "error").string("text", text),
            Event::Summary { sent, acknowledged } => {
                event(out, "summary").value("sent", sent).value("acknowledged", acknowledged)
            }
        }
        .end_line();
    }
}

#[cfg(test)]
mod tests;
