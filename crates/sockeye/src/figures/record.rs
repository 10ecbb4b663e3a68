//! Recording by several threads: each counts in memory of its own, without locks, and hands a second over when it is past.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

use super::tally::Tally;
use super::{Counts, Failed, Histogram, Line, Measured, Row};

/// Where a thread counts what it does.
#[derive(Debug)]
pub struct Recorder {
    thread: usize,
    second: Box<Second>,
    /// When it is past.
    past: Duration,
    /// When the run had gone on so long, the loop's turn began.
    elapsed: Duration,
    total: Box<Total>,
    /// Failures whose account has been written.
    known: BTreeSet<Failure>,
    to: Sender<Message>,
    /// Seconds that the collector has read, for use again: nothing is allocated while a run goes on.
    spare: Receiver<Box<Second>>,
}

/// Which line, and what kind.
type Failure = (Option<usize>, &'static str);

/// The account of the first failure, and how many there were.
#[derive(Debug)]
struct First {
    count: u64,
    since: Duration,
    account: String,
}

/// What a thread counted in a second.
#[derive(Debug, Default)]
struct Second {
    index: u64,
    counts: Counts,
    latency: Tally,
    failed: BTreeMap<Failure, First>,
}

/// What all threads counted in a second, as far as they have handed it over.
#[derive(Debug, Default)]
struct Open {
    counts: Counts,
    latency: Histogram,
}

/// What a thread counted in all, apart from what the seconds have.
#[derive(Debug)]
struct Total {
    /// Of all lines but the first, which has what is left of the seconds: where there is one line, each exchange is counted once.
    lines: Vec<Tally>,
    plays: Tally,
    connects: Tally,
    handshakes: Tally,
}

enum Message {
    Second {
        thread: usize,
        second: Box<Second>,
        /// The second in which the thread is now.
        at: u64,
    },
    Total {
        thread: usize,
        total: Box<Total>,
    },
}

/// Where what the threads counted comes together.
#[derive(Debug)]
pub struct Collector {
    names: Vec<String>,
    from: Receiver<Message>,
    back: Vec<Sender<Box<Second>>>,
    /// The second at which each thread is; none once it has finished.
    at: Vec<Option<u64>>,
    /// Seconds that not all threads have handed over.
    open: BTreeMap<u64, Open>,
    rows: Vec<Row>,
    counts: Counts,
    exchanges: u64,
    /// Of all seconds that have their row.
    latency: Histogram,
    failed: BTreeMap<Failure, First>,
    totals: Vec<Total>,
}

/// A second that is past, and all until then.
#[derive(Debug, Clone)]
pub struct Snapshot {
    /// Which second, from 0.
    pub second: u64,
    /// What was counted in it.
    pub counts: Counts,
    /// How long the exchanges took that ended in it.
    pub latency: Histogram,
    /// What was counted since the beginning.
    pub all: Counts,
    /// Exchanges since the beginning.
    pub exchanges: u64,
    /// Failures since the beginning by kind, the most frequent first.
    pub failed: Vec<(&'static str, u64)>,
}

/// Recorders for so many threads, and where they come together. `lines` are the exchanges that are told apart.
#[must_use]
pub fn collect(lines: &[String], threads: usize) -> (Collector, Vec<Recorder>) {
    let (to, from) = channel();
    let (mut back, mut recorders) = (Vec::new(), Vec::new());
    for thread in 0..threads {
        let (give, spare) = channel();
        let total = Total {
            // Not a clone of one: that would touch all of its memory.
            lines: lines.iter().skip(1).map(|_| Tally::default()).collect(),
            plays: Tally::default(),
            connects: Tally::default(),
            handshakes: Tally::default(),
        };
        back.push(give);
        recorders.push(Recorder {
            thread,
            second: Box::default(),
            past: Duration::from_secs(1),
            elapsed: Duration::ZERO,
            total: Box::new(total),
            known: BTreeSet::new(),
            to: to.clone(),
            spare,
        });
    }
    let collector = Collector {
        names: lines.to_vec(),
        from,
        back,
        at: vec![Some(0); threads],
        open: BTreeMap::new(),
        rows: Vec::new(),
        counts: Counts::default(),
        exchanges: 0,
        latency: Histogram::new(),
        failed: BTreeMap::new(),
        totals: Vec::new(),
    };
    (collector, recorders)
}

impl Recorder {
    /// The run has gone on so long. To be said once a turn of the thread's loop, and at least once a second, even if
    /// nothing happens: a second is past when all threads have said so.
    #[inline]
    pub fn tick(&mut self, elapsed: Duration) {
        self.elapsed = elapsed;
        if elapsed >= self.past {
            self.hand_over();
        }
    }

    /// An exchange went as written; which one is its place among the lines that [`collect`] was given.
    #[inline]
    pub fn exchange(&mut self, line: usize, latency: Duration) {
        self.second.latency.record(latency);
        if let Some(line) = line.checked_sub(1).and_then(|line| self.total.lines.get_mut(line)) {
            line.record(latency);
        }
    }

    /// A play went as written to its end, and took so long.
    #[inline]
    pub fn play(&mut self, lasted: Duration) {
        self.second.counts.plays += 1;
        self.total.plays.record(lasted);
    }

    /// The same of a play whose length is of no interest: its only exchange says it.
    #[inline]
    pub fn short_play(&mut self) {
        self.second.counts.plays += 1;
    }

    /// A play failed, at a line or before it came to one. `kind` is a name that events have. The account is asked for
    /// only if it is the first of its line and kind.
    pub fn failure(&mut self, line: Option<usize>, kind: &'static str, account: impl FnOnce() -> String) {
        self.second.counts.plays += 1;
        self.second.counts.failures += 1;
        self.failed(1, (line, kind), account);
    }

    /// So many plays had gone well, and were lost with their connection. The account is asked for as of [`Self::failure`].
    pub fn failure_of_played(&mut self, count: u64, kind: &'static str, account: impl FnOnce() -> String) {
        self.second.counts.failures += count;
        self.failed(count, (None, kind), account);
    }

    fn failed(&mut self, count: u64, failure: (Option<usize>, &'static str), account: impl FnOnce() -> String) {
        if let Some(first) = self.second.failed.get_mut(&failure) {
            first.count += count;
            return;
        }
        let account = if self.known.insert(failure) { account() } else { String::new() };
        self.second.failed.insert(failure, First { count, since: self.elapsed, account });
    }

    /// A connection came about.
    #[inline]
    pub fn connect(&mut self, lasted: Duration) {
        self.total.connects.record(lasted);
    }

    /// A TLS handshake came about.
    #[inline]
    pub fn handshake(&mut self, lasted: Duration) {
        self.total.handshakes.record(lasted);
    }

    /// Bytes to the peer, and from it.
    #[inline]
    pub fn bytes(&mut self, sent: u64, received: u64) {
        self.second.counts.sent += sent;
        self.second.counts.received += received;
    }

    /// A play began so much later than it was due, by no fault of the peer.
    #[inline]
    pub fn late(&mut self, by: Duration) {
        let counts = &mut self.second.counts;
        counts.late += 1;
        counts.latest = counts.latest.max(by);
    }

    /// Hands over what is left. A recorder that is dropped without it loses the totals of its thread.
    pub fn finish(mut self) {
        self.hand_over();
        // A collector that is gone wants nothing.
        let _ = self.to.send(Message::Total { thread: self.thread, total: self.total });
    }

    #[cold]
    fn hand_over(&mut self) {
        let next = self.spare.try_recv().unwrap_or_default();
        let second = std::mem::replace(&mut self.second, next);
        let at = self.elapsed.as_secs();
        self.second.index = at;
        self.past = Duration::from_secs(at + 1);
        let _ = self.to.send(Message::Second { thread: self.thread, second, at });
    }
}

impl Collector {
    /// The next second that all threads are past, as soon as it is there; none if the time is over before, or if all
    /// threads have finished.
    pub fn next(&mut self, within: Duration) -> Option<Snapshot> {
        let until = Instant::now() + within;
        loop {
            if let Some(snapshot) = self.close(false) {
                return Some(snapshot);
            }
            if self.is_finished() {
                return None;
            }
            match self.from.recv_timeout(until.saturating_duration_since(Instant::now())) {
                Ok(message) => self.take(message),
                Err(RecvTimeoutError::Timeout) => return None,
                Err(RecvTimeoutError::Disconnected) => {
                    self.at.fill(None);
                }
            }
        }
    }

    /// Whether every thread has finished.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.at.iter().all(Option::is_none)
    }

    /// Waits for all threads to finish, and says what they measured.
    #[must_use]
    pub fn finish(mut self) -> Measured {
        while !self.is_finished() {
            match self.from.recv() {
                Ok(message) => self.take(message),
                Err(_) => self.at.fill(None),
            }
        }
        while self.close(true).is_some() {}
        let mut measured = Measured { counts: self.counts, rows: self.rows, ..Measured::default() };
        measured.lines =
            self.names.iter().cloned().map(|name| Line { name, failures: 0, latency: Histogram::new() }).collect();
        measured.latency = self.latency;
        for total in &mut self.totals {
            for (line, latency) in measured.lines.iter_mut().skip(1).zip(&mut total.lines) {
                latency.drain_into(&mut line.latency);
            }
            total.plays.drain_into(&mut measured.whole_plays);
            total.connects.drain_into(&mut measured.connects);
            total.handshakes.drain_into(&mut measured.handshakes);
        }
        if let Some((first, others)) = measured.lines.split_first_mut() {
            first.latency.merge(&measured.latency);
            others.iter().for_each(|other| first.latency.take_away(&other.latency));
        }
        // Lines in their order, and what came to none behind them.
        let mut failed: Vec<_> = self.failed.into_iter().collect();
        failed.sort_by_key(|((line, kind), _)| (line.unwrap_or(usize::MAX), *kind));
        for ((line, kind), First { count, since, account }) in failed {
            if let Some(line) = line.and_then(|line| measured.lines.get_mut(line)) {
                line.failures += count;
            }
            let line = line.and_then(|line| self.names.get(line).cloned());
            measured.failed.push(Failed { line, kind: kind.to_owned(), count, since, first: account });
        }
        measured
    }

    fn take(&mut self, message: Message) {
        match message {
            Message::Second { thread, mut second, at } => {
                self.at[thread] = Some(at);
                self.counts += second.counts;
                for (failure, first) in std::mem::take(&mut second.failed) {
                    join(&mut self.failed, failure, first);
                }
                let open = self.open.entry(second.index).or_default();
                open.counts += second.counts;
                let before = open.latency.count();
                second.latency.drain_into(&mut open.latency);
                self.exchanges += open.latency.count() - before;
                second.counts = Counts::default();
                let _ = self.back[thread].send(second);
            }
            Message::Total { thread, total } => {
                self.totals.push(*total);
                self.at[thread] = None;
            }
        }
    }

    /// Makes a row of the next second, if it is past.
    fn close(&mut self, finished: bool) -> Option<Snapshot> {
        let second = self.rows.len() as u64;
        let past = if finished || self.is_finished() {
            self.open.last_key_value().is_some_and(|(&last, _)| last >= second)
        } else {
            self.at.iter().flatten().all(|&at| at > second)
        };
        if !past {
            return None;
        }
        let Open { counts, latency } = self.open.remove(&second).unwrap_or_default();
        self.latency.merge(&latency);
        self.rows.push(Row::new(second, counts, &latency));
        let mut kinds: BTreeMap<&str, u64> = BTreeMap::new();
        self.failed.iter().for_each(|((_, kind), first)| *kinds.entry(kind).or_default() += first.count);
        let mut failed: Vec<_> = kinds.into_iter().collect();
        failed.sort_by_key(|&(_, count)| std::cmp::Reverse(count));
        Some(Snapshot { second, counts, latency, all: self.counts, exchanges: self.exchanges, failed })
    }
}

/// Adds to the failures of the same line and kind; the account is that of the one which came first.
fn join(all: &mut BTreeMap<Failure, First>, failure: Failure, first: First) {
    match all.entry(failure) {
        std::collections::btree_map::Entry::Vacant(vacant) => {
            vacant.insert(first);
        }
        std::collections::btree_map::Entry::Occupied(mut occupied) => {
            let known = occupied.get_mut();
            known.count += first.count;
            if !first.account.is_empty() && (known.account.is_empty() || first.since < known.since) {
                (known.since, known.account) = (first.since, first.account);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn names() -> Vec<String> {
        ["a.talk:1", "a.talk:4"].map(str::to_owned).to_vec()
    }

    #[test]
    fn threads_are_added_up_exactly_in_rows_and_in_all() {
        let (collector, recorders) = collect(&names(), 3);
        let threads: Vec<_> = recorders
            .into_iter()
            .enumerate()
            .map(|(thread, mut recorder)| {
                std::thread::spawn(move || {
                    for n in 0..2500_u32 {
                        recorder.tick(MS * n);
                        recorder.exchange(n as usize % 2, MS * (n % 10 + 1));
                        recorder.bytes(10, 20);
                        recorder.play(MS);
                    }
                    recorder.connect(MS * u32::try_from(thread + 1).unwrap());
                    recorder.finish();
                })
            })
            .collect();
        let measured = collector.finish();
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        assert_eq!(measured.latency.count(), 7500);
        assert_eq!(measured.lines.iter().map(|line| line.latency.count()).collect::<Vec<_>>(), [3750, 3750]);
        assert_eq!((measured.counts.plays, measured.counts.sent, measured.counts.received), (7500, 75_000, 150_000));
        let rows: Vec<_> = measured.rows.iter().map(|row| (row.second, row.exchanges, row.counts.plays)).collect();
        assert_eq!(rows, [(0, 3000, 3000), (1, 3000, 3000), (2, 1500, 1500)]);
        let mut all = Histogram::new();
        measured.rows.iter().for_each(|row| all.merge(&row.latency()));
        assert_eq!(all, measured.latency);
        assert_eq!((measured.connects.count(), measured.connects.max() >= MS * 3), (3, true));
    }

    #[test]
    fn a_second_is_told_when_every_thread_is_past_it_and_an_empty_one_too() {
        let (mut collector, mut recorders) = collect(&names(), 2);
        recorders[0].exchange(0, MS);
        recorders[0].tick(MS * 3100);
        assert!(collector.next(Duration::ZERO).is_none(), "the other thread is in its first second");
        recorders[1].exchange(1, MS);
        recorders[1].tick(MS * 1001);
        let first = collector.next(Duration::from_secs(60)).unwrap();
        assert_eq!((first.second, first.latency.count(), first.exchanges), (0, 2, 2));
        assert!(collector.next(Duration::ZERO).is_none());
        recorders[1].failure(None, "refused", || "no".to_owned());
        recorders[1].tick(MS * 3000);
        let next: Vec<_> = std::iter::from_fn(|| collector.next(Duration::ZERO)).collect();
        assert_eq!(next.iter().map(|s| (s.second, s.counts.failures)).collect::<Vec<_>>(), [(1, 1), (2, 0)]);
        assert_eq!(next[1].failed, [("refused", 1)]);
        recorders.into_iter().for_each(Recorder::finish);
        while collector.next(Duration::from_secs(60)).is_some() {}
        assert_eq!(collector.finish().rows.len(), 4);
    }

    #[test]
    fn of_each_line_and_kind_the_first_failure_is_told_whole_and_asked_for_once() {
        let (collector, recorders) = collect(&names(), 2);
        for (mut recorder, start) in recorders.into_iter().zip([5_u32, 2]) {
            let mut asked = 0;
            for n in 0..2000_u32 {
                recorder.tick(MS * (start + n));
                recorder.failure(Some(1), "differs", || {
                    asked += 1;
                    format!("at {}", start + n)
                });
            }
            recorder.failure(None, "refused", || "nobody listens".to_owned());
            assert_eq!(asked, 1);
            recorder.finish();
        }
        let measured = collector.finish();
        let told: Vec<_> = measured.failed.iter().map(|f| (f.line.as_deref(), &*f.kind, f.count, &*f.first)).collect();
        assert_eq!(told, [(Some("a.talk:4"), "differs", 4000, "at 2"), (None, "refused", 2, "nobody listens")]);
        assert_eq!((measured.lines[1].failures, measured.counts.failures, measured.counts.plays), (4000, 4002, 4002));
    }

    #[test]
    fn a_thread_that_ends_without_a_word_holds_nothing_up() {
        let (collector, recorders) = collect(&names(), 2);
        drop(recorders);
        assert_eq!(collector.finish().latency.count(), 0);
    }

    /// Run by hand, in release: `cargo test --release -p sockeye recording_is_cheap -- --ignored --nocapture`.
    #[test]
    #[ignore = "it measures"]
    fn recording_is_cheap() {
        let (_collector, mut recorders) = collect(&names(), 1);
        let recorder = &mut recorders[0];
        let began = Instant::now();
        let mut state = 1_u64;
        for _ in 0..50_000_000_u32 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            recorder.exchange((state >> 63) as usize, Duration::from_nanos(20_000 + (state >> 48)));
        }
        println!("{:.2} ns an exchange", began.elapsed().as_secs_f64() * 1e9 / 5e7);
    }
}
