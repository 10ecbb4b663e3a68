//! From which ends a transcript can be played, and whether its two ends agree. It plays both, and so stands above the verbs.
//!
//! ```
//! use sockeye::check::{CheckOptions, check};
//! use sockeye::verb::serve::LoadedTranscript;
//! use transcript::Transcript;
//!
//! let transcript = Transcript::parse("a.talk", b"C: hello\nS: hello yourself\n", &[])?;
//! let report = check(&LoadedTranscript { transcript, files: None }, &CheckOptions::default());
//! assert!(report.is_playable() && report.differences.is_empty());
//! # Ok::<(), transcript::Refused>(())
//! ```

mod loopback;

use std::collections::BTreeMap;
use std::time::Duration;

use transcript::rehearse::{Ahead, BranchOutcome, Branches, Rehearsal, left_of, rehearse};
use transcript::{Carrier, Diagnostic, Ending, Fresh, PlayOptions, Refused, Script, Side};

use crate::event::Conversation;
use crate::failure::Failure;
use crate::folder::LoadedTranscript;
use loopback::play_both_ends;

/// What a check found.
#[derive(Debug)]
pub struct Report {
    /// The client's side where the file says that it is: over streams, unless its `at` names another carrier.
    pub client: Result<(), Refused>,
    /// The server's side, likewise.
    pub server: Result<(), Refused>,
    /// Why it cannot be played over datagrams; from either side.
    pub datagrams: Result<(), Refused>,
    /// What is allowed but probably not meant.
    pub warnings: Vec<Diagnostic>,
    /// Where the two ends did not agree, if both could be played.
    pub differences: Vec<Difference>,
    /// The same over a carrier that the file does not name: worth a note.
    pub elsewhere: Vec<(Carrier, Difference)>,
    /// The lines with which branches begin that were not played, and why if they cannot be.
    pub unplayed: Vec<(usize, Option<String>)>,
    /// The conversation was too long to be played to its end.
    pub too_long: bool,
    /// So many datagrams follow each other, which are more than the queue of a socket may hold: over a real network some
    /// can be lost, and nothing was tried there.
    pub crowded: Option<usize>,
}

/// What one end of a transcript found wrong with the other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// What.
    pub failure: Failure,
    /// Where both were played.
    pub met: Met,
}

/// Where the two ends of a transcript met.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Met {
    /// In memory.
    InMemory,
    /// Over a socket of the loopback; the server tells which conversation it was.
    OverLoopback(Option<Conversation>),
}

impl Difference {
    /// The whole account, over several lines.
    #[must_use]
    pub fn render(&self) -> String {
        self.failure.render(&self.met.words())
    }

    /// The account below its headline.
    #[must_use]
    pub fn details(&self) -> String {
        self.failure.details(&self.met.words())
    }
}

impl Met {
    fn words(&self) -> String {
        match self {
            Self::InMemory => "both ends played against each other".to_owned(),
            Self::OverLoopback(Some(conversation)) => conversation.play(),
            Self::OverLoopback(None) => "over a socket of the loopback".to_owned(),
        }
    }
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

/// What Linux gives the queue of a socket unless it is asked for more (`net.core.rmem_default`), and about what it counts
/// for a datagram beside its bytes, each of which may count twice.
const QUEUE: usize = 212_992;
const EACH: usize = 1024;

/// How a transcript is to be checked.
#[derive(Debug, Clone, Default)]
pub struct CheckOptions {
    /// Values for its names.
    pub values: BTreeMap<String, Vec<u8>>,
    /// Where values come from that are new in each play.
    pub fresh: Fresh,
    /// Play the branches too that neither end would take by itself.
    pub all_branches: bool,
}

/// Both ends of a transcript over one carrier.
struct Ends<'a> {
    loaded: &'a LoadedTranscript,
    options: &'a CheckOptions,
    carrier: Carrier,
}

