//! `sockeye relay`.

use std::fs::File;
use std::io::{self, IsTerminal, Write};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use sockeye::address::{Address, Scheme};
use sockeye::event::{Event, Observer};
use sockeye::limits;
use sockeye::record::Tap;
use sockeye::stop;
use sockeye::verb::relay::{CaptureFile, Control, Listen, RelayError, RelayOptions, Summary, TapOptions};

use super::sandbox::Wanted;
use super::serving::{Unfinished, threads};
use super::{connection, gate, sandbox, signals};
use crate::clean::Cleaner;
use crate::exit::Exit;
use crate::flags::Relay;
use crate::output::Console;
use crate::port_file;
use crate::shown::{Form, Shown};
use crate::sys::is_stdout;
use crate::whole;

/// Relays until a signal, or until so many connections have ended.
pub(crate) fn run(flags: &Relay, console: &Console) -> Exit {
    match relay(flags, console) {
        Ok(exit) | Err(exit) => exit,
    }
}

fn relay(flags: &Relay, console: &Console) -> Result<Exit, Exit> {
    let refuse = |error: RelayError| console.fail(Exit::from(&error), &error.to_string());
    let options = options(flags, console)?;
    if let Some(control) = &flags.control {
        return steered(flags, control, &options, console);
    }
    let user = gate::user(&flags.gate, console)?;
    sockeye::sink::on_terminals(|terminal| Box::new(Harmless(Some(Cleaner::new(terminal.into())))));
    let relay = sockeye::verb::relay::Relay::bind(&options).map_err(refuse)?;
    let wanted = if relay.is_single() { Some(1) } else { wanted(flags) };
    let (stopper, stop) = stop::channel().map_err(|error| refuse(RelayError::Io(error)))?;
    signals::stop_on_signals(&stopper).map_err(|error| refuse(RelayError::Io(error)))?;
    if !options.network.is_good() && flags.network.seed.is_none() {
        console.note(&format!("the network is bad on purpose; the same again: --seed {}", options.network.seed));
    }
    if let Some(path) = &flags.port_file {
        port_file::write(path, relay.ports(), console)?;
    }
    let rereading = gate::read_again_on_hangup(&options.gate, &flags.gate, console);
    let rereading = rereading.map_err(|error| refuse(RelayError::Io(error)))?;
    gate::become_user(user.as_ref(), console)?;
    sandbox::enter(sandbox::of_relay(flags, &options), console)?;
    let summary = relay.run(stop, console.observer());
    drop(rereading);
    let summary = summary.map_err(refuse)?;
    Ok(conclude(&summary, wanted, flags, console))
}

/// Relays as the clients of the control API say.
fn steered(flags: &Relay, control: &str, options: &RelayOptions, console: &Console) -> Result<Exit, Exit> {
    let refuse = |error: RelayError| console.fail(Exit::from(&error), &error.to_string());
    let address = Address::parse(control).map_err(|error| console.fail(Exit::Usage, &error.to_string()))?;
    let user = gate::user(&flags.gate, console)?;
    let control = Control::bind(&address, options).map_err(refuse)?;
    let (stopper, stop) = stop::channel().map_err(|error| refuse(RelayError::Io(error)))?;
    signals::stop_on_signals(&stopper).map_err(|error| refuse(RelayError::Io(error)))?;
    if flags.network.seed.is_none() {
        console.note(&format!("chance has a seed; the same again: --seed {}", options.network.seed));
    }
    if let Some(path) = &flags.port_file {
        port_file::write(path, control.ports(), console)?;
    }
    let quiet = console.quiet;
    let reporter = console.reporter();
    let observers =
        move || -> Box<dyn Observer> { if quiet { Box::new(|_: Event| {}) } else { Box::new(reporter.clone()) } };
    let rereading = gate::read_again_on_hangup(&options.gate, &flags.gate, console);
    let rereading = rereading.map_err(|error| refuse(RelayError::Io(error)))?;
    gate::become_user(user.as_ref(), console)?;
    sandbox::enter(Wanted::Nothing(sandbox::FOR_PROXIES), console)?;
    let summary = control.run(stop, Box::new(observers));
    drop(rereading);
    let summary = summary.map_err(refuse)?;
    Ok(conclude(&summary, wanted(flags), flags, console))
}

