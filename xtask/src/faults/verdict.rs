//! What came of a fault, and whether the program may answer it so.

use std::os::unix::process::ExitStatusExt;

use super::case::{Case, Fault};
use super::stage::{End, Ended};

/// What a scenario saw.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) ended: Ended,
    /// What did not arrive: a program that says 0 has lost it.
    pub(crate) missing: Option<String>,
    /// What must not be, whatever the exit code says: half a file, a client that another one's fault took along.
    pub(crate) harm: Option<String>,
    /// A server that ended before it was told to.
    pub(crate) gone: Option<String>,
}

impl Outcome {
    pub(crate) fn new(ended: Ended, missing: Option<String>) -> Self {
        Self { ended, missing, harm: None, gone: None }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Verdict {
    /// Exit 0, and all is there.
    Fine,
    /// An exit code of the table, and words.
    Refused,
    /// Killed by us, and what is left is old or whole.
    Killed,
    /// Exit 0 with something missing.
    Lost,
    /// It did not end.
    Hung,
    /// A panic or a signal.
    Aborted,
    /// Others suffered: a file, a client.
    Harmed,
    /// An exit code that is in no table.
    Unlisted,
    /// An exit code without a word.
    Silent,
}

impl Verdict {
    pub(crate) const ALL: [Self; 9] = [
        Self::Fine,
        Self::Refused,
        Self::Killed,
        Self::Lost,
        Self::Hung,
        Self::Aborted,
        Self::Harmed,
        Self::Unlisted,
        Self::Silent,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Fine => "fine",
            Self::Refused => "error",
            Self::Killed => "killed",
            Self::Lost => "lost",
            Self::Hung => "hung",
            Self::Aborted => "aborted",
            Self::Harmed => "harmed",
            Self::Unlisted => "unlisted",
            Self::Silent => "silent",
        }
    }

    pub(crate) fn is_bad(self) -> bool {
        !matches!(self, Self::Fine | Self::Refused | Self::Killed)
    }
}

/// The verdict, and why.
pub(crate) fn judge(case: Option<&Case>, outcome: &Outcome, codes: &[i32]) -> (Verdict, String) {
    let Outcome { ended, missing, harm, gone } = outcome;
    let words = ended.stderr.trim();
    let End::Exited(status) = ended.end else { return (Verdict::Hung, last_line(words)) };
    let killed = case.is_some_and(|case| case.fault == Fault::Kill) && status.signal() == Some(9);
    if !killed && let Some(signal) = status.signal() {
        return (Verdict::Aborted, format!("signal {signal}: {}", last_line(words)));
    }
    let code = status.code().unwrap_or(0);
    // The sweep's build has no C library to ask for random numbers and opens a file for them, which others do not need (errnos.rs).
    if words.contains("could not initialize ThreadRng") {
        return (Verdict::Refused, format!("exit {code}: {}", last_line(words)));
    }
    if code == 101 || code == 134 || words.contains("panicked at") {
        return (Verdict::Aborted, format!("exit {code}: {}", last_line(words)));
    }
    // A server whose loop is broken lets no client in any more before it has ended.
    let is_over = code != 0 && case.is_some_and(is_about_the_server) || case.is_some_and(is_about_every_program);
    if let Some(harm) = harm
        && !is_over
    {
        return (Verdict::Harmed, format!("exit {code}: {harm}"));
    }
    if killed {
        return (Verdict::Killed, String::new());
    }
    if let Some(gone) = gone
        && !case.is_some_and(is_about_the_server)
    {
        return (Verdict::Harmed, format!("exit {code}: {gone}"));
    }
    if code == 0 {
        return match missing {
            Some(missing) => (Verdict::Lost, missing.clone()),
            None => (Verdict::Fine, String::new()),
        };
    }
    if !codes.contains(&code) {
        return (Verdict::Unlisted, format!("exit {code}: {}", last_line(words)));
    }
    // Where writing fails, the words may be what could not be written.
    if words.is_empty() && !case.is_some_and(Case::is_mute) {
        return (Verdict::Silent, format!("exit {code}"));
    }
    (Verdict::Refused, format!("exit {code}: {}", last_line(words)))
}

/// Whether a fault is one of the listener or of the loop, which is wrong for all clients and for good.
fn is_about_the_server(case: &Case) -> bool {
    let Fault::Error(error) = &case.fault else { return false };
    matches!(case.call.as_str(), "accept4" | "epoll_wait" | "epoll_pwait" | "epoll_pwait2")
        && matches!(error.as_str(), "EBADF" | "EFAULT" | "EINVAL" | "ENOTSOCK" | "EOPNOTSUPP")
}

/// Whether a fault is one of every program that is started: strace(1) counts the calls of each process by itself.
fn is_about_every_program(case: &Case) -> bool {
    matches!(case.call.as_str(), "dup2" | "close_range" | "setsid" | "setpgid")
}

fn last_line(words: &str) -> String {
    words.lines().last().unwrap_or_default().chars().take(200).collect()
}
