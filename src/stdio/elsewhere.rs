//! Where there is no way to read without blocking: no input at all, and output may block.

use std::io::{self, IsTerminal, Write};
use std::time::Duration;

use mio::{Interest, Registry, Token};

use super::Kind;

/// One standard descriptor, for reading or for writing.
pub struct Descriptor {
    output: Option<Box<dyn Write + Send>>,
    kind: Kind,
}

/// The standard input: at its end at once.
///
/// # Errors
///
/// None.
pub fn stdin() -> io::Result<Descriptor> {
    Ok(Descriptor { output: None, kind: kind(&io::stdin()) })
}

/// The standard output.
///
/// # Errors
///
/// None.
pub fn stdout() -> io::Result<Descriptor> {
    Ok(Descriptor { output: Some(Box::new(io::stdout())), kind: kind(&io::stdout()) })
}

/// The standard error output.
///
/// # Errors
///
/// None.
pub fn stderr() -> io::Result<Descriptor> {
    Ok(Descriptor { output: Some(Box::new(io::stderr())), kind: kind(&io::stderr()) })
}

fn kind(stream: &impl IsTerminal) -> Kind {
    if stream.is_terminal() { Kind::Terminal } else { Kind::Device }
}

impl Descriptor {
    /// What it is, as far as can be told.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Whether it is a terminal.
    #[must_use]
    pub fn is_terminal(&self) -> bool {
        self.kind == Kind::Terminal
    }

    /// Never: nothing is read here.
    #[must_use]
    pub fn cuts_lines(&self) -> bool {
        false
    }

    /// Always: nothing is registered here.
    #[must_use]
    pub fn always_ready(&self) -> bool {
        true
    }

    /// Does nothing.
    ///
    /// # Errors
    ///
    /// None.
    pub fn register(&mut self, _: &Registry, _: Token, _: Interest) -> io::Result<()> {
        Ok(())
    }

    /// The end, at once.
    ///
    /// # Errors
    ///
    /// None.
    pub fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        Ok(0)
    }

    /// Writes from the beginning of `bytes`, however long that takes; how many it were.
    ///
    /// # Errors
    ///
    /// The system's.
    pub fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let Some(output) = &mut self.output else {
            return Err(io::ErrorKind::BrokenPipe.into());
        };
        let count = output.write(bytes)?;
        output.flush()?;
        Ok(count)
    }

    /// Does nothing: it is always writable.
    ///
    /// # Errors
    ///
    /// None.
    pub fn wait_writable(&self, _: Duration) -> io::Result<()> {
        Ok(())
    }

    /// Never known here.
    #[must_use]
    pub fn is_abandoned(&self) -> bool {
        false
    }
}
