//! `cargo xtask conformance`: what RFCs ask of both ends of the web, case by case, beside nginx and curl. Requests are sent to
//! `serve --files`, replies to `fetch`, and h2spec is run where it is there or can be had.

mod replies;
mod requests;

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use self::replies::{Outcome, REPLIES, Reply};
use self::requests::{Case, Expect, REQUESTS};
use super::is_there;

/// How long an answer may take.
const WAIT: Duration = Duration::from_secs(5);
/// How h2spec is got by hand.
const H2SPEC: &str = "github.com/summerwind/h2spec/cmd/h2spec@latest";

/// Runs everything; fails where sockeye does.
pub(crate) fn run() -> Result<(), String> {
    super::run("cargo", &["build", "--quiet", "-p", "sockeye-cli"])?;
    let place = Place::new()?;
    let ours = place.sockeye()?;
    let theirs = if is_there("nginx") { Some(place.nginx()?) } else { None };
    let mut failed = requests(&ours, theirs.as_ref());
    failed += replies(&place);
    failed += h2spec(&place, &ours, theirs.as_ref());
    if theirs.is_none() {
        println!("nginx is not installed (Debian: nginx-light): no counts beside ours");
    }
    if failed == 0 { Ok(()) } else { Err(format!("{failed} cases are not as they should be")) }
}

/// A folder with a site, removed at the end.
struct Place {
    folder: PathBuf,
}

/// A server that is ended with the run.
struct Server {
    child: Child,
    port: u16,
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Place {
    fn new() -> Result<Self, String> {
        let folder = std::env::temp_dir().join(format!("sockeye-conformance-{}", std::process::id()));
        let write = |name: &str, text: &[u8]| std::fs::write(folder.join(name), text);
        let made = std::fs::create_dir_all(folder.join("site"))
            .and_then(|()| write("site/index.html", b"<p>here"))
            .and_then(|()| write("site/a.txt", &[b'a'; 1000]));
        made.map_err(|error| format!("{}: {error}", folder.display()))?;
        Ok(Self { folder })
    }

    fn start(&self, command: &mut Command, port: u16) -> Result<Server, String> {
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let child = command.spawn().map_err(|error| format!("{command:?}: {error}"))?;
        let server = Server { child, port };
        let began = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            if began.elapsed() > 4 * WAIT {
                return Err(format!("{command:?} does not listen"));
            }
            thread::sleep(Duration::from_millis(20));
        }
        Ok(server)
    }

    fn sockeye(&self) -> Result<Server, String> {
        let port = free_port()?;
        let mut command = Command::new(binary());
        command.args(["serve", &format!("http://127.0.0.1:{port}"), "-q", "--files"]).arg(self.folder.join("site"));
        self.start(&mut command, port)
    }

    fn nginx(&self) -> Result<Server, String> {
        let port = free_port()?;
        let at = self.folder.display();
        let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .iter()
            .map(|kind| format!("{kind}_temp_path {at}/{kind};"))
            .collect();
        let text = format!(
            "daemon off; master_process off; pid {at}/pid; error_log {at}/error;\nevents {{}}\n\
             http {{ access_log off; {temporary} server {{ listen 127.0.0.1:{port} http2; root {at}/site; }}\n\
             server {{ listen 127.0.0.1:{}; root {at}/site; }} }}\n",
            // HTTP/2 without TLS takes a port of its own there.
            port + 1
        );
        let conf = self.folder.join("nginx.conf");
        std::fs::write(&conf, text).map_err(|error| format!("{}: {error}", conf.display()))?;
        let mut command = Command::new("nginx");
        command.arg("-p").arg(&self.folder).arg("-c").arg(&conf);
        let mut server = self.start(&mut command, port + 1)?;
        server.port = port + 1;
        Ok(server)
    }
}

fn binary() -> PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| Path::new("target").to_owned(), PathBuf::from);
    let binary = target.join("debug/sockeye");
    std::path::absolute(&binary).unwrap_or(binary)
}

