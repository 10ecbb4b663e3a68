//! Both ends of every transcript that is shipped, joined by a line that splits, delays, cuts and stalls as a seed says. A seed
//! that fails is printed: `SOCKEYE_SEED=N cargo test -p sockeye imaginary` runs it again, and `SOCKEYE_SEEDS=N` tries so many.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use transcript::{Carrier, Moment, PlayOptions, Script, Side, Transcript};

use super::super::Behaviour;
use super::super::origin::{Client, InitialLayers, Origin};
use super::imaginary::{End, ImaginaryLine};
use super::tests::World;
use super::{Agent, Channel, ChannelStatus, ConnectionInfo, Interest, Line};
use crate::event::{Endpoint, Event, Name, Protocol};
use crate::failure::Failure;
use crate::folder::Folder;
use crate::limits;
use crate::net::tls::{self, Trust};
use crate::random::SplitMix;

/// Seeds that are tried unless another number is asked for.
const SEEDS: u64 = 10_000;
/// Turns after which a conversation counts as hung.
const TURNS: usize = 200_000;

/// What the shipped ones do not do: every way to end, from either side, and what is longer than the line.
const ENDS: [(&str, &str); 8] = [
    ("client closes", "C: a\nS: b\nC closes\n"),
    ("server closes", "S: a\nC: b\nS closes\n"),
    ("client resets", "C: a\nS: b\nC resets\n"),
    ("server resets", "S: a\nC: b\nS resets\n"),
    ("client stops sending", "C: a\nC stops sending\nS: b\nS closes\n"),
    ("server stops sending", "C: a\nS: b\nS stops sending\nC: c\nC closes\n"),
    ("waits", "C: a\nS waits 500ms\nS: b\nC waits 1s\nC: c\nS closes\n"),
    ("tls and a half-close", "S: hi\nstarttls\nS: hello\nS stops sending\nC: more\nC closes\n"),
];

/// What happens by chance, from a seed.
struct Chance(SplitMix);

impl Chance {
    fn new(seed: u64) -> Self {
        Self(SplitMix::new(seed))
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.0.next() % bound.max(1) as u64) as usize
    }

    fn one_in(&mut self, count: usize) -> bool {
        self.below(count) == 0
    }
}

/// What happens to the line, and once how many bytes have arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum LineFault {
    None,
    /// Both ends are told that it is reset.
    Cut(u64),
    /// Nothing arrives any more.
    Stall(u64),
}

/// A transcript, made ready for both ends.
struct Playable {
    name: String,
    client: Arc<Script>,
    server: Arc<Script>,
    has_gap: bool,
}

/// What one end says about it.
#[derive(Debug, Default, PartialEq, Eq)]
struct Account {
    failure: Option<Failure>,
    /// Bytes that came and were judged.
    judged: u64,
    sent: u64,
}

struct Host {
    world: World,
    channel: Option<Channel>,
}

impl Host {
    fn new(end: End, script: &Arc<Script>, ours: Option<Client>, identity: tls::Identity) -> Self {
        let endpoint = Endpoint { protocol: Protocol::Tcp, name: Name::Unnamed, over: None };
        let behaviour = Behaviour::Play(Arc::clone(script));
        let agent = Agent::new(&behaviour, None);
        let origin = match ours {
            Some(client) => Origin::target(endpoint, behaviour, client),
            None => Origin::listener(endpoint, behaviour, crate::net::session::ServerLayers::default()),
        };
        let mut world = World::new();
        (world.origin, world.identity, world.strict) = (origin, identity, true);
        let info = ConnectionInfo { number: 1, peer: Name::Unnamed, local: None, origin: 0, permit: None, pass: None };
        let channel = Channel::new(Line::Imaginary(end), info, agent, world.now);
        Self { world, channel: Some(channel) }
    }

