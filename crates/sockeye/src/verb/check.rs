//! `check`: from which ends a transcript can be played, and whether its two ends agree.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use transcript::rehearse::{Rehearsal, rehearse};
use transcript::{Carrier, Diagnostic, Ending, Options, Refused, Script, Side};

use super::serve::{self, Sheet};
use super::talk::{Played, With, play};
use crate::address::{Address, Host, Scheme, Target};
use crate::event::{Event, Protocol};
use crate::net::connect;
use crate::net::tls::Trust;

/// What a check found.
#[derive(Debug)]
pub struct Report {
    /// The client's side over streams.
    pub client: Result<(), Refused>,
    /// The server's side over streams.
    pub server: Result<(), Refused>,
    /// Why it cannot be played over datagrams; from either side.
    pub datagrams: Result<(), Refused>,
    /// What is allowed but probably not meant.
    pub warnings: Vec<Diagnostic>,
    /// The account of the ends that did not agree, if both could be played.
    pub differences: Vec<String>,
    /// The conversation was too long to be played to its end.
    pub too_long: bool,
}

impl Report {
    /// Whether the file can be played from an end at all.
    #[must_use]
    pub fn is_playable(&self) -> bool {
        self.client.is_ok() || self.server.is_ok()
    }
}

/// A real line is not tried for a conversation that pauses longer than this.
const LONGEST: Duration = Duration::from_secs(5);

/// Checks a transcript: each end for itself, then both against each other over memory, whole and byte by byte, and over
/// a socket of the loopback.
#[must_use]
pub fn check(sheet: &Sheet, values: &BTreeMap<String, Vec<u8>>) -> Report {
    let transcript = &sheet.transcript;
    let named = crate::address::named_by(transcript).map(drop);
    let prepare = |side, carrier| {
        named.clone()?;
        let mut options = Options::new(side, carrier);
        options.values.clone_from(values);
        options.keep_said = true;
        options.files.clone_from(&sheet.files);
        Script::prepare(transcript, &options)
    };
    let ends = [Carrier::Stream, Carrier::Datagram]
        .map(|carrier| (carrier, prepare(Side::Client, carrier), prepare(Side::Server, carrier)));
    let mut warnings = transcript.warnings().to_vec();
    let mut differences: Vec<String> = Vec::new();
    let mut too_long = false;
    for (carrier, client, server) in &ends {
        for script in [client, server].into_iter().flatten() {
            warnings.extend_from_slice(script.warnings());
        }
        if let (Ok(client), Ok(server)) = (client, server) {
            let whole = rehearse(client, server, |all| all);
            let line_is_due = whole.finished && whole.is_success() && whole.took <= LONGEST;
            let mut found: Vec<String> = accounts(&whole).collect();
            too_long |= !whole.finished;
            let pieces = rehearse(client, server, |_| 1);
            too_long |= !pieces.finished;
            found.extend(accounts(&pieces));
            if line_is_due && found.is_empty() {
                found.extend(over_the_loopback(sheet, values, client, *carrier));
            }
            for difference in found {
                if !differences.contains(&difference) {
                    differences.push(difference);
                }
            }
        }
    }
    warnings.sort_by_key(|warning| (warning.line, warning.column));
    warnings.dedup();
    let [(_, client, server), (_, datagram_client, datagram_server)] = ends;
    let datagrams = datagram_server.and(datagram_client).map(drop);
    Report { client: client.map(drop), server: server.map(drop), datagrams, warnings, differences, too_long }
}

/// Plays both ends over a real socket; the accounts of what differed there. A machine without a socket to spare is no
/// fault of the transcript.
fn over_the_loopback(
    sheet: &Sheet,
    values: &BTreeMap<String, Vec<u8>>,
    client: &Script,
    carrier: Carrier,
) -> Vec<String> {
    let (scheme, protocol) = match carrier {
        Carrier::Stream => (Scheme::Tcp, Protocol::Tcp),
        Carrier::Datagram => (Scheme::Udp, Protocol::Udp),
    };
    let host = Host::Ip(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);
    let mut address = Address { scheme: Some(scheme), target: Target::Inet { host: host.clone(), port: 0 } };
    let options = serve::Options {
        addresses: vec![address.clone()],
        role: serve::Role::Transcripts(vec![sheet.clone()]),
        values: values.clone(),
        linger: Duration::ZERO,
        // Both ends are ours: what sounds like ourselves is ourselves.
        budget: serve::Budget::Off,
        ..serve::Options::new()
    };
    let (Ok(server), Ok((stopper, stop))) = (serve::Server::bind(&options), crate::stop::channel()) else {
        return vec![];
    };
    address.target = Target::Inet { host, port: server.ports().first().copied().unwrap_or_default() };
    let accounts = Arc::new(Mutex::new(Vec::new()));
    let heard = Arc::clone(&accounts);
    let observer = Box::new(move |event: Event| {
        if let Event::Failed { error, .. } = event {
            heard.lock().unwrap_or_else(PoisonError::into_inner).push(error);
        }
    });
    let serve = move || server.run(stop, None, observer);
    let Ok(serving) = std::thread::Builder::new().name("server".to_owned()).spawn(serve) else { return vec![] };
    let connecting = connect::Options { family: None, timeout: crate::limits::CONNECT_WAIT, source: None };
    // The two ends trust each other, and nobody else.
    let trust = if client.has_tls() {
        match options.identity.fingerprint().and_then(|fingerprint| Trust::pinned(&fingerprint)) {
            Ok(trust) => trust,
            Err(_) => return vec![],
        }
    } else {
        Trust::system()
    };
    let with = With { tap: None, trust: &trust, host: "localhost" };
    let played = connect::connect(&address, protocol, &connecting).map(|connected| play(&connected, client, with));
    stopper.stop();
    let _ = serving.join();
    let mut found = std::mem::take(&mut *accounts.lock().unwrap_or_else(PoisonError::into_inner));
    if let Ok(Ok(Played { ending: Ending::Failed(verdict), .. })) = played {
        found.push(verdict.render("over a socket of the loopback"));
    }
    found
}

fn accounts(rehearsal: &Rehearsal) -> impl Iterator<Item = String> {
    [&rehearsal.client, &rehearsal.server].into_iter().filter_map(|ending| match ending {
        Ending::Failed(verdict) => Some(verdict.render("both ends played against each other")),
        _ => None,
    })
}
