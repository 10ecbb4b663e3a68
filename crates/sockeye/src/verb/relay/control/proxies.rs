//! The proxies of the control API: each is a relay on a thread of its own while it is enabled.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;

use serde_json::{Map, Value, json};
use transcript::Side;

use super::super::{Capture, Relay, RelayError, RelayOptions, Steering, Summary, UnknownNames};
use super::refusal::Refusal;
use super::toxic::{Toxic, field, text};
use crate::address::{Address, AddressError};
use crate::endpoint::Name;
use crate::engine::relay::Live;
use crate::event::{Event, Observer};
use crate::faults::LiveFault;
use crate::limits;
use crate::stop::{self, Stopper};
use crate::wire::http::status::Status;

/// Who hears what happens to the connections of one relay.
pub(super) type Observers = Box<dyn Fn() -> Box<dyn Observer> + Send>;

/// All proxies, by their names.
pub(super) struct Proxies {
    all: BTreeMap<String, Proxy>,
    /// How each relays, but for where.
    template: RelayOptions,
    capture: Option<Arc<Capture>>,
    observers: Observers,
    /// Told when a relay has ended.
    ended: Stopper,
    numbers: Arc<AtomicU64>,
    toxics: u64,
    /// What came of relays that have ended.
    pub(super) summary: Summary,
    /// The first one that ended by itself.
    pub(super) broken: Option<RelayError>,
}

struct Proxy {
    name: String,
    listen: String,
    /// The same as it was asked for: a name, any port, a port alone.
    asked: String,
    upstream: String,
    /// Those of the client's words, then those of the server's, as they are listed.
    toxics: Vec<Toxic>,
    running: Option<Running>,
}

struct Running {
    stopper: Stopper,
    thread: JoinHandle<Result<Summary, RelayError>>,
    /// It has ended, and its thread is about to.
    is_over: Arc<AtomicBool>,
    live: Arc<Live>,
}

/// A relay that is bound and does not run yet.
pub(super) struct Ready {
    relay: Relay,
    live: Arc<Live>,
}

impl Ready {
    /// Binds a relay whose faults can change.
    pub(super) fn bind(
        options: &RelayOptions,
        faults: Vec<LiveFault>,
        numbers: &Arc<AtomicU64>,
        capture: Option<&Arc<Capture>>,
    ) -> Result<Self, RelayError> {
        let live = Arc::new(Live::new(faults).map_err(RelayError::Io)?);
        let steering = Steering {
            live: Some(Arc::clone(&live)),
            numbers: Some(Arc::clone(numbers)),
            capture: capture.cloned(),
            unknown_names: UnknownNames::Awaited,
        };
        Ok(Self { relay: Relay::bind_steered(options, steering)?, live })
    }

    /// The ports that it listens on.
    pub(super) fn ports(&self) -> &[u16] {
        self.relay.ports()
    }

    /// Where it listens, as the API writes it.
    fn listen(&self) -> Option<String> {
        self.relay.endpoints().next().map(|endpoint| match &endpoint.name {
            Name::Inet(address) => address.to_string(),
            Name::Path(_) | Name::Unnamed | Name::Local(_) => endpoint.to_string(),
        })
    }
}

impl Proxies {
    pub(super) fn new(
        template: RelayOptions,
        capture: Option<Arc<Capture>>,
        numbers: Arc<AtomicU64>,
        observers: Observers,
        ended: Stopper,
    ) -> Self {
        let (all, toxics, summary, broken) = (BTreeMap::new(), 0, Summary::default(), None);
        Self { all, template, capture, observers, ended, numbers, toxics, summary, broken }
    }

    /// The relay of the command line is a proxy too.
    pub(super) fn adopt(&mut self, name: &str, options: &RelayOptions, ready: Ready) -> Result<(), RelayError> {
        let upstream = options.to.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
        let listen = ready.listen().unwrap_or_else(|| options.from.to_string());
        let running = Some(self.run(ready)?);
        let asked = listen.clone();
        let proxy = Proxy { name: name.to_owned(), listen, asked, upstream, toxics: vec![], running };
        self.all.insert(name.to_owned(), proxy);
        Ok(())
    }

    /// All of them, by name.
    pub(super) fn told(&mut self) -> Value {
        self.all.values_mut().map(|proxy| (proxy.name.clone(), proxy.told())).collect::<Map<_, _>>().into()
    }

