//! Channels that we open: each is on its way first, while the loop goes on with the others.

use std::sync::Arc;

use super::Loop;
use super::channel::{Agent, Channel, ConnectionInfo, Hearing};
use super::reactor::token::Key;
use crate::net::connecting::{Connecting, Target};

impl Loop {
    /// Opens a channel to a target, for an agent that begins when it stands. `origin` is that of the target, by its place in the
    /// loop. What comes of it is told as of any channel: an event says that it was opened, or why it was not. None: it is over
    /// already.
    ///
    /// It has a number, and that of the play that it belongs to with others, if it does.
    pub(super) fn connect_numbered(
        &mut self,
        target: &Arc<Target>,
        origin: usize,
        agent: Agent,
        (number, group): (u64, u64),
        hearing: Option<Box<Hearing>>,
    ) -> Option<Key> {
        let info = ConnectionInfo { number, peer: target.peer(), local: None, origin, permit: None, pass: None };
        let (connecting, error) = match Connecting::begin(target) {
            Ok(connecting) => (connecting, None),
            Err(error) => (Connecting::over(target), Some(error)),
        };
        let mut channel = Channel::on_its_way(connecting, info, agent, self.resources.now);
        (channel.group, channel.hearing) = (group, hearing);
        let key = self.channels.insert(Box::new(channel));
        self.with_channel(key, |channel, context| match error {
            None => channel.set_off(context),
            Some(error) => channel.not_connected(&error, context),
        });
        self.channels.contains(key).then_some(key)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]
mod tests {
    use std::io::{BufRead, BufReader, Write};
    use std::net::{SocketAddr, TcpListener, UdpSocket};
    use std::os::fd::OwnedFd;
    use std::os::unix::net::UnixListener;
    use std::time::Duration;

    use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, connect, getsockname, listen, socket_with};
    use transcript::{PlayOptions, Script, Side, Transcript};

    use super::*;
    use crate::address::Address;
    use crate::endpoint::Protocol;
    use crate::engine::client::{Client, InitialLayers, Outcome, Over, play};
    use crate::net::connect::ConnectOptions;
    use crate::net::tls::Trust;

    fn target(address: &str, protocol: Protocol, known: Option<Vec<SocketAddr>>, timeout: Duration) -> Target {
        let options = ConnectOptions { timeout, ..ConnectOptions::default() };
        Target { known, ..Target::new(Address::parse(address).unwrap(), protocol, options) }
    }

    fn played(target: Target) -> Outcome {
        let transcript = Transcript::parse("a.talk", b"C: hi\nS: hello\nC closes\n", &[]).unwrap();
        let carrier = target.protocol.carrier();
        let script = Script::prepare(&transcript, &PlayOptions::new(Side::Client, carrier)).unwrap();
        let (trust, host) = (Trust::system(), "localhost".to_owned());
        let (write_wait, begins, reconnect) = (Duration::from_secs(10), InitialLayers::default(), Default::default());
        let client = Client { trust, host, write_wait, tap: None, begins, reconnect };
        play(Over::Target(Arc::new(target)), Arc::new(script), None, client)
    }

    fn failure(target: Target) -> String {
        played(target).failure.map(|failure| failure.headline()).unwrap_or_default()
    }

    fn answer(stream: impl std::io::Read + Write) {
        let mut stream = BufReader::new(stream);
        stream.read_line(&mut String::new()).unwrap();
        stream.get_mut().write_all(b"hello\n").unwrap();
        stream.read_line(&mut String::new()).unwrap();
    }

