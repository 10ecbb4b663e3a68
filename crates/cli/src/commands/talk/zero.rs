//! `--zero`: whether a program listens, at one port or at many. Nothing is sent to it.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use serde_json::json;
use sockeye::address::{Address, AddressError};
use sockeye::event::Protocol;
use sockeye::limits;
use sockeye::net::connect::{ConnectOptions, connect_within};
use sockeye::net::listen::protocol_of;
use sockeye::net::{words, words_of_sending};
use sockeye::verb::talk::{Probed, probe};

use super::super::connection::{self, no_connection, tell_attempts};
use super::name_of;
use crate::exit::Exit;
use crate::flags::Talk;
use crate::output::Console;

/// What was found at a port.
struct Found {
    exit: Exit,
    /// For programs.
    state: &'static str,
    /// For people.
    text: String,
    who: String,
    took: Duration,
}

/// Asks at every address; one that listens is enough.
pub(super) fn run(
    flags: &Talk,
    addresses: Result<Vec<Address>, AddressError>,
    console: &Console,
) -> Result<Exit, Exit> {
    let wrong = |error: &AddressError| console.fail(Exit::Usage, &error.to_string());
    let addresses = addresses.map_err(|error| wrong(&error))?;
    let mut ports = Vec::with_capacity(addresses.len());
    for address in addresses {
        let protocol = protocol_of(&address).map_err(|error| wrong(&error))?;
        if let Some(scheme) = address.scheme.filter(|_| address.is_local()) {
            return Err(wrong(&AddressError::not_here(scheme, "nobody listens there: --zero asks at ports and paths")));
        }
        if flags.proxy.is_some() && protocol != Protocol::Tcp {
            return Err(console.fail(Exit::Usage, &format!("a proxy leads to tcp addresses, and {address} is none")));
        }
        ports.push((address, protocol));
    }
    if let [(address, protocol)] = &ports[..] {
        let found = ask(flags, address, *protocol, console);
        if console.json {
            tell(&found, *protocol, console);
        }
        return match found.exit {
            Exit::Done if console.json => Ok(Exit::Done),
            Exit::Done => {
                console.note(&found.text);
                Ok(Exit::Done)
            }
            exit => Err(console.fail(exit, &found.text)),
        };
    }
    Ok(ask_all(flags, &ports, console))
}

/// Asks at many, some at a time, and tells of them in their order.
fn ask_all(flags: &Talk, ports: &[(Address, Protocol)], console: &Console) -> Exit {
    let next = AtomicUsize::new(0);
    let (report, reports) = channel();
    let report = Mutex::new(report);
    let (mut open, mut failures) = (0, Failures::default());
    std::thread::scope(|scope| {
        let mut begun = 0;
        let work = || {
            let Ok(report) = report.lock().map(|report| report.clone()) else { return };
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                let Some((address, protocol)) = ports.get(number) else { return };
                if report.send((number, ask(flags, address, *protocol, console))).is_err() {
                    return;
                }
            }
        };
        for _ in 0..usize::from(flags.jobs).min(ports.len()) {
            // Fewer are slower, and no failure.
            if std::thread::Builder::new().name("zero".to_owned()).spawn_scoped(scope, work).is_ok() {
                begun += 1;
            }
        }
        if begun == 0 {
            work();
        }
        let mut early = BTreeMap::new();
        let mut due = 0;
        while due < ports.len() {
            let Some(found) = early.remove(&due) else {
                let Ok((number, found)) = reports.recv() else { break };
                early.insert(number, found);
                continue;
            };
            show(&found, ports[due].1, console);
            match found.exit {
                Exit::Done => open += 1,
                _ => failures.count(found),
            }
            due += 1;
        }
    });
    if console.json && !console.quiet {
        console.tell(&json!({ "event": "ports", "asked": ports.len(), "open": open }));
    } else {
        console.note(&format!("{open} of {} ports are open", ports.len()));
    }
    match (open, failures.tell()) {
        (0, Some((exit, why))) => console.fail(exit, &why),
        _ => Exit::Done,
    }
}

