//! docs/from-nc.md and docs/compared.md: every command of ours runs, and every test that is named is there.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::net::{Shutdown, TcpStream, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use support::peers::Peer;
use support::*;

fn page(name: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs").join(name)).unwrap()
}

/// The cells of a page's tables, row by row, without headings.
fn rows(page: &str) -> Vec<Vec<String>> {
    let cells = |line: &str| -> Vec<String> {
        line.trim_matches('|').split(" | ").map(|cell| cell.trim().to_owned()).collect()
    };
    let lines = page.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| ---"));
    lines.map(cells).filter(|cells| cells[0] != "there" && cells[0] != "what").collect()
}

/// What the commands of the page need: an echo over TCP, UDP and a path, proxies, a file, a program of our name.
struct Stage {
    folder: tempfile::TempDir,
    echo: Server,
    _unix: Server,
    socks: Peer,
    http: Peer,
}

impl Stage {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink(BINARY, folder.path().join("sockeye")).unwrap();
        fs::write(folder.path().join("file"), "hello\n").unwrap();
        let path = format!("unix:{}", folder.path().join("PATH").display());
        for program in ["microsocks", "tinyproxy"] {
            need(program);
        }
        // SOCKS 4 is not microsocks's: sockeye's own test has a fake for it, and here the port of HTTP has to do.
        let socks = Peer::start(|port| {
            let mut command = Command::new("microsocks");
            command.args(["-i", "127.0.0.1", "-p", &port.to_string()]);
            command
        });
        let http = Peer::start(|port| {
            let config = folder.path().join(format!("proxy-{port}.conf"));
            fs::write(&config, format!("Port {port}\nListen 127.0.0.1\nTimeout 60\nAllow 127.0.0.1\n")).unwrap();
            let mut command = Command::new("tinyproxy");
            command.arg("-d").arg("-c").arg(&config);
            command
        });
        let unix = Server::start_at(&[&path], &["--echo"]);
        Self { folder, echo: Server::start(&["--echo"]), _unix: unix, socks, http }
    }

    /// A command of the page in a shell; ports of the page become ours, and listeners choose theirs.
    fn shell(&self, written: &str, listens: bool) -> Command {
        let echo = if listens { "0".to_owned() } else { self.echo.port().to_string() };
        let script = written
            .replace("9998-9999", &format!("{echo},{echo}"))
            .replace("9999", &echo)
            .replace("1080", &self.socks.port.to_string())
            .replace("8888", &self.http.port.to_string())
            .replace("localhost", "127.0.0.1");
        let script = if listens { script.replacen("sockeye ", "exec sockeye ", 1) } else { script };
        let path = format!("{}:{}", self.folder.path().display(), std::env::var("PATH").unwrap());
        let mut command = Command::new("bash");
        command.args(["-euc", &script]).current_dir(self.folder.path()).env("PATH", path);
        command
    }
}

/// The port that a listener says it has.
fn port_of(log: &Log) -> u16 {
    log.wait_for("listening on");
    let line = log.all().into_iter().find(|line| line.contains("listening on")).unwrap();
    line.rsplit(':').next().unwrap().trim().parse().unwrap()
}

fn say_hello(written: &str, port: u16, child: &mut Child) {
    if written.contains("udp://") {
        let client = UdpSocket::bind("127.0.0.1:0").unwrap();
        client.send_to(b"hello", ("127.0.0.1", port)).unwrap();
        return;
    }
    let mut client = TcpStream::connect(("127.0.0.1", port)).unwrap();
    client.write_all(b"hello\n").unwrap();
    client.shutdown(Shutdown::Write).unwrap();
    let heard = to_end(&mut client);
    // A server says it back.
    assert!(written.starts_with("sockeye talk") || heard == b"hello\n", "{written}: {heard:?}");
    let _ = child;
}

#[test]
fn every_command_of_ours_runs() {
    let stage = Stage::new();
    let commands: BTreeSet<String> =
        rows(&page("from-nc.md")).into_iter().map(|cells| cells.last().unwrap().trim_matches('`').to_owned()).collect();
    assert!(commands.len() > 30, "{commands:?}");
    for written in commands {
        assert!(written.starts_with("sockeye "), "{written}");
        let listens =
            written.contains("--listen ") && written.starts_with("sockeye talk") || written.contains(" serve ");
        let mut command = stage.shell(&written, listens);
        if !listens {
            let output = run_command(&mut command, b"hello\n");
            let expected = match &written {
                // microsocks knows SOCKS 5 alone: how 4 is asked is tested elsewhere.
                written if written.contains("socks4://") => 56,
                // Nothing comes without a question, and that is told.
                written if written.contains("--recv-only") => 28,
                _ => 0,
            };
            let told = text(&output.stderr);
            assert_eq!(code(&output), expected, "{written}: {told}");
            let answers = written.starts_with("sockeye talk")
                && !["--zero", "--send-only", "--recv-only", "/dev/null", "socks4"]
                    .iter()
                    .any(|no| written.contains(no));
            assert!(!answers || text(&output.stdout).trim() == "hello", "{written}: {}", text(&output.stdout));
            continue;
        }
        let stays = written.contains("--keep") || written.contains(" serve ") || written.contains("udp://");
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let log = Log::default();
        log.follow(child.stderr.take().unwrap());
        let port = port_of(&log);
        say_hello(&written, port, &mut child);
        if written.starts_with("sockeye talk") && !written.contains(">file") {
            assert_eq!(line(child.stdout.as_mut().unwrap()), "hello\n", "{written}");
        }
        if stays {
            signal(child.id(), "TERM");
        }
        let expected = if stays && written.starts_with("sockeye talk") { 143 } else { 0 };
        assert_eq!(wait(&mut child), expected, "{written}: {:?}", log.all());
    }
}

/// The files of a folder and those below it.
fn sources(folder: PathBuf) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(sources(path));
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            found.push(path);
        }
    }
    found
}

#[test]
fn every_row_names_a_test_that_is_there() {
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let folders = ["cli/tests", "cli/src", "sockeye/tests", "sockeye/src", "transcript/tests"];
    let code: String = folders
        .iter()
        .flat_map(|folder| sources(crates.join(folder)))
        .map(|path| fs::read_to_string(path).unwrap())
        .collect();
    let rows = rows(&page("compared.md"));
    assert!(rows.len() > 25, "{}", rows.len());
    for cells in rows {
        let name = cells.last().unwrap().trim_matches('`');
        let is_name = !name.is_empty() && name.bytes().all(|byte| byte == b'_' || byte.is_ascii_alphanumeric());
        assert!(is_name, "no test stands in the row {cells:?}");
        assert!(
            code.contains(&format!("#[test]\nfn {name}(")) || code.contains(&format!("#[test]\n    fn {name}(")),
            "{name} is no test"
        );
    }
}