    /// As a loop does.
    fn act(&mut self, now: Moment, act: impl FnOnce(&mut Channel, &mut super::Context<'_>) -> ChannelStatus) {
        self.world.now = now;
        let Some(channel) = &mut self.channel else { return };
        let status = self.world.lend(|context| {
            let status = act(channel, context);
            if channel.is_broken && status == ChannelStatus::Open { channel.hear_out(context) } else { status }
        });
        if status == ChannelStatus::Closed {
            self.channel = None;
        }
    }

    fn account(&self) -> Account {
        let mut account = Account::default();
        let mut closed = 0;
        for event in &self.world.events {
            match event {
                Event::Failed { failure, .. } if account.failure.is_none() => account.failure = Some(failure.clone()),
                Event::Closed { from_client, from_server, unjudged, .. } => {
                    closed += 1;
                    let (received, sent) = match self.world.origin.side() {
                        Side::Client => (from_server, from_client),
                        Side::Server => (from_client, from_server),
                    };
                    (account.judged, account.sent) = (received - unjudged, *sent);
                }
                _ => {}
            }
        }
        assert_eq!(closed, 1, "it is said once that it is over: {:?}", self.world.events);
        account
    }
}

/// Plays both ends over a line; what each says about it.
fn meet(playable: &Playable, identity: &tls::Identity, chance: &mut Chance, mishap: LineFault) -> [Account; 2] {
    let (wire, [first, second]) = ImaginaryLine::new();
    let trust = identity.fingerprint().and_then(|fingerprint| Trust::pinned(&fingerprint)).unwrap();
    let write_wait = limits::WRITE_WAIT;
    let (begins, reconnect) = (InitialLayers::default(), Default::default());
    let client = Client { trust, host: "localhost".to_owned(), write_wait, tap: None, begins, reconnect };
    let mut hosts = [
        Host::new(first, &playable.client, Some(client), tls::Identity::default()),
        Host::new(second, &playable.server, None, identity.clone()),
    ];
    let mut now = Moment::default();
    let (mut arrived, mut is_stalled) = (0, false);
    for host in &mut hosts {
        host.act(now, Channel::open);
    }
    for _ in 0..TURNS {
        if hosts.iter().all(|host| host.channel.is_none()) {
            return [hosts[0].account(), hosts[1].account()];
        }
        let from = chance.below(2);
        // What is late will come: no time passes at a stroke meanwhile.
        let mut is_late = chance.one_in(8);
        let mut did = is_late && !is_stalled && [0, 1].into_iter().any(|direction| wire.is_moving(direction));
        for direction in [from, 1 - from] {
            if is_stalled || !wire.is_moving(direction) || std::mem::take(&mut is_late) {
                continue;
            }
            let most = wire.under_way(direction);
            let bytes = match chance.below(3) {
                0 => 1.min(most),
                1 => chance.below(most + 1),
                _ => most,
            };
            let bound = match mishap {
                LineFault::Cut(at) | LineFault::Stall(at) => (at - arrived) as usize,
                LineFault::None => usize::MAX,
            };
            wire.deliver(direction, bytes.min(bound));
            arrived += bytes.min(bound) as u64;
            did = true;
            match mishap {
                LineFault::Cut(at) if arrived >= at => {
                    wire.cut();
                    is_stalled = true;
                }
                LineFault::Stall(at) if arrived >= at => is_stalled = true,
                _ => {}
            }
        }
        now = now.after(Duration::from_micros(chance.below(50) as u64));
        did |= act_on_ready(&mut hosts, &wire, from, now);
        if !did {
            let next = hosts.iter().filter_map(|host| host.channel.as_ref()?.wakes()).min();
            now = next.expect("something will happen").max(now);
        }
    }
    panic!("it does not end: {:?}", hosts.map(|host| host.channel));
}

/// Lets both ends act whose line is ready or whose time has come, one of them first; whether any did.
fn act_on_ready(hosts: &mut [Host; 2], wire: &ImaginaryLine, first: usize, now: Moment) -> bool {
    let mut did = false;
    for index in [first, 1 - first] {
        let Some(channel) = &hosts[index].channel else { continue };
        let is_ready = match channel.wants() {
            Interest::Read => wire.is_readable(index),
            Interest::Write => wire.is_writable(index),
            Interest::Nothing => false,
        };
        let broken = wire.is_broken(index);
        if is_ready || broken && !channel.is_broken {
            hosts[index].act(now, |channel, context| channel.ready(broken, context));
            did = true;
        }
    }
    for host in hosts.iter_mut() {
        if host.channel.as_ref().and_then(Channel::wakes).is_some_and(|at| at <= now) {
            host.act(now, Channel::wake);
            did = true;
        }
    }
    did
}

fn playables() -> Vec<Playable> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../transcripts");
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|ending| ending == "talk"));
    files.sort();
    let mut playables = Vec::new();
    for path in files {
        let (text, folder) = (std::fs::read(&path).unwrap(), Folder::around(&path).unwrap());
        let transcript = Transcript::parse_with(path.to_str().unwrap(), &text, &[], Some(&folder)).unwrap();
        let prepare = |side| Script::prepare(&transcript, &PlayOptions::new(side, Carrier::Stream)).map(Arc::new);
        // Some are for datagrams only.
        let (Ok(client), Ok(server)) = (prepare(Side::Client), prepare(Side::Server)) else { continue };
        // There is one line here, and no loop that opens another.
        if client.spans() {
            continue;
        }
        let has_gap = String::from_utf8_lossy(&text).lines().any(|line| line.starts_with("gap "));
        playables.push(Playable {
            name: path.file_name().unwrap().to_string_lossy().into_owned(),
            client,
            server,
            has_gap,
        });
    }
    assert!(playables.len() >= 20);
    let (question, answer) = ("?".repeat(3000), "!".repeat(5000));
    let long = format!("repeat 20\n  C: {question}\n  S: {answer}\nend\nS closes\n");
    for (name, text) in ENDS.into_iter().chain([("long", long.as_str())]) {
        let transcript = Transcript::parse(name, text.as_bytes(), &[]).unwrap();
        let prepare = |side| Arc::new(Script::prepare(&transcript, &PlayOptions::new(side, Carrier::Stream)).unwrap());
        let (client, server) = (prepare(Side::Client), prepare(Side::Server));
        playables.push(Playable { name: name.to_owned(), client, server, has_gap: text.starts_with("gap ") });
    }
    playables
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

