//! `sockeye talk --play`: transcripts played from the client's end, one after the other, and what came of them.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use sockeye::address::{self, Address, Host, Target};
use sockeye::event::{Conversation, Protocol};
use sockeye::failure::{Failure, Kind};
use sockeye::net::connect::{ConnectError, Connected, Options as Connecting, connect_within};
use sockeye::net::tls::Trust;
use sockeye::net::{words, words_of_sending};
use sockeye::record::{Record, Tap};
use sockeye::verb::serve::Sheet;
use sockeye::verb::talk::{Played, With, play};
use transcript::record::{Recording, Secret};
use transcript::{Carrier, Options as Playing, Refused, Script, Side};

use super::data::{self, DataError, Row};
use super::report::{self, Case, Form};
use super::{file, talk, update};
use crate::exit::Exit;
use crate::failure::Why;
use crate::flags::Talk;
use crate::output::Console;

/// A transcript and where it is played.
pub(super) struct Part {
    pub(super) sheet: Sheet,
    pub(super) address: Address,
    pub(super) protocol: Protocol,
}

/// Plays everything that was asked for; the code is that of the first play that failed.
pub(super) fn run(flags: &Talk, address: Option<&Address>, console: &Console) -> Result<Exit, Exit> {
    let reports = forms(flags, console)?;
    trust(flags)
        .check()
        .map_err(|error| console.fail(Exit::CannotRead, &format!("cannot use the certificates of --ca: {error}")))?;
    let rows = rows(flags, console)?;
    let parts = parts(flags, address, &rows, console)?;
    // Every transcript is made ready once before a connection is opened: a wrong one disturbs nobody.
    let mut ready: Vec<Ready<'_>> = parts.iter().map(|part| Ready::new(flags, part)).collect();
    for ready in &mut ready {
        let transcript = &ready.part.sheet.transcript;
        let (script, _) = ready.script(rows.first()).map_err(|refused| console.conclude(Exit::Usage, refused))?;
        for warning in transcript.warnings().iter().chain(script.warnings()) {
            console.note(&warning.one_line(transcript.source()));
        }
    }
    if flags.update {
        drop(ready);
        return update(flags, parts, console);
    }
    let several = parts.len() * rows.len().max(1) * flags.repeat as usize > 1;
    let record = open_record(flags, &parts, rows.first(), several, console)?;
    let mut cases = Vec::new();
    let mut worst = Exit::Done;
    for round in 1..=flags.repeat {
        for ready in &mut ready {
            for row in rows.iter().map(Some).chain(rows.is_empty().then_some(None)) {
                let began = Instant::now();
                let result = play_once(flags, ready, row, cases.len() + 1, record.as_ref(), console);
                let failure = result.err().map(|(exit, why)| {
                    if worst == Exit::Done {
                        worst = exit;
                    }
                    console.conclude(exit, why.clone());
                    report::Failure { why, code: exit.code() }
                });
                let (file, what) =
                    (ready.part.sheet.transcript.source().name().to_owned(), described(flags, row, round));
                cases.push(Case { file, what, lasted: began.elapsed(), failure });
            }
        }
    }
    if several {
        let failed = cases.iter().filter(|case| case.failure.is_some()).count();
        let not = if failed > 0 { format!(", {failed} not") } else { String::new() };
        console.note(&format!("{} plays, {} as written{not}", cases.len(), cases.len() - failed));
    }
    for (path, form) in &reports {
        if let Err(error) = report::write(path, *form, &cases) {
            let exit = console.fail(Exit::CannotWrite, &error.to_string());
            worst = if worst == Exit::Done { exit } else { worst };
        }
    }
    worst = talk::finish(record.as_ref(), worst, console);
    Ok(worst)
}

/// Writes anew what the server says otherwise.
fn update(flags: &Talk, mut parts: Vec<Part>, console: &Console) -> Result<Exit, Exit> {
    let (Some(part), true, Some(path)) = (parts.pop(), parts.is_empty(), flags.play.first()) else {
        return Err(console.fail(Exit::Usage, "--update takes one transcript"));
    };
    let text = file::text(path).map_err(|error| {
        console.fail(Exit::Usage, &format!("{}: {error}", path.display(), error = sockeye::net::words(&error)))
    })?;
    update::run(flags, part, &String::from_utf8_lossy(&text), console)
}

/// Which row and which round, where there are others.
fn described(flags: &Talk, row: Option<&Row>, round: u32) -> String {
    let row = row.map(|row| format!("row {}", row.line));
    let round = (flags.repeat > 1).then(|| format!("round {round}"));
    row.into_iter().chain(round).collect::<Vec<_>>().join(" ")
}

fn forms<'a>(flags: &'a Talk, console: &Console) -> Result<Vec<(&'a Path, Form)>, Exit> {
    let form = |path: &'a std::path::PathBuf| match Form::of(path) {
        Some(form) => Ok((path.as_path(), form)),
        None => {
            let why = format!("a report is named .xml (JUnit), .tap or .json, and not {}", path.display());
            Err(console.fail(Exit::Usage, &why))
        }
    };
    flags.report.iter().map(form).collect()
}

