//! The faults that one direction of a stream meets, one behind the other, and how they change while it flows: what was under
//! way in a fault that is taken away goes on to the next one.

use std::time::Duration;

use transcript::{Moment, Side};

use super::Faults;
use super::random::Random;
use super::stream::{Limit, StreamFaults, UNDER_WAY};

/// Far enough not to be waited for.
const LATER: Duration = Duration::from_secs(3600);

/// A fault that may change, or be taken away, while streams flow.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct LiveFault {
    /// Which one it is, from 1.
    pub(crate) id: u64,
    /// How often it was changed.
    pub(crate) version: u64,
    /// Whose words it is about.
    pub(crate) side: Side,
    /// The share of connections that it is about.
    pub(crate) share: f64,
    pub(crate) faults: Faults,
}

/// A bound that was met, and whether that of a fault which may change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Met {
    pub(crate) limit: Limit,
    pub(crate) is_live: bool,
}

/// Which direction of which connection, for chance.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Lane {
    pub(crate) seed: u64,
    pub(crate) connection: u64,
    pub(crate) side: Side,
}

impl Lane {
    fn direction(self) -> u64 {
        if self.side == Side::Client { 1 } else { 2 }
    }

    /// The fault as this direction has it; none where it is spared.
    fn draw(self, fault: &LiveFault, now: Moment) -> Option<StreamFaults> {
        let seed = self.seed ^ fault.id.wrapping_mul(0xd134_2543_de82_ef95) ^ fault.version.rotate_left(32);
        let is_hit = Random::of(seed, self.connection, self.direction()).chance(fault.share);
        is_hit.then(|| StreamFaults::new(fault.faults, seed, self.connection, self.direction(), now))
    }
}

#[derive(Debug)]
struct Stage {
    /// Those of a live fault; none where it stays as it is.
    live: Option<(u64, u64)>,
    /// None where this connection is spared.
    faults: Option<StreamFaults>,
}

/// The faults of one direction, in their order.
#[derive(Debug)]
pub(crate) struct Chain {
    lane: Lane,
    stages: Vec<Stage>,
    /// What has passed all of them.
    out: Vec<u8>,
    /// The end of the connection, because a fault was taken away.
    ending: bool,
}

impl Chain {
    /// Begins with a fault that stays as it is, if there is one, and those that may change.
    pub(crate) fn new(lane: Lane, fixed: Option<Faults>, live: &[LiveFault], now: Moment) -> Self {
        let drawn = |faults| StreamFaults::new(faults, lane.seed, lane.connection, lane.direction(), now);
        let stages = fixed.map(|faults| Stage { live: None, faults: Some(drawn(faults)) });
        let mut chain = Self { lane, stages: stages.into_iter().collect(), out: Vec::new(), ending: false };
        chain.change(live, now);
        chain
    }

    /// Whether there is none, and nothing on its way out.
    pub(crate) fn is_empty(&self) -> bool {
        self.stages.is_empty() && self.out.is_empty() && !self.ending
    }

    /// These live faults from now on.
    pub(crate) fn change(&mut self, wanted: &[LiveFault], now: Moment) {
        let wanted: Vec<&LiveFault> = wanted.iter().filter(|fault| fault.side == self.lane.side).collect();
        let mut stages = Vec::with_capacity(wanted.len() + 1);
        // What was under way where nothing holds it any more.
        let mut free = Vec::new();
        for mut stage in std::mem::take(&mut self.stages) {
            if let Some((id, version)) = stage.live {
                let found = wanted.iter().find(|fault| fault.id == id);
                let anew = match found {
                    Some(fault) if fault.version == version => None,
                    Some(fault) => {
                        stage.live = Some((id, fault.version));
                        Some(self.lane.draw(fault, now))
                    }
                    None => Some(None),
                };
                match (anew, &mut stage.faults) {
                    (None, _) => {}
                    (Some(Some(anew)), Some(faults)) => faults.renew(anew, now),
                    (Some(anew), faults) => {
                        if let Some(old) = std::mem::replace(faults, anew) {
                            // A peer that waited for what was thrown away would wait for ever.
                            self.ending |= old.swallows();
                            let mut bytes = old.into_bytes();
                            bytes.append(&mut free);
                            free = bytes;
                        }
                    }
                }
                if found.is_none() {
                    continue;
                }
            }
            if let Some(faults) = &mut stage.faults
                && !free.is_empty()
            {
                faults.take(&std::mem::take(&mut free), now);
            }
            stages.push(stage);
        }
        self.out.append(&mut free);
        for fault in wanted {
            if !stages.iter().any(|stage| stage.live.is_some_and(|(id, _)| id == fault.id)) {
                stages.push(Stage { live: Some((fault.id, fault.version)), faults: self.lane.draw(fault, now) });
            }
        }
        self.stages = stages;
    }

    fn active(&self) -> impl DoubleEndedIterator<Item = &StreamFaults> {
        self.stages.iter().filter_map(|stage| stage.faults.as_ref())
    }