    pub(super) fn show(&mut self, name: &str) -> Result<Value, Refusal> {
        Ok(self.find(name)?.told())
    }

    /// Adds one.
    pub(super) fn create(&mut self, wanted: &Map<String, Value>) -> Result<Value, Refusal> {
        let wanted = Wanted::read(wanted, Refusal::missing)?;
        if self.all.contains_key(&wanted.name) {
            return Err(Refusal::new(Status::CONFLICT, "proxy already exists"));
        }
        let name = wanted.name.clone();
        self.put(wanted)?;
        self.show(&name)
    }

    /// Adds those that are not there, and changes those that are others; with the first that cannot be, those before it.
    pub(super) fn populate(&mut self, wanted: &[Value]) -> (Vec<Value>, Option<Refusal>) {
        let mut read: Vec<Wanted> = Vec::new();
        for (index, value) in wanted.iter().enumerate() {
            let Value::Object(fields) = value else {
                return (vec![], Some(Refusal::body(&format!("proxy {} is no object", index + 1))));
            };
            match Wanted::read(fields, |field| Refusal::missing(&format!("{field} at proxy {}", index + 1))) {
                Ok(one) => read.push(one),
                Err(refusal) => return (vec![], Some(refusal)),
            }
        }
        let mut told = Vec::new();
        for one in read {
            let name = one.name.clone();
            let put = match self.all.get_mut(&name) {
                Some(proxy) if proxy.listens_at(&one.listen) && proxy.upstream == one.upstream => {
                    self.set_enabled(&name, one.enabled)
                }
                Some(_) => {
                    let _ = self.remove(&name);
                    self.put(one)
                }
                None => self.put(one),
            };
            match put.and_then(|()| self.show(&name)) {
                Ok(value) => told.push(value),
                Err(refusal) => return (told, Some(refusal)),
            }
        }
        (told, None)
    }

    /// Changes one: where it listens, where it leads, whether it does.
    pub(super) fn change(&mut self, name: &str, wanted: &Map<String, Value>) -> Result<Value, Refusal> {
        let proxy = self.find(name)?;
        let listen = text(wanted, "listen")?.filter(|listen| !proxy.listens_at(listen));
        let is_moved = listen.is_some();
        let listen = listen.unwrap_or(&proxy.listen).to_owned();
        let upstream = text(wanted, "upstream")?.unwrap_or(&proxy.upstream).to_owned();
        let enabled = enabled(wanted)?.unwrap_or_else(|| proxy.is_enabled());
        if is_moved || upstream != proxy.upstream {
            self.stop(name);
            let proxy = self.find(name)?;
            if is_moved {
                proxy.asked.clone_from(&listen);
            }
            (proxy.listen, proxy.upstream) = (listen, upstream);
        }
        self.set_enabled(name, enabled)?;
        self.show(name)
    }

    pub(super) fn remove(&mut self, name: &str) -> Result<(), Refusal> {
        self.find(name)?;
        self.stop(name);
        self.all.remove(name);
        Ok(())
    }

    /// Enables all of them, without toxics.
    pub(super) fn reset(&mut self) -> Result<(), Refusal> {
        for name in self.all.keys().cloned().collect::<Vec<_>>() {
            self.set_enabled(&name, true)?;
            let proxy = self.find(&name)?;
            proxy.toxics.clear();
            proxy.pass_on();
        }
        Ok(())
    }

    pub(super) fn toxics(&mut self, name: &str) -> Result<Value, Refusal> {
        Ok(self.find(name)?.toxics_told())
    }

    pub(super) fn toxic(&mut self, name: &str, toxic: &str) -> Result<Value, Refusal> {
        let proxy = self.find(name)?;
        let index = proxy.index(toxic)?;
        Ok(proxy.toxics[index].told())
    }

    pub(super) fn add_toxic(&mut self, name: &str, wanted: &Map<String, Value>) -> Result<Value, Refusal> {
        self.toxics += 1;
        let id = self.toxics;
        let proxy = self.find(name)?;
        let toxic = Toxic::read(wanted, id)?;
        if proxy.index(&toxic.name).is_ok() {
            return Err(Refusal::new(Status::CONFLICT, "toxic already exists"));
        }
        if proxy.toxics.len() >= limits::TOXICS {
            let why = format!("the proxy has {} toxics, as many as it may", limits::TOXICS);
            return Err(Refusal::new(Status::CONFLICT, why));
        }
        let told = toxic.told();
        let place = match toxic.side {
            Side::Client => proxy.toxics.iter().filter(|other| other.side == Side::Client).count(),
            Side::Server => proxy.toxics.len(),
        };
        proxy.toxics.insert(place, toxic);
        proxy.pass_on();
        Ok(told)
    }