impl Ends<'_> {
    /// Plays both ends against each other, in imagination and over the loopback. What is not judged is only a note.
    fn play(&self, client: &Script, server: &Script, judged: bool, report: &mut Report) {
        let (loaded, carrier) = (self.loaded, self.carrier);
        let mut found = self.rehearse(client, server);
        if carrier == Carrier::Datagram {
            report.crowded = found.crowded();
        }
        let can_be_tried = !found.too_long && found.took <= LONGEST && found.crowded().is_none();
        if found.differences.is_empty() && can_be_tried {
            let failed = play_both_ends(loaded, &self.options.values, client, carrier, judged);
            let differs = |(conversation, failure)| Difference { failure, met: Met::OverLoopback(conversation) };
            found.differences.extend(failed.into_iter().map(differs));
        }
        if judged {
            report.too_long |= found.too_long;
            self.branches((client, server), &found.unplayed, &mut found.differences, &mut report.unplayed);
            let of_themselves = [client, server].into_iter().flat_map(Script::at_any_time);
            let why = "neither end begins by itself what may come at any time";
            report.unplayed.extend(of_themselves.map(|line| (line, Some(why.to_owned()))));
            report.differences.append(&mut found.differences);
        }
        report.elsewhere.extend(found.differences.into_iter().map(|difference| (carrier, difference)));
    }

    fn prepare(&self, side: Side, branches: &[usize]) -> Result<Script, Refused> {
        let mut options = PlayOptions::new(side, self.carrier);
        options.values.clone_from(&self.options.values);
        options.fresh = self.options.fresh;
        options.keep_said = true;
        options.branches = branches.to_vec();
        options.files.clone_from(&self.loaded.files);
        Script::prepare(&self.loaded.transcript, &options)
    }

    /// Plays both against each other in memory, whole and byte by byte.
    fn rehearse(&self, client: &Script, server: &Script) -> Found {
        let whole = rehearse(client, server, |all| all);
        let pieces = rehearse(client, server, |_| 1);
        let mut found = Found {
            differences: differences(&whole).chain(differences(&pieces)).collect(),
            unplayed: whole.unplayed.clone(),
            too_long: !whole.finished || !pieces.finished,
            took: whole.took,
            ahead: whole.ahead,
        };
        found.differences.dedup_by_key(|difference| difference.render());
        found
    }
}

/// What came of playing both ends against each other.
struct Found {
    differences: Vec<Difference>,
    unplayed: Vec<usize>,
    too_long: bool,
    took: Duration,
    ahead: Ahead,
}

impl Found {
    /// How many datagrams follow each other, if a socket may not hold them.
    fn crowded(&self) -> Option<usize> {
        let Ahead { datagrams, bytes } = self.ahead;
        (datagrams > 1 && EACH * datagrams + 2 * bytes > QUEUE).then_some(datagrams)
    }
}