/// A port that is free, as well as the next one.
fn free_port() -> Result<u16, String> {
    for _ in 0..100 {
        let Ok(one) = TcpListener::bind(("127.0.0.1", 0)) else { continue };
        let Ok(address) = one.local_addr() else { continue };
        if address.port() < u16::MAX && TcpListener::bind(("127.0.0.1", address.port() + 1)).is_ok() {
            return Ok(address.port());
        }
    }
    Err("there are no two free ports next to each other".to_owned())
}

/// Sends each request to both; how many of ours are wrong.
fn requests(ours: &Server, theirs: Option<&Server>) -> usize {
    let (mut right, mut theirs_right) = (0, 0);
    for case in REQUESTS {
        let answer = ask(ours.port, case);
        let is_right = fits(case, &answer);
        right += usize::from(is_right);
        if !is_right {
            println!("  {}: {} ({})", case.name, shown(&answer), case.section);
        }
        theirs_right += theirs.map_or(0, |nginx| usize::from(fits(case, &ask(nginx.port, case))));
    }
    let all = REQUESTS.len();
    println!("requests over HTTP/1: sockeye {right} of {all}, nginx {theirs_right} of {all}");
    all - right
}

/// All that comes back until nothing more does.
fn ask(port: u16, case: &Case) -> Vec<u8> {
    let mut said = Vec::new();
    let Ok(mut stream) = TcpStream::connect(("127.0.0.1", port)) else { return said };
    let _ = stream.set_read_timeout(Some(WAIT));
    let _ = stream.set_nodelay(true);
    for (at, piece) in case.pieces.iter().enumerate() {
        if at > 0 {
            // So that it is read by itself.
            thread::sleep(Duration::from_millis(10));
        }
        if stream.write_all(piece).is_err() {
            break;
        }
    }
    // Nothing more comes: what is answered by then is all there will be.
    let _ = stream.shutdown(Shutdown::Write);
    let _ = stream.read_to_end(&mut said);
    said
}

/// The statuses in the answers, in their order.
fn statuses(said: &[u8]) -> Vec<u16> {
    let text = String::from_utf8_lossy(said);
    text.split("HTTP/1.1 ").skip(1).filter_map(|answer| answer.get(..3)?.parse().ok()).collect()
}

fn fits(case: &Case, said: &[u8]) -> bool {
    let found = statuses(said);
    match case.expect {
        Expect::Good(count) => found.len() == count && found.iter().all(|status| (200..300).contains(status)),
        Expect::NotStored => matches!(found[..], [200..=299 | 404 | 405]),
        Expect::Refused(allowed) => matches!(found[..], [one] if allowed.contains(&one)),
        // A server may also just end the connection.
        Expect::RefusedOrCut(allowed) => said.is_empty() || matches!(found[..], [one] if allowed.contains(&one)),
    }
}

fn shown(said: &[u8]) -> String {
    match &statuses(said)[..] {
        [] if said.is_empty() => "no answer".to_owned(),
        [] => format!("{:?}", String::from_utf8_lossy(&said[..said.len().min(40)])),
        found => format!("{found:?}"),
    }
}

/// Sends each reply to both clients; how many of ours are wrong.
fn replies(place: &Place) -> usize {
    let has_curl = is_there("curl");
    let (mut right, mut theirs_right) = (0, 0);
    for reply in REPLIES {
        let mut fetch = Command::new(binary());
        fetch.args(["fetch", "--timeout", "10s", "-q", "-o", "-"]);
        let is_right = judge(reply, &mut fetch, place);
        right += usize::from(is_right);
        if !is_right {
            println!("  {} ({})", reply.name, reply.section);
        }
        if has_curl {
            let mut curl = Command::new("curl");
            curl.args(["-sSfL", "--compressed", "--noproxy", "*", "-m", "10"]);
            theirs_right += usize::from(judge(reply, &mut curl, place));
        }
    }
    let all = REPLIES.len();
    println!("replies to a client: sockeye {right} of {all}, curl {theirs_right} of {all}");
    all - right
}

