//! A program for a connection: which one it is, from how it was typed, and what its environment says of the connection.
//!
//! Whatever a peer chooses stands in values of the environment, never in a word, a name or a line of a shell.
//!
//! ```
//! use std::io::{Read, Write};
//! use std::net::{Shutdown, TcpStream};
//! use std::time::Duration;
//! use sockeye::address::Address;
//! use sockeye::child::{Program, Terminal};
//! use sockeye::stop;
//! use sockeye::verb::serve::{Errors, Role, Running, ServeOptions, Server};
//!
//! let program = Program::parse("tr a-z A-Z")?;
//! assert_eq!(program.name(), "tr");
//! let running = Running { program, terminal: Terminal::None, errors: Errors::Dropped, most: 8 };
//! let options = ServeOptions {
//!     addresses: vec![Address::parse("tcp://127.0.0.1:0")?],
//!     role: Role::Exec(Box::new(running)),
//!     plays: Some(1),
//!     ..ServeOptions::default()
//! };
//! let server = Server::bind(&options)?;
//! let mut client = TcpStream::connect(("127.0.0.1", server.ports()[0]))?;
//! let (_stopper, stop) = stop::channel()?;
//! let serving = std::thread::spawn(move || server.run(stop, None, Box::new(|_| {})));
//! client.write_all(b"hello")?;
//! client.shutdown(Shutdown::Write)?;
//! let mut answer = String::new();
//! client.read_to_string(&mut answer)?;
//! assert_eq!(answer, "HELLO");
//! serving.join().expect("it does not panic")?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod environment;
mod words;

use std::ffi::{CStr, CString, OsStr};
use std::fmt;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::{Access, access};

pub use crate::sys::child::Ended;
pub(crate) use crate::sys::child::{Child, Group, Streams};
pub(crate) use environment::Environment;

/// What programs have for a terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Terminal {
    /// None: pipes, or a socket.
    None,
    /// Each has one of its own (pty(7)).
    Own,
}

/// A program and its words, ready to be started any number of times.
#[derive(Debug, Clone)]
pub struct Program {
    path: CString,
    words: Vec<CString>,
    notice: Option<String>,
    environment: Environment,
}

/// Why a command cannot be run.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ProgramError {
    /// There is no word in it.
    Empty,
    /// This quote has no end.
    OpenQuote(char),
    /// A backslash is the last character.
    Backslash,
    /// There is a NUL in it, which no word of a command can have.
    Nul,
    /// No file of this name is where programs are looked for.
    NotFound {
        /// As it was typed.
        name: String,
        /// Whether it is looked for in the folders of PATH.
        in_path: bool,
    },
    /// There is one that may not be run.
    NotExecutable(PathBuf),
}

impl fmt::Display for ProgramError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("there is no program in it"),
            Self::OpenQuote(quote) => write!(f, "the quote {quote} has no end"),
            Self::Backslash => f.write_str("nothing follows the backslash at the end"),
            Self::Nul => f.write_str("a command has no NUL bytes"),
            Self::NotFound { name, in_path: true } => {
                write!(f, "{name}: there is no such program in the folders of PATH")
            }
            Self::NotFound { name, in_path: false } => write!(f, "{name}: there is no such file"),
            Self::NotExecutable(path) => {
                write!(f, "{}: it is no program that may be run (chmod +x makes a file one)", path.display())
            }
        }
    }
}

impl std::error::Error for ProgramError {}

impl Program {
    /// A command that is split into words as a shell splits them, and run without a shell: quotes and backslashes mean what
    /// they mean there, and nothing else means anything. It is looked for now, in the folders of PATH if it has no slash.
    ///
    /// # Errors
    /// It has no words, or there is no such program.
    pub fn parse(command: &str) -> Result<Self, ProgramError> {
        if command.contains('\0') {
            return Err(ProgramError::Nul);
        }
        let (words, shell_only) = words::split(command)?;
        let name = words.first().filter(|name| !name.is_empty()).ok_or(ProgramError::Empty)?;
        let path = find(name, std::env::var_os("PATH").as_deref())?;
        let notice = shell_only.map(|mark| {
            format!(
                "there is no shell here, so that {mark} is given to the program as it is: --shell runs a line of sh(1)"
            )
        });
        let words = words.into_iter().map(c_string).collect::<Result<_, _>>()?;
        Ok(Self { path: c_string(path.as_os_str().as_bytes())?, words, notice, environment: Environment::inherited() })
    }

    /// A line for sh(1).
    ///
    /// # Errors
    /// It has a NUL byte in it.
    pub fn shell(line: &str) -> Result<Self, ProgramError> {
        if line.trim().is_empty() {
            return Err(ProgramError::Empty);
        }
        let words = vec![c"sh".to_owned(), c"-c".to_owned(), c_string(line)?];
        Ok(Self { path: c"/bin/sh".to_owned(), words, notice: None, environment: Environment::inherited() })
    }