/// What was found where nothing is open.
#[derive(Default)]
struct Failures {
    first: Option<(Exit, String)>,
    /// No program listens there.
    closed: usize,
    /// Nothing came.
    silent: usize,
}

impl Failures {
    fn count(&mut self, found: Found) {
        match found.exit {
            Exit::Refused => self.closed += 1,
            Exit::TimedOut => self.silent += 1,
            _ => {}
        }
        // What keeps us from asking says more than that no answer came.
        let is_answer = |exit| matches!(exit, Exit::Refused | Exit::TimedOut);
        if self.first.as_ref().is_none_or(|(first, _)| is_answer(*first) && !is_answer(found.exit)) {
            self.first = Some((found.exit, found.text));
        }
    }

    fn tell(self) -> Option<(Exit, String)> {
        let (exit, text) = self.first?;
        let why = match (exit, self.closed, self.silent) {
            (Exit::Refused, _, 0) => "nobody listens at any of them".to_owned(),
            (Exit::Refused | Exit::TimedOut, 0, _) => "none of them answers".to_owned(),
            (Exit::Refused | Exit::TimedOut, closed, silent) => {
                format!("none of them is open: at {closed} nobody listens, and {silent} did not answer")
            }
            _ => text,
        };
        Some((exit, why))
    }
}

fn show(found: &Found, protocol: Protocol, console: &Console) {
    if console.json {
        tell(found, protocol, console);
    } else if found.exit == Exit::Done || console.verbose > 0 {
        console.note(&found.text);
    }
}

fn tell(found: &Found, protocol: Protocol, console: &Console) {
    let Found { state, who, took, exit, text } = found;
    let mut object = json!({
        "event": "port", "proto": protocol.scheme(), "server": who, "state": state, "seconds": took.as_secs_f64(),
    });
    if let (Some(fields), false) = (object.as_object_mut(), *exit == Exit::Done) {
        fields.insert("error".to_owned(), json!(text));
    }
    console.tell(&object);
}

/// Asks at one.
fn ask(flags: &Talk, address: &Address, protocol: Protocol, console: &Console) -> Found {
    let began = Instant::now();
    let found = |exit, state, text: String, who: String| Found { exit, state, text, who, took: began.elapsed() };
    let time = flags.timeout.unwrap_or(limits::DATAGRAM_ANSWER);
    let timeout = flags.timeout.map_or(flags.connect_timeout, |timeout| timeout.min(flags.connect_timeout));
    let connecting = ConnectOptions { timeout, ..connection::options(flags) };
    let connect = || {
        connect_within(address, protocol, &connecting, flags.retry).map_err(|error| {
            let exit = Exit::from(&error);
            let state = match exit {
                Exit::TimedOut => "silent",
                Exit::Refused => "closed",
                _ => "unknown",
            };
            found(exit, state, no_connection(&error, flags), place(address))
        })
    };
    let connected = match connect() {
        Ok(connected) => connected,
        Err(found) => return found,
    };
    tell_attempts(&connected, console);
    // Of a Unix socket connect(2) tells.
    if protocol != Protocol::Udp {
        let who = name_of(&connected);
        return found(Exit::Done, "open", format!("{protocol} {who}: open"), who);
    }
    let until = flags.retry.map(|retry| Instant::now() + retry);
    let mut asked = connected;
    loop {
        let came = probe(&asked, time);
        let (who, over) = (asked.peer.to_string(), until.is_none_or(|until| Instant::now() >= until));
        let closed = matches!(came, Probed::Closed | Probed::Unreachable(_));
        if let Some(next) = closed.then(|| asked.next()).flatten() {
            asked = next;
            continue;
        }
        if over || matches!(came, Probed::Answered | Probed::Failed(_)) {
            let (exit, state, text) = outcome(&came, &who, time);
            return found(exit, state, text, who);
        }
        std::thread::sleep(Duration::from_millis(50));
        asked = match connect() {
            Ok(connected) => connected,
            Err(found) => return found,
        };
    }
}

