//! `sockeye nc`, and the program invoked as `nc`: nc's own command line, messages and exit codes.
//!
//! Nothing that holds for the other verbs happens here: no limit is raised, no signal is handled, no thread is started, and
//! the standard streams that were closed are closed again, for nc's sockets get these numbers.

mod arguments;
mod getopt;

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::fd::AsFd;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;
use std::process::ExitCode;

use sockeye::verb::nc::{self, Notice};

use arguments::Stop;

use crate::sys::StandardStreams;

/// Names under which Debian has nc.
const NAMES: [&str; 3] = ["nc", "netcat", "nc.openbsd"];

/// nc's command line, if it is nc that is asked for.
pub(crate) struct Invocation {
    /// As getopt(3) says it.
    program: Vec<u8>,
    words: Vec<Vec<u8>>,
}

/// Whether the program was invoked as nc, or `nc` is the verb and stands first. `sockeye nc --help` is ours.
pub(crate) fn invocation() -> Option<Invocation> {
    of(&std::env::args_os().collect::<Vec<_>>())
}

fn of(words: &[OsString]) -> Option<Invocation> {
    let [first, rest @ ..] = words else { return None };
    let is_nc = |name: &OsStr| NAMES.iter().any(|known| name == *known);
    if Path::new(first).file_name().is_some_and(is_nc) {
        return Some(Invocation::new(first.clone(), rest));
    }
    match rest {
        [verb, only] if verb == "nc" && only == "--help" => None,
        [verb, rest @ ..] if verb == "nc" => Some(Invocation::new("nc".into(), rest)),
        _ => None,
    }
}

impl Invocation {
    fn new(program: OsString, words: &[OsString]) -> Self {
        let words = words.iter().map(|word| word.as_bytes().to_vec()).collect();
        Self { program: program.into_vec(), words }
    }

    /// The words of a verb that stood behind flags of ours.
    pub(crate) fn of_verb(words: &[OsString]) -> Self {
        Self::new("nc".into(), words)
    }

    /// Runs nc to its end.
    pub(crate) fn run(&self, streams: StandardStreams) -> ExitCode {
        streams.close_again();
        let options = match arguments::read(&self.program, &self.words) {
            Ok(options) => options,
            Err(Stop::Said { words, code }) => {
                say(&words);
                return ExitCode::from(code);
            }
            Err(Stop::Wrong(why)) => return self.fail(&why),
        };
        let mut tell = |notice: Notice| match notice {
            Notice::Warning(words) => self.warn(&words),
            Notice::Line(mut words) => {
                words.push(b'\n');
                say(&words);
            }
            _ => {}
        };
        match nc::run(&options, &mut tell) {
            Ok(code) => ExitCode::from(code),
            Err(why) => self.fail(&why.0),
        }
    }

    fn fail(&self, why: &[u8]) -> ExitCode {
        self.warn(why);
        ExitCode::FAILURE
    }

    /// As err(3): the last part of the program's name stands in front.
    fn warn(&self, words: &[u8]) {
        let name = self.program.rsplit(|byte| *byte == b'/').next().unwrap_or(&self.program);
        say(&[name, b": ", words, b"\n"].concat());
    }
}

/// Scripts read these lines, so they go out byte by byte as they are, and waiting is part of it.
fn say(words: &[u8]) {
    let _ = crate::output::write_all(io::stderr().as_fd(), words);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<OsString> {
        text.split(' ').map(OsString::from).collect()
    }

    #[test]
    fn nc_is_a_verb_and_a_name_of_the_program() {
        for (line, program) in [
            ("nc -l 1", Some("nc")),
            ("/usr/bin/nc -l 1", Some("/usr/bin/nc")),
            ("./netcat -l 1", Some("./netcat")),
            ("sockeye nc -l 1", Some("nc")),
            ("sockeye nc", Some("nc")),
            ("nc --help", Some("nc")),
            ("sockeye nc --help", None),
            ("sockeye talk nc", None),
            ("sockeye", None),
            ("ncat -l 1", None),
        ] {
            let found = of(&words(line)).map(|invocation| String::from_utf8(invocation.program).unwrap());
            assert_eq!(found.as_deref(), program, "{line}");
        }
    }
}
