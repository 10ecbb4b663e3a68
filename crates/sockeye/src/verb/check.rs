//! `check`: from which ends a transcript can be played, and whether its two ends agree.

use transcript::rehearse::{Rehearsal, rehearse};
use transcript::{Carrier, Diagnostic, Ending, Options, Refused, Script, Side, Transcript};

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

/// Checks a transcript: each end for itself, then both against each other over memory, whole and byte by byte.
#[must_use]
pub fn check(transcript: &Transcript, values: &std::collections::BTreeMap<String, Vec<u8>>) -> Report {
    let prepare = |side, carrier| {
        let mut options = Options::new(side, carrier);
        options.values.clone_from(values);
        options.keep_said = true;
        Script::prepare(transcript, &options)
    };
    let ends = [Carrier::Stream, Carrier::Datagram]
        .map(|carrier| (prepare(Side::Client, carrier), prepare(Side::Server, carrier)));
    let mut warnings = transcript.warnings().to_vec();
    let mut differences: Vec<String> = Vec::new();
    let mut too_long = false;
    for (client, server) in &ends {
        for script in [client, server].into_iter().flatten() {
            warnings.extend_from_slice(script.warnings());
        }
        if let (Ok(client), Ok(server)) = (client, server) {
            for rehearsal in [rehearse(client, server, |all| all), rehearse(client, server, |_| 1)] {
                too_long |= !rehearsal.finished;
                for difference in accounts(&rehearsal) {
                    if !differences.contains(&difference) {
                        differences.push(difference);
                    }
                }
            }
        }
    }
    warnings.sort_by_key(|warning| (warning.line, warning.column));
    warnings.dedup();
    let [(client, server), (datagram_client, datagram_server)] = ends;
    let datagrams = datagram_server.and(datagram_client).map(drop);
    Report { client: client.map(drop), server: server.map(drop), datagrams, warnings, differences, too_long }
}

fn accounts(rehearsal: &Rehearsal) -> impl Iterator<Item = String> {
    [&rehearsal.client, &rehearsal.server].into_iter().filter_map(|ending| match ending {
        Ending::Failed(verdict) => Some(verdict.render("both ends played against each other")),
        _ => None,
    })
}
