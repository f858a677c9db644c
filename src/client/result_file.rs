//! A file for results: found writable before a run, written whole at its end.
//!
//! | what the name is | how it is written |
//! |---|---|
//! | nothing yet, an ordinary file, a link to either | beside it, then renamed over it: the old one or the new one, never a part |
//! | a pipe, a device | directly, at the end; a pipe is opened then, too, and waits for its reader |
//! | our own stdout or stderr | through the descriptor that we have: opened anew, a file would begin at its start |
//!
//! Until the end nothing that exists is touched, and nothing is left behind. A link stays, what it leads to is replaced;
//! permissions, and where the system allows it the owner, are those of the old file.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};

/// A file, before it is written.
#[derive(Debug)]
pub struct ResultFile {
    name: String,
    place: Place,
}

/// How the name is written to.
#[derive(Debug)]
enum Place {
    /// This path, with no link in it, by a rename.
    Beside(PathBuf),
    /// A pipe or a device, as it was named.
    Direct,
    /// Our stdout or stderr.
    Own { stream: File, is_stdout: bool },
}

impl ResultFile {
    /// Finds out whether the name can be written, and touches nothing.
    ///
    /// # Errors
    /// It cannot be.
    pub fn find(name: &str) -> io::Result<ResultFile> {
        let path = Path::new(name);
        let place = match fs::metadata(path) {
            Ok(found) => match platform::own_stream(&found) {
                Some((stream, is_stdout)) => Place::Own { stream, is_stdout },
                None if found.is_file() || found.is_dir() => Place::Beside(fs::canonicalize(path)?),
                None => {
                    platform::expect_writable(path)?;
                    Place::Direct
                }
            },
            Err(error) if error.kind() == ErrorKind::NotFound => Place::Beside(new_path(path).ok_or(error)?),
            Err(error) => return Err(error),
        };
        if let Place::Beside(target) = &place {
            Staged::new(target)?;
        }
        Ok(ResultFile { name: name.to_owned(), place })
    }

    /// As it was named.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether it is no ordinary file, and written directly.
    pub fn is_special(&self) -> bool {
        !matches!(self.place, Place::Beside(_))
    }

    /// Whether it is our own stdout.
    pub fn is_stdout(&self) -> bool {
        matches!(self.place, Place::Own { is_stdout: true, .. })
    }

    /// Whether both would be written to one ordinary file.
    pub fn is_same(&self, other: &ResultFile) -> bool {
        matches!((&self.place, &other.place), (Place::Beside(one), Place::Beside(other)) if one == other)
    }
}

/// Writes all these files: where one cannot be staged, none is replaced. While a pipe takes nothing, `is_over` is asked
/// now and then whether to give up.
///
/// # Errors
/// What could not be written, and why.
pub fn write_all<'f>(
    files: &[(&'f ResultFile, Vec<u8>)],
    mut is_over: impl FnMut() -> bool,
) -> Result<(), (&'f ResultFile, io::Error)> {
    let mut staged = Vec::new();
    for &(file, ref content) in files {
        let outcome = match &file.place {
            Place::Beside(target) => Staged::new(target).and_then(|new| {
                new.fill(content)?;
                staged.push((file, new));
                Ok(())
            }),
            Place::Direct => platform::open(Path::new(file.name()), &mut is_over)
                .and_then(|out| platform::pour(&out, content, &mut is_over)),
            Place::Own { stream, .. } => platform::pour(stream, content, &mut is_over),
        };
        outcome.map_err(|error| (file, error))?;
    }
    staged.into_iter().try_for_each(|(file, new)| new.replace().map_err(|error| (file, error)))
}

/// The path that a name stands for where nothing is yet, behind links that lead nowhere so far.
fn new_path(path: &Path) -> Option<PathBuf> {
    let mut path = path.to_owned();
    while let Ok(next) = fs::read_link(&path) {
        path = path.parent()?.join(next);
    }
    let name = path.file_name()?;
    // Not `folder/` nor `folder/.`, which are no names of files.
    let is_whole = path.as_os_str().as_encoded_bytes().ends_with(name.as_encoded_bytes());
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    is_whole.then_some(fs::canonicalize(folder).ok()?.join(name))
}

/// A new file beside its place. It goes with this value, unless it replaces what is there.
struct Staged<'t> {
    target: &'t Path,
    path: PathBuf,
    file: File,
    old: Option<fs::Metadata>,
}

