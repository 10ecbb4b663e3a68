//! The other end, for tests: a server that plays a transcript while the code under test talks to it, and at the end says
//! whether every conversation went as written.
//!
//! ```
//! use std::io::{Read, Write};
//! use sockeye::mock::Mock;
//!
//! let server = Mock::start("S: Welcome!\nC: {name}\nS: Hello, {name}!\nS closes\n");
//!
//! // The code under test.
//! let mut stream = std::net::TcpStream::connect(server.address())?;
//! stream.write_all(b"Ann\n")?;
//! let mut heard = String::new();
//! stream.read_to_string(&mut heard)?;
//! assert_eq!(heard, "Welcome!\nHello, Ann!\n");
//!
//! server.finish();
//! # Ok::<(), std::io::Error>(())
//! ```
//!
//! The server runs on a thread of its own, so that plain and async tests use it alike. [`Mock::finish`] panics with the
//! account of every play that did not go as written; a `Mock` that is dropped does the same. Where the test panics already,
//! since the client's own assertion came first, the account is written to standard error beside it.
//!
//! ```should_panic
//! # use std::io::Write;
//! let server = sockeye::mock::Mock::start("C: PING\nS: PONG\nS closes\n");
//! std::net::TcpStream::connect(server.address()).and_then(|mut stream| stream.write_all(b"PIMG\n")).ok();
//! server.finish(); // error: the client said something else … ^ byte 3 of the line
//! ```
//!
//! The same file tests a server, from the client's end:
//!
//! ```
//! use sockeye::mock::{Mock, play};
//!
//! let server = Mock::start("C: PING\nS: PONG\nC closes\n"); // in its place: the server under test
//! play("C: PING\nS: PONG\nC closes\n", server.address());
//! ```

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use transcript::{Carrier, Files, PlayOptions, Script, Side, Transcript};

use crate::address::{Address, Host, Scheme, Target};
use crate::event::{Event, Name, Protocol};
use crate::folder::Folder;
use crate::fresh::fresh;
use crate::net::connect::{self, connect};
use crate::net::tls::{Identity, Trust};
use crate::stop::{self, Stopper};
use crate::verb::serve::{EarlyClose, LoadedTranscript, Role, ServeError, ServeOptions, Server, Summary};
use crate::verb::talk;

/// How a mock is to be started.
#[derive(Debug, Clone)]
pub struct Builder {
    name: String,
    text: Vec<u8>,
    folder: Option<PathBuf>,
    values: Vec<(String, Vec<u8>)>,
    protocol: Protocol,
    path: Option<PathBuf>,
    plays: Option<u64>,
    early_close: EarlyClose,
    strict: bool,
    timeout: Duration,
    seed: Option<u64>,
    at: Option<Duration>,
    trust: Option<Trust>,
}

/// Who every mock of this process is where its transcript says `starttls`; [`play`] believes it, too.
static OWN: LazyLock<Identity> = LazyLock::new(Identity::throw_away);

/// The certificate in PEM form, for `localhost`, 127.0.0.1 and ::1, that mocks show where their transcript says
/// `starttls`: the code under test is to trust it.
///
/// # Panics
/// No certificate can be made: the system gives no random numbers.
#[must_use]
#[cfg(feature = "tls")]
pub fn certificate() -> String {
    OWN.pem().unwrap_or_else(|error| panic!("{error}"))
}

impl Builder {
    fn new(name: &str, text: Vec<u8>, folder: Option<PathBuf>) -> Self {
        Self {
            name: name.to_owned(),
            text,
            folder,
            values: vec![],
            protocol: Protocol::Tcp,
            path: None,
            plays: None,
            early_close: EarlyClose::Refused,
            strict: false,
            timeout: Duration::from_secs(5),
            seed: None,
            at: None,
            trust: None,
        }
    }

    /// Gives a name of the transcript a value, over its `set` and its defaults. It is an error, found as the mock starts,
    /// if the transcript has no such name.
    #[must_use]
    pub fn set(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.values.push((name.to_owned(), value.as_ref().to_vec()));
        self
    }