    fn active_mut(&mut self) -> impl DoubleEndedIterator<Item = &mut StreamFaults> {
        self.stages.iter_mut().filter_map(|stage| stage.faults.as_mut())
    }

    /// Bytes that are under way.
    pub(crate) fn waiting(&self) -> u64 {
        self.active().map(StreamFaults::waiting).sum::<u64>() + self.out.len() as u64
    }

    /// Whether more may set out.
    pub(crate) fn has_room(&self) -> bool {
        !self.ending && self.waiting() < UNDER_WAY && self.active().next().is_none_or(StreamFaults::has_room)
    }

    /// Bytes set out.
    pub(crate) fn take(&mut self, bytes: &[u8], now: Moment) {
        if let Some(first) = self.active_mut().next() {
            return first.take(bytes, now);
        }
        self.out.extend_from_slice(bytes);
    }

    /// Moves what has passed one fault on to the next, as far as that has room.
    fn flow(&mut self, now: Moment) {
        let mut before: Option<&mut StreamFaults> = None;
        let mut piece = Vec::new();
        for next in self.stages.iter_mut().filter_map(|stage| stage.faults.as_mut()) {
            if let Some(before) = before {
                while next.has_room() && before.due(now, &mut piece).is_some() {
                    next.take(&piece, now);
                    piece.clear();
                }
            }
            before = Some(next);
        }
    }

    /// The next piece that has passed all of them.
    pub(crate) fn due(&mut self, now: Moment, into: &mut Vec<u8>) -> Option<()> {
        if !self.out.is_empty() {
            into.append(&mut self.out);
            return Some(());
        }
        self.flow(now);
        self.active_mut().next_back()?.due(now, into)
    }

    /// When something happens next.
    pub(crate) fn wakes(&self) -> Option<Moment> {
        let behind = self.active().skip(1).map(|next| next.has_room()).chain([true]);
        // What the next one has no room for waits for that one.
        let wakes = self.active().zip(behind).filter_map(|(one, room)| if room { one.wakes() } else { one.ends() });
        wakes.min()
    }

    /// The bound that is met now: by the time, or because all before it was taken.
    pub(crate) fn met(&mut self, now: Moment, is_taken: bool) -> Option<Met> {
        if std::mem::take(&mut self.ending) {
            return Some(Met { limit: Limit::Cut, is_live: true });
        }
        let mut is_taken = is_taken && self.out.is_empty();
        for stage in self.stages.iter_mut().rev() {
            let is_live = stage.live.is_some();
            let Some(faults) = &mut stage.faults else { continue };
            if let Some(limit) = faults.met(now, is_taken) {
                return Some(Met { limit, is_live });
            }
            is_taken &= faults.waiting() == 0;
        }
        None
    }

    /// Whether nothing passes any more.
    pub(crate) fn has_stalled(&self) -> bool {
        self.active().any(StreamFaults::has_stalled)
    }

    /// When the end of the stream arrives, while it is still under way.
    pub(crate) fn end_by(&mut self, now: Moment) -> Option<Moment> {
        self.flow(now);
        let (at, is_due) = self.active_mut().find_map(|one| Some((one.end_by(now)?, one.is_due(now))))?;
        // It is due, and the next one has no room for it.
        Some(if is_due { self.wakes().unwrap_or_else(|| now.after(LATER)) } else { at })
    }
}

#[cfg(test)]
mod tests {
    use super::super::{After, Delay, Shape, Slice};
    use super::*;

    fn at(milliseconds: u64) -> Moment {
        Moment::default().after(Duration::from_millis(milliseconds))
    }

    fn late(milliseconds: u64) -> Faults {
        let delay = Delay { mean: Duration::from_millis(milliseconds), spread: Duration::ZERO, shape: Shape::Even };
        Faults { delay: Some(delay), ..Faults::default() }
    }

    fn live(id: u64, version: u64, faults: Faults) -> LiveFault {
        LiveFault { id, version, side: Side::Client, share: 1.0, faults }
    }

    fn chain(faults: &[LiveFault]) -> Chain {
        Chain::new(Lane { seed: 7, connection: 1, side: Side::Client }, None, faults, at(0))
    }

    fn all(chain: &mut Chain, now: Moment) -> Vec<u8> {
        let mut out = Vec::new();
        while chain.due(now, &mut out).is_some() {}
        out
    }

    #[test]
    fn what_passes_one_fault_meets_the_next() {
        let mut one = chain(&[live(1, 0, late(20)), live(2, 0, late(30))]);
        one.take(b"abc", at(0));
        assert_eq!((one.wakes(), all(&mut one, at(19))), (Some(at(20)), vec![]));
        assert_eq!((all(&mut one, at(20)), one.wakes()), (vec![], Some(at(50))));
        assert_eq!((all(&mut one, at(50)), one.waiting()), (b"abc".to_vec(), 0));
        assert_eq!(one.end_by(at(60)), Some(at(80)));
        assert_eq!(one.end_by(at(80)), Some(at(110)));
        assert_eq!(one.end_by(at(110)), None);
    }