/// What a probe over UDP found: the exit code, one word, and a line.
fn outcome(came: &Probed, who: &str, time: Duration) -> (Exit, &'static str, String) {
    match came {
        Probed::Answered => (Exit::Done, "open", format!("udp {who}: open: it answered")),
        Probed::Failed(error) => {
            let exit = Exit::of(error, Exit::CutShort);
            (exit, "unknown", format!("{who}: cannot ask: {}", words_of_sending(error)))
        }
        Probed::Closed => (Exit::Refused, "closed", format!("udp {who}: closed: nobody listens there")),
        Probed::Unreachable(error) => {
            (Exit::Refused, "closed", format!("udp {who}: cannot be reached: {}", words(error)))
        }
        Probed::Silent => {
            let (time, says) = (transcript::seconds(time), "over UDP that does not tell whether anybody listens");
            (Exit::TimedOut, "silent", format!("udp {who}: no answer within {time}; {says}"))
        }
    }
}

/// An address without its scheme, as the others are shown.
fn place(address: &Address) -> String {
    Address { scheme: address.scheme.filter(|_| address.is_unix()), ..address.clone() }.to_string()
}

/// `HOST 20-30,80`, `HOST:20-30,80`, `udp://HOST:20-30`, `20-30`: every address, if it is a list.
pub(super) fn several(words: &[String]) -> Option<Result<Vec<Address>, AddressError>> {
    let last = words.last()?;
    let (before, list) = match last.rfind([':', '/']) {
        Some(at) => last.split_at(at + 1),
        None => ("", last.as_str()),
    };
    let is_list = list.contains(['-', ','])
        && list.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-' || byte == b',')
        && !before.to_ascii_lowercase().starts_with("unix:");
    if !is_list {
        return None;
    }
    let mut ports: Vec<u16> = Vec::new();
    for part in list.split(',') {
        match range(part) {
            Some(range) => ports.extend(range),
            None => return Some(Err(AddressError::no_ports(list))),
        }
    }
    let mut seen = vec![false; 1 << 16];
    ports.retain(|port| !std::mem::replace(&mut seen[usize::from(*port)], true));
    let mut all = Vec::with_capacity(ports.len());
    for port in ports {
        let mut words = words.to_vec();
        words.pop();
        words.push(format!("{before}{port}"));
        match Address::parse_words(&words) {
            Ok(addresses) => all.extend(addresses),
            Err(error) => return Some(Err(error)),
        }
    }
    Some(Ok(all))
}

/// `20`, `20-30`, and as nc takes it `30-20`.
fn range(part: &str) -> Option<std::ops::RangeInclusive<u16>> {
    let port = |text: &str| text.parse::<u16>().ok().filter(|port| *port > 0);
    match part.split_once('-') {
        Some((from, to)) => {
            let (from, to) = (port(from)?, port(to)?);
            Some(from.min(to)..=from.max(to))
        }
        None => port(part).map(|port| port..=port),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_of_ports_is_read_wherever_it_stands() {
        let all = |words: &[&str]| -> Option<Vec<String>> {
            let words: Vec<String> = words.iter().map(|&word| word.to_owned()).collect();
            several(&words).map(|all| all.unwrap().iter().map(ToString::to_string).collect())
        };
        let list = |ports: &[&str]| Some(ports.iter().map(|&port| port.to_owned()).collect::<Vec<_>>());
        assert_eq!(all(&["host", "20-22,80"]), list(&["host:20", "host:21", "host:22", "host:80"]));
        assert_eq!(all(&["host:22-20,21"]), list(&["host:20", "host:21", "host:22"]));
        assert_eq!(all(&["udp://[::1]:1,2"]), list(&["udp://[::1]:1", "udp://[::1]:2"]));
        assert_eq!(all(&["udp://1,2"]), list(&["udp://1", "udp://2"]));
        assert_eq!(all(&["7-8"]), list(&["7", "8"]));
        for words in [&["host:80"][..], &["80"], &["unix:/a:1-2"], &["my-host:80"], &["a", "b"]] {
            assert_eq!(all(words), None, "{words:?}");
        }
        for wrong in ["host:1-", "host:1,,2", "host:0-3", "host:1-70000", "host:,", "host:-"] {
            assert!(several(&[wrong.to_owned()]).unwrap().is_err(), "{wrong}");
        }
    }
}
