//! Transcripts of `transcripts/` against a real other end.
#![allow(unreachable_pub, reason = "a module that several test programs share")]
#![allow(dead_code, reason = "each test file uses its part")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use super::peers::Peer;
use super::{Server, assert_code, need, run, run_command, text, transcript};

pub const TCP: &str = "tcp://127.0.0.1:0";
pub const UDP: &str = "udp://127.0.0.1:0";

/// Serves one conversation, has a real client hold it, and expects it to have gone as written.
#[track_caller]
pub fn serve(name: &str, address: &str, more: &[&str], client: impl FnOnce(u16) -> Output) -> String {
    let file = transcript(name).display().to_string();
    let mut server = Server::start_at(&[address], &[&["--play", &file, "--once"], more].concat());
    let output = client(server.port());
    assert_code(&output, 0);
    assert_eq!(server.wait(), 0, "{name}: {:#?}", server.log.all());
    text(&output.stdout)
}

/// A client in Python; its port is `PORT`.
pub fn python(program: &str, script: &str) -> impl FnOnce(u16) -> Output {
    need(program.rsplit('/').next().unwrap());
    let (program, script) = (program.to_owned(), script.to_owned());
    move |port| {
        let script = script.replace("PORT", &port.to_string());
        run_command(Command::new(program).args(["-c", &script]), b"")
    }
}

/// A client of its own.
pub fn client(program: &str, arguments: &[&str], input: &str) -> impl FnOnce(u16) -> Output {
    need(program);
    let (program, input) = (program.to_owned(), input.to_owned());
    let arguments: Vec<String> = arguments.iter().map(|&argument| argument.to_owned()).collect();
    move |port| {
        let arguments = arguments.iter().map(|argument| argument.replace("PORT", &port.to_string()));
        run_command(Command::new(program).args(arguments), input.as_bytes())
    }
}

/// Plays the client's side against a real server.
#[track_caller]
pub fn talk(name: &str, address: &str, more: &[&str]) {
    let file = transcript(name).display().to_string();
    assert_code(&run(&[&["talk", address, "--play", &file], more].concat(), b""), 0);
}

/// A server that takes its port and its folder as `PORT` and `FOLDER` in its arguments and in its configuration.
pub fn server(program: &str, folder: &Path, config: &str, arguments: &[&str]) -> Peer {
    need(program.rsplit('/').next().unwrap());
    Peer::start(|port| {
        let fill =
            |text: &str| text.replace("PORT", &port.to_string()).replace("FOLDER", &folder.display().to_string());
        fs::write(folder.join("conf"), fill(config)).unwrap();
        let mut command = Command::new(program);
        command.args(arguments.iter().map(|argument| fill(argument))).current_dir(folder);
        command
    })
}