    pub(super) fn change_toxic(
        &mut self,
        name: &str,
        toxic: &str,
        wanted: &Map<String, Value>,
    ) -> Result<Value, Refusal> {
        let proxy = self.find(name)?;
        let index = proxy.index(toxic)?;
        proxy.toxics[index] = proxy.toxics[index].changed(wanted)?;
        proxy.pass_on();
        Ok(proxy.toxics[index].told())
    }

    pub(super) fn remove_toxic(&mut self, name: &str, toxic: &str) -> Result<(), Refusal> {
        let proxy = self.find(name)?;
        let index = proxy.index(toxic)?;
        proxy.toxics.remove(index);
        proxy.pass_on();
        Ok(())
    }

    /// Asks all relays to end, each as it would by a signal.
    pub(super) fn begin_to_stop(&mut self) {
        let running = self.all.values().filter_map(|proxy| proxy.running.as_ref());
        running.for_each(|running| running.stopper.stop());
    }

    /// Whether all have ended; what came of them is counted.
    pub(super) fn have_ended(&mut self) -> bool {
        let mut all_have = true;
        for proxy in self.all.values_mut() {
            match proxy.running.take_if(|running| running.is_over()).map(Running::end) {
                Some(Ok(summary)) => self.summary.add(summary),
                // The others go on.
                Some(Err(error)) => {
                    let why = format!("the proxy {} is disabled: {error}", proxy.name);
                    (self.observers)().observe(Event::Notice(why));
                    self.broken.get_or_insert(error);
                }
                None => all_have &= proxy.running.is_none(),
            }
        }
        all_have
    }

    fn find(&mut self, name: &str) -> Result<&mut Proxy, Refusal> {
        self.all.get_mut(name).ok_or_else(|| Refusal::new(Status::NOT_FOUND, "proxy not found"))
    }

    fn put(&mut self, wanted: Wanted) -> Result<(), Refusal> {
        let Wanted { name, listen, upstream, enabled } = wanted;
        if self.all.len() >= limits::PROXIES {
            let why = format!("there are {} proxies, as many as there may be", limits::PROXIES);
            return Err(Refusal::new(Status::CONFLICT, why));
        }
        let asked = listen.clone();
        let proxy = Proxy { name: name.clone(), listen, asked, upstream, toxics: vec![], running: None };
        self.all.insert(name.clone(), proxy);
        let enabled = self.set_enabled(&name, enabled);
        if enabled.is_err() {
            self.all.remove(&name);
        }
        enabled
    }

