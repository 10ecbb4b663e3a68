//! `sockeye talk --play`: transcripts played from the client's end, one after the other, and what came of them.

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use sockeye::address::{self, Address, Scheme};
use sockeye::net::connect::{RetryClock, connect_within};
use sockeye::net::listen::protocol_of;
use sockeye::net::tls::Trust;
use sockeye::record::{Record, Tap};
use sockeye::verb::talk::{InitialLayers, Setting, play};
use transcript::record::Secret;
use transcript::{Refused, Script, Side};

use super::data::{self, Row};
use super::hex::Hex;
use super::play_once::{self, Target, begins_once, judge, prepare, ready_trust, unconnected};
use super::report::{self, Case, Form};
use super::taps::{self, Held, Until};
use super::{connection, file, update};
use crate::exit::Exit;
use crate::failure::CommandFailure;
use crate::flags::Talk;
use crate::output::Console;

/// Plays everything that was asked for; the code is that of the first play that failed.
pub(super) fn run(flags: &Talk, address: Option<&Address>, console: &Console) -> Result<Exit, Exit> {
    let reports = forms(flags, console)?;
    ready_trust(flags, console)?;
    let rows = rows(flags, console)?;
    let targets = targets(flags, address, &rows, console)?;
    // Every transcript is made ready once before a connection is opened: a wrong one disturbs no server.
    let mut ready = ready(flags, &targets, &rows, console)?;
    if flags.update {
        drop(ready);
        return update(flags, targets, console);
    }
    let mut security = Vec::new();
    for target in &targets {
        security.push(play_once::security(flags, target, console)?);
    }
    let several = targets.len() * rows.len().max(1) * flags.repeat as usize > 1;
    let record = open_record(flags, &targets, rows.first(), several, console)?;
    let mut cases = Vec::new();
    let mut worst = Exit::Done;
    for round in 1..=flags.repeat {
        for (ready, security) in ready.iter_mut().zip(&security) {
            for row in rows.iter().map(Some).chain(rows.is_empty().then_some(None)) {
                let began = Instant::now();
                let result = play_once(flags, ready, security, row, cases.len() + 1, record.as_ref(), console);
                let failure = result.err().map(|(exit, why)| {
                    if worst == Exit::Done {
                        worst = exit;
                    }
                    console.conclude(exit, why.clone());
                    report::Failure { why, code: exit.code() }
                });
                let (file, what) =
                    (ready.target.loaded.transcript.source().name().to_owned(), described(flags, row, round));
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
    worst = connection::finish(record.as_ref(), worst, console);
    Ok(worst)
}

/// What is played, made ready; what is odd about it is said.
fn ready<'t>(flags: &'t Talk, targets: &'t [Target], rows: &[Row], console: &Console) -> Result<Vec<Ready<'t>>, Exit> {
    let mut all: Vec<Ready<'_>> = targets.iter().map(|target| Ready::new(flags, target)).collect();
    for ready in &mut all {
        let target = ready.target;
        let transcript = &target.loaded.transcript;
        let (script, _) = ready.script(rows.first()).map_err(|refused| console.conclude(Exit::Usage, refused))?;
        begins_once(target, script).map_err(|error| console.fail(Exit::Usage, &error.to_string()))?;
        for warning in transcript.warnings().iter().chain(script.warnings()) {
            console.note(&warning.one_line(transcript.source()));
        }
    }
    let is_secure =
        |target: &Target| target.address.scheme == Some(Scheme::Tls) || target.loaded.transcript.starttls().is_some();
    if flags.cert.is_some() && !targets.iter().any(is_secure) {
        let why = "--cert says who we are under TLS, and nothing here begins it: write `starttls` in the transcript, or tls://";
        return Err(console.fail(Exit::Usage, why));
    }
    Ok(all)
}

/// Rewrites the lines where the server says something else.
fn update(flags: &Talk, mut targets: Vec<Target>, console: &Console) -> Result<Exit, Exit> {
    let (Some(target), true, Some(path)) = (targets.pop(), targets.is_empty(), flags.play.first()) else {
        return Err(console.fail(Exit::Usage, "--update takes one transcript"));
    };
    let text = file::text(path).map_err(|error| {
        console.fail(Exit::Usage, &format!("{}: {error}", path.display(), error = sockeye::net::words(&error)))
    })?;
    update::run(flags, target, &String::from_utf8_lossy(&text), console)
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
    flags.data.as_deref().map_or_else(|| Ok(vec![]), |path| data::rows(path, &flags.values.set, console))
}

fn targets(flags: &Talk, given: Option<&Address>, rows: &[Row], console: &Console) -> Result<Vec<Target>, Exit> {
    let mut names = flags.values.names();
    names.extend(rows.iter().flat_map(|row| row.values.iter().map(|(name, _)| name.as_str())));
    names.sort_unstable();
    names.dedup();
    let mut targets = Vec::new();
    for path in &flags.play {
        let loaded = file::load(path, &names).map_err(|why| console.conclude(Exit::Usage, why))?;
        if let Some(notice) = flags.values.notice_of_seed(&loaded.transcript) {
            console.note(&notice);
        }
        let named = address::named_by(&loaded.transcript).map_err(|refused| console.conclude(Exit::Usage, refused))?;
        let Some(address) = given.cloned().or(named) else {
            let why = format!("where to? {} names no address with `at`, and none is given", path.display());
            return Err(console.conclude(Exit::Usage, why));
        };
        console.check_stdio(std::slice::from_ref(&address))?;
        // Connections that it opens by itself may come from there.
        if loaded.transcript.connects().is_none() {
            connection::check_own_end(flags, &address).map_err(|why| console.fail(Exit::Usage, &why))?;
        }
        let protocol = protocol_of(&address).map_err(|error| console.fail(Exit::Usage, &error.to_string()))?;
        targets.push(Target { loaded, address, protocol });
    }
    transcript::known_names(targets.iter().map(|target| &target.loaded.transcript), &names)
        .map_err(|unknown| console.fail(Exit::Usage, &unknown.to_string()))?;
    Ok(targets)
}

/// A transcript made ready for all its plays. Rows of JSON need not all have the same names, so it may be several scripts.
struct Ready<'a> {
    flags: &'a Talk,
    target: &'a Target,
    scripts: Vec<Arc<Script>>,
}

/// Most scripts that are kept of one transcript.
const MOST_SCRIPTS: usize = 64;

impl<'a> Ready<'a> {
    fn new(flags: &'a Talk, target: &'a Target) -> Self {
        Self { flags, target, scripts: vec![] }
    }

    /// The script for a row, and the row's values.
    fn script(&mut self, row: Option<&Row>) -> Result<(&Arc<Script>, Option<transcript::Row>), Refused> {
        let values = row.map_or(&[][..], |row| &row.values);
        let fits = |script: &Arc<Script>| script.columns().iter().eq(values.iter().map(|(name, _)| name));
        let known = self.scripts.iter().position(fits);
        let at = match known {
            Some(at) => at,
            None => {
                let columns: Vec<String> = values.iter().map(|(name, _)| name.clone()).collect();
                let script = prepare(self.flags, &self.target.loaded, self.target.carrier(), &columns)?;
                if self.scripts.len() >= MOST_SCRIPTS {
                    self.scripts.clear();
                }
                self.scripts.push(Arc::new(script));
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

/// One record holds one conversation.
fn open_record(
    flags: &Talk,
    targets: &[Target],
    row: Option<&Row>,
    several: bool,
    console: &Console,
) -> Result<Option<Arc<Record>>, Exit> {
    let (Some(path), Some(target)) = (&flags.record, targets.first()) else { return Ok(None) };
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
    // What the transcript makes of them is hidden as they are.
    let mut values = flags.values.to_map();
    let own = row.into_iter().flat_map(|row| &row.values);
    values.extend(own.map(|(name, value)| (name.clone(), value.clone())));
    let made = target.loaded.transcript.made_of_secrets(&secrets, &values);
    secrets.extend(made);
    let ports = target.loaded.transcript.tells_ports();
    let (at, protocol) = (target.address.to_string(), target.protocol);
    connection::begin_record(flags, path, connection::Recorded { at, protocol, secrets, ports }, console).map(Some)
}

/// How long the record is held back, where a play may be said again: over datagrams, and where a handshake is tried again.
fn held_until(flags: &Talk, target: &Target) -> Option<Until> {
    let has_handshake = target.address.scheme.is_some_and(Scheme::has_handshake);
    match target.protocol.keeps_bounds() {
        true => Some(Until::ServerSpeaks),
        false => (has_handshake && flags.retry.is_some()).then_some(Until::Secured),
    }
}

/// One play over a connection of its own; else its code and its account.
fn play_once(
    flags: &Talk,
    ready: &mut Ready<'_>,
    (trust, begins): &(Trust, InitialLayers),
    row: Option<&Row>,
    number: usize,
    record: Option<&Arc<Record>>,
    console: &Console,
) -> Result<(), (Exit, CommandFailure)> {
    let target = ready.target;
    let (script, row) = ready.script(row).map_err(|refused| (Exit::Usage, refused.into()))?;
    let mut again = RetryClock::until(flags.retry.map(|retry| Instant::now() + retry));
    let connect = |retry| {
        connect_within(&target.address, target.protocol, &connection::options(flags), retry)
            .map_err(|error| unconnected(&error, flags))
    };
    let connected = connect(flags.retry)?;
    connection::tell_attempts(&connected, console);
    let hex = flags.hex.then(|| Arc::new(Hex::new(Side::Client, connection::carrier(target.protocol))) as Arc<dyn Tap>);
    let record = record.map(|record| Arc::clone(record) as Arc<dyn Tap>);
    let (held, recording) = Held::before(record, held_until(flags, target));
    let tap = taps::tee(recording.into_iter().chain(hex).collect());
    let host = target.address.tls_host();
    let reconnect = connection::reconnect(flags, &target.address);
    let setting = Setting { tap, trust, host: &host, begins: begins.clone(), reconnect, row: row.as_ref() };
    let mut played = play(connected, script, &setting);
    loop {
        // Over datagrams a name's next address is tried where nothing listens at the one before.
        let next = match played.next.take() {
            Some(next) => {
                connection::tell_attempts(&next, console);
                next
            }
            None => {
                if !played.is_unheard || !again.wait() {
                    break;
                }
                connect(Some(again.left()))?
            }
        };
        if let Some(held) = &held {
            held.forget();
        }
        played = play(next, script, &setting);
    }
    judge(played, number, console)
}