    /// A listener whose backlog is full lets further connections hang.
    fn hangs() -> (SocketAddr, Vec<OwnedFd>) {
        let socket = || socket_with(AddressFamily::INET, SocketType::STREAM, SocketFlags::NONBLOCK, None).unwrap();
        let dead = socket();
        bind(&dead, &SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
        listen(&dead, 0).unwrap();
        let address = SocketAddr::try_from(getsockname(&dead).unwrap()).unwrap();
        let fill = (0..2).map(|_| {
            let fd = socket();
            let _ = connect(&fd, &address);
            fd
        });
        (address, fill.collect::<Vec<_>>().into_iter().chain([dead]).collect())
    }

    const LONG: Duration = Duration::from_secs(30);

    #[test]
    fn of_several_addresses_the_first_that_answers_is_played_over() {
        let (dead, _fill) = hangs();
        let refuses = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let live = TcpListener::bind("127.0.0.1:0").unwrap();
        let known = vec![refuses, dead, live.local_addr().unwrap()];
        let outcome = std::thread::scope(|scope| {
            scope.spawn(|| answer(live.accept().unwrap().0));
            played(target("several:1", Protocol::Tcp, Some(known), LONG))
        });
        assert_eq!((outcome.failure, outcome.sent, outcome.received), (None, 3, 6));
    }

    #[test]
    fn a_name_is_looked_up_and_played_at() {
        let live = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("localhost:{}", live.local_addr().unwrap().port());
        let outcome = std::thread::scope(|scope| {
            scope.spawn(|| answer(live.accept().unwrap().0));
            played(target(&address, Protocol::Tcp, None, LONG))
        });
        assert_eq!(outcome.failure, None);
        let says = failure(target("no-such-name.invalid:1", Protocol::Tcp, None, LONG));
        assert!(says.starts_with("cannot connect to no-such-name.invalid:1: the name was not found"), "{says}");
    }

    #[test]
    fn every_address_that_was_tried_in_vain_is_told() {
        let free = || TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let (one, two) = (free(), free());
        let says = failure(target("two:1", Protocol::Tcp, Some(vec![one, two]), LONG));
        assert_eq!(says, format!("cannot connect to two:1: {one}: Connection refused; {two}: Connection refused"));
        let says = failure(target(&one.to_string(), Protocol::Tcp, None, LONG));
        assert_eq!(says, format!("cannot connect to {one}: Connection refused"));
        let says = failure(target("127.0.0.1:0", Protocol::Tcp, None, LONG));
        assert!(says.contains("port 0 stands for any free one"), "{says}");
    }

    #[test]
    fn an_address_that_does_not_answer_is_given_up_in_time() {
        let (dead, _fill) = hangs();
        let says = failure(target(&dead.to_string(), Protocol::Tcp, None, Duration::from_millis(50)));
        assert!(says.contains("no connection within 0.05 s (--connect-timeout)"), "{says}");
        assert!(says.contains(&format!("{dead}: no answer after")), "{says}");
    }

    #[test]
    fn a_unix_socket_without_room_is_asked_again_until_there_is_room() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s");
        let server = UnixListener::bind(&path).unwrap();
        listen(&server, 0).unwrap();
        let address = format!("unix:{}", path.display());
        let first = std::os::unix::net::UnixStream::connect(&path).unwrap();
        let says = failure(target(&address, Protocol::Unix, None, Duration::from_millis(30)));
        assert!(says.ends_with("a backlog that is full took all of it"), "{says}");
        let outcome = std::thread::scope(|scope| {
            scope.spawn(|| {
                drop((server.accept().unwrap(), first));
                answer(server.accept().unwrap().0);
            });
            played(target(&address, Protocol::Unix, None, LONG))
        });
        assert_eq!(outcome.failure, None);
        drop(server);
        assert!(
            failure(target(&address, Protocol::Unix, None, LONG))
                .contains("Connection refused: nothing listens at that socket")
        );
    }

    #[test]
    fn datagrams_have_a_peer_at_once() {
        let server = UdpSocket::bind("127.0.0.1:0").unwrap();
        let address = format!("udp://{}", server.local_addr().unwrap());
        let outcome = std::thread::scope(|scope| {
            scope.spawn(|| {
                let (_, from) = server.recv_from(&mut [0; 8]).unwrap();
                server.send_to(b"hello", from).unwrap();
            });
            played(target(&address, Protocol::Udp, None, LONG))
        });
        assert_eq!((outcome.failure, outcome.received), (None, 5));
    }
}