    fn set_enabled(&mut self, name: &str, enabled: bool) -> Result<(), Refusal> {
        let proxy = self.find(name)?;
        match (enabled, proxy.is_enabled()) {
            (true, false) => self.start(name),
            (false, true) => {
                self.stop(name);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn start(&mut self, name: &str) -> Result<(), Refusal> {
        self.stop(name);
        let proxy = self.find(name)?;
        let faults = proxy.toxics.iter().map(Toxic::fault).collect();
        let refuse = |error: &dyn std::fmt::Display| Refusal::new(Status::INTERNAL_ERROR, error.to_string());
        let from = parse(&tcp(&proxy.listen)).map_err(|error| refuse(&error))?;
        let words: Vec<&str> = proxy.upstream.split_whitespace().collect();
        let to: Vec<Address> =
            words.iter().map(|word| parse(word)).collect::<Result<_, _>>().map_err(|error| refuse(&error))?;
        let options = RelayOptions { from, to, ..self.template.clone() };
        let ready =
            Ready::bind(&options, faults, &self.numbers, self.capture.as_ref()).map_err(|error| refuse(&error))?;
        let listen = ready.listen();
        let running = self.run(ready).map_err(|error| refuse(&error))?;
        let proxy = self.find(name)?;
        proxy.running = Some(running);
        if let Some(listen) = listen {
            proxy.listen = listen;
        }
        Ok(())
    }

    fn run(&self, ready: Ready) -> Result<Running, RelayError> {
        let Ready { relay, live } = ready;
        let (stopper, stop) = stop::channel().map_err(RelayError::Io)?;
        let (observer, ended) = ((self.observers)(), self.ended.try_clone().map_err(RelayError::Io)?);
        let is_over = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&is_over);
        let thread = std::thread::Builder::new().name("proxy".to_owned());
        let spawned = thread.spawn(move || {
            let ran = relay.run(stop, observer);
            told.store(true, Ordering::SeqCst);
            ended.stop();
            ran
        });
        Ok(Running { stopper, thread: spawned.map_err(RelayError::Io)?, is_over, live })
    }

    /// Ends a relay at once: its port is free and its connections are closed when this returns.
    fn stop(&mut self, name: &str) {
        let Some(running) = self.all.get_mut(name).and_then(|proxy| proxy.running.take()) else { return };
        // Twice is without grace.
        running.stopper.stop();
        running.stopper.stop();
        if let Ok(summary) = running.end() {
            self.summary.add(Summary { at_once: false, ..summary });
        }
    }
}

impl Running {
    fn is_over(&self) -> bool {
        self.is_over.load(Ordering::SeqCst)
    }

    /// Waits for its end.
    fn end(self) -> Result<Summary, RelayError> {
        let died = |_| Err(RelayError::Io(std::io::Error::other("a relay died")));
        self.thread.join().unwrap_or_else(died)
    }
}

impl Proxy {
    fn is_enabled(&self) -> bool {
        self.running.as_ref().is_some_and(|running| !running.is_over())
    }

    /// Whether it listens there, in its own words or in those of the client that asked for it: then it is not moved, and its connections
    /// stay.
    fn listens_at(&self, listen: &str) -> bool {
        listen == self.listen || listen == self.asked
    }

    fn index(&self, toxic: &str) -> Result<usize, Refusal> {
        let found = self.toxics.iter().position(|known| known.name == toxic);
        found.ok_or_else(|| Refusal::new(Status::NOT_FOUND, "toxic not found"))
    }

    /// Every connection has the toxics as they are now.
    fn pass_on(&self) {
        if let Some(running) = &self.running {
            running.live.set(self.toxics.iter().map(Toxic::fault).collect());
        }
    }

    fn toxics_told(&self) -> Value {
        self.toxics.iter().map(Toxic::told).collect()
    }

    fn told(&self) -> Value {
        json!({
            "name": self.name,
            "listen": self.listen,
            "upstream": self.upstream,
            "enabled": self.is_enabled(),
            "toxics": self.toxics_told(),
        })
    }
}

/// A proxy as a client wants it.
struct Wanted {
    name: String,
    listen: String,
    upstream: String,
    enabled: bool,
}

impl Wanted {
    fn read(fields: &Map<String, Value>, missing: impl Fn(&str) -> Refusal) -> Result<Self, Refusal> {
        let needed = |name: &str| match text(fields, name)? {
            None | Some("") => Err(missing(name)),
            Some(text) => Ok(text.to_owned()),
        };
        let listen = text(fields, "listen")?.unwrap_or_default().to_owned();
        let (name, enabled) = (needed("name")?, enabled(fields)?.unwrap_or(true));
        Ok(Self { name, listen, upstream: needed("upstream")?, enabled })
    }
}

fn enabled(fields: &Map<String, Value>) -> Result<Option<bool>, Refusal> {
    let enabled = field(fields, "enabled");
    enabled.map(|value| value.as_bool().ok_or_else(|| Refusal::body("enabled is true or false"))).transpose()
}

/// An address of the network or of a Unix socket: programs, standard streams and descriptors are for the person who starts the
/// relay, and not for clients of its API.
fn parse(typed: &str) -> Result<Address, AddressError> {
    let address = Address::parse(typed)?;
    match address.scheme.filter(|_| address.is_local()) {
        Some(scheme) => Err(AddressError::not_here(scheme, "a proxy leads to tcp, tls and unix")),
        None => Ok(address),
    }
}

/// Where a proxy listens that does not say where: on any port of the loopback.
fn tcp(listen: &str) -> String {
    if listen.is_empty() { "127.0.0.1:0".to_owned() } else { listen.to_owned() }
}
