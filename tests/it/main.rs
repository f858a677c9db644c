//! The two programs, tested through their front doors: sockets, pipes, terminals and signals.
//!
//! One crate, so that it links once; one behaviour a module; names are sentences.
#![cfg(all(unix, feature = "programs"))]
#![allow(clippy::unwrap_used, clippy::cast_possible_truncation, clippy::print_stdout)]

mod harness;

mod busy_poll;
mod client_basics;
mod client_errors;
mod client_floods;
mod client_json;
mod client_limits;
mod client_modes;
mod client_names;
mod client_notices;
mod client_output;
mod client_plain_words;
mod client_quiet;
mod client_replies;
mod client_signals;
mod client_single_thread;
mod client_stdin;
mod client_terminal;
mod client_timeouts;
mod client_turns;
mod client_usage;
mod client_zh;
mod corpus;
mod cost;
mod durations;
mod fairness;
mod find_idle;
mod fresh_line;
mod front_page;
mod full_disk;
mod haproxy;
mod idle;
mod instruments_v6;
mod interop;
mod json;
mod limits;
mod lingering;
mod listening;
mod locale;
mod model;
mod operator;
mod path;
mod ping_connections;
mod ping_files;
mod ping_files_special;
mod ping_honesty;
mod ping_late;
mod ping_output;
mod ping_run;
mod ping_schedule;
mod ping_terminal;
mod ping_usage;
mod screen;
mod seventy_lines;
mod shortage;
mod shutdown;
mod shutdown_udp;
mod single_thread;
mod stamps;
mod stamps_forged;
mod stamps_time;
mod stdin;
mod transcript_en;
mod transcript_text;
mod transcript_zh;
mod usage;
mod verdict;
mod verdict_wait;
mod wire_bytes;
mod wire_frames;
mod wire_udp;
