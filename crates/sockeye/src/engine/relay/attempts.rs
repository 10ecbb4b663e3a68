//! The servers that a pair tries, one address after the other.

use std::io;
use std::time::Duration;

use rustix::io::Errno;
use transcript::Moment;

use super::names::Addresses;
use super::targets::Targets;
use crate::failure::Kind;
use crate::net::{is_exhausted, words};

/// Which server is tried.
#[derive(Debug)]
pub(super) struct Connecting {
    /// The servers that are tried, in this order, and where in it we are.
    pub(super) order: Vec<usize>,
    pub(super) place: usize,
    /// That server's addresses, as they were when it was its turn, and which of them.
    pub(super) addresses: Addresses,
    pub(super) address: usize,
    pub(super) until: Moment,
    /// When to try again what this machine could not do, or a backlog that was full.
    pub(super) again: Option<Moment>,
    /// Why the last one failed.
    pub(super) why: String,
    pub(super) kind: Kind,
}

impl Connecting {
    /// This address did not answer: the next one, or the next server's first.
    pub(super) fn failed(&mut self, targets: &Targets, error: Errno, now: Moment) {
        let Some(index) = self.order.get(self.place) else { return };
        let target = &targets.all[*index];
        let name = target.name(&self.addresses, self.address);
        let is_nowhere = self.addresses.count() == 0;
        let why = match error {
            Errno::TIMEDOUT => "no answer in time (--connect-timeout)".to_owned(),
            _ if is_nowhere => "the name leads nowhere yet".to_owned(),
            other => words(&io::Error::from(other)),
        };
        self.kind = match error {
            Errno::TIMEDOUT => Kind::ConnectTimeout,
            Errno::HOSTUNREACH | Errno::NETUNREACH => Kind::Unreachable,
            error if is_exhausted(&error.into()) => Kind::NoResources,
            _ => Kind::Refused,
        };
        self.why = match self.why.is_empty() {
            true if is_nowhere => format!("cannot connect to {}: {why}", target.address),
            true => format!("cannot connect to {}: {name}: {why}", target.address),
            false => format!("{}; {name}: {why}", self.why),
        };
        self.address += 1;
        if self.address >= self.addresses.count() {
            target.failed(now);
            (self.address, self.place) = (0, self.place + 1);
            let next = self.order.get(self.place).map(|index| targets.all[*index].addresses());
            self.addresses = next.unwrap_or_default();
        }
    }

    /// When an attempt has taken too long: the time is shared by those that are left.
    pub(super) fn by(&self, now: Moment) -> Moment {
        let addresses = self.addresses.count();
        let left = self.until.nanos().saturating_sub(now.nanos());
        let tries =
            (addresses - self.address.min(addresses) + self.order.len() - 1 - self.place.min(self.order.len() - 1))
                .max(1);
        now.after(Duration::from_nanos((left / tries as u64).max(1)))
    }
}
