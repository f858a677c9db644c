//! What the server tells.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use super::address::Address;
use super::json::Object;
pub use super::stats::Stats;
use super::{Format, Lang, ProbeText, Render, Stamp, Style, push, push_line, push_message, visible};
use crate::escape;
use crate::wire::{Framing, Message, Protocol, Reason};

/// One thing that happened to the server, or one answer to its operator.
#[derive(Clone, Copy, Debug)]
pub enum Event<'a> {
    /// A socket is bound and clients may come.
    Listening {
        /// TCP or UDP.
        protocol: Protocol,
        /// Where.
        address: SocketAddr,
    },
    /// A TCP client came.
    Connected {
        /// The client.
        peer: SocketAddr,
        /// The proxy that speaks for it.
        via: Option<SocketAddr>,
    },
    /// A TCP client sent a message.
    Message {
        /// The client.
        peer: SocketAddr,
        /// How the message was told from its neighbours.
        framing: Framing,
        /// The message.
        message: Message<'a>,
    },
    /// A TCP client left or was cut.
    Disconnected {
        /// The client.
        peer: SocketAddr,
        /// The proxy that spoke for it.
        via: Option<SocketAddr>,
        /// Why.
        reason: Reason,
        /// How many messages it had sent.
        messages: u64,
        /// How long it was connected.
        lasted: Duration,
    },
    /// A TCP client came and was turned away.
    Refused {
        /// The client.
        peer: SocketAddr,
        /// Why.
        reason: Refusal,
    },
    /// A datagram came.
    Datagram {
        /// Its sender.
        peer: SocketAddr,
        /// The message.
        bytes: &'a [u8],
    },
    /// A datagram could not be answered.
    ReplyFailed {
        /// Its sender.
        peer: SocketAddr,
        /// What the system said.
        error: &'a io::Error,
    },
    /// Shutdown begins.
    ShuttingDown,
    /// Shutdown is over.
    ShutDown {
        /// How many connections had not ended within the grace and were cut.
        cut: u64,
    },
    /// The answer to `stats`.
    Stats(&'a Stats),
    /// The answer to `clients`.
    Clients(&'a [ClientLine]),
    /// The answer to `close` with a client that is not there: the operator's word.
    NoSuchClient(&'a [u8]),
    /// The answer to a command that does not exist: the operator's words.
    UnknownCommand(&'a [u8]),
    /// The answer to `help`.
    Help,
}

/// Why a client is turned away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// There are as many clients as there may be.
    Full,
    /// As many as there may be are from its address.
    Address,
}

impl Refusal {
    fn text(self) -> &'static str {
        match self {
            Refusal::Full => "server is full",
            Refusal::Address => "too many from this address",
        }
    }
}

/// One client in the answer to `clients`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClientLine {
    /// The client.
    pub peer: SocketAddr,
    /// The proxy that speaks for it.
    pub via: Option<SocketAddr>,
    /// How long it has been connected.
    pub connected: Duration,
    /// How many messages it has sent.
    pub messages: u64,
    /// How long ago it last made progress: came, completed a message, or took bytes that waited for it.
    pub silent: Duration,
}

/// The answer to `help`.
pub const HELP: &str = "\
help            this list
clients         who is connected
stats           the server's counters, on one line
close IP:PORT   close one client's connection
shutdown        close all connections and end (also: quit, exit)";

/// The same in Chinese: the commands are the same words.
pub const HELP_ZH: &str = "\
help            显示这个列表
clients         有谁连接着
stats           服务器的各项计数，在一行里
close IP:PORT   关闭一个客户端的连接
shutdown        关闭所有连接并结束（也可以用 quit、exit）";

impl Render for Event<'_> {
    fn render(&self, style: Style, stamp: &Stamp, out: &mut String) {
        match style.format {
            Format::Text => self.text(style.lang, out),
            Format::Json => self.json(stamp, out),
        }
    }
}

