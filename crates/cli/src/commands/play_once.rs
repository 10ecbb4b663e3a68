//! One play by a client, for each verb that asks for it: made ready, played, judged.

use sockeye::address::{Address, AddressError, Scheme};
use sockeye::event::{Conversation, Protocol};
use sockeye::failure::{Failure, Kind};
use sockeye::net::connect::ConnectError;
use sockeye::net::tls::Trust;
use sockeye::verb::serve::LoadedTranscript;
use sockeye::verb::talk::{InitialLayers, Played};
use transcript::{Carrier, PlayOptions, Refused, Script, Side};

use super::connection;
use crate::exit::Exit;
use crate::failure::CommandFailure;
use crate::flags::Talk;
use crate::output::Console;

/// A transcript and where it is played.
pub(super) struct Target {
    pub(super) loaded: LoadedTranscript,
    pub(super) address: Address,
    pub(super) protocol: Protocol,
}

impl Target {
    /// What carries its plays.
    pub(super) fn carrier(&self) -> Carrier {
        self.address.carrier(self.protocol)
    }
}

/// A transcript for a client, with columns for the values of rows.
pub(super) fn prepare(
    flags: &Talk,
    loaded: &LoadedTranscript,
    carrier: Carrier,
    columns: &[String],
) -> Result<Script, Refused> {
    let mut playing = PlayOptions::new(Side::Client, carrier);
    playing.values = flags.values.to_map();
    playing.columns = columns.to_vec();
    playing.secrets = flags.values.secrets();
    playing.fresh = flags.values.fresh();
    playing.longest_line = flags.max_line;
    playing.wait_override = flags.timeout;
    playing.files.clone_from(&loaded.files);
    Script::prepare(&loaded.transcript, &playing)
}

/// Whether TLS is begun once: by the address or by the transcript.
pub(super) fn begins_once(target: &Target, script: &Script) -> Result<(), AddressError> {
    match target.address.scheme {
        Some(scheme) if scheme.has_handshake() && script.has_tls() => {
            let help = "the transcript begins TLS itself, with `starttls`: write tcp://";
            Err(AddressError::not_here(scheme, help))
        }
        _ => Ok(()),
    }
}

/// No connection came about.
pub(super) fn unconnected(error: &ConnectError, flags: &Talk) -> (Exit, CommandFailure) {
    let kind = Kind::from(error);
    (Exit::from(error), CommandFailure::failed(None, Failure::other(kind, connection::no_connection(error, flags))))
}

/// Says what came of a play beside its account; else its code and its account.
pub(super) fn judge(played: Played, number: usize, console: &Console) -> Result<(), (Exit, CommandFailure)> {
    let Played { failure, protocol, local, peer, sent, received, unjudged, strangers, ended, .. } = played;
    if unjudged > 0 && failure.is_none() {
        console.note(&format!("{peer}: {unjudged} bytes came after the last statement and were not judged"));
    }
    if strangers > 0 {
        console.note(&format!("{peer}: {strangers} datagrams came from somebody else and were not taken"));
    }
    let Some(failure) = failure.or(ended) else {
        if console.verbose > 0 {
            console.note(&format!("{peer}: as written; {sent} bytes sent, {received} received"));
        }
        return Ok(());
    };
    let exit = failure.kind().into();
    let failure = match failure {
        Failure::Other { kind, line, reason } => Failure::Other { kind, line, reason: format!("{peer}: {reason}") },
        play => play,
    };
    let conversation = Conversation { number: number as u64, protocol, server: peer, client: local, to: None };
    Err((exit, CommandFailure::failed(Some(conversation), failure)))
}

/// Whose certificates are believed at an address, and how a connection to it begins.
pub(super) fn security(flags: &Talk, target: &Target, console: &Console) -> Result<(Trust, InitialLayers), Exit> {
    let begins = InitialLayers::at(&target.address);
    match target.address.scheme {
        Some(Scheme::Tls | Scheme::Wss) => Ok((connection::ready_trust(&target.address, flags, console)?, begins)),
        _ => Ok((trust(flags), begins)),
    }
}

/// Whose certificates are believed where a transcript begins TLS.
pub(super) fn trust(flags: &Talk) -> Trust {
    let trust = connection::named_trust(flags.pin.as_ref(), flags.ca.as_deref()).unwrap_or_else(Trust::system);
    connection::with_identity(trust, flags)
}

/// The same, whose files can be used.
pub(super) fn ready_trust(flags: &Talk, console: &Console) -> Result<Trust, Exit> {
    let trust = trust(flags);
    match trust.check() {
        Ok(()) => Ok(trust),
        Err(error) if flags.cert.is_some() => Err(console.fail(Exit::CannotRead, &error.to_string())),
        Err(error) => Err(console.fail(Exit::CannotRead, &format!("cannot use the certificates of --ca: {error}"))),
    }
}
