//! What is told of answers: a line for each once it has ended, with what was sent and how long it took, and many lines at
//! once where there are many. One line at a time cost a site a third of its rate.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use transcript::Moment;

use super::served::{AccessLog, HttpService};
use crate::event::{Event, Observer};
use crate::web::clock::Now;
use crate::web::log::{Entry, Line};
use crate::wire::http::request::Request;
use crate::wire::http::status::Status;

/// How long a line may wait for others.
const WAIT: Duration = Duration::from_millis(20);
/// Bytes of lines that wait no longer.
const MUCH: usize = 32 * 1024;

/// Lines of answers that have ended, not told yet.
#[derive(Debug, Default)]
pub(crate) struct Lines {
    text: Vec<u8>,
    count: u64,
    /// When they were last told of; the first line behind a quiet time waits for none.
    told: Option<Moment>,
}

impl Lines {
    fn push(&mut self, entry: &Entry, sent: u64, lasted: Duration) {
        entry.write(&mut self.text, sent, lasted);
        self.count += 1;
    }

    /// When they are to be told, if there are any.
    pub(super) fn due(&self) -> Option<Moment> {
        (self.count > 0).then(|| self.told.unwrap_or_default().after(WAIT))
    }

    /// Tells what is due.
    pub(super) fn tell_due(&mut self, now: Moment, observer: &mut dyn Observer) {
        if self.due().is_some_and(|at| now >= at || self.told.is_none()) || self.text.len() >= MUCH {
            self.told = Some(now);
            self.tell(observer);
        }
    }

    /// Tells all of them.
    pub(super) fn tell(&mut self, observer: &mut dyn Observer) {
        if self.count > 0 {
            // What a client sent was made harmless.
            let lines = String::from_utf8_lossy(&self.text).into_owned();
            observer.observe(Event::Answered { lines, count: std::mem::take(&mut self.count) });
            self.text.clear();
        }
    }
}

/// An answer that is being sent.
#[derive(Debug)]
pub(super) struct Record {
    entry: Entry,
    began: Instant,
}

impl Record {
    /// Of an answer whose head is written; nothing if it is not told of.
    pub(super) fn begin(
        website: &HttpService,
        request: Option<&Request<'_>>,
        status: Status,
        (client, date): (Option<IpAddr>, &Now),
        began: Option<Instant>,
    ) -> Option<Self> {
        if website.log == AccessLog::None {
            return None;
        }
        let user = website.user(request).filter(|_| status != Status::UNAUTHORIZED);
        let line = Line { client, user, now: date, request, status };
        let entry = if website.log == AccessLog::Json { Entry::json(&line) } else { Entry::combined(&line) };
        Some(Self { entry, began: began.unwrap_or_else(Instant::now) })
    }

    /// Its answer has ended: so much of its content was sent.
    pub(super) fn end(self, sent: u64, lines: &mut Lines) {
        lines.push(&self.entry, sent, self.began.elapsed());
    }
}

/// The answers of one connection that follow each other, by where they stand in all that it is sent.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    records: VecDeque<(Record, Span)>,
    /// Bytes that were made or sent in all.
    made: u64,
}

/// Where the content of an answer stands; its end is not known while it is being sent.
#[derive(Debug, Clone, Copy)]
struct Span {
    from: u64,
    to: Option<u64>,
}

impl Ledger {
    /// So many bytes more go out.
    pub(super) fn makes(&mut self, bytes: usize) {
        self.made += bytes as u64;
    }

    /// An answer whose content begins so many bytes behind what was made; the end is known if all of it is there.
    pub(super) fn add(&mut self, record: Option<Record>, from: usize, to: Option<usize>) {
        if let Some(record) = record {
            let at = |offset: usize| self.made + offset as u64;
            self.records.push_back((record, Span { from: at(from), to: to.map(at) }));
        }
    }

    /// What is being sent has all been made.
    pub(super) fn content_ends(&mut self) {
        if let Some((_, span)) = self.records.back_mut() {
            span.to.get_or_insert(self.made);
        }
    }

    /// All but so many bytes of what was made is sent: tells of what has ended.
    pub(super) fn sent_but(&mut self, waiting: usize, lines: &mut Lines) {
        let sent = self.made.saturating_sub(waiting as u64);
        while let Some((_, Span { from, to: Some(to) })) = self.records.front()
            && *to <= sent
        {
            let content = to - from;
            if let Some((record, _)) = self.records.pop_front() {
                record.end(content, lines);
            }
        }
    }

    /// Nothing more is sent: tells of what was cut, too.
    pub(super) fn cut(&mut self, waiting: usize, lines: &mut Lines) {
        self.sent_but(waiting, lines);
        let sent = self.made.saturating_sub(waiting as u64);
        for (record, span) in self.records.drain(..) {
            record.end(sent.min(span.to.unwrap_or(sent)).saturating_sub(span.from), lines);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::web::log::Line;

    fn record(now: &Now) -> Option<Record> {
        let line = Line { client: None, user: None, now, request: None, status: Status::OK };
        Some(Record { entry: Entry::combined(&line), began: Instant::now() })
    }

    fn counts(lines: &mut Lines) -> Vec<String> {
        let text = String::from_utf8(std::mem::take(&mut lines.text)).unwrap();
        text.lines().map(|line| line.split(' ').nth(7).unwrap().to_owned()).collect()
    }

    #[test]
    fn a_line_tells_what_was_sent_once_it_was() {
        let now = Now::new(std::time::SystemTime::now());
        let (mut ledger, mut lines) = (Ledger::default(), Lines::default());
        // Two small answers at once, of which a part waits.
        ledger.add(record(&now), 100, Some(110));
        ledger.add(record(&now), 200, Some(250));
        ledger.makes(250);
        ledger.sent_but(120, &mut lines);
        assert_eq!(counts(&mut lines), ["10"]);
        ledger.sent_but(0, &mut lines);
        assert_eq!(counts(&mut lines), ["50"]);
        // A long one, cut.
        ledger.add(record(&now), 100, None);
        ledger.makes(100);
        ledger.makes(5000);
        ledger.sent_but(0, &mut lines);
        assert_eq!(counts(&mut lines), [""; 0]);
        ledger.cut(1000, &mut lines);
        assert_eq!(counts(&mut lines), ["4000"]);
        // One of which not even the head went out.
        ledger.add(record(&now), 100, Some(110));
        ledger.makes(110);
        ledger.cut(50, &mut lines);
        assert_eq!(counts(&mut lines), ["-"]);
    }

    #[test]
    fn the_first_line_waits_for_none_and_the_next_for_each_other() {
        let now = Now::new(std::time::SystemTime::now());
        let mut lines = Lines::default();
        let mut told = Vec::new();
        let at = |milliseconds| Moment::default().after(Duration::from_millis(milliseconds));
        for milliseconds in [500, 501, 505, 519, 521, 900] {
            lines.push(&record(&now).unwrap().entry, 1, Duration::ZERO);
            lines.tell_due(at(milliseconds), &mut |event| match event {
                Event::Answered { count, .. } => told.push((milliseconds, count)),
                other => panic!("{other:?}"),
            });
        }
        assert_eq!(told, [(500, 1), (521, 4), (900, 1)]);
        assert_eq!(lines.due(), None);
    }
}
