//! What the kernel and the clock tell a loop: which descriptors are ready, which deadlines have come, and what they are about.

pub(super) mod poller;
pub(super) mod slab;
pub(super) mod timers;
pub(super) mod token;
