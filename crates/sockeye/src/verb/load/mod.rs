//! `load`: the client's side of transcripts on many connections at once, and what it measures. Every answer is checked.
//!
//! ```
//! use std::time::Duration;
//! use sockeye::address::Address;
//! use sockeye::folder::LoadedTranscript;
//! use sockeye::stop;
//! use sockeye::verb::load::{Load, LoadOptions, Weighted, Work};
//! use sockeye::verb::serve::{Role, ServeOptions, Server};
//! use transcript::Transcript;
//!
//! let serving = ServeOptions { addresses: vec![Address::parse("tcp://127.0.0.1:0")?], role: Role::Echo, ..ServeOptions::default() };
//! let server = Server::bind(&serving)?;
//! let address = Address::parse(&format!("tcp://127.0.0.1:{}", server.ports()[0]))?;
//! let (stopper, stop) = stop::channel()?;
//! let thread = std::thread::spawn(move || server.run(stop, None, Box::new(|_| {})));
//!
//! let transcript = Transcript::parse("echo.talk", b"C: hello\nS: hello\n", &[])?;
//! let loaded = LoadedTranscript { transcript, files: None };
//! let options = LoadOptions { connections: 4, plays: Some(100), ..LoadOptions::new(address, Work::Plays(vec![Weighted::once(loaded)])) };
//! let (_asker, asked) = stop::channel()?;
//! let done = Load::prepare(options)?.run(&asked, |_| true)?;
//! assert_eq!((done.run.measured.counts.plays, done.run.measured.counts.failures), (100, 0));
//! assert_eq!(done.run.measured.lines[0].name, "echo.talk:1");
//! stopper.stop();
//! thread.join().expect("it does not panic")?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod divide;
mod error;
mod judge;
mod pieces;
#[cfg(feature = "http")]
mod request;
mod warn;

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::time::{ClockId, clock_gettime};
use transcript::Fresh;
use transcript::record::Secret;

#[cfg(feature = "http")]
pub use crate::wire::http::{Url, UrlError, UrlErrorKind};
use divide::shared_before;
pub use divide::{Shard, share};
pub use error::LoadError;
pub use judge::{Allowed, MissedThreshold, Thresholds};
#[cfg(feature = "http")]
pub use request::Page;

use crate::address::Address;
use crate::endpoint::Protocol;
use crate::engine::Loop;
use crate::engine::client::Client;
use crate::engine::load::{Account, Job, Schedule, StartPolicy};
use crate::failure::Kind;
use crate::figures::{self, Begun, LoadModel, Run, Snapshot};
use crate::folder::LoadedTranscript;
use crate::fresh::fresh;
use crate::limits;
use crate::net::connect::{self, ConnectOptions, Source};
use crate::net::connecting::Target;
use crate::net::tls::Trust;
use crate::stop::{self, Stop};

pub use crate::figures::Arrivals;

/// A transcript, and how often it is played beside others.
#[derive(Debug, Clone)]
pub struct Weighted {
    /// The transcript.
    pub loaded: LoadedTranscript,
    /// Its part of all plays.
    pub weight: u32,
}

impl Weighted {
    /// As often as every other.
    #[must_use]
    pub fn once(loaded: LoadedTranscript) -> Self {
        Self { loaded, weight: 1 }
    }
}

/// What is done on each connection.
#[derive(Debug, Clone)]
pub enum Work {
    /// Transcripts are played.
    Plays(Vec<Weighted>),
    /// A page is asked for.
    #[cfg(feature = "http")]
    Requests(Box<Page>),
}

/// Values of plays: names, and a row of values for each of some plays.
#[derive(Debug, Clone, Default)]
pub struct Rows {
    /// The names.
    pub names: Vec<String>,
    /// The line of the file that each row stands on, and its values in the order of the names.
    pub rows: Vec<(usize, Vec<Vec<u8>>)>,
}

