//! Runs one command line with both programs, and compares what came of it.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

use super::peer::Peer;
use super::support::{BINARY, need};

/// Longer than any of these conversations takes; who is not done then is ended, which is no result.
pub(crate) const LONG: Duration = Duration::from_secs(180);

/// Runs a test in a network of its own: this program again, with that test alone.
pub(crate) fn alone(test: &str, body: impl FnOnce()) {
    const INSIDE: &str = "SOCKEYE_TEST_INSIDE";
    if std::env::var_os(INSIDE).is_some() {
        return body();
    }
    for program in ["unshare", "ip", "strace", "nc.openbsd"] {
        need(program);
    }
    // `--` and `\$0` keep the test's name out of the script.
    let script = "ip link set lo up && exec \"$0\" \"$@\"";
    let mut command = Command::new("unshare");
    command.args(["-rn", "sh", "-euc", script]).arg(std::env::current_exe().unwrap());
    command.args(["--exact", test, "--nocapture", "--test-threads=1"]).env(INSIDE, "1");
    let output = command.output().unwrap();
    let told = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
    assert!(output.status.success() && told.contains("1 passed"), "{told}");
}

/// A port that was not used in this network, and that has no name.
pub(crate) fn port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(10_000);
    let services = fs::read_to_string("/etc/services").unwrap_or_default();
    loop {
        let port = NEXT.fetch_add(1, Ordering::Relaxed);
        let named = format!("{port}/");
        if !services.split_whitespace().any(|word| word.starts_with(&named)) {
            return port;
        }
    }
}

/// What both programs are run with. `PORT` and `OTHER` in the arguments are ports of its own for each run, and `DIR` an empty folder.
#[derive(Debug, Clone)]
pub(crate) struct Case {
    pub(crate) arguments: Vec<String>,
    pub(crate) input: Input,
    pub(crate) peer: Peer,
}

/// Standard input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Input {
    Null,
    /// A file, which is read whole and then ends.
    File(Vec<u8>),
    /// Nothing, and no end.
    Open,
}

impl Case {
    pub(crate) fn new(line: &str, input: Input, peer: Peer) -> Self {
        Self { arguments: line.split_whitespace().map(str::to_owned).collect(), input, peer }
    }
}

/// What came of it, with the numbers that differ from run to run made the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Outcome {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: String,
    /// What the peer heard.
    pub(crate) heard: Vec<u8>,
    pub(crate) calls: Vec<String>,
}

/// Where each program is found under the name `nc`.
pub(crate) fn programs() -> (tempfile::TempDir, [PathBuf; 2]) {
    let folder = tempfile::tempdir().unwrap();
    let [theirs, ours] = ["theirs", "ours"].map(|name| folder.path().join(name));
    for (place, target) in [(&theirs, Path::new("/usr/bin/nc.openbsd")), (&ours, Path::new(BINARY))] {
        fs::create_dir(place).unwrap();
        symlink(target, place.join("nc")).unwrap();
    }
    let found = [theirs.join("nc"), ours.join("nc")];
    (folder, found)
}

/// Both outcomes, theirs first.
pub(crate) fn both(case: &Case) -> [Outcome; 2] {
    let (_folder, programs) = programs();
    programs.map(|program| run(&program, case))
}

#[track_caller]
pub(crate) fn assert_same(case: &Case) -> Outcome {
    let [theirs, ours] = both(case);
    assert_eq!(ours, theirs, "ours, and theirs, of {case:?}");
    ours
}

fn run(program: &Path, case: &Case) -> Outcome {
    let folder = tempfile::tempdir().unwrap();
    let trace = folder.path().join("trace");
    let inside = folder.path().join("inside");
    fs::create_dir(&inside).unwrap();
    let (port, other) = (port(), port());
    let dir = inside.display().to_string();
    let arguments: Vec<String> = case
        .arguments
        .iter()
        .map(|word| word.replace("PORT", &port.to_string()).replace("OTHER", &other.to_string()).replace("DIR", &dir))
        .collect();
    let peer = case.peer.start(port, &inside);
    let mut command = Command::new("strace");
    command.args(["-qq", "-e", "signal=none", "-e", "trace=%net", "-o"]).arg(&trace).arg(program).args(&arguments);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    match &case.input {
        Input::Null => drop(command.stdin(Stdio::null())),
        Input::File(bytes) => {
            let path = folder.path().join("input");
            fs::write(&path, bytes).unwrap();
            command.stdin(fs::File::open(path).unwrap());
        }
        Input::Open => {}
    }
    let mut child = command.spawn().unwrap();
    let (code, stdout, stderr) = ended(&mut child, &arguments);
    let heard = peer.finish();
    let calls = fs::read_to_string(&trace).unwrap_or_default();
    let place = program.parent().unwrap().display().to_string();
    let same = |text: &str| normal(&text.replace(&place, "BIN"), [port, other], &dir);
    let calls =
        calls.lines().filter(|line| !line.contains("+++")).map(|line| same(without_result_of_shutdown(line))).collect();
    Outcome { code, stdout, stderr: same(&String::from_utf8_lossy(&stderr)), heard, calls }
}

fn ended(child: &mut Child, arguments: &[String]) -> (Option<i32>, Vec<u8>, Vec<u8>) {
    let stdin = child.stdin.take();
    let mut streams = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
    let stdout = std::thread::spawn(move || {
        let mut bytes = Vec::new();
        let _ = streams.0.read_to_end(&mut bytes);
        bytes
    });
    let stderr = std::thread::spawn(move || {
        let mut bytes = Vec::new();
        let _ = streams.1.read_to_end(&mut bytes);
        bytes
    });
    let until = Instant::now() + LONG;
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        if Instant::now() > until {
            child.kill().unwrap();
            panic!("it does not end: {arguments:?}");
        }
        std::thread::sleep(Duration::from_millis(2));
    };
    drop(stdin);
    (status.code(), stdout.join().unwrap(), stderr.join().unwrap())
}

/// The port, the folder, ports that the system chose, and names and memory that are new in each run.
fn normal(text: &str, [port, other]: [u16; 2], dir: &str) -> String {
    let text = text.replace(dir, "DIR");
    let mut out = String::new();
    let mut rest = text.as_str();
    while let Some(start) = rest.find(|c: char| c.is_ascii_digit()) {
        out.push_str(&rest[..start]);
        rest = &rest[start..];
        let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        match rest[..end].parse::<u64>() {
            Ok(number) if number == u64::from(port) => out.push_str("PORT"),
            Ok(number) if number == u64::from(other) => out.push_str("OTHER"),
            Ok(32_768..=60_999) => out.push_str("SOME"),
            _ => out.push_str(&rest[..end]),
        }
        rest = &rest[end..];
    }
    out.push_str(rest);
    without_temporary_names(&out)
}

/// Whether the peer has ended its side by then is a race that nc does not care about.
fn without_result_of_shutdown(line: &str) -> &str {
    if line.starts_with("shutdown(") { line.split(" = ").next().unwrap_or(line).trim_end() } else { line }
}

fn without_temporary_names(text: &str) -> String {
    let mut parts = text.split("/tmp/nc-");
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        out.push_str("/tmp/nc-NAME");
        out.push_str(part.get(6..).unwrap_or_default());
    }
    out
}

/// Writes all, and does not mind if the other end has gone.
pub(crate) fn say(mut to: impl Write, bytes: &[u8]) {
    let _ = to.write_all(bytes);
}