/// Flags that mean nothing between these ends; `datagrams` is the first end whose messages keep their bounds.
fn check_flags(flags: &Relay, from: &Address, datagrams: Option<&Address>) -> Result<(), String> {
    if datagrams.is_some() && flags.control.is_some() {
        return Err("toxics are about streams: relay datagrams without --control".to_owned());
    }
    if let Some(flag) = flags.network.without_fault() {
        let help = "it says what faults are about, and there is none: add --delay, --cut-after, --drop or another";
        return Err(format!("{flag}: {help}"));
    }
    if let Some(flag) = flags.network.unfit(datagrams.is_some()) {
        let words = match datagrams {
            Some(datagrams) => format!("{flag} is about a stream, and {datagrams} is datagrams"),
            None => format!("{flag} is about datagrams, and {from} is a stream"),
        };
        return Err(words);
    }
    if let Some(datagrams) = datagrams.filter(|_| flags.proxy_protocol.is_some()) {
        return Err(format!("--proxy-protocol is about a stream, and {datagrams} is datagrams"));
    }
    Ok(())
}

fn options(flags: &Relay, console: &Console) -> Result<RelayOptions, Exit> {
    let usage = |why: &str| console.fail(Exit::Usage, why);
    let addresses = Address::parse_words(&flags.addresses).map_err(|error| usage(&error.to_string()))?;
    console.check_stdio(&addresses)?;
    let mut addresses = addresses.into_iter();
    let from = match addresses.next() {
        Some(from) => from,
        // Its proxies say where each listens.
        None if flags.control.is_some() => Address::loopback(0),
        None => {
            return Err(usage(
                "nothing is to be relayed: write relay FROM TO, such as relay 7001 localhost:7000, or relay --control 8474",
            ));
        }
    };
    let to: Vec<Address> = addresses.collect();
    if flags.control.is_some() && to.is_empty() && !flags.addresses.is_empty() {
        return Err(usage(&format!("{from} leads nowhere: write relay FROM TO --control ADDR, or --control alone")));
    }
    let has_messages =
        |address: &&Address| matches!(address.scheme, Some(Scheme::Udp | Scheme::UnixDgram | Scheme::UnixSeqpacket));
    let datagrams = std::iter::once(&from).chain(&to).find(has_messages);
    check_flags(flags, &from, datagrams).map_err(|why| usage(&why))?;
    let capture = capture(flags, std::iter::once(&from).chain(&to), console)?;
    let plays = wanted(flags);
    let clock = SystemTime::now().duration_since(UNIX_EPOCH).map_or(1, |time| time.as_nanos() as u64);
    Ok(RelayOptions {
        balance: flags.balance.into(),
        family: flags.family.family(),
        plays,
        grace: flags.grace,
        connect_timeout: flags.connect_timeout,
        resolve_every: match flags.resolve_every {
            None => Some(limits::LOOK_UP_AGAIN),
            Some(every) => Some(every).filter(|every| !every.is_zero()),
        },
        idle: flags.idle_timeout,
        threads: threads(plays, flags.threads),
        hearers: hearers(flags, console),
        capture,
        proxy_protocol: flags.proxy_protocol.map(Into::into),
        gate: gate::gate(&flags.gate, console)?,
        // Short enough to be typed again.
        network: flags.network.network(clock % 1_000_000_000),
        ..RelayOptions::new(from, to)
    })
}

