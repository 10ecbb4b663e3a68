//! The other end of a scenario, held by the sweep itself: it meets no fault, and knows what arrived.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::stage::Running;

/// How long a peer waits for the program: less than the program's watchdog, so that it sees how the peer leaves.
pub(crate) const WAIT: Duration = Duration::from_secs(6);

/// A server in a thread, which ends when it is joined.
#[derive(Debug)]
pub(crate) struct Peer<T> {
    pub(crate) address: SocketAddr,
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Vec<T>>,
}

impl<T: Send + 'static> Peer<T> {
    /// Answers each connection, one after the other.
    pub(crate) fn tcp(mut answer: impl FnMut(TcpStream) -> T + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port of the loopback");
        let address = listener.local_addr().expect("bound");
        listener.set_nonblocking(true).expect("a listener of ours");
        Self::run(address, move || {
            let (stream, _) = listener.accept().ok()?;
            stream.set_nonblocking(false).ok()?;
            stream.set_read_timeout(Some(WAIT)).ok()?;
            stream.set_write_timeout(Some(WAIT)).ok()?;
            Some(answer(stream))
        })
    }

    pub(crate) fn unix(path: &Path, mut answer: impl FnMut(UnixStream) -> T + Send + 'static) -> Self {
        let listener = UnixListener::bind(path).expect("a name in our own folder");
        listener.set_nonblocking(true).expect("a listener of ours");
        Self::run(([127, 0, 0, 1], 0).into(), move || {
            let (stream, _) = listener.accept().ok()?;
            stream.set_nonblocking(false).ok()?;
            stream.set_read_timeout(Some(WAIT)).ok()?;
            Some(answer(stream))
        })
    }

    /// Answers each datagram.
    pub(crate) fn udp(mut answer: impl FnMut(&[u8], &dyn Fn(&[u8])) -> T + Send + 'static) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a port of the loopback");
        let address = socket.local_addr().expect("bound");
        socket.set_nonblocking(true).expect("a socket of ours");
        Self::run(address, move || {
            let mut buffer = [0; 2048];
            let (length, from) = socket.recv_from(&mut buffer).ok()?;
            Some(answer(&buffer[..length], &|datagram| drop(socket.send_to(datagram, from))))
        })
    }

    fn run(address: SocketAddr, mut next: impl FnMut() -> Option<T> + Send + 'static) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = thread::spawn(move || {
            let mut answers = Vec::new();
            loop {
                let last = stopped.load(Ordering::Acquire);
                match next() {
                    Some(answer) => answers.push(answer),
                    // What came before the stop was looked for once more after it.
                    None if last => return answers,
                    None => thread::sleep(Duration::from_micros(500)),
                }
            }
        });
        Self { address, stop, thread }
    }

    /// What came of each connection or datagram.
    pub(crate) fn join(self) -> Vec<T> {
        self.stop.store(true, Ordering::Release);
        self.thread.join().unwrap_or_default()
    }
}

/// Connects as soon as the server listens; none when it ended before.
pub(crate) fn connect(server: &mut Running, address: SocketAddr) -> Option<TcpStream> {
    let until = Instant::now() + WAIT;
    loop {
        if let Ok(stream) = TcpStream::connect(address) {
            stream.set_read_timeout(Some(WAIT)).ok()?;
            stream.set_write_timeout(Some(WAIT)).ok()?;
            return Some(stream);
        }
        if server.has_ended() || Instant::now() > until {
            return None;
        }
        thread::sleep(Duration::from_millis(1));
    }
}

/// All until the end of the stream; what came before an error too.
pub(crate) fn read_all(stream: &mut impl Read) -> Vec<u8> {
    let mut bytes = Vec::new();
    let _ = stream.read_to_end(&mut bytes);
    bytes
}

/// Reads up to an end such as a line's; what came before an error or the end of the stream too.
pub(crate) fn read_until(stream: &mut impl Read, end: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut byte = [0];
    while !bytes.ends_with(end) && matches!(stream.read(&mut byte), Ok(1)) {
        bytes.push(byte[0]);
    }
    bytes
}

/// Says each line and hears each answer; what was heard instead is the error.
pub(crate) fn dialogue(stream: &mut (impl Read + Write), steps: &[(&str, &str)]) -> Result<(), String> {
    for (say, hear) in steps {
        stream.write_all(say.as_bytes()).map_err(|error| format!("sending {say:?}: {error}"))?;
        let mut heard = vec![0; hear.len()];
        stream.read_exact(&mut heard).map_err(|error| format!("waiting for {hear:?}: {error}"))?;
        if heard != hear.as_bytes() {
            return Err(format!("{:?} instead of {hear:?}", String::from_utf8_lossy(&heard)));
        }
    }
    Ok(())
}

/// Bytes that are nowhere alike, so that a lost or doubled piece shows.
pub(crate) fn bytes(length: usize) -> Vec<u8> {
    let mut state = 1u32;
    (0..length)
        .map(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            state.to_be_bytes()[0]
        })
        .collect()
}

/// What is wrong with bytes that should be these.
pub(crate) fn differs(what: &str, found: &[u8], expected: &[u8]) -> Option<String> {
    (found != expected).then(|| format!("{what}: {} bytes of {}", found.len(), expected.len()))
}
