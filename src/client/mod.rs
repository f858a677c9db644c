//! The client: rooms on one shared stage.
//!
//! | room | what it does |
//! |---|---|
//! | [`target`] | the words HOST and PORT, and the addresses behind them |
//! | [`stage`] | what every mode stands on: the process, and what can wake it |
//! | [`input`] | the messages: from stdin or from the command line |
//! | [`route`] | the addresses of a name, tried one after the other |
//! | [`live`] | when the live line is written anew |
//! | [`lookup`] | a name that is asked for while a run goes on, by a child process |
//! | [`origin`] | where sockets leave from, and how they are marked |
//! | [`link`] | the way to one server address, TCP or UDP |
//! | [`ledger`] | which reply is for which message |
//! | [`chat`] | stdin and the socket in one loop, one message at a time |
//! | [`ping`] | `--ping`: how long does an acknowledgement take? |
//! | [`find_idle`] | `--find-idle`: when is a silent path cut? |
//! | [`find_size`] | `--find-size`: how big may a message be? |
//! | [`verdict`] | `-z`: is the path open? |
//! | [`result_file`] | a file for results: found writable before the run, written whole at its end |

pub mod chat;
pub mod find_idle;
pub mod find_size;
pub mod input;
pub mod ledger;
pub mod link;
pub mod live;
pub mod lookup;
pub mod origin;
pub mod ping;
pub mod result_file;
pub mod route;
pub mod stage;
pub mod target;
pub mod verdict;