/// How to load a server.
#[derive(Debug, Clone)]
pub struct LoadOptions {
    /// Where it is.
    pub address: Address,
    /// What is done there.
    pub work: Work,
    /// Connections at once.
    pub connections: usize,
    /// Threads; none: one for each processor.
    pub threads: Option<usize>,
    /// How long plays begin; without plays to count, and by default, 10 s.
    pub duration: Option<Duration>,
    /// Plays in all.
    pub plays: Option<u64>,
    /// A connection for each play, even if the transcript can be played again over the same one.
    pub reconnect: bool,
    /// Time over which connections are opened one after the other, and over which a rate grows.
    pub ramp: Duration,
    /// Pause between two plays on a connection.
    pub think: Duration,
    /// Values that differ from play to play.
    pub rows: Rows,
    /// Addresses of this machine to connect from, in turn.
    pub sources: Vec<IpAddr>,
    /// What decides when plays begin. The ramp of an open loop is [`Self::ramp`].
    pub model: LoadModel,
    /// What random arrivals begin with.
    pub seed: u64,
    /// What new values of plays are made of; each shard makes its own.
    pub fresh: Fresh,
    /// Which part of a larger run this is.
    pub shard: Option<Shard>,
    /// When it begins; none: at once.
    pub start_at: Option<SystemTime>,
    /// Values for names of the transcripts.
    pub values: BTreeMap<String, Vec<u8>>,
    /// Values that no account of a failed play shows.
    pub secrets: Vec<Secret>,
    /// How long to wait for the other side; over the transcript's own.
    pub timeout: Option<Duration>,
    /// Longest line, in bytes.
    pub longest_line: usize,
    /// How to connect.
    pub connect: ConnectOptions,
    /// Whose certificates are believed.
    pub trust: Trust,
    /// The name that a certificate must be for.
    pub host: String,
}

impl LoadOptions {
    /// The defaults: 64 connections for 10 s, in a closed loop.
    #[must_use]
    pub fn new(address: Address, work: Work) -> Self {
        Self {
            address,
            work,
            connections: limits::LOAD_CONNECTIONS,
            threads: None,
            duration: None,
            plays: None,
            reconnect: false,
            ramp: Duration::ZERO,
            think: Duration::ZERO,
            rows: Rows::default(),
            sources: vec![],
            model: LoadModel::Closed,
            seed: 0,
            fresh: fresh(None, None),
            shard: None,
            start_at: None,
            values: BTreeMap::new(),
            secrets: vec![],
            timeout: None,
            longest_line: limits::LINE,
            connect: ConnectOptions::default(),
            trust: Trust::system(),
            host: "localhost".to_owned(),
        }
    }

    /// The same for a page, at its server.
    #[cfg(feature = "http")]
    #[must_use]
    pub fn of_page(page: Page) -> Self {
        let (address, host) = (page.url.origin.address(), page.url.origin.host_name(false));
        Self { host, ..Self::new(address, Work::Requests(Box::new(page))) }
    }

    /// What carries a play.
    fn protocol(&self) -> Protocol {
        self.address.protocol().unwrap_or(Protocol::Tcp)
    }
}

/// A load that is ready: all that can be wrong with its transcripts was found.
#[derive(Debug)]
pub struct Load {
    options: LoadOptions,
    pieces: pieces::Pieces,
    threads: usize,
    /// Of this shard.
    connections: usize,
    target: Target,
    begun: Begun,
    warnings: Vec<String>,
    is_short_of_files: bool,
}

/// What came of it.
#[derive(Debug)]
pub struct LoadOutcome {
    /// What was measured, warnings included.
    pub run: Run,
    /// What kind the first failure was of.
    pub first: Option<Kind>,
    /// Plays that were cut at the end, and are in no figure.
    pub cut: u64,
    /// Whether this machine could not open as many connections as it was asked for.
    pub is_short_of_files: bool,
}

