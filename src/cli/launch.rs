//! The client as it was asked for: its name resolved, its mode begun.

use std::num::NonZeroU32;

use crate::client::chat::{self, Chat};
use crate::client::find_idle::{self, FindIdle};
use crate::client::find_size;
use crate::client::lookup;
use crate::client::origin::Origin;
use crate::client::ping::{self, Ping};
use crate::client::stage::Stage;
use crate::client::target::{Family, Target};
use crate::client::verdict::{self, Asking, Verdict};
use crate::error::{Error, exit};
use crate::process::signals::OnQuit;
use crate::stdio::diagnostics::Diagnostics;
use crate::transcript::Style;
use crate::wire::{CHATTY_PORTS, Protocol};

/// What the client is to do.
pub(super) enum Mode {
    Chat(chat::Settings),
    Verdict(verdict::Settings),
    Ping(ping::Settings),
    FindIdle(find_idle::Settings),
    FindSize(find_size::Settings),
    Resolve(Option<NonZeroU32>),
}

impl Mode {
    fn protocols(&self) -> Vec<Protocol> {
        match self {
            Mode::Chat(settings) => vec![settings.protocol],
            Mode::Verdict(settings) => settings.protocols.clone(),
            Mode::Ping(settings) => vec![settings.protocol],
            Mode::FindIdle(settings) => vec![settings.protocol],
            Mode::FindSize(settings) => vec![settings.protocol],
            Mode::Resolve(_) => Vec::new(),
        }
    }
}

/// What the command line asks of the client.
pub(super) struct Settings {
    pub(super) target: Target,
    pub(super) family: Option<Family>,
    pub(super) origin: Origin,
    pub(super) style: Style,
    pub(super) quiet: bool,
    pub(super) mode: Mode,
}

impl Settings {
    /// Resolves the name and does what was asked for. Returns the exit code.
    pub(super) fn run(self, diagnostics: Diagnostics) -> Result<u8, Error> {
        let Settings { target, family, origin, style, quiet, mode } = self;
        let protocols = mode.protocols();
        origin.rehearse(&protocols, family)?;
        if let Some(port) = origin.port().filter(|port| CHATTY_PORTS.contains(port))
            && protocols.contains(&Protocol::Udp)
        {
            log::warn!(
                "no server answers a datagram from the port {port}, where a service that answers anything may be"
            );
        }
        // Here already, since `-z -w` would wait for an answer that cannot come.
        if let Some(ip) = target.literal().filter(|_| !target.host.contains('%')) {
            origin.expect_zones(&[(ip, target.port).into()])?;
        }
        if let Mode::Resolve(seconds) = mode {
            lookup::print_addresses(&target, family, seconds)?;
            return Ok(exit::DONE);
        }
        if let Mode::Verdict(settings) = &mode
            && settings.asking != Asking::Once
        {
            let stage = Stage::set_up(style, quiet, diagnostics, OnQuit::Report)?;
            return verdict::wait(stage, settings.clone(), &target, family);
        }
        // Before the signal handlers: a resolver that hangs can still be interrupted.
        let addresses = match target.resolve(family) {
            Ok(addresses) => addresses,
            Err(Error::NoAddress(host, family)) if origin.has_address() => {
                return Err(origin.is_of_another(&host, family));
            }
            Err(error) => {
                if let Mode::Verdict(settings) = mode {
                    let stage = Stage::set_up(style, quiet, diagnostics, OnQuit::Report)?;
                    return Ok(verdict::tell_unresolved(stage, &settings, &target, &error));
                }
                return Err(error);
            }
        };
        origin.expect_zones(&addresses)?;
        match mode {
            Mode::Chat(settings) => {
                let stage = Stage::set_up(style, quiet, diagnostics, OnQuit::Die)?;
                Chat::new(stage, settings, addresses)?.run()
            }
            Mode::Verdict(settings) => {
                let stage = Stage::set_up(style, quiet, diagnostics, OnQuit::Report)?;
                Verdict::new(stage, settings, &addresses).run()
            }
            Mode::Ping(settings) => {
                // Its summary is told, quiet or not.
                let stage = Stage::set_up(style, false, diagnostics, OnQuit::Report)?;
                Ping::new(stage, settings, addresses)?.run()
            }
            Mode::FindIdle(settings) => {
                let stage = Stage::set_up(style, quiet, diagnostics, OnQuit::Report)?;
                FindIdle::new(stage, settings, addresses).run()
            }
            Mode::FindSize(settings) => {
                let stage = Stage::set_up(style, quiet, diagnostics, OnQuit::Report)?;
                find_size::run(stage, settings, addresses)
            }
            Mode::Resolve(_) => Ok(exit::DONE),
        }
    }
}
