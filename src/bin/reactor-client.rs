//! `reactor-client`: parse, run, exit.

use std::process::ExitCode;

fn main() -> ExitCode {
    ack_reactor::cli::run_client()
}