    /// What someone may have meant otherwise.
    #[must_use]
    pub fn notice(&self) -> Option<&str> {
        self.notice.as_deref()
    }

    /// How messages call it: its name without folders.
    #[must_use]
    pub fn name(&self) -> String {
        let path = Path::new(OsStr::from_bytes(self.path.to_bytes()));
        path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned()
    }

    /// What it has of our environment; what is about a connection is added to a copy.
    pub(crate) fn environment(&self) -> &Environment {
        &self.environment
    }

    /// Starts it.
    ///
    /// # Errors
    /// As posix_spawn(3).
    pub(crate) fn spawn(&self, environment: &Environment, streams: Streams<'_>) -> io::Result<Child> {
        let environment: Vec<&CStr> = environment.entries().collect();
        crate::sys::child::spawn(&self.path, &self.words, &environment, streams)
    }
}

/// The file of a program.
fn find(name: &[u8], folders: Option<&OsStr>) -> Result<PathBuf, ProgramError> {
    let typed = Path::new(OsStr::from_bytes(name));
    let in_path = !name.contains(&b'/');
    let candidates: Vec<PathBuf> = if in_path {
        let folders = folders.unwrap_or(OsStr::new("/usr/local/bin:/usr/bin:/bin"));
        // A folder without a name is this one (environ(7)).
        std::env::split_paths(folders).map(|folder| Path::new(".").join(folder).join(typed)).collect()
    } else {
        vec![typed.to_owned()]
    };
    let there = || candidates.iter().filter(|path| path.is_file());
    let may_be_run = |path: &&PathBuf| access(path.as_path(), Access::EXEC_OK).is_ok();
    if let Some(path) = there().find(may_be_run) {
        return Ok(path.strip_prefix("./").ok().filter(|rest| rest.is_absolute()).unwrap_or(path).to_owned());
    }
    match there().next().or(candidates.first().filter(|path| !in_path && path.exists())) {
        Some(path) => Err(ProgramError::NotExecutable(path.clone())),
        None => Err(ProgramError::NotFound { name: String::from_utf8_lossy(name).into_owned(), in_path }),
    }
}

fn c_string(word: impl Into<Vec<u8>>) -> Result<CString, ProgramError> {
    CString::new(word).map_err(|_| ProgramError::Nul)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_program_is_looked_for_in_the_folders_of_path_before_anyone_needs_it() {
        let program = Program::parse("cat -u 'a b'").unwrap();
        assert_eq!((program.name().as_str(), program.words[2].as_c_str()), ("cat", c"a b"));
        assert!(program.path.to_bytes().starts_with(b"/"), "{:?}", program.path);
        let why = |command| Program::parse(command).unwrap_err().to_string();
        assert_eq!(why("no-such-program -x"), "no-such-program: there is no such program in the folders of PATH");
        assert_eq!(why("/no/such/program"), "/no/such/program: there is no such file");
        assert_eq!(why("/etc/passwd"), "/etc/passwd: it is no program that may be run (chmod +x makes a file one)");
        assert_eq!(why("/etc"), "/etc: it is no program that may be run (chmod +x makes a file one)");
        assert_eq!([why("  "), why("''")], ["there is no program in it"; 2]);
        assert_eq!(why("cat\0"), "a command has no NUL bytes");
    }

    #[test]
    fn a_later_folder_is_taken_where_an_earlier_one_has_a_file_that_is_no_program() {
        let (first, second) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        for folder in [&first, &second] {
            std::fs::write(folder.path().join("tool"), "#!/bin/sh\n").unwrap();
        }
        let tool = second.path().join("tool");
        let path = std::env::join_paths([first.path(), second.path()]).unwrap();
        std::fs::set_permissions(&tool, std::fs::Permissions::from_mode(0o755)).unwrap();
        assert_eq!(find(b"tool", Some(&path)), Ok(tool));
        assert_eq!(find(b"sh", None).unwrap().file_name(), Some(OsStr::new("sh")));
    }

    #[test]
    fn what_only_a_shell_understands_is_a_word_like_others_and_is_told_of() {
        let program = Program::parse("echo $HOME").unwrap();
        assert_eq!(program.words[1].as_c_str(), c"$HOME");
        assert!(program.notice().unwrap().contains("$ is given to the program as it is: --shell"));
        assert_eq!(Program::parse("echo '$HOME'").unwrap().notice(), None);
        assert_eq!(Program::shell("echo $HOME | cat").unwrap().notice(), None);
        assert_eq!(Program::shell(" ").unwrap_err(), ProgramError::Empty);
    }
}