impl Load {
    /// Makes ready what is to be played, and looks the name up.
    ///
    /// # Errors
    /// A transcript is wrong or cannot be played by a client; the name leads nowhere; there is nothing to do.
    pub fn prepare(mut options: LoadOptions) -> Result<Self, LoadError> {
        let shard = options.shard.unwrap_or_default();
        let mut warnings = Vec::new();
        let mut connections = usize::try_from(shard.of(options.connections as u64)).unwrap_or(usize::MAX);
        if let Some(plays) = options.plays {
            let own = shard.of(plays);
            if own == 0 {
                return Err(LoadError::Nothing(format!("shard {shard} has none of {plays} plays")));
            }
            connections = connections.min(usize::try_from(own).unwrap_or(usize::MAX));
        }
        if connections == 0 {
            return Err(LoadError::Nothing(format!("shard {shard} has none of {} connections", options.connections)));
        }
        let pieces = pieces::Pieces::prepare(&options).map_err(LoadError::Refused)?;
        let processors = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let threads = options.threads.unwrap_or(processors).clamp(1, connections);
        let wanted = connections;
        let most = limits::open_files().saturating_sub(limits::LOAD_FILES + 4 * threads as u64);
        if wanted as u64 > most {
            connections = usize::try_from(most).unwrap_or(usize::MAX).max(1);
            warnings.push(format!(
                "this machine lets the process have {} open files: {connections} of {wanted} connections are opened (ulimit -n)",
                limits::open_files()
            ));
        }
        let threads = threads.min(connections);
        let target = Self::target(&mut options, &pieces)?;
        let begun = Begun {
            target: pieces.target.clone().unwrap_or_else(|| options.address.to_string()),
            files: pieces.files.clone(),
            connections: connections as u64,
            ramp: options.ramp,
            model: own_model(options.model, options.shard),
            shard: options.shard.map(|shard| figures::Shard { index: shard.index + 1, of: shard.of }),
            ..Begun::now("load")
        };
        let is_short_of_files = connections < wanted;
        Ok(Self { options, pieces, threads, connections, target, begun, warnings, is_short_of_files })
    }

    /// Where to connect. Of several addresses the one that is there first is taken, once for all connections.
    fn target(options: &mut LoadOptions, pieces: &pieces::Pieces) -> Result<Target, LoadError> {
        let protocol = pieces.protocol;
        let (address, connecting) = (options.address.clone(), options.connect.clone());
        let mut target = Target::new(address, protocol, connecting);
        if protocol.is_unix() {
            return match options.sources[..] {
                [] => Ok(target),
                _ => Err(LoadError::Nothing("a path has no address to come from: leave --source out".to_owned())),
            };
        }
        let mut known = connect::look_up_all(&options.address, &options.connect).map_err(LoadError::Connect)?;
        if known.len() > 1 && protocol == Protocol::Tcp {
            let first = connect::connect(&options.address, protocol, &options.connect).map_err(LoadError::Connect)?;
            if let crate::endpoint::Name::Inet(address) = first.peer {
                known = vec![address];
            }
        }
        known.truncate(1);
        if let Some(to) = known.first() {
            options.sources.iter().try_for_each(|ip| check_source(*ip, to, target.protocol))?;
        }
        target.known = Some(known);
        Ok(target)
    }

    /// What is said of the run before it begins.
    #[must_use]
    pub fn begun(&self) -> &Begun {
        &self.begun
    }

    /// What is allowed in its transcripts but probably not meant, and what else to know before it begins.
    #[must_use]
    pub fn notices(&self) -> Vec<String> {
        self.pieces.notices.iter().chain(&self.warnings).cloned().collect()
    }

    /// How long it will take, if a time was given.
    #[must_use]
    pub fn planned(&self) -> Option<Duration> {
        self.duration()
    }

    fn duration(&self) -> Option<Duration> {
        match (self.options.duration, self.options.plays) {
            (None, None) => Some(limits::LOAD_TIME),
            (duration, _) => duration,
        }
    }