impl Staged<'_> {
    /// An empty one.
    fn new(target: &Path) -> io::Result<Staged<'_>> {
        let old = match platform::open_to_write(target) {
            Ok(file) => Some(file.metadata()?),
            Err(error) if error.kind() == ErrorKind::NotFound => None,
            Err(error) => return Err(error),
        };
        let mut number = 0;
        loop {
            let path = target.with_file_name(format!(".reactor-client-{}-{number}", std::process::id()));
            match File::options().write(true).create_new(true).open(&path) {
                Ok(file) => return Ok(Staged { target, path, file, old }),
                // Another's, or one of ours for another name.
                Err(error) if error.kind() == ErrorKind::AlreadyExists && number < 100 => number += 1,
                Err(error) => return Err(error),
            }
        }
    }

    fn fill(&self, content: &[u8]) -> io::Result<()> {
        // First: what is private is so from its first byte.
        if let Some(old) = &self.old {
            platform::keep_owner(&self.file, old);
            self.file.set_permissions(old.permissions())?;
        }
        (&self.file).write_all(content)?;
        // A disk may be full only when it comes to that.
        self.file.sync_all()
    }

    fn replace(self) -> io::Result<()> {
        fs::rename(&self.path, self.target)
    }
}

impl Drop for Staged<'_> {
    fn drop(&mut self) {
        // It has been renamed, or nothing else can be done about it.
        let _ = fs::remove_file(&self.path);
    }
}

#[cfg(unix)]
mod platform {
    use std::fs::{File, Metadata};
    use std::io::{self, ErrorKind, Write};
    use std::os::fd::AsFd;
    use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt, fchown};
    use std::path::Path;
    use std::thread;

    use nix::errno::Errno;
    use nix::fcntl::OFlag;
    use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
    use nix::unistd::{AccessFlags, access};

    /// A pipe that takes nothing is looked at again so often, in milliseconds.
    const PATIENCE: u16 = 50;
    /// What a pipe with any room takes in one write, even one that would block.
    const PIECE: usize = 512;

    /// Our stdout or stderr, where `found` is what it is, and whether it is stdout.
    pub(super) fn own_stream(found: &Metadata) -> Option<(File, bool)> {
        let (stdout, stderr) = (io::stdout(), io::stderr());
        let streams = [(stdout.as_fd(), true), (stderr.as_fd(), false)];
        streams.into_iter().find_map(|(stream, is_stdout)| {
            let file = File::from(stream.try_clone_to_owned().ok()?);
            let own = file.metadata().ok()?;
            ((own.dev(), own.ino()) == (found.dev(), found.ino())).then_some((file, is_stdout))
        })
    }

    /// Whether a pipe or a device may be written. Opened it is later: a pipe would wait for its reader.
    pub(super) fn expect_writable(path: &Path) -> io::Result<()> {
        if std::fs::metadata(path)?.file_type().is_socket() {
            return Err(Errno::ENXIO.into());
        }
        Ok(access(path, AccessFlags::W_OK)?)
    }

    /// Opens what exists, without waiting.
    pub(super) fn open_to_write(path: &Path) -> io::Result<File> {
        File::options().write(true).custom_flags(OFlag::O_NONBLOCK.bits()).open(path)
    }

    /// The same, and waits for the reader of a pipe.
    pub(super) fn open(path: &Path, is_over: &mut impl FnMut() -> bool) -> io::Result<File> {
        loop {
            match open_to_write(path) {
                Err(error) if error.raw_os_error() == Some(Errno::ENXIO as i32) => {
                    if is_over() {
                        return Err(io::Error::other("nobody reads it"));
                    }
                    thread::sleep(std::time::Duration::from_millis(PATIENCE.into()));
                }
                outcome => return outcome,
            }
        }
    }

    /// Writes all, as fast as it is taken.
    pub(super) fn pour(mut file: &File, mut content: &[u8], is_over: &mut impl FnMut() -> bool) -> io::Result<()> {
        while !content.is_empty() {
            let mut room = [PollFd::new(file.as_fd(), PollFlags::POLLOUT)];
            match poll(&mut room, PollTimeout::from(PATIENCE)) {
                Ok(0) if is_over() => return Err(io::Error::other("it is not read to its end")),
                Ok(0) | Err(Errno::EINTR) => continue,
                Ok(_) => {}
                Err(error) => return Err(error.into()),
            }
            match file.write(&content[..content.len().min(PIECE)]) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(count) => content = &content[count..],
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Gives a new file the owner of the old one, where we may.
    pub(super) fn keep_owner(file: &File, old: &Metadata) {
        let _ = fchown(file, Some(old.uid()), Some(old.gid()));
    }
}

#[cfg(not(unix))]
mod platform {
    use std::fs::{File, Metadata};
    use std::io::{self, Write};
    use std::path::Path;

    pub(super) fn own_stream(_: &Metadata) -> Option<(File, bool)> {
        None
    }

    pub(super) fn expect_writable(path: &Path) -> io::Result<()> {
        open_to_write(path).map(drop)
    }

    pub(super) fn open_to_write(path: &Path) -> io::Result<File> {
        File::options().write(true).open(path)
    }

    pub(super) fn open(path: &Path, _: &mut impl FnMut() -> bool) -> io::Result<File> {
        open_to_write(path)
    }

    pub(super) fn pour(mut file: &File, content: &[u8], _: &mut impl FnMut() -> bool) -> io::Result<()> {
        file.write_all(content)
    }

    pub(super) fn keep_owner(_: &File, _: &Metadata) {}
}
