use std::net::{TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::Duration;

use transcript::{Carrier, Output, PlayOptions, Scratch, Script, Side, Transcript};

use super::super::access::Lines;
use super::super::turn::Turn;
use super::super::{AccessLog, Behaviour, HttpService, Tally};
use super::*;
use crate::event::{ClosedBy, Endpoint, Event, Name, Protocol};
use crate::gate::Gate;
use crate::net::tls;
use crate::web::allocations::allocations;
use crate::web::clock::Now;
use crate::web::options::SiteOptions;
use crate::web::root::Root;
use crate::web::site::Site;

fn origin(behaviour: Behaviour) -> Origin {
    let endpoint = Endpoint { protocol: Protocol::Unix, name: Name::Unnamed, over: None };
    Origin::listener(endpoint, behaviour, crate::net::session::ServerLayers::default())
}

/// What a loop lends its channels, with a clock that the test sets.
pub(super) struct World {
    buffer: Vec<u8>,
    clear: Vec<u8>,
    wire: Vec<u8>,
    scratch: Scratch,
    output: Output,
    pub(super) events: Vec<Event>,
    tally: Tally,
    pub(super) identity: tls::Identity,
    date: Now,
    lines: Lines,
    pub(super) now: Moment,
    pub(super) origin: Origin,
    pub(super) strict: bool,
}

impl World {
    pub(super) fn new() -> Self {
        let (scratch, output) = (Scratch::new(), Output::default());
        let (events, tally, identity) = Default::default();
        let date = Now::new(std::time::SystemTime::UNIX_EPOCH);
        Self {
            buffer: vec![0; limits::READ],
            clear: Vec::new(),
            wire: Vec::new(),
            lines: Lines::default(),
            scratch,
            output,
            events,
            tally,
            identity,
            date,
            now: Moment::default(),
            origin: origin(Behaviour::Echo),
            strict: false,
        }
    }

    pub(super) fn lend<T>(&mut self, act: impl FnOnce(&mut Context<'_>) -> T) -> T {
        let events = &mut self.events;
        let mut context = Context {
            load: None,
            handoffs: &mut std::collections::VecDeque::new(),
            buffer: &mut self.buffer,
            clear: &mut self.clear,
            wire: &mut self.wire,
            scratch: &mut self.scratch,
            output: &mut self.output,
            observer: &mut |event| events.push(event),
            tally: &mut self.tally,
            now: self.now,
            wait: Some(Duration::from_secs(1)),
            stopping: false,
            strict: self.strict,
            is_judged: self.strict,
            linger: Duration::ZERO,
            grace: Duration::ZERO,
            gate: &Gate::default(),
            plays: None,
            identity: &self.identity,
            date: &self.date,
            lines: &mut self.lines,
            turn: Turn::begin(),
            storing: None,
            origin: &self.origin,
        };
        act(&mut context)
    }
}

/// An echo whose client has sent until nothing more was taken, and read nothing.
fn stuffed(world: &mut World) -> (Channel, UnixStream) {
    let (server, client) = UnixStream::pair().unwrap();
    server.set_nonblocking(true).unwrap();
    client.set_nonblocking(true).unwrap();
    let info = ConnectionInfo { number: 1, peer: Name::Unnamed, local: None, origin: 0, permit: None, pass: None };
    let mut channel = Channel::new(Line::Socket(server.into()), info, Agent::Echo, world.now);
    let bytes = vec![b'x'; 1 << 20];
    while channel.wants() == Interest::Read {
        let _ = std::io::Write::write(&mut &client, &bytes);
        assert_eq!(world.lend(|context| channel.ready(false, context)), ChannelStatus::Open);
    }
    (channel, client)
}

/// Row 8 of the faults.
#[test]
fn a_client_that_never_reads_holds_a_bounded_queue_until_the_write_deadline() {
    let mut world = World::new();
    let (mut channel, _client) = stuffed(&mut world);
    assert!(channel.outbox.len() <= limits::SEND_QUEUE && channel.inbox.is_empty());
    assert_eq!(channel.wants(), Interest::Write);
    // The limit of a second passes, and is not due: there is something to send.
    let last = Moment::default().after(limits::WRITE_WAIT);
    assert_eq!(channel.wakes(), Some(last));
    world.now = Moment::from_nanos(last.nanos() - 1);
    assert_eq!(world.lend(|context| channel.wake(context)), ChannelStatus::Open);
    assert_eq!(channel.wakes(), Some(last));
    world.now = last;
    assert_eq!(world.lend(|context| channel.wake(context)), ChannelStatus::Closed);
    let Some(Event::Closed { by: ClosedBy::Timeout, reason: Some(reason), .. }) = world.events.last() else {
        panic!("{:?}", world.events);
    };
    assert!(reason.contains("took nothing of") && reason.ends_with("bytes for 1 min"), "{reason}");
}

#[test]
fn a_client_that_reads_a_little_now_and_then_is_waited_for() {
    let mut world = World::new();
    let (mut channel, mut client) = stuffed(&mut world);
    let mut buffer = vec![0; 4096];
    for _ in 0..3 {
        world.now = Moment::from_nanos(channel.wakes().unwrap().nanos() - 1);
        let before = channel.sent;
        while channel.sent == before {
            assert!(std::io::Read::read(&mut client, &mut buffer).unwrap() > 0);
            assert_eq!(world.lend(|context| channel.ready(false, context)), ChannelStatus::Open);
        }
        assert_eq!(channel.wakes(), Some(world.now.after(limits::WRITE_WAIT)));
    }
}

/// A site with a file of 32 MiB and one of 40 KiB, and a client that has not asked for anything.
fn site(world: &mut World) -> (Channel, TcpStream, tempfile::TempDir) {
    // A Unix socket would not take as much at once.
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (server, _) = listener.accept().unwrap();
    server.set_nonblocking(true).unwrap();
    let (channel, folder) = site_over(Line::Socket(server.into()), false, world);
    (channel, client, folder)
}

/// The same over a line that is there, with a file of 10 KiB too.
fn site_over(line: Line, is_secure: bool, world: &mut World) -> (Channel, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("large"), vec![b'x'; LARGE]).unwrap();
    std::fs::write(folder.path().join("some"), vec![b'x'; SOME]).unwrap();
    std::fs::write(folder.path().join("small"), vec![b'x'; SMALL]).unwrap();
    let site = Site::new(Root::open(folder.path()).unwrap(), SiteOptions::default());
    let website =
        HttpService { site: Arc::new(site), is_secure, log: AccessLog::None, https: None, more_files: Arc::default() };
    let info = ConnectionInfo { number: 1, peer: Name::Unnamed, local: None, origin: 0, permit: None, pass: None };
    let mut channel = Channel::new(line, info, Agent::new(&Behaviour::Site(website.into()), None), world.now);
    assert_eq!(world.lend(|context| channel.open(context)), ChannelStatus::Open);
    (channel, folder)
}

const LARGE: usize = 32 << 20;
const SOME: usize = 40 * 1024;
/// It goes out with its head.
const SMALL: usize = 10 * 1024;

fn ask(client: &TcpStream, path: &str, times: usize) {
    let request = format!("GET /{path} HTTP/1.1\r\nHost: localhost\r\n\r\n").repeat(times);
    std::io::Write::write_all(&mut &*client, request.as_bytes()).unwrap();
}

#[test]
fn a_file_that_is_sent_for_long_is_sent_whole_as_long_as_some_of_it_is_taken() {
    let mut world = World::new();
    let (mut channel, mut client, _folder) = site(&mut world);
    ask(&client, "large", 1);
    // Whole or not, the next request is not late while this one is being answered.
    ask(&client, "some", 1);
    let (mut got, mut buffer) = (Vec::new(), vec![0; 64 * 1024]);
    client.set_nonblocking(true).unwrap();
    while got.len() < LARGE {
        let before = got.len();
        assert_eq!(world.lend(|context| channel.ready(false, context)), ChannelStatus::Open);
        while let Ok(length @ 1..) = std::io::Read::read(&mut client, &mut buffer) {
            got.extend_from_slice(&buffer[..length]);
        }
        // The kernel may be busy with the last piece: time goes on as the client takes some, and as long as there is more
        // to send; behind that an idle connection has its end.
        if got.len() > before && channel.sends_part() {
            world.now = world.now.after(limits::WRITE_WAIT / 8);
        }
        // A moment that was due before the file began may be told now.
        assert_eq!(world.lend(|context| channel.wake(context)), ChannelStatus::Open, "{:?}", world.events);
    }
    assert!(memchr::memmem::find(&got, b" 408").is_none());
}

/// Row 8 of the faults, for files.
#[test]
fn a_client_that_takes_no_more_of_a_file_is_waited_for_until_the_write_deadline() {
    let mut world = World::new();
    let (mut channel, client, _folder) = site(&mut world);
    ask(&client, "large", 1);
    assert_eq!(world.lend(|context| channel.ready(false, context)), ChannelStatus::Open);
    let last = Moment::default().after(limits::WRITE_WAIT);
    assert_eq!((channel.wants(), channel.wakes()), (Interest::Write, Some(last)));
    world.now = last;
    assert_eq!(world.lend(|context| channel.wake(context)), ChannelStatus::Closed);
    assert!(matches!(world.events.last(), Some(Event::Closed { by: ClosedBy::Timeout, .. })));
}

#[test]
fn whole_requests_that_came_together_are_all_answered_and_none_waits_for_a_word() {
    let mut world = World::new();
    let (mut channel, mut client, _folder) = site(&mut world);
    ask(&client, "some", 100);
    let mut got = vec![];
    while channel.wants() == Interest::Write || got.is_empty() {
        assert_eq!(world.lend(|context| channel.ready(false, context)), ChannelStatus::Open);
        assert!(channel.wants() != Interest::Write || channel.wakes().is_some(), "it could wait for ever");
        take_all(&mut client, &channel, &mut got);
    }
    assert!(got.len() > 100 * SOME && channel.inbox.is_empty(), "{}", got.len());
}

/// The client takes all that was sent. What a busy kernel holds on its way is waited for.
fn take_all(client: &mut TcpStream, channel: &Channel, got: &mut Vec<u8>) {
    let mut rest = vec![0; usize::try_from(channel.sent).unwrap() - got.len()];
    std::io::Read::read_exact(client, &mut rest).unwrap();
    got.append(&mut rest);
}

/// What each turn sends while the client takes all of it at once, until so many answers have come.
fn turns(paths: &str, times: usize) -> Vec<u64> {
    let mut world = World::new();
    let (mut channel, mut client, _folder) = site(&mut world);
    ask(&client, paths, times);
    let (mut turns, mut got) = (vec![], vec![]);
    while channel.wants() == Interest::Write || turns.is_empty() {
        let before = channel.sent;
        assert_eq!(world.lend(|context| channel.ready(false, context)), ChannelStatus::Open);
        turns.push(channel.sent - before);
        take_all(&mut client, &channel, &mut got);
    }
    assert_eq!(memchr::memmem::find_iter(&got, b"HTTP/1.1 ").count(), times, "{paths}");
    turns
}

#[test]
fn a_turn_is_bounded_in_bytes_and_in_answers_whatever_is_asked_at_once() {
    const MOST: u64 = (1 << 20) + 128 * 1024;
    let large = turns("large", 1);
    assert!(large.iter().all(|&sent| sent <= MOST) && large.len() > 30, "{large:?}");
    let some = turns("some", 100);
    assert!(some.iter().all(|&sent| sent <= MOST) && some.len() > 3, "{some:?}");
    // Pages that say that nothing is there are all of one length.
    let times = 1000;
    let none = turns("nothing", times);
    let length = none.iter().sum::<u64>() / times as u64;
    assert!(none.iter().all(|&sent| sent <= length * super::super::turn::ANSWERS), "{none:?}");
}

/// What a play keeps of what its client said counts as the connection's, long after it was read.
#[test]
fn what_a_play_remembers_is_memory_of_its_connection() {
    let mut world = World::new();
    let transcript = Transcript::parse("asks", b"C: {x}\nS: ok\nC: {y}\nS: {x}{y}\n", &[]).unwrap();
    let script = Script::prepare(&transcript, &PlayOptions::new(Side::Server, Carrier::Stream)).unwrap();
    let behaviour = Behaviour::Play(Arc::new(script));
    world.origin = origin(behaviour.clone());
    let (server, client) = UnixStream::pair().unwrap();
    server.set_nonblocking(true).unwrap();
    let info = ConnectionInfo { number: 1, peer: Name::Unnamed, local: None, origin: 0, permit: None, pass: None };
    let mut channel = Channel::new(Line::Socket(server.into()), info, Agent::new(&behaviour, None), world.now);
    let before = channel.memory();
    std::io::Write::write_all(&mut &client, &[&[b'x'; 30_000][..], b"\n"].concat()).unwrap();
    assert_eq!(world.lend(|context| channel.ready(false, context)), ChannelStatus::Open);
    assert_eq!((channel.inbox.len(), channel.sent), (0, 3));
    assert!(channel.memory() >= before + 30_000, "{before} and then {}", channel.memory());
}

/// What waits for one client to read is bounded, however much it asks for at once.
#[test]
fn answers_are_made_only_when_those_before_them_were_taken() {
    let mut world = World::new();
    let (server, client) = UnixStream::pair().unwrap();
    server.set_nonblocking(true).unwrap();
    // The kernel takes next to nothing of it.
    rustix::net::sockopt::set_socket_send_buffer_size(&server, 4096).unwrap();
    let (mut channel, _folder) = site_over(Line::Socket(server.into()), false, &mut world);
    std::io::Write::write_all(&mut &client, &b"GET /small HTTP/1.1\r\nHost: localhost\r\n\r\n".repeat(1000)).unwrap();
    // It takes no more than at first, whatever is ready.
    for _ in 0..8 {
        assert_eq!(world.lend(|context| channel.ready(false, context)), ChannelStatus::Open);
    }
    let waiting = channel.outbox.len();
    assert!((1..=64 * 1024 + SMALL + 1024).contains(&waiting), "{waiting}");
    // It has so long to read the first of it.
    assert_eq!(channel.wakes(), Some(Moment::default().after(limits::WRITE_WAIT)));
}

/// The first bytes of a connection tell plain HTTP from TLS, and no later ones.
#[test]
fn bytes_inside_a_handshake_are_no_method_whatever_they_begin_with() {
    let identity = tls::Identity::throw_away();
    let trust = identity.fingerprint().and_then(|pin| tls::Trust::pinned(&pin)).unwrap();
    let mut hello = Vec::new();
    Session::client(&trust, "localhost", &[]).unwrap().send(b"", &mut hello);
    // Much of it comes by chance, so that there is one somewhere.
    let at = 5 + hello[5..].iter().position(u8::is_ascii_uppercase).unwrap();
    for (pieces, answer) in [([&b"GET / HTTP"[..], b"/1.1\r\n\r\n"], b'H'), ([&hello[..at], &hello[at..]], 22)] {
        let mut world = World::new();
        world.identity = identity.clone();
        let (server, mut client) = UnixStream::pair().unwrap();
        server.set_nonblocking(true).unwrap();
        let (mut channel, _folder) = site_over(Line::Socket(server.into()), true, &mut world);
        for piece in pieces {
            std::io::Write::write_all(&mut &client, piece).unwrap();
            world.lend(|context| channel.ready(false, context));
        }
        let mut first = [0];
        std::io::Read::read_exact(&mut client, &mut first).unwrap();
        assert_eq!(first, [answer]);
    }
}

/// Moves bytes between a client's session and a channel until neither has more to say; what the client heard, and how often the
/// channel took memory from the heap.
fn exchange(world: &mut World, channel: &mut Channel, client: &mut Session, socket: &UnixStream) -> (Vec<u8>, usize) {
    let (mut heard, mut count, mut buffer) = (Vec::new(), 0, vec![0; 64 * 1024]);
    loop {
        let mut wire = Vec::new();
        client.send(&[], &mut wire);
        let is_quiet = wire.is_empty();
        std::io::Write::write_all(&mut &*socket, &wire).unwrap();
        let status = world.lend(|context| {
            let before = allocations();
            let status = channel.ready(false, context);
            count += allocations() - before;
            status
        });
        assert_eq!(status, ChannelStatus::Open);
        match std::io::Read::read(&mut &*socket, &mut buffer) {
            Ok(length) => client.receive(&buffer[..length], &mut heard).unwrap(),
            Err(_) if is_quiet => return (heard, count),
            Err(_) => {}
        }
    }
}

/// What rustls takes for the same: a message is heard, and said again.
fn allocations_of_session(server: &mut Session, client: &mut Session, message: &[u8]) -> usize {
    let (mut wire, mut clear, mut back) = (Vec::new(), Vec::with_capacity(1 << 17), Vec::with_capacity(1 << 17));
    client.send(message, &mut wire);
    let before = allocations();
    server.receive(&wire, &mut clear).unwrap();
    server.send(&[], &mut back);
    server.send(&clear, &mut back);
    let count = allocations() - before;
    assert_eq!(clear, message);
    client.receive(&back, &mut Vec::new()).unwrap();
    count
}

#[test]
fn bytes_under_tls_are_heard_and_said_in_buffers_of_the_loop() {
    let identity = tls::Identity::throw_away();
    let trust = identity.fingerprint().and_then(|pin| tls::Trust::pinned(&pin)).unwrap();
    let mut world = World::new();
    let (server, socket) = UnixStream::pair().unwrap();
    server.set_nonblocking(true).unwrap();
    socket.set_nonblocking(true).unwrap();
    let info = ConnectionInfo { number: 1, peer: Name::Unnamed, local: None, origin: 0, permit: None, pass: None };
    let mut channel = Channel::new(Line::Socket(server.into()), info, Agent::Echo, world.now);
    let mut client = Session::client(&trust, "localhost", &[]).unwrap();
    let session = Session::server(&identity, &[]);
    assert_eq!(world.lend(|context| channel.begin_session(session, context)), ChannelStatus::Open);
    exchange(&mut world, &mut channel, &mut client, &socket);
    assert!(channel.is_open() && !client.is_handshaking());

    let mut alone = (Session::server(&identity, &[]).unwrap(), Session::client(&trust, "localhost", &[]).unwrap());
    while alone.0.is_handshaking() || alone.1.is_handshaking() {
        let (mut there, mut back) = (Vec::new(), Vec::new());
        alone.1.send(&[], &mut there);
        alone.0.receive(&there, &mut Vec::new()).unwrap();
        alone.0.send(&[], &mut back);
        alone.1.receive(&back, &mut Vec::new()).unwrap();
    }
    for length in [1, 100, 10_000] {
        let message = vec![b'x'; length];
        // The buffers of the loop, and of rustls, have their room from the first.
        for round in 0..3 {
            client_says(&mut client, &message, &socket);
            let (heard, count) = exchange(&mut world, &mut channel, &mut client, &socket);
            let of_session = allocations_of_session(&mut alone.0, &mut alone.1, &message);
            assert_eq!(heard, message);
            assert!(round == 0 || count == of_session, "{length} bytes: {count}, and rustls by itself {of_session}");
        }
    }
}

fn client_says(client: &mut Session, message: &[u8], socket: &UnixStream) {
    let mut wire = Vec::new();
    client.send(message, &mut wire);
    std::io::Write::write_all(&mut &*socket, &wire).unwrap();
}

/// A loop that once heard a large message does not keep its room.
#[test]
fn a_buffer_that_was_lent_keeps_what_is_usual() {
    let mut place = Vec::new();
    for (length, most) in [(1000, 1000), (64 * 1024, 64 * 1024), (16 << 20, 128 * 1024)] {
        super::super::context::give_back(&mut place, vec![0; length]);
        assert!(place.is_empty() && place.capacity() <= most, "{length}: {}", place.capacity());
    }
}