fn rows(flags: &Talk, console: &Console) -> Result<Vec<Row>, Exit> {
    let Some(path) = &flags.data else { return Ok(vec![]) };
    match data::read(path) {
        Ok(rows) if rows.is_empty() => Err(console.fail(Exit::Usage, &format!("{} has no row", path.display()))),
        Ok(rows) => Ok(rows),
        Err(DataError::Unreadable(why)) => Err(console.fail(Exit::CannotRead, &why)),
        Err(DataError::Wrong(why)) => Err(console.fail(Exit::Usage, &why)),
    }
}

fn parts(flags: &Talk, given: Option<&Address>, rows: &[Row], console: &Console) -> Result<Vec<Part>, Exit> {
    let mut names = flags.values.names();
    names.extend(rows.iter().flat_map(|row| row.values.iter().map(|(name, _)| name.as_str())));
    names.sort_unstable();
    names.dedup();
    let mut parts = Vec::new();
    for path in &flags.play {
        let sheet = file::sheet(path, &names).map_err(|why| console.conclude(Exit::Usage, why))?;
        let named = address::named_by(&sheet.transcript).map_err(|refused| console.conclude(Exit::Usage, refused))?;
        let Some(address) = given.cloned().or(named) else {
            let why = format!("where to? {} names no address with `at`, and none is given", path.display());
            return Err(console.conclude(Exit::Usage, why));
        };
        let protocol = talk::protocol(&address).map_err(|error| console.fail(Exit::Usage, &error.to_string()))?;
        parts.push(Part { sheet, address, protocol });
    }
    transcript::known_names(parts.iter().map(|part| &part.sheet.transcript), &names)
        .map_err(|unknown| console.fail(Exit::Usage, &unknown.to_string()))?;
    Ok(parts)
}

/// A transcript made ready for all its plays. Rows of JSON need not all have the same names, so it may be several scripts.
struct Ready<'a> {
    flags: &'a Talk,
    part: &'a Part,
    scripts: Vec<Script>,
}

/// Most scripts that are kept of one transcript.
const MOST_SCRIPTS: usize = 64;

impl<'a> Ready<'a> {
    fn new(flags: &'a Talk, part: &'a Part) -> Self {
        Self { flags, part, scripts: vec![] }
    }

    /// The script for a row, and the row's values.
    fn script(&mut self, row: Option<&Row>) -> Result<(&Script, Option<transcript::Row>), Refused> {
        let values = row.map_or(&[][..], |row| &row.values);
        let fits = |script: &Script| script.columns().iter().eq(values.iter().map(|(name, _)| name));
        let known = self.scripts.iter().position(fits);
        let at = match known {
            Some(at) => at,
            None => {
                let columns: Vec<String> = values.iter().map(|(name, _)| name.clone()).collect();
                let script = prepare(self.flags, &self.part.sheet, self.part.protocol, &columns)?;
                if self.scripts.len() >= MOST_SCRIPTS {
                    self.scripts.clear();
                }
                self.scripts.push(script);
                self.scripts.len() - 1
            }
        };
        let script = &self.scripts[at];
        if values.is_empty() {
            return Ok((script, None));
        }
        let values: Vec<&[u8]> = values.iter().map(|(_, value)| value.as_slice()).collect();
        Ok((script, Some(script.row(&values)?)))
    }
}

pub(super) fn prepare(flags: &Talk, sheet: &Sheet, protocol: Protocol, columns: &[String]) -> Result<Script, Refused> {
    let carrier = carrier(protocol);
    let mut playing = Playing::new(Side::Client, carrier);
    playing.values = flags.values.to_map();
    playing.columns = columns.to_vec();
    playing.secrets = flags.values.secrets();
    playing.longest_line = flags.max_line;
    playing.wait_override = flags.timeout;
    playing.files.clone_from(&sheet.files);
    Script::prepare(&sheet.transcript, &playing)
}

fn carrier(protocol: Protocol) -> Carrier {
    if protocol == Protocol::Udp { Carrier::Datagram } else { Carrier::Stream }
}

/// One record holds one conversation.
fn open_record(
    flags: &Talk,
    parts: &[Part],
    row: Option<&Row>,
    several: bool,
    console: &Console,
) -> Result<Option<Arc<Record>>, Exit> {
    let (Some(path), Some(part)) = (&flags.record, parts.first()) else { return Ok(None) };
    if several {
        return Err(console.fail(Exit::Usage, "--record holds one conversation: give one transcript and play it once"));
    }
    // A row may give a secret name a value of its own.
    let mut secrets = flags.values.secrets();
    for (name, value) in row.into_iter().flat_map(|row| &row.values) {
        if secrets.iter().any(|secret| secret.name == *name) {
            secrets.push(Secret { name: name.clone(), value: value.clone() });
        }
    }
    begin_record(flags, path, part.address.to_string(), part.protocol, secrets, console).map(Some)
}

/// Begins a record.
pub(super) fn record(
    flags: &Talk,
    path: &Path,
    address: &Address,
    protocol: Protocol,
    console: &Console,
) -> Result<Arc<Record>, Exit> {
    record_at(flags, path, address.to_string(), protocol, console)
}

