//! Faults of one direction of a stream.

use std::collections::VecDeque;
use std::time::Duration;

use transcript::Moment;

use super::random::Random;
use super::{After, Faults};

/// Bytes that are under way at once where they are late: what is beyond waits with who sends it.
pub(super) const UNDER_WAY: u64 = crate::limits::LATE_BYTES;
/// Least of that where the way is slow.
const LEAST: u64 = 64 << 10;
/// Longer than any program waits.
const NEVER: Duration = Duration::from_secs(10 * 365 * 24 * 3600);
/// Where there is a rate, what passes in this time passes at once.
const TICK: Duration = Duration::from_millis(5);

/// A bound that was met.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Limit {
    Cut,
    Reset,
}

#[derive(Debug)]
pub(crate) struct StreamFaults {
    faults: Faults,
    random: Random,
    opened: Moment,
    /// What is under way, and when it arrives.
    queue: VecDeque<(Moment, Vec<u8>)>,
    waiting: u64,
    /// When the last piece arrives, and when the way is free for the next one.
    last: Moment,
    free: Moment,
    /// Bytes that came, and the place of the next one that is changed.
    came: u64,
    next_changed: u64,
    /// The place behind which nothing passes.
    bound: u64,
    end_at: Option<Moment>,
    has_stalled: bool,
    has_met: bool,
    /// When something was said last, and first, of what is thrown away.
    heard: Moment,
    first_heard: Option<Moment>,
}

impl StreamFaults {
    pub(crate) fn new(faults: Faults, seed: u64, connection: u64, direction: u64, opened: Moment) -> Self {
        let mut random = Random::of(seed, connection, direction);
        let next_changed = random.gap(faults.corrupt);
        let bytes = |after: Option<After>| match after {
            Some(After::Bytes(bytes)) => bytes,
            _ => u64::MAX,
        };
        let bound = bytes(faults.cut_after).min(bytes(faults.reset_after)).min(bytes(faults.stall_after));
        Self {
            faults,
            random,
            opened,
            queue: VecDeque::new(),
            waiting: 0,
            last: opened,
            free: opened,
            came: 0,
            next_changed,
            bound,
            end_at: None,
            has_stalled: false,
            has_met: false,
            heard: opened,
            first_heard: None,
        }
    }

    /// These faults from now on, at this place of the stream: what is under way sets out again.
    pub(super) fn renew(&mut self, mut anew: Self, now: Moment) {
        anew.came = self.came - self.waiting;
        anew.next_changed = anew.next_changed.saturating_add(anew.came);
        for (_, piece) in std::mem::take(&mut self.queue) {
            anew.take(&piece, now);
        }
        *self = anew;
    }

