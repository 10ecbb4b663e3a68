//! Faults of one direction of datagrams, which may be lost, come twice or overtake each other.

use std::collections::VecDeque;
use std::time::Duration;

use transcript::Moment;

use super::Faults;
use super::random::Random;
use crate::limits;

/// Bytes that are under way at once; what comes beyond is lost, as on any queue.
const UNDER_WAY: usize = limits::LATE_MESSAGES;
/// How long one waits for another to overtake it.
const OVERTAKEN_BY: Duration = Duration::from_millis(100);

#[derive(Debug)]
pub(crate) struct DatagramFaults {
    faults: Faults,
    random: Random,
    queue: VecDeque<(Moment, Vec<u8>)>,
    waiting: usize,
    last: Moment,
    free: Moment,
    /// One that the next overtakes, and until when it waits for it.
    overtaken: Option<(Moment, Vec<u8>)>,
    /// Lost on purpose.
    pub(crate) dropped: u64,
    pub(crate) dropped_bytes: u64,
}

impl DatagramFaults {
    pub(crate) fn new(faults: Faults, seed: u64, flow: u64, direction: u64) -> Self {
        let random = Random::of(seed, flow, direction);
        let (last, free) = Default::default();
        Self {
            faults,
            random,
            queue: VecDeque::new(),
            waiting: 0,
            last,
            free,
            overtaken: None,
            dropped: 0,
            dropped_bytes: 0,
        }
    }

    /// A datagram sets out.
    pub(crate) fn take(&mut self, datagram: &[u8], now: Moment) {
        if self.random.chance(self.faults.drop) || self.waiting + datagram.len() > UNDER_WAY {
            self.dropped += 1;
            self.dropped_bytes += datagram.len() as u64;
            return;
        }
        let mut datagram = datagram.to_vec();
        if self.random.chance(self.faults.corrupt) && !datagram.is_empty() {
            let place = self.random.between(0, datagram.len() - 1);
            datagram[place] ^= 1 << (self.random.next() % 8);
        }
        let twice = self.random.chance(self.faults.duplicate);
        if self.overtaken.is_none() && self.random.chance(self.faults.reorder) {
            if twice {
                self.set_out(datagram.clone(), now);
            }
            self.overtaken = Some((now.after(OVERTAKEN_BY), datagram));
            return;
        }
        if twice {
            self.set_out(datagram.clone(), now);
        }
        self.set_out(datagram, now);
        if let Some((_, overtaken)) = self.overtaken.take() {
            self.set_out(overtaken, now);
        }
    }

    fn set_out(&mut self, datagram: Vec<u8>, now: Moment) {
        let late = self.faults.delay.as_ref().map_or(Duration::ZERO, |delay| self.random.delay(delay));
        let mut arrives = now.after(late).max(self.last);
        if let Some(rate) = self.faults.rate {
            let takes = Duration::from_secs_f64(datagram.len() as f64 / rate.max(1) as f64);
            self.free = self.free.max(arrives).after(takes);
            arrives = self.free;
        }
        self.last = arrives;
        self.waiting += datagram.len();
        self.queue.push_back((arrives, datagram));
    }

    /// The next datagram that has arrived.
    pub(crate) fn due(&mut self, now: Moment) -> Option<Vec<u8>> {
        if let Some((_, datagram)) = self.overtaken.take_if(|(until, _)| *until <= now) {
            // Nothing came that could.
            self.set_out(datagram, now);
        }
        let (_, datagram) = self.queue.pop_front_if(|(at, _)| *at <= now)?;
        self.waiting -= datagram.len();
        Some(datagram)
    }

    /// Whether any message finds room.
    pub(crate) fn has_room(&self) -> bool {
        self.waiting() as usize + limits::SOCKET_MESSAGE <= UNDER_WAY
    }

    /// Bytes that are under way.
    pub(crate) fn waiting(&self) -> u64 {
        (self.waiting + self.overtaken.as_ref().map_or(0, |(_, datagram)| datagram.len())) as u64
    }

    /// When the next one arrives.
    pub(crate) fn wakes(&self) -> Option<Moment> {
        let front = self.queue.front().map(|(at, _)| *at);
        front.into_iter().chain(self.overtaken.as_ref().map(|(until, _)| *until)).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What becomes of so many datagrams, each with its number.
    fn run(faults: Faults, seed: u64, count: u32) -> Vec<u32> {
        let mut one = DatagramFaults::new(faults, seed, 1, 1);
        let (mut out, mut now) = (Vec::new(), Moment::from_nanos(0));
        for number in 0..count {
            now = now.after(Duration::from_millis(1));
            one.take(&number.to_be_bytes(), now);
            while let Some(datagram) = one.due(now) {
                out.push(u32::from_be_bytes(datagram.try_into().unwrap()));
            }
        }
        while let Some(wakes) = one.wakes() {
            while let Some(datagram) = one.due(wakes) {
                out.push(u32::from_be_bytes(datagram.try_into().unwrap()));
            }
        }
        out
    }

    #[test]
    fn shares_are_kept_and_a_seed_repeats_them() {
        let count = 100_000;
        // Four standard deviations of a share of 0.1 are 380.
        let expected = 9_620..=10_380;
        let lost = run(Faults { drop: 0.1, ..Faults::default() }, 5, count);
        assert!(expected.contains(&(count as usize - lost.len())), "{}", lost.len());
        assert_eq!(lost, run(Faults { drop: 0.1, ..Faults::default() }, 5, count));
        assert_ne!(lost, run(Faults { drop: 0.1, ..Faults::default() }, 6, count));
        let twice = run(Faults { duplicate: 0.1, ..Faults::default() }, 5, count);
        assert!(expected.contains(&(twice.len() - count as usize)), "{}", twice.len());
        let mixed = run(Faults { reorder: 0.1, ..Faults::default() }, 5, count);
        let mut sorted = mixed.clone();
        sorted.sort_unstable();
        assert_eq!(sorted, (0..count).collect::<Vec<_>>());
        // One that waits to be overtaken cannot be asked again: of 1.1 turns each is asked once.
        let late = mixed.windows(2).filter(|pair| pair[0] > pair[1]).count();
        assert!((8_600..=9_600).contains(&late), "{late}");
    }

    #[test]
    fn the_last_one_arrives_though_nothing_overtakes_it() {
        assert_eq!(run(Faults { reorder: 1.0, ..Faults::default() }, 1, 3), [1, 0, 2]);
    }
}
