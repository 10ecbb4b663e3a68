//! One fault: in which scenario, which call, its how many-th, and what happens instead of it.

use std::fmt;
use std::str::FromStr;

#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Case {
    pub(crate) scenario: String,
    pub(crate) call: String,
    pub(crate) fault: Fault,
    /// Counted in each thread by itself, as strace does; from 1.
    pub(crate) nth: usize,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Fault {
    /// The call is not made and gives this error.
    Error(String),
    /// SIGKILL comes as it is entered.
    Kill,
}

impl Fault {
    pub(crate) fn name(&self) -> &str {
        match self {
            Self::Error(errno) => errno,
            Self::Kill => "KILL",
        }
    }
}

impl Case {
    /// What strace is told.
    pub(crate) fn injection(&self) -> String {
        let Self { call, nth, .. } = self;
        match &self.fault {
            Fault::Error(errno) => format!("inject={call}:error={errno}:when={nth}"),
            Fault::Kill => format!("inject={call}:signal=KILL:when={nth}"),
        }
    }

    /// Whether a signal's handler may be what fails: it has no second try.
    pub(crate) fn may_lose_signals(&self) -> bool {
        matches!(self.call.as_str(), "write" | "sendto")
    }

    /// Whether the words of the program may be what cannot be written.
    pub(crate) fn is_mute(&self) -> bool {
        // A log without its thread says once that it shows nothing.
        matches!(self.call.as_str(), "write" | "writev" | "clone" | "clone3")
    }
}

impl fmt::Display for Case {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(to, "{}:{}:{}:{}", self.scenario, self.call, self.fault.name(), self.nth)
    }
}

impl FromStr for Case {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is no case; one looks like talk-pipe:splice:EIO:2");
        let [scenario, call, fault, nth] = text.split(':').collect::<Vec<_>>()[..] else { return Err(wrong()) };
        let fault = if fault == "KILL" { Fault::Kill } else { Fault::Error(fault.to_owned()) };
        let nth = nth.parse().map_err(|_| wrong())?;
        Ok(Self { scenario: scenario.to_owned(), call: call.to_owned(), fault, nth })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_case_is_read_as_it_is_written() {
        for text in ["talk-pipe:splice:EIO:2", "fetch-file:fsync:KILL:1"] {
            assert_eq!(text.parse::<Case>().unwrap().to_string(), text);
        }
        for wrong in ["", "a:b:c", "a:b:c:d", "a:b:c:1:2"] {
            assert!(wrong.parse::<Case>().is_err(), "{wrong}");
        }
    }
}
