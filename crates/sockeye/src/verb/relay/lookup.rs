//! Names of servers are looked up again and again while a relay runs, on a thread of their own: now and then, and after no server
//! answered where a name led.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::lead_to;
use crate::address::Address;
use crate::endpoint::{Endpoint, Protocol};
use crate::engine::relay::{Bell, Named};
use crate::limits;
use crate::net::connect::ConnectError;

/// How soon a name that leads nowhere, or where no server answers, is looked up again.
const SOON: Duration = Duration::from_secs(1);

/// Asks where a name leads.
pub(super) type Resolve = dyn Fn(&Address) -> Result<Vec<SocketAddr>, ConnectError> + Send;

/// A server that has a name.
pub(super) struct NamedServer {
    pub(super) address: Address,
    pub(super) protocol: Protocol,
    pub(super) named: Arc<Named>,
}

/// All names of a relay.
pub(super) struct Lookups {
    pub(super) servers: Vec<NamedServer>,
    /// Where the relay listens: no name may lead there.
    pub(super) own: Vec<Endpoint>,
    /// How often each is looked up; none: only after no server answered.
    pub(super) every: Option<Duration>,
    pub(super) resolve: Box<Resolve>,
    pub(super) tell: Box<dyn FnMut(String) + Send>,
    pub(super) bell: Arc<Bell>,
}

/// Has the thread end when the relay does.
#[derive(Debug)]
pub(super) struct Following(Arc<Bell>);

impl Drop for Following {
    fn drop(&mut self) {
        // It may wait for a resolver, and no other thread waits for it.
        self.0.end();
    }
}

/// When a name is looked up next, and what it was told of last.
struct Watch {
    due: Option<Instant>,
    looked: Instant,
    /// How long after a look the next one is worth while, where no server answers.
    pause: Duration,
    complaint: Option<String>,
}

impl Lookups {
    /// Begins, with the rights that this thread has now.
    ///
    /// # Errors
    /// There is no thread to be had.
    pub(super) fn begin(self) -> io::Result<Following> {
        let following = Following(Arc::clone(&self.bell));
        std::thread::Builder::new().name("names".to_owned()).spawn(move || self.run())?;
        Ok(following)
    }

    fn run(mut self) {
        let now = Instant::now();
        let every = self.every;
        // One that leads nowhere yet is waited for.
        let next = |named: &Named, looked: Instant| {
            let every = if named.addresses().is_empty() { Some(SOON) } else { every };
            every.and_then(|every| looked.checked_add(every))
        };
        let watch =
            |server: &NamedServer| Watch { due: next(&server.named, now), looked: now, pause: SOON, complaint: None };
        let mut watches: Vec<Watch> = self.servers.iter().map(watch).collect();
        while self.bell.wait(watches.iter().filter_map(|watch| watch.due).min()) {
            for (index, watch) in watches.iter_mut().enumerate() {
                let named = Arc::clone(&self.servers[index].named);
                if named.take_failure() {
                    let soon = watch.looked + watch.pause;
                    watch.due = Some(watch.due.map_or(soon, |due| due.min(soon)));
                }
                if watch.due.is_none_or(|due| due > Instant::now()) {
                    continue;
                }
                let is_new = self.look(index, &mut watch.complaint);
                watch.looked = Instant::now();
                // Where it stays as it is, a caller that asks for it again and again gets an answer less and less often.
                let longest = every.unwrap_or(limits::LOOK_UP_AGAIN).max(SOON);
                watch.pause = if is_new { SOON } else { (watch.pause * 2).min(longest) };
                watch.due = next(&named, watch.looked);
            }
        }
    }