/// The same at an address as it is written.
pub(super) fn record_at(
    flags: &Talk,
    path: &Path,
    at: String,
    protocol: Protocol,
    console: &Console,
) -> Result<Arc<Record>, Exit> {
    begin_record(flags, path, at, protocol, flags.values.secrets(), console)
}

fn begin_record(
    flags: &Talk,
    path: &Path,
    at: String,
    protocol: Protocol,
    secrets: Vec<Secret>,
    console: &Console,
) -> Result<Arc<Record>, Exit> {
    let recording = Recording { carrier: carrier(protocol), at: Some(at), secrets, times: flags.times };
    Record::create(path, recording).map(Arc::new).map_err(|error| {
        console.fail(
            Exit::CannotWrite,
            &format!("cannot write the record {}: {error}", path.display(), error = sockeye::net::words(&error)),
        )
    })
}

/// One play over a connection of its own; else its code and its account.
fn play_once(
    flags: &Talk,
    ready: &mut Ready<'_>,
    row: Option<&Row>,
    number: usize,
    record: Option<&Arc<Record>>,
    console: &Console,
) -> Result<(), (Exit, Why)> {
    let part = ready.part;
    let (script, row) = ready.script(row).map_err(|refused| (Exit::Usage, refused.into()))?;
    let connecting = Connecting { family: flags.family.family(), timeout: flags.connect_timeout, source: None };
    let mut connected = connect_within(&part.address, part.protocol, &connecting, flags.retry)
        .map_err(|error| unconnected(&error, flags))?;
    talk::tell_attempts(&connected, console);
    let tap = record.map(|record| &**record as &dyn Tap);
    let (trust, host) = (trust(flags), host(&part.address));
    let with = With { tap, trust: &trust, host: &host, row: row.as_ref() };
    let mut played = play(&connected, script, with);
    // Over datagrams a name's next address is tried where nobody listens at the one before.
    while let Ok(Played { received: 0, port_closed, unreachable, .. }) = &played
        && (*port_closed || unreachable.is_some())
        && let Some(next) = connected.next()
    {
        connected = next;
        talk::tell_attempts(&connected, console);
        played = play(&connected, script, with);
    }
    let played = played.map_err(|error| broken(&error, &connected, number))?;
    judge(&played, &connected, number, console)
}

/// What a play's connection failed with.
pub(super) fn broken(error: &io::Error, connected: &Connected, number: usize) -> (Exit, Why) {
    let kind = Kind::from(error);
    // As without a transcript: what was to be said was not sent.
    let is_refused = error.kind() == io::ErrorKind::PermissionDenied;
    let exit = if is_refused { Exit::CutShort } else { kind.into() };
    let why = if is_refused { format!("cannot send: {}", words_of_sending(error)) } else { words(error) };
    let failure = Failure::other(kind, format!("{}: {why}", connected.peer));
    (exit, Why::failed(Some(conversation(connected, number)), failure))
}

/// No connection came about.
pub(super) fn unconnected(error: &ConnectError, flags: &Talk) -> (Exit, Why) {
    let kind = Kind::from(error);
    (kind.into(), Why::failed(None, Failure::other(kind, talk::no_connection(error, flags))))
}

fn conversation(connected: &Connected, number: usize) -> Conversation {
    let (server, client) = (connected.peer.clone(), connected.local.clone());
    Conversation { number: number as u64, protocol: connected.protocol, server, client }
}

pub(super) fn judge(
    played: &Played,
    connected: &Connected,
    number: usize,
    console: &Console,
) -> Result<(), (Exit, Why)> {
    let peer = &connected.peer;
    if played.drained > 0 && played.ending.is_success() {
        console.note(&format!("{peer}: {} bytes came after the last statement and were not judged", played.drained));
    }
    if played.strangers > 0 {
        console.note(&format!("{peer}: {} datagrams came from somebody else and were not taken", played.strangers));
    }
    let Some(failure) = played.failure() else {
        if console.verbose > 0 {
            console.note(&format!("{peer}: as written; {} bytes sent, {} received", played.sent, played.received));
        }
        return Ok(());
    };
    let exit = failure.kind().into();
    let failure = match failure {
        Failure::Other { kind, line, reason } => Failure::Other { kind, line, reason: format!("{peer}: {reason}") },
        play => play,
    };
    Err((exit, Why::failed(Some(conversation(connected, number)), failure)))
}

/// Whose certificates are believed.
pub(super) fn trust(flags: &Talk) -> Trust {
    flags.pin.clone().unwrap_or_else(|| flags.ca.as_deref().map_or_else(Trust::system, Trust::only))
}

/// Whom a certificate must be for: the host as it was typed.
pub(super) fn host(address: &Address) -> String {
    match &address.target {
        Target::Inet { host: Host::Name(name), .. } => name.clone(),
        Target::Inet { host: Host::Ip(ip, _), .. } => ip.to_string(),
        Target::Inet { host: Host::Every | Host::Loopback, .. } | Target::Unix(_) => "localhost".to_owned(),
    }
}