impl Event<'_> {
    fn text(&self, lang: Lang, out: &mut String) {
        match *self {
            Event::Message { peer, framing, message } => {
                match lang {
                    Lang::En => {
                        Address::new(peer).push_to(out);
                        out.push_str(" sent: ");
                    }
                    Lang::Zh => {
                        let (ip, port) = Address::new(peer).parts();
                        push!(out, "从IP: {ip} Port: {port} 处接受到的信息: ");
                    }
                }
                push_message(out, Some(framing), message);
            }
            Event::Datagram { peer, bytes } => {
                match lang {
                    Lang::En => {
                        Address::new(peer).push_to(out);
                        out.push_str(" sent a datagram: ");
                    }
                    Lang::Zh => {
                        let (ip, port) = Address::new(peer).parts();
                        push!(out, "-----来自IP: {ip} Port: {port}-----\n数据: ");
                    }
                }
                match ProbeText::of(bytes) {
                    Some(probe) => push_line!(out, "{probe}"),
                    None => push_message(out, None, bytes.into()),
                }
            }
            Event::Listening { protocol, address } => {
                let name = protocol.to_string().to_uppercase();
                let address = Address::new(address);
                let (ip, port) = address.parts();
                match lang {
                    Lang::En => push_line!(out, "{name} server listening on {address}"),
                    Lang::Zh => push_line!(out, "{name} Server正在监听: Host: {ip} Port: {port}"),
                }
            }
            Event::Connected { peer, via } => {
                let peer = Address::new(peer);
                let (ip, port) = peer.parts();
                match lang {
                    Lang::En => push_line!(out, "{peer}{} connected", Via(via)),
                    Lang::Zh => {
                        push_line!(out, "-----来自IP: {ip} Port: {port} 的新连接已经建立-----");
                    }
                }
            }
            Event::Disconnected { peer, via, reason, .. } => {
                let peer = Address::new(peer);
                let (ip, port) = peer.parts();
                match lang {
                    Lang::En => push_line!(out, "{peer}{} disconnected ({reason})", Via(via)),
                    Lang::Zh => {
                        if reason == Reason::Reset {
                            push_line!(out, "oops!! something goes wrong!");
                        }
                        push_line!(out, "-----从IP: {ip} Port: {port} 处断开连接-----");
                    }
                }
            }
            Event::Refused { peer, reason } => {
                push_line!(out, "{} refused ({})", Address::new(peer), reason.text());
            }
            Event::ReplyFailed { peer, error } => {
                let (peer, cause) = (Address::new(peer), escape::cause(error));
                let (ip, port) = peer.parts();
                match lang {
                    Lang::En => push_line!(out, "could not answer {peer}: {cause}"),
                    Lang::Zh => {
                        let what = "oops! something goes wrong when sending message to";
                        push_line!(out, "{what} ('{ip}', {port}) :{cause}");
                    }
                }
            }
            Event::ShuttingDown => match lang {
                Lang::En => push_line!(out, "server is shutting down"),
                Lang::Zh => push_line!(out, "server is shutting down !"),
            },
            Event::ShutDown { cut: 0 } => {}
            Event::ShutDown { cut } => push_line!(out, "connections cut: {cut}"),
            Event::Stats(stats) => {
                push!(out, "uptime={:.3}", stats.uptime.as_secs_f64());
                for (name, count) in stats.counters() {
                    push!(out, " {name}={count}");
                }
                push_line!(out, " longest_turn_ms={:.3}", stats.longest_turn_ms());
            }
            Event::Clients([]) => match lang {
                Lang::En => push_line!(out, "0 clients"),
                Lang::Zh => push_line!(out, "0 个客户端"),
            },
            Event::Clients(clients) => {
                for client in clients {
                    let peer = Address::new(client.peer);
                    let connected = client.connected.as_secs_f64();
                    let silent = client.silent.as_secs_f64();
                    let (n, via) = (client.messages, Via(client.via));
                    match lang {
                        Lang::En => {
                            push_line!(
                                out,
                                "{peer}{via} connected {connected:.1} s, {n} messages, silent {silent:.1} s"
                            );
                        }
                        Lang::Zh => {
                            push_line!(out, "{peer}{via} 已连接 {connected:.1} 秒，{n} 条消息，已沉默 {silent:.1} 秒");
                        }
                    }
                }
            }
            Event::NoSuchClient(word) => match lang {
                Lang::En => push_line!(out, "no such client: {}", escape::shown(word)),
                Lang::Zh => push_line!(out, "没有这个客户端: {}", escape::shown(word)),
            },
            Event::UnknownCommand(words) => match lang {
                Lang::En => push_line!(out, "unknown command: {}, try help", escape::shown(words)),
                Lang::Zh => push_line!(out, "未知命令: {}，请输入 help", escape::shown(words)),
            },
            Event::Help => push_line!(out, "{}", if lang == Lang::Zh { HELP_ZH } else { HELP }),
        }
    }

    fn json(&self, stamp: &Stamp, out: &mut String) {
        match *self {
            Event::Listening { protocol, address } => {
                Object::event(out, stamp, "listening").protocol(protocol).address("address", address)
            }
            Event::Connected { peer, via } => {
                Object::event(out, stamp, "connected").protocol(Protocol::Tcp).client(peer, via)
            }
            Event::Message { peer, framing, message } => Object::event(out, stamp, "message")
                .protocol(Protocol::Tcp)
                .address("peer", peer)
                .value("bytes", message.len)
                .outside("text", visible(Some(framing), message.text)),
            Event::Datagram { peer, bytes } => {
                let object = Object::event(out, stamp, "message")
                    .protocol(Protocol::Udp)
                    .address("peer", peer)
                    .value("bytes", bytes.len());
                match ProbeText::of(bytes) {
                    Some(probe) => object.value("text", format_args!("\"{probe}\"")),
                    None => object.outside("text", visible(None, bytes)),
                }
            }
            Event::Disconnected { peer, via, reason, messages, lasted } => Object::event(out, stamp, "disconnected")
                .protocol(Protocol::Tcp)
                .client(peer, via)
                .value("reason", format_args!("\"{reason}\""))
                .value("messages", messages)
                .seconds("seconds", lasted),
            Event::Refused { peer, reason } => Object::event(out, stamp, "refused")
                .protocol(Protocol::Tcp)
                .address("peer", peer)
                .string("reason", reason.text()),
            Event::ReplyFailed { peer, error } => Object::event(out, stamp, "reply-failed")
                .protocol(Protocol::Udp)
                .address("peer", peer)
                .string("reason", &escape::cause(error)),
            Event::ShuttingDown => Object::event(out, stamp, "shutdown"),
            Event::ShutDown { cut } => Object::event(out, stamp, "shutdown").value("cut", cut),
            Event::Stats(stats) => stats
                .counters()
                .into_iter()
                .fold(Object::event(out, stamp, "stats").seconds("uptime", stats.uptime), |object, (name, count)| {
                    object.value(name, count)
                })
                .value("longest_turn_ms", format_args!("{:.3}", stats.longest_turn_ms())),
            Event::Clients(clients) => {
                Object::event(out, stamp, "clients").list("clients", clients, |object, client| {
                    object
                        .client(client.peer, client.via)
                        .seconds("seconds", client.connected)
                        .value("messages", client.messages)
                        .seconds("silent", client.silent)
                })
            }
            Event::NoSuchClient(_) | Event::UnknownCommand(_) | Event::Help => {
                let mut answer = String::new();
                self.text(Lang::En, &mut answer);
                Object::event(out, stamp, "operator").string("text", answer.trim_end_matches('\n'))
            }
        }
        .end_line();
    }
}

/// Behind a client, the proxy that speaks for it.
struct Via(Option<SocketAddr>);

impl fmt::Display for Via {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.map_or(Ok(()), |proxy| write!(f, " via {}", Address::new(proxy)))
    }
}

#[cfg(test)]
mod tests;
