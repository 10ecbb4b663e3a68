//! Both ends of a transcript over a real socket of the loopback: one of them serves, the other talks, as two programs would.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use transcript::{Carrier, Script};

use crate::address::{Address, Host, Scheme, Target};
use crate::event::{Conversation, Event, Protocol};
use crate::failure::Failure;
use crate::folder::LoadedTranscript;
use crate::net::connect::ConnectOptions;
use crate::net::connecting;
use crate::net::tls::Trust;
use crate::verb::serve;
use crate::verb::talk::play_at;

/// How long either end waits for the other over a carrier that the file does not name.
const NOTED: Duration = Duration::from_secs(1);

/// Plays both ends over a real socket; what failed there, and in which conversation if the server tells it. A machine without a
/// socket to spare is no fault of the transcript.
pub(super) fn play_both_ends(
    loaded: &LoadedTranscript,
    values: &BTreeMap<String, Vec<u8>>,
    client: &Script,
    carrier: Carrier,
    judged: bool,
) -> Vec<(Option<Conversation>, Failure)> {
    let (scheme, protocol) = match carrier {
        Carrier::Stream => (Scheme::Tcp, Protocol::Tcp),
        Carrier::Datagram | Carrier::Packet => (Scheme::Udp, Protocol::Udp),
        Carrier::Messages => (Scheme::Ws, Protocol::Tcp),
    };
    let host = Host::Ip(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);
    let mut address = Address::new(Some(scheme), Target::Inet { host: host.clone(), port: 0 });
    let options = server_options(address.clone(), loaded, values, client.spans(), judged);
    let (Ok(server), Ok((stopper, stop))) = (serve::Server::bind(&options), crate::stop::channel()) else {
        return vec![];
    };
    address.target = Target::Inet { host, port: server.ports().first().copied().unwrap_or_default() };
    let failures = Arc::new(Mutex::new(Vec::new()));
    let heard = Arc::clone(&failures);
    let observer = Box::new(move |event: Event| {
        if let Event::Failed { conversation, failure } = event {
            heard.lock().unwrap_or_else(PoisonError::into_inner).push((conversation, failure));
        }
    });
    // The two ends trust each other, and no other.
    let Some(trust) = (match client.has_tls() {
        true => options.identity.fingerprint().and_then(|fingerprint| Trust::pinned(&fingerprint)).ok(),
        false => Some(Trust::system()),
    }) else {
        return vec![];
    };
    let serve = move || server.run(stop, None, observer);
    let Ok(serving) = std::thread::Builder::new().name("server".to_owned()).spawn(serve) else { return vec![] };
    let impatient = (!judged).then(|| client.clone().waiting(NOTED));
    let client = impatient.as_ref().unwrap_or(client);
    let target = connecting::Target::new(address, protocol, ConnectOptions::default());
    let failure = play_at(target, &Arc::new(client.clone()), &trust, "localhost");
    stopper.stop();
    let _ = serving.join();
    let mut found = std::mem::take(&mut *failures.lock().unwrap_or_else(PoisonError::into_inner));
    if let Some(failure @ Failure::Play { .. }) = failure {
        found.push((None, failure));
    }
    found
}

fn server_options(
    address: Address,
    loaded: &LoadedTranscript,
    values: &BTreeMap<String, Vec<u8>>,
    spans: bool,
    judged: bool,
) -> serve::ServeOptions {
    serve::ServeOptions {
        addresses: vec![address],
        role: serve::Role::Transcripts(vec![loaded.clone()]),
        values: values.clone(),
        linger: Duration::ZERO,
        // Where further connections come they are of the one play, however early.
        plays: spans.then_some(1),
        // What is only worth a note is not waited for long.
        timeout: (!judged).then_some(NOTED),
        // Both ends are ours: what sounds like ourselves is ourselves.
        budget: serve::Budget::Off,
        ..serve::ServeOptions::new()
    }
}