/// Checks a transcript: each end for itself, then both against each other over memory, whole and byte by byte, and over
/// a socket of the loopback. One carrier after the other, so that no more than two programs of it are in memory.
#[must_use]
pub fn check(loaded: &LoadedTranscript, options: &CheckOptions) -> Report {
    let transcript = &loaded.transcript;
    let named = match crate::address::named_by(transcript) {
        Ok(named) => named,
        Err(refused) => {
            let refused = || Err(refused.clone());
            let mut report = Report::new(refused(), refused(), transcript.warnings().to_vec());
            report.datagrams = refused();
            return report;
        }
    };
    let named = named.filter(|address| address.scheme.is_some()).map(|address| match address.protocol() {
        Some(protocol) if cfg!(feature = "http") || !address.is_websocket() => address.carrier(protocol),
        _ => Carrier::Stream,
    });
    let stream = if named == Some(Carrier::Messages) { Carrier::Messages } else { Carrier::Stream };
    let judged_over = if named == Some(Carrier::Datagram) { Carrier::Datagram } else { stream };
    let mut report = Report::new(Ok(()), Ok(()), transcript.warnings().to_vec());
    let mut played_on_streams = false;
    for carrier in [stream, Carrier::Datagram] {
        let ends = Ends { loaded, options, carrier };
        let (client, server) = (ends.prepare(Side::Client, &[]), ends.prepare(Side::Server, &[]));
        for script in [&client, &server].into_iter().flatten() {
            report.warnings.extend_from_slice(script.warnings());
        }
        if let (Ok(client), Ok(server)) = (&client, &server) {
            let judged = match named {
                // What differs over packets is found before a play: their plays go as over a stream.
                Some(Carrier::Packet) => carrier == stream,
                Some(named) => named == carrier,
                None => carrier == stream || !played_on_streams,
            };
            played_on_streams |= carrier == stream;
            ends.play(client, server, judged, &mut report);
        }
        let (client, server) = (client.map(drop), server.map(drop));
        if carrier == Carrier::Datagram {
            report.datagrams = server.clone().and(client.clone());
        }
        // From which ends it can be played is a question of where the file says that it is.
        if carrier == judged_over {
            (report.client, report.server) = (client, server);
        }
    }
    if named == Some(Carrier::Packet) {
        let ends = Ends { loaded, options, carrier: Carrier::Packet };
        report.client = report.client.and(ends.prepare(Side::Client, &[]).map(drop));
        report.server = report.server.and(ends.prepare(Side::Server, &[]).map(drop));
    }
    let mut seen = std::collections::HashSet::new();
    report.differences.retain(|difference| seen.insert(difference.render()));
    let mut seen = std::collections::HashSet::new();
    report.elsewhere.retain(|(_, difference)| seen.insert(difference.render()));
    report.warnings.sort_by_key(|warning| (warning.line, warning.column));
    report.warnings.dedup();
    report
}

impl Report {
    fn new(client: Result<(), Refused>, server: Result<(), Refused>, warnings: Vec<Diagnostic>) -> Self {
        Self {
            client,
            server,
            datagrams: Ok(()),
            warnings,
            differences: vec![],
            elsewhere: vec![],
            unplayed: vec![],
            too_long: false,
            crowded: None,
        }
    }
}

impl Ends<'_> {
    /// Plays each branch that was not played, if that is asked for; else says which they are.
    fn branches(
        &self,
        (client, server): (&Script, &Script),
        lines: &[usize],
        differences: &mut Vec<Difference>,
        unplayed: &mut Vec<(usize, Option<String>)>,
    ) {
        if !self.options.all_branches {
            unplayed.extend(lines.iter().map(|&line| (line, None)));
            return;
        }
        let left = left_of(lines, &mut |lines| self.together(lines));
        if left.is_empty() {
            return;
        }
        let no_way = |line| (line, Some("no way leads to it".to_owned()));
        let mut ways = Branches::new(client, server);
        for line in left {
            match ways.play(line) {
                BranchOutcome::Agreed => continue,
                BranchOutcome::NotReached => {
                    unplayed.push(no_way(line));
                    continue;
                }
                BranchOutcome::Unknown => {}
            }
            match (self.prepare(Side::Client, &[line]), self.prepare(Side::Server, &[line])) {
                (Ok(client), Ok(server)) => {
                    let found = self.rehearse(&client, &server);
                    differences.extend(found.differences);
                    if found.unplayed.contains(&line) {
                        unplayed.push(no_way(line));
                    }
                }
                (Err(refused), _) | (_, Err(refused)) => {
                    let why = refused.findings.first().map(|finding| finding.one_line(&refused.source));
                    unplayed.push((line, why));
                }
            }
        }
    }

    /// Plays as many of these branches as one play can; which branches it did not come to, if both ends agree.
    fn together(&self, lines: &[usize]) -> Option<Vec<usize>> {
        let (client, server) = (self.prepare(Side::Client, lines).ok()?, self.prepare(Side::Server, lines).ok()?);
        let found = self.rehearse(&client, &server);
        (found.differences.is_empty() && !found.too_long).then_some(found.unplayed)
    }
}

fn differences(rehearsal: &Rehearsal) -> impl Iterator<Item = Difference> {
    [&rehearsal.client, &rehearsal.server].into_iter().filter_map(|ending| match ending {
        Ending::Failed(verdict) => Some(Difference { failure: verdict.clone().into(), met: Met::InMemory }),
        _ => None,
    })
}
