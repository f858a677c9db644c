//! The client: rooms on one shared stage.
//!
//! | room | what it does |
//! |---|---|
//! | [`target`] | the words HOST and PORT, and the addresses behind them |
//! | [`stage`] | what every mode stands on: the loop, signals, stdout and stderr |
//! | [`input`] | the messages: from stdin or from the command line |
//! | [`link`] | the way to one server address, TCP or UDP |
//! | [`ledger`] | which reply is for which message |
//! | [`chat`] | stdin and the socket in one loop, one message at a time |

pub mod chat;
pub mod input;
pub mod ledger;
pub mod link;
pub mod stage;
pub mod target;
