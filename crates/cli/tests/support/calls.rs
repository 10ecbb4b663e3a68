//! What a server does, counted by strace(1): the same on every machine, however busy it is.
#![allow(unreachable_pub, reason = "a module that several test programs share")]
#![allow(dead_code, reason = "each test file uses its part")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::path::PathBuf;
use std::time::Instant;

use super::{Server, need, until};

/// The wake-ups of a server's loop. One that rests has few, one that spins has thousands a second.
pub struct WakeUps {
    folder: tempfile::TempDir,
    since: (Instant, usize),
}

impl WakeUps {
    /// Starts a server whose wake-ups are counted, behind what else is to stand before its name.
    pub fn of_server(wrapper: &[&str], addresses: &[&str], arguments: &[&str]) -> (Server, Self) {
        Self::of_verb("serve", wrapper, addresses, arguments)
    }

    /// The same of another verb that serves.
    pub fn of_verb(verb: &str, wrapper: &[&str], addresses: &[&str], arguments: &[&str]) -> (Server, Self) {
        need("strace");
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("calls").display().to_string();
        // The tracer is the grandchild (`-D`), so that the child's id is the server's.
        let waits = "trace=?epoll_wait,?epoll_pwait,?epoll_pwait2";
        let strace = ["strace", "-D", "-f", "-qq", "-o", &file, "-e", "signal=none", "-e", waits];
        let server = Server::start_verb(verb, &[wrapper, &strace].concat(), addresses, arguments);
        (server, Self { folder, since: (Instant::now(), 0) })
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("calls")
    }

    /// How many there were in all. One that another thread's interrupts stands there twice, and its end counts.
    fn count(&self) -> usize {
        let calls = std::fs::read_to_string(self.file()).unwrap();
        calls.lines().filter(|line| !line.ends_with("<unfinished ...>")).count()
    }

    /// Counts from here on.
    pub fn begin(&mut self) {
        self.since = (Instant::now(), self.count());
    }

    /// Waits for one more: a server without clients wakes up for a time of its own.
    pub fn wait_for_one(&self) {
        let before = self.count();
        until("a wake-up", || self.count() > before);
    }

    /// There were no more than these for events, and those of a timer that is due ten times a second. A slow machine is
    /// given more of the second kind, and needs them.
    #[track_caller]
    pub fn assert_few(&self, events: usize) {
        let (began, before) = self.since;
        let count = self.count() - before;
        let seconds = began.elapsed().as_secs_f64();
        let most = events + 20 + (10.0 * seconds) as usize;
        assert!(count <= most, "{count} wake-ups for {events} events in {seconds} s");
    }
}
