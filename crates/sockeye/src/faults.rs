//! A bad network on purpose: what is late, slow, torn, changed or lost, by a seed, so that a run can be repeated. It knows no
//! socket and no clock: bytes and the time go in, and what is due comes out.
//!
//! ```
//! use std::time::Duration;
//! use sockeye::faults::{BadNetwork, Delay, Faults, Shape};
//!
//! let delay = Delay { mean: Duration::from_millis(20), spread: Duration::from_millis(5), shape: Shape::Even };
//! let down = Faults { delay: Some(delay), ..Faults::default() };
//! let network = BadNetwork { down, seed: 7, ..BadNetwork::default() };
//! assert!(!network.is_good());
//! ```

mod chain;
mod datagrams;
mod random;
mod stream;

use std::time::Duration;

pub(crate) use chain::{Chain, Lane, LiveFault, Met};
pub(crate) use datagrams::DatagramFaults;
use random::Random;
pub(crate) use stream::Limit;

/// How late things are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Delay {
    /// In the middle.
    pub mean: Duration,
    /// Most that it differs from that; with [`Shape::Normal`], the standard deviation.
    pub spread: Duration,
    /// How it differs.
    pub shape: Shape,
}

/// How delays are spread.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Shape {
    /// Each within the spread as often as any other.
    #[default]
    Even,
    /// Those near the mean most often.
    Normal,
}

/// When something happens to a direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum After {
    /// Once so many bytes have passed.
    Bytes(u64),
    /// So long after the connection was opened.
    Time(Duration),
}

/// Into what pieces a stream is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Slice {
    /// The shortest piece.
    pub least: usize,
    /// The longest.
    pub most: usize,
    /// Between two of them.
    pause: Duration,
}

impl Slice {
    /// Pieces of so many bytes.
    #[must_use]
    pub fn new(least: usize, most: usize, pause: Duration) -> Self {
        Self { least: least.max(1), most: most.max(least).max(1), pause }
    }
}

/// What happens to one direction.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Faults {
    /// What passes is late.
    pub delay: Option<Delay>,
    /// Bytes a second, at most.
    pub rate: Option<u64>,
    /// A stream comes in pieces.
    pub slice: Option<Slice>,
    /// The share of a stream's bytes, or of datagrams, that are changed.
    pub corrupt: f64,
    /// The end is said, though it was not.
    pub cut_after: Option<After>,
    /// The connection is reset.
    pub reset_after: Option<After>,
    /// Nothing passes any more.
    pub stall_after: Option<After>,
    /// The end of a stream is late.
    pub slow_close: Option<Duration>,
    /// What a stream says is thrown away, and the connection ends once nothing was said for so long; zero is never.
    pub swallow: Option<Duration>,
    /// The connection is reset so long after something was said, which is thrown away.
    pub reset_when_used: Option<Duration>,
    /// The share of datagrams that are lost.
    pub drop: f64,
    /// The share of datagrams that come twice.
    pub duplicate: f64,
    /// The share of datagrams that the next one overtakes.
    pub reorder: f64,
}

impl Faults {
    /// Whether nothing happens.
    #[must_use]
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }
}

/// What happens to the connections of a relay.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BadNetwork {
    /// To what clients say.
    pub up: Faults,
    /// To what servers say.
    pub down: Faults,
    /// The share of connections to which it happens.
    pub share: f64,
    /// The share of connections that are refused.
    pub refuse: f64,
    /// What all chance comes from.
    pub seed: u64,
}

impl Default for BadNetwork {
    fn default() -> Self {
        Self { up: Faults::default(), down: Faults::default(), share: 1.0, refuse: 0.0, seed: 0 }
    }
}

/// What chance has for one connection.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Impairment {
    None,
    /// It is refused.
    Refused,
    /// What happens is in the network's description.
    Faults,
}

impl BadNetwork {
    /// Whether nothing ever happens.
    #[must_use]
    pub fn is_good(&self) -> bool {
        self.up.is_none() && self.down.is_none() && self.refuse == 0.0
    }

    /// What happens to the connection with this number: always the same for a seed.
    pub(crate) fn impairment(&self, number: u64) -> Impairment {
        let mut random = Random::of(self.seed, number, 0);
        if !random.chance(self.share) {
            return Impairment::None;
        }
        if random.chance(self.refuse) { Impairment::Refused } else { Impairment::Faults }
    }
}