    /// Runs it. `each` is told of every second that is past, and a few times in between; it ends early when that says false, or
    /// when it is asked to stop.
    ///
    /// # Errors
    /// No thread or descriptor.
    pub fn run(self, asked: &Stop, mut each: impl FnMut(Option<&Snapshot>) -> bool) -> Result<LoadOutcome, LoadError> {
        let Some(began) = self.wait(asked) else {
            return Err(LoadError::Nothing("it was stopped before it began (--start-at)".to_owned()));
        };
        let (mut collector, recorders) = figures::collect(&self.pieces.names, self.threads);
        let cpu = cpu_time();
        let (mut stoppers, mut threads) = (Vec::new(), Vec::new());
        for (thread, recorder) in recorders.into_iter().enumerate() {
            let (stopper, stop) = stop::channel().map_err(LoadError::System)?;
            stoppers.push(stopper);
            let job = self.job(thread);
            let run = move || {
                crate::sys::timer::be_punctual();
                Loop::generator(job, recorder, stop, began)?.generate()
            };
            let spawned = std::thread::Builder::new().name(format!("load-{thread}")).spawn(run);
            threads.push(spawned.map_err(LoadError::System)?);
        }
        let mut is_interrupted = false;
        while !collector.is_finished() {
            let snapshot = collector.next(EACH);
            let goes_on = each(snapshot.as_ref());
            let is_asked = asked.asked().is_some_and(|asked| asked > 0);
            if (!goes_on || is_asked) && !is_interrupted {
                is_interrupted = true;
                stoppers.iter().for_each(stop::Stopper::stop);
            }
        }
        let measured = collector.finish();
        let cpu = cpu_time().saturating_sub(cpu);
        let mut accounts = Vec::new();
        for thread in threads {
            let panicked = || std::io::Error::other("a thread panicked");
            accounts.push(thread.join().unwrap_or_else(|_| Err(panicked())).map_err(LoadError::System)?);
        }
        let account = add_up(&accounts);
        let planned = self.duration().filter(|_| !is_interrupted && !account.gave_up);
        let until = account.last.saturating_sub(self.lead());
        let lasted = match planned {
            // With plays to count it is over with the last of them.
            Some(planned) if account.begun < self.own_plays().unwrap_or(u64::MAX) => until.max(planned),
            _ if until.is_zero() || is_interrupted || account.gave_up => began.elapsed(),
            _ => until,
        };
        let mut begun = self.begun.clone();
        begun.began = SystemTime::now().checked_sub(began.elapsed()).unwrap_or(begun.began);
        let mut run = begun.ended(lasted, measured);
        run.measured.lines.retain(|line| !line.latency.is_empty() || line.failures > 0);
        run.generator = figures::Generator { threads: self.threads as u32, cpu };
        run.interrupted = is_interrupted;
        run.warnings.clone_from(&self.warnings);
        run.warnings.extend(warn::warnings(&run, &account, self.connections));
        run.never_played = self.pieces.never_played(&account.played);
        run.warnings.extend(warn::unused(&run, &account.played, &self.options));
        let is_short = account.portless + account.fileless > 0;
        let first = account.first.or_else(|| is_short.then_some(Kind::NoResources));
        Ok(LoadOutcome { run, first, cut: account.cut, is_short_of_files: self.is_short_of_files })
    }

    /// Waits for the moment at which to begin; none if it is stopped before.
    fn wait(&self, asked: &Stop) -> Option<Instant> {
        let at = self.options.start_at.unwrap_or_else(SystemTime::now);
        let began = Instant::now() + at.duration_since(SystemTime::now()).unwrap_or_default();
        let mut watched = vec![PollFd::new(asked, PollFlags::IN)];
        loop {
            let left = began.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Some(began);
            }
            let _ = poll(&mut watched, Some(&crate::net::timespec(left)));
            match asked.asked() {
                // It is asked no more, and would be ready all the time.
                None => watched.clear(),
                Some(0) => {}
                Some(_) => return None,
            }
        }
    }

    /// Over how long connections are opened where no ramp was asked for: not all in a burst, for a backlog that is full drops what
    /// comes.
    fn spread(&self) -> Duration {
        (BETWEEN * u32::try_from(self.connections).unwrap_or(u32::MAX)).min(SPREAD)
    }

    /// How long connections are opened before the first play is due by a clock.
    fn lead(&self) -> Duration {
        let waits =
            matches!(self.options.model, LoadModel::Open { .. }) && self.options.ramp.is_zero() && self.pieces.keeps();
        if waits { self.spread() } else { Duration::ZERO }
    }

    fn own_plays(&self) -> Option<u64> {
        self.options.plays.map(|plays| self.options.shard.unwrap_or_default().of(plays))
    }

    /// What one of the threads does.
    fn job(&self, thread: usize) -> Job {
        let options = &self.options;
        let shard = options.shard.unwrap_or_default();
        let (thread, threads) = (thread as u64, self.threads as u64);
        // Which of all threads of all machines it is, as long as every machine has as many.
        let (lane, lanes) = (u64::from(shard.index) + u64::from(shard.of) * thread, u64::from(shard.of) * threads);
        let all = self.connections as u64 * u64::from(shard.of);
        let ramp = if options.ramp.is_zero() { self.spread() } else { options.ramp };
        let opens = |count: u64| ramp.mul_f64(count as f64 / all as f64);
        let start = match options.model {
            LoadModel::Closed => StartPolicy::Closed { think: options.think },
            LoadModel::Open { rate, arrivals } => {
                let schedule = Schedule::new(rate, options.ramp, (lane, lanes), arrivals, options.seed);
                StartPolicy::Open(schedule.after(self.lead()))
            }
        };
        let mut sources: Vec<Option<Source>> = match options.sources.as_slice() {
            [] => vec![options.connect.source.clone()],
            sources => sources.iter().map(|ip| Some(Source::Address(*ip))).collect(),
        };
        // Each thread goes on where the one before ends, so that few connections come from as many as they can.
        let before = shared_before(self.connections as u64, thread, threads);
        let first = (before % sources.len() as u64) as usize;
        sources.rotate_left(first);
        let targets = sources.into_iter().map(|source| {
            let connecting = ConnectOptions { source, ..options.connect.clone() };
            Arc::new(Target { options: connecting, ..self.target.clone() })
        });
        let client = Client {
            trust: options.trust.clone(),
            host: options.host.clone(),
            write_wait: options.timeout.unwrap_or(limits::TALK_WAIT),
            tap: None,
            begins: self.pieces.begins.clone(),
            reconnect: Default::default(),
        };
        let counted = options.plays.is_some() && options.duration.is_none();
        Job {
            request: self.pieces.request.clone(),
            pieces: self.pieces.for_a_thread(),
            targets: targets.collect(),
            client,
            connections: usize::try_from(share(self.connections as u64, thread, threads)).unwrap_or(0),
            opens: (opens(lane), opens(lanes)),
            start,
            plays: options.plays.map(|plays| share(plays, lane, lanes)),
            until: self.duration().map(|duration| duration + self.lead()),
            grace: if counted { None } else { Some(options.timeout.unwrap_or(limits::TALK_WAIT)) },
            numbers: (lane + 1, lanes),
            skipped: options.plays.map_or(lane, |plays| shared_before(plays, lane, lanes)),
        }
    }
}