    /// What is under way, in its order.
    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.queue.into_iter().flat_map(|(_, piece)| piece).collect()
    }

    /// Whether all that comes is thrown away.
    pub(super) fn swallows(&self) -> bool {
        self.faults.swallow.is_some()
    }

    /// Whether something waits that is due.
    pub(super) fn is_due(&self, now: Moment) -> bool {
        !self.has_stalled && self.queue.front().is_some_and(|(at, _)| *at <= now)
    }

    /// Bytes that are under way.
    pub(crate) fn waiting(&self) -> u64 {
        self.waiting
    }

    /// Whether more may set out.
    pub(crate) fn has_room(&self) -> bool {
        // Where nothing may pass, whatever comes first ends it.
        if self.has_stalled || self.came >= self.bound.max(1) {
            return false;
        }
        let room = match self.faults.rate {
            Some(rate) => {
                let late = self.faults.delay.map_or(0.0, |delay| (delay.mean + delay.spread).as_secs_f64());
                ((rate as f64 * (late + 0.1)) as u64).clamp(LEAST, UNDER_WAY)
            }
            None if self.faults.delay.is_some() => UNDER_WAY,
            None => LEAST,
        };
        self.waiting < room
    }

    /// Bytes set out.
    pub(crate) fn take(&mut self, bytes: &[u8], now: Moment) {
        let before = self.came;
        self.came += bytes.len() as u64;
        if self.faults.swallow.is_some() || self.faults.reset_when_used.is_some() {
            self.heard = now;
            self.first_heard.get_or_insert(now);
            return;
        }
        // What comes behind the bound never arrives.
        let pass = usize::try_from(self.bound.saturating_sub(before)).unwrap_or(usize::MAX).min(bytes.len());
        let mut bytes = bytes[..pass].to_vec();
        while self.next_changed < before + bytes.len() as u64 {
            let place = (self.next_changed - before) as usize;
            bytes[place] ^= 1 << (self.random.next() % 8);
            self.next_changed += 1 + self.random.gap(self.faults.corrupt);
        }
        let arrives = self.faults.delay.as_ref().map_or(now, |delay| now.after(self.random.delay(delay)));
        let mut rest = &bytes[..];
        while !rest.is_empty() {
            let (piece, more) = rest.split_at(self.piece(rest.len()));
            rest = more;
            self.set_out(piece, arrives);
        }
    }

    /// How long the next piece is.
    fn piece(&mut self, most: usize) -> usize {
        let mut length = most;
        if let Some(slice) = self.faults.slice {
            length = length.min(self.random.between(slice.least, slice.most));
        }
        if let Some(rate) = self.faults.rate {
            length = length.min(((rate as f64 * TICK.as_secs_f64()) as usize).max(1));
        }
        length
    }

    fn set_out(&mut self, piece: &[u8], arrives: Moment) {
        // Nothing overtakes in a stream.
        let mut arrives = arrives.max(self.last);
        if self.faults.rate == Some(0) {
            // Nothing passes, and no end behind it, until the rate is another.
            arrives = self.opened.after(NEVER);
        } else if let Some(rate) = self.faults.rate {
            let takes = Duration::from_secs_f64(piece.len() as f64 / rate as f64);
            self.free = self.free.max(arrives).after(takes);
            arrives = self.free;
        }
        self.waiting += piece.len() as u64;
        self.queue.push_back((arrives, piece.to_vec()));
        self.last = arrives;
        if let Some(slice) = self.faults.slice {
            self.last = self.last.after(slice.pause);
        }
    }

    /// The next piece that has arrived.
    pub(crate) fn due(&mut self, now: Moment, into: &mut Vec<u8>) -> Option<()> {
        if self.has_stalled || self.queue.front()?.0 > now {
            return None;
        }
        let (_, piece) = self.queue.pop_front()?;
        self.waiting -= piece.len() as u64;
        into.extend_from_slice(&piece);
        Some(())
    }

    /// When something happens next.
    pub(crate) fn wakes(&self) -> Option<Moment> {
        let front = self.queue.front().map(|(at, _)| *at).filter(|_| !self.has_met && !self.has_stalled);
        self.ends().into_iter().chain(front).min()
    }

    /// When the connection ends, or stands still.
    pub(super) fn ends(&self) -> Option<Moment> {
        if self.has_met {
            return None;
        }
        let reset = self.faults.reset_after;
        let times = [reset, self.faults.cut_after, self.faults.stall_after];
        // Only a reset can still come where it stands.
        let times = &times[..if self.has_stalled { 1 } else { times.len() }];
        let times = times.iter().filter_map(|after| match after {
            Some(After::Time(time)) => Some(self.opened.after(*time)),
            _ => None,
        });
        times.chain(self.silent_by()).chain(self.used_by()).min()
    }

    /// When nothing was said for too long.
    fn silent_by(&self) -> Option<Moment> {
        self.faults.swallow.filter(|time| !time.is_zero()).map(|time| self.heard.after(time))
    }

    /// When it is reset for having been used.
    fn used_by(&self) -> Option<Moment> {
        Some(self.first_heard?.after(self.faults.reset_when_used?))
    }

    /// The bound that is met now: by the time, or because all before it was taken.
    pub(crate) fn met(&mut self, now: Moment, is_taken: bool) -> Option<Limit> {
        if self.has_met {
            return None;
        }
        let all_passed = is_taken && self.queue.is_empty();
        let (came, opened) = (self.came, self.opened);
        let is_met = |after: Option<After>| match after {
            None => false,
            Some(After::Bytes(bytes)) => came >= bytes.max(1) && all_passed,
            Some(After::Time(time)) => now >= opened.after(time),
        };
        if is_met(self.faults.reset_after) || self.used_by().is_some_and(|by| now >= by) {
            self.has_met = true;
            return Some(Limit::Reset);
        }
        if is_met(self.faults.cut_after) || self.silent_by().is_some_and(|by| now >= by) {
            self.has_met = true;
            return Some(Limit::Cut);
        }
        if is_met(self.faults.stall_after) {
            self.has_stalled = true;
        }
        None
    }

    /// Whether nothing passes any more.
    pub(crate) fn has_stalled(&self) -> bool {
        self.has_stalled
    }

    /// When the end of the stream arrives, while it is still under way.
    pub(crate) fn end_by(&mut self, now: Moment) -> Option<Moment> {
        if self.has_stalled {
            return Some(now.after(Duration::from_secs(3600)));
        }
        if let Some(time) = self.faults.reset_when_used {
            return Some(self.first_heard.get_or_insert(now).after(time));
        }
        let (faults, random, last) = (&self.faults, &mut self.random, self.last);
        let end_at = *self.end_at.get_or_insert_with(|| {
            let late = faults.delay.as_ref().map_or(Duration::ZERO, |delay| random.delay(delay));
            now.after(late).max(last).after(faults.slow_close.unwrap_or_default())
        });
        let front = self.queue.front().map(|(at, _)| *at);
        front.or((end_at > now).then_some(end_at))
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Delay, Shape, Slice};
    use super::*;

    fn start() -> Moment {
        Moment::default()
    }

    fn at(milliseconds: u64) -> Moment {
        start().after(Duration::from_millis(milliseconds))
    }

    fn stream_with(faults: Faults, seed: u64) -> StreamFaults {
        StreamFaults::new(faults, seed, 1, 1, start())
    }

    #[test]
    fn delays_are_spread_as_they_are_asked_for() {
        for (shape, deviation) in [(Shape::Even, 5.0 / 3.0_f64.sqrt()), (Shape::Normal, 5.0)] {
            let delay = Delay { mean: Duration::from_millis(20), spread: Duration::from_millis(5), shape };
            let faults = Faults { delay: Some(delay), ..Faults::default() };
            let mut late = Vec::new();
            let mut one = stream_with(faults, 42);
            for turn in 0..10_000 {
                let now = at(turn * 100);
                one.take(b"x", now);
                let arrives = one.wakes().unwrap();
                late.push((arrives.nanos() - now.nanos()) as f64 / 1e6);
                assert!(one.due(arrives, &mut Vec::new()).is_some());
            }
            let mean = late.iter().sum::<f64>() / late.len() as f64;
            let spread = (late.iter().map(|one| (one - mean).powi(2)).sum::<f64>() / late.len() as f64).sqrt();
            assert!((mean - 20.0).abs() < 0.15, "{shape:?}: {mean}");
            assert!((spread - deviation).abs() < 0.1, "{shape:?}: {spread}");
            if shape == Shape::Even {
                assert!(late.iter().all(|one| (15.0..=25.0).contains(one)));
            }
        }
    }

    #[test]
    fn a_share_of_bytes_is_changed_however_they_come_and_always_the_same_ones() {
        let faults = Faults { corrupt: 0.01, ..Faults::default() };
        let run = |piece: usize, seed: u64| {
            let mut one = stream_with(faults, seed);
            let mut out = Vec::new();
            for bytes in vec![0_u8; 100_000].chunks(piece) {
                one.take(bytes, start());
                while one.due(start(), &mut out).is_some() {}
            }
            out
        };
        let whole = run(100_000, 7);
        assert_eq!(whole, run(1, 7));
        assert_ne!(whole, run(1, 8));
        let changed = whole.iter().filter(|byte| **byte != 0).count();
        // 1000 are expected, and four standard deviations are 126.
        assert!((874..=1126).contains(&changed), "{changed}");
        assert!(whole.iter().all(|byte| byte.count_ones() <= 1));
    }

    #[test]
    fn a_rate_holds_over_any_time() {
        let faults = Faults { rate: Some(125_000), ..Faults::default() };
        let mut one = stream_with(faults, 1);
        let (mut out, mut sent, mut now) = (Vec::new(), 0, start());
        while out.len() < 500_000 {
            while one.has_room() && sent < 500_000 {
                one.take(&[0; 4096], now);
                sent += 4096;
            }
            now = one.wakes().unwrap();
            while one.due(now, &mut out).is_some() {}
            let most = 125_000.0 * now.nanos() as f64 / 1e9;
            assert!(out.len() as f64 <= most + 1.0, "{} bytes after {} ns", out.len(), now.nanos());
        }
        let seconds = now.nanos() as f64 / 1e9;
        assert!((3.9..=4.1).contains(&seconds), "{seconds}");
    }

    #[test]
    fn slices_are_of_the_lengths_that_are_asked_for_and_nothing_is_lost() {
        let faults = Faults { slice: Some(Slice::new(3, 9, Duration::from_millis(1))), ..Faults::default() };
        let mut one = stream_with(faults, 3);
        let bytes: Vec<u8> = (0..=255).cycle().take(5000).collect();
        one.take(&bytes, start());
        let (mut whole, mut now) = (Vec::new(), start());
        while let Some(wakes) = one.wakes() {
            assert!(wakes >= now);
            now = wakes;
            let before = whole.len();
            assert!(one.due(now, &mut whole).is_some());
            let length = whole.len() - before;
            assert!((3..=9).contains(&length) || whole.len() == bytes.len(), "{length}");
        }
        assert_eq!(whole, bytes);
        assert!(now >= at(5000 / 9));
    }

    #[test]
    fn a_bound_lets_so_many_bytes_pass_and_not_one_more() {
        for (faults, met) in [
            (Faults { cut_after: Some(After::Bytes(5)), ..Faults::default() }, Some(Limit::Cut)),
            (Faults { reset_after: Some(After::Bytes(5)), ..Faults::default() }, Some(Limit::Reset)),
            (Faults { stall_after: Some(After::Bytes(5)), ..Faults::default() }, None),
        ] {
            let mut one = stream_with(faults, 3);
            one.take(b"123", start());
            assert_eq!(one.met(start(), true), None);
            one.take(b"4567", start());
            assert!(!one.has_room());
            let mut out = Vec::new();
            while one.due(start(), &mut out).is_some() {}
            assert_eq!(out, b"12345");
            assert_eq!((one.met(start(), false), one.met(start(), true)), (None, met));
            assert_eq!(one.has_stalled(), met.is_none());
        }
        let mut one =
            stream_with(Faults { reset_after: Some(After::Time(Duration::from_millis(5))), ..Faults::default() }, 1);
        assert_eq!((one.wakes(), one.met(at(4), true), one.met(at(5), false)), (Some(at(5)), None, Some(Limit::Reset)));
    }

    #[test]
    fn the_end_is_as_late_as_the_rest() {
        let delay = Delay { mean: Duration::from_millis(20), spread: Duration::ZERO, shape: Shape::Even };
        let faults = Faults { delay: Some(delay), slow_close: Some(Duration::from_millis(7)), ..Faults::default() };
        let mut one = stream_with(faults, 3);
        one.take(b"x", start());
        assert_eq!(one.end_by(at(1)), Some(at(20)));
        assert!(one.due(at(20), &mut Vec::new()).is_some());
        assert_eq!((one.end_by(at(20)), one.end_by(at(28))), (Some(at(28)), None));
    }
}
