//! Where a scenario is played: a folder and an address of its own, the program under strace, and a clock that ends it.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::case::{Case, Fault};
use super::peer::WAIT;

/// Beyond every limit that a scenario gives and every bound that it meets: a drain takes 5 s.
pub(crate) const PATIENCE: Duration = Duration::from_secs(12);

/// What strace does.
#[derive(Debug, Clone)]
pub(crate) enum Tracing {
    /// Nothing: it is not there.
    Off,
    /// All calls go to this file.
    Count(PathBuf),
    Inject(Case),
}

#[derive(Debug)]
pub(crate) struct Stage {
    pub(crate) program: PathBuf,
    pub(crate) tracing: Tracing,
    pub(crate) patience: Duration,
    folder: PathBuf,
    address: Ipv4Addr,
}

impl Stage {
    pub(crate) fn set(program: &Path, tracing: Tracing, patience: Duration) -> Result<Self, String> {
        static RUNS: AtomicUsize = AtomicUsize::new(0);
        let run = RUNS.fetch_add(1, Ordering::Relaxed);
        let process = std::process::id();
        let folder = std::env::temp_dir().join(format!("faults-{process}-{run}"));
        fs::create_dir_all(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
        // Each run has an address of the loopback to itself, so that no port is ever taken.
        let part = |number: usize| u8::try_from(number % 250 + 1).unwrap_or(1);
        let address = Ipv4Addr::new(127, part(process as usize), part(run / 250), part(run));
        Ok(Self { program: program.to_owned(), tracing, patience, folder, address })
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Where a server under test listens.
    pub(crate) fn address(&self) -> SocketAddr {
        (self.address, 7000).into()
    }

    pub(crate) fn put(&self, name: &str, content: impl AsRef<[u8]>) {
        fs::write(self.path(name), content).expect("a file in our own folder");
    }

    /// Whether an account on standard error can be expected.
    pub(crate) fn hears_words(&self) -> bool {
        !matches!(&self.tracing, Tracing::Inject(case) if case.is_mute())
    }

    /// Starts the program under test.
    pub(crate) fn start(&self, arguments: &[&str], input: Input<'_>) -> Running {
        self.start_with(&self.tracing, arguments, input)
    }

    /// Starts the same program as a peer, which meets no fault.
    pub(crate) fn start_peer(&self, arguments: &[&str]) -> Running {
        self.start_peer_with(arguments, Input::Null)
    }

    /// The same with a standard input.
    pub(crate) fn start_peer_with(&self, arguments: &[&str], input: Input<'_>) -> Running {
        self.start_with(&Tracing::Off, arguments, input)
    }

    pub(crate) fn command(&self, tracing: &Tracing) -> Command {
        // -D: the program is our child, so its exit code, its signals and its end are what we see.
        let mut command = Command::new("strace");
        command.args(["-D", "-f", "-qqq"]);
        match tracing {
            Tracing::Off => return Command::new(&self.program),
            Tracing::Count(file) => command.arg("-o").arg(file),
            Tracing::Inject(case) => {
                // Fewer stops make a run shorter, and at these strace sends no signal.
                if case.scenario.contains("exec") {
                    // A program that ours starts meets no fault.
                    command.args(["-b", "execve"]);
                } else if case.fault != Fault::Kill {
                    command.arg("--seccomp-bpf");
                }
                let trace = format!("trace={}", case.call);
                command.args(["-o", "/dev/null", "-e", &trace, "-e", &case.injection()])
            }
        };
        command.arg(&self.program);
        command
    }

    fn start_with(&self, tracing: &Tracing, arguments: &[&str], input: Input<'_>) -> Running {
        let mut command = self.command(tracing);
        let stdin = match input {
            Input::Null => Stdio::null(),
            Input::File(name) => File::open(self.path(name)).expect("a file that the scenario put there").into(),
            Input::Pipe(_) => Stdio::piped(),
        };
        command.args(arguments).current_dir(&self.folder).stdin(stdin).stdout(Stdio::piped()).stderr(Stdio::piped());
        for (name, _) in std::env::vars() {
            if name.to_ascii_lowercase().ends_with("_proxy") {
                command.env_remove(name);
            }
        }
        let mut child = command.env("RUST_BACKTRACE", "0").spawn().expect("strace starts");
        if let Input::Pipe(bytes) = input {
            let mut stdin = child.stdin.take().expect("piped");
            let bytes = bytes.to_vec();
            // A program that ends early leaves the rest.
            thread::spawn(move || drop(stdin.write_all(&bytes)));
        }
        let stdout = Collected::from(child.stdout.take().expect("piped"));
        let stderr = Collected::from(child.stderr.take().expect("piped"));
        let may_miss_signal = matches!(&self.tracing, Tracing::Inject(case) if case.may_lose_signals());
        Running { child, stdout, stderr, deadline: Instant::now() + self.patience, may_miss_signal, told: None }
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// What standard input is.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Input<'a> {
    Null,
    Pipe(&'a [u8]),
    File(&'a str),
}

#[derive(Debug)]
pub(crate) struct Running {
    child: Child,
    stdout: Collected,
    stderr: Collected,
    deadline: Instant,
    /// Whether the fault may be in what a signal's handler writes: then it is sent again.
    may_miss_signal: bool,
    /// When it was told to end.
    told: Option<Instant>,
}

impl Running {
    pub(crate) fn has_ended(&mut self) -> bool {
        self.child.try_wait().is_ok_and(|status| status.is_some())
    }

    /// What it said so far on standard error.
    pub(crate) fn words(&self) -> String {
        String::from_utf8_lossy(&self.stderr.bytes.lock().expect("no reader panics")).into_owned()
    }

    /// Waits until it said so, or ended, or its time is over.
    pub(crate) fn wait_for(&mut self, word: &str) -> bool {
        let until = Instant::now() + WAIT;
        loop {
            let (ended, said) = (self.has_ended(), self.words().contains(word));
            if ended || said || Instant::now() > until {
                return said;
            }
            thread::sleep(Duration::from_millis(1));
        }
    }

    pub(crate) fn terminate(&mut self) {
        self.told = Some(Instant::now());
        let _ = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).stderr(Stdio::null()).status();
    }

    /// Waits for its end, and makes one when the time is over.
    pub(crate) fn finish(mut self) -> Ended {
        let end = loop {
            match self.child.try_wait() {
                Ok(Some(status)) => break End::Exited(status),
                Ok(None) if Instant::now() < self.deadline => {
                    thread::sleep(Duration::from_millis(1));
                    if self.may_miss_signal && self.told.is_some_and(|told| told.elapsed() > Duration::from_secs(3)) {
                        self.may_miss_signal = false;
                        self.terminate();
                    }
                }
                _ => {
                    let _ = self.child.kill();
                    let _ = self.child.wait();
                    break End::TimedOut;
                }
            }
        };
        Ended { end, stdout: self.stdout.all(), stderr: String::from_utf8_lossy(&self.stderr.all()).into_owned() }
    }
}

/// How the program ended, and what it wrote.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) end: End,
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: String,
}

impl Ended {
    pub(crate) fn succeeded(&self) -> bool {
        matches!(self.end, End::Exited(status) if status.success())
    }
}

#[derive(Debug, Clone, Copy)]
pub(crate) enum End {
    Exited(ExitStatus),
    TimedOut,
}

/// What comes out of a pipe, while it comes.
#[derive(Debug)]
struct Collected {
    bytes: Arc<Mutex<Vec<u8>>>,
    reader: JoinHandle<()>,
}

impl Collected {
    fn from(mut pipe: impl Read + Send + 'static) -> Self {
        let bytes = Arc::new(Mutex::new(Vec::new()));
        let collected = Arc::clone(&bytes);
        let reader = thread::spawn(move || {
            let mut buffer = [0; 16 << 10];
            while let Ok(read @ 1..) = pipe.read(&mut buffer) {
                collected.lock().expect("no reader panics").extend_from_slice(&buffer[..read]);
            }
        });
        Self { bytes, reader }
    }

    fn all(self) -> Vec<u8> {
        let _ = self.reader.join();
        std::mem::take(&mut self.bytes.lock().expect("no reader panics"))
    }
}
