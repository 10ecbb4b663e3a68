//! One file over several connections: each fetches its segment and writes it where it belongs.

use std::os::fd::AsFd;
use std::sync::{Arc, Mutex, PoisonError};

use super::super::range::{Bytes, Range};
use super::super::{Answer, ConnectionPool, FetchOptions, Progress, Request, SaveOptions, Saved, Stopper, fetch};
use super::error::{TransferError, TransferErrorKind};
use crate::file::AtomicFile;
use crate::net::words;
use crate::sink::Sink;

/// What is not worth another connection.
const LEAST: u64 = 1024 * 1024;

/// A file that is fetched in parts.
pub(super) struct Segments {
    validator: String,
    /// The first byte of each, and the one behind its last.
    bounds: Vec<(u64, u64)>,
}

impl Segments {
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
        (options, rate): (&FetchOptions, Option<u64>),
    ) -> Result<Saved, TransferError> {
        let stopper = Arc::new(Stopper::default());
        let count = self.bounds.len() as u64;
        let saving = |index: usize| SaveOptions {
            raw: true,
            already: 0,
            max_size: None,
            rate: rate.map(|rate| (rate / count).max(1)),
            only: Some(self.bounds[index].1 - self.bounds[index].0),
            stopper: Some(Arc::clone(&stopper)),
            progress: Arc::clone(&progress[index]),
        };
        let first_failure: Mutex<Option<TransferError>> = Mutex::new(None);
        let whole: Mutex<Option<Saved>> = Mutex::new(None);
        let failed = |failure: TransferError| {
            // What fails from now on fails because of this one.
            first_failure.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(failure);
            stopper.stop();
        };
        std::thread::scope(|scope| {
            for index in 1..self.bounds.len() {
                let (saving, failed, whole, stopper) = (&saving, &failed, &whole, &stopper);
                let part = move || {
                    if let Err(failure) =
                        self.part(index, request, file, &saving(index), (options, rate), (whole, stopper))
                    {
                        failed(failure);
                    }
                };
                if let Err(error) = std::thread::Builder::new().name("part".to_owned()).spawn_scoped(scope, part) {
                    failed(TransferError::new(
                        TransferErrorKind::Output,
                        format!("cannot begin a part: {error}", error = words(&error)),
                    ));
                }
            }
            let first = self.write(answer, file, 0, &saving(0));
            if let Err(failure) = first {
                failed(failure);
            }
        });
        if let Some(saved) = whole.into_inner().unwrap_or_else(PoisonError::into_inner) {
            return Ok(saved);
        }
        match first_failure.into_inner().unwrap_or_else(PoisonError::into_inner) {
            Some(failure) => Err(failure),
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
        saving: &SaveOptions,
        (options, rate): (&FetchOptions, Option<u64>),
        (whole, stopper): (&Mutex<Option<Saved>>, &Stopper),
    ) -> Result<(), TransferError> {
        let (first, end) = self.bounds[index];
        let bytes = Bytes::From(first, Some(end - 1));
        let range = Range { bytes, if_still: Some(self.validator.clone()) };
        let request = Request { range: Some(range), ..request.clone() };
        let answer = fetch(&request, options, &ConnectionPool::default(), &mut ()).map_err(TransferError::from)?;
        let total = self.bounds.last().map(|&(_, end)| end);
        match answer.part {
            Some(part) if part.total == total || part.total.is_none() => {
                self.write(answer, file, first, saving).map(drop)
            }
            // The server says that it has ranges and has none: what it sends is all there is to take.
            None if answer.head().status == 200
                && answer.head().strong_validator().as_ref() == Some(&self.validator) =>
            {
                let mut whole = whole.lock().unwrap_or_else(PoisonError::into_inner);
                if whole.is_none() {
                    stopper.stop();
                    let saving = SaveOptions { only: None, stopper: None, rate, ..saving.clone() };
                    *whole = Some(self.write(answer, file, 0, &saving)?);
                }
                Ok(())
            }
            _ => {
                let (url, line) = (answer.url.shown(), answer.head().status_line());
                let why = format!("{url}: a part was asked for and the answer is {line}: it has changed meanwhile");
                Err(TransferError::new(TransferErrorKind::Changed, why))
            }
        }
    }

    fn write(&self, answer: Answer, file: &AtomicFile, at: u64, saving: &SaveOptions) -> Result<Saved, TransferError> {
        let own = file.at(at).map_err(|error| TransferError::new(TransferErrorKind::Output, error.to_string()))?;
        let saved = answer.save(&mut Sink::Descriptor(own.as_fd()), "", saving);
        saved.map_err(TransferError::from)
    }
}