/// Whether a client makes of a reply what it should.
fn judge(reply: &Reply, client: &mut Command, place: &Place) -> bool {
    let Ok(listener) = TcpListener::bind(("127.0.0.1", 0)) else { return false };
    let Ok(address) = listener.local_addr() else { return false };
    let bytes = reply.bytes;
    let server = thread::spawn(move || {
        let Ok((mut stream, _)) = listener.accept() else { return };
        let _ = stream.set_read_timeout(Some(WAIT));
        let mut head = Vec::new();
        let mut one = [0; 1024];
        while !head.windows(4).any(|four| four == b"\r\n\r\n") {
            match stream.read(&mut one) {
                Ok(length @ 1..) => head.extend_from_slice(&one[..length]),
                _ => return,
            }
        }
        let _ = stream.write_all(bytes);
        let _ = stream.shutdown(Shutdown::Write);
        let _ = stream.read_to_end(&mut head);
    });
    let client = client.arg(format!("http://{address}/")).current_dir(&place.folder);
    let output = client.env_remove("http_proxy").env_remove("all_proxy").stdin(Stdio::null()).output();
    // One that never came would be waited for.
    drop(TcpStream::connect(address));
    let _ = server.join();
    output.is_ok_and(|output| {
        let is_saved = |body: &[u8]| output.status.success() && output.stdout.ends_with(body);
        // A signal is no way to fail.
        let fails = output.status.code().is_some_and(|code| code != 0);
        match reply.outcome {
            Outcome::Saved(body) => is_saved(body),
            Outcome::Fails => fails,
            Outcome::SavedOrFails(body) => is_saved(body) || fails,
        }
    })
}

/// Runs h2spec against both, if it is there or can be had.
fn h2spec(place: &Place, ours: &Server, theirs: Option<&Server>) -> usize {
    let Some(program) = find_h2spec() else {
        println!(
            "HTTP/2: h2spec is not there and could not be had: where Go's modules can be reached, `go install {H2SPEC}` brings it"
        );
        return 0;
    };
    let count = |port: u16| -> Option<(usize, usize)> {
        let output = Command::new(&program)
            .args(["--strict", "-h", "127.0.0.1", "-p", &port.to_string()])
            .current_dir(&place.folder)
            .output()
            .ok()?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let line = text.lines().rev().find(|line| line.contains(" tests, "))?;
        let numbers: Vec<usize> = line.split(|c: char| !c.is_ascii_digit()).filter_map(|n| n.parse().ok()).collect();
        Some((*numbers.get(1)?, *numbers.first()?))
    };
    // Over plain HTTP there, HTTP/2 has the port before.
    let nginx = theirs.and_then(|nginx| count(nginx.port - 1));
    let shown =
        |found: Option<(usize, usize)>| found.map_or("none".to_owned(), |(right, all)| format!("{right} of {all}"));
    let found = count(ours.port);
    println!("h2spec, strict: sockeye {}, nginx {}", shown(found), shown(nginx));
    match (found, nginx) {
        (None, _) => 1,
        // Some of its cases race: no fewer than nginx is what can be asked for.
        (Some((right, _)), Some((theirs, _))) => theirs.saturating_sub(right),
        _ => 0,
    }
}

fn find_h2spec() -> Option<PathBuf> {
    if is_there("h2spec") {
        return Some("h2spec".into());
    }
    let tools = std::env::current_dir().ok()?.join("target/tools");
    let program = tools.join("h2spec");
    if program.exists() {
        return Some(program);
    }
    if is_there("go") {
        println!("+ go install {H2SPEC}");
        let got = Command::new("go").args(["install", H2SPEC]).env("GOBIN", &tools).output();
        return (got.is_ok_and(|got| got.status.success()) && program.exists()).then_some(program);
    }
    None
}
