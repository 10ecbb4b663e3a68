//! `sockeye talk`.

use std::io::{self, IsTerminal, Write};
use std::os::fd::AsFd;
use std::sync::Arc;

use sockeye::address::{Address, AddressError, Scheme};
use sockeye::event::Protocol;
use sockeye::net::connect::{Connected, Options as Connecting, connect};
use sockeye::net::listen::{self, Request};
use sockeye::verb::talk::{
    Ending, Listened, Options, Outcome, Progress, Sink, listen, over_datagrams, over_stream, play,
};
use transcript::{Carrier, Fault, Options as Playing, Script, Side};

use super::{file, signals};
use crate::clean::Cleaner;
use crate::exit::Exit;
use crate::flags::Talk;
use crate::output::Console;
use crate::port_file;

/// Talks once, or plays a transcript.
pub(crate) fn run(flags: &Talk, console: &Console) -> Exit {
    let (Ok(exit) | Err(exit)) = talk(flags, console);
    console.flush();
    exit
}

fn talk(flags: &Talk, console: &Console) -> Result<Exit, Exit> {
    let wrong = |error: &AddressError| console.fail(Exit::Usage, &error.to_string());
    let addresses = Address::parse_words(&flags.address).map_err(|error| wrong(&error))?;
    let [address] = addresses.as_slice() else {
        return Err(console.fail(Exit::Usage, "talk takes one address: HOST:PORT, HOST PORT, PORT or unix:PATH"));
    };
    let protocol = match address.scheme {
        Some(Scheme::Udp) => Protocol::Udp,
        Some(Scheme::Unix) => Protocol::Unix,
        Some(Scheme::Tcp) | None => Protocol::Tcp,
        Some(other) => return Err(wrong(&AddressError::not_yet(other))),
    };
    if console.stdout_is_missing() && flags.play.is_none() {
        return Err(console.fail(Exit::CannotWrite, "cannot write what comes: standard output is closed"));
    }
    if flags.listen {
        return listen_once(flags, address, protocol, console);
    }
    // The transcript is read before a connection is opened: a wrong one disturbs nobody.
    let script = match &flags.play {
        Some(path) => Some(prepare(flags, path, protocol, console)?),
        None => None,
    };
    let connecting = Connecting { family: flags.family.family(), timeout: flags.connect_timeout };
    let connected = connect(address, protocol, &connecting)
        .map_err(|error| console.fail(Exit::from(&error), &error.to_string()))?;
    if console.verbose > 0 {
        for attempt in &connected.attempts {
            console.note(&attempt.to_string());
        }
        console.note(&format!("connected: {protocol} {} -> {}", connected.local, connected.peer));
    }
    match script {
        Some(script) => Ok(play_script(&connected, &script, console)),
        None => converse(flags, &connected, console),
    }
}

fn converse(flags: &Talk, connected: &Connected, console: &Console) -> Result<Exit, Exit> {
    let options = options(flags);
    tell_when_interrupted(&options.progress, console)?;
    let outcome = with_sink(flags, |sink| {
        let stdin = io::stdin();
        match connected.protocol {
            Protocol::Udp => over_datagrams(&connected.fd, stdin.as_fd(), sink, &options),
            Protocol::Tcp | Protocol::Unix => over_stream(&connected.fd, stdin.as_fd(), sink, &options),
        }
    });
    Ok(conclude(&outcome, &connected.peer.to_string(), console))
}

fn options(flags: &Talk) -> Options {
    Options { eol: flags.eol.map_or_else(Default::default, Into::into), timeout: flags.timeout, ..Options::default() }
}

/// Whoever interrupts a conversation is told how far it came.
fn tell_when_interrupted(progress: &Arc<Progress>, console: &Console) -> Result<(), Exit> {
    let (progress, quiet) = (Arc::clone(progress), console.quiet);
    signals::end_on_signals(move |_| {
        if !quiet {
            let (sent, received) = (progress.sent(), progress.received());
            Console::plain().complain(&format!("sockeye: interrupted; {sent} bytes sent, {received} received"));
        }
    })
    .map_err(|error| console.fail(Exit::Usage, &format!("cannot watch for signals: {error}")))
}

