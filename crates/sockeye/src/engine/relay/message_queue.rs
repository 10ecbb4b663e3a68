//! Messages on their way from one leg to the other, and the faults of that direction.

use std::collections::VecDeque;

use crate::address::Framing;
use crate::faults::DatagramFaults;

/// Messages of one direction on their way.
#[derive(Debug, Default)]
pub(super) struct Messages {
    pub(super) queue: VecDeque<Vec<u8>>,
    pub(super) bytes: u64,
    pub(super) faults: Option<Box<DatagramFaults>>,
    /// How the client's stream holds them, so that a tap hears the stream.
    pub(super) shown: Option<Framing>,
    /// The client's are no datagrams, in a record of which nothing ends.
    pub(super) tells_end: bool,
}

impl Messages {
    pub(super) fn new(faults: Option<Box<DatagramFaults>>, shown: Option<Framing>, tells_end: bool) -> Self {
        Self { faults, shown, tells_end, ..Self::default() }
    }

    pub(super) fn waiting(&self) -> u64 {
        self.bytes + self.faults.as_ref().map_or(0, |faults| faults.waiting())
    }

    pub(super) fn push(&mut self, message: Vec<u8>) {
        self.bytes += message.len() as u64;
        self.queue.push_back(message);
    }

    /// Messages and bytes that a bad network lost on purpose.
    pub(super) fn dropped(&self) -> (u64, u64) {
        self.faults.as_ref().map_or((0, 0), |faults| (faults.dropped, faults.dropped_bytes))
    }
}