#[test]
fn both_ends_of_every_transcript_agree_over_an_imaginary_network() {
    let (playables, identity) = (playables(), tls::Identity::throw_away());
    // What both say where nothing goes wrong.
    let well: Vec<[Account; 2]> =
        playables.iter().map(|playable| meet(playable, &identity, &mut Chance::new(0), LineFault::None)).collect();
    for (playable, accounts) in playables.iter().zip(&well) {
        assert!(accounts.iter().all(|account| account.failure.is_none()), "{}: {accounts:?}", playable.name);
    }
    let seeds = match number("SOCKEYE_SEED") {
        Some(seed) => seed..seed + 1,
        None => 1..number("SOCKEYE_SEEDS").unwrap_or(SEEDS) + 1,
    };
    for seed in seeds {
        let mut chance = Chance::new(seed);
        let at = chance.below(playables.len());
        let (playable, well) = (&playables[at], &well[at]);
        let length = 1 + chance.below(well[0].sent as usize + well[1].sent as usize + 8) as u64;
        let mishap = match chance.below(4) {
            0 => LineFault::Cut(length),
            1 => LineFault::Stall(length),
            _ => LineFault::None,
        };
        let told = std::panic::AssertUnwindSafe(|| meet(playable, &identity, &mut chance, mishap));
        let accounts = std::panic::catch_unwind(told)
            .unwrap_or_else(|_| panic!("{}, {mishap:?}: SOCKEYE_SEED={seed} plays it again", playable.name));
        for (account, well) in accounts.iter().zip(well) {
            // A side that says that it went well has heard everything. A session's handshake is not of the same length each time.
            // A gap is as good as the ending of the last line, which is then still on its way.
            let may_lack = u64::from(playable.has_gap && matches!(mishap, LineFault::Stall(_)));
            let has_heard_all = (well.judged.saturating_sub(may_lack)..=well.judged).contains(&account.judged)
                || playable.client.has_tls();
            let is_right = if account.failure.is_none() { has_heard_all } else { mishap != LineFault::None };
            assert!(is_right, "{}, {mishap:?}: {accounts:?}: SOCKEYE_SEED={seed} plays it again", playable.name);
        }
    }
}