    /// Looks one up; whether it leads elsewhere now.
    fn look(&mut self, index: usize, complaint: &mut Option<String>) -> bool {
        let NamedServer { address, protocol, named } = &self.servers[index];
        let before = named.addresses();
        let list = |addresses: &[SocketAddr]| {
            let all: Vec<String> = addresses.iter().map(SocketAddr::to_string).collect();
            all.join(", ")
        };
        let why = match (self.resolve)(address) {
            Ok(found) if found.is_empty() => return false,
            Ok(found) => match self.own.iter().find(|own| own.protocol == *protocol && lead_to(&found, own)) {
                None => {
                    *complaint = None;
                    let is_new = named.lead_to(&found);
                    if is_new {
                        let from = if before.is_empty() {
                            String::new()
                        } else {
                            format!(", and no more to {}", list(&before))
                        };
                        (self.tell)(format!("{address} leads to {} now{from}", list(&found)));
                    }
                    return is_new;
                }
                Some(own) => {
                    format!("{address} leads to {own} now, where the relay itself listens, and is not followed")
                }
            },
            // Until it is known, no caller waits for more words.
            Err(_) if before.is_empty() => return false,
            Err(error) => format!("{error}; it stays with {}", list(&before)),
        };
        // Once, and not each time.
        if complaint.as_ref() != Some(&why) {
            (self.tell)(why.clone());
            *complaint = Some(why);
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::sync::Mutex;
    use std::sync::mpsc::{Receiver, channel};

    use super::*;
    use crate::endpoint::Name;

    type Answer = Result<Vec<SocketAddr>, ConnectError>;

    fn at(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    fn not_found() -> Answer {
        let error = io::Error::other("the name was not found");
        Err(ConnectError::Local { address: "db.test:5432".to_owned(), error })
    }

    /// A name that leads to `first`, and then to each of the answers; what is told of it.
    fn follow(
        first: &[&str],
        answers: Vec<Answer>,
        every: Option<Duration>,
    ) -> (Arc<Named>, Receiver<String>, Following) {
        let bell = Arc::new(Bell::default());
        let named = Arc::new(Named::new(first.iter().map(|text| at(text)).collect(), &bell));
        let (told, hear) = channel();
        let answers = Mutex::new(VecDeque::from(answers));
        let lookups = Lookups {
            servers: vec![NamedServer {
                address: Address::parse("tcp://db.test:5432").unwrap(),
                protocol: Protocol::Tcp,
                named: Arc::clone(&named),
            }],
            own: vec![Endpoint { protocol: Protocol::Tcp, name: Name::Inet(at("127.0.0.1:5432")), over: None }],
            every,
            resolve: Box::new(move |_| {
                answers.lock().unwrap().pop_front().unwrap_or_else(|| Ok(vec![at("10.9.9.9:5432")]))
            }),
            tell: Box::new(move |words| drop(told.send(words))),
            bell,
        };
        (named, hear, lookups.begin().unwrap())
    }

    #[test]
    fn a_name_is_followed_now_and_then() {
        let answers = vec![Ok(vec![at("10.0.0.1:5432")]), Ok(vec![at("10.0.0.2:5432"), at("10.0.0.3:5432")])];
        let (named, told, _following) = follow(&["10.0.0.1:5432"], answers, Some(Duration::from_millis(10)));
        assert_eq!(
            told.recv().unwrap(),
            "tcp://db.test:5432 leads to 10.0.0.2:5432, 10.0.0.3:5432 now, and no more to 10.0.0.1:5432"
        );
        assert_eq!(
            told.recv().unwrap(),
            "tcp://db.test:5432 leads to 10.9.9.9:5432 now, and no more to 10.0.0.2:5432, 10.0.0.3:5432"
        );
        assert_eq!(&*named.addresses(), [at("10.9.9.9:5432")]);
    }

    #[test]
    fn a_name_where_nobody_answers_is_looked_up_at_once() {
        let (named, told, _following) = follow(&["10.0.0.1:5432"], vec![], None);
        named.failed();
        assert!(told.recv().unwrap().contains("10.9.9.9:5432 now"));
    }

    #[test]
    fn a_name_that_is_not_found_or_leads_to_the_relay_itself_stays_where_it_was_and_that_is_said_once() {
        let itself = || Ok(vec![at("10.0.0.2:5432"), at("127.0.0.1:5432")]);
        let answers = vec![not_found(), not_found(), itself(), itself(), not_found()];
        let (named, told, _following) = follow(&["10.0.0.1:5432"], answers, Some(Duration::from_millis(10)));
        for words in
            ["it stays with 10.0.0.1:5432", "where the relay itself listens", "it stays with", "leads to 10.9.9.9:5432"]
        {
            let told = told.recv().unwrap();
            assert!(told.contains(words), "{told}");
        }
        assert_eq!(&*named.addresses(), [at("10.9.9.9:5432")]);
    }

    #[test]
    fn a_name_that_leads_nowhere_yet_is_looked_up_until_it_does() {
        let (named, told, following) = follow(&[], vec![not_found()], None);
        assert_eq!(told.recv().unwrap(), "tcp://db.test:5432 leads to 10.9.9.9:5432 now");
        assert_eq!(named.addresses().len(), 1);
        drop(following);
        // The thread has ended: no news comes any more.
        assert!(told.recv().is_err());
    }

    #[test]
    fn the_same_addresses_in_another_order_are_no_change() {
        let bell = Arc::new(Bell::default());
        let named = Named::new(vec![at("10.0.0.1:1"), at("10.0.0.2:1")], &bell);
        assert!(!named.lead_to(&[at("10.0.0.2:1"), at("10.0.0.1:1")]));
        assert_eq!(named.addresses()[0], at("10.0.0.1:1"));
        assert!(named.lead_to(&[at("10.0.0.2:1")]));
    }
}
