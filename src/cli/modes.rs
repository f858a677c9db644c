//! Which option belongs to which mode of the client: one that is out of place does nothing, so it is refused.

use crate::error::Error;

/// A mode, as the command line asks for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    Chat,
    Verdict,
    Ping,
    FindIdle,
    FindSize,
}

impl Asked {
    fn word(self) -> &'static str {
        match self {
            Asked::Chat => "the chat (without -z, --ping, --find-idle and --find-size)",
            Asked::Verdict => "-z",
            Asked::Ping => "--ping",
            Asked::FindIdle => "--find-idle",
            Asked::FindSize => "--find-size",
        }
    }
}

/// An option with modes of its own.
pub(super) struct Special {
    /// Whether it was given.
    pub(super) given: bool,
    /// As it is written.
    pub(super) name: &'static str,
    /// Where it means something.
    pub(super) homes: &'static [Asked],
}

/// Refuses what does not belong to the mode: all that belongs to the same other one, by name.
pub(super) fn refuse_strays(mode: Asked, options: &[Special]) -> Result<(), Error> {
    let is_stray = |option: &&Special| option.given && !option.homes.contains(&mode);
    let Some(Special { homes, .. }) = options.iter().find(is_stray) else {
        return Ok(());
    };
    let alike = options.iter().filter(is_stray).filter(|option| option.homes == *homes);
    let names: Vec<&str> = alike.map(|option| option.name).collect();
    let belong = if names.len() == 1 { "belongs" } else { "belong" };
    let homes: Vec<&str> = homes.iter().map(|home| home.word()).collect();
    let nor = match mode {
        Asked::Chat => "without which nothing would come of it".to_owned(),
        other => format!("not to {}", other.word()),
    };
    Err(Error::Usage(format!("{} {belong} to {}, {nor}", listed(&names), listed(&homes))))
}

/// `a`, `a and b`, `a, b and c`.
fn listed(words: &[&str]) -> String {
    match words {
        [] => String::new(),
        [word] => (*word).to_owned(),
        [words @ .., last] => format!("{} and {last}", words.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn strays_are_named_with_their_home() {
        let special = |name, homes| Special { given: true, name, homes };
        let options = [
            special("-m", &[Asked::Chat]),
            special("-w", &[Asked::Verdict, Asked::Ping]),
            special("-c", &[Asked::Ping]),
            special("-i", &[Asked::Ping]),
            special("--plot", &[Asked::Ping]),
            Special { given: false, name: "-D", homes: &[Asked::Ping] },
        ];
        let said = |mode, options: &[Special]| refuse_strays(mode, options).unwrap_err().to_string();
        assert!(refuse_strays(Asked::Ping, &options[1..]).is_ok());
        assert!(refuse_strays(Asked::Chat, &options[..1]).is_ok());
        assert_eq!(
            said(Asked::Ping, &options),
            "-m belongs to the chat (without -z, --ping, --find-idle and --find-size), not to --ping"
        );
        assert_eq!(
            said(Asked::Chat, &options[1..]),
            "-w belongs to -z and --ping, without which nothing would come of it"
        );
        assert_eq!(
            said(Asked::Chat, &options[2..]),
            "-c, -i and --plot belong to --ping, without which nothing would come of it"
        );
        assert_eq!(said(Asked::Verdict, &options[3..]), "-i and --plot belong to --ping, not to -z");
        assert_eq!(said(Asked::FindIdle, &options[4..]), "--plot belongs to --ping, not to --find-idle");
    }
}
