//! What every way to talk has in common: an address becomes a connection, and what passes becomes a record.

use std::path::Path;
use std::sync::Arc;

use sockeye::address::{Address, Target};
use sockeye::event::Protocol;
use sockeye::net::connect::{ConnectError, ConnectOptions, Connected, Source};
use sockeye::net::datagrams::Datagrams;
use sockeye::net::tls::{IdentityFiles, TlsError, Trust};
use sockeye::net::words;
use sockeye::record::Record;
use sockeye::verb::talk::Reconnect;
use transcript::Carrier;
use transcript::record::{Recording, Secret};

use crate::exit::Exit;
use crate::flags::Talk;
use crate::output::Console;
use crate::sys::is_stdout;
use crate::whole;

/// How to connect, as the flags say.
pub(super) fn options(flags: &Talk) -> ConnectOptions {
    ConnectOptions {
        family: flags.family.family(),
        timeout: flags.connect_timeout,
        source: flags.source.clone().or_else(|| flags.interface.clone().map(Source::Interface)),
        datagrams: datagrams(flags),
        proxy: flags.proxy.clone(),
    }
}

/// Flags about our own end where that has no address, and about a server that may only be starting where there is none.
///
/// # Errors
/// One of them means nothing to this address.
pub(super) fn check_own_end(flags: &Talk, address: &Address) -> Result<(), String> {
    let is_path = matches!(address.target, Target::Unix(_));
    if !address.is_local() && !is_path {
        return Ok(());
    }
    let given = [
        ("--source", flags.source.is_some()),
        ("--interface", flags.interface.is_some()),
        ("-4", flags.family.v4),
        ("-6", flags.family.v6),
    ];
    if let Some((flag, _)) = given.into_iter().find(|(_, is_given)| *is_given) {
        return Err(format!("{flag} is about addresses of the internet, and {address} has none"));
    }
    if flags.retry.is_some() && !is_path {
        return Err(format!("--retry is about a server that may only be starting, and {address} is none"));
    }
    Ok(())
}

/// The same of connections that a play opens later.
pub(super) fn reconnect(flags: &Talk, address: &Address) -> Reconnect {
    Reconnect { address: Some(address.clone()), options: options(flags), retry: flags.retry }
}

/// What holds for a socket of datagrams.
pub(super) fn datagrams(flags: &Talk) -> Datagrams {
    Datagrams { broadcast: flags.broadcast, groups: flags.join.clone(), ttl: flags.ttl }
}

/// Why there is no connection, and how long it was tried.
pub(super) fn no_connection(error: &ConnectError, flags: &Talk) -> String {
    match flags.retry {
        Some(time) if error.may_pass() => format!("{error}; tried for {} (--retry)", transcript::seconds(time)),
        _ => error.to_string(),
    }
}

/// Whose certificates are believed, as the flags say.
pub(super) fn named_trust(pin: Option<&Trust>, ca: Option<&Path>) -> Option<Trust> {
    pin.cloned().or_else(|| ca.map(Trust::only))
}

/// Whose certificates are believed by who speaks TLS from the first byte: who the flags name, else who the address does.
pub(super) fn trust_at(address: &Address, named: Option<Trust>) -> Result<Trust, TlsError> {
    Trust::of_address_or(&address.options.tls, named)
}

/// The same of who is to connect there: certificates are read now, and a user who believes any server is warned.
pub(super) fn ready_trust(address: &Address, flags: &Talk, console: &Console) -> Result<Trust, Exit> {
    let named = named_trust(flags.pin.as_ref(), flags.ca.as_deref());
    let is_insecure = named.is_none() && address.options.tls.insecure;
    let trust = trust_at(address, named).map(|trust| with_identity(trust, flags));
    let trust = trust.and_then(|trust| trust.check().map(|()| trust));
    let trust = trust.map_err(|error| console.fail(Exit::CannotRead, &format!("{address}: {error}")))?;
    if is_insecure {
        console.warn("insecure: whoever is on the way may read and change everything");
    }
    Ok(trust)
}

/// Who we are, where the flags say it: a server may ask.
pub(super) fn with_identity(trust: Trust, flags: &Talk) -> Trust {
    match &flags.cert {
        Some(certificate) if !flags.listen => {
            let files = IdentityFiles { certificate: certificate.clone(), key: flags.key.clone(), passphrase: None };
            trust.with_identity(files)
        }
        _ => trust,
    }
}

/// Says which addresses were tried, to a user who wants to hear more.
pub(super) fn tell_attempts(connected: &Connected, console: &Console) {
    if console.verbose > 0 {
        for attempt in &connected.attempts {
            console.note(&attempt.to_string());
        }
        let through = connected.via.as_ref().map_or(String::new(), |via| format!(", a proxy, which leads to {via}"));
        console.note(&format!("connected: {} {} -> {}{through}", connected.protocol, connected.local, connected.peer));
    }
}

/// What carries a conversation over a protocol.
pub(super) fn carrier(protocol: Protocol) -> Carrier {
    protocol.carrier()
}

/// A record does not go to standard output where that is an end of the conversation.
pub(super) fn check_record(flags: &Talk, address: Option<&Address>, console: &Console) -> Result<(), Exit> {
    let is_there = flags.record.as_deref().is_some_and(is_stdout);
    let is_end = address.is_some_and(is_standard);
    if is_there && (is_end || flags.play.is_empty() && !flags.send_only) {
        let why = "--record: standard output has what the other end says; name a file";
        return Err(console.fail(Exit::Usage, why));
    }
    Ok(())
}

/// Whether an end is standard output, or may be.
pub(super) fn is_standard(address: &Address) -> bool {
    matches!(address.target, Target::Standard | Target::Descriptor(1))
}

/// Begins a record of a conversation at an address.
pub(super) fn record(
    flags: &Talk,
    path: &Path,
    at: String,
    protocol: Protocol,
    console: &Console,
) -> Result<Arc<Record>, Exit> {
    begin_record(flags, path, Recorded { at, protocol, secrets: flags.values.secrets(), ports: false }, console)
}

/// What is recorded.
pub(super) struct Recorded {
    pub(super) at: String,
    pub(super) protocol: Protocol,
    pub(super) secrets: Vec<Secret>,
    /// Whether ports are told in it.
    pub(super) ports: bool,
}

/// The same of anything.
pub(super) fn begin_record(flags: &Talk, path: &Path, what: Recorded, console: &Console) -> Result<Arc<Record>, Exit> {
    let Recorded { at, protocol, secrets, ports } = what;
    let recording = Recording { carrier: carrier(protocol), at: Some(at), secrets, times: flags.times, ports };
    let begun = match is_stdout(path) {
        true => whole::stdout(console).map(|file| Record::over(file, recording)),
        false => Record::create(path, recording),
    };
    begun.map(Arc::new).map_err(|error| {
        console.fail(
            Exit::CannotWrite,
            &format!("cannot write the record {}: {error}", path.display(), error = words(&error)),
        )
    })
}

/// Ends a record; one that is not whole is a failure of its own.
pub(super) fn finish(record: Option<&Arc<Record>>, exit: Exit, console: &Console) -> Exit {
    match record.map(|record| record.finish()) {
        Some(Err(error)) => {
            let failed =
                console.fail(Exit::CannotWrite, &format!("the record is not whole: {error}", error = words(&error)));
            if exit == Exit::Done { failed } else { exit }
        }
        Some(Ok(())) | None => exit,
    }
}