    /// Draws random values from a seed: the same seed gives the same ones, in the same order.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = Some(seed);
        self
    }

    /// Has it always be this time, since 1970 began in UTC, for a transcript that says the time.
    #[must_use]
    pub fn at(mut self, time: Duration) -> Self {
        self.at = Some(time);
        self
    }

    /// Over datagrams instead of a stream.
    #[must_use]
    pub fn udp(mut self) -> Self {
        self.protocol = Protocol::Udp;
        self
    }

    /// On a Unix socket at a path that is free.
    #[must_use]
    pub fn unix(mut self, path: impl AsRef<Path>) -> Self {
        self.protocol = Protocol::Unix;
        self.path = Some(path.as_ref().to_owned());
        self
    }

    /// Exactly so many conversations must have come by the end; without this, at least one.
    #[must_use]
    pub fn plays(mut self, count: u64) -> Self {
        self.plays = Some(count);
        self
    }

    /// A reset or a silence between two rounds of a `repeat` is a failure, even with [`Self::allow_early_close`].
    #[must_use]
    pub fn strict(mut self) -> Self {
        self.strict = true;
        self
    }

    /// The code under test may leave, reset the connection or be silent between two rounds of a `repeat`, though
    /// statements follow that were not reached.
    #[must_use]
    pub fn allow_early_close(mut self) -> Self {
        self.early_close = EarlyClose::Allowed;
        self
    }

    /// How long to wait for the code under test where the transcript does not say; 5 s unless given.
    #[must_use]
    pub fn timeout(mut self, time: Duration) -> Self {
        self.timeout = time;
        self
    }

    /// Believes who the certificates of a PEM file sign for, where a server under test goes over to TLS.
    #[must_use]
    #[cfg(feature = "tls")]
    pub fn ca(mut self, path: impl AsRef<Path>) -> Self {
        self.trust = Some(Trust::only(path.as_ref()));
        self
    }

    /// Plays the transcript's client against a server under test, over TCP; in TLS the server is `localhost`.
    ///
    /// # Panics
    /// As [`play`].
    #[track_caller]
    pub fn play(self, server: SocketAddr) {
        play_as(&self, server);
    }

    /// Starts the server on a free port of 127.0.0.1.
    ///
    /// # Panics
    /// The transcript is wrong or cannot be played by a server, with every reason; no socket can be had.
    #[must_use]
    #[track_caller]
    pub fn start(self) -> Mock {
        let (loaded, values) = self.loaded();
        let address = match &self.path {
            Some(path) => Address::new(Some(Scheme::Unix), Target::Unix(path.clone())),
            None => loopback(self.protocol, 0),
        };
        let wait = loaded.transcript.settings().timeout.is_none().then_some(self.timeout);
        let options = ServeOptions {
            addresses: vec![address],
            role: Role::Transcripts(vec![loaded]),
            values,
            timeout: wait,
            early_close: self.early_close,
            strict: self.strict,
            fresh: fresh(self.seed, self.at),
            identity: OWN.clone(),
            // The code under test may hold its end until the test ends: that is nothing to wait for.
            linger: Duration::from_millis(50),
            ..ServeOptions::new()
        };
        let started = Server::bind(&options).map_err(|error| error.to_string()).and_then(|server| {
            let (stopper, stop) = stop::channel().map_err(|error| error.to_string())?;
            Ok((server, stopper, stop))
        });
        let (server, stopper, stop) = started.unwrap_or_else(|why| panic!("the mock cannot be started\n{why}"));
        let name = server.endpoints().next().map_or(Name::Unnamed, |endpoint| endpoint.name.clone());
        let accounts = Accounts::default();
        let heard = accounts.clone();
        let observer = Box::new(move |event: Event| heard.hear(event));
        let serve = move || server.run(stop, None, observer);
        let thread = std::thread::Builder::new().name("mock".to_owned()).spawn(serve);
        let thread = thread.unwrap_or_else(|why| panic!("the mock cannot be started\nno thread: {why}"));
        Mock { name, accounts, plays: self.plays, running: Some((stopper, thread)) }
    }

    /// The transcript and the values of its names.
    #[track_caller]
    fn loaded(&self) -> (LoadedTranscript, std::collections::BTreeMap<String, Vec<u8>>) {
        let given: Vec<&str> = self.values.iter().map(|(name, _)| name.as_str()).collect();
        let folder = self.folder.as_deref().and_then(|file| Folder::around(file).ok());
        let files = folder.as_ref().map(|folder| folder as &dyn Files);
        let transcript = Transcript::parse_with(&self.name, &self.text, &given, files)
            .unwrap_or_else(|refused| panic!("\n{refused}"));
        if let Err(unknown) = transcript::known_names([&transcript], &given) {
            panic!("{}: {unknown}", self.name);
        }
        let files = folder.map(|folder| Arc::new(folder) as Arc<dyn Files>);
        (LoadedTranscript { transcript, files }, self.values.iter().cloned().collect())
    }
}

