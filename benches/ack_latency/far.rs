//! The other process: the server or the floor, until it is dropped.

use std::env;
use std::io::{self, BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

use crate::leash::leashed;
use crate::meter::{self, Memory};
use crate::row::{Exchange, Row};

/// A process that acknowledges.
pub(crate) struct Far {
    /// Where.
    pub(crate) address: SocketAddr,
    child: Child,
    /// Kept, so that it may go on printing.
    _stdout: BufReader<ChildStdout>,
}

impl Far {
    /// The server.
    pub(crate) fn server(row: &Row) -> io::Result<Far> {
        let mut command = Command::new(env!("CARGO_BIN_EXE_reactor-server"));
        command.args(["--port", "0", "--quiet", "--lang", "en", "--idle-timeout", "0"]);
        match row.exchange {
            Exchange::Tcp(framing) => command.args(["--tcp", "--framing", &framing.to_string()]),
            Exchange::Udp => command.arg("--udp"),
        };
        if row.busy_poll {
            command.arg("--busy-poll");
        }
        Far::start(&command)
    }

    /// The floor.
    pub(crate) fn floor(row: &Row) -> io::Result<Far> {
        let mut command = Command::new(env::current_exe()?);
        command.arg("--floor").arg(row.number.to_string());
        Far::start(&command)
    }

    /// The processor time that it has used so far, where the system tells.
    pub(crate) fn cpu(&self) -> Option<Duration> {
        meter::cpu(self.child.id())
    }

    /// What it and the kernel hold now.
    pub(crate) fn memory(&self) -> Memory {
        Memory::of(self.child.id())
    }

    /// Starts it and waits for the line whose last word is its address.
    fn start(command: &Command) -> io::Result<Far> {
        let mut child = leashed(command)?.stdin(Stdio::null()).stdout(Stdio::piped()).spawn()?;
        let Some(stdout) = child.stdout.take() else {
            return Err(io::Error::other("no pipe to its stdout"));
        };
        let (mut stdout, mut line) = (BufReader::new(stdout), String::new());
        let listening = stdout.read_line(&mut line);
        let address = line.split_whitespace().last().and_then(|word| word.parse().ok());
        match (listening, address) {
            (Ok(_), Some(address)) => Ok(Far { address, child, _stdout: stdout }),
            (outcome, _) => {
                end(&mut child);
                outcome?;
                Err(io::Error::other(format!(
                    "{} did not say where it listens: {line:?}",
                    command.get_program().display()
                )))
            }
        }
    }
}

impl Drop for Far {
    fn drop(&mut self) {
        end(&mut self.child);
    }
}

/// A failure says that it has ended already.
fn end(child: &mut Child) {
    let _ = child.kill();
    let _ = child.wait();
}