/// Where packets go. Standard output is for one thing at a time.
fn capture<'a>(
    flags: &Relay,
    mut ends: impl Iterator<Item = &'a Address>,
    console: &Console,
) -> Result<Option<CaptureFile>, Exit> {
    let usage = |why: &str| console.fail(Exit::Usage, why);
    if flags.record.as_deref().is_some_and(is_stdout) {
        return Err(usage(
            "--record writes a file for each connection: name it, as x-%n.talk; --show tells who says what",
        ));
    }
    // Each connection has a file of its own, and the first would find out.
    if let Some(folder) = flags.record.as_deref().and_then(Path::parent)
        && !folder.as_os_str().is_empty()
        && !folder.to_string_lossy().contains("%n")
        && !folder.is_dir()
    {
        return Err(console.fail(Exit::CannotWrite, &format!("--record: {} is no folder", folder.display())));
    }
    let Some(path) = &flags.pcap else { return Ok(None) };
    if !is_stdout(path) {
        return Ok(Some(CaptureFile::Path(path.clone())));
    }
    if ends.any(connection::is_standard) {
        return Err(usage("--pcap: standard output is an end of the conversation; name a file"));
    }
    if io::stdout().is_terminal() {
        return Err(usage(
            "--pcap: packets are no text for a terminal: name a file, or pipe them, as | wireshark -k -i -",
        ));
    }
    let file = whole::stdout(console).map_err(|error| {
        console.fail(Exit::CannotWrite, &format!("--pcap: standard output: {}", sockeye::net::words(&error)))
    })?;
    Ok(Some(CaptureFile::Open(Arc::new(file))))
}

/// Who hears what is said.
fn hearers(flags: &Relay, console: &Console) -> TapOptions {
    let shown = |form: Form| -> Listen {
        let observer = Mutex::new(console.reporter());
        Arc::new(move |conversation| -> Arc<dyn Tap> {
            let observer = observer.lock().unwrap_or_else(PoisonError::into_inner).clone();
            Arc::new(Shown::new(conversation.number, form, Box::new(observer)))
        })
    };
    let forms = [(flags.show, Form::Text), (flags.hexdump, Form::Hex)];
    let mut hearers = TapOptions::default();
    hearers.record.clone_from(&flags.record);
    hearers.times = flags.pauses;
    hearers.others.extend(forms.into_iter().filter(|(wanted, _)| *wanted).map(|(_, form)| shown(form)));
    hearers
}

/// A terminal that obeys nothing of what a peer says.
struct Harmless(Option<Cleaner<File>>);

impl Write for Harmless {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.as_mut().map_or(Ok(bytes.len()), |cleaner| cleaner.write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.as_mut().map_or(Ok(()), Write::flush)
    }
}

impl Drop for Harmless {
    fn drop(&mut self) {
        // What was held back for its rest.
        let _ = self.0.take().map(Cleaner::finish);
    }
}

/// How many connections there are to be.
fn wanted(flags: &Relay) -> Option<u64> {
    if flags.once { Some(1) } else { flags.times }
}

/// Says at the end what came of it.
fn conclude(summary: &Summary, wanted: Option<u64>, flags: &Relay, console: &Console) -> Exit {
    let &Summary {
        opened, closed, failed, cut, from_clients, from_servers, lost, failure, at_once, is_unwritten, ..
    } = summary;
    let came = if opened == 1 { "1 connection".to_owned() } else { format!("{opened} connections") };
    let mut words =
        format!("{came}, {closed} ended by themselves, {from_clients} bytes from clients, {from_servers} from servers");
    if failed > 0 {
        words.push_str(&format!(", {failed} with an error"));
    }
    if lost > 0 {
        words.push_str(&format!(", {lost} bytes did not arrive"));
    }
    if is_unwritten {
        words.push_str(", what was to be recorded is not whole");
    }
    let missing = wanted.map_or(0, |wanted| wanted.saturating_sub(opened));
    Unfinished { cut, at_once, grace: flags.grace, missing }.tell(&mut words);
    // What is still counted comes first: the summary is the last line.
    console.flush();
    console.note(&words);
    let exit = match failure {
        _ if wanted.is_none() => Exit::Done,
        Some(failure) => Exit::from(failure),
        None if cut > 0 || lost > 0 => Exit::CutShort,
        None if missing > 0 => Exit::Differs,
        None if is_unwritten => Exit::CannotWrite,
        None => Exit::Done,
    };
    if exit != Exit::Done && console.quiet {
        // Nothing else says why.
        return console.fail(exit, &words);
    }
    console.flush();
    if at_once { Exit::Interrupted } else { exit }
}