    #[test]
    fn nothing_is_lost_or_turned_round_when_a_fault_changes_or_goes() {
        let mut one = chain(&[live(1, 0, late(1000)), live(2, 0, late(1000))]);
        one.take(b"first ", at(0));
        assert!(all(&mut one, at(1000)).is_empty());
        one.take(b"second ", at(1000));
        // The second fault goes: what it held is out, and the first one's is still under way.
        one.change(&[live(1, 0, late(1000))], at(1001));
        assert_eq!(all(&mut one, at(1001)), b"first ");
        one.change(&[live(1, 1, late(5))], at(1002));
        assert!(all(&mut one, at(1006)).is_empty());
        one.take(b"third", at(1006));
        one.change(&[], at(1006));
        assert_eq!(all(&mut one, at(1006)), b"second third");
        assert!(one.is_empty() && one.has_room());
    }

    #[test]
    fn a_limit_counts_on_when_it_is_changed_and_waits_for_the_faults_behind_it() {
        let limit = |bytes| Faults { cut_after: Some(After::Bytes(bytes)), ..Faults::default() };
        let mut one = chain(&[live(1, 0, limit(4)), live(2, 0, late(10))]);
        one.take(b"abc", at(0));
        assert_eq!((all(&mut one, at(0)), one.met(at(0), true)), (vec![], None));
        one.change(&[live(1, 1, limit(5)), live(2, 0, late(10))], at(1));
        one.take(b"def", at(1));
        assert_eq!((all(&mut one, at(1)), one.met(at(1), true), one.has_room()), (vec![], None, false));
        assert_eq!((all(&mut one, at(11)), one.met(at(11), false)), (b"abcde".to_vec(), None));
        assert_eq!(one.met(at(11), true), Some(Met { limit: Limit::Cut, is_live: true }));
    }

    #[test]
    fn what_is_swallowed_ends_after_silence_or_when_the_fault_goes() {
        let swallow = |time| Faults { swallow: Some(Duration::from_millis(time)), ..Faults::default() };
        let mut one = chain(&[live(1, 0, swallow(100))]);
        one.take(b"abc", at(50));
        assert_eq!((all(&mut one, at(60)), one.wakes(), one.met(at(149), true)), (vec![], Some(at(150)), None));
        assert_eq!(one.met(at(150), true), Some(Met { limit: Limit::Cut, is_live: true }));
        let mut one = chain(&[live(1, 0, swallow(0))]);
        one.take(b"abc", at(50));
        assert_eq!((one.wakes(), one.met(at(9999), true)), (None, None));
        one.change(&[], at(9999));
        assert_eq!(one.met(at(9999), true), Some(Met { limit: Limit::Cut, is_live: true }));
    }

    #[test]
    fn a_reset_waits_until_something_is_said_or_ended() {
        let reset = Faults { reset_when_used: Some(Duration::from_millis(10)), ..Faults::default() };
        let mut one = chain(&[live(1, 0, reset)]);
        assert_eq!((one.wakes(), one.met(at(50), true)), (None, None));
        one.take(b"x", at(50));
        assert_eq!((one.wakes(), one.met(at(59), true)), (Some(at(60)), None));
        assert_eq!(one.met(at(60), true), Some(Met { limit: Limit::Reset, is_live: true }));
        let mut ended = chain(&[live(1, 0, reset)]);
        assert_eq!((ended.end_by(at(50)), ended.end_by(at(70))), (Some(at(60)), Some(at(60))));
        assert!(ended.met(at(60), true).is_some());
    }

    #[test]
    fn a_share_of_connections_is_spared_and_the_same_ones_for_a_seed() {
        let hit = |connection, share| {
            let lane = Lane { seed: 7, connection, side: Side::Client };
            let fault = LiveFault { share, ..live(1, 0, late(1)) };
            Chain::new(lane, None, &[fault], at(0)).active().count()
        };
        let hits = |share| (0..1000).map(|connection| hit(connection, share)).sum::<usize>();
        assert_eq!([hits(0.0), hits(1.0)], [0, 1000]);
        assert!((420..=580).contains(&hits(0.5)) && hits(0.5) == hits(0.5), "{}", hits(0.5));
    }

    #[test]
    fn a_slow_fault_behind_a_fast_one_is_waited_for_without_spinning() {
        let slow = Faults { rate: Some(1000), ..Faults::default() };
        let sliced = Faults { slice: Some(Slice::new(10, 10, Duration::ZERO)), ..Faults::default() };
        let mut one = chain(&[live(1, 0, sliced), live(2, 0, slow)]);
        let (mut out, mut now, mut turns, mut came) = (0, at(0), 0, 0);
        while out < 200_000 {
            while came < 200_000 && one.has_room() {
                one.take(&[0; 1000], now);
                came += 1000;
            }
            out += all(&mut one, now).len();
            turns += 1;
            if let Some(wakes) = one.wakes() {
                assert!(wakes > now || one.has_room(), "it spins");
                now = now.max(wakes);
            }
        }
        assert!(turns < 60_000, "{turns}");
        assert!((199..=201).contains(&(now.nanos() / 1_000_000_000)), "{}", now.nanos());
    }
}