/// What comes goes to standard output: as it is to a file or a pipe, harmless to a terminal.
fn with_sink<T>(flags: &Talk, act: impl FnOnce(&mut Sink<'_>) -> T) -> T {
    let stdout = io::stdout();
    if flags.raw || !stdout.is_terminal() {
        return act(&mut Sink::Descriptor(stdout.as_fd()));
    }
    let mut cleaner = Cleaner::new(stdout);
    let result = act(&mut Sink::Writer(&mut cleaner));
    if let Ok(mut stdout) = cleaner.finish() {
        let _ = stdout.flush();
    }
    result
}

/// Says what did not go well, with the count, and turns it into a code.
fn conclude(outcome: &Outcome, peer: &str, console: &Console) -> Exit {
    if outcome.is_complete() {
        if console.verbose > 0 {
            console.note(&format!("{peer}: {outcome}"));
        }
        return Exit::Done;
    }
    let exit = match &outcome.ending {
        Ending::Done | Ending::PeerEnded | Ending::TooLarge { .. } | Ending::SendFailed(_) => Exit::CutShort,
        Ending::Reset(_) => Exit::Reset,
        Ending::TimedOut(_) | Ending::NoAnswer(_) => Exit::TimedOut,
        Ending::OutputFailed(_) => Exit::CannotWrite,
        Ending::InputFailed(_) => Exit::CannotRead,
        Ending::PortClosed => Exit::Refused,
    };
    console.fail(exit, &format!("{peer}: {outcome}"))
}

fn listen_once(flags: &Talk, address: &Address, protocol: Protocol, console: &Console) -> Result<Exit, Exit> {
    let request = Request { address: address.clone(), protocols: vec![protocol] };
    let bound = listen::bind(&[request], flags.family.family())
        .map_err(|error| console.fail(Exit::CannotListen, &error.to_string()))?;
    if let Some(path) = &flags.port_file {
        port_file::write(path, &bound.ports, console)?;
    }
    for notice in &bound.notices {
        console.note(notice);
    }
    let options = options(flags);
    tell_when_interrupted(&options.progress, console)?;
    let peer = address.to_string();
    let mut observer = console.observer();
    let listened =
        with_sink(flags, |sink| listen(bound.sockets, flags.keep, io::stdin().as_fd(), sink, &options, &mut *observer));
    drop(observer);
    Ok(match listened {
        Listened::Talked(outcome) => conclude(&outcome, &peer, console),
        Listened::Failed(error) => console.fail(Exit::CannotListen, &format!("{peer}: {error}")),
    })
}

fn prepare(flags: &Talk, path: &std::path::Path, protocol: Protocol, console: &Console) -> Result<Script, Exit> {
    let transcript = file::read(path, &flags.values.names(), console)?;
    let carrier = if protocol == Protocol::Udp { Carrier::Datagram } else { Carrier::Stream };
    let mut playing = Playing::new(Side::Client, carrier);
    playing.values = flags.values.to_map();
    playing.longest_line = flags.max_line;
    playing.wait_override = flags.timeout;
    let script =
        Script::prepare(&transcript, &playing).map_err(|refused| console.fail(Exit::Usage, &refused.to_string()))?;
    for warning in transcript.warnings().iter().chain(script.warnings()) {
        console.note(&warning.one_line(transcript.source()));
    }
    Ok(script)
}

fn play_script(connected: &Connected, script: &Script, console: &Console) -> Exit {
    let peer = connected.peer.to_string();
    let played = match play(connected, script) {
        Ok(played) => played,
        Err(error) if error.kind() == io::ErrorKind::TimedOut => {
            return console.fail(Exit::TimedOut, &format!("{peer}: {error}"));
        }
        Err(error) => return console.fail(Exit::Reset, &format!("{peer}: {error}")),
    };
    if played.drained > 0 && played.ending.is_success() {
        console.note(&format!("{peer}: {} bytes came after the last statement and were not judged", played.drained));
    }
    if played.port_closed {
        return console.fail(Exit::Refused, &format!("{peer}: port closed: nobody listens there"));
    }
    match played.ending {
        transcript::Ending::Failed(verdict) => {
            let exit = match verdict.fault {
                Fault::NothingCame { .. } => Exit::TimedOut,
                Fault::Reset => Exit::Reset,
                Fault::FileShrank => Exit::CannotRead,
                Fault::Misheard { .. } | Fault::BrokenLine | Fault::WrongLength => Exit::Usage,
                Fault::Differs
                | Fault::ClosedEarly
                | Fault::TooLong { .. }
                | Fault::TooMuch { .. }
                | Fault::NotEncoded
                | Fault::NotACount
                | Fault::UnexpectedData
                | Fault::WrongEnding => Exit::Differs,
            };
            let who = format!("play 1, {} -> {peer}", connected.local);
            console.fail(exit, &verdict.render(&who))
        }
        transcript::Ending::IdleReset => console.fail(Exit::Reset, &format!("{peer}: the connection was reset")),
        transcript::Ending::IdleTimeout { .. } => {
            console.fail(Exit::TimedOut, &format!("{peer}: nothing came in time"))
        }
        transcript::Ending::Done | transcript::Ending::DoneByReset | transcript::Ending::Left => {
            if console.verbose > 0 {
                console.note(&format!("{peer}: as written; {} bytes sent, {} received", played.sent, played.received));
            }
            Exit::Done
        }
    }
}
