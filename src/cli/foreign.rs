//! Letters that fingers know from ping and nc, and that mean nothing here: what does the same.

use clap::error::{ContextKind, ContextValue, ErrorKind};

/// An option of ping's or nc's, and what to do here.
const ELSEWHERE: [(&[&str], &str); 13] = [
    (&["-M"], "ping's -M, the don't-fragment bit, is --find-size here"),
    (&["-f", "-A"], "ping's -f and -A, as fast as it goes, are -i 0 here"),
    (&["-O"], "each loss is told anyhow: leave it out"),
    (&["-n"], "no address is looked up backwards: leave it out"),
    (&["-N"], "the end of stdin is passed on anyhow: leave it out"),
    (&["-v"], "RUST_LOG=info tells more"),
    (&["-l", "-k"], "who listens is reactor-server"),
    (&["-S", "-B"], "to leave from an address, a port or an interface give -I"),
    (&["-T"], "nc's -T, the packets' mark, is -Q here"),
    (&["-x", "-X"], "there is no way through a proxy"),
    (&["-b"], "a broadcast address is no server's"),
    (&["-j", "-J", "--json"], "it is --format json here"),
    (&["--source-port", "--source"], "to leave from a port or an address give -I"),
];

/// What to do with the client, where `error` is an option that only others know.
pub(super) fn hint(program: &str, error: &clap::Error) -> Option<&'static str> {
    let Some(ContextValue::String(word)) = error.get(ContextKind::InvalidArg) else {
        return None;
    };
    let is_it = |words: &[&str]| words.contains(&word.as_str());
    let hint = ELSEWHERE.iter().find(|(words, _)| is_it(words)).map(|(_, hint)| *hint);
    hint.filter(|_| program == "reactor-client" && error.kind() == ErrorKind::UnknownArgument)
}