/// Where no connection can come from is known before one is tried.
fn check_source(ip: IpAddr, to: &SocketAddr, protocol: Protocol) -> Result<(), LoadError> {
    let wrong = |why: String| Err(LoadError::Nothing(format!("cannot connect from {ip} (--source): {why}")));
    let kind = |is_v4: bool| if is_v4 { "IPv4" } else { "IPv6" };
    match Source::Address(ip).check(to, protocol) {
        Ok(()) => Ok(()),
        Err(Errno::AFNOSUPPORT) => {
            wrong(format!("it is an address of {}, and {to} is one of {}", kind(ip.is_ipv4()), kind(to.is_ipv4())))
        }
        Err(Errno::ADDRNOTAVAIL) => {
            wrong("no interface of this machine has it (sockeye addrs shows those there are)".to_owned())
        }
        Err(error) => Err(LoadError::System(error.into())),
    }
}

/// The part of a rate that is a shard's own: runs that are merged are added up.
fn own_model(model: LoadModel, shard: Option<Shard>) -> LoadModel {
    match (model, shard) {
        (LoadModel::Open { rate, arrivals }, Some(shard)) => {
            LoadModel::Open { rate: rate / f64::from(shard.of), arrivals }
        }
        (model, _) => model,
    }
}

/// How often the caller that watches is asked.
const EACH: Duration = Duration::from_millis(100);
/// What lies between the first connections, and how long that takes at most, unless one says.
const BETWEEN: Duration = Duration::from_micros(100);
const SPREAD: Duration = Duration::from_secs(1);

/// Time on processors of the whole process.
fn cpu_time() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(u64::try_from(time.tv_sec).unwrap_or(0), u32::try_from(time.tv_nsec).unwrap_or(0))
}

fn add_up(accounts: &[Account]) -> Account {
    let mut all = Account::default();
    for account in accounts {
        all.begun += account.begun;
        all.cut += account.cut;
        all.last = all.last.max(account.last);
        all.held += account.held;
        all.held_by = all.held_by.max(account.held_by);
        all.portless += account.portless;
        all.fileless += account.fileless;
        all.connected += account.connected;
        all.refused += account.refused;
        all.lapsed += account.lapsed;
        all.gave_up |= account.gave_up;
        all.first = all.first.or(account.first);
        all.played.or(&account.played);
    }
    all
}
