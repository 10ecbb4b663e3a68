//! One file over several connections: each fetches its part and writes it where it belongs.

use std::os::fd::AsFd;
use std::sync::{Arc, Mutex, PoisonError};

use sockeye::file::AtomicFile;
use sockeye::sink::Sink;
use sockeye::verb::fetch::range::{Bytes, Range};
use sockeye::verb::fetch::{Answer, ConnectionPool, Failed, Progress, Request, Saved, Stopper, Taking, fetch};

use super::page::Shared;
use super::trouble::Trouble;
use crate::exit::Exit;

/// What is not worth another connection.
const LEAST: u64 = 1024 * 1024;

/// A file that is fetched in parts.
pub(super) struct Parts {
    validator: String,
    /// The first byte of each, and the one behind its last.
    bounds: Vec<(u64, u64)>,
}

impl Parts {
    /// How an answer that has the whole is divided; none if it must come in one.
    pub(super) fn of(answer: &Answer, most: usize, max_size: Option<u64>) -> Option<Self> {
        let head = answer.head();
        let field = |name: &str| head.fields.iter().find(|(other, _)| other.eq_ignore_ascii_case(name));
        let takes_ranges = field("accept-ranges").is_some_and(|(_, value)| value.eq_ignore_ascii_case(b"bytes"));
        let length = head.length.filter(|&length| max_size.is_none_or(|max| length <= max))?;
        let count = (length / LEAST).min(most as u64);
        if head.status != 200 || !takes_ranges || field("content-encoding").is_some() || count < 2 {
            return None;
        }
        let share = length / count;
        let end = |index| if index + 1 == count { length } else { share * (index + 1) };
        let bounds = (0..count).map(|index| (share * index, end(index))).collect();
        Some(Self { validator: head.strong_validator()?, bounds })
    }

    /// Takes the first part of the answer that is there, and asks for the others.
    pub(super) fn take(
        &self,
        answer: Answer,
        request: &Request,
        file: &AtomicFile,
        progress: &[Arc<Progress>],
        shared: &Shared<'_>,
    ) -> Result<Saved, Trouble> {
        let stopper = Arc::new(Stopper::default());
        let count = self.bounds.len() as u64;
        let taking = |index: usize| Taking {
            raw: true,
            already: 0,
            max_size: None,
            rate: shared.flags.limit_rate.map(|rate| (rate / count).max(1)),
            only: Some(self.bounds[index].1 - self.bounds[index].0),
            stopper: Some(Arc::clone(&stopper)),
            progress: Arc::clone(&progress[index]),
        };
        let first_trouble: Mutex<Option<Trouble>> = Mutex::new(None);
        let whole: Mutex<Option<Saved>> = Mutex::new(None);
        let failed = |trouble: Trouble| {
            // What fails from now on fails because of this one.
            first_trouble.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(trouble);
            stopper.stop();
        };
        std::thread::scope(|scope| {
            for index in 1..self.bounds.len() {
                let (taking, failed, whole, stopper) = (&taking, &failed, &whole, &stopper);
                let part = move || {
                    if let Err(trouble) = self.part(index, request, file, &taking(index), shared, (whole, stopper)) {
                        failed(trouble);
                    }
                };
                if let Err(error) = std::thread::Builder::new().name("part".to_owned()).spawn_scoped(scope, part) {
                    failed(Trouble::new(
                        Exit::CannotWrite,
                        format!("cannot begin a part: {error}", error = sockeye::net::words(&error)),
                    ));
                }
            }
            let first = self.write(answer, file, 0, &taking(0));
            if let Err(trouble) = first {
                failed(trouble);
            }
        });
        if let Some(saved) = whole.into_inner().unwrap_or_else(PoisonError::into_inner) {
            return Ok(saved);
        }
        match first_trouble.into_inner().unwrap_or_else(PoisonError::into_inner) {
            Some(trouble) => Err(trouble),
            None => {
                let length = self.bounds.last().map_or(0, |&(_, end)| end);
                Ok(Saved { received: length, written: length, surplus: 0, unsent: None })
            }
        }
    }

    fn part(
        &self,
        index: usize,
        request: &Request,
        file: &AtomicFile,
        taking: &Taking,
        shared: &Shared<'_>,
        (whole, stopper): (&Mutex<Option<Saved>>, &Stopper),
    ) -> Result<(), Trouble> {
        let (first, end) = self.bounds[index];
        let bytes = Bytes::From(first, Some(end - 1));
        let range = Range { bytes, if_still: Some(self.validator.clone()) };
        let request = Request { range: Some(range), ..request.clone() };
        let answer = fetch(&request, shared.options, &ConnectionPool::default(), &mut ())
            .map_err(|failed| Trouble::from(&failed))?;
        let total = self.bounds.last().map(|&(_, end)| end);
        match answer.part {
            Some(part) if part.total == total || part.total.is_none() => {
                self.write(answer, file, first, taking).map(drop)
            }
            // The server says that it has ranges and has none: what it sends is all there is to take.
            None if answer.head().status == 200
                && answer.head().strong_validator().as_ref() == Some(&self.validator) =>
            {
                let mut whole = whole.lock().unwrap_or_else(PoisonError::into_inner);
                if whole.is_none() {
                    stopper.stop();
                    let taking = Taking { only: None, stopper: None, rate: shared.flags.limit_rate, ..taking.clone() };
                    *whole = Some(self.write(answer, file, 0, &taking)?);
                }
                Ok(())
            }
            _ => {
                let (url, line) = (answer.url.shown(), answer.head().status_line());
                let why = format!("{url}: a part was asked for and the answer is {line}: it has changed meanwhile");
                Err(Trouble::new(Exit::Reset, why))
            }
        }
    }

    fn write(&self, answer: Answer, file: &AtomicFile, at: u64, taking: &Taking) -> Result<Saved, Trouble> {
        let own = file.at(at).map_err(|error| Trouble::new(Exit::CannotWrite, error.to_string()))?;
        let saved = answer.save(&mut Sink::Descriptor(own.as_fd()), "", taking);
        saved.map_err(|failed: Failed| Trouble::from(&failed))
    }
}