/// A running server that plays a transcript.
#[derive(Debug)]
pub struct Mock {
    name: Name,
    accounts: Accounts,
    plays: Option<u64>,
    running: Option<(Stopper, JoinHandle<Result<Summary, ServeError>>)>,
}

impl Mock {
    /// Starts a server from a transcript's text, on a free port of 127.0.0.1 over TCP.
    ///
    /// # Panics
    /// As [`Builder::start`].
    #[must_use]
    #[track_caller]
    pub fn start(transcript: &str) -> Self {
        Self::text(transcript).start()
    }

    /// The same from a file; a relative path starts at the folder that the test runs in, which is its package's.
    ///
    /// # Panics
    /// As [`Builder::start`]; the file cannot be read.
    #[must_use]
    #[track_caller]
    pub fn start_file(path: impl AsRef<Path>) -> Self {
        Self::file(path).start()
    }

    /// A transcript's text, with more to say about how it is served.
    #[must_use]
    pub fn text(transcript: &str) -> Builder {
        Builder::new("mock.talk", transcript.as_bytes().to_vec(), None)
    }

    /// A transcript's file, with more to say about how it is served.
    ///
    /// # Panics
    /// The file cannot be read.
    #[must_use]
    #[track_caller]
    pub fn file(path: impl AsRef<Path>) -> Builder {
        let path = path.as_ref();
        let text = std::fs::read(path).unwrap_or_else(|error| panic!("cannot read {}: {error}", path.display()));
        Builder::new(&path.display().to_string(), text, Some(path.to_owned()))
    }

    /// Where it listens.
    ///
    /// # Panics
    /// It is a Unix socket: that has a path.
    #[must_use]
    #[track_caller]
    pub fn address(&self) -> SocketAddr {
        match self.name {
            Name::Inet(address) => address,
            Name::Path(_) | Name::Unnamed | Name::Local(_) => {
                panic!("a Unix socket has no port: use the path that it was started with")
            }
        }
    }

    /// Where it listens, as a URL with a scheme.
    #[must_use]
    #[track_caller]
    pub fn url(&self, scheme: &str) -> String {
        format!("{scheme}://{}", self.address())
    }

    /// Stops the server, once what has come is answered.
    ///
    /// # Panics
    /// A play did not go as written or was not at its end; no client came, or not as many as were to come. Where the test
    /// panics already, as in a `drop` of yours, the account is written to standard error instead.
    #[track_caller]
    pub fn finish(mut self) {
        self.conclude();
    }

    /// Stops the server, and tells what did not go as written: by a panic, unless there is one, for a second would abort all tests.
    #[track_caller]
    fn conclude(&mut self) {
        match self.end() {
            Some(why) if std::thread::panicking() => show(&why),
            Some(why) => panic!("{why}"),
            None => {}
        }
    }

