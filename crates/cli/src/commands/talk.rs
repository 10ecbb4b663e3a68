//! `sockeye talk`.

mod history;
mod typing;
mod watch;
mod zero;

use std::io::{self, IsTerminal, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::time::Instant;
use transcript::Side;

use self::history::History;
use self::typing::Typing;
use self::watch::Watch;
use super::connection::{self, finish, no_connection, tell_attempts};
use super::play_once::ready_trust;
use super::taps::{Held, Until};
use super::{gate, play, sandbox, signals};
use crate::clean::Cleaner;
use crate::exit::Exit;
use crate::flags::{StartTls, Talk};
use crate::output::Console;
use crate::port_file;
use sockeye::address::{Address, AddressError, Scheme, Target};
use sockeye::event::{Name, Protocol};
use sockeye::failure::Failure;
use sockeye::limits;
use sockeye::net::connect::{Connected, RetryClock, connect_within};
use sockeye::net::listen::{self, Bound, Request};
use sockeye::net::secured::SecureError;
use sockeye::net::tls::{Identity, TlsError};
use sockeye::record::{Record, Tap};
use sockeye::verb::talk::{
    AskAgain, Direction, Ending, Listened, ListenerLayers, OurEnd, Outcome, Progress, Role, Sink, TalkOptions, Tapped,
    Upgrade, UpgradeError, Writer, listen, over_datagrams, over_stream, upgrade,
};

/// Talks once, or plays a transcript.
pub(crate) fn run(flags: &Talk, console: &Console) -> Exit {
    let (Ok(exit) | Err(exit)) = talk(flags, console);
    console.flush();
    exit
}

fn talk(flags: &Talk, console: &Console) -> Result<Exit, Exit> {
    if flags.zero
        && let Some(several) = zero::several(&flags.address)
    {
        return zero::run(flags, several, console);
    }
    let wrong = |error: &AddressError| console.fail(Exit::Usage, &error.to_string());
    let addresses = Address::parse_words(&flags.address).map_err(|error| wrong(&error))?;
    if addresses.len() > 1 {
        return Err(console.fail(Exit::Usage, "talk takes one address: HOST:PORT, HOST PORT, PORT or unix:PATH"));
    }
    connection::check_record(flags, addresses.first(), console)?;
    if !flags.play.is_empty() {
        return play::run(flags, addresses.first(), console);
    }
    flags.values.all_refused_without(false).map_err(|why| console.fail(Exit::Usage, &why))?;
    let Some(address) = addresses.first() else {
        return Err(console.fail(Exit::Usage, "talk needs an address: HOST:PORT, HOST PORT, PORT or unix:PATH"));
    };
    if address.target == Target::Standard {
        let help = "talk joins it to another end by itself: write where to, or --play a transcript over it";
        return Err(wrong(&AddressError::not_here(Scheme::Stdio, help)));
    }
    let protocol = listen::protocol_of(address).map_err(|error| wrong(&error))?;
    check_flags(flags, address, protocol).map_err(|why| console.fail(Exit::Usage, &why))?;
    if console.stdout_is_missing() {
        return Err(console.fail(Exit::CannotWrite, "cannot write what comes: standard output is closed"));
    }
    if flags.listen {
        return listen_once(flags, address, protocol, console);
    }
    if flags.gate.are_given() {
        let why = "--allow, --deny, --max-conns, --when-full and --user are about clients: they need --listen";
        return Err(console.fail(Exit::Usage, why));
    }
    if flags.zero {
        return zero::run(flags, Ok(vec![address.clone()]), console);
    }
    let until = flags.retry.map(|retry| Instant::now() + retry);
    let connected = connect_within(address, protocol, &connection::options(flags), flags.retry)
        .map_err(|error| console.fail(Exit::from(&error), &no_connection(&error, flags)))?;
    tell_attempts(&connected, console);
    converse(flags, address, connected, until, console)
}

/// Flags that mean nothing over this protocol, or beside each other.
fn check_flags(flags: &Talk, address: &Address, protocol: Protocol) -> Result<(), String> {
    let is_websocket = address.is_websocket();
    let begins_secure = matches!(address.scheme, Some(Scheme::Tls | Scheme::Wss));
    if (flags.broadcast || !flags.join.is_empty() || flags.ttl.is_some()) && protocol != Protocol::Udp {
        let why = "--broadcast, --join and --ttl are for datagrams: write udp://HOST:PORT";
        return Err(why.to_owned());
    }
    connection::check_own_end(flags, address)?;
    if flags.starttls.is_some() && protocol.keeps_bounds() {
        return Err(format!("--starttls needs a stream, and {address} is none"));
    }
    if flags.starttls.is_some() && is_websocket {
        return Err("--starttls is no part of a WebSocket: write wss:// for one over TLS".to_owned());
    }
    if flags.starttls.is_some() && begins_secure {
        return Err("tls:// begins with TLS, and --starttls goes over to it: take one of them out".to_owned());
    }
    if (flags.ca.is_some() || flags.pin.is_some()) && flags.starttls.is_none() && !begins_secure {
        let why =
            "--ca and --pin say who is trusted under TLS: write tls://, give --starttls, or --play with a transcript";
        return Err(why.to_owned());
    }
    if flags.cert.is_some() && !flags.listen && flags.starttls.is_none() && !begins_secure {
        let why = "--cert says who we are under TLS: write tls://, give --starttls, or --play with a transcript";
        return Err(why.to_owned());
    }
    if flags.proxy.is_some() && protocol != Protocol::Tcp {
        return Err(format!("a proxy leads to tcp addresses, and {address} is none"));
    }
    Ok(())
}

fn converse(
    flags: &Talk,
    to: &Address,
    mut connected: Connected,
    until: Option<Instant>,
    console: &Console,
) -> Result<Exit, Exit> {
    let watch = Watch::new(flags, Side::Client, connected.protocol);
    let mut options = options(flags);
    options.again = until.map(|until| AskAgain { address: to.clone(), connect: connection::options(flags), until });
    if connected.via.is_some() {
        options.our_end = OurEnd::WhenQuiet;
    }
    let record = match &flags.record {
        Some(path) => Some(connection::record(flags, path, to.to_string(), connected.protocol, console)?),
        None => None,
    };
    tell_when_interrupted(&options.progress, record.clone(), connected.killer(), console)?;
    if let Some(StartTls(protocol)) = flags.starttls {
        let tap = watch.tap_in_clear(record.as_ref());
        if let Err(exit) = begin_tls(flags, protocol, to, &mut connected, (until, tap), console) {
            return Err(finish(record.as_ref(), exit, console));
        }
    }
    if to.scheme.is_some_and(Scheme::has_handshake)
        && let Err(exit) = begin_secure(flags, to, &mut connected, until, console)
    {
        return Err(finish(record.as_ref(), exit, console));
    }
    if connected.is_secure() {
        options.our_end = OurEnd::WhenQuiet;
    }
    options.tap = watch.tap(record.as_ref()).map(|tap| Tapped::new(Side::Client, tap));
    let bar = watch.bar(&options.progress, console);
    let typing = typing(flags, console, &mut options);
    let outcome = with_ends(flags, typing, |input, sink| match connected.protocol {
        Protocol::Udp | Protocol::UnixDgram | Protocol::UnixSeqpacket => {
            over_datagrams(&connected, input, sink, &options)
        }
        Protocol::Tcp | Protocol::Unix => over_stream(&connected, input, sink, &options),
    });
    let (peer, strangers) = (name_of(&connected), options.progress.strangers());
    if strangers > 0 {
        console.note(&format!("{peer}: {strangers} datagrams came from somebody else and were not taken"));
    }
    drop(bar);
    let left = connected.finish(limits::GRACE).and_then(|left| Failure::of_left(&left));
    let exit = conclude(&outcome, &peer, console);
    let exit = watch.judge(exit, &outcome, &peer, console);
    let exit = match left {
        Some(Failure::Other { kind, reason, .. }) => {
            let failed = console.fail(kind.into(), &format!("{peer}: {reason}"));
            if exit == Exit::Done { failed } else { exit }
        }
        _ => exit,
    };
    Ok(finish(record.as_ref(), exit, console))
}

/// Begins TLS or a WebSocket with the first byte. A proxy before a server that is only starting takes the connection
/// and breaks it: until then it is tried again.
fn begin_secure(
    flags: &Talk,
    to: &Address,
    connected: &mut Connected,
    until: Option<Instant>,
    console: &Console,
) -> Result<(), Exit> {
    let trust = match to.scheme {
        Some(Scheme::Ws) => None,
        _ => Some(connection::ready_trust(to, flags, console)?),
    };
    let host = to.tls_host();
    let mut again = RetryClock::until(until);
    loop {
        let (who, at) = (name_of(connected), Instant::now() + flags.connect_timeout);
        let begun = match (to.scheme, &trust) {
            (Some(Scheme::Tls), Some(trust)) => connected.secure(trust, &host, at),
            (_, trust) => connected.begin_websocket(to, trust.as_ref().map(|trust| (trust, &*host)), at),
        };
        let Err(error) = begun else { return Ok(()) };
        if !error.may_pass() || !again.wait() {
            return Err(no_session(&who, error, console));
        }
        *connected = connect_again(to, connected.protocol, &again, flags, console)?;
    }
}

/// The next attempt, in the time that is left.
fn connect_again(
    to: &Address,
    protocol: Protocol,
    again: &RetryClock,
    flags: &Talk,
    console: &Console,
) -> Result<Connected, Exit> {
    connect_within(to, protocol, &connection::options(flags), Some(again.left()))
        .map_err(|error| console.fail(Exit::from(&error), &no_connection(&error, flags)))
}

fn no_session(who: &str, error: SecureError, console: &Console) -> Exit {
    let error = UpgradeError::Secure(error);
    console.fail(Exit::from(&error), &format!("{who}: {error}"))
}

/// Goes over to TLS by what a protocol says before. Where the server breaks that off it is tried again, from its beginning.
fn begin_tls(
    flags: &Talk,
    protocol: Upgrade,
    to: &Address,
    connected: &mut Connected,
    (until, tap): (Option<Instant>, Option<Arc<dyn Tap>>),
    console: &Console,
) -> Result<(), Exit> {
    let trust = ready_trust(flags, console)?;
    let (mut again, host) = (RetryClock::until(until), to.tls_host());
    // What was said in an attempt that failed is no part of the conversation.
    let (held, tap) = Held::before(tap, until.map(|_| Until::Dropped));
    let who = loop {
        let (who, at) = (name_of(connected), Instant::now() + flags.connect_timeout);
        let Err(error) = upgrade(connected, protocol, (&trust, &host), at, tap.as_ref()) else { break who };
        if !error.may_pass() || !again.wait() {
            return Err(console.fail(Exit::from(&error), &format!("{who}: {error}")));
        }
        *connected = connect_again(to, connected.protocol, &again, flags, console)?;
        if let Some(held) = &held {
            held.forget();
        }
    };
    if console.verbose > 0 {
        console.note(&format!("{who}: TLS by {protocol}"));
    }
    Ok(())
}

/// The other end as people know it: behind a proxy what was asked for.
fn name_of(connected: &Connected) -> String {
    connected.via.clone().unwrap_or_else(|| connected.peer.to_string())
}

fn options(flags: &Talk) -> TalkOptions {
    TalkOptions {
        eol: flags.eol.map_or_else(Default::default, Into::into),
        direction: match (flags.recv_only, flags.send_only) {
            (true, _) => Direction::Receive,
            (_, true) => Direction::Send,
            _ => Direction::Both,
        },
        role: match (flags.listen, flags.keep) {
            (false, _) => Role::Client,
            (true, false) => Role::Listener,
            (true, true) => Role::Keeping,
        },
        timeout: flags.timeout,
        idle: flags.idle,
        ..TalkOptions::default()
    }
}

/// A user who interrupts a conversation is told how far it came.
fn tell_when_interrupted(
    progress: &Arc<Progress>,
    record: Option<Arc<Record>>,
    killer: Option<Box<dyn Fn() + Send + Sync>>,
    console: &Console,
) -> Result<(), Exit> {
    let (progress, told) = (Arc::clone(progress), console.apart());
    signals::end_on_signals(move |_| {
        typing::restore();
        if let Some(kill) = &killer {
            kill();
        }
        if let Some(record) = &record {
            let _ = record.finish();
        }
        if !told.quiet {
            let (sent, received) = (progress.sent(), progress.received());
            let dropped = match progress.dropped() {
                0 => String::new(),
                dropped => format!(", {dropped} datagrams were dropped: the kernel's queue was full"),
            };
            let words = format!("sockeye: interrupted; {sent} bytes sent, {received} received{dropped}");
            told.complain(&words);
        }
    })
    .map_err(|error| {
        console.fail(Exit::NoResources, &format!("cannot watch for signals: {}", sockeye::net::words(&error)))
    })
}

/// Lines are edited where someone types them and sees what comes: both are a terminal, and nothing else is drawn on it.
fn typing(flags: &Talk, console: &Console, options: &mut TalkOptions) -> Option<Typing> {
    let is_terminal = io::stdin().is_terminal() && io::stdout().is_terminal();
    let is_plain = flags.raw || console.quiet || console.json || flags.recv_only || flags.hex || flags.progress;
    let can_move = std::env::var_os("TERM").is_some_and(|term| !term.is_empty() && term != "dumb");
    if !is_terminal || is_plain || !can_move {
        return None;
    }
    let note = |words: String| {
        if console.verbose > 0 {
            console.note(&words);
        }
    };
    let mut history = None;
    if let Some(path) = History::path().filter(|_| !flags.no_history) {
        match History::open(&path) {
            Ok(opened) => history = Some(opened),
            Err(error) => {
                note(format!("no history: {}: {}", path.display(), sockeye::net::words(&error)));
            }
        }
    }
    match Typing::begin(history) {
        Ok(typing) => {
            options.writer = Writer::Typist;
            Some(typing)
        }
        Err(error) => {
            note(format!("lines are not edited: {}", sockeye::net::words(&error)));
            None
        }
    }
}

/// Standard input, and where what comes goes: to standard output as it is where that is a file or a pipe, harmless to a terminal,
/// and above the line in hand where one is edited.
fn with_ends<T>(flags: &Talk, typing: Option<Typing>, act: impl FnOnce(BorrowedFd<'_>, &mut Sink<'_>) -> T) -> T {
    let stdin = io::stdin();
    if let Some(typing) = typing {
        let mut cleaner = Cleaner::new(typing.output());
        let result = act(typing.input(), &mut Sink::Writer(&mut cleaner));
        let _ = cleaner.finish();
        typing.end();
        return result;
    }
    let stdout = io::stdout();
    if flags.raw || !stdout.is_terminal() {
        return act(stdin.as_fd(), &mut Sink::Descriptor(stdout.as_fd()));
    }
    let mut cleaner = Cleaner::new(stdout);
    let result = act(stdin.as_fd(), &mut Sink::Writer(&mut cleaner));
    if let Ok(mut stdout) = cleaner.finish() {
        let _ = stdout.flush();
    }
    result
}

/// Says what did not go well, with the count, and turns it into a code.
fn conclude(outcome: &Outcome, peer: &str, console: &Console) -> Exit {
    if outcome.is_complete() {
        if matches!(outcome.ending, Ending::PeerEnded) && !io::stdin().is_terminal() {
            console.note(&format!("{peer}: the peer has closed; what comes on standard input now is not sent"));
        }
        if console.verbose > 0 {
            console.note(&format!("{peer}: {outcome}"));
        }
        // It was said when it was typed.
        return if typing::was_no_text() { Exit::CannotRead } else { Exit::Done };
    }
    console.fail(Exit::from(&outcome.ending), &format!("{peer}: {outcome}"))
}

/// What a client is spoken to through.
fn listener_layers(flags: &Talk, address: &Address, console: &Console) -> Result<ListenerLayers, Exit> {
    let cannot_read = |error: TlsError| console.fail(Exit::from(&error), &error.to_string());
    let identity = match (&flags.cert, &flags.key) {
        (Some(cert), Some(key)) => Identity::from_files(cert, key).map_err(cannot_read)?,
        _ => Identity::throw_away(),
    };
    let layers = ListenerLayers::new(address, &identity).map_err(cannot_read)?;
    if let Some(fingerprint) = layers.fingerprint() {
        console.note(&format!("TLS with a certificate made for this run: --pin {fingerprint}"));
    }
    Ok(layers)
}

/// Binds what is listened on, and tells of it.
fn bind(flags: &Talk, request: Request, is_plain: bool, console: &Console) -> Result<Bound, Exit> {
    let over = request.address.scheme.map(Scheme::name);
    let mut bound = listen::bind(&[request], flags.family.family())
        .map_err(|error| console.fail(Exit::from(&error), &error.to_string()))?;
    if !is_plain {
        bound.sockets.iter_mut().for_each(|socket| socket.endpoint.over = over);
    }
    for (socket, group) in bound.sockets.iter().flat_map(|socket| flags.join.iter().map(move |group| (socket, group))) {
        let is_v4 = matches!(&socket.endpoint.name, Name::Inet(address) if address.is_ipv4());
        group.join(&socket.fd, is_v4).map_err(|error| {
            console.fail(
                Exit::CannotListen,
                &format!("cannot join {group}: {}", sockeye::net::words(&io::Error::from(error))),
            )
        })?;
    }
    if let Some(path) = &flags.port_file {
        port_file::write(path, &bound.ports, console)?;
    }
    for notice in &bound.notices {
        console.note(notice);
    }
    Ok(bound)
}

fn listen_once(flags: &Talk, address: &Address, protocol: Protocol, console: &Console) -> Result<Exit, Exit> {
    let (gate, user) = (gate::gate(&flags.gate, console)?, gate::user(&flags.gate, console)?);
    let request = Request { address: address.clone(), protocols: vec![protocol] };
    let layers = listener_layers(flags, address, console)?;
    let bound = bind(flags, request, layers.is_plain(), console)?;
    let mut options = options(flags);
    if !layers.is_plain() {
        (options.secure, options.our_end) = (Some(layers), OurEnd::WhenQuiet);
    }
    // Where it listens, and not where it was asked to: the port may have been left to the system.
    let here = bound.sockets.first().map_or_else(|| address.to_string(), |socket| socket.endpoint.to_string());
    let record = match &flags.record {
        Some(path) => Some(connection::record(flags, path, here.clone(), protocol, console)?),
        None => None,
    };
    let watch = Watch::new(flags, Side::Server, protocol);
    options.tap = watch.tap(record.as_ref()).map(|tap| Tapped::new(Side::Server, tap));
    tell_when_interrupted(&options.progress, record.clone(), None, console)?;
    let bar = watch.bar(&options.progress, console);
    let rereading = gate::read_again_on_hangup(&gate, &flags.gate, console).map_err(|error| {
        console.fail(Exit::NoResources, &format!("cannot watch for SIGHUP: {}", sockeye::net::words(&error)))
    })?;
    options.gate = gate;
    let typing = typing(flags, console, &mut options);
    gate::become_user(user.as_ref(), console)?;
    sandbox::enter(sandbox::of_talk(flags, address), console)?;
    let peer = here;
    let mut observer = console.observer();
    let listened = with_ends(flags, typing, |input, sink| {
        listen(bound.sockets, flags.keep, input, sink, &options, &mut *observer)
    });
    drop((observer, rereading, bar));
    let strangers = options.progress.strangers();
    if strangers > 0 {
        console.note(&format!("{peer}: {strangers} datagrams came from somebody else and were not taken"));
    }
    let exit = match listened {
        Listened::Talked(outcome) => {
            let exit = conclude(&outcome, &peer, console);
            watch.judge(exit, &outcome, &peer, console)
        }
        Listened::Failed(error) => {
            console.fail(Exit::CannotListen, &format!("{peer}: {error}", error = sockeye::net::words(&error)))
        }
    };
    Ok(finish(record.as_ref(), exit, console))
}
