//! Debian's Chromium, without a window and driven over WebDriver, which is JSON over HTTP. A command returns when what it
//! set off is done: a click, when the page behind it is loaded. So nothing here waits for a time.
#![allow(unreachable_pub, reason = "a module that several test programs share")]
#![allow(dead_code, reason = "each test file uses its part")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};

use super::{LONG, free_port, need, text, until};

/// The key under which WebDriver names an element (WebDriver, section 11).
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

/// A browser with an empty profile, ended with the test.
pub struct Browser {
    driver: Child,
    port: u16,
    session: String,
    profile: tempfile::TempDir,
}

impl Browser {
    pub fn start() -> Self {
        need("chromium");
        need("chromedriver");
        let (driver, port) = driver();
        let profile = tempfile::tempdir().unwrap();
        let mut browser = Self { driver, port, session: String::new(), profile };
        let folder = format!("--user-data-dir={}", browser.profile.path().display());
        let arguments = [
            "--headless",
            // Chromium's own sandbox refuses root, as which containers run.
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--disable-quic",
            "--no-first-run",
            // It would ask its maker's hosts for this and that.
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--no-proxy-server",
            "--autoplay-policy=no-user-gesture-required",
            "--lang=en",
            &folder,
        ];
        let wanted = json!({"capabilities": {"alwaysMatch": {
            "acceptInsecureCerts": true,
            "goog:chromeOptions": {"args": arguments},
            "goog:loggingPrefs": {"browser": "ALL"},
        }}});
        let session = browser.ask("POST", "", &wanted);
        browser.session = format!("/{}", session["sessionId"].as_str().unwrap());
        browser
    }

    /// Opens a page.
    pub fn open(&self, url: &str) {
        self.command("url", &json!({"url": url}));
    }

    pub fn back(&self) {
        self.command("back", &json!({}));
    }

    /// Where it is.
    pub fn url(&self) -> String {
        self.ask("GET", "/url", &Value::Null).as_str().unwrap().to_owned()
    }

    /// Clicks on a link by what a person reads there.
    #[track_caller]
    pub fn click(&self, words: &str) {
        self.click_on("link text", words);
    }

    /// The same for a button that leads there: a form is sent a little after the click, which waits for links alone.
    #[track_caller]
    pub fn press(&self, words: &str, leads_to: &str) {
        self.click_on("xpath", &format!("//button[.='{words}']"));
        until(leads_to, || self.url() == leads_to && self.eval("return document.readyState") == "complete");
    }

    #[track_caller]
    fn click_on(&self, kind: &str, what: &str) {
        let found = self.command("element", &json!({"using": kind, "value": what}));
        let element = found[ELEMENT].as_str().unwrap_or_else(|| panic!("no {kind} `{what}`: {found}"));
        self.command(&format!("element/{element}/click"), &json!({}));
    }

    /// What a function's body returns in the page.
    pub fn eval(&self, body: &str) -> Value {
        self.command("execute/sync", &json!({"script": body, "args": []}))
    }

    /// The same for one that calls `done` when it has come to something.
    pub fn eval_until_done(&self, body: &str) -> Value {
        let body = format!("const done = arguments[0];\n{body}");
        self.command("execute/async", &json!({"script": body, "args": []}))
    }

    /// A command of the developer tools.
    pub fn tools(&self, command: &str, parameters: &Value) {
        self.command("goog/cdp/execute", &json!({"cmd": command, "params": parameters}));
    }

    /// What the console has said since it was asked last, but of the browser's own pages: it begins with one, which finds its
    /// network slow.
    pub fn console(&self) -> Vec<String> {
        let entries = self.command("se/log", &json!({"type": "browser"}));
        let messages = entries.as_array().unwrap().iter().map(|entry| entry["message"].as_str().unwrap().to_owned());
        messages.filter(|message| !message.starts_with("chrome://")).collect()
    }

    #[track_caller]
    fn command(&self, name: &str, body: &Value) -> Value {
        self.ask("POST", &format!("/{name}"), body)
    }

    #[track_caller]
    fn ask(&self, method: &str, path: &str, body: &Value) -> Value {
        let (status, value) = ask(self.port, method, &format!("/session{}{path}", self.session), body).unwrap();
        assert!(status == 200, "{path} {body}: {value}");
        value
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // The browser is in a group of its own: its driver has to end it.
        let _ = ask(self.port, "DELETE", &format!("/session{}", self.session), &Value::Null);
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}

/// A driver, and the port at which it listens. It takes that of IPv4 and IPv6, and ends if another program has one of them.
fn driver() -> (Child, u16) {
    for _ in 0..10 {
        let mut driver = Command::new("chromedriver")
            .args([&format!("--port={}", free_port()), "--log-level=SEVERE"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .unwrap();
        if let Some(port) = port_of(&mut driver) {
            return (driver, port);
        }
        let _ = driver.wait();
    }
    panic!("chromedriver ended each time before it listened");
}

/// The port at which a driver says that it listens; none if it ends before.
fn port_of(driver: &mut Child) -> Option<u16> {
    let mut said = BufReader::new(driver.stdout.take().unwrap());
    let mut line = String::new();
    while said.read_line(&mut line).unwrap() > 0 {
        if let Some((_, port)) = line.trim_end().trim_end_matches('.').split_once("started successfully on port ") {
            let port = port.parse().unwrap();
            // It goes on to talk, and must not be kept waiting.
            std::thread::spawn(move || std::io::copy(&mut said, &mut std::io::sink()));
            return Some(port);
        }
        line.clear();
    }
    None
}

/// One exchange with the driver: the status, and what is called `value` in its answer.
fn ask(port: u16, method: &str, path: &str, body: &Value) -> std::io::Result<(u16, Value)> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_read_timeout(Some(LONG))?;
    let body = if body.is_null() { String::new() } else { body.to_string() };
    let length = body.len();
    write!(
        stream,
        "{method} {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}"
    )?;
    let mut said = BufReader::new(stream);
    let (mut head, mut length) = (String::new(), 0);
    while !head.ends_with("\r\n\r\n") && said.read_line(&mut head)? > 0 {
        let line = head.lines().next_back().unwrap_or_default().to_ascii_lowercase();
        length = line.strip_prefix("content-length:").map_or(length, |value| value.trim().parse().unwrap());
    }
    let mut content = vec![0; length];
    said.read_exact(&mut content)?;
    let answer: Value = serde_json::from_slice(&content).unwrap_or_else(|_| panic!("{head}{}", text(&content)));
    Ok((head[9..12].parse().unwrap(), answer["value"].clone()))
}