    /// Stops the server; why the test fails.
    fn end(&mut self) -> Option<String> {
        let (stopper, thread) = self.running.take()?;
        stopper.stop();
        let summary = match thread.join() {
            Ok(Ok(summary)) => summary,
            Ok(Err(why)) => return Some(format!("the mock failed: {why}")),
            Err(_) => return Some("the mock failed".to_owned()),
        };
        let mut text = self.accounts.take();
        if summary.cut > 0 {
            let cut = summary.cut;
            let cut = if cut == 1 { "1 conversation was".to_owned() } else { format!("{cut} conversations were") };
            let _ = writeln!(text, "error: {cut} not at the end when the test was");
        }
        let came = summary.opened;
        match self.plays {
            Some(wanted) if wanted != came => {
                let came = if came == 1 { "1 conversation".to_owned() } else { format!("{came} conversations") };
                let _ = writeln!(text, "error: {came} came where {wanted} were to come");
            }
            None if came == 0 => text.push_str("error: nobody came\n"),
            _ => {}
        }
        (!text.is_empty()).then(|| format!("the conversation with the mock did not go as written\n{text}"))
    }
}

impl Drop for Mock {
    fn drop(&mut self) {
        self.conclude();
    }
}

/// Writes the account of a test that panics already, where the harness shows what the test said: only what goes through
/// this macro is kept with the test. The macro panics if the write fails, and a panic that left `drop` now would abort.
#[allow(
    clippy::print_stderr,
    reason = "the harness collects what a test says only from this macro; a failure is caught"
)]
fn show(account: &str) {
    let _ = std::panic::catch_unwind(|| eprintln!("{account}"));
}

/// What the server said about plays that failed.
#[derive(Debug, Clone, Default)]
struct Accounts(Arc<Mutex<String>>);

impl Accounts {
    fn hear(&self, event: Event) {
        if let Event::Failed { conversation, failure } = event {
            let mut text = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            text.push_str(&failure.of(conversation.as_ref()));
        }
    }

    fn take(&self) -> String {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

fn loopback(protocol: Protocol, port: u16) -> Address {
    let scheme = if protocol == Protocol::Udp { Scheme::Udp } else { Scheme::Tcp };
    let host = Host::Ip(std::net::Ipv4Addr::LOCALHOST.into(), 0);
    Address::new(Some(scheme), Target::Inet { host, port })
}

/// Plays a transcript's client against the server under test, over TCP.
///
/// # Panics
/// The transcript is wrong, no program listens there, or the server said something else, with the account.
#[track_caller]
pub fn play(transcript: &str, server: SocketAddr) {
    play_as(&Mock::text(transcript), server);
}

/// The same from a file.
///
/// # Panics
/// As [`play`]; the file cannot be read.
#[track_caller]
pub fn play_file(path: impl AsRef<Path>, server: SocketAddr) {
    play_as(&Mock::file(path), server);
}

#[track_caller]
fn play_as(builder: &Builder, server: SocketAddr) {
    let (loaded, values) = builder.loaded();
    let mut playing = PlayOptions::new(Side::Client, Carrier::Stream);
    playing.values = values;
    playing.fresh = fresh(builder.seed, builder.at);
    playing.files = loaded.files;
    let script = Script::prepare(&loaded.transcript, &playing).unwrap_or_else(|refused| panic!("\n{refused}"));
    let target = Target::Inet { host: Host::Ip(server.ip(), 0), port: server.port() };
    let address = Address::new(Some(Scheme::Tcp), target);
    let connecting = connect::ConnectOptions::default();
    let connected = connect(&address, Protocol::Tcp, &connecting).unwrap_or_else(|error| panic!("{error}"));
    let own = || OWN.fingerprint().and_then(|fingerprint| Trust::pinned(&fingerprint));
    let trust = match &builder.trust {
        Some(trust) => trust.clone(),
        None if script.has_tls() => own().unwrap_or_else(|error| panic!("{error}")),
        None => Trust::system(),
    };
    let (begins, reconnect) = (talk::InitialLayers::default(), talk::Reconnect::default());
    let setting = talk::Setting { tap: None, trust: &trust, host: "localhost", begins, reconnect, row: None };
    let played = talk::play(connected, &Arc::new(script), &setting);
    if let Some(failure) = played.failure {
        panic!("\n{}", failure.render(&format!("{} -> {server}", played.local)));
    }
}
